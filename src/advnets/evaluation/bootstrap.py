"""Bootstrap: estimates with 95% intervals by resampling.

A resample with replacement holds some examples twice. A mean is not affected; statistics of pairs,
extremes or squares are biased by it. For these the interval is the value plus and minus the spread
of the resamples (`centred`).

Reference: Efron and Tibshirani (1993), chapters 6, 10 and 13.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors

RESAMPLES = 1_000
"""Resamples behind the interval of a mean."""
ENOUGH = 20
"""Fewest samples, and examples, for an interval."""
_WIDE = 1.96


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate with its 95% interval and sample size.

    Attributes:
        value: The number.
        low: Lower end of its 95% interval.
        high: Upper end of its 95% interval.
        n: Size of the sample.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        numbers, half = (self.value, self.low, self.high), (self.high - self.low) / 2
        digits = 0
        if half > 0 and not all(float(v).is_integer() for v in numbers):
            digits = min(3, max(0, -math.floor(math.log10(half / 2))))
        value, low, high = (f"{v:.{digits}f}" for v in numbers)
        return f"{value} [{low}, {high}]"


def refuse_too_few(name: str, need: int, x: Tensor, y: Tensor) -> None:
    """Raise unless there are `need` samples and as many real examples, all finite."""
    if min(len(x), len(y)) < need:
        raise errors.bad_value(
            name,
            f"measured on at least {need} samples and as many real examples",
            min(len(x), len(y)),
        )
    for what, side in (("samples", x), ("real examples", y)):
        finite = side.flatten(1).isfinite().all(dim=1) if side.ndim > 1 else side.isfinite()
        if not finite.all():
            row = int(finite.logical_not().nonzero()[0])
            raise errors.array_not_finite(f"{name} of {what}", row)


def resampled(values: Tensor, *, rng: torch.Generator) -> Tensor:
    """As many of the values as there are, drawn with replacement."""
    return values[torch.randint(len(values), (len(values),), generator=rng)]


def resampled_means(values: Tensor, *, rng: torch.Generator) -> Tensor:
    """The means of `RESAMPLES` resamples, in float64."""
    values = values.double()
    return torch.stack([resampled(values, rng=rng).mean() for _ in range(RESAMPLES)])


def mean(values: Tensor, *, rng: torch.Generator) -> Estimate:
    """A mean, with the percentile interval.

    Example:
        >>> heights = torch.arange(100.0)
        >>> print(mean(heights, rng=torch.Generator().manual_seed(0)))
        50 [44, 55]
    """
    value = values.double().mean().item()
    return percentile(value, resampled_means(values, rng=rng), n=len(values))


def share(holds: Tensor, *, rng: torch.Generator) -> Estimate:
    """The share of examples for which a condition holds.

    If it holds for all or none, resamples do not vary; the interval then has length 3/n (the rule
    of three: a share above 3/n would appear at least once in n with probability 95%).
    """
    found = mean(holds.double(), rng=rng)
    margin = min(1.0, 3 / found.n)
    low = 1 - margin if found.value == 1 else found.low
    high = margin if found.value == 0 else found.high
    return Estimate(value=found.value, low=low, high=high, n=found.n)


def percentile(value: float, replicates: Tensor, *, n: int) -> Estimate:
    """The interval of the middle 95% of the resamples' values."""
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = replicates.double().quantile(ends).tolist()
    return Estimate(value=value, low=low, high=high, n=n)


def centred(
    value: float,
    replicates: Tensor | Sequence[float],
    *,
    n: int,
    low: float = -math.inf,
    high: float = math.inf,
) -> Estimate:
    """The value plus and minus 1.96 standard deviations of its resamples, clipped to its range."""
    spread = _WIDE * torch.as_tensor(replicates, dtype=torch.float64).std().item()
    return Estimate(value=value, low=max(low, value - spread), high=min(high, value + spread), n=n)

r"""The support size of a generator, estimated by the birthday paradox.

Among s independent draws from N equally likely values, two are equal with probability

.. math:: 1 - \prod_{i < s} (1 - i / N) \approx 1 - e^{-s (s - 1) / 2N},

which is 1/2 at :math:`N = s (s - 1) / (2 \log 2)`: 23 people, 365 days. So the s at which half of
all sets of s samples hold a duplicate gives the size of the support. If the values are not equally
likely, the estimate is :math:`1 / \sum p_i^2`, the number of equally likely values that would
collide as often; it is at most the true number.

Continuous samples are never equal: two within a radius count as duplicates, and the estimate
depends on that radius. Compare it with the estimate of real data at the same radius.

Reference: Arora and Zhang (2017), "Do GANs actually learn the distribution?", arXiv 1706.08224.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.evaluation.pairwise import inside, rows

ORDERS = 1_000
"""Number of random orders of the samples in which the first duplicate is found."""
_FIRST, _PAIRS = 500, 10_000


@dataclass(frozen=True, kw_only=True)
class Birthday:
    """The estimate from duplicates among samples.

    Attributes:
        s: Samples of which two are duplicates with probability 1/2; infinite where all `n` together
            have fewer.
        support: The estimated size of the support.
        n: Number of samples.
    """

    s: float
    support: float
    n: int

    def __str__(self) -> str:
        if math.isfinite(self.support):
            return f"{self.support:,.0f}"
        return f"more than {support_size(self.n):,.0f}"


def support_size(s: float) -> float:
    """The number of equally likely values among which s draws collide with probability 1/2.

    Example:
        >>> round(support_size(23))
        365
    """
    return s * (s - 1) / (2 * math.log(2))


def birthday(x: Tensor, *, radius: float, rng: torch.Generator) -> Birthday:
    """The support size of the distribution of these samples.

    Args:
        x: Independent samples, of shape `(n, *event_shape)`.
        radius: The distance up to which two are duplicates, in the units of x; 0 for equal ones.
        rng: Draws the orders.

    Raises:
        BadValue: For fewer than two samples, or a negative radius.
    """
    errors.at_least(0, radius=radius)
    errors.at_least(2, samples=len(x))
    n, pairs = _FIRST, torch.empty(0, 2, dtype=torch.int64)
    # Samples that repeat at once need not all be looked at.
    while len(pairs) < _PAIRS and n < 2 * len(x):
        pairs = close_pairs(x[:n], radius=radius)
        n *= 2
    looked_at = min(n // 2, len(x))
    s = _half(first_duplicate(pairs, looked_at, rng=rng), looked_at)
    return Birthday(s=s, support=support_size(s), n=looked_at)


def _half(firsts: Tensor, n: int) -> float:
    """The number of samples at which half of the orders hold a duplicate, interpolated."""
    by_then = torch.bincount(firsts.long(), minlength=n + 2).cumsum(0).double() / len(firsts)
    s = int((by_then < 0.5).sum())
    if s > n:
        return math.inf
    before, here = by_then[s - 1].item(), by_then[s].item()
    return s - (here - 0.5) / (here - before)


def close_pairs(x: Tensor, *, radius: float) -> Tensor:
    """All pairs i < j at a distance of at most `radius`, of shape `(pairs, 2)`."""
    flat = rows("x", x)
    found, start = [], 0
    for (close,) in inside(flat, flat, torch.full((len(x),), radius, dtype=torch.float64)):
        i, j = close.triu(start + 1).nonzero().T
        found.append(torch.stack([start + i, j], dim=1))
        start += len(close)
    return torch.cat(found)


def first_duplicate(pairs: Tensor, n: int, *, rng: torch.Generator) -> Tensor:
    """In random orders of n samples, how many it takes until two of them are a pair.

    Args:
        pairs: Of shape `(pairs, 2)`.
        n: Samples, pairs or not.
        rng: Draws the orders.

    Returns:
        One number an order, float64; n + 1 where there is no pair at all.
    """
    if not len(pairs):
        return torch.full((ORDERS,), n + 1.0, dtype=torch.float64)
    firsts = []
    for _ in range(ORDERS):
        place = torch.randperm(n, generator=rng)
        firsts.append(place[pairs].amax(dim=1).min() + 1)
    return torch.stack(firsts).double()

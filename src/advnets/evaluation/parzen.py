r"""The Gaussian Parzen window: the paper's score of a sampler.

.. math:: \log \hat p(x) = \log \frac 1n \sum_{j=1}^n
          \exp\Big(-\frac{\|x - \mu_j\|^2}{2 \sigma^2}\Big) - d \log(\sigma \sqrt{2 \pi})

with the n samples as centres and sigma chosen on validation data. The centres are processed in
blocks that fit the processor's cache, so memory does not grow with samples times tests. Distances
come from a matrix product about the mean of the centres (`pairwise.py`); sums over blocks are kept
in float64.

The worst-case error of a float32 product is far above that of real data, so the error is measured:
the distance of each point to its nearest centre, which dominates the sum, is also computed by
differences in float64. Where float32 may be off by more than .01 nats (`_may_be_off`) a point is
scored again in float64, and by differences where even that is not enough.

Reference: Goodfellow et al. (2014), Section 5; Breuleux et al. (2011); goodfeli/adversarial,
    `parzen_ll.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.distributed import ALONE, Ranks
from advnets.base.protocols import Examples
from advnets.evaluation.pairwise import about, all_apart, apart, rows
from advnets.nn.kernels import product

SIGMAS = tuple(float(s) for s in np.logspace(-1, 0, 10))
"""The authors' grid: ten points from .1 to 1, evenly spaced in the logarithm."""

BLUR = (
    "A Parzen score does not measure sharpness: blur raises it (averaged weights, cluster means "
    "and other smooth pictures can score above real images), so compare it with its reference rows."
)
"""What the metric does not measure, in one sentence."""

_ROWS, _CENTRES = 500, 1000
_MAY_BE_OFF, _PAIRS = 0.01, 2**22


@dataclass(frozen=True, kw_only=True)
class LogLikelihood:
    """A score with its standard error, n and sigma.

    Attributes:
        mean: Mean log-density, in nats per example.
        standard_error: Standard deviation over examples divided by sqrt(n), in nats; NaN for a
            single example.
        n: Number of examples scored.
        sigma: Width of the window.
        centres: Number of samples, the centres of the window.
    """

    mean: float
    standard_error: float
    n: int
    sigma: float
    centres: int

    def to_dict(self) -> dict[str, float | None]:
        """As JSON, which has no NaN."""
        known = None if math.isnan(self.standard_error) else self.standard_error
        return asdict(self) | {"standard_error": known}

    def __str__(self) -> str:
        if math.isnan(self.standard_error):
            return f"{self.mean:.1f} +- unknown nats"
        digits = 1 if self.standard_error >= 0.1 else 2 if self.standard_error >= 0.01 else 3
        return f"{self.mean:.{digits}f} +- {self.standard_error:.{digits}f} nats"


def log_densities(x: Examples, centres: Tensor, sigmas: Sequence[float]) -> Tensor:
    r"""Log-densities of a Parzen window for several widths at once.

    Args:
        x: Points, of shape `(N, *event_shape)`; they may be memory-mapped.
        centres: Samples, of shape `(n, *event_shape)`.
        sigmas: K widths, each above 0.

    Returns:
        :math:`\log \hat p(x)` in nats, of shape `(K, N)`, float64.

    Raises:
        BadValue: For an empty or non-finite array, shapes that differ, or a width that is not above
            0.
    """
    errors.require(len(x) > 0, "x", "at least one row", 0)
    errors.require(len(centres) > 0, "centres", "at least one row", 0)
    centres = rows("centres", centres)
    n, d = centres.shape
    if math.prod(x.shape[1:]) != d:
        got = (len(x), math.prod(x.shape[1:]))
        raise errors.wrong_shape("x", f"(N, {d}) as the centres", got)
    for sigma in sigmas:
        errors.positive(sigma=sigma)
    widths = torch.tensor(sigmas, dtype=torch.float64, device=centres.device)
    sums = centres.new_empty(len(widths), len(x), dtype=torch.float64)
    double = torch.float64 in (x.dtype, centres.dtype)
    still_open = torch.arange(len(x))
    for dtype in (torch.float64,) if double else (torch.float32, torch.float64):
        window, sure = _Window(centres, widths, dtype), []
        for part in torch.split(still_open, _ROWS):
            points = rows("x", x[part], int(part[0])).to(centres.device)
            sums[:, part], good = window.log_sums(points)
            sure.append(good.cpu())
        still_open = still_open[~torch.cat(sure)]
        if not len(still_open):
            break
    for part in torch.split(still_open, max(1, _PAIRS // n)) if len(still_open) else ():
        sums[:, part] = _by_differences(rows("x", x[part]).to(centres.device), centres, widths)
    mean_terms = sums - math.log(n)
    # A term of the window is at most 1, and so is their mean.
    assert (mean_terms <= _MAY_BE_OFF).all(), "a log-density above the window's ceiling"
    return mean_terms.clamp_max(0) - d * (widths.log() + 0.5 * math.log(2 * math.pi))[:, None]


class _Window:
    """Centres minus their mean, in the dtype of the products."""

    def __init__(self, centres: Tensor, widths: Tensor, dtype: torch.dtype) -> None:
        self.given, self.widths, self.dtype = centres, widths, dtype
        self.origin = centres.double().mean(dim=0)
        self.centres = about(centres, self.origin, dtype)
        self.half_norms = self.centres.square().sum(dim=1).div_(2)

    @torch.no_grad()
    def log_sums(self, points: Tensor) -> tuple[Tensor, Tensor]:
        r"""Log of the sum over centres, `(K, rows)`, and for which rows it is accurate enough.

        With :math:`s_j = x^\top \mu_j - \|\mu_j\|^2 / 2`, the exponent is
        :math:`(s_j - \|x\|^2 / 2) / \sigma^2`: its maximum over j serves every width.
        """
        x = about(points, self.origin, self.dtype)
        precisions = [1 / w**2 for w in self.widths.tolist()]
        best, place = x.new_full((len(x),), -math.inf), torch.zeros_like(x[:, 0], dtype=torch.int64)
        sums = x.new_zeros(len(precisions), len(x), dtype=torch.float64)
        scratch = x.new_empty(len(x), min(_CENTRES, len(self.centres)))
        for start in range(0, len(self.centres), _CENTRES):
            block = slice(start, start + _CENTRES)
            s = product(x, self.centres[block], -self.half_norms[block])
            top = s.max(dim=1)
            place = torch.where(top.values > best, top.indices + start, place)
            before, best = best, torch.maximum(best, top.values)
            s -= best[:, None]
            fall = (before - best).double()
            terms = scratch[:, : s.shape[1]]
            for k, precision in enumerate(precisions):
                torch.mul(s, precision, out=terms).exp_()
                sums[k] = sums[k] * (fall * precision).exp() + terms.sum(dim=1)
        peak = -apart(points, self.given[place]).square() / 2
        off = self._may_be_off(x, place, best.double() - x.double().square().sum(dim=1) / 2 - peak)
        sure = off * max(precisions) <= _MAY_BE_OFF
        return sums.log() + peak / self.widths[:, None].square(), sure

    def _may_be_off(self, x: Tensor, place: Tensor, error: Tensor) -> Tensor:
        r"""Estimated error of the exponents of each row, times :math:`\sigma^2`.

        The larger of the error at the row's nearest centre and twice the error that is typical for
        rows of its norm; errors grow as :math:`(\|x\| + \|\mu\|)^2`.
        """
        lengths = [torch.linalg.vector_norm(t.double(), dim=1) for t in (x, self.centres[place])]
        scale = (lengths[0] + lengths[1]).square()
        u, smallest = torch.finfo(self.dtype).eps / 2, torch.finfo(self.dtype).tiny
        typical = (error / scale.clamp_min(1e-300)).square().mean().sqrt()
        typical = torch.maximum(2 * typical, typical.new_tensor(u * math.sqrt(x.shape[1]) / 16))
        # Products below the smallest normal number have no relative precision.
        return torch.maximum(error.abs(), typical * scale) + x.shape[1] * smallest


def _by_differences(x: Tensor, centres: Tensor, widths: Tensor) -> Tensor:
    """Log of the sum over centres, `(K, rows)`, without a product."""
    exponents = all_apart(x, centres).square().div_(-2)
    return torch.stack([(exponents / w**2).logsumexp(dim=1) for w in widths.tolist()])


def summarise(log_p: Tensor, sigma: float, centres: int) -> LogLikelihood:
    """Mean and standard error (the deviation divides by N) of log-densities of shape `(N,)`."""
    deviation = log_p.std(correction=0).item() if len(log_p) > 1 else math.nan
    return LogLikelihood(
        mean=log_p.mean().item(),
        standard_error=deviation / math.sqrt(len(log_p)),
        n=len(log_p),
        sigma=sigma,
        centres=centres,
    )


def score(x: Examples, centres: Tensor, sigma: float, *, ranks: Ranks = ALONE) -> LogLikelihood:
    """Mean log-density of `x` under the window of width `sigma` on `centres`."""
    return summarise(_shared(x, centres, [sigma], ranks)[0], sigma, len(centres))


def _shared(x: Examples, centres: Tensor, sigmas: Sequence[float], ranks: Ranks) -> Tensor:
    """`log_densities`; each process computes its own rows."""
    if ranks.world == 1:
        return log_densities(x, centres, sigmas)
    own = x[ranks.rows(len(x))]
    log_p = torch.empty(len(sigmas), 0, dtype=torch.float64)
    if len(own):
        log_p = log_densities(own, centres, sigmas)
    return ranks.gather(log_p.T, len(x)).T


def choose_sigma(
    validation: Examples,
    centres: Tensor,
    sigmas: Sequence[float] = SIGMAS,
    *,
    ranks: Ranks = ALONE,
) -> LogLikelihood:
    """The score on `validation` at the best width among `sigmas`."""
    errors.require(len(sigmas) > 0, "sigmas", "at least one width", 0)
    log_p = _shared(validation, centres, sigmas, ranks)
    best = int(log_p.mean(dim=1).argmax())
    return summarise(log_p[best], sigmas[best], len(centres))

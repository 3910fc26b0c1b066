r"""The Gaussian Parzen window: the paper's way to put a number on a sampler.

.. math:: \log \hat p(x) = \log \frac 1n \sum_{j=1}^n
          \exp\Big(-\frac{\|x - \mu_j\|^2}{2 \sigma^2}\Big) - d \log(\sigma \sqrt{2 \pi})

with the n samples as centres and sigma chosen on validation data. The centres pass by in blocks
that fit the processor's cache, so memory does not grow with samples times tests. Distances come
from a matrix product, taken about the mean of the centres, where float32 loses least; sums over
blocks are kept in float64.

Reference: Goodfellow et al. (2014), Section 5; Breuleux et al. (2011); goodfeli/adversarial,
    `parzen_ll.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from advnets import checks
from advnets.products import product
from advnets.protocols import Examples
from advnets.ranks import ALONE, Ranks

SIGMAS = tuple(float(s) for s in np.logspace(-1, 0, 10))
"""The authors' grid: ten points from .1 to 1, evenly spaced in the logarithm."""

BLUR = (
    "A Parzen score cannot see sharpness: blur raises it (averaged weights, cluster means and "
    "other smooth pictures can score above real images), so read it beside its reference lines."
)
"""What the metric cannot see, in one sentence."""

_ROWS, _CENTRES = 500, 1000


@dataclass(frozen=True, kw_only=True)
class LogLikelihood:
    """A score: never a bare float.

    Attributes:
        mean: Mean log-density, in nats per example.
        standard_error: Standard deviation over examples divided by sqrt(n), in nats.
        n: Number of examples scored.
        sigma: Width of the window.
        centres: Number of samples that the window was put on.
    """

    mean: float
    standard_error: float
    n: int
    sigma: float
    centres: int

    def __str__(self) -> str:
        digits = 1 if self.standard_error >= 0.1 else 2 if self.standard_error >= 0.01 else 3
        return f"{self.mean:.{digits}f} +- {self.standard_error:.{digits}f} nats"


def log_densities(x: Examples, centres: Tensor, sigmas: Sequence[float]) -> Tensor:
    r"""Log-densities of a Parzen window for several widths at once.

    Args:
        x: Points, of shape `(N, *event_shape)`; they may be in a file still.
        centres: Samples, of shape `(n, *event_shape)`.
        sigmas: K widths, each above 0.

    Returns:
        :math:`\log \hat p(x)` in nats, of shape `(K, N)`, float64.

    Raises:
        BadValue: For an empty or non-finite array, shapes that differ, or a width that is not above
            0.
    """
    checks.require(len(x) > 0, "x", "at least one row", 0)
    checks.require(len(centres) > 0, "centres", "at least one row", 0)
    centres = _rows("centres", centres)
    dtype = torch.promote_types(x.dtype, centres.dtype)
    centres = centres.to(dtype)
    n, d = centres.shape
    if math.prod(x.shape[1:]) != d:
        got = (len(x), math.prod(x.shape[1:]))
        raise checks.wrong_shape("x", f"(N, {d}) as the centres", got)
    for sigma in sigmas:
        checks.positive(sigma=sigma)
    origin = centres.mean(dim=0)
    centres = centres - origin
    half_norms = centres.square().sum(dim=1).div_(2)
    widths = torch.tensor(sigmas, dtype=torch.float64, device=centres.device)
    blocks = [
        _block(_rows("x", x[i : i + _ROWS], i).to(origin) - origin, centres, half_norms, widths)
        for i in range(0, len(x), _ROWS)
    ]
    normaliser = math.log(n) + d * (widths.log() + 0.5 * math.log(2 * math.pi))
    return torch.cat(blocks, dim=1) - normaliser[:, None]


@torch.no_grad()
def _block(x: Tensor, centres: Tensor, half_norms: Tensor, widths: Tensor) -> Tensor:
    r"""Log of the sum over centres, of shape `(K, rows)`, for one block of points.

    With :math:`s_j = x^\top \mu_j - \|\mu_j\|^2 / 2`, the exponent is :math:`(s_j - \|x\|^2 / 2) /
    \sigma^2`: its maximum over j serves every width.
    """
    precisions = [1 / w**2 for w in widths.tolist()]
    best = torch.full((len(x),), -math.inf, dtype=x.dtype, device=x.device)
    sums = torch.zeros(len(widths), len(x), dtype=torch.float64, device=x.device)
    scratch = torch.empty(len(x), min(_CENTRES, len(centres)), dtype=x.dtype, device=x.device)
    for mu, half in zip(
        torch.split(centres, _CENTRES), torch.split(half_norms, _CENTRES), strict=True
    ):
        s = product(x, mu, -half)
        before, best = best, torch.maximum(best, s.amax(dim=1))
        s -= best[:, None]
        fall = (before - best).double()
        terms = scratch[:, : len(mu)]
        for k, precision in enumerate(precisions):
            torch.mul(s, precision, out=terms).exp_()
            sums[k] = sums[k] * (fall * precision).exp() + terms.sum(dim=1)
    peak = best.double() - x.double().square().sum(dim=1) / 2
    return sums.log() + peak / widths[:, None].square()


def _rows(name: str, x: Tensor, start: int = 0) -> Tensor:
    """Each example as a row of real numbers; errors count the rows from `start`."""
    flat = x.detach().flatten(1)
    flat = flat if flat.is_floating_point() else flat.float()
    finite = flat.isfinite().all(dim=1)
    if not finite.all():
        raise checks.array_not_finite(name, start + int(finite.logical_not().nonzero()[0]))
    return flat


def summarise(log_p: Tensor, sigma: float, centres: int) -> LogLikelihood:
    """Mean and standard error (the deviation divides by N) of log-densities of shape `(N,)`."""
    return LogLikelihood(
        mean=log_p.mean().item(),
        standard_error=log_p.std(correction=0).item() / math.sqrt(len(log_p)),
        n=len(log_p),
        sigma=sigma,
        centres=centres,
    )


def score(x: Examples, centres: Tensor, sigma: float, *, ranks: Ranks = ALONE) -> LogLikelihood:
    """Mean log-density of `x` under the window of width `sigma` on `centres`."""
    return summarise(_shared(x, centres, [sigma], ranks)[0], sigma, len(centres))


def _shared(x: Examples, centres: Tensor, sigmas: Sequence[float], ranks: Ranks) -> Tensor:
    """`log_densities`, of which each process computes those of its own rows."""
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
    """The score on `validation` at the width, of those in `sigmas`, where it is highest."""
    checks.require(len(sigmas) > 0, "sigmas", "at least one width", 0)
    log_p = _shared(validation, centres, sigmas, ranks)
    best = int(log_p.mean(dim=1).argmax())
    return summarise(log_p[best], sigmas[best], len(centres))

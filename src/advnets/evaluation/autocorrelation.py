r"""The integrated autocorrelation time of Markov chains, and their effective sample size.

The mean of n correlated draws of variance :math:`\sigma^2` has variance :math:`\sigma^2 \tau / n`,
with the integrated autocorrelation time

.. math:: \tau = 1 + 2 \sum_{t \ge 1} \rho_t

so n of them are worth :math:`n / \tau` independent draws.

Reference: Geyer (1992), Practical Markov chain Monte Carlo, Section 3.3; Sokal (1997), Monte Carlo
    methods in statistical mechanics, Section 3.
"""

import torch
from torch import Tensor

from advnets.base import errors

DIRECTIONS = 10
_ROWS = 1_000


def autocorrelation(x: Tensor) -> Tensor:
    r""":math:`\rho_t` for every lag, from all chains together.

    .. math:: \rho_t = c_t / c_0, \quad
              c_t = \frac{1}{C T} \sum_{c} \sum_{s < T - t} (x_{c,s} - m) (x_{c,s+t} - m)

    with one mean m for all chains, so that chains that stay apart count as correlated. The sum is
    divided by T, not T - t, as in the variance of a mean over T states. A constant function counts
    as stuck: :math:`\rho_t = 1 - t / T`.

    Args:
        x: Functions of the states, of shape `(T, C, K)`: T states of C chains, K functions.

    Returns:
        Of shape `(T, K)`, float64.
    """
    if x.ndim != 3 or not x.numel():
        raise errors.wrong_shape("x", "(T, C, K): states, chains, functions", x.shape)
    T = len(x)
    d = x.double() - x.double().mean(dim=(0, 1))
    spectrum = torch.fft.rfft(d, n=2 * T, dim=0).abs().square().sum(dim=1)
    c = torch.fft.irfft(spectrum, n=2 * T, dim=0)[:T]
    stuck = (1 - torch.arange(T, dtype=c.dtype, device=c.device) / T)[:, None]
    tiny = torch.finfo(c.dtype).eps * x.double().square().sum(dim=(0, 1))
    return torch.where(c[0] > tiny, c / c[0].clamp(min=torch.finfo(c.dtype).tiny), stuck)


def integrated_time(x: Tensor) -> Tensor:
    r"""The integrated autocorrelation time :math:`\tau` of each function, in states.

    The sum is truncated by Geyer's initial monotone sequence: the sums of neighbours
    :math:`\rho_{2k} + \rho_{2k+1}`, which are positive and fall for a reversible chain, are taken
    while they are positive and never counted as more than the one before. For other chains that is
    a heuristic. With one state for each chain, :math:`\tau = 1`.

    Args:
        x: Functions of the states, of shape `(T, C, K)`: T states of C chains, K functions.

    Returns:
        Of shape `(K,)`, float64, from 1 / T to T.

    Example:
        >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
        >>> held = x.repeat_interleave(4, dim=0)[:, None]  # each draw is seen four times
        >>> round(integrated_time(held).item())
        4
    """
    rho = autocorrelation(x)
    T, K = rho.shape
    even = torch.cat((rho, rho.new_zeros(T % 2, K)))
    pairs = even.view(-1, 2, K).sum(dim=1)
    positive = (pairs > 0).cumprod(dim=0)
    tau = 2 * (pairs.cummin(dim=0).values * positive).sum(dim=0) - 1
    return tau.clamp(1 / T, T)


def slowest(x: Tensor, directions: int = DIRECTIONS) -> Tensor:
    r""":math:`\tau` of chains of images: the largest over their leading principal directions.

    Each pixel or direction of an image has its own time. The projections on the leading principal
    directions are functions of the state, and the slowest of them bounds the mixing of the chain.
    The directions are those of at most 1,000 evenly spaced samples.

    Args:
        x: Samples of shape `(T, C, ...)`: T states of C chains.
        directions: Number of directions.

    Returns:
        The largest :math:`\tau`, 0-d, in states.
    """
    errors.at_least(1, directions=directions)
    flat = x.flatten(2) if x.ndim > 2 else x[..., None]
    rows = flat.flatten(0, 1)
    finite = rows.isfinite().all(dim=1)
    if not finite.all():
        raise errors.array_not_finite("x", int(finite.logical_not().nonzero()[0]))
    some = rows[:: -(-len(rows) // _ROWS)].double()
    _, _, V = torch.linalg.svd(some - some.mean(dim=0), full_matrices=False)
    return integrated_time(flat.double() @ V[:directions].T).max()

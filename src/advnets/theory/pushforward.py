r"""The distribution p_g of x = G(z) in one dimension: the pushforward of the prior.

Everything is a cumulative distribution function, :math:`F_g(x) = P(G(z) \le x)`. Its differences
are the probabilities of the cells of an axis, exact for any G. A density evaluated at points could
miss spikes between them.

Reference: Goodfellow et al. (2014), Section 3 and the caption of Figure 1.
"""

import torch
from torch import Tensor

_BLOCK = 2_000
"""Kernels that are summed at a time."""


def monotone(G_z: Tensor) -> bool:
    """Whether G is strictly monotone, from its values at increasing z, `(n,)`."""
    steps = G_z.diff()
    return bool((steps > 0).all() or (steps < 0).all())


def by_change_of_variables(G_z: Tensor, F_z: Tensor, x: Tensor) -> Tensor:
    r"""The cumulative distribution of G(z) where G is monotone.

    .. math:: F_g(x) = F_z(G^{-1}(x)) \quad \text{(1 - that for a falling G)}, \qquad
              p_g(x) = \frac{p_z(z)}{|dG / dz|}\ \text{at}\ z = G^{-1}(x)

    Between neighbouring points, probability is interpolated linearly.

    Args:
        G_z: G at increasing z, of shape `(n,)`, strictly monotone.
        F_z: The prior's cumulative distribution there, of shape `(n,)`.
        x: Points at which F_g is computed, of shape `(m,)`.

    Returns:
        F_g, of shape `(m,)`, float64: 0 below all values of G and 1 above them.

    Example:
        >>> F_z = torch.tensor([0.0, 0.5, 1.0])  # at z = -1, 0, 1, uniform; G(z) = 2 z
        >>> by_change_of_variables(torch.tensor([-2.0, 0.0, 2.0]), F_z, torch.tensor([1.0])).item()
        0.75
    """
    values, F, x = G_z.double(), F_z.double(), x.double()
    if values[0] > values[-1]:
        values, F = values.flip(0), 1 - F.flip(0)
    right = torch.searchsorted(values, x).clamp(1, len(values) - 1)
    share = (x - values[right - 1]) / (values[right] - values[right - 1])
    inside = torch.lerp(F[right - 1], F[right], share)
    return torch.where(x < values[0], 0.0, torch.where(x > values[-1], 1.0, inside))


def by_kernels(G_z: Tensor, x: Tensor, width: float) -> Tensor:
    r"""The cumulative distribution of G(z) blurred by a Gaussian kernel, for any G.

    .. math:: F(x) = \frac1n \sum_i \Phi\!\left(\frac{x - G(z_i)}{h}\right)

    Args:
        G_z: Values of G at draws or quantiles of the prior, of shape `(n,)`.
        x: Points at which F is computed, of shape `(m,)`.
        width: h, the standard deviation of the kernel.

    Returns:
        F, of shape `(m,)`, float64.
    """
    x, total = x.double()[:, None], torch.zeros(len(x), dtype=torch.float64)
    for part in torch.split(G_z.double(), _BLOCK):
        total += torch.special.ndtr((x - part) / width).sum(dim=1)
    return total / len(G_z)


def masses(F: Tensor) -> Tensor:
    """The probabilities below, between and above the points of F: `(m,)` to `(m + 1,)`, sum 1."""
    return F.diff(prepend=F.new_zeros(1), append=F.new_ones(1)).clamp(min=0)

"""The optimal discriminator D*_G and V: Proposition 1."""

import torch
from torch import Tensor

from advnets.base import errors
from advnets.theory.distributions import Distribution, pair
from advnets.theory.divergences import _log_sigmoid, _weighted

_THIRDS = 120
"""Steps of the search, each of which keeps two thirds of its interval: (2/3)^120 < 1e-21."""


def D_star(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The optimal discriminator for a fixed generator.

    .. math:: D^*_G(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)}

    Outside the union of the supports it is arbitrary: no term of V depends on D there.

    Reference: Goodfellow et al. (2014), Proposition 1, eq. (2).

    Args:
        p_data: Distribution of the data.
        p_g: Distribution of the samples, over the same outcomes.

    Returns:
        Of the shape of the table or grid; NaN where both are zero.

    Raises:
        BadValue: Where one of them is no distribution, or where their tables or grids differ.

    Example:
        >>> D_star(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.0, 0.5]))
        tensor([0.5000, 1.0000, 0.0000], dtype=torch.float64)
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return p / (p + q)


def D_star_logit(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The logit of the optimal discriminator, :math:`\log p_\text{data}(x) - \log p_g(x)`.

    Infinite where only one of the two is zero, NaN where both are.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    return p.log() - q.log()


def D_by_search(p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The optimal discriminator, found by numerical search.

    At each x the integrand of V is maximised over y = D(x) in [0, 1],

    .. math:: a \log y + b \log(1 - y), \qquad a = p_\text{data}(x),\ b = p_g(x),

    by ternary search: it is concave, so that of two inner points the lower one bounds the interval.
    Differences of values are compared, by log1p, because the values agree in all digits once the
    points are 1e-8 apart.

    Reference: Goodfellow et al. (2014), the proof of Proposition 1.

    Returns:
        As `D_star`.
    """
    a, b = pair(p_data=p_data, p_g=p_g)
    low, high = torch.zeros_like(a), torch.ones_like(a)
    for _ in range(_THIRDS):
        third = (high - low) / 3
        y, further = low + third, high - third
        gain = a * torch.log1p(third / y) + b * torch.log1p(-third / (1 - y))
        low, high = torch.where(gain > 0, y, low), torch.where(gain > 0, high, further)
    return torch.where(a + b > 0, (low + high) / 2, torch.nan)


def V(a: Tensor, p_data: Distribution, p_g: Distribution) -> Tensor:
    r"""The value of the game, as sums over the outcomes.

    As a function of p_g it is the U(p_g, D) of Proposition 2.

    .. math:: V(D, G) = \sum_x p_\text{data}(x) \log D(x) + p_g(x) \log(1 - D(x))

    Reference: Goodfellow et al. (2014), eqs. (1) and (3).

    Args:
        a: Logits of D, of the shape of the table or grid. Where both distributions are zero any
            value is allowed, including NaN.
        p_data: Distribution of the data.
        p_g: Distribution of the samples, over the same outcomes.

    Returns:
        V in nats, 0-d; minus infinity where D is certain and wrong.

    Raises:
        BadValue: As `D_star`, and where `a` is of another shape.
    """
    p, q = pair(p_data=p_data, p_g=p_g)
    if a.shape != p.shape:
        raise errors.wrong_shape("a", f"{tuple(p.shape)}", a.shape)
    return (_weighted(p, _log_sigmoid(a)) + _weighted(q, _log_sigmoid(-a))).sum()

r"""The value function of the game, eq. (1), and what each player does with it.

Everything is computed on logits `a = logit D`: `log D = logsigmoid(a)` and `log(1 - D) =
logsigmoid(-a)`, which stay finite where `log(sigmoid(a))` does not.

Reference: Goodfellow et al. (2014), eq. (1), Algorithm 1 and the remark on `log D(G(z))` in Section
    3.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Objective = Literal["minimax", "non-saturating"]


def value(D_x: Tensor, D_Gz: Tensor) -> Tensor:
    r"""The game's value on one minibatch.

    .. math:: V(D, G) = E_x[\log D(x)] + E_z[\log(1 - D(G(z)))]

    Reference: Goodfellow et al. (2014), eq. (1).

    Args:
        D_x: Logits of D on data, any shape.
        D_Gz: Logits of D on samples, any shape; it may hold another number of examples.

    Returns:
        V in nats, 0-d. It is `-log 4` where D = 1/2 everywhere and 0 where D is sure and right.

    Example:
        >>> import torch
        >>> round(value(torch.zeros(3), torch.zeros(3)).item(), 4)
        -1.3863
    """
    return _log_sigmoid(D_x).mean() + _log_sigmoid(-D_Gz).mean()


def _log_sigmoid(a: Tensor) -> Tensor:
    # torch's own wakes every thread even for a hundred numbers.
    return -torch.logaddexp(-a, a.new_zeros(()))


def minimax(D_Gz: Tensor) -> Tensor:
    r"""G's share of V, which G descends: :math:`E_z[\log(1 - D(G(z)))]`, in nats.

    Its gradient vanishes where D rejects the samples with confidence.

    Reference: Goodfellow et al. (2014), eq. (1) and Algorithm 1.
    """
    return _log_sigmoid(-D_Gz).mean()


def non_saturating(D_Gz: Tensor) -> Tensor:
    r"""The objective that G descends in practice: :math:`-E_z[\log D(G(z))]`, in nats.

    It has the fixed point of `minimax` and a strong gradient early in learning.

    Reference: Goodfellow et al. (2014), Section 3, last paragraph but one.
    """
    return -_log_sigmoid(D_Gz).mean()


OBJECTIVES: dict[Objective, Callable[[Tensor], Tensor]] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
}


def value_slope(D_x: Tensor, D_Gz: Tensor) -> Tensor:
    r"""The gradient of V in D's logits, on data and then on samples, flat.

    .. math:: \frac{\partial V}{\partial a(x_i)} = \frac{1 - D(x_i)}{m}, \qquad
              \frac{\partial V}{\partial a(G(z_i))} = -\frac{D(G(z_i))}{m}
    """
    return torch.cat((torch.sigmoid(-D_x) / len(D_x), torch.sigmoid(D_Gz) / -len(D_Gz)))


def minimax_slope(D_Gz: Tensor) -> Tensor:
    """The gradient of `minimax` in the logits, -D(G(z)) / m: nothing where D is sure."""
    return torch.sigmoid(D_Gz) / -len(D_Gz)


def non_saturating_slope(D_Gz: Tensor) -> Tensor:
    """The gradient of `non_saturating` in the logits, -(1 - D(G(z))) / m."""
    return torch.sigmoid(-D_Gz) / -len(D_Gz)


SLOPES: dict[Objective, Callable[[Tensor], Tensor]] = {
    "minimax": minimax_slope,
    "non-saturating": non_saturating_slope,
}


_LEAST, _TINY = 2.0**-50, 1e-30


def shared_cotangent(for_D: Tensor, for_G: Tensor) -> tuple[Tensor, Tensor]:
    r"""One cotangent of D's logits that serves both players in one backward pass.

    D gives one logit an example, so what flows back from row i is proportional to that row's
    cotangent: backpropagate D's own, u, and multiply the gradient that arrives at G(z_i) by
    :math:`g_i / u_i` to have G's. Where D is so sure that its own is nothing beside G's, it is
    raised to :math:`2^{-50} |g_i|`: the ratio stays finite, and D's gradient changes by less than
    its weights can tell.

    Args:
        for_D: Gradient of D's loss in each logit on samples.
        for_G: Gradient of G's objective in the same logits.

    Returns:
        u and g / u, of the shape of the logits.
    """
    least = (for_G.abs() * _LEAST).clamp_(min=_TINY)
    u = torch.copysign(torch.maximum(for_D.abs(), least), for_D)
    return u, for_G / u

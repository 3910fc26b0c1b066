r"""The value function of the game, eq. (1), and the two objectives that G descends.

Everything is computed on logits `a = logit D`: `log D = -softplus(-a)` and `log(1 - D) =
-softplus(a)`, which stay finite where `log(sigmoid(a))` does not.

Reference: Goodfellow et al. (2014), eq. (1), Algorithm 1 and the remark on `log D(G(z))` in Section
    3.
"""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from advnets.base import errors

_EXACT = 40
"""Above this a softplus equals its argument, in float64 too."""


def softplus(a: Tensor) -> Tensor:
    r""":math:`\log(1 + e^a)`, elementwise."""
    return F.softplus(a, threshold=_EXACT)


def value(D_x: Tensor, D_Gz: Tensor) -> Tensor:
    r"""The game's value on one minibatch.

    .. math:: V(D, G) = E_x[\log D(x)] + E_z[\log(1 - D(G(z)))]

    Reference: Goodfellow et al. (2014), eq. (1).

    Args:
        D_x: Logits of D on data, any shape.
        D_Gz: Logits of D on samples, any shape; the number of samples may differ.

    Returns:
        V in nats, 0-d. It is `-log 4` where D = 1/2 everywhere and 0 where D is certain and
        correct.

    Example:
        >>> import torch
        >>> round(value(torch.zeros(3), torch.zeros(3)).item(), 4)
        -1.3863
    """
    for name, logits in (("D_x", D_x), ("D_Gz", D_Gz)):
        need = "a tensor of logits (torch.from_numpy makes one of an array)"
        errors.require(isinstance(logits, Tensor), name, need, f"a {type(logits).__name__}")
    return -softplus(-D_x).mean() - softplus(D_Gz).mean()


def minimax(D_Gz: Tensor) -> Tensor:
    r"""G's term of V, which G descends: :math:`E_z[\log(1 - D(G(z)))]`, in nats.

    Its gradient vanishes where D rejects the samples with confidence.

    Reference: Goodfellow et al. (2014), eq. (1) and Algorithm 1.
    """
    return -softplus(D_Gz).mean()


def non_saturating(D_Gz: Tensor) -> Tensor:
    r"""The objective that G descends in practice: :math:`-E_z[\log D(G(z))]`, in nats.

    It has the fixed point of `minimax` and a strong gradient early in learning.

    Reference: Goodfellow et al. (2014), Section 3, last paragraph but one.
    """
    return softplus(-D_Gz).mean()


OBJECTIVES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
}
"""The paper's two objectives of G, by name."""

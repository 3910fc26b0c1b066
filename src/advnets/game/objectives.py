r"""The losses of D and G as functions of D's logits on data and on samples.

A loss is written once and differentiated as written. It depends on logits only, so that its
gradient in them is cheap; the game backpropagates that gradient through D and G (`cotangents`)::

    class MyLoss:
        reads_data = False
        def __call__(self, a_data, a_samples):
            return loss_of_D, loss_of_G

A loss whose G descends something else that D returned (features) has a method
`of_out(out_data, out_samples)` for that.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor

from advnets.game import value as V
from advnets.game.relativistic import Relativistic

Objective = Literal["minimax", "non-saturating", "least-squares", "hinge", "relativistic"]


class Loss(Protocol):
    """The losses of D and of G on one minibatch, differentiable in the logits."""

    @property
    def reads_data(self) -> bool:
        """Whether G's loss depends on the logits on data too."""
        ...

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of D and of G: means over the minibatch, 0-d.

        Args:
            a_data: D's logits on m examples, `(m,)`.
            a_samples: D's logits on m samples, `(m,)`.
        """
        ...


class Minimax:
    """Eq. (1): D ascends V, G descends its term of V."""

    reads_data = False

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """See `Loss`."""
        return -V.value(a_data, a_samples), V.minimax(a_samples)


class NonSaturating:
    """D ascends V, G ascends E[log D(G(z))] (Section 3)."""

    reads_data = False

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """See `Loss`."""
        return -V.value(a_data, a_samples), V.non_saturating(a_samples)


class LeastSquares:
    r"""D's logit regresses to 1 on data and to 0 on samples; G moves it to 1.

    .. math:: \tfrac12 E[(a(x) - 1)^2] + \tfrac12 E[a(G(z))^2], \qquad \tfrac12 E[(a(G(z)) - 1)^2]

    Reference: Mao et al. (2017), Least Squares Generative Adversarial Networks.
    """

    reads_data = False

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """See `Loss`."""
        of_D = (a_data - 1).square().mean() / 2 + a_samples.square().mean() / 2
        return of_D, (a_samples - 1).square().mean() / 2


class Hinge:
    r"""D's logit is pushed above 1 on data and below -1 on samples; G raises it.

    .. math:: E[\max(0, 1 - a(x))] + E[\max(0, 1 + a(G(z)))], \qquad -E[a(G(z))]

    Reference: Lim and Ye (2017), Geometric GAN; Miyato et al. (2018).
    """

    reads_data = False

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """See `Loss`."""
        of_D = (1 - a_data).relu().mean() + (1 + a_samples).relu().mean()
        return of_D, -a_samples.mean()


LOSSES: Mapping[Objective, Loss] = {
    "minimax": Minimax(),
    "non-saturating": NonSaturating(),
    "least-squares": LeastSquares(),
    "hinge": Hinge(),
    "relativistic": Relativistic(),
}


def cotangents(loss: Loss, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of both losses in the logits, by autograd at the detached logits.

    Args:
        loss: The loss.
        a: D's logits on m examples and then on m samples, `(2m,)`.

    Returns:
        The gradients of D's loss and of G's loss, `(2m,)`, and G's loss, 0-d.
    """
    parts = _leaves(a)
    with torch.enable_grad():
        of_D, of_G = loss(*parts)
    for_D = torch.cat(torch.autograd.grad(of_D, parts, retain_graph=True))
    for_G = _through_samples(loss, of_G, parts)
    if not loss.reads_data:
        for_G = torch.cat((torch.zeros_like(for_G), for_G))
    return for_D, for_G, of_G.detach()


def cotangent_of_D(loss: Loss, a: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of D's loss in the logits, `(2m,)`, and G's loss, 0-d."""
    parts = _leaves(a)
    with torch.enable_grad():
        of_D, of_G = loss(*parts)
    return torch.cat(torch.autograd.grad(of_D, parts)), of_G.detach()


def cotangent_of_G(loss: Loss, a: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of G's loss in the logits that it reads, of their shape, and that loss, 0-d.

    Args:
        loss: The loss.
        a: D's logits on samples, `(m,)`; on data before them where the loss reads those, `(2m,)`.
    """
    parts = _leaves(a) if loss.reads_data else [a.detach(), a.detach().requires_grad_()]
    with torch.enable_grad():
        _, of_G = loss(*parts)
    return _through_samples(loss, of_G, parts), of_G.detach()


def cotangent_by_out(loss: Loss, out: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of a G's loss that reads all that D returned, of its shape, and that loss, 0-d.

    Args:
        loss: What is differentiated: it has a method `of_out`.
        out: What D returned of data and then of samples, `(2m, ...)`.
    """
    parts, of_out = _leaves(out), loss.of_out  # type: ignore[attr-defined]
    with torch.enable_grad():
        of_G = of_out(*parts)
    return torch.cat(torch.autograd.grad(of_G, parts)), of_G.detach()


def _leaves(a: Tensor) -> list[Tensor]:
    """The logits on data and on samples, to be differentiated in."""
    return [part.detach().requires_grad_() for part in a.chunk(2)]


def _through_samples(loss: Loss, of_G: Tensor, parts: list[Tensor]) -> Tensor:
    """The gradient of G's loss in the logits on samples, and before it on data where it has one."""
    return torch.cat(torch.autograd.grad(of_G, parts if loss.reads_data else parts[1:]))


_LEAST, _TINY = 2.0**-50, 1e-30


def shared_cotangent(for_D: Tensor, for_G: Tensor) -> tuple[Tensor, Tensor]:
    r"""One cotangent of D's logits that gives both gradients in one backward pass.

    D returns one logit for each example, so the gradient that reaches row i is proportional to that
    row's cotangent. Backpropagate D's cotangent u, and multiply the gradient that arrives at G(z_i)
    by :math:`g_i / u_i` to obtain G's. Where u is negligible beside g because D is confident, it is
    raised to :math:`2^{-50} |g_i|`: the ratio stays finite, and D's gradient changes by less than
    rounding.

    Args:
        for_D: Gradient of D's loss in each logit on samples.
        for_G: Gradient of G's loss in the same logits.

    Returns:
        u and g / u, of the shape of the logits.
    """
    least = (for_G.abs() * _LEAST).clamp_(min=_TINY)
    u = torch.copysign(torch.maximum(for_D.abs(), least), for_D)
    return u, for_G / u

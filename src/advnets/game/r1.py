r"""The R1 penalty on the gradient of D's logit on the data.

.. math:: R_1 = \frac{\gamma}{2} E_x \| \nabla_x a(x) \|^2

At the equilibrium D is constant on the data's support. Without the penalty training may oscillate
around that point instead of converging.

Reference: Mescheder et al. (2018), Which Training Methods for GANs do actually Converge?, eq. (9).
    Every n-th update only (lazily): Karras et al. (2020), StyleGAN2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.game.term import Seen


@dataclass(frozen=True)
class R1:
    """The penalty as a term of D's loss."""

    gamma: float
    """Weight of the penalty, in nats times the square of x's unit."""
    every: int = 1
    """Updates of D between two penalties, each weighted by this number."""
    passes = 1

    def __post_init__(self) -> None:
        errors.positive(gamma=self.gamma)
        errors.at_least(1, every=self.every)

    def __call__(self, seen: Seen) -> Tensor:
        """The penalty on the data of this minibatch, 0-d."""
        return self.gamma / 2 * squared_gradient(seen, seen.data)


def squared_gradient(seen: Seen, inputs: Sequence[Tensor]) -> Tensor:
    """The mean of the squared norm of D's gradient in the first of its inputs, 0-d."""
    x, *told = inputs
    x = x.detach().requires_grad_()
    a = seen.discriminate(x, *told).a
    (gradient,) = torch.autograd.grad(a.sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(dim=1).mean()

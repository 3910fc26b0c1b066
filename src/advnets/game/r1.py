r"""The R1 penalty: D's logit must be flat on the data.

.. math:: R_1 = \frac{\gamma}{2} E_x \| \nabla_x a(x) \|^2

At the equilibrium D is constant on the data's support; without the penalty the game circles around
that point instead of going there.

Reference: Mescheder et al. (2018), Which Training Methods for GANs do actually Converge?, eq. (9).
    Every n-th update only (lazily): Karras et al. (2020), StyleGAN2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.game.term import Seen


@dataclass(frozen=True)
class R1:
    """The penalty as a term of D's descent."""

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
        x, *told = seen.data
        x = x.detach().requires_grad_()
        a = seen.discriminate(x, *told).a
        (slope,) = torch.autograd.grad(a.sum(), x, create_graph=True)
        return self.gamma / 2 * slope.flatten(1).square().sum(dim=1).mean()

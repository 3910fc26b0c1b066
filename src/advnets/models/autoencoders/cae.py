r"""The contractive autoencoder, and the random walk along the directions it does not contract.

It penalises the derivative of the code with respect to the example:

.. math:: J = E_x[L(x, g(h(x))) + \lambda \|J_h(x)\|_F^2], \qquad
          J_h = \partial h / \partial x = \mathrm{diag}(s) W, \quad s = h (1 - h)

for sigmoid codes, so that no derivative has to be taken:

.. math:: \|J_h\|_F^2 = \sum_j s_j^2 \sum_i W_{ji}^2

The directions that remain in the Jacobian are those in which the data varies. The walk follows
them:

.. math:: h' = h(x) + J_h J_h^\top \alpha, \quad \alpha \sim N(0, \sigma^2 I), \qquad x' = g(h')

Reference: Rifai et al. (2011), "Contractive auto-encoders", eq. (7) and (8); Rifai et al. (2012),
    "A generative process for sampling contractive auto-encoders", Algorithm 1; ynd/cae.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Problem
from advnets.models.autoencoders.autoencoder import Coder
from advnets.models.autoencoders.chain import Chained, ChainedConfig, CoderKernel


@dataclass(frozen=True, kw_only=True)
class CAEConfig(ChainedConfig):
    """The contractive autoencoder. Contraction and walk have its authors' defaults."""

    kind: ClassVar[str] = "cae"

    contraction: float = 0.1
    """Lambda, the weight of the Jacobian's squared norm, in nats."""
    walk: float = 1.0
    """Sigma of the walk's step, in the units of the code."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.at_least(0, contraction=self.contraction)
        errors.positive(walk=self.walk)


def squared_jacobian(h: Tensor, W: Tensor) -> Tensor:
    r""":math:`\|\partial h / \partial x\|_F^2` of each row, for :math:`h = sigmoid(W x + b)`.

    Args:
        h: Codes, of shape `(n, k)`.
        W: The encoder's weights, of shape `(k, d)`.

    Returns:
        Of shape `(n,)`.

    Example:
        >>> squared_jacobian(torch.tensor([[0.5, 1.0]]), torch.ones(2, 3))
        tensor([0.1875])
    """
    s = h * (1 - h)
    return s.square() @ W.square().sum(dim=1)


def tangent_step(h: Tensor, W: Tensor, alpha: Tensor) -> Tensor:
    r""":math:`J J^\top \alpha` of each row: alpha projected through the tangent plane.

    :math:`J^\top \alpha = W^\top (s \odot \alpha)` is a direction in data space, and J maps it to a
    change of the code: two matrix-vector products a row in place of one square matrix a row.

    Args:
        h: Codes, of shape `(n, k)`.
        W: The encoder's weights, of shape `(k, d)`.
        alpha: Of shape `(n, k)`.
    """
    s = h * (1 - h)
    return s * ((s * alpha) @ W @ W.T)


class CAE(Chained):
    """The contractive autoencoder as a learner.

    Args:
        config: Sizes, contraction, optimizer and chain.
        problem: What is known of the data and the run.
        rng: Draws the initial weights.
    """

    def __init__(self, config: CAEConfig, problem: Problem, *, rng: torch.Generator) -> None:
        super().__init__(config, problem, rng=rng)
        self.config = config

    def objective(
        self,
        x: Tensor,
        *,
        rng: torch.Generator,  # noqa: ARG002  nothing is drawn
    ) -> Mapping[str, Tensor]:
        """`J`, and its two parts: `reconstruction`, and `jacobian` before lambda; nats."""
        h = self.compute_module.encode(x.to(self.playing))
        reconstruction = self.compute_module.cost(x, h)
        jacobian = squared_jacobian(h.to(x.dtype), self.compute_module.W.to(x.dtype)).mean()
        J = reconstruction + self.config.contraction * jacobian
        return {"J": J, "reconstruction": reconstruction, "jacobian": jacobian}

    def kernel(self, below: Sequence[Coder] = ()) -> "JacobianWalk":
        """The walk along the tangent planes."""
        coders, first = (*below, self.coder), self.kept.get("first")
        return JacobianWalk(coders, self.config, first)


class JacobianWalk(CoderKernel):
    """One move: encode, take a step in the tangent plane, decode. A state is the means g(h').

    Args:
        coders: From the data upwards; the walk is in the last one.
        config: Sigma of the step, and what is shown.
        first: Initial states; None for noise.
    """

    def __init__(
        self, coders: Sequence[Coder], config: CAEConfig, first: Tensor | None = None
    ) -> None:
        super().__init__(coders, config.chain, first)
        self.sigma = config.walk

    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """g(h(x) + J J^T alpha), `(chains, *shape)`."""
        h = self.coder.encode(state)
        alpha = torch.randn(h.shape, generator=rng).to(h).mul_(self.sigma)
        return self.coder.decode(h + tangent_step(h, self.coder.W, alpha))

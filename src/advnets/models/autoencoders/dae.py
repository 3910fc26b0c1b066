r"""The denoising autoencoder, and the Markov chain that makes it a generative model.

It learns to reconstruct an example from a corrupted one:

.. math:: J = E_{x} E_{\tilde x \sim C(\tilde x \mid x)} [L(x, g(h(\tilde x)))]

L is minus the logarithm of :math:`P(X \mid \tilde X)`: Bernoulli with means g for the
cross-entropy, Gaussian about g for the squared error. Alternating corruption and reconstruction is
a Markov chain whose stationary distribution estimates that of the data:

.. math:: \tilde x_t \sim C(\tilde X \mid x_t), \qquad x_{t+1} \sim P(X \mid \tilde x_t)

Reference: Vincent et al. (2008), "Extracting and composing robust features with denoising
    autoencoders"; Bengio, Yao, Alain and Vincent (2013), "Generalized denoising auto-encoders as
    generative models", Section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Problem
from advnets.models.autoencoders.autoencoder import Coder
from advnets.models.autoencoders.chain import Chained, ChainedConfig, CoderKernel, drawn
from advnets.models.autoencoders.corruption import CORRUPTIONS, CorruptionName


@dataclass(frozen=True, kw_only=True)
class DAEConfig(ChainedConfig):
    """The denoising autoencoder."""

    kind: ClassVar[str] = "dae"

    corruption: CorruptionName = "salt-and-pepper"
    """How examples are corrupted: 'masking', 'salt-and-pepper' or 'gaussian'."""
    level: float = 0.4
    """Probability that an element is corrupted; for 'gaussian' the noise's standard deviation."""
    deviation: float = 0.1
    """Standard deviation of P(X | x~) about its mean in the chain, under the squared error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.one_of(CORRUPTIONS, corruption=self.corruption)
        if CORRUPTIONS[self.corruption].normal:
            errors.positive(level=self.level)
        else:
            errors.probability(level=self.level)
        errors.at_least(0, deviation=self.deviation)


class DAE(Chained):
    """The denoising autoencoder as a learner.

    Args:
        config: Sizes, corruption, optimizer and chain.
        problem: What is known of the data and the run.
        rng: Draws the initial weights.
    """

    def __init__(self, config: DAEConfig, problem: Problem, *, rng: torch.Generator) -> None:
        super().__init__(config, problem, rng=rng)
        self.config, self.corruption = config, CORRUPTIONS[config.corruption]

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """`reconstruction`: the mean loss on x, given a corrupted x, in nats per example."""
        noise = (self.normal if self.corruption.normal else self.uniform)(*x.shape, rng=rng)
        spoilt = self.corruption.corrupt(x, self.config.level, noise.to(x.dtype))
        h = self.compute_module.encode(spoilt.to(self.playing))
        return {"reconstruction": self.compute_module.cost(x, h)}

    def kernel(self, below: Sequence[Coder] = ()) -> "DenoisingKernel":
        """Alternating corruption and reconstruction."""
        first = self.kept.get("first")
        return DenoisingKernel((*below, self.coder), self.config, first)


class DenoisingKernel(CoderKernel):
    """One step: draw x from the means in the state, corrupt it, reconstruct it.

    Args:
        coders: From the data upwards.
        config: The corruption, and what is shown.
        first: Initial states; None for noise.
    """

    def __init__(
        self, coders: Sequence[Coder], config: DAEConfig, first: Tensor | None = None
    ) -> None:
        super().__init__(coders, config.chain, first)
        self.config, self.corruption = config, CORRUPTIONS[config.corruption]

    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The means of P(X | x~) after one corruption, `(chains, *shape)`."""
        x = self._x(state, rng)
        draw = torch.randn if self.corruption.normal else torch.rand
        noise = draw(state.shape, generator=rng).to(state)
        return self.coder.decode(
            self.coder.encode(self.corruption.corrupt(x, self.config.level, noise))
        )

    def _x(self, means: Tensor, rng: torch.Generator) -> Tensor:
        """X ~ P(X | x~), whose means are the state."""
        if self.config.loss == "cross-entropy":
            return drawn(means, rng=rng)
        noise = torch.randn(means.shape, generator=rng).to(means)
        return torch.add(means, noise, alpha=self.config.deviation)

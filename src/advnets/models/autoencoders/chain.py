r"""Autoencoders with a Markov chain: the common parts of the denoising and the contractive one.

A state of a chain is a reconstruction :math:`g(h)`: means of x, in data space.

Reference: Bengio, Yao, Alain and Vincent (2013), "Generalized denoising auto-encoders as generative
    models"; Rifai et al. (2012), "A generative process for sampling contractive auto-encoders".
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Kernel, Problem
from advnets.models.autoencoders.autoencoder import Autoencoder, AutoencoderConfig, Coder, Loss
from advnets.models.bernoulli import bernoulli
from advnets.sampling.chains import ChainConfig, MarkovChain


@dataclass(frozen=True, kw_only=True)
class ChainedConfig(AutoencoderConfig):
    """An autoencoder with a Markov chain."""

    chain: ChainConfig = ChainConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_binary(self.loss, self.chain)


def refuse_binary(loss: Loss, chain: ChainConfig) -> None:
    """Raise for binary values of a model without binary units."""
    need = "'means' with the squared error, which has no binary units"
    can = loss == "cross-entropy" or chain.shown == "means"
    errors.require(can, "shown", need, f"'{chain.shown}'")


class CoderKernel:
    """A kernel on one coder, or on the top one of several: its initial states and observations.

    Args:
        coders: From the data upwards; the chain runs on the inputs of the last one.
        chain: What is shown of a state.
        first: Initial states, `(n, *shape)`; None for noise.
    """

    def __init__(
        self, coders: Sequence[Coder], chain: ChainConfig, first: Tensor | None = None
    ) -> None:
        *self.below, self.coder = coders
        self.event_shape = coders[0].event_shape
        self.shown, self.first = chain.shown, first

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """Uniform noise on [0, 1), or the first states in turn."""
        if self.first is not None:
            return self.first[torch.arange(chains) % len(self.first)]
        return torch.rand(chains, *self.coder.event_shape, generator=rng).to(self.coder.c)

    def observe(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The state decoded down to means of x; binary values drawn from them on demand."""
        for coder in reversed(self.below):
            state = coder.decode(state.flatten(1))
        return state if self.shown == "means" else drawn(state, rng=rng)


def drawn(means: Tensor, *, rng: torch.Generator) -> Tensor:
    """Independent Bernoulli variables with these means."""
    return bernoulli(means, torch.rand(means.shape, generator=rng).to(means))


class Chained(Autoencoder):
    """An autoencoder whose sampler is a Markov chain.

    Args:
        config: Sizes, loss, optimizer and chain.
        problem: What is known of the data and the run.
        rng: Draws the initial weights.
    """

    def __init__(self, config: ChainedConfig, problem: Problem, *, rng: torch.Generator) -> None:
        super().__init__(config, problem, rng=rng)
        self.chain = config.chain
        if config.chain.init == "data":
            self.keep_first(config.chain.chains, problem.mean)

    @abstractmethod
    def kernel(self, below: Sequence[Coder] = ()) -> Kernel:
        """The transition of the chain; its states are decoded by the coders below."""

    def samplers(self) -> dict[str, MarkovChain]:
        """`chain`: the model's Markov chain."""
        return {"chain": self.chain.run(self.kernel())}

r"""The stacked contractive autoencoder: layers trained one by one, and a walk in the top one.

Layer 1 learns from x, layer 2 from layer 1's codes :math:`h_1(x)`, and so on. The walk changes the
input of the top layer along that layer's Jacobian; each state is decoded to means:

.. math:: h_1' = g_2(h_2(h_1) + J_2 J_2^\top \alpha), \qquad x' = g_1(h_1')

Reference: Rifai et al. (2011), "Contractive auto-encoders", Section 5 (CAE-2); Rifai et al. (2012),
    "A generative process for sampling contractive auto-encoders"; Bengio et al. (2013), "Better
    mixing via deep representations", whose score Table 1 quotes.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.autoencoders.autoencoder import Loss
from advnets.models.autoencoders.cae import CAE, CAEConfig
from advnets.models.autoencoders.chain import refuse_binary
from advnets.models.greedy import GreedyStack, problems
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain
from advnets.storage.environment import Precision


@dataclass(frozen=True, kw_only=True)
class StackedCAEConfig(ModelConfig):
    """Contractive autoencoders, one on another."""

    kind: ClassVar[str] = "stacked-cae"

    hidden: tuple[int, ...] = (1000, 1000)
    """Sigmoid units of each layer's code, from the data upwards."""
    updates: tuple[int, ...] = (10_000,)
    """Updates of each layer except the last, which has the rest of the run."""
    contraction: tuple[float, ...] = (0.1, 0.1)
    """Lambda of each layer."""
    loss: Loss = "cross-entropy"
    """Loss of the first layer; the others have the cross-entropy, because codes lie in (0, 1)."""
    tied: bool = True
    """Whether decoders' weights are the encoders', transposed."""
    scale: float = 4.0
    """Initial weights are uniform within scale * sqrt(6 / (inputs + units))."""
    walk: float = 1.0
    """Sigma of the walk's step, in the units of the top code."""
    optimizer: OptimizerConfig = OptimizerConfig()
    precision: Precision = "auto"
    """Precision of training: 'float32' or 'bfloat16'."""
    chain: ChainConfig = ChainConfig()

    def __post_init__(self) -> None:
        layers = len(self.hidden)
        errors.at_least(1, layers=layers)
        for name, least in (("updates", layers - 1), ("contraction", layers)):
            need, got = f"as many numbers as {layers} layers need, {least}", getattr(self, name)
            errors.require(len(got) == least, name, need, len(got))
        errors.one_of(get_args(Loss), loss=self.loss)
        refuse_binary(self.loss, self.chain)
        self.layers()  # each checks its own

    @property
    def pretraining_updates(self) -> int:
        """Updates of all layers but the last."""
        return sum(self.updates)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"

    def layers(self) -> list[CAEConfig]:
        """The configuration of each layer."""
        base = CAEConfig(
            walk=self.walk,
            optimizer=self.optimizer,
            precision=self.precision,
            tied=self.tied,
            scale=self.scale,
        )
        sizes = zip(self.hidden, self.contraction, strict=True)
        layers = [dataclasses.replace(base, hidden=k, contraction=c) for k, c in sizes]
        layers[-1] = dataclasses.replace(layers[-1], chain=self.chain)
        layers[0] = dataclasses.replace(layers[0], loss=self.loss)
        return layers


class StackedCAE(GreedyStack):
    """The stack as one learner.

    Args:
        layers: Contractive autoencoders, from the data upwards.
        updates: Updates of each but the last.
    """

    def __init__(self, layers: Sequence[CAE], updates: Sequence[int]) -> None:
        super().__init__(layers, updates)
        self.coders, self.top = [layer.coder for layer in layers], layers[-1]

    @classmethod
    def from_config(cls, config: StackedCAEConfig, problem: Problem, *, seed: int) -> "StackedCAE":
        """The model of a configuration, with initial weights drawn from the seed."""
        parts = problems(problem, config.hidden, config.updates)
        layers = [
            CAE(own, part, rng=generator(seed, "weights of a layer", i))
            for i, (own, part) in enumerate(zip(config.layers(), parts, strict=True))
        ]
        return cls(layers, config.updates)

    def samplers(self) -> dict[str, MarkovChain]:
        """`chain`: the walk in the top layer, decoded to x."""
        return {"chain": self.top.chain.run(self.top.kernel(below=self.coders[:-1]))}

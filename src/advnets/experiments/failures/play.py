"""A run without a folder, trained update by update.

`advnets train` runs rounds of Algorithm 1. The experiments of this package need other schedules: D
frozen, G frozen, several updates of one network for each of the other.
"""

import math
from dataclasses import replace

from torch import Tensor

from advnets import data
from advnets.base.distributed import ALONE
from advnets.base.protocols import Info
from advnets.base.rng import generator
from advnets.data import DataConfig, Splits
from advnets.game import Game, GameConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import train
from advnets.runs.run_config import RunConfig


class Play:
    """One game, its data and its randomness.

    Args:
        config: A GAN run; its seed is the seed of everything here.
        splits: The data; it is read by default.
    """

    def __init__(self, config: RunConfig, splits: Splits | None = None) -> None:
        self.config = config
        self.splits = splits or data.load(config.data, seed=config.seed)
        learner, self.batches = train.build(config, self.splits, ALONE)
        assert isinstance(learner, Game)
        self.game, self.m = learner, config.batch_size
        self.rng = generator(config.seed, "step")
        self.minibatches = 0

    def round(self) -> Info:
        """One step of Algorithm 1 of the configuration."""
        k = self.game.batches_per_step
        batches = tuple(self.batches[self.minibatches + j] for j in range(k))
        self.minibatches += k
        return self.game.step(batches, rng=self.rng)

    def D(self) -> Info:
        """One update of D alone."""
        self.minibatches += 1
        return self.game.step_D(self.batches[self.minibatches - 1], rng=self.rng)

    def G(self) -> Info:
        """One update of G alone."""
        return self.game.step_G(self.m, rng=self.rng)

    def state(self) -> dict[str, Tensor]:
        """The state of both networks, to restore later."""
        return {name: t.clone() for name, t in self.game.state().items()}

    def back(self, state: dict[str, Tensor], *, name: str) -> None:
        """Restore a state, with the random stream of this name for what follows."""
        self.game.load_state({n: t.clone() for n, t in state.items()})
        self.minibatches = int(self.game.minibatches)
        self.rng = generator(self.config.seed, name)

    def latents(self, n: int) -> Tensor:
        """The z of samples number 0 to n - 1, of shape `(n, z_dim)`."""
        return self.game.samplers()["raw"].latents(n, seed=self.config.seed)

    def decode(self, z: Tensor) -> Tensor:
        """G(z) with the current G, of shape `(n, *event_shape)`."""
        return self.game.samplers()["raw"].decode(z)


def unequally(play: Play, ratio: float, g: int) -> None:
    """G's update number g = 1, 2, ..., after `g / ratio` updates of D in total.

    A ratio of 10 gives D one update for ten of G, 1/5 five for each, infinity none.
    """
    for _ in range(math.floor(g / ratio) - math.floor((g - 1) / ratio)):
        play.D()
    play.G()


def digits(data: DataConfig, *, seed: int, lr: float = 1e-3) -> RunConfig:
    """Algorithm 1 on digits, with the paper's networks a third as wide and Adam at equal rates.

    The small networks learn digits in two thousand rounds; they serve for comparisons only.
    """
    rule = OptimizerConfig(optimizer="adam", lr=lr, beta2=0.99)
    model = GameConfig(
        order="alternating",
        D_loss_weight=1.0,
        G=GeneratorConfig(hidden=(400, 400)),
        D=DiscriminatorConfig(units=(80, 80)),
        G_optimizer=rule,
        D_optimizer=rule,
    )
    return RunConfig(seed=seed, data=data, model=model)


def steady(config: RunConfig, *, seed: int, **rates: float) -> RunConfig:
    """The same run with this seed and constant learning rates: `G=`, `D=`, or its own."""
    model = config.model
    assert isinstance(model, GameConfig)

    def rule(name: str, of: OptimizerConfig) -> OptimizerConfig:
        return replace(of, anneal="none", lr=rates.get(name, of.lr))

    model = replace(
        model, G_optimizer=rule("G", model.G_optimizer), D_optimizer=rule("D", model.D_optimizer)
    )
    return replace(config, seed=seed, model=model)

r"""The two-stage game of the paper's faces: a trained G gets new layers below it, and a fresh D.

Stage 1 plays G_1(z) against D. At update `first` the second stage begins: G_2(z) = G_1(B(z)), with
new layers B whose last units take the place of z; D, velocities, schedules and the average of G
begin anew, and all of G_2 goes on to learn.

Reference: Goodfellow et al. (2014), Section 5 (TFD); goodfeli/adversarial, `tfd_pretrain`,
    `add_layers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Batch, Info, Problem
from advnets.base.rng import generator
from advnets.game import Game, GameConfig
from advnets.networks.mlp import Unit, hidden_layers, start_sigmoids
from advnets.nn import linear
from advnets.optim.momentum import Average
from advnets.optim.train_state import load_weights
from advnets.storage.checkpoints import below


@dataclass(frozen=True, kw_only=True)
class TwoStageConfig(GameConfig):
    """The adversarial pair, whose G gets new layers below it in the middle of the run."""

    kind: ClassVar[str] = "two-stage"

    first: int = 50_000
    """Updates of the first stage."""
    below: tuple[int, ...] = (8000,)
    """Units of each new layer but the last, which has as many as z has coordinates."""
    below_units: tuple[Unit, ...] = ("relu", "sigmoid")
    """What the units of each new layer are, the last included."""
    below_irange: float = 0.05
    """Weights of the new layers start uniform in (-irange, +irange)."""
    below_bias: float = -2.0
    """Where the biases of new sigmoids start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.at_least(1, first=self.first)
        errors.positive(below_irange=self.below_irange)
        for units in self.below:
            errors.at_least(1, below=units)
        for unit in self.below_units:
            errors.one_of(get_args(Unit), below_units=unit)
        need = f"one for each new layer and one more, {len(self.below) + 1}"
        right = len(self.below_units) == len(self.below) + 1
        errors.require(right, "below_units", need, len(self.below_units))


class Deepened(nn.Module):
    """G_1(z) in stage 1, G_1(B(z)) in stage 2.

    Args:
        below: B, from z to numbers in the place of z.
        G: G_1.
    """

    def __init__(self, below: nn.Module, G: nn.Module) -> None:
        super().__init__()
        self.below, self.G, self.stage = below, G, 1

    def constrain(self) -> None:
        """Put the weights back within their limits, after an update."""
        limit: Any = getattr(self.G, "max_col_norm", None)
        if limit is not None:
            linear.limit_column_norms(self, limit)

    def forward(self, z: Tensor, *c: Tensor) -> Tensor:
        """`(n, z_dim)`, and contexts `(n, context)`, to `(n, *event_shape)`."""
        x: Tensor = self.G(z if self.stage == 1 else self.below(z), *c)
        return x


class TwoStage(Game):
    """A game whose second stage begins at update `first`: the stage is a function of the step.

    All parameters are there from the start, the second stage's first D too.
    """

    first: int
    fresh: nn.Module
    """The second stage's first D."""
    lengths: tuple[int, int]

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> "TwoStage":
        """The game that a configuration describes, its first weights drawn from the seed."""
        assert isinstance(config, TwoStageConfig)
        game = super().from_config(config, problem, seed=seed)
        assert isinstance(game, TwoStage)
        told = 0 if game.context is None else game.context.size
        rng = generator(seed, "weights of D, stage 2")
        D = config.D.build(event_shape=problem.event_shape, context=told, rng=rng)
        game.first, game.fresh = config.first, D.to(problem.device)
        game.lengths = (config.first, max(1, problem.steps - config.first))
        game._enter(1)
        return game

    @classmethod
    def networks(
        cls, config: GameConfig, problem: Problem, told: int, *, seed: int
    ) -> tuple[nn.Module, nn.Module]:
        """G with its layers to come, and D."""
        assert isinstance(config, TwoStageConfig)
        G, D = super().networks(config, problem, told, seed=seed)
        sizes = (config.z_dim, *config.below, config.z_dim)
        new = hidden_layers(sizes, config.below_units)
        rng = generator(seed, "weights below G")
        linear.init_uniform(new, config.below_irange, rng=rng)
        start_sigmoids(new, config.below_bias)
        return Deepened(new, G), D

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One iteration of Algorithm 1, in the stage that its number is of."""
        if self.updates == self.first and self.stage == 1:
            self.begin_second()
        return super().step(batches, rng=rng)

    @property
    def stage(self) -> int:
        """1 or 2."""
        stage: Any = self.G.stage
        return int(stage)

    def begin_second(self) -> None:
        """Put the new layers below G, and let all but G's weights begin anew."""
        self._enter(2)
        load_weights(self.D, self.fresh.state_dict())
        for player in (self.G_player, self.D_player):
            player.begin_anew()
        rate, every = self.average.rate, self.average.every
        self.average = Average(self.G, rate=rate, every=every)
        self.minibatches.zero_()
        self.updates = 0

    def _enter(self, stage: int) -> None:
        for network in (self.G, self.G_player.plays, self.average.network):
            network.stage = stage  # type: ignore[assignment]
        batches = self.lengths[stage - 1] * self.batches_per_step
        for player in (self.G_player, self.D_player):
            assert player.schedule is not None
            player.schedule = replace(player.schedule, batches=batches)

    def state(self) -> dict[str, Tensor]:
        """A game's, the stage, and in the first one the D of the second."""
        fresh = self.fresh.state_dict() if self.stage == 1 else {}
        own = {"stage": torch.tensor(self.stage)} | {f"fresh.{n}": t for n, t in fresh.items()}
        return super().state() | own

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when the state is of another model."""
        if "stage" not in state:
            raise errors.bad_value("state", "a two-stage game's (with 'stage')", "another model's")
        stage = int(state["stage"])
        errors.require(stage in (1, 2), "stage", "1 or 2", stage)
        self._enter(stage)
        if self.stage == 1:
            load_weights(self.fresh, below("fresh.", state))
        super().load_state(state)

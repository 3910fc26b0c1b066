r"""The two-stage game of the paper's faces: a trained G gets new layers below it, and a new D.

Stage 1 trains G_1(z) against D. At update `first` the second stage begins: G_2(z) = G_1(B(z)), with
new layers B whose last units take the place of z. D, velocities, schedules and the average of G are
reset, and all of G_2 is trained.

Reference: Goodfellow et al. (2014), Section 5 (TFD); goodfeli/adversarial, `tfd_pretrain`,
    `add_layers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Batch, Info, Problem
from advnets.base.rng import generator
from advnets.base.state import below
from advnets.game import Game, GameConfig
from advnets.game.building import discriminator
from advnets.networks.mlp import Unit, hidden_layers, start_sigmoids
from advnets.nn import constraints, init
from advnets.optim.ema import EMA
from advnets.optim.train_state import load_weights


@dataclass(frozen=True, kw_only=True)
class TwoStageConfig(GameConfig):
    """A GAN whose G gets new layers below it in the middle of the run."""

    kind: ClassVar[str] = "two-stage"

    first: int = 50_000
    """Updates of the first stage."""
    below: tuple[int, ...] = (8000,)
    """Units of each new layer but the last, which has as many as z has coordinates."""
    below_units: tuple[Unit, ...] = ("relu", "sigmoid")
    """The units of each new layer, including the last."""
    below_irange: float = 0.05
    """Weights of the new layers start uniform in (-irange, +irange)."""
    below_bias: float = -2.0
    """Initial bias of new sigmoid units."""

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
        """Project the weights onto their limits, after an update."""
        limit: Any = getattr(self.G, "max_col_norm", None)
        if limit is not None:
            constraints.limit_column_norms(self, limit)

    def forward(self, z: Tensor, *c: Tensor) -> Tensor:
        """`(n, z_dim)`, and contexts `(n, context)`, to `(n, *event_shape)`."""
        x: Tensor = self.G(z if self.stage == 1 else self.below(z), *c)
        return x


class TwoStage(Game):
    """A game whose second stage begins at update `first`: the stage is a function of the step.

    All parameters exist from the start, including the initial D of the second stage.
    """

    first: int
    fresh: nn.Module
    """The initial D of the second stage."""
    lengths: tuple[int, int]

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> Self:
        """The game of a configuration, with initial weights drawn from the seed."""
        assert isinstance(config, TwoStageConfig)
        game = super().from_config(config, problem, seed=seed)
        size = 0 if game.context is None else game.context.size
        rng = generator(seed, "weights of D, stage 2")
        D = discriminator(config, problem, size, rng=rng)
        game.first, game.fresh = config.first, D.to(problem.device)
        game.lengths = (config.first, max(1, problem.steps - config.first))
        game.enter(1)
        return game

    @classmethod
    def networks(
        cls, config: GameConfig, problem: Problem, context_size: int, *, seed: int
    ) -> tuple[nn.Module, nn.Module]:
        """G with the layers of the second stage, and D."""
        assert isinstance(config, TwoStageConfig)
        G, D = super().networks(config, problem, context_size, seed=seed)
        sizes = (config.z_dim, *config.below, config.z_dim)
        new = hidden_layers(sizes, config.below_units)
        rng = generator(seed, "weights below G")
        init.init_uniform(new, config.below_irange, rng=rng)
        start_sigmoids(new, config.below_bias)
        return Deepened(new, G), D

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One iteration of Algorithm 1, in the stage of its update number."""
        if self.updates == self.first and self.stage == 1:
            self.begin_second()
        return super().step(batches, rng=rng)

    @property
    def stage(self) -> int:
        """1 or 2."""
        stage: Any = self.G.stage
        return int(stage)

    def begin_second(self) -> None:
        """Put the new layers below G, and reset everything except G's weights."""
        self.enter(2)
        load_weights(self.D, self.fresh.state_dict())
        for train_state in (self.G_state, self.D_state):
            train_state.reset()
        decay, every = self.ema.decay, self.ema.every
        self.ema = EMA(self.G, decay=decay, every=every)
        self.minibatches.zero_()
        self.updates = 0

    def enter(self, stage: int) -> None:
        """Put all networks and schedules into a stage, 1 or 2; their weights stay."""
        for network in (self.G, self.G_state.compute_module, self.ema.network):
            network.stage = stage  # type: ignore[assignment]
        batches = self.lengths[stage - 1] * self.batches_per_step
        for train_state in (self.G_state, self.D_state):
            assert train_state.schedule is not None
            train_state.schedule = replace(train_state.schedule, batches=batches)

    def state(self) -> dict[str, Tensor]:
        """The state of the game, the stage, and in the first stage the D of the second."""
        fresh = self.fresh.state_dict() if self.stage == 1 else {}
        own = {"stage": torch.tensor(self.stage)} | {f"fresh.{n}": t for n, t in fresh.items()}
        return super().state() | own

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when the state is of another model."""
        if "stage" not in state:
            raise errors.bad_value("state", "a two-stage game's (with 'stage')", "another model's")
        stage = int(state["stage"])
        errors.require(stage in (1, 2), "stage", "1 or 2", stage)
        self.enter(stage)
        if self.stage == 1:
            load_weights(self.fresh, below("fresh.", state))
        super().load_state(state)

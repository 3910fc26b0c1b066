r"""Equilibrium: why V = -log 4 and D = 1/2 alone show nothing.

Where p_g = p_data the optimal D is 1/2 everywhere and V = -log 4 (Theorem 1). The converse holds
only for the optimal D. A D that cannot discriminate, because it is too small or untrained, gives
the same two values for any G. The cases are distinguished by a new D of sufficient capacity,
trained against a fixed G: its V on held-out examples is a lower bound of the criterion,

.. math:: V(D, G) \le C(G) = -\log 4 + 2 JSD(p_{data} \| p_g).

Reference: Goodfellow et al. (2014), Propositions 1 and 2, Theorem 1.
"""

import math
from dataclasses import dataclass, replace

import torch

from advnets import recipes
from advnets.base.rng import generator
from advnets.data import RingConfig
from advnets.evaluation import modes
from advnets.experiments.failures.play import Play
from advnets.game import Game, GameConfig
from advnets.game.value import value
from advnets.networks import DiscriminatorConfig
from advnets.runs.run_config import RunConfig
from advnets.sampling.samplers import evaluating
from advnets.training.config import TrainerConfig

AT = -math.log(4)
"""V at the equilibrium, nats."""
JUDGE_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan for each seed and each D."""

    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 3_000
    judged: int = 1_500
    """Updates of the new D."""
    samples: int = 1_000


@dataclass(frozen=True, kw_only=True)
class FinalState:
    """The final state of one run.

    Attributes:
        V: The value in the game, nats, mean over its last tenth.
        D_x: D on data, likewise.
        D_Gz: D on samples, likewise.
        modes: Modes of the ring that the samples cover.
        near: Share of the samples near a mode.
        judged: V of a new D on held-out examples, nats.
        x: Samples.
    """

    V: float
    D_x: float
    D_Gz: float
    modes: int
    near: float
    judged: float
    x: torch.Tensor

    @property
    def JSD(self) -> float:
        """A lower bound of the Jensen-Shannon divergence, up to sampling error, nats."""
        return (self.judged - AT) / 2


@dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """Every case, seed by seed."""

    plan: Plan
    cases: dict[str, tuple[FinalState, ...]]
    data: torch.Tensor


def cases(plan: Plan) -> dict[str, RunConfig]:
    """The ring with the recipe's D, a linear D, and a D that does not learn."""
    ring = replace(recipes.ring(), trainer=TrainerConfig(steps=plan.rounds))
    model = ring.model
    assert isinstance(model, GameConfig)
    assert isinstance(model.D, DiscriminatorConfig)
    linear = replace(model.D, units=())
    asleep = replace(model.D_optimizer, lr=1e-7, min_lr=1e-9)
    return {
        "the recipe's D": ring,
        "a linear D": replace(ring, model=replace(model, D=linear)),
        "a D that does not learn": replace(ring, model=replace(model, D_optimizer=asleep)),
    }


def measure(plan: Plan) -> Equilibrium:
    """Train every case, and evaluate its G by a new D of the recipe."""
    played = {
        name: tuple(_rest(replace(config, seed=seed), plan) for seed in plan.seeds)
        for name, config in cases(plan).items()
    }
    data = Play(replace(recipes.ring(), seed=plan.seeds[0])).splits.train.x[:]
    return Equilibrium(plan=plan, cases=played, data=data[: plan.samples])


def _rest(config: RunConfig, plan: Plan) -> FinalState:
    play = Play(config)
    late = [play.round() for _ in range(plan.rounds)][-max(1, plan.rounds // 10) :]
    V, D_x, D_Gz = (
        torch.stack([info[name] for info in late]).mean().item() for name in ("V", "D_x", "D_Gz")
    )
    assert isinstance(config.data, RingConfig)
    x = play.decode(play.latents(plan.samples))
    shares = modes.shares(x, config.data.means(), std=config.data.std)
    return FinalState(
        V=V,
        D_x=D_x,
        D_Gz=D_Gz,
        modes=modes.covered(shares),
        near=shares.sum().item(),
        judged=judged(play, plan),
        x=x,
    )


def judged(play: Play, plan: Plan) -> float:
    """V of a new D of the recipe, trained against this G, on held-out examples and new samples."""
    model = recipes.ring().model
    assert isinstance(model, GameConfig)
    seed, G, splits = play.config.seed, play.game.G, play.splits
    D = model.D.build(event_shape=splits.event_shape, rng=generator(seed, "judge"))
    judge = Game(
        G,
        D,
        prior=play.game.prior,
        G_optimizer=torch.optim.SGD(G.parameters()),
        D_optimizer=torch.optim.Adam(D.parameters(), JUDGE_RATE),
    )
    rng = generator(seed, "judged")
    for i in range(plan.judged):
        judge.step_D(play.batches[i], rng=rng)
    x = splits.test.x[:]
    with evaluating(G), evaluating(D):
        x_g = G(play.game.prior.sample(len(x), rng=rng))
        return value(D(x), D(x_g)).item()

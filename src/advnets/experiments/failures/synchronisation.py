"""Synchronisation: results against k and the two learning rates.

"D must be synchronized well with G during training" (Section 6). The three settings are k and the
two learning rates.

Reference: Goodfellow et al. (2014), Algorithm 1 ("the number of steps to apply to the
    discriminator, k, is a hyperparameter. We used k = 1") and Section 6.
"""

from dataclasses import dataclass, replace

from advnets import recipes
from advnets.data import RingConfig
from advnets.evaluation import modes
from advnets.evaluation import protocol as evaluation
from advnets.experiments.failures.play import Play, steady
from advnets.game import GameConfig
from advnets.runs.run_config import RunConfig

RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Setting:
    """k, and the factors of both learning rates relative to the recipe."""

    k: int = 1
    G: float = 1
    D: float = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan for each seed."""

    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 1_000
    """Updates of G."""
    samples: int = 1_000
    settings: tuple[Setting, ...] = (
        Setting(),
        Setting(k=2),
        Setting(k=5),
        Setting(G=5),
        Setting(D=5),
        Setting(G=5, D=5),
        Setting(G=1 / 5),
        Setting(D=1 / 5),
        Setting(D=1 / 50),
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one run.

    Attributes:
        modes: Modes of the ring that the samples cover.
        near: Share of the samples near a mode.
        score: Parzen score of the samples on validation data, nats.
        V: The value in the game, nats, mean over its last tenth.
    """

    modes: int
    near: float
    score: float
    V: float


@dataclass(frozen=True, kw_only=True)
class Synchronisation:
    """The outcomes of every setting, seed by seed."""

    plan: Plan
    outcomes: dict[Setting, tuple[Outcome, ...]]


def config(setting: Setting, seed: int) -> RunConfig:
    """The ring with constant learning rates."""
    run = steady(recipes.ring(), seed=seed, G=setting.G * RATE, D=setting.D * RATE)
    assert isinstance(run.model, GameConfig)
    return replace(run, model=replace(run.model, k=setting.k))


def measure(plan: Plan) -> Synchronisation:
    """Train the ring in every setting."""
    outcomes = {
        setting: tuple(_outcome(config(setting, seed), plan) for seed in plan.seeds)
        for setting in plan.settings
    }
    return Synchronisation(plan=plan, outcomes=outcomes)


def _outcome(config: RunConfig, plan: Plan) -> Outcome:
    play = Play(config)
    late = [play.round()["V"] for _ in range(plan.rounds)][-max(1, plan.rounds // 10) :]
    assert isinstance(config.data, RingConfig)
    x = play.decode(play.latents(plan.samples))
    shares = modes.shares(x, config.data.means(), std=config.data.std)
    protocol = replace(config.evaluation, samples=plan.samples)
    sampler = play.game.samplers()["raw"]
    score = evaluation.validation_score(sampler, play.splits, protocol, seed=config.seed)
    return Outcome(
        modes=modes.covered(shares),
        near=shares.sum().item(),
        score=score.mean,
        V=sum(V.item() for V in late) / len(late),
    )

"""Synchronisation: how often and how fast each player moves, against what comes out.

"D must be synchronized well with G during training" (Section 6). The three screws are k and the two
learning rates.

Reference: Goodfellow et al. (2014), Algorithm 1 ("the number of steps to apply to the
    discriminator, k, is a hyperparameter. We used k = 1") and Section 6.
"""

from dataclasses import dataclass, replace

from advnets import evaluation, modes, recipes
from advnets.data import RingConfig
from advnets.experiments.failures.finding import Finding, Table, spread
from advnets.experiments.failures.play import Play, steady
from advnets.game import GameConfig
from advnets.run import RunConfig

RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Setting:
    """k, and the rates of both players in parts of the recipe's."""

    k: int = 1
    G: float = 1
    D: float = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is played for each seed."""

    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 1_500
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
    """What one game came to.

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
    """The ring at rates that do not anneal."""
    run = steady(recipes.ring(), seed=seed, G=setting.G * RATE, D=setting.D * RATE)
    assert isinstance(run.model, GameConfig)
    return replace(run, model=replace(run.model, k=setting.k))


def measure(plan: Plan) -> Synchronisation:
    """Play the ring in every setting."""
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


# The page


def finding(result: Synchronisation) -> Finding:
    """The section of the page."""
    plan = result.plan
    scores = {
        setting: sum(o.score for o in outcomes) / len(outcomes)
        for setting, outcomes in result.outcomes.items()
    }
    best, worst = max(scores, key=scores.__getitem__), min(scores, key=scores.__getitem__)
    return Finding(
        name="synchronisation",
        title="Synchronisation",
        says=(
            "D must be kept in step with G. How many updates D gets for each of G, k, is a setting "
            "of the algorithm; the paper used 1, the least."
        ),
        measured=(
            f"The ring of eight at rates that do not anneal, {plan.rounds:,} updates of G, "
            f"{len(plan.seeds)} seeds for each setting. By the Parzen score the best is "
            f"{_words(best)} ({scores[best]:.2f} nats) and the worst {_words(worst)} "
            f"({scores[worst]:.2f}). The same screws on MNIST, 15 epochs each, are in the table of "
            "docs/mnist-study.md: there k = 2 costs 49 nats, a faster G brings 26, a faster D "
            "nothing, and at eight times the rate D wins for good.",
        ),
        tables=(_table(result),),
        helps=(
            "Begin with k = 1 and equal rates. Where D(G(z)) stays near 0, slow D or speed G up; "
            "where the samples wander and D is at chance, speed D up or raise k."
        ),
    )


def _words(setting: Setting) -> str:
    rates = {"G's": setting.G, "D's": setting.D}
    moved = [f"{who} rate {RATE * by:g}" for who, by in rates.items() if by != 1]
    return ", ".join([f"k = {setting.k}", *(moved or ["equal rates"])])


def _table(result: Synchronisation) -> Table:
    forms = {"modes": ".1f", "near": ".2f", "score": ".2f", "V": ".3f"}
    rows = [
        (
            str(setting.k),
            f"{setting.G * RATE:g}",
            f"{setting.D * RATE:g}",
            *(spread([getattr(o, key) for o in outcomes], form=f) for key, f in forms.items()),
        )
        for setting, outcomes in result.outcomes.items()
    ]
    return Table(
        caption=(
            f"The ring after {result.plan.rounds:,} updates of G: mean [least, largest] of "
            f"{len(result.plan.seeds)} seeds; score on validation data, {result.plan.samples:,} "
            "samples"
        ),
        headings=(
            "k",
            "rate of G",
            "rate of D",
            "modes of 8",
            "near a mode",
            "Parzen score (nats)",
            "V (nats)",
        ),
        rows=rows,
    )

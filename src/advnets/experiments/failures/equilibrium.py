r"""Equilibrium: V at -log 4 and D at 1/2, and why that alone shows nothing.

Where p_g = p_data the best D is 1/2 everywhere and V = -log 4 (Theorem 1). The converse holds for
the best D only. A D that cannot tell, because it is too small or has not learnt, shows the same two
numbers beside any G. What tells the cases apart is a D that can: trained anew against a G that is
held, its V on examples that it has not seen bounds the criterion from below,

.. math:: V(D, G) \le C(G) = -\log 4 + 2 JSD(p_{data} \| p_g).

Reference: Goodfellow et al. (2014), Propositions 1 and 2, Theorem 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from advnets import modes, plots, recipes
from advnets.data import RingConfig
from advnets.experiments.failures.finding import Finding, Picture, Table, spread
from advnets.experiments.failures.play import Play, steady
from advnets.game import GameConfig
from advnets.networks import DiscriminatorConfig
from advnets.run import RunConfig
from advnets.sampling import evaluating
from advnets.trainer import TrainerConfig
from advnets.value import value

AT = -math.log(4)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is played for each seed and each D."""

    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 3_000
    judged: int = 1_500
    """Updates of the D that is trained anew."""
    samples: int = 1_000


@dataclass(frozen=True, kw_only=True)
class Rest:
    """Where one game came to rest.

    Attributes:
        V: The value in the game, nats, mean over its last tenth.
        D_x: D on data, likewise.
        D_Gz: D on samples, likewise.
        modes: Modes of the ring that the samples cover.
        near: Share of the samples near a mode.
        judged: V of a fresh D on examples that neither it nor G has seen, nats.
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
        """The least that the Jensen-Shannon divergence can be, up to sampling: nats."""
        return (self.judged - AT) / 2


@dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """Every case, seed by seed."""

    plan: Plan
    cases: dict[str, tuple[Rest, ...]]
    data: torch.Tensor


def cases(plan: Plan) -> dict[str, RunConfig]:
    """The ring against a D that can tell, one that is too small, and one that does not learn."""
    ring = replace(recipes.ring(), trainer=TrainerConfig(steps=plan.rounds))
    model = ring.model
    assert isinstance(model, GameConfig)
    linear = replace(model.D, units=())
    asleep = replace(model.D_optimizer, lr=1e-7, min_lr=1e-9)
    return {
        "the recipe's D": ring,
        "a linear D": replace(ring, model=replace(model, D=linear)),
        "a D that does not learn": replace(ring, model=replace(model, D_optimizer=asleep)),
    }


def measure(plan: Plan) -> Equilibrium:
    """Play every case to its end, and judge its G by a D of the recipe, trained anew."""
    played = {
        name: tuple(_rest(replace(config, seed=seed), plan) for seed in plan.seeds)
        for name, config in cases(plan).items()
    }
    data = Play(replace(recipes.ring(), seed=plan.seeds[0])).splits.train.x[:]
    return Equilibrium(plan=plan, cases=played, data=data[: plan.samples])


def _rest(config: RunConfig, plan: Plan) -> Rest:
    play = Play(config)
    late = [play.round() for _ in range(plan.rounds)][-max(1, plan.rounds // 10) :]
    V, D_x, D_Gz = (
        torch.stack([info[name] for info in late]).mean().item() for name in ("V", "D_x", "D_Gz")
    )
    assert isinstance(config.data, RingConfig)
    x = play.decode(play.latents(plan.samples))
    shares = modes.shares(x, config.data.means(), std=config.data.std)
    return Rest(
        V=V,
        D_x=D_x,
        D_Gz=D_Gz,
        modes=modes.covered(shares),
        near=shares.sum().item(),
        judged=judged(play, plan),
        x=x,
    )


def judged(play: Play, plan: Plan) -> float:
    """V of the recipe's D, trained anew against this G, on held-out examples and fresh samples."""
    judge = Play(steady(recipes.ring(), seed=play.config.seed), play.splits)
    judge.game.G.load_state_dict(play.game.G.state_dict())
    for _ in range(plan.judged):
        judge.D()
    x = play.splits.test.x[:]
    z = play.game.prior.sample(len(x), rng=judge.rng)
    with evaluating(judge.game.D):
        return value(judge.game.D(x), judge.game.D(play.decode(z))).item()


# The page


def finding(result: Equilibrium) -> Finding:
    """The section of the page."""
    plan = result.plan
    good, small, asleep = result.cases.values()
    return Finding(
        name="equilibrium",
        title="Equilibrium, and what only looks like it",
        says=(
            "At the only equilibrium of the game p_g = p_data, D is 1/2 everywhere and the value "
            "is -log 4 = -1.386 nats (Theorem 1), for players without limits."
        ),
        measured=(
            f"The ring of eight, {plan.rounds:,} rounds, {len(plan.seeds)} seeds. The recipe's pair"
            f" comes to V = {_of(good, 'V'):.3f} with D(x) = {_of(good, 'D_x'):.3f} and "
            f"{_of(good, 'modes'):.1f} modes.",
            f"Against a linear D, which can compare means and nothing else, V = "
            f"{_of(small, 'V'):.3f} and D(x) = {_of(small, 'D_x'):.3f}: nearer to the equilibrium, "
            f"while {_of(small, 'near'):.0%} of the samples are near a mode and "
            f"{_of(small, 'modes'):.1f} of 8 modes are covered. A D that does not learn "
            f"shows V = {_of(asleep, 'V'):.3f} from the first round to the last.",
            f"A fresh D of the recipe, trained for {plan.judged:,} updates against each G, tells "
            f"them apart on held-out examples: V = {_of(good, 'judged'):.3f}, "
            f"{_of(small, 'judged'):.3f} and {_of(asleep, 'judged'):.3f}. (V + log 4) / 2 is a "
            "lower bound of the Jensen-Shannon divergence, up to sampling, and log 2 = 0.693 is "
            "the most that can be.",
        ),
        pictures=(
            Picture(
                title=f"Samples at the end, seed {plan.seeds[0]}",
                meaning=f"Blue: samples; grey: data. From left: {', '.join(result.cases)}.",
                pixels=plots.clouds(
                    {name: rests[0].x for name, rests in result.cases.items()}, data=result.data
                ),
            ),
        ),
        tables=(_table(result),),
        helps=(
            "Not to read V and D as a measure of how good samples are: look at samples, and score "
            "them by something that took no part in the game (a Parzen window, other features, a "
            "D trained anew on held-out examples)."
        ),
    )


def _of(rests: Sequence[Rest], name: str) -> float:
    return sum(getattr(rest, name) for rest in rests) / len(rests)


def _table(result: Equilibrium) -> Table:
    forms = {
        "V": ".3f",
        "D_x": ".3f",
        "D_Gz": ".3f",
        "modes": ".1f",
        "near": ".2f",
        "judged": ".3f",
        "JSD": ".3f",
    }
    rows = [
        (name, *(spread([getattr(r, key) for r in rests], form=f) for key, f in forms.items()))
        for name, rests in result.cases.items()
    ]
    return Table(
        caption=f"The ring after {result.plan.rounds:,} rounds: mean [least, largest] of "
        f"{len(result.plan.seeds)} seeds",
        headings=(
            "played against",
            "V (nats)",
            "D(x)",
            "D(G(z))",
            "modes of 8",
            "near a mode",
            "V of a fresh D (nats)",
            "JSD at least (nats)",
        ),
        rows=rows,
    )

r"""The Helvetica scenario: G moves many times while D stands still, and its samples become few.

"G must not be trained too much without updating D, in order to avoid 'the Helvetica scenario' in
which G collapses too many values of z to the same value of x" (Section 6). Against a D that stands
still the best G puts all of its samples where D is largest: nothing in its objective asks for
variety, which comes only from a D that answers.

Reference: Goodfellow et al. (2014), Sections 3 and 6.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from advnets import modes, plots
from advnets.curves import Across, Array, Curve, Level
from advnets.data import GridConfig, RingConfig, Splits
from advnets.experiments.failures.finding import Chart, Finding, Picture, Table, spread
from advnets.experiments.failures.play import Play, steady, unequally
from advnets.run import RunConfig

FROZEN = math.inf
"""The ratio of a D that stands still."""

Look = Callable[[Tensor], tuple[float, float]]
"""Of samples: how many modes they cover, and one more number."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is played: for each seed one warm-up, and from there every ratio."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    warm_up: int = 400
    """Rounds of Algorithm 1 before."""
    updates: int = 2_000
    """Updates of G alone after them, whatever the ratio."""
    ratios: tuple[float, ...] = (1 / 5, 1, 2, 5, 10, 50, FROZEN)
    """Updates of G for each of D."""
    every: int = 100
    """Updates of G between two looks."""
    samples: int = 2_000


@dataclass(frozen=True, kw_only=True)
class Course:
    """One seed and one ratio, from the end of the warm-up on."""

    seed: int
    ratio: float
    at: Array
    """Updates of G at each look; the first is 0, the end of the warm-up."""
    modes: Array
    """Modes covered then."""
    other: Array
    """The other number then."""
    x: Tensor
    """Samples at the end."""


@dataclass(frozen=True, kw_only=True)
class Helvetica:
    """All courses on one data set."""

    what: str
    of: int
    """Modes that there are."""
    other: str
    """The name of the other number."""
    plan: Plan
    courses: tuple[Course, ...]
    data: Tensor
    """Real examples, as many as the samples or all."""

    def at(self, ratio: float) -> list[Course]:
        """The courses of one ratio, seed by seed."""
        return [course for course in self.courses if course.ratio == ratio]


def measure(config: RunConfig, plan: Plan, splits: Splits | None = None) -> Helvetica:
    """Play a ring or a grid of Gaussians out of step.

    Args:
        config: A run of the adversarial pair on such data; its rates do not anneal here.
        plan: What is played.
        splits: The data; it is read by default.
    """
    assert isinstance(config.data, RingConfig | GridConfig)
    means, std = config.data.means(), config.data.std

    def look(x: Tensor) -> tuple[float, float]:
        shares = modes.shares(x, means, std=std)
        return modes.covered(shares), shares.sum().item()

    what = "eight Gaussians on a ring" if len(means) == 8 else f"{len(means)} Gaussians on a grid"
    return watched(
        config, plan, look, splits=splits, what=what, of=len(means), other="near a mode"
    )


def watched(
    config: RunConfig,
    plan: Plan,
    look: Look,
    *,
    splits: Splits | None,
    what: str,
    of: int,
    other: str,
) -> Helvetica:
    """Play any data out of step and look at the samples now and then."""
    courses: list[Course] = []
    for seed in plan.seeds:
        play = Play(steady(config, seed=seed), splits)
        for _ in range(plan.warm_up):
            play.round()
        warm = play.state()
        for ratio in plan.ratios:
            play.back(warm, name="out of step")
            courses.append(_course(play, plan, look, seed, ratio))
    data = play.splits.train.x[: plan.samples]
    return Helvetica(what=what, of=of, other=other, plan=plan, courses=tuple(courses), data=data)


def frozen(config: RunConfig, plan: Plan, warm_ups: Sequence[int]) -> list[Helvetica]:
    """Freeze D after warm-ups of several lengths."""
    plans = [replace(plan, warm_up=warm_up, ratios=(FROZEN,)) for warm_up in warm_ups]
    return [measure(config, each) for each in plans]


def _course(play: Play, plan: Plan, look: Look, seed: int, ratio: float) -> Course:
    z = play.latents(plan.samples)
    at, seen = [0], [look(play.decode(z))]
    for g in range(1, plan.updates + 1):
        unequally(play, ratio, g)
        if g % plan.every == 0 or g == plan.updates:
            at.append(g)
            seen.append(look(play.decode(z)))
    covered, other = np.array(seen, dtype=np.float64).T
    x = play.decode(z)
    return Course(
        seed=seed, ratio=ratio, at=np.array(at, float), modes=covered, other=other, x=x
    )


# The page


def named(ratio: float) -> str:
    """A ratio in words."""
    if ratio == FROZEN:
        return "D frozen"
    return f"{ratio:g} : 1" if ratio >= 1 else f"1 : {1 / ratio:g}"


def table(result: Helvetica) -> Table:
    """Modes covered against updates of G for each of D."""
    rows = []
    for ratio in result.plan.ratios:
        courses = result.at(ratio)
        later = [c.modes[len(c.modes) // 2 :] for c in courses]
        rows.append(
            (
                named(ratio),
                " ".join(f"{c.modes[-1]:.0f}" for c in courses),
                spread([c.modes[-1] for c in courses]),
                spread([m.mean() for m in later]),
                spread([c.other[-1] for c in courses], form=".2f"),
            )
        )
    n, plan = len(result.plan.seeds), result.plan
    return Table(
        caption=(
            f"Modes of {result.what} covered after {plan.updates:,} updates of G that follow "
            f"{plan.warm_up:,} rounds: mean [least, largest] of {n} seeds"
        ),
        headings=(
            "G : D",
            "at the end, seed by seed",
            "at the end",
            "mean over the last half",
            f"{result.other}, at the end",
        ),
        rows=rows,
    )


def chart(result: Helvetica, ratios: Sequence[float]) -> Chart:
    """Modes covered over G's updates: the mean of the seeds, and from the least to the most."""
    lines = []
    for ratio in ratios:
        courses = result.at(ratio)
        every = np.stack([c.modes for c in courses])
        lines.append(Curve(label=named(ratio), x=courses[0].at, y=every.mean(axis=0)))
    return Chart(
        title=f"Modes covered: {result.what}",
        meaning=(
            f"Mean of {len(result.plan.seeds)} seeds, by updates of G for each update of D. All "
            f"begin from the same pair, after {result.plan.warm_up:,} rounds."
        ),
        lines=lines,
        across=Across(label="updates of G", limits=(0, 1.02 * result.plan.updates)),
        levels=(Level(label="all modes", y=result.of),),
        limits=(0.0, 1.12 * result.of),
    )


def clouds(result: Helvetica, ratios: Sequence[float]) -> Picture:
    """Samples of the first seed at the end, one ratio beside the other."""
    seed = result.plan.seeds[0]
    return Picture(
        title=f"Samples at the end, seed {seed}: {', '.join(map(named, ratios))}",
        meaning="Blue: samples; grey: data.",
        pixels=plots.clouds(
            {named(r): result.at(r)[0].x for r in ratios}, data=result.data[:, :2]
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """All that is played of the scenario."""

    ring: Helvetica
    warm_ups: tuple[Helvetica, ...]
    """The ring with D frozen, after warm-ups of other lengths."""
    grid: Helvetica
    digits: Helvetica


def finding(result: Collapse, picture_of_digits: Picture) -> Finding:
    """The section of the page."""
    ring, n = result.ring, len(result.ring.plan.seeds)
    ends = [int(c.modes[-1]) for c in ring.at(FROZEN)]
    few = sum(modes <= 2 for modes in ends)
    least, most = (f(c.other[-1] for c in ring.at(FROZEN)) for f in (min, max))
    return Finding(
        name="helvetica",
        title="The Helvetica scenario",
        says=(
            "G must not be trained too much without updating D, or it maps many z to the same x "
            "and has no longer the variety of the data (Section 6)."
        ),
        measured=(
            f"A mode counts as covered when at least a tenth of its fair share of the samples lies "
            f"within {modes.NEAR:g} standard deviations of it. The ring of eight: after "
            f"{ring.plan.warm_up:,} rounds in step D is frozen and G alone trained on. After "
            f"{ring.plan.updates:,} updates the samples cover at most 2 of 8 modes in {few} of {n} "
            f"seeds ({', '.join(map(str, ends))}), with {least:.0%} to {most:.0%} of them near a "
            "mode: good samples, and few kinds of them.",
            "Every ratio begins from the same pair and gives G as many updates; only D's differ. "
            "Rates do not anneal. How far a frozen D lets G fall depends on when it was frozen "
            "(the second table): early on its heights lie away from the data and G leaves for "
            "them; once G has found all modes, each sample only climbs the hill it is on.",
        ),
        charts=(chart(ring, _shown(ring)), chart(result.digits, _shown(result.digits))),
        pictures=(clouds(ring, _shown(ring)), picture_of_digits),
        tables=(
            table(ring),
            _frozen_table((*result.warm_ups, ring)),
            table(result.grid),
            table(result.digits),
        ),
        helps=(
            "One update of D for each of G, or more; where a game has collapsed, going on in step "
            "brings some modes back, beginning anew all. A larger batch, and a D that sees "
            "several samples at once (minibatch features), make variety visible to D."
        ),
    )


def _shown(result: Helvetica) -> list[float]:
    """At most four of the ratios, the first and the last among them."""
    ratios = [r for r in result.plan.ratios if r >= 1]
    return sorted({ratios[i * (len(ratios) - 1) // 3] for i in range(4)})


def _frozen_table(results: Sequence[Helvetica]) -> Table:
    rows = []
    for result in sorted(results, key=lambda r: r.plan.warm_up):
        courses = result.at(FROZEN)
        rows.append(
            (
                f"{result.plan.warm_up:,}",
                " ".join(f"{c.modes[0]:.0f}" for c in courses),
                " ".join(f"{c.modes[-1]:.0f}" for c in courses),
                spread([c.other[-1] for c in courses], form=".2f"),
            )
        )
    return Table(
        caption=(
            f"D frozen after so many rounds, then {results[-1].plan.updates:,} updates of G alone "
            f"({results[-1].what}), seed by seed"
        ),
        headings=("rounds", "modes when D is frozen", "modes at the end", "near a mode"),
        rows=rows,
    )

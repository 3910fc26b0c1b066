r"""Mode collapse, the Helvetica scenario: G is updated many times while D is fixed.

"G must not be trained too much without updating D, in order to avoid 'the Helvetica scenario' in
which G collapses too many values of z to the same value of x" (Section 6). Against a fixed D the
optimal G puts all of its samples where D is largest: its objective does not reward variety, which
comes only from a D that responds.

Reference: Goodfellow et al. (2014), Section 6.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from advnets.data import GridConfig, RingConfig, Splits
from advnets.evaluation import modes
from advnets.experiments.failures.play import Play, steady, unequally
from advnets.plotting.curves import Array
from advnets.runs.run_config import RunConfig

FROZEN = math.inf
"""The ratio of a frozen D."""

Look = Callable[[Tensor], tuple[float, float]]
"""A function of samples: the number of modes they cover, and one more value."""


def named(ratio: float) -> str:
    """A ratio in words."""
    if ratio == FROZEN:
        return "D frozen"
    return f"{ratio:g} : 1" if ratio >= 1 else f"1 : {1 / ratio:g}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan: for each seed one warm-up, and every ratio from there."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    warm_up: int = 300
    """Rounds of Algorithm 1 in the warm-up."""
    updates: int = 2_000
    """Updates of G after the warm-up, for every ratio."""
    ratios: tuple[float, ...] = (1 / 5, 1, 2, 5, 10, 50, FROZEN)
    """Updates of G for each of D."""
    every: int = 100
    """Updates of G between two measurements."""
    samples: int = 2_000


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The measurements of one seed and one ratio, from the end of the warm-up on."""

    seed: int
    ratio: float
    at: Array
    """Updates of G at each measurement; the first is 0, the end of the warm-up."""
    modes: Array
    """Modes covered then."""
    other: Array
    """The other value then."""
    x: Tensor
    """Samples at the end."""


@dataclass(frozen=True, kw_only=True)
class Helvetica:
    """All trajectories on one data set."""

    what: str
    of: int
    """Number of modes."""
    other: str
    """The name of the other value."""
    plan: Plan
    courses: tuple[Trajectory, ...]
    data: Tensor
    """Real examples, as many as the samples or all."""

    def at(self, ratio: float) -> list[Trajectory]:
        """The trajectories of one ratio, seed by seed."""
        return [course for course in self.courses if course.ratio == ratio]


def measure(config: RunConfig, plan: Plan, splits: Splits | None = None) -> Helvetica:
    """Train on a ring or grid of Gaussians with several ratios of updates of G and D.

    Args:
        config: A GAN run on such data; its learning rates do not anneal here.
        plan: The plan of the experiment.
        splits: The data; it is read by default.
    """
    assert isinstance(config.data, RingConfig | GridConfig)
    means, std = config.data.means(), config.data.std

    def look(x: Tensor) -> tuple[float, float]:
        shares = modes.shares(x, means, std=std)
        return modes.covered(shares), shares.sum().item()

    what = "eight Gaussians on a ring" if len(means) == 8 else f"{len(means)} Gaussians on a grid"
    return watched(config, plan, look, splits=splits, what=what, of=len(means), other="near a mode")


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
    """Train on any data with several ratios, and measure the samples at intervals."""
    courses: list[Trajectory] = []
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
    """Freeze D after warm-ups of several lengths, and train G alone."""
    plans = [replace(plan, warm_up=warm_up, ratios=(FROZEN,)) for warm_up in warm_ups]
    return [measure(config, each) for each in plans]


def _course(play: Play, plan: Plan, look: Look, seed: int, ratio: float) -> Trajectory:
    z = play.latents(plan.samples)
    at, seen = [0], [look(play.decode(z))]
    for g in range(1, plan.updates + 1):
        unequally(play, ratio, g)
        if g % plan.every == 0 or g == plan.updates:
            at.append(g)
            seen.append(look(play.decode(z)))
    covered, other = np.array(seen, dtype=np.float64).T
    x = play.decode(z)
    return Trajectory(
        seed=seed, ratio=ratio, at=np.array(at, float), modes=covered, other=other, x=x
    )


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """All experiments on mode collapse."""

    ring: Helvetica
    warm_ups: tuple[Helvetica, ...]
    """The ring with D frozen, after warm-ups of other lengths."""
    grid: Helvetica
    digits: Helvetica

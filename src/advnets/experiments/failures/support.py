"""Support size: how many different samples a generator has, told by its duplicates.

The samples are those of the Helvetica games: at their end, in step and with D frozen, beside as
many real examples.

Reference: Arora and Zhang (2017), arXiv 1706.08224; `birthday.py` has the relation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from advnets.birthday import Birthday, birthday
from advnets.experiments.failures.finding import Finding, Table
from advnets.experiments.failures.helvetica import FROZEN, Helvetica, named
from advnets.neighbours import nearest
from advnets.rng import generator

NEAR = 0.01
"""A real example's nearest other one is a duplicate by our criterion this often."""


@dataclass(frozen=True, kw_only=True)
class Support:
    """The duplicates of one data set and of games on it.

    Attributes:
        what: The data.
        n: Samples looked at in each set.
        radius: The distance up to which two count as duplicates.
        sets: What each game's samples say, game by game; real examples come first.
    """

    what: str
    n: int
    radius: float
    sets: dict[str, tuple[Birthday, ...]]


def duplicate_radius(data: Tensor) -> float:
    """The distance that the nearest other example is within for a hundredth of real examples.

    Args:
        data: Real examples, as many as the samples that will be compared by it, of shape `(n,
            *event_shape)`.
    """
    return nearest(data, data, skip=1).distance.quantile(NEAR).item()


def measure(games: Helvetica, ratios: Sequence[float] = (1, FROZEN)) -> Support:
    """Look for duplicates among the last samples of games, and among real examples.

    Args:
        games: Helvetica games, whose ratios include these.
        ratios: Which of them.
    """
    n = min(len(games.data), games.plan.samples)
    radius = duplicate_radius(games.data[:n])
    rng = generator(0, "birthday")
    sets = {"real examples": (birthday(games.data[:n], radius=radius, rng=rng),)}
    for ratio in ratios:
        sets[named(ratio)] = tuple(
            birthday(course.x[:n], radius=radius, rng=rng) for course in games.at(ratio)
        )
    return Support(what=games.what, n=n, radius=radius, sets=sets)


# The page


def finding(results: Sequence[Support]) -> Finding:
    """The section of the page."""
    return Finding(
        name="support",
        title="Support size by the birthday paradox",
        says=(
            "The paper proves that p_g comes to p_data where G and D have no limits. How many "
            "different samples a trained G has, its text leaves open; Arora and Zhang (2017) read "
            "it off duplicates."
        ),
        measured=(
            "Of s draws from N equally likely things two are equal with probability 1 - prod (1 - "
            "i / N), about 1 - exp(-s (s - 1) / 2N). So where half of all sets of s hold a "
            "duplicate, N = s (s - 1) / (2 log 2).",
            "Two samples count as duplicates when they are as near as the nearest other "
            f"real example is for only {NEAR:.0%} of real ones. The number is one at that "
            "radius: for points in the plane it counts places, not points, and only the line of "
            "real examples says what a perfect G would have.",
        ),
        tables=tuple(map(_table, results)),
        helps=(
            "What helps against collapse: G and D in step, larger batches, and a D that sees "
            "several samples at once. A support far below that of the data at the same radius is "
            "a warning even where every single sample looks good."
        ),
    )


def _table(result: Support) -> Table:
    rows = [
        (name, " ".join(_s(b) for b in sizes), " ".join(map(str, sizes)))
        for name, sizes in result.sets.items()
    ]
    return Table(
        caption=(
            f"{result.what[0].upper()}{result.what[1:]}: {result.n:,} of each, duplicates within "
            f"{result.radius:.3g}, seed by seed"
        ),
        headings=("samples of", "s at probability 1/2", "support"),
        rows=rows,
    )


def _s(size: Birthday) -> str:
    return f"{size.s:.1f}" if math.isfinite(size.s) else f"> {size.n}"

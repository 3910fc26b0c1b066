"""Support size: how many different samples a generator has, told by its duplicates.

The samples are those of the Helvetica games: at their end, in step and with D frozen, beside as
many real examples.

Reference: Arora and Zhang (2017), arXiv 1706.08224; `birthday.py` has the relation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from advnets.base.rng import generator
from advnets.evaluation.birthday import Birthday, birthday
from advnets.evaluation.neighbours import nearest
from advnets.experiments.failures.helvetica import FROZEN, Helvetica, named

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
    sets: dict[str, tuple[Birthday, ...]] = {
        "real examples": (birthday(games.data[:n], radius=radius, rng=rng),)
    }
    for ratio in ratios:
        sets[named(ratio)] = tuple(
            birthday(course.x[:n], radius=radius, rng=rng) for course in games.at(ratio)
        )
    return Support(what=games.what, n=n, radius=radius, sets=sets)

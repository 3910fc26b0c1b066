"""Support size: the number of different samples of a generator, estimated from duplicates.

The samples are the final ones of the mode collapse experiments, at 1 : 1 and with D frozen,
compared with as many real examples.

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
"""Share of real examples whose nearest other example counts as a duplicate."""


@dataclass(frozen=True, kw_only=True)
class Support:
    """The estimates for one data set and for runs on it.

    Attributes:
        what: The data.
        n: Samples in each set.
        radius: The distance up to which two count as duplicates.
        sets: The estimates of each run, for each seed; real examples come first.
    """

    what: str
    n: int
    radius: float
    sets: dict[str, tuple[Birthday, ...]]


def duplicate_radius(data: Tensor) -> float:
    """The distance below which a hundredth of real examples have another example.

    Args:
        data: Real examples, as many as the samples to compare, of shape `(n, *event_shape)`.
    """
    return nearest(data, data, skip=1).distance.quantile(NEAR).item()


def measure(games: Helvetica, ratios: Sequence[float] = (1, FROZEN)) -> Support:
    """Estimate the support from the final samples of runs, and from real examples.

    Args:
        games: Runs of the mode collapse experiment, whose ratios include these.
        ratios: The ratios to use.
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

"""The Helvetica scenario on digits: classes covered, by a small classifier trained here."""

from dataclasses import replace

import torch
from torch import Tensor

from advnets import features, plots
from advnets.data import DataConfig, Splits
from advnets.experiments.failures.finding import Picture
from advnets.experiments.failures.helvetica import FROZEN, Helvetica, Plan, named, watched
from advnets.experiments.failures.play import digits
from advnets.features import FeatureSpace, Say
from advnets.neighbours import distances_to_others

PLAN = Plan(
    seeds=(0, 1),
    warm_up=1_500,
    updates=1_000,
    ratios=(1, 10, FROZEN),
    every=100,
    samples=1_000,
)
SHOWN = 24
"""Samples of each ratio in the picture."""


def measure(data: DataConfig, plan: Plan, splits: Splits, *, say: Say = print) -> Helvetica:
    """Play digits out of step.

    Args:
        data: The digits.
        plan: What is played.
        splits: The same digits, read.
        say: Hears that the classifier is trained, the first time.
    """
    space = features.learn(splits, say=say)
    real = splits.validation.x[: plan.samples]
    fair = classes(space, real)
    apart = distances_to_others(real).mean()

    def look(x: Tensor) -> tuple[float, float]:
        own = classes(space, x)
        wide = distances_to_others(x).mean() / apart
        return int(((own >= fair / 10) & (fair > 0)).sum()), wide.item()

    games = watched(
        digits(data, seed=0),
        plan,
        look,
        splits=splits,
        what="digits",
        of=space.classes,
        other="mean distance of two samples, over that of real ones",
    )
    return replace(games, data=splits.train.x[: plan.samples])


def classes(space: FeatureSpace, x: Tensor) -> Tensor:
    """The share of examples that the classifier puts in each class."""
    return torch.bincount(space.labels(x), minlength=space.classes).double() / len(x)


def picture(result: Helvetica) -> Picture:
    """The first samples of the first seed, a row or two for each ratio."""
    x = torch.cat([result.at(ratio)[0].x[:SHOWN] for ratio in result.plan.ratios])
    pixels = plots.enlarged(plots.grid(x, columns=SHOWN // 2), width=800)
    return Picture(
        title=f"Digits at the end, seed {result.plan.seeds[0]}",
        meaning="Samples 0 to 23, never picked, two rows each: "
        f"{', '.join(map(named, result.plan.ratios))}.",
        pixels=pixels,
    )

"""Mode collapse on digits: classes covered, by a small classifier trained here."""

from dataclasses import replace

import torch
from torch import Tensor

from advnets.data import DataConfig, Splits
from advnets.evaluation import features
from advnets.evaluation.features import FeatureSpace, Say
from advnets.evaluation.neighbours import distances_to_others
from advnets.experiments.failures.helvetica import FROZEN, Helvetica, Plan, watched
from advnets.experiments.failures.play import digits

PLAN = Plan(
    seeds=(0, 1),
    warm_up=1_000,
    updates=600,
    ratios=(1, 10, FROZEN),
    every=100,
    samples=1_000,
)


def measure(data: DataConfig, plan: Plan, splits: Splits, *, say: Say = print) -> Helvetica:
    """Train on digits with several ratios of updates of G and D.

    Args:
        data: The digits.
        plan: The plan of the experiment.
        splits: The same digits, read.
        say: Called when the classifier is trained, the first time.
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
    """The share of examples in each class, by the classifier."""
    return torch.bincount(space.labels(x), minlength=space.classes).double() / len(x)

"""Does a conditional run draw the class that it is asked for, and is it as varied as the data?

    python benchmarks/conditional.py runs/mnist-conditional [--samples 10000] [--weights averaged]
    python benchmarks/conditional.py --quick     (CI: a few updates, to see that it runs)

Samples number 0, 1, ... of a seed have their classes at the training frequencies. A small
convolutional classifier, trained on the run's own training examples (`feature_network`), says which
class each is; its accuracy on the test set stands beside. Within a class, the mean distance between
two samples is compared with that between two test examples of the class, as many of each.

The aims: 95% of 10,000 samples of the class asked for, by a classifier that is right on 98.5% of
the test set, and within each class at least 80% of the data's mean distance.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from tiny_run import tiny_run
from torch import Tensor

import advnets
from advnets.evaluation import features
from advnets.evaluation.features import FeatureSpace, class_labels
from advnets.sampling.samplers import GeneratorSampler

MOST = 1_000
"""Samples of a class whose distances are taken."""


@dataclass(frozen=True)
class OfClass:
    """What was measured of one class."""

    name: str
    asked: int
    right: float
    apart: float
    data_apart: float


def main() -> None:
    """Print a line for each class, and one for all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", default="runs/mnist-conditional")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", choices=("raw", "averaged"), default="raw")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as scratch:
            options.run, options.samples = quick_run(Path(scratch)), 200
            report(options)
    else:
        report(options)


def quick_run(folder: Path) -> Path:
    """A few updates of a conditional game."""
    return tiny_run(folder, advnets.GameConfig(context="labels"))


def report(options: argparse.Namespace) -> None:
    """Measure a run and print what came out."""
    run = advnets.load(options.run, checkpoint=options.checkpoint)
    sampler, splits = run.sampler(options.weights), run.splits()
    if not isinstance(sampler, GeneratorSampler) or sampler.context is None:
        raise SystemExit(f"{options.run}: must be a conditional run.")
    asked = sampler.contexts(options.samples, seed=options.seed)
    known = class_labels(splits.train)
    if asked is None or known is None or not sampler.context.names or splits.test.context is None:
        raise SystemExit(f"{options.run}: must be a run on classes of at least ten examples each.")
    x = sampler.sample(options.samples, seed=options.seed)
    space = features.learn(splits, say=lambda _: None)
    told = known[0][space.labels(x)]
    test, labels = splits.test.x[:], splits.test.context
    sure = (known[0][space.labels(test)] == labels).double().mean().item()
    rows = [
        of_class(name, x[asked == label], told[asked == label] == label, test[labels == label])
        for name, label in zip(sampler.context.names, sampler.context.rows, strict=True)
    ]
    show(options, run.update, space, sure, rows)


def of_class(name: str, x: Tensor, right: Tensor, test: Tensor) -> OfClass:
    """One class: the share that is told right, and how far apart samples and examples are."""
    n = min(len(x), len(test), MOST)
    return OfClass(name, len(x), right.double().mean().item(), apart(x[:n]), apart(test[:n]))


def apart(x: Tensor) -> float:
    """Mean distance between two of the examples."""
    return torch.pdist(x.flatten(1)).mean().item()


def show(
    options: argparse.Namespace, update: int, space: FeatureSpace, sure: float, rows: list[OfClass]
) -> None:
    """The table."""
    print(f"{options.run}, update {update}, {options.weights} weights, seed {options.seed}.")
    print(f"{space.describe} Right on {sure:.2%} of the test set.")
    print(f"{'class':>12} {'asked':>7} {'told right':>11} {'apart':>7} {'data':>7} {'ratio':>6}")
    for row in rows:
        ratio = row.apart / row.data_apart
        print(
            f"{row.name:>12} {row.asked:7,} {row.right:11.2%} {row.apart:7.3f} "
            f"{row.data_apart:7.3f} {ratio:6.2f}"
        )
    n = sum(row.asked for row in rows)
    right = sum(row.right * row.asked for row in rows) / n
    ratios = [row.apart / row.data_apart for row in rows]
    mean = sum(ratios) / len(ratios)
    print(f"{'all':>12} {n:7,} {right:11.2%} {'':7} {'':7} {mean:6.2f}  (least {min(ratios):.2f})")


if __name__ == "__main__":
    main()

"""Are the demo's digits digits? A small classifier is asked, and somebody looks at the picture.

    python benchmarks/demo_digits.py runs/demo [--samples 1000]
    python benchmarks/demo_digits.py --quick     (CI: a few updates, to see that it runs)

Two small classifiers, a multilayer perceptron and a convolutional one, are trained on the demo's
own training digits. Each says of which share of the samples, and of the held-out real digits, it is
more than 0.9 sure. `--validation` takes the held-out digits from the validation split, on which the
recipe was chosen; without it they are the test digits.
"""

import argparse
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import advnets
from advnets import recipes
from advnets.data import Splits, load

SURE = 0.9


def perceptron() -> nn.Module:
    """784 - 128 - 10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def convolutional() -> nn.Module:
    """Two small convolutions, dropout, one linear layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(800, 10)),
    )


CLASSIFIERS = {"perceptron": perceptron, "convolutional": convolutional}


def main() -> None:
    """Print a table for each classifier."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", default="runs/demo")
    parser.add_argument("--samples", type=int, default=1_000)
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as scratch:
            report(quick_run(Path(scratch) / "demo"), options, epochs=1)
    else:
        run = advnets.load(options.run, checkpoint=options.checkpoint)
        report(run, options, epochs=20)


def quick_run(folder: Path) -> advnets.Run:
    """A demo of twenty updates."""
    config = recipes.get("demo")
    trainer = advnets.TrainerConfig(steps=20, log_every=10, score_every=20)
    advnets.train(
        advnets.RunConfig(
            recipe="demo",
            data=config.data,
            model=config.model,
            trainer=trainer,
            evaluation=config.evaluation,
        ),
        folder,
    )
    return advnets.load(folder)


def report(run: advnets.Run, options: argparse.Namespace, *, epochs: int) -> None:
    """Train the classifiers, ask them, print what they say."""
    splits = load(run.config.data, seed=run.config.seed)
    held_out = splits.validation if options.validation else splits.test
    x = held_out.x[:]
    for name in CLASSIFIERS:
        classifier = trained(name, splits, epochs=epochs)
        labels = classifier(x).argmax(dim=1)
        accuracy = (labels == held_out.context).float().mean().item()
        print(f"\n{name}: {accuracy:.1%} of {len(labels)} held-out digits right")
        real, counts = opinion(classifier, x)
        print(f"  real digits    {real:.3f} sure")
        for weights in run.learner.samplers():
            share, counts = opinion(classifier, run.sample(options.samples, weights=weights))
            spread = " ".join(f"{c / options.samples:.0%}" for c in counts)
            print(f"  {weights:14} {share:.3f} sure, {share / real:.2f} of real; by class {spread}")


@torch.no_grad()
def opinion(classifier: nn.Module, x: Tensor) -> tuple[float, list[int]]:
    """The share that the classifier is sure of, and how many it puts in each class."""
    sure, label = classifier(x).softmax(dim=1).max(dim=1)
    return (sure > SURE).float().mean().item(), torch.bincount(label, minlength=10).tolist()


def trained(name: str, splits: Splits, *, epochs: int) -> nn.Module:
    """A classifier trained on the training digits, its epoch chosen nowhere: it is fixed."""
    torch.manual_seed(0)
    classifier = CLASSIFIERS[name]()
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-3)
    x, y = splits.train.x, splits.train.context
    assert y is not None
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x)), 50):
            optimizer.zero_grad()
            loss = F.cross_entropy(classifier(x[rows]), y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return classifier.eval()


if __name__ == "__main__":
    main()

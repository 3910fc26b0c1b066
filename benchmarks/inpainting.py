"""How good are the completions of a run of conditionals, beside what is simpler?

    python benchmarks/inpainting.py runs/mnist-inpainting [--plain runs/mnist-best] [--out FOLDER]
    python benchmarks/inpainting.py --quick     (CI: a few updates, to see that it runs)

On fixed masks of test digits: the root mean square error on hidden pixels of one completion and of
the mean of 8, the class that a classifier reads off the completed digit, and the error of the mean
of K completions, which is V (1 + 1/K) of a calibrated sampler. Beside it: zero, the mean image,
the nearest training image on what is seen, samples of a plain G (`--plain`; by default the run's
own G with nothing seen) weighted by how well they fit what is seen, and a network of the same size
trained by squared error for as many updates as `--mean-steps`. Sigma of the weights is chosen on
validation digits. A classifier that was trained on masked digits says what is to be known at all.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tiny_run import tiny_run
from torch import Tensor, nn

import advnets
from advnets.base.protocols import Problem
from advnets.base.rng import generator
from advnets.cli.completion import sheet
from advnets.data.masks import Masks, mask_shape
from advnets.evaluation import features
from advnets.evaluation.features import FeatureSpace, class_labels
from advnets.extensions import completion_baselines as baselines
from advnets.extensions.conditionals import Conditionals, ConditionalsConfig, Filling
from advnets.extensions.inference.regression import annealed
from advnets.plotting import images
from advnets.runs.run import Run
from advnets.storage.environment import environment

K, MOST, PARTICLES = 8, 32, 4_096
SIGMAS = (0.5, 1.0, 1.5, 2.0, 3.0)
Method = Callable[[Tensor, Tensor], Tensor]
"""Completions `(k, N, ...)` of examples and their masks."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", default="runs/mnist-inpainting")
    parser.add_argument("--plain", help="an unconditional run, for importance weights")
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--mean-steps", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--averaged", action="store_true")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        with tempfile.TemporaryDirectory() as scratch:
            options.run, options.out = quick_run(Path(scratch)), Path(scratch)
            options.test, options.mean_steps = 40, 20
            report(options)
    else:
        report(options)


def quick_run(folder: Path) -> Path:
    """A few updates of a game of conditionals."""
    model = ConditionalsConfig(masks=("pixels", "halves", "quadrants", "nothing"))
    few = advnets.EvaluationConfig(samples=100, validation=20)
    return tiny_run(folder, model, evaluation=few)


@dataclass(frozen=True)
class Case:
    """A kind of mask, and one mask for each test example."""

    name: str
    mask: Tensor


def cases(n: int, shape: tuple[int, ...], seed: int) -> list[Case]:
    """Halves, quadrants and pixels of which 75% are hidden."""
    one = mask_shape(shape)
    _, height, width = one
    right, lower = torch.ones(one), torch.ones(one)
    right[..., width // 2 :] = 0
    lower[:, height // 2 :] = 0
    quarter = torch.ones(one)
    quarter[:, height // 2 :, width // 2 :] = 0
    rng = generator(seed, "masks of the benchmark")
    scattered = (torch.rand(n, *one, generator=rng) < 0.25).float()
    fixed = {
        "right half hidden": right,
        "lower half hidden": lower,
        "a quadrant hidden": quarter,
        "three quadrants hidden": 1 - quarter,
    }
    whole = [Case(name, mask.expand(n, *one)) for name, mask in fixed.items()]
    return [*whole, Case("75% of pixels hidden", scattered)]


class MaskedClassifier(nn.Module):
    """Classes of masked examples, from m x and m."""

    def __init__(self, numbers: int, classes: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(numbers, 400),
            nn.ReLU(),
            nn.Linear(400, 400),
            nn.ReLU(),
            nn.Linear(400, classes),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Logits, `(n, classes)`."""
        logits: Tensor = self.net(torch.cat((x * mask, mask), dim=1).flatten(1))
        return logits


def masked_classifier(x: Tensor, labels: Tensor, masks: Masks, steps: int) -> MaskedClassifier:
    """A classifier trained on masked digits for `steps` updates of 100."""
    numbers = math.prod(x.shape[1:]) + math.prod(masks.shape)
    rng, classes = generator(0, "masked classifier"), int(labels.max()) + 1
    torch.manual_seed(0)
    net = MaskedClassifier(numbers, classes)
    rule = torch.optim.Adam(net.parameters(), 1e-3)
    for step in range(steps):
        rule.param_groups[0]["lr"] = 1e-3 * annealed(step / steps)
        rows = torch.randint(len(x), (100,), generator=rng)
        loss = nn.functional.cross_entropy(net(x[rows], masks.draw(100, rng=rng)), labels[rows])
        rule.zero_grad()
        torch.autograd.backward(loss)
        rule.step()
    return net.eval()


class Bench:
    """A run, its test digits, and everything that fills them in."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.run = advnets.load(options.run, checkpoint=options.checkpoint)
        game, splits = self.run.learner, self.run.splits()
        if not isinstance(game, Conditionals):
            raise SystemExit(f"{options.run}: must be a run of conditionals.")
        known = class_labels(splits.train)
        assert known is not None
        assert splits.test.context is not None
        self.splits, self.options, self.game = splits, options, game
        self.space: FeatureSpace = features.learn(splits, say=lambda _: None)
        self.names, self.train_labels = known
        self.x = splits.test.x[: options.test]
        self.labels = splits.test.context[: len(self.x)]
        self.cases = cases(len(self.x), splits.event_shape, options.seed)
        plain = options.plain and advnets.load(options.plain)
        weights = "averaged" if options.averaged else "raw"
        sampler = plain.sampler() if plain else self.run.sampler(weights)
        self.particles = sampler.sample(PARTICLES, seed=options.seed)
        self.plain_name = options.plain or "G with nothing seen"
        self.mean_net = self._mean_net()
        self.told = masked_classifier(
            splits.train.x[:], self.train_labels, game.masks, options.mean_steps
        )

    def _mean_net(self) -> Filling:
        config = self.run.config
        assert isinstance(config.model, ConditionalsConfig)
        low, high, mean = self.splits.statistics
        problem = Problem(
            event_shape=self.splits.event_shape,
            low=low,
            high=high,
            mean=mean,
            batches_per_epoch=1,
            steps=1,
        )
        net, _ = Conditionals.networks(config.model, problem, 0, seed=1)
        assert isinstance(net, Filling)
        steps, x = self.options.mean_steps, self.splits.train.x
        return baselines.fit_mean(net, config.model.z_dim, x, self.game.masks, steps=steps)

    def methods(self, sigma: float) -> dict[str, Method]:
        """All that fill in, by name."""
        o, z_dim = self.options, self.game.prior.dim
        mean_image = self.splits.statistics.mean
        return {
            "conditional game": lambda x, m: self.game.complete(
                x, m, n=K, seed=o.seed, averaged=o.averaged
            ),
            "zero": lambda x, m: (x * m)[None],
            "mean image": lambda x, m: torch.where(m.bool(), x, mean_image)[None],
            "nearest image": lambda x, m: baselines.nearest(self.splits.train.x, x, m)[None],
            f"weighted: {self.plain_name}": lambda x, m: baselines.importance_weighted(
                self.particles, x, m, sigma=sigma, n=K, seed=o.seed
            ),
            "MSE network": lambda x, m: baselines.mean(self.mean_net, z_dim, x, m)[None],
        }

    def sigma(self, case: Case) -> float:
        """Of the importance weights: the best for the mean of 8 on validation digits."""
        x = self.splits.validation.x[: min(500, len(self.x))]
        mask = case.mask[: len(x)]
        x = x[: len(mask)]

        def error(sigma: float) -> float:
            found = baselines.importance_weighted(self.particles, x, mask, sigma=sigma, n=K)
            return rmse(found.mean(dim=0), x, mask)

        return min(SIGMAS, key=error)

    def class_of(self, x: Tensor) -> Tensor:
        """The label that the classifier of the other measures reads off whole digits."""
        found: Tensor = self.names[self.space.labels(x)]
        return found


def rmse(found: Tensor, x: Tensor, mask: Tensor) -> float:
    """Root mean square error on hidden pixels."""
    hidden = (1 - mask).expand_as(x)
    return (((found - x).square() * hidden).sum() / hidden.sum()).sqrt().item()


def squared(found: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """The same before the root, of each example: `(N,)`."""
    hidden = (1 - mask).expand_as(x)
    return ((found - x).square() * hidden).flatten(1).sum(dim=1) / hidden.flatten(1).sum(dim=1)


def report(options: argparse.Namespace) -> None:
    """Measure a run and print what came out."""
    began, bench = time.process_time(), Bench(options)
    about = environment()
    print(f"{options.run}, update {bench.run.update}; commit {about.get('commit')}.")
    print(f"{about.get('processor')}; {len(bench.x):,} test examples, seed {options.seed}.")
    print(f"{bench.space.describe}")
    whole = (bench.class_of(bench.x) == bench.labels).double().mean()
    print(f"Class of the whole test examples: {whole:.2%}.\n")
    errors_and_classes(bench)
    calibration(bench)
    parzen(bench.run)
    picture(bench, options.out / "inpainting.png")
    print(f"\n{time.process_time() - began:.0f} seconds of CPU.")


def errors_and_classes(bench: Bench) -> None:
    """RMSE of one completion and of the mean of 8, and the class kept."""
    print("| hidden | method | RMSE of one | of the mean of 8 | class kept (majority) |")
    print("|---|---|---|---|---|")
    for case in bench.cases:
        for name, method in bench.methods(bench.sigma(case)).items():
            found = method(bench.x, case.mask)
            one, mean = (rmse(f, bench.x, case.mask) for f in (found[0], found.mean(dim=0)))
            votes = torch.stack([bench.class_of(f) for f in found])
            kept = (votes.mode(dim=0).values == bench.labels).double().mean()
            print(f"| {case.name} | {name} | {one:.4f} | {mean:.4f} | {kept:.1%} |", flush=True)
        with torch.no_grad():
            told = bench.told(bench.x, case.mask).argmax(dim=1)
        truth = torch.searchsorted(bench.names, bench.labels)
        right = (told == truth).double().mean()
        print(f"| {case.name} | classifier of masked examples | | | {right:.1%} |", flush=True)


def calibration(bench: Bench) -> None:
    """The error of the mean of K completions; of a calibrated sampler MSE_1 / MSE_inf is 2."""
    print("\nMean square error on hidden pixels of the mean of K completions (+- standard error)")
    print("| hidden | K = 1 | 2 | 4 | 8 | 16 | 32 | MSE_1 / MSE_inf | V of the MSE network |")
    print("|---|---|---|---|---|---|---|---|---|")
    o = bench.options
    for case in bench.cases:
        found = bench.game.complete(
            bench.x, case.mask, n=MOST, seed=o.seed + 1, averaged=o.averaged
        )
        cells, means = [], {}
        for k in (1, 2, 4, 8, 16, 32):
            e = squared(found[:k].mean(dim=0), bench.x, case.mask)
            means[k] = e.mean().item()
            cells.append(f"{means[k]:.4f} +- {e.std().item() / math.sqrt(len(e)):.4f}")
        within = found.var(dim=0)  # of what is drawn, without the error of the mean of K
        spread = squared(torch.zeros_like(within), within.sqrt(), case.mask).mean().item()
        limit = means[MOST] - spread / MOST
        net = baselines.mean(bench.mean_net, bench.game.prior.dim, bench.x, case.mask)
        V = squared(net, bench.x, case.mask).mean().item()
        print(
            f"| {case.name} | {' | '.join(cells)} | {means[1] / limit:.2f} | {V:.4f} |", flush=True
        )


def parzen(run: Run) -> None:
    """The score with nothing seen."""
    print("\nParzen score with nothing seen:")
    result = run.evaluate(quality=False)
    for line in result.lines:
        print(f"  {line.name:>24}  {line.test} (sigma {line.test.sigma:.4f})")


def picture(bench: Bench, path: Path) -> None:
    """Five test digits under each kind of mask, eight completions each."""
    rows, o = [], bench.options
    for i, case in enumerate(bench.cases):
        some = slice(4 * i, 4 * i + 4)
        x, mask = bench.x[some], case.mask[some]
        found = bench.game.complete(x, mask, n=K, seed=o.seed, averaged=o.averaged)
        rows.append(sheet(x, mask, found, span=bench.run.span()))
    images.save_png(path, np.concatenate(rows), zoom=2)
    print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()

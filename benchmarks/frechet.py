"""How near do a run's pictures come to the data as it learns, seed by seed?

    python benchmarks/frechet.py images "--data.path cifar10-jpeg.zip"
    python benchmarks/frechet.py cifar10 "--data.root FOLDER" --at 1 500 2000 --seeds 0
    python benchmarks/frechet.py --quick                        # a look in seconds, for CI

Trains one run a seed in RUNS/RECIPE-SEED, stops it at each of the updates `--at`, and takes the
Frechet distance of its samples to validation pictures, in the feature space that `advnets evaluate`
learns on the run's own training pictures. Training pictures against the same validation pictures
stand beside: what a perfect G would have. A run that was interrupted goes on. `--curves FILE.png`
draws what D made of data and samples, in the run of the first seed.

A recipe whose rate anneals cannot be made longer; give it one number, its last update.
"""

import argparse
import json
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

import advnets
from advnets import cli
from advnets.base.rng import generator
from advnets.data import Splits
from advnets.evaluation import features
from advnets.evaluation.bootstrap import Estimate
from advnets.evaluation.distances import frechet_distance
from advnets.evaluation.features import FeatureSpace
from advnets.plotting import curves
from advnets.report import panels
from advnets.runs.run import Run
from advnets.sampling.samplers import TrainingSet

AT = (1, 500, 1_000, 2_000, 4_000)


@dataclass(frozen=True)
class Ruler:
    """Validation pictures as features, and what measures the distance to them."""

    space: FeatureSpace
    validation: Tensor

    @classmethod
    def of(cls, splits: Splits, n: int) -> "Ruler":
        """The ruler of a data set, made of at most n of its validation pictures."""
        space = features.learn(splits, say=lambda text: print(text, file=sys.stderr))
        return cls(space, space.features(splits.validation.x[:n]))

    def distance(self, x: Tensor) -> Estimate:
        """Of as many pictures x, `(n, C, H, W)`."""
        rng = generator(0, "bootstrap")
        return frechet_distance(self.space.features(x), self.validation, rng=rng)


def main() -> None:
    """Print a table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="images")
    parser.add_argument("options", nargs="?", default="", help="options of `advnets train RECIPE`")
    parser.add_argument("--at", type=int, nargs="+", default=AT, help="updates to stop at")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are kept")
    parser.add_argument("--curves", type=Path, help="a PNG of D(x) and D(G(z)) over the updates")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not options.quick:
        table(options)
        return
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "x.npy")
        np.save(data, np.random.default_rng(0).integers(0, 256, (900, 8, 8, 3), dtype=np.uint8))
        options.recipe, options.options = "array", f"--data.path {data} --trainer.score_every 0"
        options.at, options.seeds, options.samples = [1, 5], [0], 90
        options.runs, options.curves = Path(scratch), Path(scratch, "curves.png")
        table(options)


def table(options: argparse.Namespace) -> None:
    """Train and measure seed by seed, then print."""
    rows = [row for seed in options.seeds for row in measured(seed, options)]
    run = advnets.load(options.runs / f"{options.recipe}-{options.seeds[0]}", checkpoint="last")
    splits = run.splits()
    ruler = Ruler.of(splits, options.samples)
    n = len(ruler.validation)
    print("| seed | update | training time | Frechet distance, raw | averaged |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    real = TrainingSet(splits.train.x).sample(n, seed=0)
    print(f"\n{n:,} pictures each; real training pictures: {ruler.distance(real)}.")
    print(ruler.space.describe)
    if options.curves:
        options.curves.write_bytes(beliefs(run))


def beliefs(run: Run) -> bytes:
    """What D made of data and samples as a run went on, a PNG."""
    panel = next(panel for panel in panels.GAME if "D_x" in panel.names)
    known = panels.series(run.folder.records())
    shown = [
        curves.smoothed(label, *known[name], len(known[name][0]) // panels.SHARE)
        for name, label in panel.names.items()
    ]
    return curves.png(shown, levels=panel.levels, limits=panel.limits)


def measured(seed: int, options: argparse.Namespace) -> list[list[str]]:
    """The rows of one seed; those that were measured before lie in its folder."""
    folder, rows = options.runs / f"{options.recipe}-{seed}", {}
    kept, ruler = folder / "frechet.json", None
    if kept.exists():
        rows = json.loads(kept.read_text())
    for update in sorted(options.at):
        if str(update) in rows:
            continue
        trained(folder, update, seed, options)
        run = advnets.load(folder, checkpoint="last")
        if run.update > update:  # it was trained further before this was asked for
            continue
        ruler = ruler or Ruler.of(run.splits(), options.samples)
        n = len(ruler.validation)
        distances = [str(ruler.distance(s.sample(n, seed=0))) for s in run.samplers().values()]
        rows[str(update)] = [str(seed), f"{update:,}", spent(folder), *distances]
        kept.write_text(json.dumps(rows))
    return list(rows.values())


def trained(folder: Path, update: int, seed: int, options: argparse.Namespace) -> None:
    """Train a run up to an update, or go on with it."""
    until = ["--trainer.steps", str(update)]
    begin = ["train", options.recipe, *shlex.split(options.options), "--seed", str(seed)]
    words = [*begin, "--folder", str(folder)]
    if folder.exists():
        if advnets.load(folder, checkpoint="last").update >= update:
            return
        words = ["train", "--resume", str(folder)]
    if cli.main([*words, *until]) != 0:
        raise SystemExit(1)


def spent(folder: Path) -> str:
    """Minutes that the run has trained by its own clock."""
    lines = (folder / "clock.jsonl").read_text().splitlines()
    return f"{json.loads(lines[-1])['seconds'] / 60:.1f} min" if lines else "0 min"


if __name__ == "__main__":
    main()

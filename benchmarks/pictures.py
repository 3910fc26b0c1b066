"""Better coordination on pictures: `images` with each method, for equal CPU time.

    python benchmarks/pictures.py cifar10-jpeg.zip [--seconds 240] [--seeds 0 1 2] [--only WORDS]
    python benchmarks/pictures.py --quick        (CI: a few updates on small random pictures)

Every game has the networks, rates and minibatches of the recipe `images`, and one line that
differs. It is played until its updates have taken `--seconds` of CPU. Then its raw samples are
compared with validation pictures: the Frechet distance, precision and recall in the features that
`advnets evaluate` learns. The test set is not used. Each score is a JSON file in `--out`, so that
a command that was killed goes on; scores of another processor, or of other pictures, are measured
again.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from advnets import data, recipes
from advnets.base.distributed import ALONE
from advnets.base.rng import generator
from advnets.data import ImagesConfig, Splits
from advnets.evaluation import features, metrics
from advnets.evaluation.features import FeatureSpace
from advnets.extensions.coordination.config import CoordinatedConfig
from advnets.game import Game, GameConfig
from advnets.runs import train
from advnets.runs.run_config import RunConfig
from advnets.sampling.samplers import draw
from advnets.storage import checkpoints
from advnets.storage.environment import environment

_IMAGES = recipes.images().model
assert isinstance(_IMAGES, GameConfig)
METHODS: Mapping[str, Mapping[str, Any]] = {
    "images": {},
    "two time scales": {"G_optimizer": replace(_IMAGES.G_optimizer, lr=2e-4)},
    "R1, every 16th": {"r1": 0.1, "r1_every": 16},
    "relativistic": {"objective": "relativistic"},
    "relativistic + R1": {"objective": "relativistic", "r1": 0.1, "r1_every": 16},
    "PacGAN2": {"pack": 2},
    "instance noise": {"instance_noise": 0.1, "instance_noise_batches": 1_000},
    "learned scale of z": {"learned_prior": "diagonal"},
}
"""What differs from the recipe."""


@dataclass(frozen=True)
class Score:
    """One game at its end."""

    updates: int
    seconds: float
    distance: float
    precision: float
    recall: float
    machine: str
    pictures: str


def main() -> None:
    """Play what is missing, and print a table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", default="", help="a folder or zip of pictures")
    parser.add_argument("--seconds", type=float, default=240.0, help="CPU time of a game")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=list(METHODS), choices=METHODS, metavar="NAME")
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="where scores are kept")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not options.quick:
        table(options)
        return
    with tempfile.TemporaryDirectory() as scratch:
        pictures = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
        np.savez(Path(scratch, "x.npz"), x=pictures, y=np.arange(200) % 4)
        options.path, options.out = str(Path(scratch, "x.npz")), Path(scratch, "out")
        options.seconds, options.samples = 0.0, 20
        table(options)


def table(options: argparse.Namespace) -> None:
    """Print a row for each method, and one of real training pictures."""
    torch.set_num_threads(1)
    where = options.path
    config: Any = data.ArrayConfig(path=where) if options.quick else ImagesConfig(path=where)
    splits = data.load(config, seed=0)
    space = features.learn(splits, say=lambda text: print(text, file=sys.stderr))
    scores = {
        name: [found(name, config, splits, space, seed, options) for seed in options.seeds]
        for name in options.only
    }
    print("| method | updates | CPU (s) | Frechet distance | by seed | precision | recall |")
    print("|---|---|---|---|---|---|---|")
    for name, of in scores.items():
        print(row(name, of))
    real = dict(judged(splits.train.x[: options.samples], splits, space))
    print("\nReal training pictures:", {name: round(value, 3) for name, value in real.items()})
    print(space.describe)


def found(
    name: str,
    config: Any,
    splits: Splits,
    space: FeatureSpace,
    seed: int,
    options: argparse.Namespace,
) -> Score:
    """A score that was kept, or a game played and judged."""
    word = "-".join(name.replace(",", "").split())
    kept = options.out / f"{word}-{options.seconds:g}-{options.samples}-{seed}.json"
    facts = {"machine": environment()["processor"], "pictures": str(Path(options.path).resolve())}
    if kept.exists():
        known = json.loads(kept.read_text())
        if facts.items() <= known.items():
            return Score(**known)
    print(f"{name}, seed {seed} ...", file=sys.stderr, flush=True)
    model = CoordinatedConfig(**{**vars(_IMAGES), **METHODS[name]})
    run = replace(recipes.images(), data=config, model=model, seed=seed)
    game, seconds = played(run, splits, options.seconds)
    x = draw(game.samplers()["raw"], options.samples, seed=0)
    measured: Any = {**judged(x, splits, space), **facts}
    score = Score(game.updates, seconds, **measured)
    kept.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_atomically(kept, json.dumps(asdict(score)).encode())
    return score


def played(config: RunConfig, splits: Splits, until: float) -> tuple[Game, float]:
    """A game after so many CPU seconds of updates, at least two updates; and the seconds."""
    game, batches = train.build(config, splits, ALONE)
    assert isinstance(game, Game)
    rng, seconds = generator(config.seed, "step"), 0.0
    while seconds < until or game.updates < 2:
        began = time.process_time()
        game.step(batches.of_step(game.updates, game.batches_per_step), rng=rng)
        seconds += time.process_time() - began
    return game, seconds


def judged(x: torch.Tensor, splits: Splits, space: FeatureSpace) -> dict[str, float]:
    """The Frechet distance, precision and recall of pictures."""
    quality = metrics.measure({"raw": x}, splits, space, seed=0, against="validation")
    values = {row.name: row.values for row in quality.rows}["raw"]
    names = {"distance": "frechet", "precision": "precision", "recall": "recall"}
    return {ours: getattr(values.get(name), "value", float("nan")) for ours, name in names.items()}


def row(name: str, scores: Sequence[Score]) -> str:
    """The means over seeds, and each distance."""
    distances = [score.distance for score in scores]
    cells = [
        name,
        f"{statistics.mean(score.updates for score in scores):,.0f}",
        f"{statistics.mean(score.seconds for score in scores):.0f}",
        f"{statistics.mean(distances):.2f}",
        ", ".join(f"{distance:.2f}" for distance in distances),
        f"{statistics.mean(score.precision for score in scores):.2f}",
        f"{statistics.mean(score.recall for score in scores):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

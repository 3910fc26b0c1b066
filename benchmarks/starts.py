"""How often is a game of the paper's MNIST pair lost at its start, and what prevents it?

    python benchmarks/starts.py --root FOLDER [--starts 10] [--updates 2000] [--only WORDS]
    python benchmarks/starts.py --quick     (CI: few updates of few starts)

Each setting is played from `--starts` seeds, in both precisions. A game is lost where D dominates
in the last half: in the mean, D(x) is at least .95 and D(G(z)) at most .02, the rule of the
library's own warning. Each game is a line of JSON in `--out`, so that a command that was killed
goes on; games of another processor, which round differently, are played again.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from advnets import data, recipes
from advnets.base.distributed import ALONE
from advnets.base.rng import generator
from advnets.data import MnistConfig, Splits
from advnets.game import Game, GameConfig
from advnets.networks import DiscriminatorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import train
from advnets.runs.run_config import RunConfig
from advnets.storage import checkpoints
from advnets.storage.environment import Precision, environment
from advnets.training.monitor import FOOLED, SURE

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mnist, as published": {},
    "alternating": {"order": "alternating"},
    "D starts in +-.05": {"D": DiscriminatorConfig(irange=0.05)},
    "D's rate warms up": {"D_optimizer": OptimizerConfig(warmup=1_000)},
    "mnist-best": {"G_optimizer": OptimizerConfig(lr=0.3, anneal="cosine")},
    "mnist-best, D's rate warms up": {
        "G_optimizer": OptimizerConfig(lr=0.3, anneal="cosine"),
        "D_optimizer": OptimizerConfig(warmup=1_000),
    },
}
"""What differs from the published game."""
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
LENGTH, EVERY = 120_000, 20
"""Updates of the run that is begun, over which a rate anneals; and between two looks at D."""


@dataclass(frozen=True)
class Start:
    """The last half of a game: means."""

    setting: str
    precision: str
    seed: int
    updates: int
    D_x: float
    D_Gz: float
    machine: str

    @property
    def lost(self) -> bool:
        """Whether D dominates."""
        return self.D_x >= SURE and self.D_Gz <= FOOLED


def main() -> None:
    """Play what is missing, and print a table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("mnist"))
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--updates", type=int, default=2_000)
    parser.add_argument(
        "--only", nargs="+", default=list(SETTINGS), choices=SETTINGS, metavar="NAME"
    )
    parser.add_argument("--precision", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--out", type=Path, default=Path("starts.jsonl"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not options.quick:
        table(options)
        return
    with tempfile.TemporaryDirectory() as scratch:
        options.starts, options.updates, options.out = 2, 4, Path(scratch, "starts.jsonl")
        options.only = options.only[-1:]
        table(options)


def table(options: argparse.Namespace) -> None:
    """Print a row for each setting and precision."""
    torch.set_num_threads(1)
    where = data.Mnist5kConfig() if options.quick else MnistConfig(root=str(options.root))
    splits = data.load(where, seed=0)
    print(f"| setting | precision | lost of {options.starts} | seeds | D(x) | D(G(z)) |")
    print("|---|---|---|---|---|---|")
    for setting in options.only:
        for precision in options.precision:
            starts = [
                start(setting, precision, seed, where, splits, options)
                for seed in range(options.starts)
            ]
            print(row(starts), flush=True)


def start(
    setting: str,
    precision: Precision,
    seed: int,
    where: Any,
    splits: Splits,
    options: argparse.Namespace,
) -> Start:
    """A start that was kept, or one that is played."""
    machine = environment()["processor"]
    known = options.out.read_text().splitlines() if options.out.exists() else []
    asked = (setting, precision, seed, options.updates, machine)
    for line in known:
        kept = Start(**json.loads(line))
        if (kept.setting, kept.precision, kept.seed, kept.updates, kept.machine) == asked:
            return kept
    print(f"{setting}, {precision}, seed {seed} ...", file=sys.stderr, flush=True)
    model = replace(GameConfig(precision=precision), **SETTINGS[setting])
    config = replace(recipes.mnist(), data=where, model=model, seed=seed)
    D_x, D_Gz = played(config, splits, options.updates)
    found = Start(setting, precision, seed, options.updates, D_x, D_Gz, machine)
    lines = "\n".join([*known, json.dumps(asdict(found))])
    checkpoints.write_atomically(options.out, f"{lines}\n".encode())
    return found


def played(config: RunConfig, splits: Splits, updates: int) -> tuple[float, float]:
    """The mean D(x) and D(G(z)) in the last half of so many updates of a long run."""
    config = replace(config, trainer=replace(config.trainer, steps=max(LENGTH, updates)))
    game, batches = train.build(config, splits, ALONE)
    assert isinstance(game, Game)
    rng, seen = generator(config.seed, "step"), list[tuple[float, float]]()
    for step in range(updates):
        info = game.step(batches.of_step(step, 1), rng=rng)
        if step >= updates // 2 and (step + 1) % min(EVERY, updates // 2) == 0:
            seen.append((float(info["D_x"]), float(info["D_Gz"])))
    D_x, D_Gz = (statistics.mean(column) for column in zip(*seen, strict=True))
    return D_x, D_Gz


def row(starts: Sequence[Start]) -> str:
    """How many were lost, which, and D's means in the others."""
    kept = [one for one in starts if not one.lost] or starts
    cells = [
        *(starts[0].setting, starts[0].precision),
        str(sum(one.lost for one in starts)),
        ", ".join(str(one.seed) for one in starts if one.lost) or "-",
        f"{statistics.mean(one.D_x for one in kept):.2f}",
        f"{statistics.mean(one.D_Gz for one in kept):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

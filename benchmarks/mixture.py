"""How near does the pair of `advnets train mixture` come to p_data, over seeds?

    python benchmarks/mixture.py                                      # seeds 0 to 4
    python benchmarks/mixture.py --seeds 10 11 --options "--model.k 2"  # another setting
    python benchmarks/mixture.py --quick                              # a look in seconds, for CI

Trains one run a seed in RUNS/mixture-SEED (a run that is there already is only measured), draws a
million samples of its last raw G and a million fresh points of p_data, and takes the JSD of their
histograms. What lies beyond the axis counts in its outermost bins. Beside it stands the same of two
independent draws of p_data: what a perfect G would get.
"""

import argparse
import json
import shlex
import shutil
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

import advnets
from advnets import cli
from advnets.base.rng import generator
from advnets.data import MixtureConfig, toy
from advnets.game import Game
from advnets.theory.divergences import JSD

BINS, LOW, HIGH = 200, -5.0, 5.0
ENOUGH = 0.01
"""Nats below which a run counts as a success."""
QUICK = "--trainer.steps 50 --trainer.score_every 0 --data.examples 2000 --trainer.sample_every 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--n", type=int, default=1_000_000, help="points in each histogram")
    parser.add_argument("--options", default="", help="further options of `advnets train mixture`")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are kept")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not options.quick:
        table(options.seeds, options.runs, options.n, options.options)
        return
    with tempfile.TemporaryDirectory() as folder:
        table([0], Path(folder), 20_000, f"{QUICK} {options.options}")


def table(seeds: list[int], runs: Path, n: int, words: str) -> None:
    """Train and measure each seed, and print the table as Markdown."""
    print("| seed | JSD, raw G | averaged G | two draws of p_data | wall (s) | CPU (s) |")
    print("|---|---|---|---|---|---|")
    scores = []
    for seed in seeds:
        folder = runs / f"mixture-{seed}"
        clock = trained(folder, seed, words)
        of = measured(folder, n)
        scores.append(of["raw"])
        row = f"{of['raw']:.5f} | {of['averaged']:.5f} | {of['p_data']:.5f}"
        print(f"| {seed} | {row} | {clock['wall']:.0f} | {clock['cpu']:.0f} |", flush=True)
    good = sum(score < ENOUGH for score in scores)
    print(f"\n{good} of {len(seeds)} below {ENOUGH} nats (raw G); the worst {max(scores):.5f}.")


def trained(folder: Path, seed: int, words: str) -> dict[str, float]:
    """Train one run, or find it; what it cost is kept beside it."""
    kept = folder / "cost.json"
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted benchmark has left
        wall, cpu = time.perf_counter(), time.process_time()
        where = ["--seed", str(seed), "--folder", str(folder)]
        if cli.main(["train", "mixture", *shlex.split(words), *where]) != 0:
            raise SystemExit(1)
        cost = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        kept.write_text(json.dumps(cost))
    found: dict[str, float] = json.loads(kept.read_text())
    return found


def measured(folder: Path, n: int) -> dict[str, float]:
    """The JSD of n fresh points of p_data with n samples, and with n other points of p_data."""
    run = advnets.load(folder, checkpoint="last")
    data, game, seed = run.config.data, run.learner, run.config.seed
    assert isinstance(data, MixtureConfig)
    assert isinstance(game, Game)
    x, other = (toy.draw(data, n, rng=generator(seed, "benchmark p_data", i)).x[:] for i in (0, 1))
    z = game.prior.sample(n, rng=generator(seed, "benchmark z"))
    drawn = {name: sampler.decode(z) for name, sampler in game.samplers().items()}
    p_data = histogram(x)
    return {k: JSD(p_data, histogram(v)).item() for k, v in (drawn | {"p_data": other}).items()}


def histogram(x: Tensor) -> Tensor:
    """The share of the points in each bin, `(BINS,)`, float64."""
    bins = torch.histc(x.clamp(LOW, HIGH).flatten(), BINS, LOW, HIGH)
    return bins.double() / len(x)


if __name__ == "__main__":
    main()

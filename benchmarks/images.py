"""A folder of pictures: how fast it is cached, what a step on it costs, what memory it takes.

    python benchmarks/images.py [--small 20000] [--large 200000] [--data PATH] [--quick]

Folders of tiny PNGs are made, each read in a process of its own, which caches it, draws an epoch of
minibatches and, the small one, plays the paper's MNIST pair on it. Anonymous memory (RssAnon of
/proc/self/status: what is not a file's) is looked at every 10 ms, and its peak counts. A step is
timed in turn with one on the same array held in memory, by the wall and by the processor's clock;
the minibatches alone are timed as well, because a busy machine hides them in a step. `--data` reads
a folder or zip of your own in place of the small one. `--quick` (CI) makes 200 and 2,000.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from advnets import GameConfig
from advnets.base.cpu import processor
from advnets.base.protocols import Learner, Problem
from advnets.base.rng import generator
from advnets.data import Batches, ImagesConfig, Split, load
from advnets.runs import registry, same_run

MB = 2**20
BATCH = 100


def main() -> None:
    """Make the folders, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", type=int, default=20_000, help="pictures in the small folder")
    parser.add_argument("--large", type=int, default=200_000, help="pictures in the large one")
    parser.add_argument("--data", help="a folder or zip in place of the small one")
    parser.add_argument("--steps", type=int, default=100, help="steps that are timed, 0 for none")
    parser.add_argument("--quick", action="store_true", help="200 and 2,000 pictures, 2 steps")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*options.child, steps=options.steps)))
        return
    small, large = (200, 2_000) if options.quick else (options.small, options.large)
    steps = 2 if options.quick else options.steps
    print(f"{processor().name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    peaks = []
    with tempfile.TemporaryDirectory() as scratch:
        for n, timed in ((small, steps), (large, 0)):
            own = options.data if n == small else None
            facts = apart(Path(own) if own else synthesise(Path(scratch, f"{n}"), n), timed)
            peaks.append(facts["peak"])
            show(facts)
    print(f"anonymous memory, large less small: {(peaks[1] - peaks[0]) / MB:.1f} MB")


def synthesise(folder: Path, n: int) -> Path:
    """A folder of n PNGs of 8 x 8 in ten classes: 64 different ones under many names."""
    dice = np.random.default_rng(0)
    folder.mkdir()
    different = []
    for i in range(64):
        path = folder.with_suffix(f".{i}.png")
        Image.fromarray(dice.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        different.append(path.read_bytes())
    for c in range(10):
        (folder / f"class{c}").mkdir()
    for i in range(n):
        (folder / f"class{i % 10}" / f"picture-{i:07d}.png").write_bytes(different[i % 64])
    return folder


def apart(folder: Path, steps: int) -> dict[str, float]:
    """The measurements of one folder, made in a new process with a new cache."""
    with tempfile.TemporaryDirectory() as cache:
        words = [sys.executable, __file__, "--child", str(folder), cache, "--steps", str(steps)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    facts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return facts


def measure(folder: str, cache: str, *, steps: int) -> dict[str, float]:
    """Cache a folder, open the cache, draw an epoch, time some steps."""
    config = ImagesConfig(path=folder, cache=cache)
    facts: dict[str, float] = {"before": anonymous()}
    with watched(facts):
        wall, cpu = time.perf_counter(), time.process_time()
        splits = load(config, seed=0)
        n = sum(len(part) for part in (splits.train, splits.validation, splits.test))
        facts |= {"n": n, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        wall = time.perf_counter()
        splits = load(config, seed=0)
        facts["again"] = time.perf_counter() - wall
        same_run.describe(splits)  # as at the start of every run
        facts["first"] = time.perf_counter() - wall
        batches = Batches(splits.train, size=BATCH, seed=0)
        for i in range(batches.per_epoch):
            batches[i]
    if steps:
        held = Batches(Split(splits.train.x[:], splits.train.context), size=BATCH, seed=0)
        facts |= compare(batches, held, steps)
    return facts


def compare(mapped: Batches, held: Batches, steps: int) -> dict[str, float]:
    """Median seconds of a step, and of its minibatch alone, with the data in its file and held."""
    players = {"mapped": (mapped, game(mapped)), "held": (held, game(held))}
    wall: dict[str, list[float]] = {name: [] for name in players}
    cpu: dict[str, list[float]] = {name: [] for name in players}
    alone: dict[str, list[float]] = {name: [] for name in players}
    for i in range(steps):
        for name, (batches, (learner, rng)) in players.items():
            began, clock = time.perf_counter(), time.process_time()
            batch = batches[i]
            alone[name].append(time.process_time() - clock)
            learner.step((batch,), rng=rng)
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - clock)
    timed = {"step": wall, "step_cpu": cpu, "batch_cpu": alone}
    return {f"{k}_{n}": statistics.median(v[n]) for k, v in timed.items() for n in players}


def game(batches: Batches) -> tuple[Learner, torch.Generator]:
    """The paper's MNIST pair on these pictures, and its noise."""
    x = batches[0].x
    problem = Problem(
        event_shape=tuple(x.shape[1:]),
        low=0.0,
        high=1.0,
        mean=x.mean(dim=0),
        batches_per_epoch=batches.per_epoch,
        steps=1_000,
    )
    return registry.build(GameConfig(), problem, seed=0), generator(0, "noise")


@contextlib.contextmanager
def watched(facts: dict[str, float]) -> Iterator[None]:
    """Inside, the peak of anonymous memory is kept in `facts`."""
    over, peak = threading.Event(), [anonymous()]

    def look() -> None:
        while not over.wait(0.01):
            peak[0] = max(peak[0], anonymous())

    thread = threading.Thread(target=look)
    thread.start()
    yield
    over.set()
    thread.join()
    facts["peak"] = max(peak[0], anonymous())


def anonymous() -> float:
    """Bytes of this process that are in memory and not a file's (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024


def show(facts: dict[str, float]) -> None:
    """A folder's measurements in words."""
    n = facts["n"]
    print(
        f"{n:,.0f} pictures: cached in {facts['wall']:.1f} s, {n / facts['wall']:,.0f} a second, "
        f"{facts['cpu'] / n * 1000:.3f} s of processor time per 1,000; with the cache there "
        f"{facts['again']:.2f} s to open, {facts['first']:.2f} s to the first step; "
        f"anonymous memory {facts['before'] / MB:.1f} MB before, "
        f"{facts['peak'] / MB:.1f} MB at most"
    )
    for key, what in (
        ("step", "a step"),
        ("step_cpu", "its processor time"),
        ("batch_cpu", "of which the minibatch"),
    ):
        if f"{key}_held" in facts:
            mapped, held = facts[f"{key}_mapped"] * 1e3, facts[f"{key}_held"] * 1e3
            print(f"  {what}: {mapped:.3f} ms from the file, {held:.3f} ms from memory")


if __name__ == "__main__":
    main()

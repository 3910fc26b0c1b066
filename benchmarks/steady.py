"""One long run of our game: does it slow down, does it grow?

The machine's clock drifts by more than what is to be seen, so a late update cannot be compared with
an early one of an hour ago. The same run is therefore played twice, each in a process of its own,
bit for bit the same: one process stands at update 20,000 when the other one comes to 1,000, and
from there they take turns, a few updates each, and are compared pair by pair. `speed.py --steady`
starts it. The run is the game's steps, in bfloat16 for the sake of time, on the real MNIST where it
is at hand: its border pixels never move, and what belongs to them decays towards subnormal numbers.
"""

import random
import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from entrants import images, ours
from peers import WARM_UP, Rival, Sizes
from runners import Runner, running

from advnets.data import MnistConfig, load


@dataclass(frozen=True)
class Plan:
    """The middles of the two windows, and the updates of a window and of a turn in it."""

    early: int = 1_000
    late: int = 20_000
    window: int = 1_200
    turn: int = 30


QUICK = Plan(early=40, late=80, window=40, turn=10)


def steady(s: Sizes, root: Path, threads: int, *, quick: bool) -> dict[str, Any]:
    """One run twice, its speed and memory around an early update and around a late one."""
    plan = QUICK if quick else Plan()
    build = partial(long_run, s, None if quick or not root.exists() else root)
    middles = (plan.early, plan.late)
    with running({str(middle): build for middle in middles}, threads) as runners:
        runs = {middle: runners[str(middle)] for middle in middles}
        for middle, run in runs.items():
            run.ready()
            play(run, middle - plan.window // 2)
        seconds = turns(runs, plan)
        memory = {middle: run.resident_megabytes() for middle, run in runs.items()}
    for middle in middles:
        rate = statistics.median(plan.turn / t for t in seconds[middle])
        print(f"around update {middle:,}: {rate:.1f} updates/s, memory {memory[middle]:.1f} MB")
    pairs = zip(seconds[plan.early], seconds[plan.late], strict=True)
    ratios = sorted(early / late for early, late in pairs)
    low, median, high = statistics.quantiles(ratios, n=4)
    growth = memory[plan.late] / memory[plan.early]
    print(
        f"late / early: speed {median:.3f} (half of the {len(ratios)} pairs from {low:.3f} to "
        f"{high:.3f}), memory {growth:.4f}"
    )
    return {"steady": {"seconds": seconds, "MB": memory, "speed": median, "memory": growth}}


def turns(runs: dict[int, Runner], plan: Plan) -> dict[int, list[float]]:
    """Seconds of every turn, of each run."""
    dice, names = random.Random(0), list(runs)
    seconds: dict[int, list[float]] = {name: [] for name in names}
    for _ in range(plan.window // plan.turn):
        for name in dice.sample(names, len(names)):
            seconds[name].append(play(runs[name], plan.turn))
    return seconds


def play(run: Runner, updates: int) -> float:
    """The next updates, the first few of them untimed: seconds as if all had been timed."""
    timed = updates - WARM_UP
    return run.burst(timed) * updates / timed


def long_run(s: Sizes, root: Path | None) -> Rival:
    """Our game on MNIST in that folder, or on random images."""
    x = images(s)
    if root is not None:
        x = load(MnistConfig(root=str(root)), seed=0).train.x[:].flatten(1)
    return ours(s, x, "simultaneous", "bfloat16")

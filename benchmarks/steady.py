"""One long run of our game: does it slow down, does it grow?

The machine's clock drifts by more than what is to be seen. So within a window a yardstick follows
every few updates, some products of two square matrices, and beside the updates per second stands
how many updates go into the time of one such product. `speed.py --steady` starts it. The run is the
game's steps, in bfloat16 for the sake of time, on the real MNIST where it is at hand: its border
pixels never move, and what belongs to them decays towards subnormal numbers.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import truediv
from pathlib import Path
from typing import Any

import torch
from entrants import Ours, images
from peers import Sizes

from advnets.data import MnistConfig, load

PRODUCTS = 20  # of a yardstick


@dataclass(frozen=True)
class Plan:
    """The middles of the two windows, and the updates of a window, of a part of it, of the run."""

    early: int = 1_000
    late: int = 20_000
    window: int = 500
    part: int = 50
    total: int = 21_000


@dataclass(frozen=True)
class Seen:
    """What a window showed, its rates being medians over its parts."""

    updates_per_second: float
    products_per_second: float
    updates_per_product: float
    MB: float

    def over(self, other: "Seen") -> dict[str, float]:
        """Everything as a multiple of another window's."""
        return {name: value / asdict(other)[name] for name, value in asdict(self).items()}


def steady(s: Sizes, root: Path, *, quick: bool) -> dict[str, Any]:
    """One run, its speed and memory around an early update and around a late one."""
    plan = Plan(early=10, late=30, window=10, part=5, total=40) if quick else Plan()
    real = not quick and root.exists()
    x = load(MnistConfig(root=str(root)), seed=0).train.x[:].flatten(1) if real else images(s)
    game = Ours(s, x, "simultaneous", "bfloat16")
    measure = yardstick(s.hidden)
    print(f"yardstick: {PRODUCTS} products of {s.hidden} x {s.hidden} every {plan.part} updates")
    seen = {}
    for middle in (plan.early, plan.late):
        game.play(middle - plan.window // 2 - game.played)
        seen[middle] = window(game, measure, plan)
        print(f"around update {middle:,}: {line(asdict(seen[middle]))}", flush=True)
    change = seen[plan.late].over(seen[plan.early])
    print(f"late / early: {line(change, unit='')} (windows of {plan.window} updates)")
    game.play(plan.total - game.played)
    print(f"after {game.played:,} updates: {resident_megabytes():.1f} MB")
    return {"steady": {middle: asdict(one) for middle, one in seen.items()} | {"ratio": change}}


def window(game: Ours, measure: Callable[[], None], plan: Plan) -> Seen:
    """Play a window, measured part by part against the yardstick."""
    updates, products = [], []
    for _ in range(plan.window // plan.part):
        updates.append(plan.part / seconds(lambda: game.play(plan.part)))
        products.append(PRODUCTS / seconds(measure))
    return Seen(
        updates_per_second=statistics.median(updates),
        products_per_second=statistics.median(products),
        updates_per_product=statistics.median(map(truediv, updates, products)),
        MB=resident_megabytes(),
    )


def yardstick(side: int) -> Callable[[], None]:
    """Float32 products of two square matrices, into memory of their own."""
    a, b = torch.rand(2, side, side, generator=torch.Generator().manual_seed(0))
    out = torch.empty(side, side)

    def measure() -> None:
        for _ in range(PRODUCTS):
            torch.mm(a, b, out=out)

    measure()
    return measure


def seconds(job: Callable[[], None]) -> float:
    """Wall-clock seconds that a job takes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def line(numbers: dict[str, float], *, unit: str = " MB") -> str:
    """A window's numbers, or their ratios."""
    return (
        f"{numbers['updates_per_second']:.3g} updates/s, "
        f"{numbers['products_per_second']:.3g} products/s, "
        f"{numbers['updates_per_product']:.4f} updates a product, "
        f"memory {numbers['MB']:.5g}{unit}"
    )


def resident_megabytes() -> float:
    """The memory that this process holds now (VmRSS; nan where there is no /proc)."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    sizes = [float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
    return sizes[0] if sizes else math.nan

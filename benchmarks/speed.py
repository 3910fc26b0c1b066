"""Updates per second on the published MNIST pair: ours, what others would use, the bare products.

    python benchmarks/speed.py [--rounds N] [--updates N] [--only WORDS] [--json FILE] [--quick]
    python benchmarks/speed.py --steady     (one long run of ours: does it slow down, does it grow?)

Everybody is built first. Then come interleaved rounds, each in an order of its own, in which
everybody plays a burst; the first round is thrown away. Speeds are medians over the other rounds;
ratios are computed round by round before their median is taken. The training images are 50,000
random ones in memory. Denormal numbers are flushed to zero in every torch row. The peers
(`peers.py`, `peer_jax.py`) come with `pip install 'advnets[bench]'`; the bare products are
`products.py`. `--quick` (CI) cuts every size by ten and plays two rounds of three updates.
"""

import argparse
import json
import math
import os
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

import peers
import torch
from peers import Rival, Sizes, count
from products import LAYOUTS, ORDERS, PRECISIONS, IdealStep, Order, Precision
from torch import Tensor

import advnets
from advnets.environment import commit, processor
from advnets.protocols import Problem

PLAIN, OURS, PRODUCTS, WITH_PASS = "plain PyTorch", "ours", "products", "products + pass"
PEERS = {"lightning": "lightning", "pytorch-ignite": "ignite", "jax": "jax"}
Rates = dict[str, list[float]]
Kind = tuple[Order, Precision]


def main() -> None:
    """Print the table, or the long run."""
    torch.set_flush_denormal(True)  # before any thread starts: threads inherit it
    options = parsed()
    torch.set_num_threads(options.threads)
    os.environ["NPROC"] = str(options.threads)  # how many threads XLA takes
    s = Sizes().tenth() if options.quick else Sizes()
    x = torch.rand(s.examples, s.pixels, generator=torch.Generator().manual_seed(0))
    facts = machine()
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    if options.steady:
        numbers = steady(Ours(s, x, "simultaneous", "float32"), quick=options.quick)
    else:
        numbers = race(s, x, options)
    if options.json:
        options.json.write_text(json.dumps({"machine": facts} | numbers, indent=2) + "\n")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="the first is thrown away")
    parser.add_argument("--updates", type=int, default=60, help="updates of a burst")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORDS", help="rows with one of these in a name"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layout", choices=LAYOUTS, default="linear", help="of the bare products")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the numbers")
    parser.add_argument("--steady", action="store_true", help="one run of 21,000 updates instead")
    parser.add_argument("--quick", action="store_true", help="sizes / 10, 2 rounds of 3 updates")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.updates = 2, 3
    if options.rounds < 2:
        parser.error("--rounds: at least 2, since the first is thrown away")
    return options


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text(encoding="utf-8").split()) if cpuinfo.exists() else set()
    packages = ("advnets", "torch", *PEERS)
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "bfloat16 instructions": sorted(flags & {"avx512_bf16", "amx_bf16"}) or "none",
        "versions": {p: metadata.version(p) for p in packages if peers.installed(PEERS.get(p, p))},
        "commit": commit(),
        "denormals": "flushed to zero in every torch row",
    }


class Ours:
    """Our game, of either order and precision."""

    def __init__(self, s: Sizes, x: Tensor, order: Order, precision: Precision) -> None:
        config = advnets.GameConfig(
            order=order,
            precision=precision,
            z_dim=s.z,
            G=advnets.GeneratorConfig(hidden=(s.hidden, s.hidden), bias_from_marginals=False),
            D=advnets.DiscriminatorConfig(units=(s.units, s.units), pieces=peers.PIECES),
        )
        problem = Problem(
            event_shape=(s.pixels,),
            low=0.0,
            high=1.0,
            mean=x.mean(dim=0),
            batches_per_epoch=s.examples // s.batch,
            steps=50_000,
        )
        self.game = advnets.Game.from_config(config, problem, seed=0)
        self.batches = advnets.Batches(x, size=s.batch, seed=0)
        self.rng = torch.Generator().manual_seed(0)
        self.played = 0

    def play(self, n: int) -> None:
        """The next n updates."""
        for i in range(self.played, self.played + n):
            self.game.step(self.batches.of_step(i, 1), rng=self.rng)
        self.played += n


def ours(s: Sizes, x: Tensor, order: Order, precision: Precision) -> Rival:
    """Our game in the race."""
    entry = Ours(s, x, order, precision)
    return Rival(peers.clocked(entry.play), count(entry.game.G, entry.game.D))


def race(s: Sizes, x: Tensor, options: argparse.Namespace) -> dict[str, Any]:
    """Build everybody, play the rounds, print the table; all numbers."""
    ideal = {kind: IdealStep(s, *kind, options.layout) for kind in product(ORDERS, PRECISIONS)}
    entries = entrants(s, x, ideal)
    wanted = [name for name in entries if any(word in name for word in options.only)]
    built = {n: entries[n]() for n in wanted if peers.installed(PEERS.get(n, "torch"))}
    parameters = {name: rival.parameters for name, rival in built.items()}
    assert len(set(parameters.values())) <= 1, parameters
    print(f"parameters, the same for everybody: {max(parameters.values(), default=0):,}")
    print(
        f"{options.rounds} rounds of {options.updates} updates of {s.batch} examples, "
        "the first round thrown away\n",
        flush=True,
    )
    rates = play(built, options.rounds, options.updates)
    flop = {" ".join(kind): step.flop for kind, step in ideal.items()}
    print("\n".join(table(wanted, rates, flop)))
    return {"updates_per_second": rates, "flop_per_step": flop, "parameters": parameters}


def entrants(s: Sizes, x: Tensor, ideal: dict[Kind, IdealStep]) -> dict[str, Callable[[], Rival]]:
    """How to build everybody, in the order of the table."""
    entries: dict[str, Callable[[], Rival]] = {
        PLAIN: lambda: peers.plain(s, x),
        f"{PLAIN}, D frozen": lambda: peers.plain(s, x, freeze=True),
        "lightning": lambda: peers.lightning(s, x),
        "pytorch-ignite": lambda: peers.ignite(s, x),
        "jax": lambda: jax_rival(s, x),
    }
    for kind in ideal:
        entries[f"{OURS} {' '.join(kind)}"] = partial(ours, s, x, *kind)
    for kind, step in ideal.items():
        entries[f"{PRODUCTS} {' '.join(kind)}"] = partial(step.rival, passes=False)
        entries[f"{WITH_PASS} {' '.join(kind)}"] = partial(step.rival, passes=True)
    return entries


def jax_rival(s: Sizes, x: Tensor) -> Rival:
    """The game in JAX, which is imported only where it is installed."""
    import peer_jax

    return peer_jax.rival(s, x)


def play(rivals: dict[str, Rival], rounds: int, updates: int) -> Rates:
    """Updates per second in every round but the first."""
    dice, names = random.Random(0), list(rivals)
    rates: Rates = {name: [] for name in names}
    for number in range(rounds):
        for name in dice.sample(names, len(names)):
            rate = updates / rivals[name].burst(updates)
            if number > 0:
                rates[name].append(rate)
    return rates


def table(names: list[str], rates: Rates, flop: dict[str, int]) -> list[str]:
    """The lines of the table."""
    at_peers = {n: statistics.median(r) for n, r in rates.items() if n in PEERS}
    best = max(at_peers, key=lambda n: at_peers[n], default="no peer")
    lines = [
        f"{'':42}{'updates/s':>10}{'min - max':>18}{'x plain':>9}{'x best':>8}{'time /':>11}",
        f"{'':42}{'(median)':>10}{'':>18}{'PyTorch':>9}{'peer':>8}{'floor':>11}",
    ]
    for name in names:
        if name not in rates:
            lines.append(f"{name:42}  not installed (pip install 'advnets[bench]')")
            continue
        speeds, (who, what) = rates[name], split(name)
        floor = f"{WITH_PASS} {what}" if who == OURS else ""
        spread = f"{min(speeds):.1f} - {max(speeds):.1f}"
        lines.append(
            f"{name:42}{statistics.median(speeds):10.1f}{spread:>18}"
            f"{ratio(rates, name, PLAIN):>9}"
            f"{ratio(rates, name, best) if who == OURS else '':>8}"
            f"{ratio(rates, floor, name) if floor else '':>11}"
            f"{rate_of(flop[what], speeds) if what in flop and who == PRODUCTS else ''}".rstrip()
        )
    return [
        *lines,
        f"\nbest peer: {best}; floor: '{WITH_PASS}' of the same order and precision",
    ]


def split(name: str) -> tuple[str, str]:
    """Who plays, and in which order and precision."""
    for who in (WITH_PASS, PRODUCTS, OURS):
        if name.startswith(who):
            return who, name.removeprefix(who).strip()
    return name, ""


def ratio(rates: Rates, ours: str, theirs: str) -> str:
    """How many times as fast, round by round, then the median."""
    if ours not in rates or theirs not in rates:
        return "-"
    pairs = zip(rates[ours], rates[theirs], strict=True)
    return f"{statistics.median(a / b for a, b in pairs):.2f}"


def rate_of(flop: int, speeds: list[float]) -> str:
    """What the products of a step come to."""
    return f"   {flop / 1e9:.3g} GFLOP, {flop * statistics.median(speeds) / 1e9:.0f} GFLOP/s"


def steady(entry: Ours, *, quick: bool) -> dict[str, Any]:
    """One run, its speed and memory around an early update and around a late one."""
    early, late, window, total = (10, 30, 10, 40) if quick else (1_000, 20_000, 500, 21_000)
    seen = {}
    for middle in (early, late):
        entry.play(middle - window // 2 - entry.played)
        began = time.perf_counter()
        entry.play(window)
        seen[middle] = window / (time.perf_counter() - began), resident_megabytes()
        speed, memory = seen[middle]
        print(f"around update {middle:,}: {speed:.1f} updates/s, {memory:.1f} MB", flush=True)
    entry.play(total - entry.played)
    speed, memory = (b / a for a, b in zip(seen[early], seen[late], strict=True))
    print(f"late / early: speed {speed:.3f}, memory {memory:.3f} (windows of {window} updates)")
    print(f"after {entry.played:,} updates: {resident_megabytes():.1f} MB")
    return {"steady": {m: {"updates_per_second": v, "MB": mb} for m, (v, mb) in seen.items()}}


def resident_megabytes() -> float:
    """The memory that this process holds now (VmRSS; nan where there is no /proc)."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    sizes = [float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
    return sizes[0] if sizes else math.nan


if __name__ == "__main__":
    main()

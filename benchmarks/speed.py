"""Updates per second on the published MNIST pair: ours, what others would use, the bare products.

    python benchmarks/speed.py [--rounds N] [--updates N] [--only WORDS] [--json FILE] [--quick]
    python benchmarks/speed.py --steady     (one long run of ours: does it slow down, does it grow?)

Everybody has a process of its own (`runners.py`), with 50,000 random training images in memory, and
is built first. Then come interleaved rounds, each in an order of its own, in which one after the
other plays a burst while the others sleep; the first round is thrown away. Seconds are wall clock.
Speeds are medians over the other rounds; ratios are computed round by round before their median is
taken. Denormal numbers are flushed to zero in every torch row. The rows are `entrants.py`; the
peers (`peers.py`, `peer_jax.py`) come with `pip install 'advnets[bench]'`; the bare products are
`products.py`, the long run is `steady.py`. `--quick` (CI) cuts every size by ten and plays two
rounds of three updates, ours in one order and precision. A row that fails says why, and the exit
code is 1.
"""

import argparse
import json
import os
import random
import statistics
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import peers
import torch
from entrants import OURS, PEERS, PLAIN, PRODUCTS, WITH_PASS, entrants, split
from peers import Sizes
from products import LAYOUTS
from runners import Runner, RunnerFailed, running
from steady import steady

from advnets.base.cpu import processor
from advnets.storage.environment import commit

Rates = dict[str, list[float]]
Reasons = dict[str, str]  # why a row has no rates


def main() -> None:
    """Print the table, or the long run."""
    torch.set_flush_denormal(True)
    options = parsed()
    torch.set_num_threads(options.threads)
    os.environ["NPROC"] = str(options.threads)  # how many threads XLA takes
    s = Sizes().tenth() if options.quick else Sizes()
    facts = machine()
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    numbers = long_run(s, options) if options.steady else race(s, options)
    if options.json:
        options.json.write_text(json.dumps({"machine": facts} | numbers, indent=2) + "\n")
    if numbers.get("failed"):
        sys.exit(1)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--rounds", type=int, default=7, help="the first is thrown away")
    add("--updates", type=int, default=60, help="updates of a burst")
    add("--only", nargs="+", default=[""], metavar="WORDS", help="rows with one of these in a name")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--layout", choices=LAYOUTS, default="quickest", help="of the bare products")
    add("--json", type=Path, metavar="FILE", help="where to write the numbers")
    add("--root", type=Path, default=Path("mnist"), help="MNIST, for --steady")
    add("--steady", action="store_true", help="a run's update 20,000 against its 1,000 instead")
    add("--quick", action="store_true", help="sizes / 10, one order and precision of ours")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.updates = 2, 3
        if options.only == [""]:
            options.only = [PLAIN, *PEERS, "alternating float32"]
    if options.rounds < 2:
        parser.error("--rounds: at least 2, since the first is thrown away")
    return options


def machine() -> dict[str, Any]:
    """What the numbers were taken on, and how."""
    packages = ("advnets", "torch", *PEERS)
    return {
        "processor": processor().name,
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "bfloat16 instructions": sorted(processor().flags & {"avx512_bf16", "amx_bf16"}) or "none",
        "versions": {p: metadata.version(p) for p in packages if peers.installed(PEERS.get(p, p))},
        "commit": commit(),
        "denormals": "flushed to zero in every torch row",
        "seconds": "wall clock",
    }


def long_run(s: Sizes, options: argparse.Namespace) -> dict[str, Any]:
    """Our game at an early update and at a late one; all numbers."""
    try:
        return steady(s, options.root, options.threads, quick=options.quick)
    except RunnerFailed as error:
        print(f"ours failed: {error}")
        return {"failed": {OURS: str(error)}}


def race(s: Sizes, options: argparse.Namespace) -> dict[str, Any]:
    """Start everybody, play the rounds, print the table; all numbers."""
    entries = entrants(s, options.layout)
    wanted = [name for name in entries if any(word in name for word in options.only)]
    present = {n: entries[n] for n in wanted if peers.installed(PEERS.get(n, "torch"))}
    missing = "not installed (pip install 'advnets[bench]')"
    failed: Reasons = {}
    with running(present, options.threads) as runners:
        sizes = built(runners, failed)
        parameters = {name: size for name, (size, _) in sizes.items()}
        assert len(set(parameters.values())) <= 1, parameters
        print(f"parameters, the same for everybody: {max(parameters.values(), default=0):,}")
        print(
            f"{options.rounds} rounds of {options.updates} updates of {s.batch} examples, "
            "everybody in a process of its own, the first round thrown away\n",
            flush=True,
        )
        rates = play(runners, options.rounds, options.updates, failed)
    flop = {split(name)[1]: flop for name, (_, flop) in sizes.items() if flop}
    reasons = {n: missing for n in wanted if n not in present}
    reasons |= {name: f"failed: {reason}" for name, reason in failed.items()}
    print("\n".join(table(wanted, rates, flop, reasons)))
    return {
        "updates_per_second": rates,
        "flop_per_step": flop,
        "parameters": parameters,
        "failed": failed,
    }


def built(runners: dict[str, Runner], failed: Reasons) -> dict[str, tuple[int, int]]:
    """Everybody's parameters and FLOP, once all of them stand ready."""
    sizes = {}
    for name, runner in runners.items():
        try:
            sizes[name] = runner.ready()
        except RunnerFailed as error:
            failed[name] = str(error)
    return sizes


def play(runners: dict[str, Runner], rounds: int, updates: int, failed: Reasons) -> Rates:
    """Updates per second in every round but the first, of those who got through all of them."""
    dice, names = random.Random(0), list(runners)
    rates: Rates = {name: [] for name in names}
    for number in range(rounds):
        for name in dice.sample(names, len(names)):
            if name in failed:
                continue
            try:
                rate = updates / runners[name].burst(updates)
            except RunnerFailed as error:
                failed[name] = str(error)
                continue
            if number > 0:
                rates[name].append(rate)
    return {name: rate for name, rate in rates.items() if name not in failed}


def table(names: list[str], rates: Rates, flop: dict[str, int], reasons: Reasons) -> list[str]:
    """The lines of the table."""
    at_peers = {n: statistics.median(r) for n, r in rates.items() if n in PEERS}
    best = max(at_peers, key=lambda n: at_peers[n], default="no peer")
    return [
        f"{'':42}{'updates/s':>10}{'min - max':>18}{'x plain':>9}{'x best':>8}{'time /':>11}",
        f"{'':42}{'(median)':>10}{'':>18}{'PyTorch':>9}{'peer':>8}{'floor':>11}",
        *(
            f"{n:42}  {reasons[n]}" if n in reasons else row(n, rates, best, flop.get(split(n)[1]))
            for n in names
        ),
        f"\nbest peer: {best}; floor: '{WITH_PASS}' of the same order and precision; "
        "seconds are wall clock",
    ]


def row(name: str, rates: Rates, best: str, flop: int | None) -> str:
    """A line of the table."""
    speeds, (who, what) = rates[name], split(name)
    floor = f"{WITH_PASS} {what}" if who == OURS else ""
    return (
        f"{name:42}{statistics.median(speeds):10.1f}"
        f"{f'{min(speeds):.1f} - {max(speeds):.1f}':>18}"
        f"{ratio(rates, name, PLAIN):>9}"
        f"{ratio(rates, name, best) if who == OURS else '':>8}"
        f"{ratio(rates, floor, name) if floor else '':>11}"
        f"{rate_of(flop, speeds) if flop and who == PRODUCTS else ''}"
    ).rstrip()


def ratio(rates: Rates, ours: str, theirs: str) -> str:
    """How many times as fast, round by round, then the median."""
    if ours not in rates or theirs not in rates:
        return "-"
    pairs = zip(rates[ours], rates[theirs], strict=True)
    return f"{statistics.median(a / b for a, b in pairs):.2f}"


def rate_of(flop: int, speeds: list[float]) -> str:
    """What the products of a step come to."""
    return f"   {flop / 1e9:.3g} GFLOP, {flop * statistics.median(speeds) / 1e9:.0f} GFLOP/s"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # the processes are gone by now
        sys.exit(130)

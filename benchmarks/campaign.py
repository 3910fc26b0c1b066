"""Test runs against kills, malformed inputs, failing writes, long training and sharing.

    python benchmarks/campaign.py [PART ...] [--quick] [--seed 0] [--minutes 60] [--out TABLE.md]

    kills      1,000 SIGKILLs at random moments of training, evaluation, report, export, sampling;
               each command is then repeated, and ends with the files of an uninterrupted one
    malformed  300 malformed files, folders and options: one line and exit code 2, a warning, or
               the result of another valid input
    writes     every write of a command fails in turn: with ENOSPC all later ones too, with EIO once
    growth     50,000 updates, during which threads and descriptors do not grow, and memory by
               at most 4 MiB
    sharing    two commands at the same time in one folder, or with one cache

Commands run in children that are forked from this process after it has imported torch, so that
none of them imports it again. The exit code is 1 where a fault is found; then the files of the
faults are kept, and their folder is printed. `--quick` (CI) plays a little of each part.
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import failing_library

os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Plan:
    """The settings of a part.

    Attributes:
        top: A scratch folder, with undamaged files in `real`.
        seed: Of all random choices.
        until: The time (monotonic) after which nothing new is begun.
        quick: Whether to play only a few cases.
        kills: The number of kills in the part `kills`.
        kinds: The kinds of commands that are killed; all by default.
    """

    top: Path
    seed: int
    until: float
    quick: bool
    kills: int
    kinds: tuple[str, ...]


@dataclass
class Result:
    """A part's table: headings, rows, and the faults found."""

    heading: list[str]
    rows: list[list[object]]
    faults: list[str] = field(default_factory=list)


def main() -> None:
    """Play the parts that are named, or all."""
    options = _options()
    parts = options.parts or [*PARTS]
    if "writes" in parts:  # starts this program again, before torch is imported
        failing_library.preload()
    top = Path(tempfile.mkdtemp(prefix="campaign"))
    import forked
    import real_files

    forked.prepare(top / "cache")
    begun = time.monotonic()
    results = {}
    real_files.write(top / "real")
    for part in parts:
        until = begun + 60 * options.minutes
        plan = Plan(top, options.seed, until, options.quick, options.kills, tuple(options.kinds))
        results[part] = PARTS[part](plan)
        print(table(part, results[part]), flush=True)
    report = written(results, time.monotonic() - begun, forked.cpu_seconds())
    print(report.partition("\n\n")[0])
    if options.out:
        options.out.write_text(report)
    if any(result.faults for result in results.values()):
        sys.exit(f"Faults. Their files are kept in {top}.")
    shutil.rmtree(top)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="all by default")
    parser.add_argument("--quick", action="store_true", help="a little of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="no case begins later")
    parser.add_argument("--kills", type=int, default=1_000, help="number of kills (part kills)")
    parser.add_argument("--kinds", nargs="*", default=(), help="kinds of commands to kill")
    parser.add_argument("--out", type=Path, help="a Markdown file for the tables")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"PART must be one of {', '.join(PARTS)}, got {unknown[0]}")
    return options


# The parts


def kills(plan: Plan) -> Result:
    """Kills by kind of command and by what it was doing."""
    import kill

    n = 8 if plan.quick else plan.kills
    kinds = ("game", "images", "evaluation", "export") if plan.quick else plan.kinds
    tally = kill.play(plan.top, kills=n, seed=plan.seed, until=plan.until, kinds=kinds)
    if tally.total() < n:
        print(f"Time limit reached after {tally.total()} of {n} kills.")
    rows = [
        [kind, tally.rounds[kind], sum(moments.values()), *(moments[m] for m in kill.MOMENTS)]
        for kind, moments in tally.kills.items()
    ]
    return Result(["kind", "commands", "kills", *kill.MOMENTS], with_sum(rows), tally.faults)


def malformed(plan: Plan) -> Result:
    """Malformed inputs by kind."""
    import malformed

    cases = 14 if plan.quick else 300
    found = malformed.play(plan.top, cases=cases, seed=plan.seed, until=plan.until)
    for line in found.different:
        print(line)
    rows = [
        [kind, sum(ends.values()), *(ends[end] for end in malformed.ENDS)]
        for kind, ends in found.ends.items()
    ]
    return Result(["kind", "inputs", *malformed.ENDS], with_sum(rows), found.faults)


def writes(plan: Plan) -> Result:
    """Failing writes by command."""
    import failing_writes

    heading = ["command", "writes that failed", "refused", "warned"]
    if not failing_library.preloaded():
        return Result(heading, [["not played: no C compiler found", 0, 0, 0]])
    found = failing_writes.play(plan.top, quick=plan.quick, seed=plan.seed, until=plan.until)
    rows = [
        [f"{name}, {failure}", sum(ends.values()), ends["refused"], ends["warned"]]
        for (name, failure), ends in found.ends.items()
    ]
    return Result(heading, with_sum(rows), found.faults)


def growth(plan: Plan) -> Result:
    """Memory, threads and descriptors by update."""
    import growth

    measured, faults = growth.play(plan.top, quick=plan.quick)
    rows: list[list[object]] = [
        [m["update"], f"{m['bytes'] / 2**20:.1f}", m["threads"], m["descriptors"]] for m in measured
    ]
    return Result(["update", "resident MiB", "threads", "descriptors"], rows, faults)


def sharing(plan: Plan) -> Result:
    """Exit codes of two commands at the same time."""
    import sharing

    rounds = 1 if plan.quick else 8
    quick = plan.quick
    found = sharing.play(plan.top, rounds=rounds, seed=plan.seed, until=plan.until, quick=quick)
    rows: list[list[object]] = [
        [name, sum(ends.values()), ", ".join(f"{codes}: {n}" for codes, n in ends.items())]
        for name, ends in found.ends.items()
    ]
    return Result(["at the same time", "played", "exit codes"], rows, found.faults)


PARTS = {
    "kills": kills,
    "malformed": malformed,
    "writes": writes,
    "growth": growth,
    "sharing": sharing,
}


# The report


def with_sum(rows: list[list[object]]) -> list[list[object]]:
    """The rows, and the sum of their numbers."""
    columns = list(zip(*rows, strict=True))[1:]
    total = [sum(n for n in column if isinstance(n, int)) for column in columns]
    return [*rows, ["all", *total]]


def table(part: str, result: Result) -> str:
    """A part's results in Markdown."""
    lines = [f"## {part}", "", *_table(result)]
    lines += ["", f"Faults: {len(result.faults)}."]
    return "\n".join([*lines, *(f"- {fault}" for fault in result.faults), ""])


def _table(result: Result) -> list[str]:
    head = [f"| {' | '.join(result.heading)} |", "|" + "---|" * len(result.heading)]
    rows = (
        f"| {' | '.join(f'{n:,}' if isinstance(n, int) else str(n) for n in row)} |"
        for row in result.rows
    )
    return [*head, *rows]


def written(results: dict[str, Result], seconds: float, cpu: float) -> str:
    """The command, the commit, the machine and the tables, in Markdown."""
    from advnets.base.cpu import processor

    command = shlex.join(["python", *sys.argv])
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{os.cpu_count()} cores of {processor().name}, Python {platform.python_version()}"
    spent = f"{seconds / 60:.0f} minutes, {cpu:.0f} s of processor time"
    first = f"`{command}`, commit {commit}, {machine}: {spent}."
    return "\n\n".join([first, *(table(part, result) for part, result in results.items())])


if __name__ == "__main__":
    main()

"""Is it still the same game? Every recipe, played in another commit and in this tree, bit for bit.

    python benchmarks/same_game.py [--against COMMIT] [--quick] [--only NAME ...] [--updates N]

Both trees play the rows of `same_game_rows.py` on one machine, each in processes of its own with
one thread: tiny networks on synthetic data, both orders and precisions, eager and compiled, resumed
in the middle, begun by the other commit and ended here, and in two processes. Four parts of each
row are compared: all tensors of the last checkpoint, the numbers of metrics.jsonl, samples of a
fixed seed, and G at a fixed z ("decoded"). A distance is a tensor's largest absolute difference,
and in brackets that as a share of the tensor's largest value; the tensor that is named has the
largest share. "5 of 20" are the tensors that differ.

`same_game.toml` names the commit that is the default, and the rows that may differ from it. Exit
status: 0, 1 where a row differs that may not, 2 where nothing could be compared.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import same_game_rows
import torch
from safetensors.torch import load_file
from same_game_rows import ABSENT, FAILED, Row, last_checkpoint, rows, samples_file, write_data
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
KNOWN = Path(__file__).with_name("same_game.toml")
PARTS = ("weights", "metrics", "samples", "decoded")
PATIENCE = 1_800.0  # seconds that one wave of processes has


class CannotCompare(Exception):
    """Nothing can be compared; the message is one line for the user."""


@dataclass(frozen=True)
class Difference:
    """How two sets of tensors differ."""

    tensors: int
    """Tensors that differ ..."""
    of: int
    """... of so many."""
    where: str
    """The one with the largest relative distance."""
    absolute: float
    """Its largest absolute difference; infinity where it has no partner of its type and shape."""
    relative: float
    """That as a share of its largest absolute value."""

    def __str__(self) -> str:
        far = f"{self.absolute:.1e} ({self.relative:.1e})"
        return f"{far} in {self.where}; {self.tensors} of {self.of}"


@dataclass(frozen=True)
class Verdict:
    """What was found of one row."""

    row: str
    parts: Mapping[str, Difference | None]
    """None where a part is equal; a part that the model does not have is left out."""
    verdict: str
    fails: bool


class Tree(NamedTuple):
    """A checkout, and the folder for what is played in it."""

    src: Path
    out: Path


def compare(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Difference | None:
    """How far apart two sets of named tensors are; None where they are equal bit for bit."""
    names = a.keys() | b.keys()
    far = {name: distance(a.get(name), b.get(name)) for name in sorted(names)}
    differing = {name: d for name, d in far.items() if d is not None}
    if not differing:
        return None
    where = max(differing, key=lambda name: differing[name][::-1])
    return Difference(len(differing), len(names), where, *differing[where])


def distance(a: Tensor | None, b: Tensor | None) -> tuple[float, float] | None:
    """The largest absolute difference and its share of the largest value; None for equal bits."""
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return math.inf, math.inf
    if torch.equal(_bits(a), _bits(b)):
        return None
    absolute = (a.double() - b.double()).abs().max().item()
    largest = max(a.double().abs().max().item(), b.double().abs().max().item())
    return absolute, absolute / largest if absolute else 0.0


def _bits(t: Tensor) -> Tensor:
    return t.contiguous().reshape(-1).view(torch.uint8)


def metrics_of(path: Path) -> dict[str, Tensor]:
    """The numbers of a metrics.jsonl by dotted name, and the updates that each was logged at.

    Text, which only a warning has, is no metric.
    """
    columns: dict[str, list[tuple[int, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        for name, value in _numbers(record, ""):
            columns.setdefault(name, []).append((record["update"], value))
    tensors = {}
    for name, column in columns.items():
        updates, values = zip(*column, strict=True)
        tensors[name] = torch.tensor(values, dtype=torch.float64)
        tensors[f"updates of {name}"] = torch.tensor(updates)
    return tensors


def _numbers(record: Mapping[str, Any], at: str) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{at}{name}.")
        elif isinstance(value, int | float) and name != "update":
            yield at + name, value


def found(out: Path, row: str) -> dict[str, dict[str, Tensor]]:
    """All that is compared of a row, by part."""
    run, drawn = out / row / "run", load_file(samples_file(out, row))
    parts = {"weights": load_file(last_checkpoint(run))}
    parts["metrics"] = metrics_of(run / "metrics.jsonl")
    return parts | {name: {name: x} for name, x in drawn.items()}


def judge(row: str, other: Path, here: Path, may_differ: Mapping[str, Any]) -> Verdict:
    """Compare a row of the two trees' folders.

    Args:
        row: Its name.
        other: What the other commit played.
        here: What this tree played.
        may_differ: The row's table of `same_game.toml`; empty where it must be equal.
    """
    for tree, out in (("in this tree", here), ("there", other)):
        if not samples_file(out, row).exists():
            absent, failed = out / row / ABSENT, out / row / FAILED
            if absent.exists() and out == other:
                return Verdict(row, {}, f"new: {absent.read_text()}", fails=False)
            why = [path.read_text() for path in (absent, failed) if path.exists()]
            reason = why[0] if why else "its process ended"
            return Verdict(row, {}, f"not played {tree}: {reason}", fails=True)
    a, b = found(other, row), found(here, row)
    parts = {name: compare(a.get(name, {}), b.get(name, {})) for name in PARTS if name in a | b}
    differing = {name: d for name, d in parts.items() if d is not None}
    far = [name for name, d in differing.items() if not d.relative <= may_differ.get(name, -1.0)]
    if far:
        return Verdict(row, parts, f"DIFFERS in {', '.join(far)}", fails=True)
    if differing:
        return Verdict(row, parts, f"may differ: {may_differ['reason']}", fails=False)
    return Verdict(row, parts, "equal, though listed" if may_differ else "equal", fails=False)


def read_known(path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """The commit of a `same_game.toml`, and its rows that may differ."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        commit, differs = str(table["commit"]), dict(table.get("differs", {}))
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise CannotCompare(f"{path}: {type(error).__name__}: {error}") from None
    names = {row.name for row in rows(2)}
    for name, entry in differs.items():
        if name not in names:
            raise CannotCompare(f"{path}: there is no row '{name}'")
        if "reason" not in entry or not entry.keys() <= {"reason", *PARTS}:
            raise CannotCompare(f"{path}: '{name}' needs a reason, and of {', '.join(PARTS)} any")
    return commit, differs


def git(*words: str) -> str:
    """What git says in this tree; '' where it refuses."""
    run = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else ""


def hash_of(commit: str) -> str:
    """The full hash of a commit. Raises `CannotCompare` where this clone does not have it."""
    full = git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    if not full:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
        hint = ", which is shallow: git fetch --unshallow" if shallow else ""
        raise CannotCompare(f"no commit '{commit}' in this clone{hint}")
    return full


@contextlib.contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """Inside, a worktree of a commit."""
    git("worktree", "add", "--detach", "--force", str(folder), commit)
    try:
        if not (folder / "src").is_dir():
            raise CannotCompare(f"git could not check out {commit} to {folder}")
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


def start(tree: Tree, chosen: Sequence[Row], *words: str, **joined: str) -> "subprocess.Popen[str]":
    """Start a process that plays these rows in a tree; `joined`: what `torchrun` would tell it."""
    environment = {name: v for name, v in os.environ.items() if name != "ADVNETS_DATA"}
    environment |= {"PYTHONPATH": str(tree.src), "OMP_NUM_THREADS": "1", **joined}
    names = [row.name for row in chosen]
    command = [sys.executable, same_game_rows.__file__, str(tree.out), *words, "--rows", *names]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, text=True)


def start_two(tree: Tree, chosen: Sequence[Row], *words: str) -> list["subprocess.Popen[str]"]:
    """Start two processes that play each row together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = min(free.getsockname()[1], 65_000)  # each row takes the next one
    joined = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    joined["MASTER_PORT"] = str(port)
    ranks = ({"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2))
    return [start(tree, chosen, *words, **joined, **rank) for rank in ranks]


def finish(processes: Sequence["subprocess.Popen[str]"]) -> None:
    """Wait for processes; where one is late, or we are interrupted, end them all."""
    deadline = time.monotonic() + PATIENCE
    try:
        for process in processes:
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        print(f"ended processes that took more than {PATIENCE:.0f} s", file=sys.stderr)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def play_both(other: Tree, here: Tree, chosen: Sequence[Row], *words: str) -> None:
    """Play rows in both trees: what needs one process side by side, then the rest."""
    alone = [row for row in chosen if row.mode != "two processes"]
    handed = [row for row in chosen if row.mode == "handed over"]
    own = [row for row in alone if row not in handed]
    two = [row for row in chosen if row.mode == "two processes"]
    first = [start(other, alone, *words)] if alone else []
    finish(first + ([start(here, own, *words)] if own else []))
    last = [start(here, handed, *words, "--begun", str(other.out))] if handed else []
    finish(last + (start_two(other, two, *words) if two else []))
    finish(start_two(here, two, *words) if two else [])


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in Markdown."""
    lines = [f"| row | {' | '.join(PARTS)} | |", "|---" * (len(PARTS) + 2) + "|"]
    for v in verdicts:
        cells = [str(v.parts[p] or "equal") if p in v.parts else "-" for p in PARTS]
        lines.append(f"| {v.row} | {' | '.join(cells)} | {v.verdict} |")
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", metavar="COMMIT", help="by default that of --known")
    parser.add_argument("--quick", action="store_true", help="30 updates, one compiled row")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="rows with one of these in them")
    parser.add_argument("--updates", type=int, help="of each row; 300 by default, at least 12")
    parser.add_argument("--known", type=Path, default=KNOWN, help="the rows that may differ")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go as well")
    return parser.parse_args()


def main() -> None:
    """Play, compare, print."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the worktree is removed then
    try:
        sys.exit(run(parsed()))
    except CannotCompare as error:
        print(f"same_game: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        signal.signal(signal.SIGTERM, before)


def run(options: argparse.Namespace) -> int:
    """Compare the trees; the exit status."""
    updates = options.updates or (30 if options.quick else 300)
    chosen = [row for row in rows(updates) if row.quick or not options.quick]
    if options.only:
        chosen = [row for row in chosen if any(word in row.name for word in options.only)]
    if updates < 12 or not chosen:
        raise CannotCompare("--updates below 12" if chosen else "--only names no row")
    known, differs = read_known(options.known)
    against = hash_of(options.against or known)
    if options.against and git("rev-parse", f"{known}^{{commit}}") != against:
        differs = {}  # they are what differs from another commit
    with tempfile.TemporaryDirectory(prefix="same_game.") as scratch:
        folder = Path(scratch)
        write_data(folder / "data")
        words = ("--data", str(folder / "data"), "--updates", str(updates))
        with checkout(against, folder / "tree") as root:
            other, here = Tree(root / "src", folder / "there"), Tree(ROOT / "src", folder / "here")
            play_both(other, here, chosen, *words)
        verdicts = [judge(r.name, other.out, here.out, differs.get(r.name, {})) for r in chosen]
    failed = sum(v.fails for v in verdicts)
    print(f"{updates} updates of each row, in {against} and in this tree\n\n{table(verdicts)}\n")
    print(f"{failed} of {len(verdicts)} rows differ." if failed else "No row differs that may not.")
    if options.json:
        found = {"against": against, "here": git("rev-parse", "HEAD"), "updates": updates}
        numbers = {**found, "rows": [dataclasses.asdict(v) for v in verdicts]}
        options.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    main()

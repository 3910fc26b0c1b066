"""Run commands on malformed inputs, and check how each ends.

Valid files are made once and then damaged at random (`malformed_cases`). A command may end so:

    refused    exit code 2 and one line
    warned     exit code 0, and a line says what was found damaged or left out
    unchanged  exit code 0, with the same files as from the undamaged input
    different  exit code 0, with other files: the damaged input is itself valid

Faults: a traceback, a hang, a signal, another exit code, more than one line, a file changed outside
the folder of the run, and damage to a file with a checksum that is not reported.
"""

import os
import random
import re
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import forked
from forked import HANG, Ended, Words, fork, start
from kill import contents, differences
from malformed_cases import KINDS, SMALL, Case, on_array, on_pictures, on_ring, wear

from advnets import cli
from advnets.data import ArrayConfig
from advnets.models.energy.rbm import RBMConfig
from advnets.runs.run_config import RunConfig

ENDS = ("refused", "warned", "unchanged", "different")
LONGEST = 400
"""Characters of a line, the path of a scratch folder included."""
WARNED = re.compile(
    r"damaged|left out|Using the newest|are not kept|could not|trained anew|Warning|no longer|"
    r"is another|nearly black|says little|unreadable|foreign|cannot"
)
"""Words of the lines that report a fault of an input."""


@dataclass
class Found:
    """How commands ended, by kind of input, and the faults found."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    """The cases that ended `different`, for a human to check."""


def play(top: Path, *, cases: int, seed: int, until: float) -> Found:
    """Damage valid files and run a command on each, until the time is up."""
    real = top / "real"
    end = fork(lambda: make(real), top).wait(10 * forked.LIMIT)
    assert end.code == 0, end.said
    whole = Whole(top)
    found = Found({kind: Counter() for kind in KINDS})
    for i in range(cases):
        if time.monotonic() > until:
            break
        kind = [*KINDS][i % len(KINDS)]
        one(top, kind, random.Random(f"{seed}/{i}"), i, whole, found)
    return found


def make(real: Path) -> int:
    """In a child: make tiny runs on several kinds of data, with scores and exports."""
    os.chdir(real)
    machine = RunConfig(
        recipe="rbm",
        batch_size=5,
        data=ArrayConfig(path=str(real / "x.npy")),
        model=RBMConfig(hidden=4),
    )
    Path("rbm.toml").write_text(machine.to_toml())
    runs = {
        "ring": on_ring()[1:-2],
        "array": on_array("x.npz")[1:-2],
        "images": on_pictures("pics")[1:-2],
        "rbm": ["rbm.toml", *SMALL],
    }
    commands = [["train", *words, "--folder", f"run-{name}"] for name, words in runs.items()]
    commands += [["evaluate", f"run-{name}", "--quality", "False"] for name in ("array", "rbm")]
    commands.append(["export", "run-array", "--to", "hub-folder", "--out", "hub"])
    out = ["--to", "safetensors", "--out", "generator.safetensors"]
    commands.append(["export", "run-array", *out])
    return max(cli.main(words) for words in commands)


class Whole:
    """The files that commands make from undamaged input, each run when it is first needed."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._known: dict[tuple[str, ...], dict[str, bytes]] = {}

    def made(self, words: Words) -> dict[str, bytes]:
        """The files that a command makes or changes, and its exit code under the name ''."""
        key = tuple(words)
        if key not in self._known:
            work = self._top / "undamaged"
            shutil.copytree(self._top / "real", work, symlinks=True)
            before = contents(work)
            end = forked.run(words, work)
            self._known[key] = changed(before, contents(work)) | {"": str(end.code).encode()}
            shutil.rmtree(work)
        return self._known[key]


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, bytes]:
    """The files that are new or have changed."""
    return {name: data for name, data in after.items() if before.get(name) != data}


def one(top: Path, kind: str, dice: random.Random, number: int, whole: Whole, found: Found) -> None:
    """Damage a copy of the real files and run a command on it."""
    work = top / f"{number:04d}"
    shutil.copytree(top / "real", work)
    (work / "bystander").mkdir()
    (work / "bystander" / "file").write_text("not yours")
    case = KINDS[kind](work, dice)
    before, kept = contents(work), bystanders(work)
    dressed = (lambda: wear(dice)) if kind == "environment" else int
    end = start(case.words, work, before=dressed).wait()
    what = became(end)
    if bystanders(work) != kept:
        what = "a file outside is changed"
    elif what == "ends well" and kind == "environment":
        what = "unchanged"
    elif what == "ends well":
        what = compared(case, end, changed(before, contents(work)), whole)
    said = f"case {number} ({kind}; {case.what}): {what}: {case.words[:2]!r}: {end.last()[:200]}"
    if what in ENDS:
        found.ends[kind][what] += 1
        if what == "different":
            found.different.append(said)
        shutil.rmtree(work, ignore_errors=True)
    else:
        found.faults.append(f"{said} ({work})")
        print(f"FAULT: {found.faults[-1]}", flush=True)


def became(end: Ended) -> str:
    """How a command ended, by its output and its exit code."""
    lines = [line for line in end.said.splitlines() if line.startswith("advnets")]
    if end.code == HANG:
        return "hang"
    if end.code < 0:
        return f"signal {-end.code}"
    if "Traceback" in end.said or end.code not in (0, 2):
        return f"traceback or exit code {end.code}"
    if end.code == 0:
        return "ends well"
    if end.said and (len(lines) != 1 or not end.last().startswith("advnets")):
        return f"{len(lines)} lines and exit code 2"
    return "refused" if len(end.last()) <= LONGEST else f"a line of {len(end.last())} characters"


def compared(case: Case, end: Ended, made: dict[str, bytes], whole: Whole) -> str:
    """How a command with exit code 0 ended, by the files it has made."""
    if WARNED.search(end.said):
        return "warned"
    expected = dict(whole.made(case.words))
    code = expected.pop("")
    if code == b"0" and not differences(expected, made):
        return "unchanged"
    return "damage not reported" if case.checked else "different"


def bystanders(work: Path) -> dict[str, bytes]:
    """Files that no command may change."""
    kept = [*(work / "bystander").rglob("*"), *work.glob("*.npy"), *work.glob("*.npz")]
    return {str(path): path.read_bytes() for path in kept if path.is_file()}

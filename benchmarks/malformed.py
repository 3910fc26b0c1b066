"""Play malformed inputs: each must get one clear line and exit code 2, or make no difference.

Real files are made once and then damaged at random (`malformed_cases`). What becomes of a command:

    refused    exit code 2 and one line, the last one
    told       it ends well, and a line says what was found damaged or left out
    same       it ends well with the files of the undamaged input
    another    it ends well with other files: what was damaged is another whole input

Faults: a traceback, a hang, a signal, another exit code, more than one line, a file that is changed
outside the folder of the run, and damage to what has a checksum that passes in silence.
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

ENDS = ("refused", "told", "same", "another")
LONGEST = 400
"""Characters of a line, the path of a scratch folder included."""
TOLD = re.compile(
    r"damaged|left out|Using the newest|are not kept|could not|trained anew|Warning|no longer|"
    r"is another|nearly black|says little|unreadable|foreign|cannot"
)
"""What a line says of something that is wrong."""


@dataclass
class Found:
    """Ends by kind, and what went wrong."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """What was another whole input."""


def play(top: Path, *, cases: int, seed: int, until: float) -> Found:
    """Damage real files and run commands on them: what came of it."""
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
    """In a child: tiny runs on several kinds of data, with scores, and what is exported of them."""
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
    """What commands make of undamaged files, each run when it is first asked for."""

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
    """The files that are new or other."""
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
        what = "same"
    elif what == "ends well":
        what = compared(case, end, changed(before, contents(work)), whole)
    said = f"case {number} ({kind}; {case.what}): {what}: {case.words[:2]!r}: {end.last()[:200]}"
    if what in ENDS:
        found.ends[kind][what] += 1
        if what == "another":
            found.others.append(said)
        shutil.rmtree(work, ignore_errors=True)
    else:
        found.faults.append(f"{said} ({work})")
        print(f"FAULT: {found.faults[-1]}", flush=True)


def became(end: Ended) -> str:
    """How a command ended, as far as its words and its exit code tell."""
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
    """What a command that ended well has made, beside what it makes of undamaged files."""
    if TOLD.search(end.said):
        return "told"
    expected = dict(whole.made(case.words))
    code = expected.pop("")
    if code == b"0" and not differences(expected, made):
        return "same"
    return "passes in silence" if case.checked else "another"


def bystanders(work: Path) -> dict[str, bytes]:
    """What no command here may change."""
    kept = [*(work / "bystander").rglob("*"), *work.glob("*.npy"), *work.glob("*.npz")]
    return {str(path): path.read_bytes() for path in kept if path.is_file()}

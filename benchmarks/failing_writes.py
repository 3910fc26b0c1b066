"""Every write of a command fails in turn: the disk is full from there on, or an error occurs once.

`failing_writes.c` is preloaded and stands between the process and the C library, so that the writes
of sqlite and numpy fail too. What becomes of a command whose n-th write fails:

    refused    exit code 2, and the last line names a file and the reason
    told       it ends well, and a line says what is not kept

Afterwards every file that is there is readable, and the command repeated without the failure makes
the files that it makes when nothing ever fails, and leaves no others.
"""

import ctypes
import errno
import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import forked
import kill
from forked import Ended
from kill import Killed
from malformed import TOLD, became

from advnets import cli

FAILURES = {"ENOSPC": (errno.ENOSPC, True), "EIO": (errno.EIO, False)}
"""The error, and whether every later write fails too."""
SHORT = ["--trainer.steps", "4", "--trainer.score-every", "2", "--trainer.sample-every", "2"]
COMMANDS = (
    "conditional", "pictures", "evaluate conditional", "report scored", "export conditional",
    "export simultaneous", "sample conditional", "video pictures",
)  # fmt: skip


@dataclass
class Failed:
    """Failures by command and errno, what became of them, and what went wrong."""

    ends: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def play(top: Path, *, quick: bool, seed: int, until: float) -> Failed:
    """Let every write of some commands fail; with `quick`, a few of each.

    Args:
        top: A scratch folder with whole files in `real`.
        quick: Whether to take a few writes of two commands.
        seed: Of which, and the number of the command that is first.
        until: The time (monotonic) after which nothing is begun.
    """
    found = kill.commands(top)
    named = {one.name: one for ones in found.values() for one in ones}
    dice, result = random.Random(f"writes/{seed}"), Failed()
    names = ("conditional", "export simultaneous") if quick else COMMANDS
    for name in names[seed % len(names) :] + names[: seed % len(names)]:
        one = named[name]
        if one.moment == "training":
            one = Killed(one.kind, name, [*one.words, *SHORT])
        whole, _ = kill.left_alone(one, top)
        writes = counted(one, top)
        chosen = sorted(dice.sample(range(1, writes + 1), 2)) if quick else range(1, writes + 1)
        for failure in FAILURES:
            ends = result.ends.setdefault((name, failure), Counter())
            for n in chosen:
                if time.monotonic() > until:
                    return result
                ends[failed(one, top, n, failure, whole, result)] += 1
    return result


def counted(one: Killed, top: Path) -> int:
    """The writes of a command."""
    work = top / "torn"
    kill.brought(one, top, work)
    end = _armed(one, work, 0, "EIO")
    assert end.code == 0, end.said
    return int(end.last())


def _armed(one: Killed, work: Path, n: int, failure: str) -> Ended:
    """Run a command whose n-th write fails; its last line is the number of writes."""
    number, forever = FAILURES[failure]
    shim = ctypes.CDLL(None)

    def command() -> int:
        kill.small_blocks()
        shim.failing_arm(ctypes.c_long(n), number, int(forever))
        try:
            return cli.main(one.words)
        finally:
            writes = shim.failing_disarm()
            if n == 0:
                print(writes)

    return forked.fork(command, work).wait()


def failed(
    one: Killed, top: Path, n: int, failure: str, whole: dict[str, bytes], result: Failed
) -> str:
    """Run a command whose n-th write fails, and again without: what became of it."""
    work = top / "torn"
    kill.brought(one, top, work)
    end = _armed(one, work, n, failure)
    what, faults = became(end), []
    if what == "ends well":
        what = "told" if TOLD.search(end.said) else "passes in silence"
    reasons = (os.strerror(FAILURES[failure][0]), "could not be saved")  # sqlite has its own words
    if what == "refused" and not any(reason in end.last() for reason in reasons):
        what = "refused without the reason"
    if what not in ("refused", "told"):
        faults.append(f"{what}: {end.last()}")
    faults += kill.unreadable(work)
    if not (one.makes and (work / one.makes).exists()):
        again = [child.wait() for child in kill.started(one, work)]
        faults += [f"then {end.code}: {end.last()}" for end in again if end.code]
    faults += kill.differences(whole, kill.contents(work))
    if faults:
        kept = top / f"writes-{len(result.faults)}"
        shutil.copytree(work, kept, symlinks=True)
        text = f"{one.name}, write {n} fails with {failure}: {'; '.join(faults)[:500]} ({kept})"
        result.faults.append(text)
        print(f"FAULT: {text}", flush=True)
    return what if what in ("refused", "told") else "fault"

"""Let every write of a command fail in turn, and check how the command ends.

`failing_writes.c` is preloaded and stands between the process and the C library, so that the writes
of sqlite and NumPy fail too. With ENOSPC all later writes fail as well, as on a full disk; with EIO
only one. A command whose n-th write fails may end so:

    refused    exit code 2, and the last line names a file and the reason
    warned     exit code 0, and a line says what could not be saved

Afterwards every file must be readable, and the command repeated without failures must end with the
same files as one whose writes never failed.
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
from malformed import WARNED, became

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
    """How commands ended, by command and errno, and the faults found."""

    ends: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def play(top: Path, *, quick: bool, seed: int, until: float) -> Failed:
    """Let the writes of some commands fail.

    Args:
        top: A scratch folder with undamaged files in `real`.
        quick: Whether to let two writes of two commands fail, and not all.
        seed: Of the choice of writes; it also says which command is first.
        until: The time (monotonic) after which no case begins.
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
    """The number of writes of a command."""
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
    """How a command ends whose n-th write fails; it is then repeated without the failure."""
    work = top / "torn"
    kill.brought(one, top, work)
    end = _armed(one, work, n, failure)
    what, faults = became(end), []
    if what == "ends well":
        what = "warned" if WARNED.search(end.said) else "failure not reported"
    reasons = (os.strerror(FAILURES[failure][0]), "could not be saved")  # sqlite has its own words
    if what == "refused" and not any(reason in end.last() for reason in reasons):
        what = "refused without the reason"
    if what not in ("refused", "warned"):
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
    return what if what in ("refused", "warned") else "fault"

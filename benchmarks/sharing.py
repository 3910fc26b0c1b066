"""Run two commands at the same time in one folder, or with one cache.

Both must succeed, or one of them must be refused. The second one starts after a random delay within
the length of the first. The files at the end must equal those of one command alone, bit for bit.
"""

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import kill
from forked import Ended, Words, start


@dataclass(frozen=True)
class Pair:
    """Two commands at the same time.

    Attributes:
        name: The row of the table.
        first: The command that starts first; the delay is drawn over its length.
        second: The other command.
        brings: Finished runs that they read.
        ends: The pairs of exit codes that are right, in any order.
        killed: Whether the first command is killed.
    """

    name: str
    first: Words
    second: Words
    brings: tuple[str, ...] = ()
    ends: tuple[tuple[int, int], ...] = ((0, 0),)
    killed: bool = False


@dataclass
class Shared:
    """How the pairs ended, and the faults found."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


ONE_REFUSED = ((0, 2),)
ANY = ((0, 0), (0, 2))


def pairs(top: Path) -> list[Pair]:
    """The pairs; the configurations are written by `kill.commands`."""
    game, pictures = (str(top / "real" / f"{name}.toml") for name in ("simultaneous", "pictures"))
    new, evaluated = ["--folder", "new"], ["evaluate", "conditional"]
    score = ["evaluate", "unfinished"]
    train = ["train", game, *new]
    resume = ["train", "--resume", "unfinished"]
    hub = ["export", "simultaneous", "--to", "hub-folder"]
    report = ["report", "scored"]
    cached = ["train", pictures, *new]
    again = ["train", pictures, "--folder", "new2"]
    return [
        Pair("two new runs in one folder", train, train, ends=ONE_REFUSED),
        Pair("two that resume one run", resume, resume, ("unfinished",), ends=ANY),
        Pair("a resumed run, and its evaluation", resume, score, ("unfinished",), ANY),
        Pair("two evaluations", evaluated, evaluated, ("conditional",)),
        Pair("two reports", report, report, ("scored",)),
        Pair("two exports to one folder", hub, hub, ("simultaneous",), ONE_REFUSED),
        Pair("two runs that build the same cache of pictures", cached, again),
        Pair("the same, and the first is killed", cached, again, killed=True, ends=((-9, 0),)),
    ]


def play(top: Path, *, rounds: int, seed: int, until: float, quick: bool = False) -> Shared:
    """Run every pair several times.

    Args:
        top: A scratch folder with undamaged files in `real`.
        rounds: How often each pair is run.
        seed: Of the delays.
        until: The time (monotonic) after which no pair begins.
        quick: Whether to leave out the pairs that read a run.
    """
    kill.commands(top)
    dice, result = random.Random(f"sharing/{seed}"), Shared()
    for pair in [pair for pair in pairs(top) if not (quick and pair.brings)]:
        result.ends[pair.name] = Counter()
        alone, seconds = _alone(pair, top)
        for _ in range(rounds):
            if time.monotonic() < until:
                _together(pair, top, dice.uniform(0, 0.8 * seconds), alone, result)
    return result


def _alone(pair: Pair, top: Path) -> tuple[dict[str, bytes], float]:
    """The files that both commands make one after the other, and the seconds of the first."""
    work = _place(pair, top)
    end = start(pair.first, work, before=kill.small_blocks).wait()
    assert end.code == 0, end.said
    if pair.second != pair.first:
        assert start(pair.second, work, before=kill.small_blocks).wait().code == 0
    return kill.contents(work), end.seconds


def _place(pair: Pair, top: Path) -> Path:
    work = top / "torn"
    kill.brought(kill.Killed("", "", [], brings=pair.brings), top, work)
    return work


def _together(pair: Pair, top: Path, delay: float, alone: dict[str, bytes], result: Shared) -> None:
    """Run a pair, the second command after a delay, and compare the files."""
    work = _place(pair, top)
    before: Callable[[], object] = kill.small_blocks
    first = start(pair.first, work, before=before)
    time.sleep(0 if pair.killed else delay)
    second = start(pair.second, work, log="said1", before=before)
    if pair.killed:
        first.ends_within(delay)
    ends = [first.kill() if pair.killed else first.wait(), second.wait()]
    faults = _faults(pair, ends)
    if pair.killed and not (work / "new" / "checkpoints").exists():
        ends.append(start(pair.first, work, before=before).wait())
    elif pair.killed:
        ends.append(start(["train", "--resume", "new"], work, before=before).wait())
    if "evaluation" in pair.name and pair.brings == ("unfinished",):
        start(pair.second, work, before=before).wait()
    faults += kill.unreadable(work)
    faults += kill.differences(alone, kill.contents(work))
    result.ends[pair.name][" and ".join(str(end.code) for end in ends[:2])] += 1
    if faults:
        kept = top / f"sharing-{len(result.faults)}"
        shutil.copytree(work, kept, symlinks=True)
        result.faults.append(f"{pair.name}: {'; '.join(faults)[:500]} ({kept})")
        print(f"FAULT: {result.faults[-1]}", flush=True)


def _faults(pair: Pair, ends: list[Ended]) -> list[str]:
    """The faults in how both commands ended."""
    codes = tuple(end.code for end in ends)
    right = {codes, codes[::-1]} & {*pair.ends} or (pair.killed and codes == (0, 0))
    said = [f"ends with {end.code}: {end.last()}" for end in ends]
    return [] if right and not any("Traceback" in end.said for end in ends) else said

"""Kill commands at random moments, repeat them, compare the files with those of uninterrupted ones.

The signal is SIGKILL, which no process can catch. The delay is uniform over the length of the
uninterrupted command. A command is killed at most `MOST` times and then runs to its end. After each
kill every file must be readable; at the end every file must equal that of the uninterrupted command
bit for bit, except for the clock and the list of starts.
"""

import os
import random
import re
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import tiny_kinds
from forked import Child, Ended, Words, start
from PIL import Image

from advnets.base import errors, rendezvous
from advnets.base.distributed import cores
from advnets.data.images import building
from advnets.runs.run_config import config_of
from advnets.storage.checkpoints import read_checkpoint
from advnets.storage.run_folder import RunDir

NEW = "new"
"""The folder of a run that is trained."""
MOST = 5
"""Kills of one command at most, before it runs to its end."""
TIMES = ("clock.jsonl", "environment.json", "environment.jsonl", ".lock", "said", "said1")
"""Files that have times in them, or say how often a run was started."""
SECONDS = re.compile(rb'"(seconds|per_second)": *[0-9.e+-]+|\(\d+\.\d s\)')
"""Times in scores and reports: how long AIS took, how fast a chain is."""
MOMENTS = (
    "before the folder exists", "cache building", "training", "checkpoint write", "evaluation",
    "report", "export", "sampling",
)  # fmt: skip


@dataclass(frozen=True)
class Killed:
    """A command that is killed.

    Attributes:
        kind: The row of the table.
        name: The name of the command within its kind.
        words: The words of the command, without `advnets`.
        moment: The column of the table: what the command does when it is killed.
        brings: Folders of finished runs, which it reads.
        world: The number of processes.
        makes: A folder that must not exist before; a command that has made it is not repeated.
    """

    kind: str
    name: str
    words: Words
    moment: str = "training"
    brings: tuple[str, ...] = ()
    world: int = 1
    makes: str = ""

    def next_words(self, work: Path) -> Words:
        """The words of the next start: a run that exists is resumed."""
        if (work / NEW / "config.toml").exists():
            return ["train", "--resume", NEW]
        return self.words


@dataclass
class Tally:
    """Kills by kind and by moment, and the faults found."""

    kills: dict[str, Counter[str]] = field(default_factory=dict)
    rounds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def total(self) -> int:
        """Kills of all kinds."""
        return sum(sum(moments.values()) for moments in self.kills.values())


def commands(top: Path) -> dict[str, list[Killed]]:
    """The commands to kill, by kind. Their configurations are written to `top/real`."""
    found: dict[str, list[Killed]] = {}
    for kind, configs in tiny_kinds.configurations(top / "real").items():
        for name, config in configs.items():
            path = top / "real" / f"{name}.toml"
            path.write_text(config.to_toml())
            one = Killed(kind, name, ["train", str(path), "--folder", NEW])
            found.setdefault(kind, []).append(one)
    game = found["game"][0]
    if cores() > 1:
        found["two processes"] = [Killed("two processes", "game", game.words, world=2)]
    for kind, lines in READING.items():
        for line in lines:
            run, words = line[0], list(line[1:])
            makes = MAKES.get(words[-1], "")
            one = Killed(kind, f"{words[0]} {run}", words, moment=kind, brings=(run,), makes=makes)
            found.setdefault(kind, []).append(one)
    return found


READING: dict[str, list[Words]] = {
    "evaluation": [
        ["simultaneous", "evaluate", "simultaneous", "--quality", "False"],
        ["conditional", "evaluate", "conditional"],
        ["rbm", "evaluate", "rbm", "--quality", "False"],
    ],
    "report": [["scored", "report", "scored"], ["vae", "report", "vae"]],
    "export": [
        ["conditional", "export", "conditional", "--to", "safetensors"],
        ["simultaneous", "export", "simultaneous", "--to", "hub-folder"],
        ["vae", "export", "vae", "--to", "safetensors", "--out", "vae.safetensors"],
    ],
    "sampling": [
        ["gsn", "sample", "gsn", "--n", "12"],
        ["conditional", "sample", "conditional", "--n", "6", "--out", "singles"],
        ["pictures", "video", "pictures"],
    ],
}
"""Finished runs, and a command that reads each."""
MAKES = {"hub-folder": "simultaneous/hub", "singles": "singles"}
"""The folder that a command makes, by the last word of the command."""


def brought(one: Killed, top: Path, work: Path) -> None:
    """A new folder with the runs that a command reads, and an empty cache of networks."""
    shutil.rmtree(top / "cache", ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in one.brings:
        shutil.copytree(whole_run(name, top), work / name)


def whole_run(name: str, top: Path) -> Path:
    """A finished run for the commands that read one, made when it is first needed.

    `scored` has scores, and `unfinished` was stopped half-way.
    """
    runs = top / "runs"
    runs.mkdir(exist_ok=True)
    if (runs / name).exists():
        return runs / name
    config = "simultaneous" if name in ("scored", "unfinished") else name
    words = ["train", str(top / "real" / f"{config}.toml"), "--folder", name]
    _well(words + ["--stop-after", "8"] * (name == "unfinished"), runs)
    if name == "scored":
        _well(["evaluate", name, "--quality", "False"], runs)
    return runs / name


def _well(words: Words, folder: Path) -> None:
    end = start(words, folder, before=small_blocks).wait()
    if end.code:
        raise SystemExit(f"{words}: {end.said}")


def started(one: Killed, work: Path) -> list[Child]:
    """Start a command, in each of its processes."""
    words = one.next_words(work)
    if one.world == 1:
        return [start(words, work, before=small_blocks)]
    port = _free_port()
    return [
        start(words, work, log=f"said{rank or ''}", before=partial(_joins, rank, port))
        for rank in range(one.world)
    ]


def small_blocks() -> None:
    """Save the progress of a cache after 4 pictures, not after 1,024."""
    building.BLOCK = 4


def _joins(rank: int, port: int) -> None:
    """In a child: set the environment in which `torchrun` would start one of two processes."""
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    rendezvous.PATIENCE = timedelta(seconds=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def left_alone(one: Killed, top: Path) -> tuple[dict[str, bytes], float]:
    """The files that the uninterrupted command makes, and the seconds that it takes."""
    work = top / "whole"
    brought(one, top, work)
    begun = time.monotonic()
    ends = [child.wait() for child in started(one, work)]
    if any(end.code for end in ends):
        raise SystemExit(f"{one.kind}, {one.name}, uninterrupted: {[end.said for end in ends]}")
    return contents(work), time.monotonic() - begun


def killed_and_repeated(
    one: Killed,
    top: Path,
    dice: random.Random,
    whole: dict[str, bytes],
    seconds: float,
    tally: Tally,
) -> None:
    """Kill a command a few times, let it end, and compare the files."""
    work = top / "torn"
    brought(one, top, work)
    moments = tally.kills.setdefault(one.kind, Counter())
    for _ in range(dice.randint(1, MOST)):
        before = half_written(work)
        if one.makes and (work / one.makes).exists():
            break
        children = started(one, work)
        victim = dice.choice(children)
        if victim.ends_within(dice.uniform(0, seconds)):
            faults = [_ended_badly(child.wait()) for child in children]
        else:
            others = [child for child in children if child is not victim]
            end = victim.kill()
            faults = [_survived(child.wait()) for child in others]
            if end.code == -signal.SIGKILL:
                moments[moment(one, work, before)] += 1
            else:  # it ended meanwhile
                faults.append(_ended_badly(end))
        faults += unreadable(work)
        if _noted(tally, one, faults, work):
            return
    done = one.makes and (work / one.makes).exists()
    ends = [] if done else [child.wait() for child in started(one, work)]
    faults = [_ended_badly(end) for end in ends]
    faults += differences(whole, contents(work))
    _noted(tally, one, faults, work)


def _noted(tally: Tally, one: Killed, faults: list[str], work: Path) -> bool:
    """Record the faults, if any, and keep their files."""
    faults = [fault for fault in faults if fault]
    if faults:
        kept = work.with_name(f"kills-{len(tally.faults)}")
        shutil.copytree(work, kept, symlinks=True)
        tally.faults.append(f"{one.kind}, {one.name}: {'; '.join(faults)[:500]} ({kept})")
        print(f"FAULT: {tally.faults[-1]}", flush=True)
    return bool(faults)


def _ended_badly(end: Ended) -> str:
    return f"ends with {end.code}: {end.last()}" if end.code or "Traceback" in end.said else ""


def _survived(end: Ended) -> str:
    """The fault of a process whose partner was killed; it may have finished before."""
    fine = end.code in (0, 2) and "Traceback" not in end.said
    return "" if fine else f"the other process ends with {end.code}: {end.last()}"


# The files


def contents(work: Path) -> dict[str, bytes]:
    """The files of a folder by name, without recorded times and TensorBoard's files."""
    return {
        str(path.relative_to(work)): SECONDS.sub(b"", path.read_bytes())
        for path in sorted(work.rglob("*"))
        if path.is_file() and path.name not in TIMES and "tensorboard" not in path.parts
    }


def differences(whole: dict[str, bytes], torn: dict[str, bytes]) -> list[str]:
    """The names of files that are missing, too many, or differ.

    A numbered checkpoint with the bytes of the best one is not missing: a run that resumes from the
    best one does not write it again under its number.
    """
    lost = {name for name in whole.keys() - torn.keys() if whole[name] not in torn.values()}
    found = [f"{name} is missing" for name in lost]
    found += [f"{name} is too many" for name in torn.keys() - whole.keys()]
    found += [f"{name} differs" for name in whole.keys() & torn.keys() if whole[name] != torn[name]]
    return sorted(found)


def half_written(work: Path) -> set[str]:
    """Names of files that are being written, or that a kill left half-written."""
    return {str(path.relative_to(work)) for path in work.rglob(".part.*")}


def moment(one: Killed, work: Path, before: set[str]) -> str:
    """What the command was doing when it was killed, by the files it left."""
    if one.moment != "training":
        return one.moment
    if any(".safetensors" in name for name in half_written(work) - before):
        return "checkpoint write"
    if (work / NEW / "config.toml").exists():
        return "training"
    return "cache building" if half_written(work) else "before the folder exists"


def unreadable(work: Path) -> list[str]:
    """The files that cannot be read, except for half-written ones, and why."""
    return list(_unreadable(work))


def _unreadable(work: Path) -> Iterator[str]:
    for path in sorted(work.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(work).parts):
            continue
        try:
            _read(path)
        except (OSError, ValueError, SyntaxError) as error:
            yield f"{path.relative_to(work)} is unreadable: {errors.short(error, 150)}"


def _read(path: Path) -> None:
    """Read a file of a run as the library does. Raises where it is not whole."""
    kinds: dict[str, Any] = {
        ".png": lambda: Image.open(path).load(),
        ".gif": lambda: Image.open(path).load(),
        ".html": lambda: _closed(path),
    }
    if path.name == "config.toml":
        config_of(RunDir(path.parent))
        for name in ("metrics", "clock", "environment"):
            RunDir(path.parent).records(name)
        RunDir(path.parent).data()
    elif path.suffix == ".safetensors" and path.parent.name == "checkpoints":
        read_checkpoint(path)
    elif path.suffix in kinds:
        kinds[path.suffix]()


def _closed(path: Path) -> None:
    if not path.read_text().rstrip().endswith("</html>"):
        raise ValueError("the page has no end")


# The part `kills`

SHARES = {
    "game": 24, "stages": 14, "chains": 14, "directed": 4, "images": 16, "two processes": 4,
    "evaluation": 8, "report": 4, "export": 6, "sampling": 6,
}  # fmt: skip
"""How many of a hundred kills each kind gets."""


def play(top: Path, *, kills: int, seed: int, until: float, kinds: tuple[str, ...] = ()) -> Tally:
    """Kill commands of all kinds until there are enough kills, or the time is up.

    Args:
        top: A scratch folder with undamaged files in `real`.
        kills: The number of kills, of all kinds together.
        seed: Of the random moments.
        until: The time (monotonic) after which no command begins.
        kinds: The kinds of commands; all by default.
    """
    known = commands(top)
    unknown = sorted({*kinds} - known.keys())
    if unknown:
        raise SystemExit(f"--kinds must be of {', '.join(known)}, got {', '.join(unknown)}")
    found = {kind: ones for kind, ones in known.items() if not kinds or kind in kinds}
    whole: dict[str, tuple[dict[str, bytes], float]] = {}
    tally = Tally({kind: Counter() for kind in found})
    wanted = {kind: kills * SHARES[kind] / sum(SHARES[k] for k in found) for kind in found}
    dice = random.Random(f"kill/{seed}")
    while time.monotonic() < until and tally.total() < kills:
        kind = min(found, key=lambda k: sum(tally.kills[k].values()) / wanted[k])
        one = found[kind][tally.rounds[kind] % len(found[kind])]
        if one.name not in whole:
            whole[one.name] = left_alone(one, top)
        files, seconds = whole[one.name]
        tally.rounds[kind] += 1
        killed_and_repeated(one, top, dice, files, seconds, tally)
    return tally

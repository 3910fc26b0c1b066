"""Commands of advnets in forked children of one process, which has imported torch already.

A child has its own process group and its own working folder, and writes its output to a file. It
calls `advnets.cli.main` and ends with its exit code. The process that forks has one thread and
computes nothing, so that no child inherits a lock that is never released.
"""

import contextlib
import gc
import importlib
import io
import os
import pkgutil
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

import advnets
from advnets import cli

Words = list[str]
LIMIT = 120.0
"""Seconds after which a command counts as hanging."""
HANG = -signal.SIGALRM
"""Stands for the exit code of a command that was killed because it hangs."""
LAZY = ("matplotlib.pyplot", "sklearn.cluster", "torch._dynamo", "torch.distributed.nn")
"""Modules that advnets or torch import only when they are first needed."""
MODULES = ("cli", "data", "export", "recipes", "report", "storage", "training")
"""Packages whose modules are imported before the first fork."""


def prepare(cache: Path) -> None:
    """Import everything that commands import, use one thread, and move the caches to a folder."""
    torch.set_num_threads(1)
    os.environ["XDG_CACHE_HOME"] = str(cache)
    os.environ.pop("ADVNETS_DATA", None)
    sys.dont_write_bytecode = True
    for package in MODULES:
        paths = [str(Path(advnets.__file__).parent / package)]
        for found in pkgutil.walk_packages(paths, f"advnets.{package}."):
            importlib.import_module(found.name)
    for name in LAZY:
        importlib.import_module(name)
    Image.init()
    with contextlib.redirect_stdout(io.StringIO()):  # fills the parser's cache
        cli.main(["train", "ring", "--dry-run"])
    gc.collect()
    gc.freeze()  # garbage collection in a child then copies no memory of the imports


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative for a signal), its output, its seconds."""

    code: int
    said: str
    seconds: float

    def last(self) -> str:
        """The last line of the output that is not blank."""
        return next((line for line in reversed(self.said.splitlines()) if line.strip()), "")


@dataclass(frozen=True)
class Child:
    """A running command."""

    pid: int
    handle: int
    log: Path
    begun: float

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end at most so many seconds; False where it still runs."""
        return bool(select.select([self.handle], [], [], max(0.0, seconds))[0])

    def kill(self) -> Ended:
        """Send SIGKILL to it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self, limit: float = LIMIT) -> Ended:
        """Wait for its end; a command that takes longer than the limit is killed."""
        hangs = not self.ends_within(limit)
        if hangs:
            os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.handle)
        seconds = time.monotonic() - self.begun
        code = HANG if hangs else os.waitstatus_to_exitcode(status)
        return Ended(code, self.log.read_text(errors="replace"), seconds)


def start(
    words: Sequence[str], folder: Path, *, log: str = "said", before: Callable[[], object] = int
) -> Child:
    """Start a command in a folder.

    Args:
        words: The words of the command, without `advnets`.
        folder: Its working folder.
        log: The name of the file for its output, in that folder.
        before: Called first, in the child.
    """

    def command() -> int:
        before()
        return cli.main(list(words))

    return fork(command, folder, log=log)


def fork(function: Callable[[], int], folder: Path, *, log: str = "said") -> Child:
    """Start a function that returns an exit code, in a child with a folder of its own."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    said, begun = folder / log, time.monotonic()
    output = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
    pid = os.fork()
    if pid == 0:
        _child(function, folder, output)
    os.close(output)
    with contextlib.suppress(OSError):  # the child does so too; either may be first
        os.setpgid(pid, pid)
    return Child(pid, os.pidfd_open(pid), said, begun)


def _child(function: Callable[[], int], folder: Path, output: int) -> None:
    """The body of a child; it does not return."""
    code = 70
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(output, stream)
        code = function()
        for text in filter(None, (sys.stdout, sys.stderr)):
            text.flush()
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:
        code = 70
        with contextlib.suppress(OSError):
            os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(code)


def run(words: Sequence[str], folder: Path, *, before: Callable[[], object] = int) -> Ended:
    """Run a command to its end."""
    return start(words, folder, before=before).wait()


def cpu_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)

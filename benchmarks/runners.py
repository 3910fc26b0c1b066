"""Competitors in processes of their own, which sleep on a pipe until they are told to play.

In one process they would share what each has alone in real life: pools of threads, and an allocator
that one of them may have taught to keep freed memory.
"""

import contextlib
import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from peers import Rival

Build = Callable[[], Rival]
PATIENCE = 2.0  # seconds that processes have to end by themselves


class RunnerFailed(Exception):
    """A competitor's process failed; the message is the first line of its error."""


@dataclass(frozen=True)
class _Failed:
    reason: str


class Runner:
    """A competitor's process, seen from the race.

    Args:
        build: What the process builds its competitor with: it has to be picklable.
        threads: Threads that torch takes there.
    """

    def __init__(self, build: Build, threads: int) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._pipe, theirs = fresh.Pipe()
        self._process = fresh.Process(target=_serve, args=(theirs, build, threads))
        with _interrupts_ignored():  # which the process inherits: Ctrl-C is the race's affair
            self._process.start()
        theirs.close()  # so that a process that dies ends the pipe

    def ready(self) -> tuple[int, int]:
        """Wait until it is built: its parameters, and the FLOP of its products if it knows them."""
        size: tuple[int, int] = self._heard()
        return size

    def burst(self, n: int) -> float:
        """Let it play n updates: the seconds that they took."""
        with contextlib.suppress(OSError):  # that it is dead is heard below
            self._pipe.send(n)
        seconds: float = self._heard()
        return seconds

    def resident_megabytes(self) -> float:
        """The memory that it holds now (VmRSS; nan where there is no /proc)."""
        status = Path(f"/proc/{self._process.pid}/status")
        lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
        sizes = [float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
        return sizes[0] if sizes else math.nan

    def _heard(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(PATIENCE)
            answer = _Failed(f"its process ended with code {self._process.exitcode}")
        if isinstance(answer, _Failed):
            raise RunnerFailed(answer.reason)
        return answer

    def dismiss(self) -> None:
        """Tell it to end."""
        self._pipe.close()

    def end(self, deadline: float) -> None:
        """See that it has ended, by itself until the deadline (of `time.monotonic`)."""
        self._process.join(max(0, deadline - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextlib.contextmanager
def running(builds: dict[str, Build], threads: int) -> Iterator[dict[str, Runner]]:
    """A process for everybody, all of them gone at the end, however it comes."""
    runners: dict[str, Runner] = {}
    try:
        for name, build in builds.items():
            runners[name] = Runner(build, threads)
        yield runners
    finally:
        for runner in runners.values():
            runner.dismiss()
        deadline = time.monotonic() + PATIENCE
        for runner in runners.values():
            runner.end(deadline)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection, build: Build, threads: int) -> None:
    """What the process does: build once, then play whenever it is told, until the pipe ends."""
    torch.set_flush_denormal(True)  # before any thread starts: threads inherit it
    torch.set_num_threads(threads)
    with contextlib.suppress(OSError):  # the race is over and hears no answer
        try:
            rival = build()
            pipe.send((rival.parameters, rival.flop))
            for n in _words(pipe):
                pipe.send(rival.burst(n))
        except Exception as error:
            first = str(error).strip().partition("\n")[0]
            pipe.send(_Failed(f"{type(error).__name__}: {first}"))


def _words(pipe: Connection) -> Iterator[int]:
    """The sizes of the bursts that are asked for."""
    with contextlib.suppress(EOFError):
        while True:
            yield pipe.recv()

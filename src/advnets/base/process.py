"""Settings of the whole process that training changes and restores.

A call of the library leaves torch's global random stream, the default type and the mode of
subnormal numbers as it found them. The command, which owns its process, keeps the fastest settings.
"""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from multiprocessing import connection

import torch

_ENOUGH = 2**17
"""Numbers from which on torch uses several threads."""


@contextlib.contextmanager
def global_stream_kept() -> Iterator[None]:
    """Inside, torch's global random streams may be used; afterwards they are restored."""
    begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if begun else ()
    with torch.random.fork_rng(devices=list(gpus)):
        yield


@contextlib.contextmanager
def settings_of_a_run() -> Iterator[None]:
    """Inside, the process has the settings of a run: float32 by default, subnormals are 0.

    Velocities of constant inputs decay into subnormal numbers, which are slow to compute with.
    """
    # Threads that torch starts inherit the mode: they are to have the one that was found.
    torch.ones(_ENOUGH).mul_(1)
    dtype, flushed = torch.get_default_dtype(), subnormals_are_zero()
    torch.set_default_dtype(torch.float32)
    torch.set_flush_denormal(True)
    try:
        with global_stream_kept():
            yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Inside, this thread and those it starts compute with 0 in place of subnormal numbers."""
    flushed = subnormals_are_zero()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


def subnormals_are_zero() -> bool:
    """Whether this thread computes with 0 in place of subnormal numbers."""
    return not (torch.full((1,), 1e-39, dtype=torch.float32) * 0.5).view(torch.int32).any()


def worker() -> None:
    """Prepare a worker process: one thread for torch, and an end when its parent ends.

    It is the `initializer` of a process pool. Without it a worker finishes its task, for minutes,
    after the command was killed.
    """
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)

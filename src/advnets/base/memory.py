"""The memory of this machine, and sizes that cannot fit there, seen before anything is made."""

import contextlib
import os
from pathlib import Path

from advnets.base import errors

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> float:
    """Bytes that this process can have: the machine's, or less where a limit is set."""
    limits = [float("inf")]
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in map(Path, _LIMITS):
        with contextlib.suppress(ValueError, OSError):  # "max" is no limit
            limits.append(int(path.read_text(encoding="ascii")))
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits.append(float("inf") if soft == resource.RLIM_INFINITY else soft)
    return min(limits)


def refuse_larger(name: str, got: object, *, numbers: int) -> None:
    """Raise where so many float32 numbers, which the setting `name` asks for, cannot fit."""
    room = memory()
    if 4 * numbers > room:
        raise errors.too_large(name, 4 * numbers, room, got)

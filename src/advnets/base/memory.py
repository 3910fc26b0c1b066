"""The memory of this machine, and refusal of sizes that cannot fit, before anything is made."""

import contextlib
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

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


def refuse_larger(name: str, got: object, *, numbers: int, room: float | None = None) -> None:
    """Raise where so many float32 numbers, which the setting `name` asks for, cannot fit.

    Args:
        name: The setting.
        got: Its value.
        numbers: How many numbers it asks for.
        room: Bytes that they may take, where that is less than the memory of this machine.
    """
    here, given = memory(), float("inf") if room is None else room
    if 4 * numbers > min(here, given):
        place = "of memory here" if here <= given else "that its weights allow"
        raise errors.bad_value(
            name,
            f"such that it fits in the {min(here, given) / 2**30:,.1f} GiB {place}",
            f"{got}, which takes {4 * numbers / 2**30:,.1f} GiB",
        )


class Budget(TorchFunctionMode):
    """Inside, tensors that cannot fit in memory are refused before they are made.

    It counts the tensors that torch's factories make while a model is built. Weights add up. Each
    weight counts as three float32 numbers: itself, its gradient and its velocity. A model that is
    refused could not have been trained.

    Args:
        settings: The settings of what is made, by dotted name; the one that asks for too much is
            found among them.
        room: Bytes that it may take, where that is less than the memory of this machine.

    Raises:
        BadValue: For a tensor that does not fit any more; names the setting.

    Example:
        >>> with Budget({"hidden": 10**12}):
        ...     torch.empty(10**12, 784)
        Traceback (most recent call last):
        ...
        advnets.base.errors.BadValue: 'hidden' must be ...
    """

    def __init__(self, settings: Mapping[str, Any], room: float | None = None) -> None:
        super().__init__()
        self._settings, self._room = settings, room
        self._weights = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count the numbers that a factory is asked for, then call it."""
        if func in _KEPT or func in _DRAWN:
            shape = _shape(args[func is torch.randint :], kwargs or {})
            numbers = math.prod(shape)
            name, got = _culprit(self._settings, shape)
            refuse_larger(name, got, numbers=3 * (self._weights + numbers), room=self._room)
            self._weights += numbers if func in _KEPT else 0
        return func(*args, **(kwargs or {}))


_KEPT = (torch.empty, torch.zeros, torch.ones, torch.full)
_DRAWN = (torch.rand, torch.randn, torch.randint)


def _shape(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
    """The size among a factory's arguments: the first sequence, or the whole numbers in a row."""
    given = (kwargs["size"],) if "size" in kwargs else args
    for value in given:
        if isinstance(value, (tuple, list)):
            return tuple(value)
    return tuple(value for value in given if isinstance(value, int))


def _culprit(settings: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[str, object]:
    """The setting that made a tensor as large: the largest number that divides one of its sides."""
    numbers = [
        (part, name, value)
        for name, value in settings.items()
        for part in (value if isinstance(value, (tuple, list)) else (value,))
        if isinstance(part, int) and part > 1 and any(side % part == 0 for side in shape if side)
    ]
    _, name, value = max(numbers, key=lambda found: found[0], default=(0, "model", shape))
    return name, value

"""Limits of one call: a training that ends by one of them is saved, and can be resumed."""

import re
import time

from advnets.base import errors

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?=\d)" + "".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in _UNITS))


def seconds_of(duration: str, *, name: str = "max_time") -> float:
    """A duration in seconds.

    Args:
        duration: Numbers with the units d, h, m and s, the largest first: `90s`, `30m`, `1h30m`.
        name: The option, for the error.

    Raises:
        BadValue: For other words, or 0.

    Example:
        >>> [seconds_of(words) for words in ("90s", "1h30m", "1.5h")]
        [90.0, 5400.0, 5400.0]
    """
    found = _DURATION.fullmatch(duration.strip().lower())
    parts = zip(_UNITS.values(), found.groups() if found else (), strict=False)
    seconds = sum(unit * float(part) for unit, part in parts if part is not None)
    need = "a duration above 0, such as 90s, 30m or 1h30m"
    errors.require(0 < seconds < float("inf"), name, need, errors.short(duration, 60) or "nothing")
    return seconds


class Limit:
    """How long, and for how many updates, one call of a training may go on.

    The run is what it would have been without a limit: a limit changes when the training stops, and
    not a step of it.

    Args:
        seconds: Time from the construction of this object. The update in progress, and what is due
            with it, is finished first; then a checkpoint is written.
        updates: Updates in this call.

    Attributes:
        reached: Whether it ended the training.
    """

    def __init__(self, *, seconds: float | None = None, updates: int | None = None) -> None:
        if updates is not None:
            errors.at_least(1, stop_after=updates)
        self.updates = updates
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.reached = False

    @property
    def timed(self) -> bool:
        """Whether there is a limit of time."""
        return self._deadline is not None

    def out_of_time(self) -> bool:
        """Whether the time is over."""
        over = self._deadline is not None and time.monotonic() >= self._deadline
        self.reached |= over
        return over

    def done(self, updates: int) -> bool:
        """Whether so many updates of this call are all that are allowed."""
        over = self.updates is not None and updates >= self.updates
        self.reached |= over
        return over

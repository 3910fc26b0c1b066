"""How fast a training runs, and how long it still takes."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

RECENT = 30.0
"""Seconds of updates over which the speed is measured."""
_SLOW = 2
"""The first updates, which are slow: a step is compiled in the second one."""


class Clock:
    """Measures updates and what happens between them.

    Args:
        steps: Updates in the whole training.
        every: What else happens, by name: the updates between two times. 0 is never; all happen
            after the last update too.
        now: The time in seconds.
    """

    def __init__(
        self, steps: int, every: Mapping[str, int], *, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.steps, self._now = steps, now
        self._every = {name: n for name, n in every.items() if n}
        self._costs: dict[str, float] = {}
        self.stepping = 0.0
        """Seconds in updates so far."""
        self._marks, self._first = deque([(0, 0.0)]), 0
        self._shown = -float("inf")

    def begin(self, update: int) -> None:
        """The training begins, or goes on, at this update."""
        self._marks, self._first = deque([(update, self.stepping)]), update

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Inside, one of the things happens whose intervals the constructor was given."""
        began = self._now()
        yield
        self._costs[what] = self._now() - began

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Inside, an update."""
        began = self._now()
        yield
        self.stepping += self._now() - began

    def due(self, seconds: float) -> bool:
        """Whether the last mark is so many seconds old, or there is none; never for 0 seconds."""
        return 0 < seconds <= self._now() - self._shown

    def mark(self, update: int) -> float:
        """Note the update. Returns the updates per second of the recent ones."""
        self._shown = self._now()
        while len(self._marks) > 1 and self._old(*self._marks[0]):
            self._marks.popleft()
        before, at = self._marks[0]
        self._marks.append((update, self.stepping))
        return (update - before) / max(self.stepping - at, 1e-9)

    def _old(self, update: int, at: float) -> bool:
        """Whether the speed is no longer measured from here."""
        return update - self._first < _SLOW or self.stepping - at > RECENT

    @property
    def warm(self) -> bool:
        """Whether the speed of the last mark is without the first, slow updates."""
        return self._marks[0][0] - self._first >= _SLOW

    def left(self, update: int, speed: float) -> float:
        """Seconds to the end: of the updates at this speed, and of all else as often as due."""
        others = (self._times(n, update) * self._costs.get(w, 0.0) for w, n in self._every.items())
        return (self.steps - update) / speed + sum(others)

    def unknown(self, what: str, update: int) -> bool:
        """Whether something is still to come that has not happened yet, so that `left` lacks it."""
        return what not in self._costs and self._times(self._every.get(what, 0), update) > 0

    def _times(self, every: int, update: int) -> int:
        """How often something is still due after this update; the last update counts."""
        if not every or update >= self.steps:
            return 0
        return -(-self.steps // every) - update // every

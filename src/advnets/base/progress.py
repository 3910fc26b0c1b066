"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from advnets.base.terminal import STANDARD_ERROR, printable


@dataclass(frozen=True, kw_only=True)
class Status:
    """The status of a run at one update."""

    update: int
    steps: int
    updates_per_second: float
    seconds_left: float
    values: Mapping[str, float]
    """V, D(x), D(G(z)), ... of this update."""
    score: str
    """The latest validation score, in words; empty before the first."""
    at_least: bool = False
    """Whether `seconds_left` lacks something that has not been measured yet."""

    def line(self) -> str:
        """All but the update itself, in one line."""
        values = "  ".join(f"{name} {value:.3f}" for name, value in self.values.items())
        left = f"{'at least ' if self.at_least else ''}{duration(self.seconds_left)} left"
        speed = f"{self.updates_per_second:.{1 if self.updates_per_second >= 1 else 2}f} updates/s"
        return f"{speed}  {left}  {values}" + (f"  validation {self.score}" if self.score else "")


class Display(Protocol):
    """Shows the progress of a run."""

    def show(self, status: Status) -> None:
        """Show the status of this update."""
        ...

    def say(self, text: str) -> None:
        """Show a message that stays on the screen."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class Lines:
    """Plain lines, for a pipe or a log file; at most one a second."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._next = 0.0

    def show(self, status: Status) -> None:
        """Print a line, at most one a second."""
        now = self.console.get_time()
        if now >= self._next or status.update == status.steps:
            self._next = now + 1
            self.say(f"update {status.update}/{status.steps}  {status.line()}")

    def say(self, text: str) -> None:
        """Print a line."""
        _print(self.console, text)

    def close(self) -> None:
        """Do nothing."""


def _print(console: Console, line: str) -> None:
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True, emoji=False)


class _BarAboveNumbers(Progress):
    def get_renderables(self) -> Iterator[RenderableType]:
        """The bars, and below them what the tasks say."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            yield Text(task.description)


class Bar:
    """A live bar on a terminal, with the numbers below it."""

    def __init__(self, console: Console) -> None:
        self._progress = _BarAboveNumbers(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            console=console,
            expand=True,
        )
        self._task: TaskID | None = None

    def show(self, status: Status) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._progress.add_task("", total=status.steps)
            self._progress.start()
        self._progress.update(self._task, completed=status.update, description=status.line())

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        _print(self._progress.console, text)

    def close(self) -> None:
        """Stop the bar and leave it on the screen."""
        self._progress.stop()


class Silent:
    """Shows nothing: for tests and for callers who look at the folder."""

    def show(self, status: Status) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@contextlib.contextmanager
def counting(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Inside, call the function that this yields with the count so far: a bar, or lines.

    Args:
        what: What is counted.
        total: Where the count ends.
        done: Where it begins.
    """
    console = Console(file=STANDARD_ERROR)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(what, total=total, completed=done)
            yield lambda n: bar.update(task, completed=n)
        return
    lines, began = Lines(console), (console.get_time(), done)
    said = began[0]

    def show(n: int) -> None:
        nonlocal said
        now = console.get_time()
        if now >= said + 5 or n == total:
            said = now
            speed = (n - began[1]) / max(now - began[0], 1e-9)
            lines.say(f"{what}: {n:,} of {total:,}, {speed:,.0f} a second")

    yield show


def display() -> Display:
    """A bar on a terminal, lines elsewhere; both on standard error."""
    console = Console(file=STANDARD_ERROR)
    return Bar(console) if console.is_terminal else Lines(console)


def duration(seconds: float) -> str:
    """`75` as `1:15`, `4000` as `1:06:40`."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"

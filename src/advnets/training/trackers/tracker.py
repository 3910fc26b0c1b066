"""The part that all trackers share: what is passed on, and what happens where that fails."""

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from advnets.base import errors, files
from advnets.base.terminal import say
from advnets.training.callbacks import Moment, Start

_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Tracker:
    """A callback that passes the log of a run on; a failure costs one line, and not the run.

    A class of this one has `begin`, `add` and `end`, which may raise anything.
    """

    title: ClassVar[str]
    """What the program is called."""

    def __init__(self) -> None:
        self._begun = self._lost = False

    # As a callback

    def start(self, at: Start) -> None:
        """Begin, in the first process."""
        self._lost, self._begun = not at.first, False
        self._try(self.begin, at)
        self._begun = not self._lost

    def __call__(self, at: Moment) -> None:
        """Pass on what was logged at this update, if anything was."""
        numbers = {f"metrics/{name}": value for name, value in at.metrics.items()}
        numbers |= {f"clock/{name}": value for name, value in at.clock.items()}
        if numbers:
            self._try(self.add, numbers, at.update)
        if at.picture is not None:
            self._try(self.show, at.picture, at.update)

    def close(self) -> None:
        """End, where it has begun."""
        if self._begun:
            self._try(self.end)
        self._begun = False

    def _try(self, step: Callable[..., None], *arguments: Any) -> None:
        if self._lost:
            return
        try:
            step(*arguments)
        except Exception as error:  # whatever a foreign package raises
            self._lost = True
            say(self.lost(error))

    def lost(self, why: Exception) -> str:
        """The notice where it fails."""
        reason = getattr(why, "strerror", None) or f"{type(why).__name__}: {why}"
        first = (str(reason).splitlines() or [""])[0][:200]
        return (
            f"{self.title}: nothing more is passed on ({first}); metrics.jsonl and the run go on."
        )

    # What each does in its own way

    def begin(self, at: Start) -> None:
        """Open the other program's run."""

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        """Pass on the numbers of one update."""
        raise NotImplementedError

    def show(self, picture: Path, update: int) -> None:
        """Pass on a picture of samples."""

    def end(self) -> None:
        """Close the other program's run."""


def remembered(folder: Path | None, name: str) -> str | None:
    """The id that another program has given this run; None for a run that it does not know."""
    if folder is None:
        return None
    with contextlib.suppress(errors.BadFile, UnicodeDecodeError):
        word = files.read(folder / f"{name}.id", most=100).decode().strip()
        return word if _ID.fullmatch(word) else None
    return None


def remember(folder: Path | None, name: str, word: str) -> None:
    """Keep the id beside the run, so that a resumed run goes on in the same place."""
    if folder is not None:
        files.write_atomically(folder / f"{name}.id", f"{word}\n".encode())

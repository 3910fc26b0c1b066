"""What is new in the folder of a run, for a page that watches: it is read, and never written to."""

import contextlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advnets.base import errors, files
from advnets.base.terminal import printable
from advnets.runs.run_config import config_of
from advnets.storage.run_folder import RunDir
from advnets.studio.runs import identity, newest, row_of

MOST = 2**20
"""Bytes of the log that are read at once."""


class Tail:
    """The whole lines that were added to a file since the last look.

    A file that became shorter (a run that was resumed drops what came after its checkpoint) is read
    from its beginning again.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.at, self.again = path, 0, False

    def lines(self) -> list[bytes]:
        """New lines; `again` tells whether they begin the file anew."""
        try:
            size = self.path.stat().st_size
            self.again = size < self.at
            self.at = 0 if self.again else self.at
            with self.path.open("rb") as file:
                file.seek(self.at)
                whole = file.read(MOST).rpartition(b"\n")[0]
        except OSError:
            return []
        self.at += len(whole) + 1 if whole else 0
        return whole.split(b"\n") if whole else []


def events(folder: RunDir) -> Iterator[dict[str, Any] | None]:
    """What is new in the folder of a run, as it comes; None where nothing is.

    Rows of the curves and warnings are those since the last event; `picture`, `checkpoint`, `state`
    and `id` (the folder's) are there where they changed.
    """
    log, known, update = Tail(folder.path / "metrics.jsonl"), dict[str, Any](), 0
    now: dict[str, Any]
    while True:
        new = log.lines()
        told: dict[str, Any] = {"rows": [], "warnings": []}
        for line in new:
            _read(line, told)
        update = told["rows"][-1][0] if told["rows"] else update
        now = {"id": identity(folder), "checkpoint": newest(folder), "state": state(folder, update)}
        if pictures := folder.pictures():
            now["picture"] = int(pictures[-1].stem)
        changed = {name: value for name, value in now.items() if known.get(name) != value}
        known = now
        yield told | changed | {"again": log.again} if new or changed else None


def state(folder: RunDir, update: int) -> str:
    """What became of the training, in a sentence; empty while it goes on, or where that is unknown.

    Args:
        folder: The run's.
        update: The last one that was logged.
    """
    with contextlib.suppress(errors.UserError, OSError):
        if update >= config_of(folder).trainer.steps:
            return f"Training has finished: {update:,} updates."
        if files.held(folder.path / ".lock") is False:
            return f"No process trains here now: it was stopped or killed. {on(folder.path)}"
    return ""


def on(path: Path) -> str:
    """How a run is resumed, in a sentence."""
    return f"It goes on with: advnets train --resume {printable(shlex.quote(str(path)))}"


def _read(line: bytes, told: dict[str, Any]) -> None:
    try:
        record = json.loads(line)
        row = row_of(record)
    except (ValueError, TypeError, KeyError, RecursionError):
        return  # a line that a kill cut off
    if row is not None:
        told["rows"].append(row)
    elif isinstance(record.get("warning"), str):
        told["warnings"].append(str(record.get("sentence", record["warning"])))

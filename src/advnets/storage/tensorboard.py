"""The metrics of a run as TensorBoard reads them, where that extra is installed.

A view of the log and nothing else: whatever goes wrong with it is said once, and the run goes on
without. The records are written here and not by `torch.utils.tensorboard`, whose writer is a thread
that prints tracebacks of its own and hangs its caller once it has died.

Reference: tensorboard's `event.proto` and `summary.proto`.
"""

import errno
import importlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advnets.base import errors
from advnets.base.terminal import say


class Board:
    """One event file in a folder. It is made at the first record and never left open.

    Args:
        folder: Where TensorBoard looks.

    Attributes:
        after: The update after which TensorBoard drops what earlier files say; 0 drops nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.after = folder, 0
        self._file: Path | None = None
        self._lost = False

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        """Write the numbers of one update, unless the board is lost."""
        if self._lost:
            return
        try:
            if self._file is None:
                self._begin()
            self._write(_event(numbers, update))
        except ModuleNotFoundError as error:
            self._lose(None if error.name == "tensorboard" else error)
        except Exception as error:  # whatever a broken installation raises
            self._lose(error)

    def _begin(self) -> None:
        importlib.import_module("tensorboard")  # its own absence is told from that of a part
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self.folder.mkdir(exist_ok=True)
        self._file = self.folder / f"events.out.tfevents.{time.time_ns():020d}.{os.getpid()}"
        self._write(Event(file_version="brain.Event:2"), os.O_CREAT | os.O_EXCL)
        if self.after:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(step=self.after + 1, session_log=start))

    def _write(self, event: Any, flags: int = 0) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        event.wall_time = time.time()
        if self._file is None or self.folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "a symbolic link stands there")
        flags |= os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(self._file, flags, 0o666), "wb", buffering=0) as file:
            RecordWriter(file).write(event.SerializeToString())

    def _lose(self, why: Exception | None) -> None:
        self._lost = True
        if why is not None:
            say(errors.board_lost(self.folder, why))


def _event(numbers: Mapping[str, float], update: int) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
    return Event(step=update, summary=Summary(value=values))

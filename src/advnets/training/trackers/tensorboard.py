"""The log of a run for TensorBoard, where it is installed: event files in RUN/tensorboard.

The records are written here and not by `torch.utils.tensorboard`, whose writer thread prints
tracebacks and blocks its caller once it has died.

Reference: tensorboard's `event.proto` and `summary.proto`.
"""

import errno
import importlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advnets.training.callbacks import Start
from advnets.training.trackers.tracker import Tracker


class TensorBoard(Tracker):
    """One event file in the run folder. It is created at the first record and closed after each.

    Without a run folder, or without the package, it does nothing.
    """

    title = "TensorBoard"

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None
        self._file: Path | None = None
        self._after = 0

    def begin(self, at: Start) -> None:
        """Note the folder, and the update after which records of earlier files are dropped."""
        self._folder = None if at.folder is None else at.folder / "tensorboard"
        self._file, self._after = None, at.update
        self._lost = at.folder is None

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        """Append an event."""
        if self._file is None:
            try:
                importlib.import_module("tensorboard")  # its absence is told from that of a part
            except ModuleNotFoundError as error:
                if error.name != "tensorboard":
                    raise
                self._lost = True
                return
            self._create()
        self._write(_event(numbers, update))

    def _create(self) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        assert self._folder is not None
        self._folder.mkdir(exist_ok=True)
        self._file = self._folder / f"events.out.tfevents.{time.time_ns():020d}.{os.getpid()}"
        self._write(Event(file_version="brain.Event:2"), os.O_CREAT | os.O_EXCL)
        if self._after:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(step=self._after + 1, session_log=start))

    def _write(self, event: Any, flags: int = 0) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        event.wall_time = time.time()
        if self._file is None or self._file.parent.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "a symbolic link stands there")
        flags |= os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(self._file, flags, 0o666), "wb", buffering=0) as file:
            RecordWriter(file).write(event.SerializeToString())


def _event(numbers: Mapping[str, float], update: int) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
    return Event(step=update, summary=Summary(value=values))

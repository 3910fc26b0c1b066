"""Where pictures come from: a folder or a zip, whose files are listed and never held."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from advnets import checks

MOST_BYTES = 2**29
"""A picture's file may be this long; what is longer is taken for a decompression bomb."""
LABELS = "labels.csv"
"""The file that names each picture's class."""


class Entry(NamedTuple):
    """One file or, with a `/` at the end of its name, one folder of a source."""

    name: str
    """Relative to the source, its parts joined by `/`."""
    size: int = 0
    """Bytes, unpacked."""
    stamp: int = 0
    """What changes with the content: the time of the last change, or in a zip the CRC-32."""
    offset: int = 0
    """In a zip: where the file begins."""
    packed: int = 0
    """In a zip: bytes that it takes there."""
    method: int = 0
    """In a zip: how it is packed."""


class Source(Protocol):
    """A folder or a zip."""

    path: Path
    links: int
    """Symbolic links that the last listing met and did not follow."""

    def entries(self) -> Iterator[Entry]:
        """All files and folders in no particular order, but hidden ones and symbolic links."""
        ...

    def expect(self, entries: Iterable[Entry]) -> None:
        """Ask the disk for files that are to be read next, without waiting for them."""
        ...

    def read(self, entry: Entry) -> bytes:
        """The content of one file. Raises `Unusable` where it cannot be read."""
        ...


def fetch(handle: int, start: int = 0, length: int = 0) -> None:
    """Ask the disk for some bytes of an open file; 0 is all of it.

    What cannot be asked for, on some systems anything, is left to the reader to find out.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError, OverflowError):  # a damaged zip names any place
            os.posix_fadvise(handle, start, length, os.POSIX_FADV_WILLNEED)


def hidden(name: str) -> bool:
    """Whether a name is what systems leave behind, and not what a person put there."""
    return name.startswith(".") or name == "__MACOSX"


class Folder:
    """A folder with all that is below it.

    Args:
        path: The folder; it may be a symbolic link itself.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.links = path, 0

    def entries(self) -> Iterator[Entry]:
        """All files and folders, of which only those of one branch are known at a time.

        Raises:
            BadFile: For a folder that the system does not let us read.
        """
        self.links, waiting = 0, [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(self.path / below) as items:
                    for item in items:
                        if hidden(item.name):
                            continue
                        if item.is_symlink():
                            self.links += 1
                        elif item.is_dir():
                            waiting.append(f"{below}{item.name}/")
                            yield Entry(waiting[-1])
                        elif item.is_file():
                            facts = item.stat()
                            yield Entry(below + item.name, facts.st_size, facts.st_mtime_ns)
            except OSError as error:
                raise checks.unreadable(self.path / below, error) from None

    def expect(self, entries: Iterable[Entry]) -> None:
        """Ask the disk for files that are to be read next, without waiting for them."""
        for entry in entries:
            with contextlib.suppress(OSError), self._opened(entry) as handle:
                fetch(handle)

    def read(self, entry: Entry) -> bytes:
        """The content of one file. Raises `Unusable` where the system does not give it."""
        try:
            with self._opened(entry) as handle, open(handle, "rb", closefd=False) as file:
                return file.read(entry.size)  # memory for as many bytes is taken at once
        except OSError as error:
            raise checks.unusable(error.strerror or error) from None

    @contextlib.contextmanager
    def _opened(self, entry: Entry) -> Iterator[int]:
        handle = os.open(f"{self.path}/{entry.name}", os.O_RDONLY | os.O_NOFOLLOW)
        try:
            yield handle
        finally:
            os.close(handle)

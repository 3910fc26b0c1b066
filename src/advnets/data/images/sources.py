"""Where pictures come from: a folder or a zip, whose files are listed and never held."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol

from advnets.base import errors

MOST_BYTES = 2**29
"""A picture's file may be this long; what is longer is taken for a decompression bomb."""
LABELS = "labels.csv"
"""The file that names each picture's class."""
START = 16
"""Bytes that tell what kind of file it is."""
LINK = "a symbolic link, which is not followed"
SPECIAL = "no regular file"


class Entry(NamedTuple):
    """One file or, with a `/` at the end of its name, one folder of a source."""

    name: str
    """Relative to the source, its parts joined by `/`."""
    size: int = 0
    """Bytes, unpacked."""
    stamp: int = 0
    """What changes with the content: of a file the times of its last changes and its inode, in a
    zip the CRC-32."""
    offset: int = 0
    """In a zip: where the file begins."""
    packed: int = 0
    """In a zip: bytes that it takes there."""
    method: int = 0
    """In a zip: how it is packed."""
    why: str = ""
    """Why it cannot be read, where it is a symbolic link or no regular file."""


class Source(Protocol):
    """A folder or a zip."""

    path: Path

    def entries(self) -> Iterator[Entry]:
        """All files and folders in no particular order, but hidden ones; links are not followed."""
        ...

    def expect(self, entries: Iterable[Entry]) -> None:
        """Ask the disk for files that are to be read next, without waiting for them."""
        ...

    def start(self, entry: Entry) -> bytes:
        """The first `START` bytes of a file; none where it cannot be read."""
        ...

    def read(self, entry: Entry) -> bytes:
        """The content of one file. Raises `Unusable` where it cannot be read, or is too long."""
        ...


def fetch(handle: int, start: int = 0, length: int = 0) -> None:
    """Ask the disk for some bytes of an open file; 0 is all of it.

    What cannot be asked for, on some systems anything, is left to the reader to find out.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError, OverflowError):  # a damaged zip names any place
            os.posix_fadvise(handle, start, length, os.POSIX_FADV_WILLNEED)


def refuse_bomb(entry: Entry) -> None:
    """Raise `Bomb` for a file that is longer than a picture or a table of labels can be."""
    if max(entry.size, entry.packed) > MOST_BYTES:
        raise errors.bomb(f"{MOST_BYTES:,} bytes", f"{max(entry.size, entry.packed):,}")


def hidden(name: str) -> bool:
    """Whether a name is what systems leave behind, and not what a person put there."""
    return name.startswith(".") or name == "__MACOSX"


class Folder:
    """A folder with all that is below it.

    Args:
        path: The folder; it may be a symbolic link itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Iterator[Entry]:
        """All files and folders, of which only those of one branch are known at a time.

        Raises:
            BadFile: For a folder that the system does not let us read.
        """
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(self.path / below) as items:
                    for item in items:
                        if hidden(item.name):
                            continue
                        entry = _entry(item, below)
                        if entry.name.endswith("/") and not entry.why:
                            waiting.append(entry.name)
                        yield entry
            except OSError as error:
                raise errors.unreadable(self.path / below, error) from None

    def expect(self, entries: Iterable[Entry]) -> None:
        """Ask the disk for files that are to be read next, without waiting for them."""
        for entry in entries:
            with contextlib.suppress(OSError), self._opened(entry) as handle:
                fetch(handle)

    def start(self, entry: Entry) -> bytes:
        """The first `START` bytes of a file; none where the system does not give it."""
        with contextlib.suppress(OSError), self._opened(entry) as handle:
            return os.read(handle, START)
        return b""

    def read(self, entry: Entry) -> bytes:
        """The content of one file. Raises `Unusable` where the system does not give it."""
        refuse_bomb(entry)
        try:
            with self._opened(entry) as handle, open(handle, "rb", closefd=False) as file:
                if _stamp(os.fstat(handle)) != entry.stamp:
                    raise errors.unusable("changed while the pictures were read")
                return file.read(entry.size)  # memory for as many bytes is taken at once
        except OSError as error:
            raise errors.unusable(error.strerror or error) from None

    @contextlib.contextmanager
    def _opened(self, entry: Entry) -> Iterator[int]:
        only_files = os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe put in its place must not block
        handle = os.open(f"{self.path}/{entry.name}", os.O_RDONLY | only_files)
        try:
            yield handle
        finally:
            os.close(handle)


def _entry(item: "os.DirEntry[str]", below: str) -> Entry:
    """What one item of a folder is."""
    name = below + item.name
    if item.is_symlink():
        return Entry(f"{name}/" if os.path.isdir(item.path) else name, why=LINK)  # noqa: PTH112
    if item.is_dir(follow_symlinks=False):
        return Entry(f"{name}/")
    if not item.is_file(follow_symlinks=False):
        return Entry(name, why=SPECIAL)
    facts = item.stat(follow_symlinks=False)
    return Entry(name, facts.st_size, _stamp(facts))


def _stamp(facts: os.stat_result) -> int:
    """A number that changes whenever a file's content does, also where its times are set back.

    Tools such as `rsync -t` and `cp -p` set the time of the last change; nothing sets the time at
    which the inode changed.
    """
    text = f"{facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1

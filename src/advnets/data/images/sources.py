"""Sources of pictures: a folder or a zip, whose files are listed as a stream."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol

from advnets.base import errors

MOST_BYTES = 2**29
"""Largest file of a picture; longer ones are treated as decompression bombs."""
LABELS = "labels.csv"
"""The name of the table of classes."""
START = 16
"""Number of first bytes that identify the kind of a file."""
LINK = "a symbolic link, which is not followed"
SPECIAL = "no regular file"


class Entry(NamedTuple):
    """One file or, with a `/` at the end of its name, one folder of a source."""

    name: str
    """Relative to the source, its parts joined by `/`."""
    size: int = 0
    """Bytes, unpacked."""
    stamp: int = 0
    """A stamp that changes with the content: times of the last changes and inode of a file, CRC-32
    of a member of a zip."""
    offset: int = 0
    """In a zip: where the file begins."""
    packed: int = 0
    """In a zip: compressed size in bytes."""
    method: int = 0
    """In a zip: compression method."""
    why: str = ""
    """Why it cannot be read, where it is a symbolic link or no regular file."""


class Source(Protocol):
    """A folder or a zip."""

    path: Path

    def entries(self) -> Iterator[Entry]:
        """All files and folders except hidden ones, in any order; links are not followed."""
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
    """Ask the disk to prefetch bytes of an open file; 0 for all of it.

    Errors are ignored; the reader will report them.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError, OverflowError):  # a damaged zip names any place
            os.posix_fadvise(handle, start, length, os.POSIX_FADV_WILLNEED)


def refuse_bomb(entry: Entry) -> None:
    """Raise `Bomb` for a file that is longer than a picture or a table of labels can be."""
    if max(entry.size, entry.packed) > MOST_BYTES:
        raise errors.bomb(f"{MOST_BYTES:,} bytes", f"{max(entry.size, entry.packed):,}")


def hidden(name: str) -> bool:
    """Whether a name is that of a hidden or system file."""
    return name.startswith(".") or name == "__MACOSX"


class Folder:
    """A folder and everything below it.

    Args:
        path: The folder; it may be a symbolic link itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Iterator[Entry]:
        """All files and folders, with one branch in memory at a time.

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
    """The entry of one item of a folder."""
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
    """A number that changes with a file's content, also where its times are set back.

    Tools such as `rsync -t` and `cp -p` set the time of the last change; nothing sets the time at
    which the inode changed.
    """
    text = f"{facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1

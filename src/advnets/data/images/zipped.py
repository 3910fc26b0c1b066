"""A zip of pictures, listed as a stream and read in place.

Python's `zipfile` keeps every member in memory, 0.7 kB each: too much for a million files. Here the
central directory is read as a stream, and a member by one positioned read, from any thread.

Reference: PKWARE, APPNOTE.TXT: 4.3.7 local header, 4.3.12 central directory, 4.3.14 to 4.3.16 its
    end, 4.5.3 the sizes of large archives (Zip64).
"""

import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from advnets.base import errors
from advnets.data.images.sources import LINK, START, Entry, fetch, hidden, refuse_bomb

MEMBER = struct.Struct("<4s6H3L5H2L")  # 4.3.12
LOCAL = struct.Struct("<4s22x2H")  # 4.3.7: the lengths of name and extra field are all we need
END = struct.Struct("<4s4H2LH")  # 4.3.16
END_64 = struct.Struct("<4s36x2Q")  # 4.3.14: size and place of the central directory
LOCATOR_64 = struct.Struct("<4s4xQ4x")  # 4.3.15
STORED, DEFLATED = 0, 8
ENCRYPTED, UTF_8 = 0x1, 0x800
FULL = 0xFFFFFFFF
"""Value of a 32-bit field whose number is in the extra field."""
UNIX = 3
OUTSIDE = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|$)")


class _Directory(NamedTuple):
    """Position of the central directory, and the offset by data before the zip."""

    start: int
    end: int
    shift: int


class Zip:
    """A zip archive, stored or deflated, of any size.

    Args:
        path: The file.
        file: The open file; the caller closes it.

    Raises:
        BadFile: When it is no complete zip.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file
        self._directory = _directory(path, file)

    def entries(self) -> Iterator[Entry]:
        """All files and folders in the order of the central directory.

        Raises:
            BadFile: For a damaged directory, an encrypted member, or one whose path leads outside.
        """
        self._file.seek(self._directory.start)
        while self._file.tell() < self._directory.end:
            try:
                entry, flags, mode = _member(self._file, self._directory.shift)
            except (struct.error, ValueError):
                raise _bad_zip(self.path, "its central directory is damaged") from None
            if OUTSIDE.match(entry.name):
                raise errors.BadFile(
                    f"{self.path}: must hold relative paths without '..', got '{entry.name}'."
                )
            if flags & ENCRYPTED:
                raise errors.encrypted_zip(self.path, entry.name)
            if any(hidden(part) for part in entry.name.split("/")):
                continue
            yield entry._replace(why=LINK) if stat.S_ISLNK(mode) else entry

    def expect(self, entries: Iterable[Entry]) -> None:
        """Ask the disk for members that are to be read next, without waiting for them."""
        for entry in entries:
            fetch(self._file.fileno(), entry.offset, LOCAL.size + len(entry.name) + entry.packed)

    def start(self, entry: Entry) -> bytes:
        """The first `START` bytes of a member; none where it is damaged."""
        try:
            return self._content(entry, START)
        except errors.Unusable:
            return b""

    def read(self, entry: Entry) -> bytes:
        """The content of one member. Raises `Unusable` where it is damaged."""
        refuse_bomb(entry)
        raw = self._content(entry, entry.size + 1)
        if len(raw) != entry.size or zlib.crc32(raw) != entry.stamp:
            raise errors.unusable("damaged in the zip: its checksum is wrong")
        return raw

    def _content(self, entry: Entry, most: int) -> bytes:
        """The first bytes of a member, at most so many."""
        handle = self._file.fileno()
        within = entry.offset < self._directory.start  # a damaged one may lie anywhere
        head = os.pread(handle, LOCAL.size, entry.offset) if within else b""
        if len(head) < LOCAL.size or not head.startswith(b"PK\x03\x04"):
            raise errors.unusable("damaged in the zip: it does not begin where it should")
        if entry.method not in (STORED, DEFLATED):
            raise errors.unusable(f"packed in the zip by method {entry.method}, not 0 or 8")
        _, name, extra = LOCAL.unpack(head)
        packed = entry.packed if most > START else min(entry.packed, 1_024)
        raw = os.pread(handle, packed, entry.offset + LOCAL.size + name + extra)
        if entry.method == STORED:
            return raw[:most]
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, most)
        except zlib.error as error:
            raise errors.unusable(f"damaged in the zip: {error}") from None


def _directory(path: Path, file: IO[bytes]) -> _Directory:
    """Find the central directory from the end of the file."""
    size = file.seek(0, os.SEEK_END)
    tail_start = max(0, size - END.size - 0xFFFF)  # a comment may follow the end
    file.seek(tail_start)
    tail = file.read()
    found, length, offset = _end(path, tail)
    end = tail_start + found
    if found >= LOCATOR_64.size and tail.startswith(b"PK\x06\x07", found - LOCATOR_64.size):
        _, end = LOCATOR_64.unpack_from(tail, found - LOCATOR_64.size)
        file.seek(end)
        record = file.read(END_64.size)
        if len(record) < END_64.size or not record.startswith(b"PK\x06\x06"):
            raise _bad_zip(path, "its Zip64 record is damaged")
        _, length, offset = END_64.unpack(record)
    if end - length - offset < 0:
        raise _bad_zip(path, "its beginning is missing")
    return _Directory(end - length, end, end - length - offset)


def _end(path: Path, tail: bytes) -> tuple[int, int, int]:
    """Where the last record of a zip is, and the length and place of the central directory in it.

    The comment that follows may contain the same signature, but then no valid record.
    """
    found = tail.rfind(b"PK\x05\x06")
    while found >= 0:
        if found + END.size <= len(tail):
            *_, length, offset, comment = END.unpack_from(tail, found)
            if found + END.size + comment <= len(tail):
                return found, length, offset
        found = tail.rfind(b"PK\x05\x06", 0, found)
    raise _bad_zip(path, "it has no central directory at its end")


def _bad_zip(path: Path, why: object) -> errors.BadFile:
    """A zip that is cut, damaged, or something else."""
    return errors.BadFile(
        f"{path}: must be a folder or a whole zip, got a file that is not: {why}."
    )


def _member(file: IO[bytes], shift: int) -> tuple[Entry, int, int]:
    """The next member of the central directory: its entry, its flags, its mode where it has one.

    Raises:
        ValueError, struct.error: For bytes that are no member.
    """
    (mark, made, _, flags, method, _, _, crc, packed, size, *lengths, _, _, mode, offset) = (
        MEMBER.unpack(file.read(MEMBER.size))
    )
    if mark != b"PK\x01\x02":
        damage = ValueError(mark)
        raise damage
    raw, extra, _ = (file.read(n) for n in lengths)
    name = raw.decode("utf-8" if flags & UTF_8 else "cp437", "surrogateescape").replace("\\", "/")
    large = iter(_zip64(extra))
    size, packed, offset = (next(large, v) if v == FULL else v for v in (size, packed, offset))
    entry = Entry(name, size, crc, offset + shift, packed, method)
    return entry, flags, (mode >> 16) * (made >> 8 == UNIX)


def _zip64(extra: bytes) -> tuple[int, ...]:
    """The numbers of 64 bits in an extra field."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 1:
            return struct.unpack_from(f"<{length // 8}Q", extra, 4)
        extra = extra[4 + length :]
    return ()

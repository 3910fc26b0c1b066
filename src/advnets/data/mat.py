"""The headers of MATLAB files of version 5 to 7, read before anything is unpacked.

A file is a sequence of elements: a tag (kind, bytes) and its content. Since version 7 an element
may be compressed by zlib, so that a few bytes can unpack to gigabytes: scipy reads as many as the
inner tag asks for. Here the first kilobyte of each is unpacked, and the sizes in its tags are
compared with its shape.

Reference: The MathWorks, MAT-File Format (version 5).
"""

import math
import struct
import zlib
from typing import IO, NamedTuple

MATRIX, COMPRESSED = 14, 15
HEAD = 1024
"""Number of first bytes of an element that contain its header."""
NAME, AXES = 63, 32
"""The longest name in MATLAB, and the most axes in numpy."""
WIDEST = 8
"""Bytes of the largest number; a complex one is two arrays."""
NUMERIC = range(6, 16)
"""Classes of full arrays of numbers; the others are cells, structures, objects and text."""


class Tag(NamedTuple):
    """The tag of an element: its kind, its size, its position and that of the next one."""

    kind: int
    size: int
    start: int
    end: int


def refuse_larger_than_headers(file: IO[bytes]) -> None:
    """Raise `ValueError` where an array asks for more bytes than its shape has.

    Args:
        file: Open for reading; its position changes.
    """
    file.seek(0)
    head = file.read(128)
    if len(head) < 128 or 0 in head[:4]:
        return  # version 4 packs nothing
    order = "<" if head[126:128] == b"IM" else ">"
    while len(words := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", words)
        at = file.tell()
        begin = file.read(min(size, 2 * HEAD))
        if kind == COMPRESSED:
            begin = zlib.decompressobj().decompress(begin, HEAD)
            kind, _ = struct.unpack_from(f"{order}II", begin)
            begin = begin[8:]
        if kind == MATRIX:
            _refuse_larger(begin, order)
        file.seek(at + size)


def _refuse_larger(begin: bytes, order: str) -> None:
    """The same for the first bytes of one array: flags, shape, name, numbers."""
    flags = _tag(begin, 0, order)
    shape = _tag(begin, flags.end, order)
    if flags.size != 8 or shape.size > 4 * AXES:
        raise ValueError(f"an array of {shape.size // 4} axes")
    word, _ = struct.unpack_from(f"{order}II", begin, flags.start)
    sides = struct.unpack_from(f"{order}{shape.size // 4}i", begin, shape.start)
    name = _tag(begin, shape.end, order)
    if name.size > NAME:
        raise ValueError(f"a name of {name.size:,} bytes")
    if word & 0xFF not in NUMERIC:
        return
    if word & 0x0800:
        raise ValueError("an array of complex numbers")
    numbers = _tag(begin, name.end, order)
    most = WIDEST * math.prod(max(side, 0) for side in sides)
    if numbers.size > most:
        what = f"{numbers.size:,} bytes for an array of shape {sides}"
        raise ValueError(f"{what}, which has {most:,} at most")


def _tag(data: bytes, at: int, order: str) -> Tag:
    """The tag at a place; a small element has its bytes beside it."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:
        return Tag(kind & 0xFFFF, kind >> 16, at + 4, at + 8)
    return Tag(kind, size, at + 8, at + 8 + size + -size % 8)

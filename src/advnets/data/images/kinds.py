"""Which files of a source are pictures: by the ending of the name, else by the first bytes.

A name without an ending (`IMG_0042`, `photo.1`) says nothing, so that its file is looked into.
Files of other endings (`.txt`, `.mp4`) are counted and not opened.
"""

from advnets.data.images.decoding import suffixes
from advnets.data.images.sources import LABELS, Entry, Source

FOREIGN = frozenset(
    [
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".svg",
        ".eps",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
        ".exr",
        ".xcf",
        ".dcm",
    ]
)
"""Endings of pictures that Pillow does not read; where a plug-in reads them, it decides."""
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
UNREAD = "in a format that Pillow does not read; convert it to PNG or JPEG"


def ending(name: str) -> str:
    """The ending of a name, such as `.png`; empty where there is none, or only a number."""
    _, dot, last = name.rpartition("/")[2].rpartition(".")
    return "" if not dot or last.isdecimal() else f".{last.lower()}"


def is_table(name: str) -> bool:
    """Whether a file names the classes of pictures."""
    return name.rpartition("/")[2].lower() == LABELS


def may_be_picture(name: str) -> bool:
    """Whether the name allows a picture: its ending says so, or it has none."""
    return ending(name) in suffixes() | FOREIGN | {""}


def why_not(source: Source, entry: Entry) -> str | None:
    """Why a file that may be a picture cannot be read as one; None where it is to be decoded.

    Returns:
        The reason; an empty one for what is no picture at all.
    """
    if entry.why:
        return entry.why
    end = ending(entry.name)
    if end in suffixes():
        return None
    if end:
        return UNREAD
    first = source.start(entry)
    if first.startswith(STARTS) or (first[:4], first[8:12]) == (b"RIFF", b"WEBP"):
        return None
    if first[4:8] == b"ftyp":
        return None if first[8:12] == b"avif" else UNREAD if first[8:12] in HEIF else ""
    return ""

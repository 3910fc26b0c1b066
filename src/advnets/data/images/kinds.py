"""Which files of a source are pictures: by extension, else by the first bytes.

A file without an extension (`IMG_0042`, `photo.1`) is opened to look at its first bytes. Files with
other extensions (`.txt`, `.mp4`) are counted and not opened.
"""

from advnets.data.images import decoding
from advnets.data.images.sources import LABELS, Entry, Source

HEIC = frozenset((".heic", ".heif", ".hif", ".heics", ".heifs"))
"""Extensions of the pictures of many telephones, which the extra `heic` reads."""
FOREIGN = HEIC | frozenset(
    [
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
"""Extensions of pictures that Pillow reads only with a plug-in."""
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
NEEDS_HEIC = "of the format HEIC, which needs: pip install 'advnets[heic]'"
UNREAD = "in a format that Pillow does not read; convert it to PNG or JPEG"


def ending(name: str) -> str:
    """The extension of a name, such as `.png`; empty where there is none, or only a number."""
    _, dot, last = name.rpartition("/")[2].rpartition(".")
    return "" if not dot or last.isdecimal() else f".{last.lower()}"


def is_table(name: str) -> bool:
    """Whether a file names the classes of pictures."""
    return name.rpartition("/")[2].lower() == LABELS


def may_be_picture(name: str) -> bool:
    """Whether the name may be a picture: by its extension, or because it has none."""
    return ending(name) in decoding.suffixes() | FOREIGN | {""}


def why_not(source: Source, entry: Entry) -> str | None:
    """Why a file that may be a picture cannot be read as one; None where it is to be decoded.

    Returns:
        The reason; an empty one for what is no picture at all.
    """
    if entry.why:
        return entry.why
    end = ending(entry.name)
    if end in decoding.suffixes():
        return None
    if end:
        return NEEDS_HEIC if end in HEIC else UNREAD
    first = source.start(entry)
    if first.startswith(STARTS) or (first[:4], first[8:12]) == (b"RIFF", b"WEBP"):
        return None
    if first[4:8] == b"ftyp":
        if first[8:12] in HEIF:
            return None if decoding.reads_heic() else NEEDS_HEIC
        return None if first[8:12] == b"avif" else ""
    return ""

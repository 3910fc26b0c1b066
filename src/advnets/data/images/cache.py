"""The cache of decoded pictures: an array of bytes that is never read whole.

    CACHE/NAME-KEY/
        images.npy     uint8 (n, C, H, W): training, validation, test; in each by name
        labels.npy     int64 (n,), where there are classes; -1 in a split without
        facts.json     names of the classes, sizes of the splits, where both come from, checksums
        skipped.txt    each picture that is not among them, and why

The key is a hash of the names, sizes and stamps of all pictures and of the options, so that a
changed source gets a new cache. It is built in a temporary folder (`building`). Its checksums are
verified whenever it is opened; a damaged one is rebuilt, with a message.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from advnets.base import errors, files
from advnets.base.terminal import printable
from advnets.data.images import listing
from advnets.data.images.building import build, checksum
from advnets.data.images.decoding import Look
from advnets.data.images.sources import Source
from advnets.data.mapped import read_header
from advnets.storage import schema

FORMAT = 3
"""Version of the format; another version has another key."""
DARK = 64
"""A set whose brightest byte is below this is nearly black."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cache:
    """A complete cache."""

    folder: Path
    classes: tuple[str, ...]
    """Names of the classes, by label; empty where there are none."""
    examples: tuple[int, int, int]
    """Numbers of pictures in the source's own training, validation and test sets."""
    skipped: int
    """Pictures that are left out."""
    classes_from: str
    """Where the classes come from, or why there are none."""
    folders: tuple[tuple[str, ...], ...]
    """The folders of each split; empty where the source has no such split."""
    others: int
    """Files without an extension that are no pictures."""
    left: tuple[tuple[str, int, str], ...]
    """Why pictures are left out: the reason, how many, and the first of them."""
    depth: int
    """Bits that the set's 16-bit grey pictures use; 0 without any."""
    brightest: int
    """The largest byte of all."""
    crc32: tuple[int, int]
    """Of the pixels, and of the file of labels."""

    @property
    def images(self) -> Path:
        """The file of all pictures."""
        return self.folder / "images.npy"

    def labels(self) -> "np.ndarray[Any, np.dtype[np.int64]] | None":
        """The class of each picture, -1 without; None where there are no classes."""
        return np.load(self.folder / "labels.npy") if self.classes else None

    def first_skipped(self) -> str:
        """The first picture that is left out, and why."""
        with (self.folder / "skipped.txt").open(encoding="utf-8") as lines:
            return lines.readline().strip().replace("\t", ": ")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a source is read."""

    look: Look
    """The format of decoded pictures."""
    labels: bool
    """Whether the pictures have classes."""
    splits: bool
    """Whether folders may be splits."""
    refuse: bool
    """Whether a picture that would be left out is an error."""


def find_or_build(source: Source, root: Path, rules: Rules, *, say: Say) -> tuple[Cache, int]:
    """The cache of a source: an existing one, or a new one.

    Args:
        source: A folder or a zip.
        root: Where caches are kept.
        rules: How the source is read.
        say: Called with what was left out.

    Returns:
        The cache, and how many files of the source are no pictures.

    Raises:
        BadFile: For an invalid source.
        CannotWrite: When it cannot be written; what was decoded is kept.
    """
    key, others = _key(source, rules)
    stem = os.fsencode(source.path.resolve().stem)[:80].decode(errors="ignore")
    name = f"{printable(stem)}-{key}"
    cache = _open(root / name, rules.look, say)
    if cache is None:
        with _saving(root):
            root.mkdir(parents=True, exist_ok=True)
            with _alone(root / f".lock.{name}"):
                cache = _open(root / name, rules.look, None)  # another process may have built it
                cache = cache or _build(source, root, name, rules)
    if cache.skipped:
        if rules.refuse:
            raise errors.unusable_picture(source.path, cache.first_skipped())
        say(
            f"Pictures left out: {cache.skipped:,}, first {cache.first_skipped()}; all are "
            f"named in {cache.folder}/skipped.txt."
        )
    if cache.brightest < DARK:
        say(
            f"{source.path}: nearly black: the brightest value of all pictures is "
            f"{cache.brightest} of 255. Colour "
            "pictures of 16 bits that use fewer are read so: save them with 8 bits."
        )
    return cache, others + cache.others


def _build(source: Source, root: Path, name: str, rules: Rules) -> Cache:
    aside = root / f".part.{name}"
    _refuse_planted(aside)
    settings = {"labels": rules.labels, "splits": rules.splits, "refuse": rules.refuse}
    try:
        build(source, aside, rules.look, **settings)
    except sqlite3.OperationalError:
        raise  # the disk refuses
    except sqlite3.DatabaseError:  # the listing is damaged: begin anew
        shutil.rmtree(aside)
        build(source, aside, rules.look, **settings)
    shutil.rmtree(root / name, ignore_errors=True)  # a damaged one
    aside.rename(root / name)
    cache = _open(root / name, rules.look, None)
    if cache is None:
        raise errors.disk_full(root / name, "what is read back is not what was written")
    return cache


def _refuse_planted(aside: Path) -> None:
    """Begin anew where a half-built cache is, or holds, what was not built there.

    Through a link, pictures would be written over what lies elsewhere.
    """
    own = not aside.is_symlink()
    if own and aside.is_dir():
        own = all(stat.S_ISREG(path.lstat().st_mode) for path in aside.iterdir())
        if not own:
            shutil.rmtree(aside)  # links in it are removed, and not what they lead to
    elif os.path.lexists(aside):
        aside.unlink()


def _key(source: Source, rules: Rules) -> tuple[str, int]:
    """Sixteen letters for a source and the options, and its number of other files."""
    number, others = listing.fingerprint(source)
    kept = {"format": FORMAT, "labels": rules.labels, "splits": rules.splits, **asdict(rules.look)}
    options = json.dumps(kept, sort_keys=True)
    return blake2b(f"{number} {options}".encode(), digest_size=8).hexdigest(), others


def _open(folder: Path, look: Look, say: Say | None) -> Cache | None:
    """The cache in a folder; None where it is missing, or damaged (with a message)."""
    if not os.path.lexists(folder / "facts.json"):
        return None
    try:
        cache = _read(folder, json.loads(files.read(folder / "facts.json", most=schema.FACTS)))
        whole = _whole(cache, look)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, RecursionError):
        whole = False
    if not whole and say:
        say(
            f"{folder}: this cache is damaged (a checksum is wrong); the pictures are decoded "
            "again."
        )
    return cache if whole else None


def _read(folder: Path, facts: dict[str, Any]) -> Cache:
    """The content of `facts.json`; raises a Python exception where it is malformed."""
    train, validation, test = (int(n) for n in facts["examples"])
    pixels, labels = (int(n) for n in facts["crc32"])
    return Cache(
        folder,
        tuple(str(name) for name in list(facts["classes"])),
        (train, validation, test),
        int(facts["skipped"]),
        str(facts["origin"]["classes"]),
        tuple(tuple(str(name) for name in names) for names in facts["origin"]["splits"]),
        int(facts["origin"]["others"]),
        tuple((str(why), int(n), str(first)) for why, n, first in facts["left"]),
        int(facts["depth"]),
        int(facts["brightest"]),
        (pixels, labels),
    )


def _whole(cache: Cache, look: Look) -> bool:
    """Whether the files match the metadata."""
    with files.open_regular(cache.images) as file:
        header = read_header(file)
        if header is None or header.shape != (sum(cache.examples), *look.shape):
            return False
        if os.fstat(file.fileno()).st_size != header.end or checksum(file) != cache.crc32[0]:
            return False
    if cache.classes:
        with files.open_regular(cache.folder / "labels.npy") as file:
            return checksum(file) == cache.crc32[1]
    return len(cache.folders) == 3 and (cache.folder / "skipped.txt").exists()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, a lock that other processes wait for."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW  # a link in its place is not written through
    with os.fdopen(os.open(path, flags, 0o644), "r+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)  # all is done: who comes now need not wait


@contextlib.contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Inside, failures to write, also of the database, raise `CannotWrite`."""
    with errors.saving(path):
        try:
            yield
        except sqlite3.Error as error:
            raise errors.disk_full(path, error) from None

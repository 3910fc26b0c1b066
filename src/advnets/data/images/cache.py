"""Pictures decoded once, into an array of bytes that is never read whole.

    CACHE/NAME-KEY/
        images.npy     uint8 (n, C, size, size): training, validation, test; in each by name
        labels.npy     int64 (n,), where there are classes
        facts.json     names of the classes, sizes of the splits
        skipped.txt    each picture that is not among them, and why

The key is drawn from the names, sizes and stamps of all pictures and from the options, so that a
changed source gets a cache of its own. It is built in a folder aside: listed in one transaction,
then decoded block by block, each taken down when it is on the disk. Interrupted, it goes on there.
"""

import contextlib
import itertools
import json
import math
import os
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from advnets import checks
from advnets.data.images import listing
from advnets.data.images.decoding import Look, Pixels, decode
from advnets.data.images.sources import MOST_BYTES, Entry, Source
from advnets.data.mapped import read_header
from advnets.progress import counting

FORMAT = 1
"""Version of what a cache holds; one of another version has another key."""
BLOCK = 1_024
"""Pictures decoded between two looks at the disk."""
CHUNK = 32
"""Pictures that a thread takes at a time."""
SMALL = 4_096
"""Bytes of a file on average, from which threads decode side by side. The time of smaller pictures
goes into Python, where threads stand in each other's way: one alone is quicker."""
BUFFER = 2**20
"""Bytes that are written at a time."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cache:
    """A whole cache."""

    folder: Path
    classes: tuple[str, ...]
    """Names of the classes, by label; empty where there are none."""
    examples: tuple[int, int, int]
    """Pictures that are the source's own training, validation and test set."""
    skipped: int
    """Pictures that could not be used."""

    @property
    def images(self) -> Path:
        """The file of all pictures."""
        return self.folder / "images.npy"

    def labels(self) -> "np.ndarray[Any, np.dtype[np.int64]] | None":
        """The class of each picture, where they have classes."""
        return np.load(self.folder / "labels.npy") if self.classes else None

    def first_skipped(self) -> str:
        """The first picture that could not be used, and why."""
        with (self.folder / "skipped.txt").open(encoding="utf-8") as lines:
            return lines.readline().strip().replace("\t", ": ")


def find_or_build(
    source: Source, root: Path, look: Look, *, labels: bool, refuse: bool, say: Say
) -> Cache:
    """The cache of a source: the one that is there, or one that is built now.

    Args:
        source: A folder or a zip.
        root: Where caches are kept.
        look: What the pictures are made to look like.
        labels: Whether the pictures have classes.
        refuse: Whether a picture that cannot be used ends it, instead of being left out.
        say: Hears what was left out.

    Raises:
        BadFile: For a source that is not as it must be, or a decompression bomb in it.
        CannotWrite: When the disk does not take it; what was decoded is kept.
    """
    name = f"{source.path.resolve().stem[:80]}-{_key(source, look, labels)}"
    cache = _open(root / name, look)
    if cache is None:
        with _saving(root):
            root.mkdir(parents=True, exist_ok=True)
            with _alone(root / f".lock.{name}"):
                if _open(root / name, look) is None:  # another process may have built it meanwhile
                    aside = root / f".part.{name}"
                    _build(source, aside, look, labels=labels, refuse=refuse)
                    shutil.rmtree(root / name, ignore_errors=True)  # a damaged one
                    aside.rename(root / name)
        cache = _open(root / name, look)
    assert cache is not None
    if cache.skipped:
        if refuse:
            raise checks.unusable_picture(source.path, cache.first_skipped())
        say(checks.pictures_skipped(cache.skipped, cache.first_skipped(), cache.folder))
    return cache


def _key(source: Source, look: Look, labels: bool) -> str:
    """Sixteen letters for a source and the options."""
    options = json.dumps({"format": FORMAT, "labels": labels, **asdict(look)}, sort_keys=True)
    return blake2b(f"{listing.fingerprint(source)} {options}".encode(), digest_size=8).hexdigest()


def _open(folder: Path, look: Look) -> Cache | None:
    """The cache in a folder; None where there is none, or not a whole one."""
    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        cache = Cache(folder, tuple(facts["classes"]), tuple(facts["examples"]), facts["skipped"])
        with cache.images.open("rb") as file:
            header = read_header(file)
            size = file.seek(0, os.SEEK_END)
        rows = sum(cache.examples)
        labels = cache.labels()
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    whole = header is not None and header.shape == (rows, *look.shape) and size == header.end
    return cache if whole and (labels is None or len(labels) == rows) else None


# Building


def _build(source: Source, folder: Path, look: Look, *, labels: bool, refuse: bool) -> None:
    """Build a cache in a folder, or go on with one."""
    folder.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "listing", isolation_level=None)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            try:
                listing.write(db, source, labels=labels)
            except checks.UserError:
                shutil.rmtree(folder)  # there is nothing to go on with
                raise
        with (folder / "images.npy").open("ab"):  # make it, where it is not there
            pass
        with (folder / "images.npy").open("r+b", buffering=BUFFER) as file:
            _decode_all(db, source, file, look, refuse=refuse)
        _conclude(db, source, folder)
    (folder / "listing").unlink()


def _decode_all(
    db: sqlite3.Connection, source: Source, file: IO[bytes], look: Look, *, refuse: bool
) -> None:
    """Append all pictures to the array, from where the last look at the disk was."""
    done, rows = db.execute("SELECT done, rows FROM progress").fetchone()
    (total,) = db.execute("SELECT COUNT(*) FROM files").fetchone()
    _write_header(file, (rows, *look.shape))
    file.truncate(file.seek(rows * math.prod(look.shape), os.SEEK_CUR))
    with contextlib.ExitStack() as stack:
        show = stack.enter_context(counting("pictures decoded", total, done))
        pool = stack.enter_context(ThreadPoolExecutor(_processors()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of what Pillow finds odd in a file
        while done < total:
            problems = []
            for name, picture in _block(db, done, pool, source, look):
                done += 1
                if not isinstance(picture, checks.Unusable):
                    file.write(picture.tobytes())
                    rows += 1
                    continue
                problem = f"{listing.printable(name)}\t{picture}"
                if refuse or isinstance(picture, checks.Bomb):
                    raise checks.unusable_picture(source.path, problem.replace("\t", ": "))
                problems.append((problem, done))
            file.flush()
            os.fsync(file.fileno())
            db.execute("BEGIN")
            db.executemany("UPDATE files SET problem = ? WHERE rowid = ?", problems)
            db.execute("UPDATE progress SET done = ?, rows = ?", (done, rows))
            db.execute("COMMIT")
            show(done)
    _write_header(file, (rows, *look.shape))


def _block(
    db: sqlite3.Connection, done: int, pool: Executor, source: Source, look: Look
) -> Iterator[tuple[str, Pixels | checks.Unusable]]:
    """The next pictures, in order: the name of each, and its pixels or why there are none."""
    query = (
        "SELECT name, size, stamp, place, packed, method FROM files "
        "WHERE rowid > ? ORDER BY rowid LIMIT ?"
    )
    entries = [Entry(listing.text(name), *rest) for name, *rest in db.execute(query, (done, BLOCK))]

    def some(part: list[Entry]) -> list[Pixels | checks.Unusable]:
        return [_picture(source, entry, look) for entry in part]

    parts = [entries[i : i + CHUNK] for i in range(0, len(entries), CHUNK)]
    small = sum(entry.size for entry in entries) < SMALL * len(entries)
    if small:
        source.expect(entries)
    pictures = itertools.chain.from_iterable((map if small else pool.map)(some, parts))
    return zip((e.name for e in entries), pictures, strict=True)


def _picture(source: Source, entry: Entry, look: Look) -> Pixels | checks.Unusable:
    if max(entry.size, entry.packed) > MOST_BYTES:
        return checks.bomb(f"{MOST_BYTES:,} bytes", f"{max(entry.size, entry.packed):,}")
    try:
        return decode(source.read(entry), look)
    except checks.Unusable as why:
        return why


def _conclude(db: sqlite3.Connection, source: Source, folder: Path) -> None:
    """Write down what belongs to the array."""
    classes = [name for (name,) in db.execute("SELECT name FROM classes ORDER BY rowid")]
    good = "FROM files WHERE problem IS NULL"
    examples = [0, 0, 0]
    for split, n in db.execute(f"SELECT split, COUNT(*) {good} GROUP BY split"):
        examples[split] = n
    (skipped,) = db.execute("SELECT COUNT(problem) FROM files").fetchone()
    with (folder / "skipped.txt").open("w", encoding="utf-8") as lines:
        query = "SELECT problem FROM files WHERE problem IS NOT NULL ORDER BY rowid"
        lines.writelines(f"{problem}\n" for (problem,) in db.execute(query))
    if sum(examples) < listing.FEWEST:
        raise checks.too_few_pictures(source.path, listing.FEWEST, sum(examples), skipped)
    if classes:
        seen = {i for (i,) in db.execute(f"SELECT DISTINCT label {good} AND split = 0")}
        for label, name in enumerate(classes):
            if label not in seen:
                raise checks.empty_class(source.path, name, "training picture that can be used")
        query = f"SELECT label {good} ORDER BY rowid"
        labels = np.fromiter((i for (i,) in db.execute(query)), np.int64, sum(examples))
        np.save(folder / "labels.npy", labels)
    facts = {"classes": classes, "examples": examples, "skipped": skipped}
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """The first bytes of a `.npy` file; they are as many, however many rows follow."""
    file.seek(0)
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, no other process is; a second one waits."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)  # all is done: who comes now need not wait


@contextlib.contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Inside, refusals of the disk are worded as ours, the database's too."""
    with checks.saving(path):
        try:
            yield
        except sqlite3.Error as error:
            raise checks.disk_full(path, error) from None

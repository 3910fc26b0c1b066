"""Building of a cache: pictures are decoded block by block, and progress is saved after each.

After an interruption it continues after the last block, once the array so far is verified. If
16-bit grey pictures use fewer than 16 bits, all are decoded a second time, scaled by the bits that
the set uses.
"""

import contextlib
import itertools
import json
import math
import os
import shutil
import sqlite3
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from advnets.base import errors
from advnets.base.progress import counting
from advnets.base.terminal import printable
from advnets.data.images import listing
from advnets.data.images.decoding import Decoded, Look, decoded, depth_of
from advnets.data.images.layout import text
from advnets.data.images.sources import Entry, Source

BLOCK = 1_024
"""Pictures decoded between two saves of the progress."""
CHUNK = 32
"""Pictures that a thread takes at a time."""
SMALL = 4_096
"""Average file size in bytes from which on several threads decode. Smaller pictures take most of
their time in Python, where threads block each other, so one thread is faster."""
BUFFER = 2**20
"""Bytes that are read or written at a time."""


class _Progress(NamedTuple):
    """How far a cache is built."""

    done: int = 0
    """Files that were processed."""
    rows: int = 0
    """Pictures in the array."""
    crc: int = 0
    """CRC-32 of their pixels."""
    depth: int = 16
    """Assumed bits of 16-bit grey pictures."""
    deepest: int = -1
    """The largest number in one of them; -1 without any."""
    brightest: int = 0
    """The largest byte in the array."""


def build(
    source: Source, folder: Path, look: Look, *, labels: bool, splits: bool, refuse: bool
) -> None:
    """Build a cache in a folder, or continue an interrupted one.

    Raises:
        BadFile: For an invalid source; with `refuse` also for any picture that is left out.
    """
    folder.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "listing", isolation_level=None)) as db:
        try:
            if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                listing.write(db, source, labels=labels, splits=splits)
        except errors.UserError:
            shutil.rmtree(folder)  # there is nothing to go on with
            raise
        left, first = listing.first_left(db)
        if left and refuse:
            raise errors.unusable_picture(source.path, first)
        with (folder / "images.npy").open("ab"):  # make it, where it is not there
            pass
        with (folder / "images.npy").open("r+b", buffering=BUFFER) as file:
            _decode_all(db, source, file, look, refuse=refuse)
        try:
            _conclude(db, source, folder)
        except errors.UserError:
            shutil.rmtree(folder)
            raise
    (folder / "listing").unlink()


def checksum(file: IO[bytes]) -> int:
    """CRC-32 of the rest of a file, with one buffer at a time in memory."""
    crc = 0
    while block := file.read(BUFFER):
        crc = zlib.crc32(block, crc)
    return crc


def _decode_all(
    db: sqlite3.Connection, source: Source, file: IO[bytes], look: Look, *, refuse: bool
) -> None:
    """Decode all pictures into the array, twice where their bits require it."""
    progress = _Progress(*db.execute("SELECT * FROM progress").fetchone())
    _write_header(file, (progress.rows, *look.shape))
    start = file.tell()
    file.truncate(start + progress.rows * math.prod(look.shape))
    if checksum(file) != progress.crc:  # it was damaged since
        progress = _Progress(depth=progress.depth)
    progress = _decode_from(progress, db, source, file, look, refuse=refuse)
    depth = depth_of(progress.deepest) if progress.deepest >= 0 else 16
    if depth != progress.depth:
        progress = _Progress(depth=depth)
        _take_down(db, progress, [])
        progress = _decode_from(progress, db, source, file, look, refuse=refuse)
    _write_header(file, (progress.rows, *look.shape))


def _decode_from(
    p: _Progress,
    db: sqlite3.Connection,
    source: Source,
    file: IO[bytes],
    look: Look,
    *,
    refuse: bool,
) -> _Progress:
    """Append pictures to the array, from the saved progress on."""
    (total,) = db.execute("SELECT COUNT(*) FROM files").fetchone()
    _write_header(file, (p.rows, *look.shape))
    file.truncate(file.seek(p.rows * math.prod(look.shape), os.SEEK_CUR))
    with contextlib.ExitStack() as stack:
        show = stack.enter_context(counting("pictures decoded", total, p.done))
        pool = stack.enter_context(ThreadPoolExecutor(_processors()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of what Pillow finds odd in a file
        while p.done < total:
            problems = []
            for name, picture in _block(db, p.done, pool, source, look, p.depth):
                p = p._replace(done=p.done + 1)
                if isinstance(picture, Decoded):
                    p = _append(file, p, picture)
                    continue
                if refuse:
                    raise errors.unusable_picture(source.path, f"{printable(name)}: {picture}")
                problems.append((str(picture), p.done))
            file.flush()
            os.fsync(file.fileno())
            _take_down(db, p, problems)
            show(p.done)
    return p


def _append(file: IO[bytes], p: _Progress, picture: Decoded) -> _Progress:
    raw = picture.pixels.tobytes()
    file.write(raw)
    return p._replace(
        rows=p.rows + 1,
        crc=zlib.crc32(raw, p.crc),
        deepest=max(p.deepest, -1 if picture.deepest is None else picture.deepest),
        brightest=max(p.brightest, int(picture.pixels.max())),
    )


def _take_down(db: sqlite3.Connection, p: _Progress, problems: list[tuple[str, int]]) -> None:
    db.execute("BEGIN")
    db.executemany("UPDATE files SET problem = ? WHERE rowid = ?", problems)
    columns = ", ".join(f"{name} = ?" for name in p._fields)
    db.execute(f"UPDATE progress SET {columns}", p)
    db.execute("COMMIT")


def _block(
    db: sqlite3.Connection, done: int, pool: Executor, source: Source, look: Look, depth: int
) -> Iterator[tuple[str, Decoded | errors.Unusable]]:
    """The next pictures, in order: the name of each, and its pixels or why it is left out."""
    query = (
        "SELECT name, size, stamp, place, packed, method FROM files "
        "WHERE rowid > ? ORDER BY rowid LIMIT ?"
    )
    entries = [Entry(text(name), *rest) for name, *rest in db.execute(query, (done, BLOCK))]

    def some(part: list[Entry]) -> list[Decoded | errors.Unusable]:
        return [_picture(source, entry, look, depth) for entry in part]

    parts = [entries[i : i + CHUNK] for i in range(0, len(entries), CHUNK)]
    small = sum(entry.size for entry in entries) < SMALL * len(entries)
    if small:
        source.expect(entries)
    pictures = itertools.chain.from_iterable((map if small else pool.map)(some, parts))
    return zip((e.name for e in entries), pictures, strict=True)


def _picture(source: Source, entry: Entry, look: Look, depth: int) -> Decoded | errors.Unusable:
    try:
        return decoded(source.read(entry), look, depth=depth)
    except errors.Unusable as why:
        return why


def _conclude(db: sqlite3.Connection, source: Source, folder: Path) -> None:
    """Write the metadata of the array."""
    classes = [name for (name,) in db.execute("SELECT name FROM classes ORDER BY rowid")]
    good = "FROM files WHERE problem IS NULL"
    examples = [0, 0, 0]
    for split, n in db.execute(f"SELECT split, COUNT(*) {good} GROUP BY split"):
        examples[split] = n
    skipped, first = listing.first_left(db)
    if sum(examples) < listing.FEWEST:
        raise errors.too_few_pictures(source.path, listing.FEWEST, sum(examples), skipped, first)
    if examples[0] == 0:
        raise _no_training_pictures(source.path, skipped, first)
    _refuse_unseen(db, source, classes)
    if classes:
        query = f"SELECT COALESCE(label, -1) {good} ORDER BY rowid"
        labels = np.fromiter((i for (i,) in db.execute(query)), np.int64, sum(examples))
        np.save(folder / "labels.npy", labels)
    _write_skipped(db, folder)
    facts = {"classes": classes, "examples": examples, "skipped": skipped, **_origin(db)}
    facts["crc32"] = [_pixels_crc(db), _file_crc(folder / "labels.npy") if classes else 0]
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _no_training_pictures(path: Path, skipped: int, first: str) -> errors.BadFile:
    """A training set of which no picture can be used."""
    more = f" and {skipped} that cannot be used, first {first}" if skipped else ""
    return errors.BadFile(f"{path}: must hold training pictures, got none{more}.")


def _refuse_unseen(db: sqlite3.Connection, source: Source, classes: list[str]) -> None:
    """Raise for a class that no training picture has."""
    query = "SELECT DISTINCT label FROM files WHERE problem IS NULL AND split = 0"
    seen = {label for (label,) in db.execute(query)}
    for label, name in enumerate(classes):
        if label not in seen:
            query = (
                "SELECT name, problem FROM files WHERE label = ? AND split = 0 "
                "AND problem IS NOT NULL ORDER BY rowid LIMIT 1"
            )
            row = db.execute(query, (label,)).fetchone()
            first = f"{printable(text(row[0]))}: {row[1]}" if row else ""
            what = "training picture that can be used"
            raise errors.empty_class(source.path, name, what, first)


def _write_skipped(db: sqlite3.Connection, folder: Path) -> None:
    """Write the name of each picture that is left out, and why."""
    query = (
        "SELECT name, why FROM left UNION "
        "SELECT name, problem FROM files WHERE problem IS NOT NULL ORDER BY name"
    )
    with (folder / "skipped.txt").open("w", encoding="utf-8") as lines:
        lines.writelines(f"{printable(text(name))}\t{why}\n" for name, why in db.execute(query))


def _origin(db: sqlite3.Connection) -> dict[str, object]:
    """Where classes and splits come from, what was left out for which reason, and the depth."""
    (facts,) = db.execute("SELECT facts FROM origin").fetchone()
    query = "SELECT why, COUNT(*), MIN(name) FROM left GROUP BY why ORDER BY why"
    left = [[why, n, printable(text(first))] for why, n, first in db.execute(query)]
    query = "SELECT COUNT(*), MIN(name) FROM files WHERE problem IS NOT NULL"
    n, first = db.execute(query).fetchone()
    left += [["that cannot be used", n, printable(text(first))]] if n else []
    p = _Progress(*db.execute("SELECT * FROM progress").fetchone())
    depth = p.depth if p.deepest >= 0 else 0
    return {"origin": json.loads(facts), "left": left, "depth": depth, "brightest": p.brightest}


def _pixels_crc(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT crc FROM progress").fetchone()[0])


def _file_crc(path: Path) -> int:
    with path.open("rb") as file:
        return checksum(file)


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    """Write the header of a `.npy` file, of constant length for any number of rows."""
    file.seek(0)
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

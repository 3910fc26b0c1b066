"""The pictures of a source in their order, with split and class, in a database on the disk.

A million names would take a hundred megabytes of memory, so they are sorted in a database on the
disk and read block by block. The order is that of the names, so that a zip and its unpacked folder
give the same examples.

Names are interpreted by `kinds` (which files are pictures), `layout` (splits and classes by folder)
and `tables` (classes from a `labels.csv`). What is left out is recorded with a reason.
"""

import json
import sqlite3
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from advnets.base import errors
from advnets.base.terminal import printable
from advnets.data.class_names import in_order
from advnets.data.images import decoding, tables
from advnets.data.images.kinds import HEIC, ending, is_table, may_be_picture, why_not
from advnets.data.images.layout import (
    Label,
    Layout,
    find,
    labels_of_folders,
    leave_out,
    names,
    no_label,
    raw,
    text,
)
from advnets.data.images.sources import Entry, Source

FEWEST = 10
"""Fewest pictures for three splits."""
TABLES = """
CREATE TABLE found (name BLOB PRIMARY KEY, size, stamp, place, packed, method) WITHOUT ROWID;
CREATE TABLE left (name BLOB PRIMARY KEY, why) WITHOUT ROWID;
CREATE TABLE folders (name BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE labels (name BLOB PRIMARY KEY, label) WITHOUT ROWID;
CREATE TABLE classes (name);
CREATE TABLE files (name, size, stamp, place, packed, method, split, label, problem);
CREATE TABLE origin (facts);
CREATE TABLE progress (done, rows, crc, depth, deepest, brightest)
"""


def fingerprint(source: Source) -> tuple[int, int]:
    """A hash of the names, sizes and stamps of the pictures and label tables.

    Pictures in HEIC have another with the extra `heic`: a cache without them is not used then.

    It is a sum of hashes, so that the order has no effect and nothing has to be kept in memory.

    Returns:
        The hash, and the number of other files.
    """
    total = others = 0
    for e in source.entries():
        if e.why or may_be_picture(e.name) or is_table(e.name):
            read = "\0heic" if ending(e.name) in HEIC and decoding.reads_heic() else ""
            facts = raw(f"{e.name}\0{e.size}\0{e.stamp}\0{e.why}{read}")
            total += int.from_bytes(blake2b(facts, digest_size=16).digest(), "big")
        elif not e.name.endswith("/"):
            others += 1
    return total % 2**128, others


def write(db: sqlite3.Connection, source: Source, *, labels: bool, splits: bool) -> None:
    """Write the list of a source into an empty database, in one transaction.

    Args:
        db: The database, in autocommit mode.
        source: The folder or zip.
        labels: Whether the pictures have classes.
        splits: Whether folders may be splits.

    Raises:
        BadFile: For a source without pictures, a class without one, folders whose meaning is not
            clear, or a `labels.csv` that does not fit the pictures.
    """
    db.execute("BEGIN")
    for statement in TABLES.split(";"):
        db.execute(statement)
    found, others = _find(db, source)
    layout = find(db, source.path, splits=splits)
    leave_out(db, layout.outside)
    label: Label = no_label
    origin = "not looked for"
    if labels and (used := tables.applying(found, layout)):
        label, origin = tables.labels(db, source, used, layout)
    elif labels:
        label, origin = labels_of_folders(db, source.path, layout)
    _arrange(db, layout, label)
    folders = _split_folders(db, layout)
    db.execute(
        "INSERT INTO origin VALUES (?)",
        (json.dumps({"classes": origin, "splits": folders, "others": others}),),
    )
    db.execute("INSERT INTO progress VALUES (0, 0, 0, 16, -1, 0)")
    db.execute("COMMIT")


def _find(db: sqlite3.Connection, source: Source) -> tuple[list[Entry], int]:
    """Record all files. Returns the label tables, and how many files might be pictures."""
    found: list[Entry] = []
    others = unknown = 0

    def pictures() -> Iterator[tuple[bytes, int, int, int, int, int]]:
        nonlocal others, unknown
        for e in source.entries():
            if e.name.endswith("/") and not e.why:
                db.execute("INSERT OR IGNORE INTO folders VALUES (?)", (raw(e.name),))
            elif is_table(e.name) and not e.why:
                found.append(e)
            elif not (e.name.endswith("/") or may_be_picture(e.name)):
                others += 1
            elif (why := why_not(source, e)) is None:
                yield (raw(e.name), *e[1:6])
            elif why:
                db.execute(
                    "INSERT OR REPLACE INTO left VALUES (?, ?)", (raw(e.name.rstrip("/")), why)
                )
            else:
                unknown += 1

    db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?, ?)", pictures())
    (n,) = db.execute("SELECT COUNT(*) FROM found").fetchone()
    if n < FEWEST:
        left, first = first_left(db)
        if n == 0:
            others += unknown + len(found)
            raise _no_pictures(source.path, others, left, first)
        raise errors.too_few_pictures(source.path, FEWEST, n, left, first)
    return found, unknown


def _no_pictures(path: Path, others: int, left: int, first: str) -> errors.BadFile:
    """A folder or zip without a picture; the first that was left out says why."""
    more = f" and {left} left out, first {first}" if left else ""
    got = f"none among {others} other files{more}" if others or left else "an empty one"
    return errors.BadFile(f"{path}: must hold pictures, got {got}.")


def first_left(db: sqlite3.Connection) -> tuple[int, str]:
    """How many pictures are left out, and the first of them with the reason."""
    query = (
        "SELECT name, why FROM left UNION "
        "SELECT name, problem FROM files WHERE problem IS NOT NULL ORDER BY name"
    )
    (n,) = db.execute(f"SELECT COUNT(*) FROM ({query})").fetchone()
    first = db.execute(f"{query} LIMIT 1").fetchone()
    return n, f"{printable(text(first[0]))}: {first[1]}" if first else ""


def _arrange(db: sqlite3.Connection, layout: Layout, label: Label) -> None:
    """Put the pictures into their order: split by split, in each by name."""
    found = {label(name) for name in names(db, "found")}
    classes = in_order(name for name in found if name)
    db.executemany("INSERT INTO classes VALUES (?)", [(name,) for name in classes])
    numbers = {name: i for i, name in enumerate(classes)}
    db.create_function("split_of", 1, lambda name: layout.split(text(name)))
    db.create_function("label_of", 1, lambda name: numbers.get(label(text(name)) or ""))
    db.execute(
        "INSERT INTO files SELECT *, split_of(name) AS split, label_of(name), NULL FROM found "
        "ORDER BY split, name"
    )


def _split_folders(db: sqlite3.Connection, layout: Layout) -> list[list[str]]:
    """The folders that training, validation and test pictures come from; none without splits."""
    folders: list[set[str]] = [set(), set(), set()]
    if layout.splits:
        for name in names(db, "found"):
            first = name.removeprefix(layout.top).partition("/")[0]
            folders[layout.split(name)].add(printable(f"{layout.top}{first}/"))
    return [sorted(some) for some in folders]

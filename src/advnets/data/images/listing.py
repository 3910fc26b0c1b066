"""The pictures of a source in their order, with split and class, in a database on the disk.

A million names would fill a hundred megabytes of memory. They are sorted and looked up where they
are written, and read again block by block. The order is that of the names, whatever the source's,
so that a zip and the folder that it unpacks to give the same examples, and a disk is read as it
was written.

What the names say:

- Folders that hold nothing but one folder are passed through.
- `train`, `test` and `validation` (or `val`, `valid`) at the top are splits, where all pictures lie
  in such folders and some in `train`.
- Below that, sub-folders are classes, however deep the pictures lie in them, unless a picture lies
  beside them or there is only one.
- A `labels.csv` beside or above all pictures gives their classes instead: in each line a file,
  relative to it, and its class. A first line without the name of a picture is a heading.
"""

import csv
import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePosixPath

from advnets import checks
from advnets.data.images.decoding import suffixes
from advnets.data.images.sources import LABELS, Entry, Source

FEWEST = 10
"""Pictures that make three splits."""
SPLITS = {"train": 0, "validation": 1, "val": 1, "valid": 1, "test": 2}
TABLES = """
CREATE TABLE found (name BLOB PRIMARY KEY, size, stamp, place, packed, method) WITHOUT ROWID;
CREATE TABLE folders (name BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE labels (name BLOB PRIMARY KEY, label) WITHOUT ROWID;
CREATE TABLE classes (name);
CREATE TABLE files (name, size, stamp, place, packed, method, split, label, problem);
CREATE TABLE progress (done, rows)
"""
Label = Callable[[str], str | None]


def fingerprint(source: Source) -> int:
    """A number that changes with the names, sizes and stamps of the files that matter.

    The sum of a hash of each: their order does not matter, and none has to be kept.
    """
    total = 0
    for e in source.entries():
        if _is_picture(e.name) or _is_table(e.name):
            facts = _bytes(f"{e.name}\0{e.size}\0{e.stamp}")
            total += int.from_bytes(blake2b(facts, digest_size=16).digest(), "big")
    return total % 2**128


def write(db: sqlite3.Connection, source: Source, *, labels: bool) -> None:
    """List a source into an empty database, all at once or not at all.

    Args:
        db: The database, in autocommit mode.
        source: The folder or zip.
        labels: Whether the pictures have classes.

    Raises:
        BadFile: For a source without pictures, a class without one, or a `labels.csv` that does not
            fit the pictures.
    """
    db.execute("BEGIN")
    for statement in TABLES.split(";"):
        db.execute(statement)
    layout, table = _find(db, source)
    if labels and table:
        _read_table(db, source, table)
        label = _labels_of_the_table(db)
    else:
        label = _labels_of_folders(db, source, layout) if labels else _no_label
    found = {label(name) for name in _names(db, "found")}
    classes = in_order(name for name in found if name)
    db.executemany("INSERT INTO classes VALUES (?)", [(_storable(name),) for name in classes])
    _arrange(db, layout, label, {name: i for i, name in enumerate(classes)})
    db.execute("INSERT INTO progress VALUES (0, 0)")
    db.execute("COMMIT")


def in_order(names: Iterable[str]) -> list[str]:
    """Names of classes in their order: by number where all are numbers, else by letters."""
    ordered = sorted(names)
    return sorted(ordered, key=int) if all(name.isdecimal() for name in ordered) else ordered


@dataclass(frozen=True)
class _Layout:
    """Where a source's own structure begins, and whether it begins with splits."""

    top: str
    splits: bool

    def below(self, name: str) -> list[str]:
        """The parts of a name below the top and the split."""
        return name.removeprefix(self.top).split("/")[self.splits :]

    def split(self, name: str) -> int:
        """The split of a picture."""
        return SPLITS[name.removeprefix(self.top).partition("/")[0].lower()] if self.splits else 0


def _find(db: sqlite3.Connection, source: Source) -> tuple[_Layout, Entry | None]:
    """Take down all files; give the layout and the table of labels, if there is one."""
    tables: list[Entry] = []
    others = 0

    def pictures() -> Iterator[tuple[bytes, int, int, int, int, int]]:
        nonlocal others
        for e in source.entries():
            if e.name.endswith("/"):
                db.execute("INSERT OR IGNORE INTO folders VALUES (?)", (_bytes(e.name),))
            elif _is_picture(e.name):
                yield (_bytes(e.name), *e[1:])
            elif _is_table(e.name):
                tables.append(e)
            else:
                others += 1

    db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?, ?)", pictures())
    (n,) = db.execute("SELECT COUNT(*) FROM found").fetchone()
    if n == 0:
        raise checks.no_pictures(source.path, others + len(tables), source.links)
    if n < FEWEST:
        raise checks.too_few_pictures(source.path, FEWEST, n, 0)
    layout = _layout(db)
    above = [e for e in tables if layout.top.startswith(e.name.removesuffix(LABELS))]
    return layout, max(above, key=lambda e: len(e.name), default=None)


def _layout(db: sqlite3.Connection) -> _Layout:
    top = next(_names(db, "found")).rpartition("/")[0] + "/"
    for name in _names(db, "found"):
        top = _common(top, name)
    for name in _names(db, "folders"):
        if not top.startswith(name):  # it lies beside the way down
            top = _common(top, name.rstrip("/"))
    top = "" if top == "/" else top
    first = (name.removeprefix(top).split("/") for name in _names(db, "found"))
    seen = set()
    for part, *more in first:
        seen.add(part.lower() if more else "")
        if not seen <= SPLITS.keys():
            return _Layout(top, False)
    return _Layout(top, "train" in seen)


def _common(top: str, name: str) -> str:
    """The deepest folder that holds both a folder and what has this name; `/` is the source."""
    while top != "/" and not name.startswith(top):
        top = top[: top.rstrip("/").rfind("/") + 1] or "/"
    return top


# Classes


def _no_label(name: str) -> str | None:
    return None


def _labels_of_folders(db: sqlite3.Connection, source: Source, layout: _Layout) -> Label:
    """The sub-folder of each picture, if all are in one and there are several."""

    def label(name: str) -> str | None:
        parts = layout.below(name)
        return parts[0] if len(parts) > 1 else None

    classes = {label(name) for name in _names(db, "found")}
    if None in classes:
        return _no_label
    for name in _names(db, "folders"):
        folder = label(name) if name.startswith(layout.top) else None
        if folder and folder not in classes:
            raise checks.empty_class(source.path, folder, "picture")
    return label if len(classes) > 1 else _no_label


def _read_table(db: sqlite3.Connection, source: Source, table: Entry) -> None:
    """Take down a `labels.csv`, and compare it with the pictures."""
    path, base = source.path / table.name, table.name.removesuffix(LABELS)
    try:
        lines = csv.reader(io.StringIO(source.read(table).decode("utf-8-sig"), newline=""))
        for row in lines:
            name = base + str(PurePosixPath(row[0].replace("\\", "/"))) if row else ""
            if not row or (lines.line_num == 1 and not _is_picture(name)):
                continue
            if len(row) < 2 or not row[1].strip():
                raise checks.bad_labels(path, "a file and its class in each line", row)
            db.execute("INSERT INTO labels VALUES (?, ?)", (_bytes(name), row[1].strip()))
    except sqlite3.IntegrityError:
        raise checks.bad_labels(path, "each file once", f"'{printable(name)}' twice") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise checks.bad_labels(path, "UTF-8 text", error) from None
    for need, one, other in (
        ("names of pictures that are there", "labels", "found"),
        ("the class of every picture (or choose --data.labels none)", "found", "labels"),
    ):
        lacking = f"FROM {one} WHERE name NOT IN (SELECT name FROM {other})"
        n, first = db.execute(f"SELECT COUNT(*), MIN(name) {lacking}").fetchone()
        if n:
            what = "not there" if one == "labels" else "without one"
            raise checks.bad_labels(path, need, f"{n} {what}, first '{printable(text(first))}'")


def _labels_of_the_table(db: sqlite3.Connection) -> Label:
    def label(name: str) -> str | None:
        row = db.execute("SELECT label FROM labels WHERE name = ?", (_bytes(name),)).fetchone()
        return str(row[0])

    return label


def _arrange(
    db: sqlite3.Connection, layout: _Layout, label: Label, classes: dict[str, int]
) -> None:
    """Put the pictures into their order: split by split, in each by name."""
    db.create_function("split_of", 1, lambda name: layout.split(text(name)))
    db.create_function("label_of", 1, lambda name: classes.get(label(text(name)) or ""))
    db.execute(
        "INSERT INTO files SELECT *, split_of(name) AS split, label_of(name), NULL FROM found "
        "ORDER BY split, name"
    )


# Names


def _names(db: sqlite3.Connection, table: str) -> Iterator[str]:
    return (text(name) for (name,) in db.execute(f"SELECT name FROM {table} ORDER BY name"))


def _is_picture(name: str) -> bool:
    return "." + name.rpartition(".")[2].lower() in suffixes()


def _is_table(name: str) -> bool:
    return name.rpartition("/")[2] == LABELS


def text(name: bytes) -> str:
    """A name as the database holds it, as a string; what is no UTF-8 comes back as it went."""
    return name.decode("utf-8", "surrogateescape")


def printable(name: str) -> str:
    """A name in one line that every terminal takes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _storable(name: str) -> str:
    """A name of a class as the database and JSON can hold it, where it is no UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")

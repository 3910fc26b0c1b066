"""Classes from a table: a `labels.csv` beside or above the pictures, or one in each split.

Two columns are a picture's file, relative to the table, and its class; with more, a heading has to
name the class. A first line without the name of a picture is a heading. Names match whether accents
are composed (NFC, as editors write them) or not (NFD, as a Mac's file names are). A split of which
the table names no picture has no classes; else it has to name all of them.
"""

import csv
import io
import sqlite3
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from advnets.base import errors
from advnets.data.images.kinds import ending, may_be_picture
from advnets.data.images.layout import Label, Layout, class_name, names, printable, raw
from advnets.data.images.sources import LABELS, Entry, Source

FILE = ("file", "filename", "file_name", "name", "path", "image", "img", "picture")
CLASS = ("class", "label", "labels", "category", "target", "class_name")


def applying(tables: list[Entry], layout: Layout) -> list[Entry]:
    """The tables that count: the one nearest above all pictures, or else those in the splits."""
    bases = {table: table.name[: -len(LABELS)] for table in tables}
    above = [table for table, base in bases.items() if layout.top.startswith(base)]
    if above:
        return [max(above, key=lambda table: len(table.name))]
    inside = [t for t, base in bases.items() if layout.outside(base) is None]
    return [t for t in inside if layout.splits and len(layout.below(bases[t])) == 1]


def labels(
    db: sqlite3.Connection, source: Source, tables: list[Entry], layout: Layout
) -> tuple[Label, str]:
    """Take down tables, compare them with the pictures, and give the class of each picture.

    Raises:
        BadFile: For a table that cannot be read, or that does not fit the pictures.
    """
    for table in tables:
        path, base = source.path / printable(table.name), table.name[: -len(LABELS)]
        try:
            for name, its_class in _rows(path, source.read(table)):
                db.execute("INSERT INTO labels VALUES (?, ?)", (_key(base + name), its_class))
        except sqlite3.IntegrityError:
            raise errors.bad_labels(
                path, "each file once", f"'{printable(base + name)}' twice"
            ) from None
        except errors.Unusable as why:
            raise errors.bad_labels(path, "a table that can be read", why) from None

    def label(name: str) -> str | None:
        row = db.execute("SELECT label FROM labels WHERE name = ?", (_key(name),)).fetchone()
        return None if row is None else str(row[0])

    path = source.path / printable(tables[0].name)
    _refuse_strangers(db, path)
    _refuse_gaps(db, path, layout, label)
    return label, f"by {', '.join(sorted(printable(t.name) for t in tables))}"


def _rows(path: Path, content: bytes) -> Iterator[tuple[str, str]]:
    """Each picture of a table and its class."""
    file, label = 0, 1
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        for i, row in enumerate(line for line in lines if line):
            if i == 0 and not any(ending(cell) and may_be_picture(cell) for cell in row):
                file, label = _columns(path, [cell.strip().lower() for cell in row])
                continue
            if i == 0 and len(row) > 2:
                need = "two columns, or a heading that names one 'class' or 'label'"
                raise errors.bad_labels(path, need, f"{len(row)} columns without a heading")
            if len(row) <= max(file, label) or not row[label].strip():
                raise errors.bad_labels(path, "a file and its class in each line", row)
            name = str(PurePosixPath(row[file].strip().replace("\\", "/")))
            yield name, class_name(row[label].strip())
    except (UnicodeDecodeError, csv.Error) as error:
        raise errors.bad_labels(path, "UTF-8 text", error) from None


def _columns(path: Path, heading: list[str]) -> tuple[int, int]:
    """Which columns of a table are the file and the class, by its heading."""
    files = [i for i, name in enumerate(heading) if name in FILE]
    classes = [i for i, name in enumerate(heading) if name in CLASS]
    file = files[0] if files else next(i for i in (0, 1) if i not in classes[:1])
    if len(classes) == 1 and classes[0] != file:
        return file, classes[0]
    if len(heading) == 2:
        return file, 1 - file
    need = f"one column for the class, called one of {', '.join(CLASS)}"
    raise errors.bad_labels(path, need, ", ".join(printable(name) for name in heading) or "none")


def _refuse_strangers(db: sqlite3.Connection, path: Path) -> None:
    """Raise where a table names pictures that are not there; says if only the case differs."""
    db.create_function("key", 1, lambda name: _key(name.decode("utf-8", "surrogateescape")))
    there = "SELECT key(name) FROM found UNION SELECT key(name) FROM left"
    query = f"SELECT COUNT(*), MIN(name) FROM labels WHERE name NOT IN ({there})"
    n, first = db.execute(query).fetchone()
    if n:
        name = first.decode("utf-8", "surrogateescape")
        alike = (f for f in names(db, "found") if _key(f.casefold()) == _key(name.casefold()))
        near = next(alike, None)
        hint = f" (there is '{printable(near)}': upper and lower case differ)" if near else ""
        got = f"{n} not there, first '{printable(name)}'{hint}"
        raise errors.bad_labels(path, "names of pictures that are there", got)


def _refuse_gaps(db: sqlite3.Connection, path: Path, layout: Layout, label: Label) -> None:
    """Raise where a table names some pictures of a split and not all, or none to train on."""
    known, missing, first = [0, 0, 0], [0, 0, 0], ["", "", ""]
    for name in names(db, "found"):
        split = layout.split(name)
        if label(name) is not None:
            known[split] += 1
            continue
        missing[split] += 1
        first[split] = first[split] or name
    for split in range(3):
        if missing[split] and (known[split] or split == 0):
            need = "the class of every picture (or choose --data.labels none)"
            got = f"{missing[split]} without one, first '{printable(first[split])}'"
            raise errors.bad_labels(path, need, got)


def _key(name: str) -> bytes:
    """What two spellings of one name have in common."""
    return raw(unicodedata.normalize("NFC", name))

"""Classes from a table: a `labels.csv` beside or above the pictures, or one in each split.

Two columns are a picture's file, relative to the table, and its class; with more, a heading has to
name the class. Cells are separated by commas, semicolons or tabs. A first line that names no
picture is a heading. Names match whether accents are composed (NFC, as editors write them) or not
(NFD, as a Mac's file names are). A split of which the table names no picture has no classes; else
it has to name all of them.

Where no name in the table has a picture's extension, they are ids: names without it. Ids and names
may also be relative to the folder that holds all pictures, or to the split; ids that occur in more
than one split are those of the training set.
"""

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath

from advnets.base import errors
from advnets.base.terminal import printable
from advnets.data import delimited
from advnets.data.class_names import class_name
from advnets.data.images.decoding import suffixes
from advnets.data.images.kinds import ending, may_be_picture
from advnets.data.images.layout import Label, Layout, names, raw, text
from advnets.data.images.sources import LABELS, Entry, Source

FILE = (
    *("file", "filename", "file_name", "name", "path", "image", "img", "picture"),
    *("id", "image_id", "img_id", "image_name", "filepath", "file_path"),
)
CLASS = ("class", "label", "labels", "category", "target", "class_name")
Spelling = Callable[[str], bytes]
"""What a picture is called in the table, by its name."""


def applying(tables: list[Entry], layout: Layout) -> list[Entry]:
    """The tables that apply: the one nearest above all pictures, or else those in the splits."""
    bases = {table: table.name[: -len(LABELS)] for table in tables}
    above = [table for table, base in bases.items() if layout.top.startswith(base)]
    if above:
        return [max(above, key=lambda table: len(table.name))]
    inside = [t for t, base in bases.items() if layout.outside(base) is None]
    return [t for t in inside if layout.splits and len(layout.below(bases[t])) == 1]


def labels(
    db: sqlite3.Connection, source: Source, tables: list[Entry], layout: Layout
) -> tuple[Label, str]:
    """Read tables, compare them with the pictures, and return the class of each picture.

    Raises:
        BadFile: For a table that cannot be read, or that does not fit the pictures.
    """
    there = _last_names(db)
    for table in tables:
        path, base = source.path / printable(table.name), table.name[: -len(LABELS)]
        try:
            for name, its_class in _rows(path, source.read(table), there):
                db.execute("INSERT INTO labels VALUES (?, ?)", (_key(base + name), its_class))
        except sqlite3.IntegrityError:
            raise _bad_labels(path, "each file once", f"'{printable(base + name)}' twice") from None
        except errors.Unusable as why:
            raise _bad_labels(path, "a table that can be read", why) from None

    path = source.path / printable(tables[0].name)
    spelling = _spelling(db, tables, layout)

    def label(name: str) -> str | None:
        row = db.execute("SELECT label FROM labels WHERE name = ?", (spelling(name),)).fetchone()
        return None if row is None else str(row[0])

    if spelling is not _key and _repeated(db, path, layout, spelling):
        everywhere = label

        def label(name: str) -> str | None:
            return everywhere(name) if layout.split(name) == 0 else None

    _refuse_strangers(db, path, spelling)
    _refuse_gaps(db, path, layout, label)
    return label, f"by {', '.join(sorted(printable(t.name) for t in tables))}"


def _last_names(db: sqlite3.Connection) -> Callable[[str], bool]:
    """Whether a cell may name a picture: the last part of its name, with or without extension."""

    def may(cell: str) -> bool:
        last = _key(PurePosixPath(cell.replace("\\", "/")).name)
        own = (PurePosixPath(name).name for name in names(db, "found"))
        return any(last in (_key(name), _key(_stem(name))) for name in own)

    return may


def _rows(path: Path, content: bytes, there: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Each picture of a table and its class."""
    file, label = 0, 1
    for i, (_, row) in enumerate(delimited.read(path, content).rows):
        if i == 0 and _is_heading(row, there):
            file, label = _columns(path, [cell.lower() for cell in row])
            continue
        if i == 0 and len(row) > 2:
            need = "two columns, or a heading that names one 'class' or 'label'"
            raise _bad_labels(path, need, f"{len(row)} columns without a heading")
        if len(row) <= max(file, label) or not row[label]:
            raise _bad_labels(path, "a file and its class in each line", row)
        yield str(PurePosixPath(row[file].replace("\\", "/"))), class_name(row[label])


def _is_heading(row: list[str], there: Callable[[str], bool]) -> bool:
    """Whether a first line names columns, and no picture."""
    if any(map(_is_picture, row)):
        return False
    return any(cell.lower() in CLASS for cell in row) or not any(map(there, row))


def _is_picture(cell: str) -> bool:
    """Whether a cell has the extension of a picture."""
    return bool(ending(cell)) and may_be_picture(cell)


def _stem(name: str) -> str:
    """A name without the extension of a picture."""
    end = ending(name)
    return name[: -len(end)] if end in suffixes() else name


def _spelling(db: sqlite3.Connection, tables: list[Entry], layout: Layout) -> Spelling:
    """What the tables call the pictures: the first spelling that fits one of them."""
    ids = not any(_is_picture(name) for name in names(db, "labels"))
    base = tables[0].name[: -len(LABELS)]
    shortened = [False, True] if ids else [False]
    moved = [False, True] if len(tables) == 1 else [False]

    def spelled(name: str, *, below: bool, short: bool) -> bytes:
        name = base + "/".join(layout.below(name)) if below else name
        return _key(_stem(name) if short else name)

    for below, short in product(moved, shortened):
        fits = "SELECT 1 FROM labels WHERE name = ?"
        keys = (spelled(name, below=below, short=short) for name in names(db, "found"))
        if any(db.execute(fits, (key,)).fetchone() for key in keys):
            plain = not below and not short
            return _key if plain else partial(spelled, below=below, short=short)
    return _key


def _repeated(db: sqlite3.Connection, path: Path, layout: Layout, spelling: Spelling) -> bool:
    """Whether pictures of several splits have one name in the table.

    Raises:
        BadFile: Where two of one split have.
    """
    db.execute("CREATE TEMP TABLE called (name BLOB, split, picture, PRIMARY KEY (name, split))")
    for name in names(db, "found"):
        row = (spelling(name), layout.split(name), raw(name))
        try:
            db.execute("INSERT INTO called VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            query = "SELECT picture FROM called WHERE name = ? AND split = ?"
            (other,) = db.execute(query, row[:2]).fetchone()
            got = f"'{printable(text(row[0]))}' for {printable(text(other))} and {printable(name)}"
            raise _bad_labels(path, "a name for each picture", got) from None
    (n,) = db.execute("SELECT COUNT(*) - COUNT(DISTINCT name) FROM called").fetchone()
    db.execute("DROP TABLE called")
    return bool(n)


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
    raise _bad_labels(path, need, ", ".join(printable(name) for name in heading) or "none")


def _refuse_strangers(db: sqlite3.Connection, path: Path, spelling: Spelling) -> None:
    """Raise where a table names pictures that are not there; says if only the case differs."""
    db.create_function("key", 1, lambda name: spelling(text(name)))
    there = "SELECT key(name) FROM found UNION SELECT key(name) FROM left"
    query = f"SELECT COUNT(*), MIN(name) FROM labels WHERE name NOT IN ({there})"
    n, first = db.execute(query).fetchone()
    if n:
        name = text(first)
        alike = (f for f in names(db, "found") if text(spelling(f)).casefold() == name.casefold())
        near = next(alike, None)
        hint = f" (there is '{printable(near)}': upper and lower case differ)" if near else ""
        got = f"{n} not there, first '{printable(name)}'{hint}"
        raise _bad_labels(path, "names of pictures that are there", got)


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
            raise _bad_labels(path, need, got)


def _bad_labels(path: Path, need: str, got: object) -> errors.BadFile:
    """A table of classes that does not fit the pictures."""
    return errors.BadFile(f"{path}: must hold {need}, got {got}.")


def _key(name: str) -> bytes:
    """The normalised spelling of a name."""
    return raw(unicodedata.normalize("NFC", name))

"""The meaning of the folders of a source: its top, its splits, its classes.

1. *Where it begins.* Folders with only one sub-folder are skipped, also with a few stray pictures
   or empty folders beside it where splits or classes lie below.
2. *Splits.* `train` or `training`; `validation`, `valid`, `val` or `dev`; `test` or `testing`, in
   any case, are splits where there is a training set and another one. What lies in other folders
   beside them, or loose, is left out. Such a name among other folders may be a class as well: that
   is refused, and so are longer names of two splits (`training_set` and `test_set`, `train2017` and
   `val2017`, `trainA` and `testA`) and splits further down (`cat/train`, `cat/test`).
3. *Classes.* In each split, sub-folders are classes, however deep the pictures lie in them, where
   the training set has at least two. Stray pictures beside them, at most one in ten of a split, are
   left out; with more of them a split has no classes, and without classes in training none has any.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from advnets.base import errors
from advnets.data.class_names import class_name

SPLITS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_OF_A_SPLIT = re.compile(r"(.+?)(set|data|images|imgs)")
STRAY = 0.1
"""Share of a split's pictures that may lie beside its class folders and be left out."""
Label = Callable[[str], str | None]
"""The class of a picture, by its name."""


@dataclass(frozen=True)
class Layout:
    """The top folder of a source's structure, and whether it has splits."""

    top: str
    splits: bool

    def below(self, name: str) -> list[str]:
        """The parts of a path below the top and the split."""
        return name.removeprefix(self.top).split("/")[self.splits :]

    def split(self, name: str) -> int:
        """The split of a picture."""
        return SPLITS[name.removeprefix(self.top).partition("/")[0].lower()] if self.splits else 0

    def folder(self, name: str) -> str | None:
        """The sub-folder of its split that a picture lies in."""
        parts = self.below(name)
        return class_name(parts[0]) if len(parts) > 1 else None

    def outside(self, name: str) -> str | None:
        """Why a picture is outside splits and classes; None where it is inside."""
        if not name.startswith(self.top):
            return f"outside {self.top}"
        first, deeper, _ = name.removeprefix(self.top).partition("/")
        if not self.splits or (deeper and first.lower() in SPLITS):
            return None
        return "in a folder that is no split" if deeper else "beside the splits"


@dataclass
class _Inside:
    """The content of a folder."""

    loose: int = 0
    """Pictures directly in it."""
    folders: Counter[str] = field(default_factory=Counter)
    """Pictures in each of its folders."""
    empty: set[str] = field(default_factory=set)
    """Its folders without a picture."""

    @property
    def are_splits(self) -> bool:
        kinds = {SPLITS.get(name.lower(), -1) for name in self.folders}
        return 0 in kinds and (len(kinds - {-1}) > 1 or -1 not in kinds)

    @property
    def few_loose(self) -> bool:
        return self.loose <= STRAY * (self.loose + self.folders.total())


def find(db: sqlite3.Connection, path: Path, *, splits: bool) -> Layout:
    """The layout of the pictures in a database.

    Raises:
        BadFile: Where a folder may be a split or a class.
    """
    top, here = "", _inside(db, "")
    while len(here.folders) == 1:
        deeper = f"{top}{next(iter(here.folders))}/"
        below = _inside(db, deeper)
        has_splits = splits and below.are_splits and len(below.folders) > 1
        has_classes = len(below.folders) > 1 and not here.empty
        if (here.loose or here.empty) and not (here.few_loose and (has_splits or has_classes)):
            break
        top, here = deeper, below
    layout = Layout(top, splits and here.are_splits)
    if splits and not layout.splits:
        _refuse_unclear(db, path, layout, here)
    return layout


def _inside(db: sqlite3.Connection, top: str) -> _Inside:
    inside = _Inside()
    for name in names(db, "found", top):
        first, deeper, _ = name[len(top) :].partition("/")
        if deeper:
            inside.folders[first] += 1
        else:
            inside.loose += 1
    everything = (name[len(top) :].partition("/")[0] for name in names(db, "folders", top))
    inside.empty = {name for name in everything if name and name not in inside.folders}
    return inside


def _refuse_unclear(db: sqlite3.Connection, path: Path, layout: Layout, here: _Inside) -> None:
    """Raise where test pictures might be trained on."""
    unclear = sorted(name for name in here.folders if name.lower() in SPLITS)
    if not unclear:
        spoken_of = {name: _splits_in(name) for name in here.folders}
        kinds_at_top = set().union(*spoken_of.values())
        if 0 in kinds_at_top and len(kinds_at_top) > 1:
            unclear = sorted(name for name, found in spoken_of.items() if found - {0})
    if unclear:
        others = sorted(name for name in here.folders if name not in unclear)
        beside = [*others[:3], *(["pictures"] if here.loose else [])]
        raise _split_or_class(path, f"{layout.top}{unclear[0]}", beside)
    kinds: dict[str, set[int]] = {}
    for name in names(db, "found", layout.top):
        parent = layout.top
        for part in name[len(layout.top) :].split("/")[:-1]:
            if part.lower() in SPLITS:
                kinds.setdefault(parent, set()).add(SPLITS[part.lower()])
            parent += f"{part}/"
    for parent, found in kinds.items():
        if 0 in found and len(found) > 1:
            raise errors.BadFile(
                f"{path}: must hold its splits at the top (train/CLASS/), got them in {parent}; "
                "if they are folders like others, choose --data.splits none."
            )


def _split_or_class(path: Path, name: str, beside: Iterable[str]) -> errors.BadFile:
    """The error for a folder that may be a split or a class."""
    others = f" beside {', '.join(beside)}" if beside else ""
    return errors.BadFile(
        f"{path}: must hold train/ and test/ or validation/ to have splits, got {name}/{others}; "
        "if it is a class, choose --data.splits none."
    )


def _splits_in(name: str) -> set[int]:
    """The splits that a longer name speaks of.

    Example:
        >>> [_splits_in(name) for name in ("test_set", "train2017", "valB", "trainset", "contest")]
        [{2}, {0}, {1}, {0}, set()]
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    words += [match[1] for match in map(_OF_A_SPLIT.fullmatch, words) if match]
    return {SPLITS[word] for word in words if word in SPLITS}


def labels_of_folders(db: sqlite3.Connection, path: Path, layout: Layout) -> tuple[Label, str]:
    """The class of each picture by its folder, and the origin of classes or why there are none.

    Stray pictures beside class folders are left out, in the database too.

    Raises:
        BadFile: For a class folder without a picture.
    """
    counts: list[Counter[str | None]] = [Counter(), Counter(), Counter()]
    for name in names(db, "found"):
        counts[layout.split(name)][layout.folder(name)] += 1
    classes = {folder for count in counts for folder in count if folder}
    labelled = [c.total() > c[None] and c[None] <= STRAY * c.total() for c in counts]
    train = counts[0]
    if not labelled[0]:
        why = f"{train[None]:,} of {train.total():,} training pictures lie in no sub-folder"
        return no_label, why if train.total() > train[None] else "no sub-folders"
    _refuse_empty(db, path, layout, classes, required=not train[None] or len(classes) > 1)
    if len(classes) == 1:
        return no_label, "all lie in one sub-folder"

    def stray(name: str) -> str | None:
        loose = labelled[layout.split(name)] and layout.folder(name) is None
        return "beside the class folders" if loose else None

    leave_out(db, stray)
    return lambda n: layout.folder(n) if labelled[layout.split(n)] else None, "by sub-folder"


def _refuse_empty(
    db: sqlite3.Connection, path: Path, layout: Layout, classes: set[str], *, required: bool
) -> None:
    for name in names(db, "folders", layout.top):
        folder = layout.folder(name) if layout.outside(name) is None else None
        if required and folder and folder not in classes:
            raise errors.empty_class(path, folder, "picture")


def no_label(name: str) -> str | None:
    """No class, whatever the picture."""
    return None


# The database


def leave_out(db: sqlite3.Connection, why: Callable[[str], str | None]) -> None:
    """Take pictures out for which there is a reason, and write the reason down."""
    db.create_function("why", 1, lambda name: why(text(name)))
    db.execute(
        "INSERT OR REPLACE INTO left SELECT name, why FROM (SELECT name, why(name) AS why "
        "FROM found) WHERE why IS NOT NULL"
    )
    db.execute("DELETE FROM found WHERE name IN (SELECT name FROM left)")


def names(db: sqlite3.Connection, table: str, top: str = "") -> Iterator[str]:
    """The names in a table, in order; those below a folder where one is given."""
    query, below = f"SELECT name FROM {table}", (raw(top), raw(top)[:-1] + b"0")
    if top:  # "0" follows "/"
        return (
            text(n)
            for (n,) in db.execute(f"{query} WHERE name > ? AND name < ? ORDER BY name", below)
        )
    return (text(n) for (n,) in db.execute(f"{query} ORDER BY name"))


def text(name: bytes) -> str:
    """A name from the database as a string; bytes that are not UTF-8 are preserved."""
    return name.decode("utf-8", "surrogateescape")


def raw(name: str) -> bytes:
    """A name as the database holds it."""
    return name.encode("utf-8", "surrogateescape")

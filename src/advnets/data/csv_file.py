"""A table of numbers in a CSV file, with or without headings and a column of labels.

- Cells are separated by tabs, semicolons or commas (`delimited`).
- The first line is a heading where a column of numbers does not begin with one, where a cell is the
  usual name of a column of labels, or where it is 0, 1, 2, ..., as pandas numbers columns, and no
  example of two or three whole numbers.
- The labels are the column that is named, or has a usual name, or is the only one of words.
- A column called `id` or without a name, as pandas writes its index, is left out.
- A number may have a decimal comma, unless commas separate the cells, or may separate thousands.
- An empty cell, `NA`, `NaN` and `null` are missing: NaN, and a label without a name.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from advnets.base import errors, files
from advnets.base.terminal import printable
from advnets.data import delimited

Array = np.ndarray[Any, np.dtype[Any]]
SUFFIXES = (".csv", ".tsv", ".txt")
LABELS = ("class", "label", "labels", "category", "target", "class_name", "species")
"""Usual names of a column of labels, in lower case."""
NO_NUMBER = ("", "id", "index", "unnamed: 0")
"""Names of a column that numbers the rows."""
NO_LABEL = frozenset(("", "na", "n/a", "nan", "null", "-nan"))
"""Cells that are missing, in lower case."""
MISSING = NO_LABEL | {"none"}
"""The same in a column of numbers."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_WORD = re.compile(r"[^\W\d_]")
_FEW = 3
"""Columns of which a first line 0, 1, 2 may be an example of whole numbers."""
_BLOCK = 500
"""Rows that are converted at a time."""


class Contents(NamedTuple):
    """What a file holds."""

    x: Array
    """Numbers, float64, `(n, d)`."""
    labels: Array | None
    """Labels, `(n,)`: whole numbers or others, or names."""
    reading: str
    """One line on what was read."""


class _Columns(NamedTuple):
    """What each column of a table is."""

    heading: list[str]
    """Names, or numbers from 1 where there is no heading."""
    numbers: list[int]
    label: int | None
    left_out: list[int]


def read(path: Path, label_column: str = "") -> Contents:
    """The numbers and labels in a CSV file.

    Args:
        path: The file.
        label_column: The heading of the labels, or the number of their column from 1; chosen by the
            rules above where it is empty.

    Raises:
        BadFile: For a file that is no text, rows of different lengths, and words in a column of
            numbers; names the line and the column.
        BadValue: For a `label_column` that is not there.
    """
    with files.open_regular(
        path, missing="give a .npy, .npz or .csv file with --data.path"
    ) as file:
        table = delimited.read(path, file.read())
    first = list(islice(table.rows, 2))
    if len(first) < 2:
        raise errors.BadFile(f"{path}: must hold a table of at least 2 lines, got {len(first)}.")
    _refuse_other_lengths(path, first, len(first[0][1]))
    columns, headed = _columns(path, [row for _, row in first], table.delimiter, label_column)
    rows = chain(first[headed:], table.rows)
    commas = _Commas(path, table.delimiter)
    parts, labels = [], []
    while block := list(islice(rows, _BLOCK)):
        _refuse_other_lengths(path, block, len(columns.heading))
        parts.append(_numbers(path, block, columns, commas))
        labels += [row[columns.label] for _, row in block] if columns.label is not None else []
    commas.refuse_unclear()
    x = np.concatenate(parts)
    return Contents(x, _labels(labels, commas) if labels else None, _reading(path, columns, x))


def _refuse_other_lengths(path: Path, rows: Sequence[tuple[int, list[str]]], cells: int) -> None:
    for line, row in rows:
        if len(row) != cells:
            need = f"as many cells in each line as in the first, {cells}"
            raise errors.BadFile(f"{path}: must hold {need}, got {len(row)} in line {line}.")


def _columns(
    path: Path, rows: Sequence[list[str]], delimiter: str, label_column: str
) -> tuple[_Columns, bool]:
    """What the columns are, by the first two lines, and whether the first is a heading."""
    first, second = rows
    numeric = [_is_number(cell, delimiter) for cell in second]
    names = [cell.lower() for cell in first]
    above = zip(first, numeric, strict=False)
    headed = any(n and not _is_number(cell, delimiter) for cell, n in above)
    headed |= any(name in LABELS or name == "id" for name in names)
    headed |= _counts_columns(first, second)
    heading = first if headed else [str(i + 1) for i in range(len(first))]
    label = _label(path, heading, second, label_column, headed=headed)
    left_out = [i for i, name in enumerate(names) if headed and name in NO_NUMBER and i != label]
    kept = [i for i in range(len(heading)) if i != label and i not in left_out]
    if not kept:
        raise errors.BadFile(f"{path}: must hold a column of numbers, got none beside the labels.")
    return _Columns(heading, kept, label, left_out), headed


def _counts_columns(first: list[str], second: list[str]) -> bool:
    """Whether a line is 0, 1, 2, ..., and not an example: above an index, of fractions, or long."""
    above_index = first[0] == ""
    cells = first[1:] if above_index else first
    counted = cells == [str(i) for i in range(len(cells))]
    fractions = not all(cell.isdecimal() for cell in second)
    return counted and (above_index or len(cells) > (1 if fractions else _FEW))


def _label(
    path: Path, heading: list[str], second: list[str], named: str, *, headed: bool
) -> int | None:
    """The column of labels."""
    if named:
        found = [i for i, name in enumerate(heading) if name == named]
        if len(found) > 1:
            numbers = ", ".join(str(i + 1) for i in found)
            need = f"the number of a column of {path}, {numbers}"
            raise errors.bad_value("data.label_column", need, f"{named}, a name of several")
        found = found or [i for i in range(len(heading)) if str(i + 1) == named]
        need = f"one of {errors.short(', '.join(map(printable, heading)))}, the columns of {path}"
        errors.require(len(found) == 1, "data.label_column", need, named)
        return found[0]
    usual = [i for i, name in enumerate(heading) if headed and name.lower() in LABELS]
    if len(usual) > 1:
        several = " and ".join(printable(heading[i]) for i in usual)
        need = f"given: several columns of {path} may be the labels"
        raise errors.bad_value("data.label_column", need, f"nothing, with {several}")
    named_so = [headed and name.lower() in NO_NUMBER for name in heading]
    words = [i for i, cell in enumerate(second) if _is_word(cell) and not named_so[i]]
    return usual[0] if usual else words[0] if len(words) == 1 else None


def _is_word(cell: str) -> bool:
    """Whether a cell has a letter and is no number, whatever its decimal sign."""
    return bool(_WORD.search(cell)) and not _is_number(cell, delimited.DELIMITERS[0])


def _is_number(cell: str, delimiter: str) -> bool:
    point = cell.replace(",", ".") if delimiter != "," and cell.count(",") == 1 else cell
    return cell.lower() in MISSING or bool(_NUMBER.fullmatch(point))


class _Commas:
    """The commas in the numbers of a file, which are decimal ones or cannot be read.

    Args:
        path: For errors.
        delimiter: What separates the cells.
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self.path, self.allowed = path, delimiter != ","
        self.with_comma = self.with_point = self.of_thousands = ""
        self.decimal = False

    def number(self, cell: str) -> float:
        """A cell as a number. Raises `ValueError` where it is none."""
        if cell.lower() in MISSING:
            return float("nan")
        if self.allowed and cell.count(",") == 1:
            self.with_comma = self.with_comma or cell
            if _THOUSANDS.fullmatch(cell):
                self.of_thousands = self.of_thousands or cell
            else:
                self.decimal = True
            cell = cell.replace(",", ".")
        elif "." in cell:
            self.with_point = self.with_point or cell
        if not _NUMBER.fullmatch(cell):
            raise ValueError(cell)
        return float(cell)

    def refuse_unclear(self) -> None:
        """Raise where a comma may be a decimal one, or not."""
        got = ""
        if self.with_comma and self.with_point:
            got = f"'{self.with_comma}' and '{self.with_point}'"
        elif self.of_thousands and not self.decimal:
            got = f"'{self.of_thousands}', which may be thousands"
        if got:
            need = "numbers with one decimal sign and no thousands separators"
            raise errors.BadFile(f"{self.path}: must hold {need}, got {printable(got)}.")


def _numbers(
    path: Path, block: list[tuple[int, list[str]]], columns: _Columns, commas: _Commas
) -> Array:
    """The numbers of some rows, `(rows, d)`."""
    if all("_" not in row[i] for _, row in block for i in columns.numbers):  # numpy takes 1_000
        with contextlib.suppress(ValueError):
            return _at_once(block, columns, commas)
    return np.array([list(_one_by_one(path, line, row, columns, commas)) for line, row in block])


def _at_once(block: list[tuple[int, list[str]]], columns: _Columns, commas: _Commas) -> Array:
    """The same where all are plain numbers. Raises `ValueError` where one is not."""
    x: Array = np.array([[row[i] for i in columns.numbers] for _, row in block], dtype=np.float64)
    if not commas.with_point:
        cells = (row[i] for _, row in block for i in columns.numbers)
        commas.with_point = next((cell for cell in cells if "." in cell), "")
    return x


def _one_by_one(
    path: Path, line: int, row: list[str], columns: _Columns, commas: _Commas
) -> Iterator[float]:
    for i in columns.numbers:
        try:
            yield commas.number(row[i])
        except ValueError:
            column = printable(errors.short(columns.heading[i], 40))
            need = f"numbers in column '{column}' (labels: --data.label-column NAME)"
            got = f"'{printable(errors.short(row[i], 40))}' in line {line}"
            raise errors.BadFile(f"{path}: must hold {need}, got {got}.") from None


def _labels(cells: list[str], commas: _Commas) -> Array:
    """Labels as numbers where all are, else as names; a missing one is NaN or an empty name."""
    missing = [cell.lower() in NO_LABEL for cell in cells]
    names = ["" if gone else cell for cell, gone in zip(cells, missing, strict=True)]
    told = [name for name in names if name]
    if any(name.lower() in MISSING for name in told):  # 'none' is a name
        return np.array(names)
    try:
        numbers = np.array([commas.number(name) for name in names])
    except ValueError:
        return np.array(names)
    if any(missing):
        return numbers
    whole = bool((numbers == numbers.round()).all()) and np.abs(numbers).max() < 2**53
    return numbers.astype(np.int64) if whole else numbers


def _reading(path: Path, columns: _Columns, x: Array) -> str:
    rest = []
    if columns.label is not None:
        rest.append(f"labels in column '{printable(columns.heading[columns.label])}'")
    if columns.left_out:
        names = ", ".join(f"'{printable(columns.heading[i])}'" for i in columns.left_out)
        rest.append(f"left out: column {names}")
    more = "".join(f"; {words}" for words in rest)
    return f"Read {path}: {x.shape[0]:,} rows of {x.shape[1]:,} numbers{more}."

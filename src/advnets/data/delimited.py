"""Rows of a text table (CSV), separated by tabs, semicolons or commas.

Reference: RFC 4180 (quotes), Python's `csv`.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from advnets.base import errors

DELIMITERS = "\t;,"
"""In this order: a table with semicolons may have commas in its numbers."""
_LOOKED_AT = 50
"""Rows that the delimiter is chosen by."""


class Table(NamedTuple):
    """The rows of a table, one at a time."""

    delimiter: str
    rows: Iterator[tuple[int, list[str]]]
    """The number of a line, from 1, and its cells without spaces around them; empty lines are left
    out. Iteration raises `BadFile` where a line cannot be read."""


def read(path: Path, raw: bytes) -> Table:
    """A table from the bytes of its file.

    The delimiter is the first of tab, semicolon and comma that every one of the first rows has
    equally often; a table of one column has none.

    Args:
        path: For errors.
        raw: The file: UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises:
        BadFile: For bytes that are not such text.
    """
    text = _text(path, raw)
    delimiter = _delimiter(text)
    return Table(delimiter, _rows(path, text, delimiter))


def _text(path: Path, raw: bytes) -> str:
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(path, error) from None


def _delimiter(text: str) -> str:
    for delimiter in DELIMITERS:
        try:
            cells = (row for row in _parsed(text, delimiter) if any(row))
            widths = {len(row) for row in islice(cells, _LOOKED_AT)}
        except csv.Error:
            continue
        if len(widths) == 1 and widths.pop() > 1:
            return delimiter
    return ","


def _parsed(text: str, delimiter: str) -> "csv._reader":  # type: ignore[name-defined]
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = _parsed(text, delimiter)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise _not_text(path, error) from None


def _not_text(path: Path, why: Exception) -> errors.BadFile:
    return errors.BadFile(f"{path}: must hold UTF-8 text, got {why}.")

"""A user's own array, in a `.npy`, `.npz` or CSV file, with or without labels.

The first axis counts the examples. `(n, d)` are vectors; `(n, H, W)`, `(n, C, H, W)` and `(n, H, W,
C)` with 1 or 3 channels are images, and other numbers of channels are refused. Bytes (uint8) are
divided by 255; any other numbers are unchanged. A `.npy` file may be larger than memory.

Labels are classes where they are whole numbers, one for each example, of any type: `(n,)` or `(n,
1)`, as integers or as floats; names are classes in their order. Any others, `(n, d)`, are vectors.
"""

import contextlib
import math
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.config import RESUMABLE, expanded
from advnets.base.distributed import beside
from advnets.base.files import open_regular
from advnets.base.protocols import Examples
from advnets.data import class_names, csv_file
from advnets.data.archives import NUMBERS, read_npy, read_npz
from advnets.data.mapped import CHANNELS, Array, Header, Mapped, as_examples, read_header
from advnets.data.splits import (
    DataConfig,
    Split,
    Splits,
    refuse_non_finite,
    refuse_unscaled,
    split,
)

Missing = Literal["refuse", "leave-out"]
_KEPT = {
    name: np.dtype(name)
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "float16",
        "float32",
        "float64",
    )
}
"""Types of labels that torch supports; others become the widest of their kind."""
_ROWS, _FINEST = 1_000, 1_000
"""Rows looked at a time; steps of float32 that the numbers at one place must span."""
_EXACT = 2**53
"""Whole numbers below this are exact as floats."""


@dataclass(frozen=True, kw_only=True)
class ArrayConfig(DataConfig):
    """A `.npy` array, a `.npz` archive with examples `x` and labels `y`, if any, or a CSV table."""

    kind: ClassVar[str] = "array"

    path: str = field(default="", metadata=RESUMABLE)
    """The `.npy`, `.npz` or `.csv` file."""
    labels_path: str = field(default="", metadata=RESUMABLE)
    """A `.npy` file with the labels, numbers or names, where `path` holds the examples alone."""
    label_column: str = ""
    """Of a CSV file: the heading of the column of labels, or its number from 1. By default a column
    called 'label', 'class', 'category', 'target' or 'species', or the only one of words."""
    validation: float = 0.1
    """Share of the examples held out for validation."""
    test: float = 0.1
    """Share of the examples held out for the test."""
    resident: bool | None = field(default=None, metadata=RESUMABLE)
    """Whether the array is read into memory; False memory-maps its `.npy` file and reads the rows
    of each minibatch. By default an array that would fill a quarter of the memory is
    memory-mapped."""
    missing: Missing = "refuse"
    """Rows with NaN or without a label: 'refuse' ends the run, 'leave-out' trains on the others."""

    def __post_init__(self) -> None:
        errors.one_of(get_args(Missing), missing=self.missing)
        table = Path(self.path).suffix.lower() in csv_file.SUFFIXES
        left_out = not self.label_column or not self.path or table
        errors.require(left_out, "label_column", "left out but for a CSV file", self.label_column)
        for name in ("validation", "test"):
            v = getattr(self, name)
            errors.require(0 < v < 1, name, "above 0 and below 1", v)


def load(config: ArrayConfig, *, seed: int, classes: bool = True) -> Splits:
    """Read an array and split it at random, class by class where it has classes.

    Args:
        config: What to read.
        seed: Chooses which examples go where.
        classes: As in `from_arrays`; earlier versions behaved as with False.

    Raises:
        BadFile: For a missing file or one that holds no such array.
        BadValue: For NaN or infinity, fewer than 10 rows, other channels than 1 or 3, labels of
            another length, or an archive with `resident` False.
    """
    need = "the .npy, .npz or .csv file to train on"
    errors.require(bool(config.path), "data.path", need, "nothing")
    path = expanded(config.path)
    own = _labels_beside(expanded(config.labels_path)) if config.labels_path else None
    shares = {"validation": config.validation, "test": config.test}
    leave_out = config.missing == "leave-out"
    mapped = None if leave_out or _is_table(path) else map_array(path, config.resident)
    if mapped is not None:
        context, names = _context(own, len(mapped), classes=classes)
        splits = split(Split(mapped.x, context), **shares, seed=seed, order="file")
        return replace(splits, classes=names)
    x, labels, reading = _everything(path, config.label_column)
    if own is not None:
        need = f"left out: {path} has labels of its own"
        errors.require(labels is None, "data.labels_path", need, config.labels_path)
        labels = own
    if leave_out:
        (x, labels), left = whole_rows(x, labels)
        reading = " ".join(filter(None, (reading, left)))
    data = from_arrays(x, classes=classes)
    context, names = _context(labels, len(x), classes=classes)
    splits = split(Split(data.x, context), **shares, seed=seed, order="file")
    return replace(splits, reading=reading, classes=names)


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in csv_file.SUFFIXES


def _everything(path: Path, label_column: str) -> csv_file.Contents:
    """Examples, labels and a line on them, of any kind of file."""
    if _is_table(path):
        return csv_file.read(path, label_column)
    return csv_file.Contents(*read(path), "")


def _labels_beside(path: Path) -> Array:
    """The labels in a `.npy` file of their own."""
    labels, others = read(path)
    if others is not None:
        raise errors.bad_array_file(path, "a .npy file of labels", "an archive of x and y")
    return labels


def whole_rows(x: Array, labels: Array | None) -> tuple[tuple[Array, Array | None], str]:
    """The rows without NaN and with a label, and a line on those that are left out."""
    if x.ndim < 2 or (labels is not None and (labels.ndim == 0 or len(labels) != len(x))):
        return (x, labels), ""  # refused by `from_arrays`
    incomplete = _missing(x) if labels is None else _missing(x) | _missing(labels)
    left, whole = int(incomplete.sum()), ~incomplete
    reading = f"{left:,} of {len(x):,} rows have missing values and are left out." if left else ""
    return (x[whole], None if labels is None else labels[whole]), reading


def _missing(rows: Array) -> Array:
    """Which rows have NaN or an empty name, `(n,)`."""
    flat = rows.reshape(len(rows), -1)
    found: Array = np.zeros(flat.shape, bool)
    if rows.dtype.kind == "f":
        found = np.isnan(flat)
    elif class_names.of_words(rows):
        found = np.asarray(flat == (b"" if rows.dtype.kind == "S" else ""))
    missing: Array = np.asarray(found.any(axis=1))
    return missing


def map_array(path: Path, resident: bool | None) -> Split | None:
    """A memory-mapped `.npy` file as a `Split`, or None where it is to be in memory.

    Raises:
        BadFile: For a missing file, no array, or one that is shorter than its header says.
        BadValue: As `from_arrays`; for an archive with `resident` False.
    """
    if resident:
        return None
    with _opened(path) as file:
        header = read_header(file)
        if header is None:
            archive = resident is False and zipfile.is_zipfile(file)
            need = "left out or True for a .npz archive, which cannot be memory-mapped"
            errors.require(not archive, "data.resident", need, resident)
            return None
        if resident is None and not _is_large(header):
            return None
        _refuse_other_arrays(header.dtype, header.shape)
        x = Mapped(path, file, header)
    _refuse_non_finite(x, header.dtype)
    _refuse_rounded(x.stored)
    refuse_unscaled("data", x)
    return Split(x)


def _is_large(header: Header) -> bool:
    """Whether an array would, as float32, take more than a quarter of the machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory //= beside()  # each process has its own
    return 4 * math.prod(header.shape) > memory / 4


def read(path: Path) -> tuple[Array, Array | None]:
    """The examples and, where there are any, the labels in a `.npy` or `.npz` file."""
    with _opened(path) as file:
        if zipfile.is_zipfile(file):
            return read_npz(path, file)
        file.seek(0)
        return read_npy(path, file, os.fstat(file.fileno()).st_size), None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The open file; inside, errors about its content become `BadFile`."""
    if path.is_dir():
        raise errors.bad_array_file(path, NUMBERS, "a folder")
    with open_regular(path, missing="give a .npy, .npz or .csv file with --data.path") as file:
        try:
            yield file
        except errors.DamagedHeader as error:
            raise errors.bad_array_file(path, NUMBERS, error) from None
        except (errors.UserError, MemoryError):
            raise
        except Exception as error:  # foreign bytes lead a parser to whatever there is
            raise errors.bad_array_file(path, NUMBERS, f"a damaged one ({error})") from None


def from_arrays(x: Array, labels: Array | None = None, *, classes: bool = True) -> Split:
    """Arrays as a `Split`: float32, channels first, checked.

    Args:
        x: The examples.
        labels: Their labels; names become classes 0, 1, ... in the order of the names.
        classes: Whether whole numbers of any type, one for each example, are classes; with False
            only integers of shape `(n,)` are.

    Raises:
        BadValue: For NaN or infinity, numbers so far from 0 that float32 does not tell examples
            apart, no numbers, a wrong number of axes or channels, or labels of another length.
    """
    _refuse_other_arrays(x.dtype, x.shape)
    context, _ = _context(labels, len(x), classes=classes)
    examples = as_examples(x)
    _refuse_non_finite(examples, x.dtype)
    _refuse_rounded(x)
    refuse_unscaled("data", examples)
    return Split(examples, context)


def _context(
    labels: Array | None, n: int, *, classes: bool
) -> tuple[Tensor | None, tuple[str, ...]]:
    """The labels of n examples as a tensor, and the names of the classes where they have names."""
    if labels is None:
        return None, ()
    names: tuple[str, ...] = ()
    if labels.ndim and class_names.of_words(labels):
        _refuse_other_length(labels, n)
        labels, names = class_names.numbered(labels)
    context = _labels(labels, n)
    return (_as_classes(context) if classes else context), names


def _refuse_other_arrays(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    errors.require(dtype.kind in "biuf", "data", "an array of real numbers", dtype)
    if not 2 <= len(shape) <= 4 or 0 in shape[1:]:
        raise errors.wrong_shape("data", "(n, d), (n, H, W), (n, C, H, W) or (n, H, W, C)", shape)
    if len(shape) == 4 and not {shape[1], shape[3]} & set(CHANNELS):
        raise _other_channels(shape)
    if shape[0] < 10:
        raise errors.array_too_short("data", 10, shape[0])


def _other_channels(got: Iterable[int]) -> errors.BadValue:
    """Images of two channels, of four (RGBA) or more."""
    shape = ", ".join(map(str, got))
    return errors.bad_value(
        "data",
        "images of 1 or 3 channels, (n, H, W), (n, C, H, W) or (n, H, W, C)",
        f"shape ({shape}); drop the alpha channel, as in x[..., :3], or flatten them to (n, d)",
    )


def _refuse_non_finite(x: Examples, dtype: np.dtype[Any]) -> None:
    if dtype.kind == "f":  # integers are finite, and float32 holds the largest
        refuse_non_finite("data", x)


def _refuse_rounded(x: Array) -> None:
    """Raise where float32 would round away what tells examples apart, as it does far from 0."""
    if x.dtype.itemsize <= 2 or x.dtype == np.float32:
        return
    low, high, error = (np.full(x.shape[1:], v) for v in (np.inf, -np.inf, 0.0))
    for start in range(0, len(x), _ROWS):
        part = np.asarray(x[start : start + _ROWS], dtype=np.float64)
        rounded = np.abs(part - part.astype(np.float32))
        low, high = np.minimum(low, part.min(axis=0)), np.maximum(high, part.max(axis=0))
        error = np.maximum(error, rounded.max(axis=0))
    span = high - low
    lost = np.flatnonzero((span > 0) & (error > span / _FINEST))
    if len(lost):
        spans, by = span.flat[lost[0]], error.flat[lost[0]]
        got = f"number {lost[0]} of an example, which spans {spans:.3g} and is rounded by {by:.3g}"
        need = "numbers that float32 tells apart (subtract their mean)"
        raise errors.bad_value("data", need, got)


def _labels(labels: Array, n: int) -> Tensor:
    """Labels as a tensor, in their own type where torch supports it."""
    errors.require(labels.dtype.kind in "biuf", "labels", "numbers or names", labels.dtype)
    _refuse_other_length(labels, n)
    finite = np.isfinite(labels).reshape(n, -1).all(axis=1)
    if not finite.all():
        raise errors.array_not_finite("labels", int(np.flatnonzero(~finite)[0]))
    if labels.dtype.kind == "u":
        largest = labels.max()
        errors.require(largest < 2**63, "labels", "whole numbers below 2^63", largest)
    other = np.float64 if labels.dtype.kind == "f" else np.int64
    return torch.from_numpy(labels.astype(_KEPT.get(labels.dtype.name, other)))


def _refuse_other_length(labels: Array, n: int) -> None:
    if labels.ndim > 1 and len(labels) != n:
        raise errors.wrong_shape("labels", f"({n}), ({n}, 1) or ({n}, d)", labels.shape)
    if labels.ndim == 0 or len(labels) != n:
        raise errors.bad_value("labels", f"as many as the examples, {n}", labels.size)


def _as_classes(labels: Tensor) -> Tensor:
    """Labels as classes, `(n,)`, where they are whole numbers, one for each example."""
    if labels.numel() != len(labels):
        return labels
    whole = not labels.is_floating_point() or bool(
        (labels == labels.round()).all() and labels.abs().max() < _EXACT
    )
    if not whole:
        return labels
    flat = labels.reshape(-1)
    return flat.long() if flat.is_floating_point() else flat

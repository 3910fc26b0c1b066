"""A user's own array, in a `.npy` or `.npz` file, with or without labels.

The first axis counts the examples. `(n, d)` are vectors; `(n, H, W)`, `(n, C, H, W)` and `(n, H, W,
C)` with 1 or 3 channels are images, and other numbers of channels are refused. Bytes (uint8) are
divided by 255; any other numbers are taken as they are. A `.npy` file may be larger than memory.

Labels are classes where they are whole numbers, one an example, however they are stored: `(n,)` or
`(n, 1)`, as integers or as floats. Any others, `(n, d)`, are vectors.
"""

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.config import FREE, expanded
from advnets.base.distributed import beside
from advnets.base.files import open_regular
from advnets.base.protocols import Examples
from advnets.data.archives import NUMBERS, read_npy, read_npz
from advnets.data.mapped import CHANNELS, Array, Header, Mapped, as_examples, read_header
from advnets.data.splits import DataConfig, Split, Splits, refuse_non_finite, split

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
"""Types of labels that torch counts with; others become the widest of their kind."""
_EXACT = 2**53
"""Whole numbers below this are exact as floats."""


@dataclass(frozen=True, kw_only=True)
class ArrayConfig(DataConfig):
    """A `.npy` array, or a `.npz` archive with the examples as `x` and labels, if any, as `y`."""

    kind: ClassVar[str] = "array"

    path: str = field(default="", metadata=FREE)
    """The `.npy` or `.npz` file."""
    validation: float = 0.1
    """Share of the examples held out for validation."""
    test: float = 0.1
    """Share of the examples held out for the test."""
    resident: bool | None = field(default=None, metadata=FREE)
    """Whether the array is read into memory; False leaves it in its `.npy` file and reads the rows
    of each minibatch. By default it is left there when it would fill a quarter of the memory."""

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            v = getattr(self, name)
            errors.require(0 < v < 1, name, "above 0 and below 1", v)


def load(config: ArrayConfig, *, seed: int, classes: bool = True) -> Splits:
    """Read an array and split it at random, class by class where it has classes.

    Args:
        config: What to read.
        seed: Chooses which examples go where.
        classes: As in `from_arrays`; earlier versions read data as by False.

    Raises:
        BadFile: For a missing file or one that holds no such array.
        BadValue: For NaN or infinity, fewer than 10 rows, other channels than 1 or 3, labels of
            another length, or an archive that is not to be resident.
    """
    errors.require(bool(config.path), "data.path", "the .npy or .npz file to train on", "nothing")
    path = expanded(config.path)
    data = map_array(path, config.resident) or from_arrays(*read(path), classes=classes)
    shares = {"validation": config.validation, "test": config.test}
    return split(data, **shares, seed=seed, order="file")


def map_array(path: Path, resident: bool | None) -> Split | None:
    """A `.npy` file as a `Split` that is left in the file, or None where it is to be resident.

    Raises:
        BadFile: For a missing file, no array, or one that is shorter than its header says.
        BadValue: As `from_arrays`; for an archive that is not to be resident.
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
    """The file, open; inside, whatever it raises as no array of numbers is worded as ours."""
    if path.is_dir():
        raise errors.bad_array_file(path, NUMBERS, "a folder")
    with open_regular(path, missing="give a .npy or .npz file with --data.path") as file:
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
        labels: What they are labelled with.
        classes: Whether labels are classes where they are whole numbers, one an example, however
            they are stored; by False only integers of shape `(n,)` are.

    Raises:
        BadValue: For NaN or infinity, no numbers, a wrong number of axes or channels, or labels of
            another length.
    """
    _refuse_other_arrays(x.dtype, x.shape)
    context = None if labels is None else _labels(labels, len(x))
    examples = as_examples(x)
    _refuse_non_finite(examples, x.dtype)
    if context is not None and classes:
        context = _as_classes(context)
    return Split(examples, context)


def _refuse_other_arrays(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    errors.require(dtype.kind in "biuf", "data", "an array of real numbers", dtype)
    if not 2 <= len(shape) <= 4 or 0 in shape[1:]:
        raise errors.wrong_shape("data", "(n, d), (n, H, W), (n, C, H, W) or (n, H, W, C)", shape)
    if len(shape) == 4 and not {shape[1], shape[3]} & set(CHANNELS):
        raise errors.other_channels(shape)
    if shape[0] < 10:
        raise errors.array_too_short("data", 10, shape[0])


def _refuse_non_finite(x: Examples, dtype: np.dtype[Any]) -> None:
    if dtype.kind == "f":  # integers are finite, and float32 holds the largest
        refuse_non_finite("data", x)


def _labels(labels: Array, n: int) -> Tensor:
    """Labels as a tensor, as they are stored where torch can count with such numbers."""
    errors.require(labels.dtype.kind in "biuf", "labels", "numbers", labels.dtype)
    if labels.ndim > 1 and len(labels) != n:
        raise errors.wrong_shape("labels", f"({n}), ({n}, 1) or ({n}, d)", labels.shape)
    if labels.ndim == 0 or len(labels) != n:
        raise errors.bad_value("labels", f"as many as the examples, {n}", labels.size)
    finite = np.isfinite(labels).reshape(n, -1).all(axis=1)
    if not finite.all():
        raise errors.array_not_finite("labels", int(np.flatnonzero(~finite)[0]))
    if labels.dtype.kind == "u":
        largest = labels.max()
        errors.require(largest < 2**63, "labels", "whole numbers below 2^63", largest)
    other = np.float64 if labels.dtype.kind == "f" else np.int64
    return torch.from_numpy(labels.astype(_KEPT.get(labels.dtype.name, other)))


def _as_classes(labels: Tensor) -> Tensor:
    """Labels as classes, `(n,)`, where they are whole numbers and one an example."""
    if labels.numel() != len(labels):
        return labels
    whole = not labels.is_floating_point() or bool(
        (labels == labels.round()).all() and labels.abs().max() < _EXACT
    )
    if not whole:
        return labels
    flat = labels.reshape(-1)
    return flat.long() if flat.is_floating_point() else flat

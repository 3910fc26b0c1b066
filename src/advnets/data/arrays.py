"""A user's own array, in a `.npy` or `.npz` file, with or without labels.

The first axis counts the examples. `(n, d)` are vectors; `(n, H, W)`, `(n, C, H, W)` and `(n, H, W,
C)` with 1 or 3 channels are images. Bytes (uint8) are divided by 255; any other numbers are taken
as they are. A `.npy` file may be larger than memory.
"""

import contextlib
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from advnets import checks
from advnets.config import FREE, expanded
from advnets.data.mapped import Array, Header, Mapped, as_examples, read_header
from advnets.data.splits import DataConfig, Split, Splits, split
from advnets.protocols import Examples
from advnets.ranks import beside
from advnets.streaming import blocks


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
            checks.require(0 < v < 1, name, "above 0 and below 1", v)


def load(config: ArrayConfig, *, seed: int) -> Splits:
    """Read an array and split it at random, class by class where it has integer labels.

    Raises:
        BadFile: For a missing file or one that holds no such array.
        BadValue: For NaN or infinity, fewer than 10 rows, labels of another length, or an archive
            that is not to be resident.
    """
    checks.require(bool(config.path), "data.path", "the .npy or .npz file to train on", "nothing")
    path = expanded(config.path)
    data = map_array(path, config.resident) or from_arrays(*read(path))
    return split(data, validation=config.validation, test=config.test, seed=seed)


def map_array(path: Path, resident: bool | None) -> Split | None:
    """A `.npy` file as a `Split` that is left in the file, or None where it is to be resident.

    Raises:
        BadFile: For a missing file, no array, or one that is shorter than its header says.
        BadValue: As `from_arrays`; for an archive that is not to be resident.
    """
    if resident:
        return None
    with _worded(path), path.open("rb") as file:
        header = read_header(file)
        if header is None:
            archive = resident is False and zipfile.is_zipfile(file)
            need = "left out or True for a .npz archive, which cannot be memory-mapped"
            checks.require(not archive, "data.resident", need, resident)
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
    with _worded(path), path.open("rb") as file:
        return _arrays(path, np.load(file, allow_pickle=False))


@contextlib.contextmanager
def _worded(path: Path) -> Iterator[None]:
    """Inside, whatever a file that is no array of numbers raises is worded as ours."""
    try:
        yield
    except checks.UserError:
        raise
    except FileNotFoundError:
        raise checks.missing_file(path, "give a .npy or .npz file with --data.path") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, SyntaxError) as error:
        raise checks.bad_array_file(path, "a .npy or .npz file of numbers", error) from None


def _arrays(path: Path, loaded: Any) -> tuple[Array, Array | None]:
    if isinstance(loaded, np.ndarray):
        return loaded, None
    with loaded:
        names = loaded.files
        if "x" not in names and len(names) != 1:
            raise checks.bad_array_file(path, "an archive with an array named 'x'", names)
        x = loaded["x" if "x" in names else names[0]]
        return x, loaded["y"] if "y" in names else None


def from_arrays(x: Array, labels: Array | None = None) -> Split:
    """Arrays as a `Split`: float32, channels first, checked.

    Raises:
        BadValue: For NaN or infinity, no numbers, a wrong number of axes, or labels of another
            length.
    """
    _refuse_other_arrays(x.dtype, x.shape)
    context = None if labels is None else _labels(labels, len(x))
    examples = as_examples(x)
    _refuse_non_finite(examples, x.dtype)
    return Split(examples, context)


def _refuse_other_arrays(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    checks.require(dtype.kind in "biuf", "data", "an array of real numbers", dtype)
    if not 2 <= len(shape) <= 4 or 0 in shape[1:]:
        raise checks.wrong_shape("data", "(n, d), (n, H, W), (n, C, H, W) or (n, H, W, C)", shape)
    if shape[0] < 10:
        raise checks.array_too_short("data", 10, shape[0])


def _refuse_non_finite(x: Examples, dtype: np.dtype[Any]) -> None:
    """Raise, with the first bad row, for NaN, infinity and what float32 cannot hold."""
    if dtype.kind != "f":  # integers are finite, and float32 holds the largest
        return
    start = 0
    for block in blocks(x):
        finite = block.flatten(1).isfinite().all(dim=1)
        if not finite.all():
            raise checks.array_not_finite("data", start + int(finite.logical_not().nonzero()[0]))
        start += len(block)


def _labels(labels: Array, n: int) -> Tensor:
    checks.require(labels.dtype.kind in "biuf", "labels", "numbers", labels.dtype)
    if labels.ndim == 0 or len(labels) != n:
        raise checks.bad_value("labels", f"as many as the examples, {n}", labels.size)
    return torch.from_numpy(labels.astype(labels.dtype.newbyteorder("=")))

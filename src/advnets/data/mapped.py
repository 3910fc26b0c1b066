"""Memory-mapped examples in a `.npy` file, read row by row.

Reference: numpy's `.npy` format (NEP 1).
"""

import math
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors

Array = np.ndarray[Any, np.dtype[Any]]
CHANNELS = (1, 3)
"""How many channels an image may have."""


def as_examples(x: Array) -> Tensor:
    """A copy of an array as float32, channels first; bytes are divided by 255.

    Each example is converted independently, so rows can be selected before or after.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        tensor = torch.from_numpy(np.array(x, dtype=np.float32, order="C"))
    if x.dtype == np.uint8:
        tensor.div_(255)
    if tensor.ndim == 3:
        return tensor.unsqueeze(1)
    if tensor.ndim == 4 and tensor.shape[1] not in CHANNELS and tensor.shape[3] in CHANNELS:
        return tensor.movedim(3, 1).contiguous()
    return tensor


@dataclass(frozen=True)
class Header:
    """The header of a `.npy` file, and the position of its numbers."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def end(self) -> int:
        """Size of the whole file in bytes."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header | None:
    """The header of an open `.npy` file; None for a file of another kind.

    Raises:
        DamagedHeader: For a header that is damaged.
    """
    start = file.read(len(np.lib.format.MAGIC_PREFIX))
    file.seek(0)
    if start != np.lib.format.MAGIC_PREFIX:
        return None
    try:
        if np.lib.format.read_magic(file) == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except Exception as error:  # it parses foreign text as Python, whatever that leads to
        raise _damaged_header(error) from None
    if not _possible(shape):
        raise _damaged_header(f"shape {shape}")
    return Header(shape, fortran, dtype, file.tell())


def _damaged_header(why: object) -> errors.DamagedHeader:
    """A `.npy` header that cannot be read, or asks for an array that cannot be."""
    lines = str(why).splitlines() or ["it cannot be read"]
    return errors.DamagedHeader(f"a damaged header ({lines[0][:80]})")


def _possible(shape: tuple[Any, ...]) -> bool:
    """Whether the shape is valid: numpy also reads booleans and negative sizes."""
    whole = all(type(n) is int and n >= 0 for n in shape)
    return whole and len(shape) <= 32 and math.prod(max(n, 1) for n in shape) < 2**60


class _File:
    """The memory map of a `.npy` file, which never touches a page beyond the end of the file."""

    def __init__(self, path: Path, file: IO[bytes], end: int) -> None:
        self.path, self.end = path, end
        self._refuse_shorter(os.fstat(file.fileno()).st_size)
        self.memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def check(self) -> None:
        self._refuse_shorter(self.memory.size())  # the file's size now, not the map's

    def _refuse_shorter(self, size: int) -> None:
        if size < self.end:
            raise errors.BadFile(
                f"{self.path}: truncated, before or under the run: its header asks for "
                f"{self.end} bytes, got {size}."
            )


class Mapped:
    """The examples of a `.npy` file, or some of them, without reading them.

    It behaves like a float32 tensor of shape `(n, *event_shape)`: `x[rows]` reads rows in one
    gather, with the same values as the array in memory; `x.take(rows)` selects rows without reading
    them.

    The file may be larger than memory. Its size is compared with what its header asks for before
    every gather, because touching a page beyond the end of a file kills the process (SIGBUS). A
    file that is cut in the instant between the comparison and the gather cannot be caught.

    Args:
        path: The file, for errors.
        file: The open file; it may be closed afterwards.
        header: The result of `read_header`: an array of real numbers with at least one row.

    Raises:
        BadFile: When the file is shorter than its header says; at every gather too.
    """

    dtype = torch.float32

    def __init__(self, path: Path, file: IO[bytes], header: Header) -> None:
        self._file = _File(path, file, header.end)
        self._array: Array = np.ndarray(
            header.shape,
            header.dtype,
            buffer=self._file.memory,
            offset=header.offset,
            order="F" if header.fortran else "C",
        )
        self._rows: Array | None = None
        self.event_shape = tuple(as_examples(np.zeros((1, *header.shape[1:]))).shape[1:])

    def __len__(self) -> int:
        return len(self._array if self._rows is None else self._rows)

    @property
    def stored(self) -> Array:
        """All examples of the file as it holds them, in its own type and order of axes."""
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, *event_shape)`."""
        return (len(self), *self.event_shape)

    def take(self, rows: Tensor | slice) -> "Mapped":
        """The examples in these rows, still in their file; only the numbers of rows are kept."""
        chosen = rows if isinstance(rows, slice) else rows.numpy()
        part = object.__new__(Mapped)
        part._file, part.event_shape = self._file, self.event_shape
        part._array, part._rows = self._array, self._rows
        if self._rows is not None:
            part._rows = self._rows[chosen]
        elif isinstance(chosen, slice):
            part._array = self._array[chosen]
        else:
            part._rows = chosen
        return part

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Read these rows: float32, of shape `(rows, *event_shape)`."""
        chosen = self.take(rows)
        self._file.check()
        if chosen._rows is None:
            return as_examples(chosen._array)
        return as_examples(chosen._array[chosen._rows])

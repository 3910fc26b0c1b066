"""A user's own array, in a `.npy` or `.npz` file, with or without labels.

The first axis counts the examples. `(n, d)` are vectors; `(n, H, W)`, `(n, C, H, W)` and `(n, H, W,
C)` with 1 or 3 channels are images. Bytes (uint8) are divided by 255; any other numbers are taken
as they are.
"""

import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from advnets import checks
from advnets.config import FREE
from advnets.data.splits import DataConfig, Split, Splits, split

Array = np.ndarray[Any, np.dtype[Any]]


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

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            v = getattr(self, name)
            checks.require(0 < v < 1, name, "above 0 and below 1", v)


def load(config: ArrayConfig, *, seed: int) -> Splits:
    """Read an array and split it at random, class by class where it has integer labels.

    Raises:
        BadFile: For a missing file or one that holds no such array.
        BadValue: For NaN or infinity, fewer than 10 rows, or labels of another length.
    """
    checks.require(bool(config.path), "data.path", "the .npy or .npz file to train on", "nothing")
    x, labels = read(Path(config.path).expanduser())
    return split(from_arrays(x, labels), validation=config.validation, test=config.test, seed=seed)


def read(path: Path) -> tuple[Array, Array | None]:
    """The examples and, where there are any, the labels in a `.npy` or `.npz` file."""
    try:
        with path.open("rb") as file:
            return _arrays(path, np.load(file, allow_pickle=False))
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
    checks.require(x.dtype.kind in "biuf", "data", "an array of real numbers", x.dtype)
    if not 2 <= x.ndim <= 4 or 0 in x.shape[1:]:
        raise checks.wrong_shape("data", "(n, d), (n, H, W), (n, C, H, W) or (n, H, W, C)", x.shape)
    if len(x) < 10:
        raise checks.array_too_short("data", 10, len(x))
    flat = x.reshape(len(x), -1)
    bad = ~np.isfinite(flat).all(axis=1) | (np.abs(flat) > np.finfo(np.float32).max).any(axis=1)
    if bad.any():
        raise checks.array_not_finite("data", int(bad.argmax()))
    context = None if labels is None else _labels(labels, len(x))
    return Split(_channels_first(x), context)


def _labels(labels: Array, n: int) -> Tensor:
    checks.require(labels.dtype.kind in "biuf", "labels", "numbers", labels.dtype)
    if labels.ndim == 0 or len(labels) != n:
        raise checks.bad_value("labels", f"as many as the examples, {n}", labels.size)
    return torch.from_numpy(labels.astype(labels.dtype.newbyteorder("=")))


def _channels_first(x: Array) -> Tensor:
    tensor = torch.from_numpy(np.array(x, dtype=np.float32, order="C"))
    if x.dtype == np.uint8:
        tensor.div_(255)
    if tensor.ndim == 3:
        return tensor.unsqueeze(1)
    if tensor.ndim == 4 and tensor.shape[1] not in (1, 3) and tensor.shape[3] in (1, 3):
        return tensor.movedim(3, 1).contiguous()
    return tensor

"""Examples that a user gives to a trained run: pictures of its size, or an array of its shape.

Pictures are decoded by the rules of `images.decoding`, in the order of their names.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from advnets.base import errors, files
from advnets.data import arrays
from advnets.data.images import decoding, kinds, opened
from advnets.data.images.decoding import Look
from advnets.data.mapped import CHANNELS, as_examples


class Given(NamedTuple):
    """What a user gave."""

    x: Tensor
    """`(N, *event_shape)`, float32; NaN where an array has it."""
    names: tuple[str, ...]
    """Of the pictures; of an array the numbers of its rows."""


def read(path: Path, event_shape: Sequence[int], *, resize: bool = False) -> Given:
    """Pictures in a folder, a zip or one file, or an array in a `.npy` file.

    Args:
        path: Where they are.
        event_shape: The shape that each must have.
        resize: Whether pictures of another size are cut and resized, as the data was.

    Raises:
        BadFile: For what is missing or cannot be read, and for a picture of another size.
        BadValue: For an array of another shape, or infinity in it.
    """
    shape = tuple(event_shape)
    errors.require(path.exists(), "images", "a folder or zip of pictures, or a .npy file", path)
    if path.suffix.lower() == ".npy":
        return _array(path, shape)
    if len(shape) != 3 or shape[0] not in CHANNELS:
        need = f"a .npy file: the run's examples have shape ({', '.join(map(str, shape))})"
        raise errors.bad_value("images", need, path)
    look = Look(size=(shape[1], shape[2]), grey=shape[0] == 1, smallest=1)
    rows = {name: _picture(path, name, raw, look, resize) for name, raw in _pictures(path)}
    if not rows:
        raise errors.BadFile(f"{path}: must hold pictures that can be read, got none.")
    return Given(as_examples(np.stack([*rows.values()])), tuple(rows))


def _pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """The pictures of a source in the order of their names, with their bytes."""
    if path.is_file() and kinds.ending(path.name) in decoding.suffixes():
        yield path.name, files.read(path)
        return
    with opened(path) as source:
        for e in sorted(source.entries(), key=lambda e: e.name):
            folder = e.name.endswith("/")
            if not folder and kinds.may_be_picture(e.name) and kinds.why_not(source, e) is None:
                yield e.name, source.read(e)


def _picture(
    path: Path, name: str, raw: bytes, look: Look, resize: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One picture's pixels, `(C, H, W)`."""
    place = path if path.is_file() else path / name
    try:
        pixels = decoding.decode(raw, look)
        with Image.open(io.BytesIO(raw), formats=decoding.formats()) as image:
            width, height = image.size
    except errors.Unusable as error:
        raise errors.BadFile(
            f"{place}: must be a picture that can be read, got one {error}."
        ) from None
    if not resize and (height, width) != look.sides:
        need, got = "{} x {}".format(*look.sides), f"{height} x {width}"
        raise errors.BadFile(
            f"{place}: must be {need} pixels, as the run's, got {got} (height x width)."
        )
    return pixels


def _array(path: Path, shape: tuple[int, ...]) -> Given:
    array, _ = arrays.read(path)
    errors.require(array.dtype.kind in "biuf", str(path), "an array of real numbers", array.dtype)
    need = f"(N, {', '.join(map(str, shape))}), as the run's examples"
    if array.ndim < 1 or 0 in array.shape:
        raise errors.wrong_shape(str(path), need, array.shape)
    x = as_examples(array)
    x = x.reshape(1, *shape) if x.shape[1:] != shape and array.size == np.prod(shape) else x
    if tuple(x.shape[1:]) != shape:
        raise errors.wrong_shape(str(path), need, array.shape)
    infinite = torch.isinf(x).flatten(1).any(dim=1)
    if infinite.any():
        raise errors.array_not_finite(str(path), int(infinite.nonzero()[0]))
    return Given(x, tuple(map(str, range(len(x)))))

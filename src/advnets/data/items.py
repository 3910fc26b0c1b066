"""Items of a map-style data set (`torch.utils.data.Dataset`), read as they are needed.

An item is x; `(x,)`; `(x, label)`; or a dictionary of them, as Hugging Face's `datasets` have. x is
a tensor, a numpy array, a number, or a picture of Pillow, which becomes `(C, H, W)` in [0, 1]: grey
of 8 or 16 bits, or RGB, where transparent pixels are blended with white. A label is a number or a
vector.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

from advnets.base import errors
from advnets.data.images import decoding

X = ("x", "image", "img", "pixel_values", "data", "input")
"""Keys of x in a dictionary."""
LABEL = ("y", "label", "labels", "target", "class")
"""Keys of its label."""


def is_map_style(data: object) -> bool:
    """Whether data has items by number: a length and `data[i]`, and is no container of Python."""
    container = isinstance(data, list | tuple | Mapping | str | bytes | range | set)
    table = hasattr(data, "to_numpy")  # a table of pandas has columns by name
    items = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return items and not container and not table and not isinstance(data, IterableDataset)


def collate(items: Sequence[Any]) -> Tensor | tuple[Tensor, Tensor]:
    """Items as a minibatch: x, or x and labels.

    Raises:
        BadValue: For items of another kind, or of different shapes.
    """
    parts = [_parts(item) for item in items]
    x = _stacked("data", [_tensor("data", part[0]) for part in parts])
    if len(parts[0]) == 1:
        return x
    return x, _stacked("labels", [_tensor("labels", part[1]) for part in parts])


def _parts(item: Any) -> tuple[Any, ...]:
    """The x of an item and, where there is one, its label."""
    if isinstance(item, Mapping):
        x, label = ([k for k in keys if k in item] for keys in (X, LABEL))
        if len(x) != 1 or len(label) > 1:
            need = f"items with one key of {', '.join(X)}, and at most one of {', '.join(LABEL)}"
            raise errors.bad_value("data", need, errors.short(", ".join(map(str, item))))
        return tuple(item[key] for key in (*x, *label))
    if isinstance(item, tuple | list):
        need = "items x, (x,), (x, label) or dictionaries of them"
        errors.require(len(item) in (1, 2), "data", need, f"{len(item)} values an item")
        return tuple(item)
    return (item,)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Image.Image):
        return _of_picture(name, value)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        need = "numbers, arrays, tensors or pictures in each item"
        raise errors.bad_value(name, need, f"a {type(value).__name__}") from None


def _of_picture(name: str, image: Image.Image) -> Tensor:
    if decoding.is_deep(image):
        deep = np.asarray(image).astype(np.float32) / np.float32(2**16 - 1)
        return torch.from_numpy(deep[None])
    try:
        pixels = np.asarray(decoding.opaque(image, depth=8))
    except errors.Unusable:
        need = "pictures of 8 or 16 bits (tensors of other numbers)"
        raise errors.bad_value(name, need, f"a picture of mode {image.mode}") from None
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(planes / np.float32(255))


def _stacked(name: str, tensors: list[Tensor]) -> Tensor:
    shapes = {tuple(t.shape) for t in tensors}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise errors.bad_value(name, "items of one shape", f"{first} and {second}")
    return torch.stack(tensors)

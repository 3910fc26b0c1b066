"""Labels that are names: classes 0, 1, ... in the order of their names."""

import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

from advnets.base import errors
from advnets.base.terminal import printable

Array = np.ndarray[Any, np.dtype[Any]]


def class_name(name: str) -> str:
    """The printable name of a class, with composed accents (Unicode NFC)."""
    return printable(unicodedata.normalize("NFC", name))


def in_order(classes: Iterable[str]) -> list[str]:
    """Names of classes in their order: by number where all are numbers, else by letters."""
    ordered = sorted(classes)
    return sorted(ordered, key=int) if all(name.isdecimal() for name in ordered) else ordered


def numbered(labels: Array) -> tuple[Array, tuple[str, ...]]:
    """Labels as whole numbers, and the names of the classes in their order.

    Args:
        labels: Strings, `(n,)` or `(n, 1)`: of numpy's types `U` and `S`, or Python's in an array
            of objects.

    Returns:
        Numbers of shape `(n,)` into the names.

    Raises:
        BadValue: For other objects, an empty name, or as many names as examples.

    Example:
        >>> numbers, names = numbered(np.array(["cat", "ant", "cat"]))
        >>> numbers.tolist(), names
        ([1, 0, 1], ('ant', 'cat'))
    """
    if labels.size != len(labels):
        raise errors.wrong_shape("labels", "(n,) or (n, 1), a name each", labels.shape)
    words = [_name(label, row) for row, label in enumerate(labels.reshape(-1).tolist())]
    names = in_order({*words})
    need = "classes that examples share"
    all_differ = len(names) == len(words) > 1
    errors.require(not all_differ, "labels", need, f"{len(names)} names of as many examples")
    number = {name: i for i, name in enumerate(names)}
    return np.array([number[word] for word in words], dtype=np.int64), tuple(names)


def of_words(labels: Array) -> bool:
    """Whether labels are names."""
    return labels.dtype.kind in "USO"


def _name(label: object, row: int) -> str:
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    if not isinstance(label, str):
        raise errors.bad_value("labels", "numbers or names", f"a {type(label).__name__}")
    name = class_name(label.strip())
    errors.require(bool(name), "labels", "a name for each example", f"an empty one in row {row}")
    return name

"""Few labels: which of the training examples are told their class.

A draw is stratified (as many of each class, to one) and a function of its seed alone, so that all
methods are given the same examples.
"""

import torch
from torch import Tensor

from advnets.base import errors, rng
from advnets.data.splits import Split


def draw(labels: Tensor, n: int, *, seed: int, name: str = "labels") -> Tensor:
    """The rows of `n` examples, in ascending order, as many of each class.

    What n leaves over is of classes that the seed chooses.

    Args:
        labels: The class of each example, whole numbers `(N,)`.
        n: How many are told.
        seed: Of the draw.
        name: What n is called, for errors.

    Raises:
        BadValue: For labels that are not whole numbers, less than one of each class, or more than
            a class has; names it.
    """
    _refuse_other(labels, name)
    classes = torch.unique(labels)
    K = len(classes)
    errors.require(n >= K, name, f"at least {K}, one of each class", n)
    errors.require(n <= len(labels), name, f"at most {len(labels)}, all examples", n)
    for k, wanted in zip(classes, _of_each(n, K, seed), strict=True):
        own = int((labels == k).sum())
        need = f"at most {own} of class {k.item()}, all that there are"
        errors.require(wanted <= own, name, need, wanted)
    return _rows(labels, n, classes, seed)


def draw_at_most(
    labels: Tensor, n: int, *, classes: Tensor, seed: int, name: str = "validation labels"
) -> Tensor:
    """The rows of `draw`, or of all examples of a class that has fewer.

    Args:
        labels: The class of each example, whole numbers `(N,)`.
        n: How many are told at most.
        classes: Those that are told, ascending.
        seed: Of the draw.
        name: What the labels are called, for errors.

    Raises:
        BadValue: For labels that are not whole numbers, or none of these classes.
    """
    _refuse_other(labels, name)
    rows = _rows(labels, n, classes, seed)
    errors.require(len(rows) > 0, name, "of at least one class that training has", "none")
    return rows


def _of_each(n: int, K: int, seed: int) -> list[int]:
    """How many of each class: as many, and one more of those that the seed chooses."""
    more = torch.randperm(K, generator=rng.generator(seed, "few labels, classes"))[: n % K]
    return [n // K + int((more == k).any()) for k in range(K)]


def _rows(labels: Tensor, n: int, classes: Tensor, seed: int) -> Tensor:
    rows = []
    for k, wanted in enumerate(_of_each(n, len(classes), seed)):
        own = (labels == classes[k]).nonzero()[:, 0]
        order = torch.randperm(len(own), generator=rng.generator(seed, "few labels", k))
        rows.append(own[order[:wanted]])
    return torch.cat(rows).sort().values


def _refuse_other(labels: Tensor, name: str) -> None:
    """Raise `BadValue` unless these are whole numbers `(N,)`, at least one."""
    need = "whole numbers, one an example"
    kind = not labels.is_floating_point() and not labels.is_complex()
    errors.require(kind, name, need, str(labels.dtype).removeprefix("torch."))
    if labels.ndim != 1 or not len(labels):
        raise errors.wrong_shape(name, "(N), with N at least 1", labels.shape)


def choose(data: Split, n: int, *, seed: int, name: str = "labels") -> Split:
    """The examples that are told, with their class. Raises `BadValue` for data without classes."""
    return data.take(draw(classes_of(data, name=name), n, seed=seed, name=name))


def classes_of(data: Split, *, name: str = "labels") -> Tensor:
    """The class of each example, `(n,)`. Raises `BadValue` for data without classes."""
    labels = data.context
    if labels is None or labels.is_floating_point() or labels.ndim != 1:
        raise errors.bad_value(name, "of data with classes, whole numbers, one an example", "none")
    return labels


def refuse_absent(labels: Tensor, classes: int, *, name: str = "labels") -> None:
    """Raise `BadValue` where labels are not of classes 0 to `classes` - 1, or one is absent."""
    _refuse_other(labels, name)
    low, high = int(labels.min()), int(labels.max())
    need = f"whole numbers from 0 to {classes - 1}"
    errors.require(0 <= low <= high < classes, name, need, f"{low} to {high}")
    missing = (torch.bincount(labels.long(), minlength=classes) == 0).nonzero()[:, 0].tolist()
    need = f"of all {classes} classes"
    errors.require(not missing, name, need, f"none of class {', '.join(map(str, missing))}")

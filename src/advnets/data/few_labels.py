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
        BadValue: For less than one of each class, or more than a class has; names it.
    """
    classes, number = torch.unique(labels, return_inverse=True)
    K = len(classes)
    errors.require(n >= K, name, f"at least {K}, one of each class", n)
    errors.require(n <= len(labels), name, f"at most {len(labels)}, all examples", n)
    more = torch.randperm(K, generator=rng.generator(seed, "few labels, classes"))[: n % K]
    rows = []
    for k in range(K):
        own = (number == k).nonzero()[:, 0]
        wanted = n // K + int((more == k).any())
        need = f"at most {len(own)} of class {classes[k].item()}, all that there are"
        errors.require(wanted <= len(own), name, need, wanted)
        order = torch.randperm(len(own), generator=rng.generator(seed, "few labels", k))
        rows.append(own[order[:wanted]])
    return torch.cat(rows).sort().values


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
    counts = torch.bincount(labels.clamp(min=0), minlength=classes)
    valid = len(counts) == classes and bool((labels >= 0).all())
    need = f"whole numbers from 0 to {classes - 1}"
    errors.require(valid, name, need, f"{labels.min().item()} to {labels.max().item()}")
    missing = (counts == 0).nonzero()[:, 0].tolist()
    need = f"of all {classes} classes"
    errors.require(not missing, name, need, f"none of class {', '.join(map(str, missing))}")

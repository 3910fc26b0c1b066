"""Mirrored and shifted pictures, as differentiable functions: the transforms of `augmentation`."""

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors

Transform = Literal["flip", "translate", "flip-data"]
LARGEST = 1 / 8
"""Largest translation, as a share of the side."""


def refuse_transforms(transforms: Iterable[str]) -> None:
    """Raise `BadValue` for an unknown transform, one named twice, or two kinds of flips."""
    named = list(transforms)
    for each in named:
        errors.one_of(get_args(Transform), augment=each)
    got = " ".join(named)
    errors.require(len({*named}) == len(named), "augment", "each transform once", got)
    both = {"flip", "flip-data"} <= {*named}
    errors.require(not both, "augment", "one of 'flip' and 'flip-data'", got)


def refuse_vectors(event_shape: tuple[int, ...]) -> None:
    """Raise `BadValue` for examples that are no pictures."""
    if len(event_shape) != 3:
        need = "(C, H, W), pictures, with augment"
        raise errors.wrong_shape("examples", need, event_shape)


def mirrored(x: Tensor, rows: Tensor) -> Tensor:
    """Pictures `(n, C, H, W)`, those with True in `rows`, `(n,)`, mirrored left to right."""
    return torch.where(rows.view(-1, 1, 1, 1), x.flip(3), x)


def translated(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Pictures `(n, C, H, W)` shifted by whole pixels, 0 where nothing was.

    Args:
        x: The pictures.
        down: Pixels that each is shifted down, `(n,)`; up where negative.
        right: Pixels that each is shifted right.

    Example:
        >>> x = torch.arange(4.0).view(1, 1, 2, 2)
        >>> translated(x, torch.tensor([1]), torch.tensor([-1])).view(2, 2).tolist()
        [[0.0, 0.0], [1.0, 0.0]]
    """
    return _shifted(_shifted(x, down, dim=2), right, dim=3)


def _shifted(x: Tensor, by: Tensor, *, dim: int) -> Tensor:
    """Shifted along one axis. Each pixel is read once, so that gradients have no order of sums."""
    side = x.shape[dim]
    places = torch.arange(side, device=x.device) - by.view(-1, 1)
    there = (places >= 0) & (places < side)
    view = [len(x), 1, 1, 1]
    view[dim] = side
    moved = x.gather(dim, places.clamp(0, side - 1).view(view).expand_as(x))
    return torch.where(there.view(view), moved, torch.zeros((), dtype=x.dtype, device=x.device))

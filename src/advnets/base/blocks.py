"""Statistics of all examples, computed block by block in constant memory."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from advnets.base.protocols import Examples

_BYTES = 2**24


class Statistics(NamedTuple):
    """The smallest and largest value, and the mean example, of shape `event_shape`."""

    low: float
    high: float
    mean: Tensor


def blocks(x: Examples) -> Iterator[Tensor]:
    """All examples in order, at most 16 MB at a time as float32 (and at least one example)."""
    rows = max(1, _BYTES // (4 * math.prod(x.shape[1:])))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


def statistics(x: Examples) -> Statistics:
    r"""Range and mean: :math:`\bar x = \sum_b (n_b / n) \bar x_b` over blocks b, in float64.

    The result has the same bits for examples in memory and in a file. For one block it equals
    `x.mean(dim=0)` bit for bit.

    Args:
        x: At least one example, finite, of shape `(n, *event_shape)`.
    """
    low, high = math.inf, -math.inf
    mean = torch.zeros(tuple(x.shape[1:]), dtype=torch.float64)
    for block in blocks(x):
        low, high = min(low, block.min().item()), max(high, block.max().item())
        mean += block.mean(dim=0).double() * (len(block) / len(x))
    return Statistics(low, high, mean.to(x.dtype))

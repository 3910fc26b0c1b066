r"""Sums over all states of a few binary units: log Z, log p(x) and p(h | x) without an estimate.

A model is given by a function that says :math:`\log \tilde p` of states, rows of 0 and 1. All sums
are of logarithms, in float64, over at most 16,384 states at a time.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from advnets.base import errors

LogWeight = Callable[[Tensor], Tensor]
r""":math:`\log \tilde p(s)` of states of shape `(k, n)`: of shape `(..., k)`, in nats."""
LogJoint = Callable[[Tensor, Tensor], Tensor]
r""":math:`\log \tilde p(x, h)` of rows `(k, d)` and `(k, n)`: of shape `(k,)`, in nats."""
ENUMERABLE = 25
"""The most units whose states are summed: 33 million states."""
_BLOCK = 14


def states(n: int) -> Iterator[Tensor]:
    """All 2^n states of n binary units, as rows of 0 and 1, at most 16,384 at a time.

    Raises:
        BadValue: For more than 25 units.

    Example:
        >>> next(states(2))
        tensor([[0, 0],
                [1, 0],
                [0, 1],
                [1, 1]])
    """
    errors.at_least(1, units=n)
    if n > ENUMERABLE:
        raise too_many("units", n)
    return _states(n)


def _states(n: int) -> Iterator[Tensor]:
    step = 2 ** min(n, _BLOCK)
    for first in range(0, 2**n, step):
        numbers = torch.arange(first, first + step)
        yield numbers[:, None] >> torch.arange(n) & 1


def too_many(name: str, n: int) -> errors.BadValue:
    """The refusal of a sum that would not end."""
    need = f"at most {ENUMERABLE} to be summed over all states (advnets.evaluation.ais estimates)"
    count = f"2^{n} = {2**n:,}" if n < 64 else f"2^{n}"
    return errors.bad_value(name, need, f"{n}, which have {count} states")


def log_sum(log_weight: LogWeight, n: int) -> Tensor:
    r""":math:`\log \sum_s \tilde p(s)` over all states of n units: log Z.

    Args:
        log_weight: Of a block of states, float64.
        n: Units.

    Returns:
        Of the shape that `log_weight` gives, less its last dimension.
    """
    total = torch.tensor(-math.inf, dtype=torch.float64)
    for block in states(n):
        total = torch.logaddexp(total, log_weight(block.double()).logsumexp(dim=-1))
    return total


def log_marginal(log_joint: LogJoint, x: Tensor, n: int) -> Tensor:
    r""":math:`\log \sum_h \tilde p(x, h)` of each row of x, `(m,)`; h has n binary units."""
    return log_sum(lambda h: _table(log_joint, x, h), n)


def posterior(log_joint: LogJoint, x: Tensor, n: int) -> Tensor:
    r""":math:`\log p(h | x)` of each row of x and every state of n units, `(m, 2^n)`.

    Column i is the i-th of `states(n)`.
    """
    table = torch.cat([_table(log_joint, x, h.double()) for h in states(n)], dim=1)
    return table.log_softmax(dim=1)


def distribution(log_weight: LogWeight, n: int) -> Tensor:
    """Log p of every state of n units, in the order of `states(n)`: `(2^n,)`."""
    return torch.cat([log_weight(s.double()) for s in states(n)]).log_softmax(dim=0)


def draw(log_p: Tensor, n: int, k: int, *, rng: torch.Generator) -> Tensor:
    """Exact samples: k states of n units, `(k, n)` in float64, from the table `distribution`."""
    u = torch.rand(k, generator=rng, dtype=torch.float64)
    rows = torch.searchsorted(log_p.exp().cumsum(dim=0), u).clamp_(max=len(log_p) - 1)
    return (rows[:, None] >> torch.arange(n) & 1).double()


def _table(log_joint: LogJoint, x: Tensor, h: Tensor) -> Tensor:
    """The joint of every row of x with every row of h, `(m, k)`."""
    k = len(h)
    parts = [
        log_joint(rows.repeat_interleave(k, dim=0), h.repeat(len(rows), 1)).view(-1, k)
        for rows in torch.split(x.double(), max(1, 2**_BLOCK // k))
    ]
    return torch.cat(parts)

r"""Adaptive k: D moves until its advantage over G lies in a band.

.. math:: A = \tfrac12 (V(D, G) + \log 4) \in (-\infty, \log 2]

For the best D this is the Jensen-Shannon divergence (eq. 6); below 0 D is worse than a coin. Under
the band D goes on to its next move, up to k of them; in the band it moves once; above it not at
all, and G catches up. A minibatch that D was offered counts, whether D moved or not.

Reference: Goodfellow et al. (2014), Section 6: D "must be synchronized well with G during
    training"; eq. (6).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from advnets.base import errors
from advnets.game.rule import Rule
from advnets.game.value import value


@dataclass(frozen=True)
class AdaptiveK(Rule):
    """The band as a rule of the game; the game's k is the most that D moves for one move of G."""

    low: float
    """The advantage from which on one move of D is enough, in nats."""
    high: float
    """The advantage above which D waits, in nats: at most log 2."""
    alone: ClassVar[bool] = True
    alternating: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need = f"below high, {self.high}, of at most log 2"
        errors.require(self.low < self.high <= math.log(2), "low", need, self.low)

    def moves(self, a: Tensor) -> bool:
        """Whether D is not above the band."""
        return advantage(a) <= self.high

    def again(self, a: Tensor) -> bool:
        """Whether D was below the band."""
        return advantage(a) < self.low


def advantage(a: Tensor) -> float:
    """A in nats, of logits on data and on samples, `(2m,)`."""
    return (value(*a.detach().chunk(2)).item() + math.log(4)) / 2

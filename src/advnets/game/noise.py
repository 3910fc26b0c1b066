"""What a step of the game is given beforehand: z, dropout masks, contexts.

All of it is drawn for the whole minibatch, of which each process takes its rows: so several
processes play the game of one, and a step is a function of tensors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from advnets.game.term import Term
from advnets.nn import dropout


class TermNoise(NamedTuple):
    """A term of this update, and what D's random layers need in each pass that it makes."""

    term: Term
    passes: list[list[Tensor]]


class Noise(NamedTuple):
    """What one pass through G and D is given."""

    z: Tensor
    """Of shape `(m, z_dim)`."""
    G: list[Tensor]
    """What each random layer of G needs."""
    D: list[Tensor]
    """What each random layer of D needs, for data and samples."""
    c: tuple[Tensor, ...] = ()
    """What both players are told of each example."""
    terms: tuple[TermNoise, ...] = ()
    """The terms that are due, and what they need."""


def masks(
    layers: Sequence[dropout.Stochastic],
    n: int,
    own: slice,
    *,
    parts: int,
    device: torch.device,
    rng: torch.Generator,
) -> list[Tensor]:
    """What random layers need for `parts` passes of n rows: the rows `own` of each pass."""

    def own_rows(layer: dropout.Stochastic) -> Tensor:
        drawn = layer.draw(parts * n, rng=rng)
        return drawn.view(parts, n, *drawn.shape[1:])[:, own].flatten(0, 1).to(device)

    return [own_rows(layer) for layer in layers]

"""The random inputs of a step, drawn beforehand: z, dropout masks, contexts.

All are drawn for the whole minibatch, and each process takes its rows. So several processes train
the same game as one, and a step is a function of tensors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from advnets.game.term import Term
from advnets.nn import dropout


class TermNoise(NamedTuple):
    """A term of this update, and the masks of D's random layers for each of its passes."""

    term: Term
    passes: list[list[Tensor]]
    drawn: Tensor | None = None


class Noise(NamedTuple):
    """The random inputs of one pass through G and D."""

    z: Tensor
    """Of shape `(m, z_dim)`."""
    G: list[Tensor]
    """Masks of each random layer of G."""
    D: list[Tensor]
    """Masks of each random layer of D, for data and samples."""
    c: tuple[Tensor, ...] = ()
    """Contexts of the examples, encoded."""
    terms: tuple[TermNoise, ...] = ()
    """The terms of this update, and their masks."""
    rules: tuple[tuple[Tensor, ...], ...] = ()
    """The random numbers of each rule of the game."""


def masks(
    layers: Sequence[dropout.Stochastic],
    n: int,
    own: slice,
    *,
    parts: int,
    device: torch.device,
    rng: torch.Generator,
) -> list[Tensor]:
    """Masks of random layers for `parts` passes of n rows: the rows `own` of each pass."""

    def own_rows(layer: dropout.Stochastic) -> Tensor:
        drawn = layer.draw(parts * n, rng=rng)
        return drawn.view(parts, n, *drawn.shape[1:])[:, own].flatten(0, 1).to(device)

    return [own_rows(layer) for layer in layers]


def drawn_by_terms(
    terms: Sequence[Term],
    layers: Sequence[dropout.Stochastic],
    m: int,
    own: slice,
    *,
    pack: int,
    device: torch.device,
    rng: torch.Generator,
) -> tuple[TermNoise, ...]:
    """The masks of each term, for every pass that it makes, and its own random numbers.

    Args:
        terms: The terms of this update.
        layers: D's random layers.
        m: Examples of the minibatch.
        own: Those of this process.
        pack: Examples that D judges at once.
        device: The device of the game.
        rng: Draws it.
    """
    packs = m // pack, slice(own.start // pack, own.stop // pack)

    def one() -> list[Tensor]:
        return masks(layers, *packs, parts=1, device=device, rng=rng)

    def of(term: Term) -> TermNoise:
        passes, draw = [one() for _ in range(term.passes)], getattr(term, "draw", None)
        return TermNoise(term, passes, None if draw is None else draw(m, rng=rng)[own].to(device))

    return tuple(map(of, terms))

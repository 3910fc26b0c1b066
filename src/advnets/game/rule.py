"""Rules of play: what changes how the players move, where a term would only add to what D descends.

A rule says which z are played, what D is shown, which D it is that G answers, and when D has moved
enough. Each method does nothing by default, so that a rule is as long as what it changes.

    class Halved(Rule):
        def latents(self, players, noise):
            return noise.z / 2
"""

# ruff: noqa: ARG002 (a method that does nothing needs nothing that it is given)

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.distributed import Ranks
from advnets.game.noise import Noise
from advnets.game.objectives import Loss
from advnets.game.passes import Passes, View
from advnets.game.term import Judged
from advnets.optim.train_state import TrainState
from advnets.sampling.priors import Prior


class Players(Protocol):
    """What a rule may know of the game that it is part of."""

    G_state: TrainState
    D_state: TrainState
    passes: Passes
    loss: Loss
    prior: Prior
    D_loss_weight: float
    minibatches: Tensor
    """Minibatches that D was offered, 0-d."""


class Rule:
    """One way to play differently."""

    alone: ClassVar[bool] = False
    """Whether it needs all rows of a minibatch, so that one process plays."""
    alternating: ClassVar[bool] = False
    """Whether it needs Algorithm 1's order, where G answers the new D."""
    answers: ClassVar[bool] = False
    """Whether `answered` is this rule's."""

    def draw(self, m: int, shape: tuple[int, ...], *, rng: torch.Generator) -> tuple[Tensor, ...]:
        """What it needs for a whole minibatch of m examples of this shape, a row each."""
        return ()

    def latents(self, players: Players, noise: Noise) -> Tensor:
        """The z that are played, for those that were drawn."""
        return noise.z

    def show(self, players: Players, view: View, drawn: tuple[Tensor, ...]) -> View:
        """What D is shown, with what `draw` gave of these rows."""
        return view

    def answered(self, players: Players, noise: Noise, view: View) -> Judged:
        """What the D that G answers says of the samples (of the data before them, where asked)."""
        raise NotImplementedError

    def moves(self, a: Tensor) -> bool:
        """Whether D moves at all, by its logits on data and samples before it does, `(2m,)`."""
        return True

    def again(self, a: Tensor) -> bool:
        """Whether D, whose logits these were, goes on to the next of its k moves."""
        return True


def drawn_by_rules(
    rules: Sequence[Rule],
    m: int,
    own: slice,
    shape: tuple[int, ...],
    *,
    device: torch.device,
    rng: torch.Generator,
) -> tuple[tuple[Tensor, ...], ...]:
    """What each rule draws for a minibatch of m examples: the rows `own`."""
    found = [rule.draw(m, shape, rng=rng) for rule in rules]
    return tuple(tuple(t[own].to(device) for t in drawn) for drawn in found)


def refuse_rules(rules: Sequence[Rule], order: str, precision: str, ranks: Ranks) -> None:
    """Raise `BadValue` for rules that cannot be played in this order, or in several processes."""
    for rule in rules:
        name = type(rule).__name__
        if rule.alternating:
            errors.require(order == "alternating", "order", f"'alternating' with {name}", order)
        if rule.alone:
            errors.require(ranks.world == 1, "processes", f"1 with {name}", ranks.world)
        if rule.answers:
            need = f"'float32' with {name}"
            errors.require(precision == "float32", "precision", need, precision)
    answering = [type(rule).__name__ for rule in rules if rule.answers]
    need = "with one that chooses the D that G answers at most"
    errors.require(len(answering) < 2, "rules", need, " and ".join(answering))

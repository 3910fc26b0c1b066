"""Passes through D, forward and backward: the quick part of a step.

D is passed through once for data and samples where it treats every example by itself, and one
backward pass then serves all players.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Batch
from advnets.game.noise import Noise
from advnets.game.objectives import shared_cotangent
from advnets.game.rehearsal import one_each
from advnets.game.term import Judged, Seen
from advnets.nn import dropout
from advnets.optim.train_state import Player, has_forward_pair

Gradient = Sequence[Tensor | None]


class Seat(NamedTuple):
    """A player that moves by what D's backward pass brings it: G, or an encoder."""

    player: Player
    made: Tensor
    """What the player made of its inputs, which D was shown."""
    part: int
    """0 where D was shown it among the data, 1 among the samples."""


class View(NamedTuple):
    """What D is shown of a minibatch."""

    data: tuple[Tensor, ...]
    """The examples, and what else D sees of them: `(x,)`, `(x, c)`."""
    samples: tuple[Tensor, ...]
    """As many samples, with the same beside them."""
    seats: tuple[Seat, ...]
    """Who made them."""


class Passes:
    """How D is asked, and how gradients come back from it.

    Args:
        player: D.
    """

    def __init__(self, player: Player) -> None:
        self.player = player
        self.samplewise = has_forward_pair(player.network)
        self.pack: int = getattr(player.network, "pack", 1)

    def discriminate(self, masks: Sequence[Tensor] | None, *parts: tuple[Tensor, ...]) -> Judged:
        """What D says of each part in turn; its logits are flat, in float32 at least.

        Args:
            masks: What D's random layers need for it; None out of training.
            parts: All that D sees of data and of samples, or of one of them.

        Raises:
            BadValue: Unless D gives one logit an example (or a pack of them).
        """
        if masks is not None:
            dropout.hand_out(self.player.random, masks)
        D: Any = self.player.plays
        if len(parts) == 2 and self.samplewise and not self.player.hooked:
            out = D.forward_pair(*parts)
        elif self.samplewise:  # only a call of D runs all of its hooks
            out = D(*map(torch.cat, zip(*parts, strict=True)))
        else:
            outs = [D(*part) for part in parts]
            out = outs[0] if len(outs) == 1 else torch.cat(outs)
        a = D.logit(out) if hasattr(D, "logit") else out
        n = sum(len(part[0]) for part in parts) // self.pack
        a = one_each(a, n)
        return Judged(a.to(torch.promote_types(a.dtype, torch.float32)), out)

    def in_one_pass(
        self, batch: Batch, noise: Noise, view: View, a: Tensor, for_D: Tensor, for_G: Tensor
    ) -> tuple[Gradient, list[tuple[Seat, Gradient]]]:
        """The gradients of D and of who sits behind it, by one backward pass through D."""
        u, ratios = list(for_D.chunk(2)), []
        for seat in view.seats:
            part = seat.part
            u[part], ratio = shared_cotangent(for_D.chunk(2)[part], for_G.chunk(2)[part])
            ratios.append(ratio.repeat_interleave(self.pack) if self.pack > 1 else ratio)
        made = [seat.made for seat in view.seats]
        found = self.gradient_of_D(batch, noise, view, a, torch.cat(u), beside=made)
        of_D, along = found[: -len(made)], found[-len(made) :]
        of_seats = [
            (seat, seat.player.gradient([seat.made], [rows_times(ratio, g)]))
            for seat, ratio, g in zip(view.seats, ratios, along, strict=True)
        ]
        return of_D, of_seats

    def gradients_of(
        self, seats: Sequence[Seat], a: Tensor, for_G: Tensor, *, keep_graph: bool = False
    ) -> list[tuple[Seat, Gradient]]:
        """The gradient of each player behind D, each by a backward pass of its own."""
        return [
            (seat, seat.player.gradient([a], [for_G], keep_graph=keep_graph or i < len(seats) - 1))
            for i, seat in enumerate(seats)
        ]

    def gradient_of_D(
        self,
        batch: Batch,
        noise: Noise,
        view: View,
        a: Tensor,
        for_D: Tensor,
        *,
        beside: Sequence[Tensor] = (),
    ) -> Gradient:
        """The gradient of D's loss and of the terms that are due, in its weights and `beside`."""
        of, along = [a], [for_D]
        for term, passes in noise.terms:
            seen = Seen(
                batch, view.data, tuple(t.detach() for t in view.samples), self._asks(passes)
            )
            penalty = term(seen)
            of.append(penalty)
            along.append(torch.full_like(penalty, term.every * batch.share))
        return self.player.gradient(of, along, beside=beside)

    def _asks(self, passes: Sequence[Sequence[Tensor]]) -> Callable[..., Judged]:
        """D as a term may ask it: with masks drawn beforehand, no more often than it said."""
        masks = iter(passes)

        def ask(*inputs: Tensor) -> Judged:
            drawn = next(masks, None)
            if drawn is None:
                raise errors.too_many_passes(len(passes))
            return self.discriminate(drawn, inputs)

        return ask


def rows_times(factors: Tensor, x: Tensor | None) -> Tensor | None:
    """Row i of `x` times factor i."""
    return None if x is None else x * factors.to(x.dtype).view(-1, *[1] * (x.ndim - 1))

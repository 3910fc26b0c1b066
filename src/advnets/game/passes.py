"""Forward and backward passes through D.

Where D treats examples independently, data and samples share one forward pass, and one backward
pass gives the gradients of all networks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Batch
from advnets.game.noise import Noise
from advnets.game.objectives import shared_cotangent
from advnets.game.rehearsal import one_each
from advnets.game.term import Judged, Seen
from advnets.nn import dropout
from advnets.optim.train_state import TrainState, has_forward_pair

Gradient = Sequence[Tensor | None]


class Seat(NamedTuple):
    """A network that is trained through D's backward pass: G, or an encoder."""

    train_state: TrainState
    made: Tensor
    """The output of the network that was an input of D."""
    part: int
    """0 where it was among the data, 1 among the samples."""


class View(NamedTuple):
    """The inputs of D for a minibatch."""

    data: tuple[Tensor, ...]
    """The examples and further inputs: `(x,)`, `(x, c)`."""
    samples: tuple[Tensor, ...]
    """As many samples, with the same further inputs."""
    seats: tuple[Seat, ...]
    """The networks that made them."""


class Passes:
    """Forward and backward passes through D.

    Args:
        player: D.
    """

    def __init__(self, train_state: TrainState) -> None:
        self.train_state = train_state
        self.samplewise = has_forward_pair(train_state.network)
        self.pack: int = getattr(train_state.network, "pack", 1)

    def discriminate(
        self,
        masks: Sequence[Tensor] | None,
        *parts: tuple[Tensor, ...],
        weights: Mapping[str, Tensor] | None = None,
    ) -> Judged:
        """The outputs of D for each part; logits are flat, in float32 at least.

        Args:
            masks: Masks of D's random layers; None keeps those that are set.
            parts: The inputs of D for data and for samples, or for one of them.
            weights: Weights in place of D's own, by name.

        Raises:
            BadValue: Unless D returns one logit for each example (or pack).
        """
        if masks is not None:
            dropout.set_masks(self.train_state.random, masks)
        D: Any = self.train_state.compute_module
        call = D if weights is None else _with_weights(D, weights)
        if len(parts) == 2 and self.samplewise and weights is None and not self.train_state.hooked:
            out = D.forward_pair(*parts)
        elif self.samplewise:  # only a call of D runs all of its hooks
            out = call(*map(torch.cat, zip(*parts, strict=True)))
        else:
            outs = [call(*part) for part in parts]
            out = outs[0] if len(outs) == 1 else torch.cat(outs)
        a = D.logit(out) if hasattr(D, "logit") else out
        n = sum(len(part[0]) for part in parts) // self.pack
        a = one_each(a, n)
        return Judged(a.to(torch.promote_types(a.dtype, torch.float32)), out)

    def in_one_pass(
        self, batch: Batch, noise: Noise, view: View, a: Tensor, for_D: Tensor, for_G: Tensor
    ) -> tuple[Gradient, list[tuple[Seat, Gradient]]]:
        """The gradients of D and of the networks behind it, by one backward pass through D."""
        u, ratios = list(for_D.chunk(2)), []
        for seat in view.seats:
            part = seat.part
            u[part], ratio = shared_cotangent(for_D.chunk(2)[part], for_G.chunk(2)[part])
            ratios.append(ratio.repeat_interleave(self.pack) if self.pack > 1 else ratio)
        made = [seat.made for seat in view.seats]
        found = self.gradient_of_D(batch, noise, view, a, torch.cat(u), beside=made)
        of_D, along = found[: -len(made)], found[-len(made) :]
        of_seats = [
            (seat, seat.train_state.gradient([seat.made], [rows_times(ratio, g)]))
            for seat, ratio, g in zip(view.seats, ratios, along, strict=True)
        ]
        return of_D, of_seats

    def gradients_of(
        self, seats: Sequence[Seat], a: Tensor, for_G: Tensor, *, keep_graph: bool = False
    ) -> list[tuple[Seat, Gradient]]:
        """The gradient of each network behind D, by one backward pass each.

        Args:
            seats: The networks that are updated.
            a: D's logits, or all that D returned.
            for_G: The gradient of their loss in these.
            keep_graph: Whether the graph is used again.
        """
        return [
            (
                seat,
                seat.train_state.gradient(
                    [a], [for_G], keep_graph=keep_graph or i < len(seats) - 1
                ),
            )
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
        """The gradient of D's loss and of its terms, in D's weights and in `beside`."""
        of, along = [a], [for_D]
        samples = tuple(t.detach() for t in view.samples)
        for term, passes, drawn in noise.terms:
            seen = Seen(batch, view.data, samples, self._asks(passes), drawn)
            penalty = term(seen)
            of.append(penalty)
            along.append(torch.full_like(penalty, term.every * batch.share))
        return self.train_state.gradient(of, along, beside=beside)

    def _asks(self, passes: Sequence[Sequence[Tensor]]) -> Callable[..., Judged]:
        """D as a term may call it: with masks drawn beforehand, at most `passes` times."""
        masks = iter(passes)

        def ask(*inputs: Tensor) -> Judged:
            drawn = next(masks, None)
            if drawn is None:
                raise errors.bad_value(
                    "passes", "the number of times the term asks D", f"{len(passes)}, and one more"
                )
            return self.discriminate(drawn, inputs)

        return ask


def _with_weights(D: nn.Module, weights: Mapping[str, Tensor]) -> Callable[..., Any]:
    """D as a function of its inputs, with these weights in place of its own."""
    return lambda *inputs: torch.func.functional_call(D, dict(weights), inputs)


def rows_times(factors: Tensor, x: Tensor | None) -> Tensor | None:
    """Row i of `x` times factor i."""
    return None if x is None else x * factors.to(x.dtype).view(-1, *[1] * (x.ndim - 1))

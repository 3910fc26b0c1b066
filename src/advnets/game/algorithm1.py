r"""Algorithm 1: one iteration of the game between a generator G and a discriminator D.

Its parts are arguments: a loss of D's logits (`objectives`), additional terms of D's loss (`term`),
and the inputs of D (`Algorithm1.view`). `Game` supplies networks, optimizers and noise.

Reference: Goodfellow et al. (2014), Section 3 and Algorithm 1; goodfeli/adversarial,
    `AdversaryCost2`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from advnets.base.protocols import Batch, Info
from advnets.game.config import Order
from advnets.game.noise import Noise
from advnets.game.objectives import (
    Loss,
    cotangent_by_out,
    cotangent_of_D,
    cotangent_of_G,
    cotangents,
)
from advnets.game.passes import Gradient, Passes, Seat, View
from advnets.game.rule import Rule
from advnets.game.term import Judged
from advnets.game.value import value
from advnets.nn import dropout
from advnets.optim.train_state import TrainState
from advnets.sampling.priors import Prior


class Algorithm1:
    """Minibatch stochastic gradient training of generative adversarial nets."""

    G_state: TrainState
    D_state: TrainState
    passes: Passes
    """Forward and backward passes through D."""
    loss: Loss
    rules: Sequence[Rule]
    """What changes the updates (`advnets.game.rule.Rule`)."""
    prior: Prior
    order: Order
    D_loss_weight: float
    minibatches: Tensor
    """Number of minibatches that D has seen; the schedules depend on it."""
    _device: torch.device
    _playing: torch.dtype

    def play(self, batches: Sequence[Batch], noise: Sequence[Noise]) -> Info:
        """Algorithm 1 with given random numbers: a function of tensors that can be compiled."""
        simultaneous = self.order == "simultaneous"

        # for k steps do (k - 1, where the last is made together with G's)
        for_D = batches[: -1 if simultaneous else None]
        for i, (batch, drawn) in enumerate(zip(for_D, noise, strict=False)):
            # - Sample minibatches of m noise samples from p_g(z) and of m examples from p_data(x).
            # - Update the discriminator by ascending its stochastic gradient.
            a, _ = self._update_D(batch, drawn)
            if not all(rule.again(a) for rule in self.rules):
                self.minibatches += len(for_D) - 1 - i
                break

        # Sample minibatch of m noise samples from noise prior p_g(z).
        # Update the generator by descending its stochastic gradient.
        batch, drawn = batches[-1], noise[-1]
        if simultaneous:
            a, J = self._update_both(batch, drawn)
        else:
            _, J = self._update_G(batch, drawn, self.minibatches - 1)

        return self._metrics(a, J, batch.share)

    def view(self, batch: Batch, noise: Noise) -> View:
        """The inputs of D for a minibatch; override it for another game (pairs, masks, ...)."""
        dropout.set_masks(self.G_state.random, noise.G)
        x_g: Tensor = self.G_state.compute_module(noise.z.to(self._playing), *noise.c)
        x = batch.x.to(self._device, self._playing)
        return View((x, *noise.c), (x_g, *noise.c), (Seat(self.G_state, x_g, 1),))

    def _shown(self, batch: Batch, noise: Noise) -> View:
        """The view of a minibatch, changed by the rules."""
        for rule in self.rules:
            noise = noise._replace(z=rule.latents(self, noise))
        view = self.view(batch, noise)
        for rule, drawn in zip(self.rules, noise.rules, strict=True):
            view = rule.show(self, view, drawn)
        return view

    def _update_D(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """Update D. Returns its logits before the update, and the loss of G."""
        with torch.no_grad():
            view = self._shown(batch, noise)
        a = self.passes.discriminate(noise.D, view.data, view.samples).a
        for_D, J = cotangent_of_D(self.loss, a)
        if not all(rule.moves(a) for rule in self.rules):
            self.minibatches += 1
            return a.detach(), J
        self._step_D(
            self.passes.gradient_of_D(batch, noise, view, a, for_D * self._share_of_D(batch))
        )
        return a, J

    def _update_G(self, batch: Batch, noise: Noise, minibatch: Tensor) -> tuple[Tensor, Tensor]:
        """Update G with D fixed. Returns D's logits on the samples, and J."""
        view, reads_data = self._shown(batch, noise), self.loss.reads_data
        a, out = self._answered(noise, view)
        if hasattr(self.loss, "of_out"):
            for_G, J = cotangent_by_out(self.loss, out)
        else:
            (for_G, J), out = cotangent_of_G(self.loss, a), a
        for seat, gradient in self.passes.gradients_of(view.seats, out, for_G * batch.share):
            seat.train_state.update(gradient, minibatch)
        return a.chunk(2)[1] if reads_data else a, J

    def _answered(self, noise: Noise, view: View) -> Judged:
        """D's output on the samples, and on the data where G's loss reads it."""
        for rule in self.rules:
            if rule.answers:
                return rule.answered(self, noise, view)
        with self.D_state.frozen():
            if not self.loss.reads_data:
                return self.passes.discriminate(noise.D, view.samples)
            if any(seat.part == 0 for seat in view.seats):
                return self.passes.discriminate(noise.D, view.data, view.samples)
            with torch.no_grad():  # no network that is updated made the data
                data = self.passes.discriminate(noise.D, view.data)
            samples = self.passes.discriminate(None, view.samples)  # with the masks that are left
        return Judged(*(torch.cat(both) for both in zip(data, samples, strict=True)))

    def _parts_of_G(self) -> int:
        """How many parts D gets in an update of G: samples, or data and samples."""
        return 1 + (self.loss.reads_data or any(rule.answers for rule in self.rules))

    def _update_both(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """Update all networks by their gradients at the old weights. Returns D's logits, and J."""
        view = self._shown(batch, noise)
        a = self.passes.discriminate(noise.D, view.data, view.samples).a
        for_D, for_G, J = cotangents(self.loss, a)
        for_D, for_G = for_D * self._share_of_D(batch), for_G * batch.share
        if self.passes.samplewise:
            of_D, of_seats = self.passes.in_one_pass(batch, noise, view, a, for_D, for_G)
        else:
            of_seats = self.passes.gradients_of(view.seats, a, for_G, keep_graph=True)
            of_D = self.passes.gradient_of_D(batch, noise, view, a, for_D)
        for seat, gradient in of_seats:
            seat.train_state.update(gradient, self.minibatches)
        self._step_D(of_D)
        return a, J

    def _share_of_D(self, batch: Batch) -> float:
        return self.D_loss_weight * batch.share

    def _step_D(self, gradient: Gradient) -> None:
        self.D_state.update(gradient, self.minibatches)
        self.minibatches += 1

    def players(self) -> dict[str, TrainState]:
        """All networks that are updated, by their prefix in the state."""
        return {"G": self.G_state, "D": self.D_state}

    @torch.no_grad()
    def _metrics(self, a: Tensor, J: Tensor, share: float) -> Info:
        """The metrics of a step; also copies running statistics back from bfloat16 copies."""
        for train_state in self.players().values():
            train_state.sync_buffers()
        D_x, D_Gz = a.chunk(2)
        info = {"V": value(D_x, D_Gz), "J": J}
        info |= {"D_x": D_x.sigmoid().mean(), "D_Gz": D_Gz.sigmoid().mean()}
        return {name: number * share for name, number in info.items()} | {"a": a.detach()}

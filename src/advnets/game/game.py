"""A GAN as an object: networks, optimizers, noise, samples and state.

`Algorithm1.play` is the training step. This module supplies its inputs, draws samples and saves the
state.

Reference: Goodfellow et al. (2014), Section 3.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.distributed import ALONE, Ranks
from advnets.base.protocols import Batch, Info, Problem
from advnets.base.state import below
from advnets.game.algorithm1 import Algorithm1
from advnets.game.building import arguments, networks
from advnets.game.config import GameConfig, Order
from advnets.game.noise import Noise, drawn_by_terms, masks
from advnets.game.objectives import (
    LOSSES,
    Loss,
    Objective,
)
from advnets.game.pac import refuse_split_packs
from advnets.game.passes import Passes
from advnets.game.rehearsal import (
    normalising,
    refuse_foreign_optimizers,
    refuse_other_kinds,
    refuse_other_pictures,
    refuse_to_compile,
    rehearse,
)
from advnets.game.rule import Rule, drawn_by_rules, refuse_rules
from advnets.game.term import Term
from advnets.nn import dropout
from advnets.optim.compile import compile_step
from advnets.optim.ema import EMA
from advnets.optim.schedules import Schedule
from advnets.optim.train_state import TrainState, load_weights, refuse_dependence
from advnets.sampling.priors import Prior
from advnets.sampling.samplers import GeneratorSampler, draw
from advnets.storage.environment import Precision, resolved


class Game(Algorithm1):
    r"""The two-player minimax game, trained one step of Algorithm 1 at a time.

    .. math:: \min_G \max_D V(D, G) = E_x[\log D(x)] + E_z[\log(1 - D(G(z)))]

    A D with a method `forward_pair((x,), (x_g,))`, which returns the logits of m examples and of m
    samples at once, `(2m, 1)`, promises that it treats examples independently. The game then uses
    one forward pass for both, and in the simultaneous order one backward pass for both networks. A
    D with an attribute `pack` returns one logit for each `pack` examples. A D with a method
    `logit(out)` returns more than a logit, and `logit` computes the logit from it.

    With a `context` the game is conditional: G(z, c), D(x, c) and D.forward_pair((x, c), (x_g, c))
    receive the contexts of the minibatch, `(m, context.size)`; sample i has the context of example
    i.

    Defaults that differ from `GameConfig`'s: `order` 'alternating', `D_loss_weight` 1 and
    `precision` 'float32' follow the paper's text, for a user's own networks; those of `GameConfig`
    are the authors' published MNIST run.

    Reference: Goodfellow et al. (2014), eq. (1) and Algorithm 1.

    Args:
        G: Maps z of shape `(m, prior.dim)` to samples of the data's shape.
        D: Maps examples to one logit each, of shape `(m,)` or `(m, 1)`, without a sigmoid.
        prior: The distribution of z.
        G_optimizer: Any torch optimizer of G's parameters.
        D_optimizer: Any torch optimizer of D's parameters.
        objective: The loss of both networks, by name or as an `advnets.game.objectives.Loss`.
        order: 'alternating' is the paper's text: after k updates of D, G is updated with a new z
            against the new D. 'simultaneous' is the authors' code: both gradients are computed at
            the old weights, with the same z and the same dropout masks (for k > 1, k - 1 updates of
            D alone come first).
        k: Updates of D for each update of G.
        D_loss_weight: Factor of D's loss.
        terms: Additional terms of D's loss (`advnets.game.term.Term`).
        rules: Changes of the updates themselves (`advnets.game.rule.Rule`).
        precision: Precision of the forward and backward passes, as in `GameConfig`.
        compile: Whether `play` is compiled, from the second update on (the first creates the
            optimizers' state).
        ema_decay: Decay of the exponential moving average of G's weights, in [0, 1).
        ema_every: Updates of G between two updates of the average.
        schedules: Schedules of G's and D's optimizers.
        context: The contexts of the training set, for a conditional game.
        ranks: The processes that train together.

    Raises:
        BadValue: For an unknown word, k below 1, a D that does not return one logit for each
            example or that ends in a sigmoid, networks that do not accept each other's tensors or
            cannot be copied, networks that several processes cannot train, or a step that cannot be
            compiled.
    """

    def __init__(
        self,
        G: nn.Module,
        D: nn.Module,
        *,
        prior: Prior,
        G_optimizer: torch.optim.Optimizer,
        D_optimizer: torch.optim.Optimizer,
        objective: Objective | Loss = "non-saturating",
        order: Order = "alternating",
        k: int = 1,
        D_loss_weight: float = 1.0,
        terms: Sequence[Term] = (),
        rules: Sequence[Rule] = (),
        precision: Precision = "float32",
        compile: bool = False,
        ema_decay: float = 0.99,
        ema_every: int = 10,
        schedules: tuple[Schedule | None, Schedule | None] = (None, None),
        context: Context | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        refuse_other_kinds(G, D, prior, objective, terms=terms, rules=rules)
        errors.whole(1, k=k)
        if isinstance(objective, str):
            errors.one_of(LOSSES, objective=objective)
        errors.one_of(get_args(Order), order=order)
        errors.one_of(get_args(Precision), precision=precision)
        refuse_foreign_optimizers(G=(G, G_optimizer), D=(D, D_optimizer))
        first = next(G.parameters())
        self._device, self._playing = first.device, first.dtype
        self.context = None if context is None else context.to(first.device)
        self.G, self.D, self.prior = G, D, prior
        self.event_shape = self._rehearse(G, D)
        precision = resolved(precision, self.event_shape, first.device)
        self._playing = torch.bfloat16 if precision == "bfloat16" else first.dtype
        self.objective = objective
        self.loss: Loss = LOSSES[objective] if isinstance(objective, str) else objective
        self.order, self.terms, self.rules = order, tuple(terms), tuple(rules)
        refuse_rules(self.rules, order, precision, ranks)
        self.batches_per_step, self.D_loss_weight, self.ranks = k, D_loss_weight, ranks
        together: dict[str, Any] = {"precision": precision, "ranks": ranks}
        self.ema = EMA(G, decay=ema_decay, every=ema_every)
        self.G_state = TrainState(G, G_optimizer, schedules[0], **together)
        self.D_state = TrainState(D, D_optimizer, schedules[1], **together)
        self.train_mode()
        self._rehearse(self.G_state.compute_module, self.D_state.compute_module)
        self.passes = Passes(self.D_state)
        if ranks.world > 1:
            refuse_dependence(G, D)
        if compile:
            refuse_to_compile((*self.terms, *self.rules), (G_optimizer, D_optimizer), ranks)
        self._compile = compile
        self._whole = compile_step(self.play) if compile else self.play
        self.fitted: object = None  # where `fit` left it
        self._logits: tuple[Tensor, float] | None = None
        self._share = 1.0
        self.updates, self.D_updates = 0, 0
        self.minibatches = torch.zeros((), dtype=torch.int64, device=self._device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in self.__dict__.items() if name != "_whole"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._whole = compile_step(self.play) if self._compile else self.play

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> Self:
        """The game of a configuration, with initial weights drawn from the seed."""
        return cls(**arguments(config, problem, cls.networks, seed=seed))

    @classmethod
    def networks(
        cls, config: GameConfig, problem: Problem, context_size: int, *, seed: int
    ) -> tuple[nn.Module, nn.Module]:
        """G and D of a configuration; override it for other networks."""
        return networks(config, problem, context_size, seed=seed)

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One iteration of Algorithm 1, with k = `len(batches)`.

        Returns:
            V (nats, of the last update of D), J (what G descends), D_x and D_Gz (mean D(x) and
            D(G(z)), dropout on).
        """
        self._check(batches)
        self._share = batches[-1].share
        noise = [
            self._noise(batch, 2, rng, terms=self._due(self.D_updates + i))
            for i, batch in enumerate(batches)
        ]
        if self.order == "alternating":
            noise.append(self._noise(batches[-1], self._parts_of_G(), rng))
        eager = not self.updates or any(s.hooked for s in self.players().values())
        with torch.enable_grad(), normalising(len(batches[-1].x)), self._masks_cleared():
            info = self._seen((self.play if eager else self._whole)(batches, noise))
        self.D_updates += len(batches)
        self.updates += 1
        self.ema.update(self.G, self.updates)
        return info

    def step_D(self, batch: Batch, *, rng: torch.Generator) -> Info:
        """One update of D with G fixed. Many of them bring D close to D*_G.

        Returns:
            What `step` returns; J is the loss of G.
        """
        self._check([batch])
        self._share = batch.share
        noise = self._noise(batch, 2, rng, terms=self._due(self.D_updates))
        with torch.enable_grad(), self._masks_cleared():
            a, J = self._update_D(batch, noise)
        self.D_updates += 1
        return self._seen(self._metrics(a, J, batch.share))

    def step_G(self, m: int, *, rng: torch.Generator) -> Info:
        """One update of G on m noise vectors, with D fixed.

        "G must not be trained too much without updating D" (Section 6): this method shows what
        happens. It changes neither `updates` nor the number of minibatches nor the moving average.

        Returns:
            J and D_Gz, as `step` returns them.

        Raises:
            BadValue: Where G's loss depends on D's logits on data.
        """
        errors.at_least(1, m=m)
        if self._parts_of_G() == 2:
            raise errors.bad_value("objective", "one that reads no data, for step_G", self.loss)
        c = None if self.context is None else self.context.draw(m, rng=rng)[self.ranks.rows(m)]
        noise = self._noise(Batch(torch.empty(m), c), 1, rng)
        batch = Batch(torch.empty(len(noise.z), 0), c, whole=m)
        self._check([])
        with torch.enable_grad(), self._masks_cleared():
            a, J = self._update_G(batch, noise, (self.minibatches - 1).clamp_(min=0))
        info = self._metrics(a.repeat(2), J, batch.share)
        return {name: info[name] for name in ("J", "D_Gz")}

    def diagnostics(self) -> Info:
        """The norms of the last gradients: of J in G's weights, and of D's loss in D's weights.

        Also `inside`, the share of D's logits in [0, 1]: 1 where D ends in a sigmoid.
        """
        seen = {"G_gradient": self.G_state.norm(), "D_gradient": self.D_state.norm()}
        if self._logits is not None:
            a, share = self._logits
            inside = ((a >= 0) & (a <= 1)).float().mean(dim=0, keepdim=True) * share
            seen["inside"] = self.ranks.add_up(inside)[0]
        return seen

    def _seen(self, info: Info) -> Info:
        """The metrics of every step; the logits are kept for `diagnostics`."""
        shown = dict(info)
        a = shown.pop("a", None)
        if a is not None:
            self._logits = a, self._share
        return shown

    def _check(self, batches: Sequence[Batch]) -> None:
        """Before a step: refuse data of another shape than the samples, and detect hooks."""
        for batch in batches:
            if batch.x.shape[1:].numel() != torch.Size(self.event_shape).numel():
                need = f"(m, {', '.join(map(str, self.event_shape))}), as G(z) is"
                raise errors.wrong_shape("x", need, batch.x.shape)
            if not self.updates:
                n = getattr(self.D, "pack", 1) * 2
                told = self.told_first(min(n, len(batch.x)))[1]
                refuse_other_pictures(self.D, batch.x[:n], self.event_shape, told)
        for train_state in self.players().values():
            train_state.share_hooks()

    # What a step needs

    @contextlib.contextmanager
    def _masks_cleared(self) -> Iterator[None]:
        """Inside, a pass without masks raises; afterwards layers draw their own."""
        try:
            yield
        finally:
            for train_state in self.players().values():
                dropout.clear_masks(train_state.random)

    def _due(self, D_update: int) -> list[Term]:
        """The terms of this update of D, counted from 0."""
        return [term for term in self.terms if D_update % term.every == 0]

    def _noise(
        self, batch: Batch, parts: int, rng: torch.Generator, *, terms: Sequence[Term] = ()
    ) -> Noise:
        """The noise of a step: this process's rows of what is drawn for the whole minibatch."""
        m, pack = batch.whole or len(batch.x), self.passes.pack
        self.refuse_sizes({m})
        own = self.ranks.rows(m)
        packs = m // pack, slice(own.start // pack, own.stop // pack)
        draws: dict[str, Any] = {"device": self._device, "rng": rng}

        z = self.prior.sample(m, rng=rng)[own].to(self._device)
        of_G = masks(self.G_state.random, m, own, parts=1, **draws)
        of_D = masks(self.D_state.random, *packs, parts=parts, **draws)
        of_terms = drawn_by_terms(terms, self.D_state.random, m, own, pack=pack, **draws)
        of_rules = drawn_by_rules(self.rules, m, own, self.event_shape, **draws)
        return Noise(z, of_G, of_D, self.told(batch, rng=rng), of_terms, of_rules)

    def refuse_sizes(self, sizes: Iterable[int]) -> None:
        """Raise `BadValue` for minibatches, or shares of one, that `pack` does not divide."""
        refuse_split_packs(sizes, pack=self.passes.pack, ranks=self.ranks)

    def told(self, batch: Batch, *, rng: torch.Generator) -> tuple[Tensor, ...]:  # noqa: ARG002
        """What is given of each example beside x and z (`Noise.c`): by default its context.

        Override it for a game that tells something else (a mask and what it shows). What is random
        is drawn for the whole minibatch, of which these are the rows of this process.
        """
        return self._encoded(batch.context)

    def told_first(self, n: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """What G and D are given beside z and x when they first meet, before there are data."""
        c = () if self.context is None else self._encoded(self.context.rows[[0] * n])
        return c, c

    def _encoded(self, context: Tensor | None) -> tuple[Tensor, ...]:
        """The encoded contexts of G and D; nothing in a game without contexts."""
        if self.context is None:
            return ()
        if context is None:
            raise errors.no_context()
        return (self.context.encode(context.to(self._device)).to(self._playing),)

    def _rehearse(self, G: nn.Module, D: nn.Module) -> tuple[int, ...]:
        """Pass G's samples through D once. Returns the shape of a sample."""
        n = getattr(D, "pack", 1) * 2
        z = torch.zeros(n, self.prior.dim, device=self._device, dtype=self._playing)
        return rehearse(G, D, z, *self.told_first(n))

    def train_mode(self) -> None:
        """Put all networks in training mode, except for frozen parts."""
        for train_state in self.players().values():
            train_state.train_mode()

    def samplers(self) -> dict[str, GeneratorSampler]:
        """`raw`: G with its current weights. `averaged`: G with the moving average of them."""
        networks = {"raw": self.G, "averaged": self.ema.network}
        return {n: GeneratorSampler(G, self.prior, self.context) for n, G in networks.items()}

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        start: int = 0,
        averaged: bool = False,
        context: Tensor | None = None,
    ) -> Tensor:
        """Samples number `start` to `start + n - 1` of this seed, of shape `(n, *event_shape)`.

        Args:
            n: How many.
            seed: The seed of the samples; sample i depends on (seed, i) alone.
            start: Number of the first.
            averaged: Whether to use the moving average of G's weights.
            context: For a conditional game: one context for all samples, or one each.
        """
        sampler = self.samplers()["averaged" if averaged else "raw"]
        return draw(sampler, n, seed=seed, start=start, context=context)

    def state(self) -> dict[str, Tensor]:
        """All networks with their optimizers, the average, and the minibatches that D has seen."""
        parts = {name: player.state() for name, player in self.players().items()}
        parts["average"] = dict(self.ema.network.state_dict())
        parts["context"] = {} if self.context is None else self.context.state()
        flat = {f"{part}.{name}": t for part, state in parts.items() for name, t in state.items()}
        clock = {"minibatches": self.minibatches.clone(), "updates": torch.tensor(self.updates)}
        return flat | clock

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` for the state of other networks."""
        if "minibatches" not in state:
            raise errors.bad_value("state", "a game's (with 'minibatches')", "another model's")
        for name, player in self.players().items():
            player.load_state(below(f"{name}.", state))
        load_weights(self.ema.network, below("average.", state))
        if self.context is not None:
            self.context.load_state(below("context.", state))
        self.minibatches.copy_(state["minibatches"])
        self.D_updates = int(state["minibatches"])
        self.fitted = None
        counted = int(state["minibatches"]) // self.batches_per_step  # before it was saved itself
        self.updates = int(state.get("updates", counted))

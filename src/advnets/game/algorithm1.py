r"""Algorithm 1: the game between a generator G and a discriminator D.

`Game.play` is the algorithm. What it is made of is data: a loss of D's logits (`objectives`), terms
that D descends beside it (`term`), what D sees and who else moves (`Game.look`).

Reference: Goodfellow et al. (2014), Section 3 and Algorithm 1; goodfeli/adversarial,
    `AdversaryCost2`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Batch, Info, Problem
from advnets.base.rng import generator
from advnets.game.config import GameConfig, Order
from advnets.game.noise import Noise, TermNoise, masks
from advnets.game.objectives import (
    LOSSES,
    Loss,
    Objective,
    cotangent_of_D,
    cotangent_of_G,
    cotangents,
)
from advnets.game.pac import Packed, packed_shape
from advnets.game.passes import Gradient, Passes, Seat, View
from advnets.game.r1 import R1
from advnets.game.rehearsal import rehearse
from advnets.game.term import Term
from advnets.game.value import value
from advnets.nn import dropout
from advnets.optim import compile as capture
from advnets.optim.momentum import Average, Momentum, Schedule
from advnets.optim.train_state import Player, load_weights, refuse_dependence
from advnets.sampling.priors import PRIORS, Prior
from advnets.sampling.samplers import GeneratorSampler
from advnets.storage.checkpoints import below
from advnets.storage.environment import Precision, resolved


class Game:
    r"""The two-player minimax game, played one step of Algorithm 1 at a time.

    .. math:: \min_G \max_D V(D, G) = E_x[\log D(x)] + E_z[\log(1 - D(G(z)))]

    Where D has a method `forward_pair((x,), (x_g,))`, which gives the logits of m examples and of m
    samples at once, `(2m, 1)`, it says by that that it treats every example by itself. The game
    then passes through D once for both, and in the simultaneous order one backward pass serves both
    players. A D with an attribute `pack` gives one logit for each `pack` examples; one with a
    method `logit(out)` returns more than a logit, of which its one logit is a function.

    With a `context` the game is conditional: G(z, c), D(x, c) and D.forward_pair((x, c), (x_g, c))
    are given the contexts of the minibatch too, `(m, context.size)`; a sample has that of the
    example beside it.

    Reference: Goodfellow et al. (2014), eq. (1) and Algorithm 1.

    Args:
        G: Maps z of shape `(m, prior.dim)` to samples of the data's shape.
        D: Maps examples to one logit each, of shape `(m,)` or `(m, 1)`: no sigmoid at its end.
        prior: Where z comes from.
        G_optimizer: Any torch optimiser over G's parameters.
        D_optimizer: Any torch optimiser over D's parameters.
        objective: What both players descend, by name or as a loss of one's own
            (`advnets.game.objectives.Loss`).
        order: 'alternating' is the paper's text: after k updates of D, G moves with a fresh z
            against the new D. 'simultaneous' is its authors' code: both gradients are taken at the
            old weights, with the same z and the same dropout masks (for k > 1, k - 1 updates of D
            alone come first).
        k: Updates of D for each update of G.
        D_scale: D descends its loss times this; D ascends this times V.
        terms: What D descends beside its loss (`advnets.game.term.Term`).
        precision: What the networks are played in; 'auto' as in `GameConfig`.
        compiled: Whether `play` is compiled, from the second update on (the first makes what the
            optimisers remember).
        average_rate: Share of the newest weights in the moving average of G's.
        average_every: Updates between two looks at them.
        schedules: Schedules of G's and D's optimisers.
        context: The contexts of the training set, for a conditional game.
        ranks: The processes that play this game together.

    Raises:
        BadValue: For an unknown word, k below 1, a D that does not give one logit an example or
            squashes it, networks that do not take each other's tensors or cannot be copied,
            networks that cannot be played by several processes, or a step that cannot be compiled
            here.
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
        D_scale: float = 1.0,
        terms: Sequence[Term] = (),
        precision: Precision = "float32",
        compiled: bool = False,
        average_rate: float = 0.01,
        average_every: int = 10,
        schedules: tuple[Schedule | None, Schedule | None] = (None, None),
        context: Context | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        errors.at_least(1, k=k)
        if isinstance(objective, str):
            errors.one_of(LOSSES, objective=objective)
        errors.one_of(get_args(Order), order=order)
        errors.one_of(get_args(Precision), precision=precision)
        for name, network, rule in (("G", G, G_optimizer), ("D", D, D_optimizer)):
            own = {id(p) for p in network.parameters()}
            moved = {id(p) for group in rule.param_groups for p in group["params"]}
            need = f"an optimiser of {name}'s own parameters"
            errors.require(moved <= own, f"{name}_optimizer", need, "other parameters")
        first = next(G.parameters())
        self._device, self._playing = first.device, first.dtype
        self.context = None if context is None else context.to(first.device)
        self.G, self.D, self.prior = G, D, prior
        self.event_shape = self._rehearse(G, D)
        precision = resolved(precision, self.event_shape, first.device)
        self._playing = torch.bfloat16 if precision == "bfloat16" else first.dtype
        self.objective = objective
        self.loss: Loss = LOSSES[objective] if isinstance(objective, str) else objective
        self.order, self.terms = order, tuple(terms)
        self.batches_per_step, self.D_scale, self.ranks = k, D_scale, ranks
        together: dict[str, Any] = {"precision": precision, "ranks": ranks}
        self.average = Average(G, rate=average_rate, every=average_every)
        self.G_player = Player(G, G_optimizer, schedules[0], **together)
        self.D_player = Player(D, D_optimizer, schedules[1], **together)
        self.train_mode()
        self._rehearse(self.G_player.plays, self.D_player.plays)
        self.passes = Passes(self.D_player)
        if ranks.world > 1:
            refuse_dependence(G, D)
        if compiled and self.terms:
            raise errors.term_not_compiled(type(self.terms[0]).__name__)
        for optimizer in (G_optimizer, D_optimizer) if compiled else ():
            if ranks.world > 1 or not isinstance(optimizer, Momentum):
                raise errors.not_compiled(type(optimizer).__name__, ranks.world)
        self._compiled = compiled
        self._whole = capture.whole(self.play) if compiled else self.play
        self.fitted: object = None  # where `fit` left it
        self.updates, self.D_updates = 0, 0
        self.minibatches = torch.zeros((), dtype=torch.int64, device=self._device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in self.__dict__.items() if name != "_whole"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._whole = capture.whole(self.play) if self._compiled else self.play

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> "Game":
        """The pair that a configuration describes, its first weights drawn from the seed."""
        context = problem.context if config.conditional else None
        if config.conditional and context is None:
            raise errors.no_labels()
        told = 0 if context is None else context.size
        with global_stream_kept():  # torch's layers draw weights of their own, which give way
            G, D = cls.networks(config, problem, told, seed=seed)
        G, D = G.to(problem.device), D.to(problem.device)
        clock = {
            "batches_per_epoch": problem.batches_per_epoch,
            "batches": problem.steps * config.k,
        }
        return cls(
            G,
            D,
            prior=PRIORS[config.prior](config.z_dim),
            G_optimizer=config.G_optimizer.build(G.parameters()),
            D_optimizer=config.D_optimizer.build(D.parameters()),
            objective=config.objective,
            order=config.order,
            k=config.k,
            D_scale=config.D_scale,
            terms=[R1(config.r1, config.r1_every)] if config.r1 else [],
            precision=resolved(config.precision, problem.event_shape, problem.device),
            compiled=config.compiled,
            average_rate=config.average_rate,
            average_every=config.average_every,
            schedules=(
                Schedule(config=config.G_optimizer, **clock),
                Schedule(config=config.D_optimizer, **clock),
            ),
            context=context,
            ranks=problem.ranks,
        )

    @classmethod
    def networks(
        cls, config: GameConfig, problem: Problem, told: int, *, seed: int
    ) -> tuple[nn.Module, nn.Module]:
        """G and D that a configuration describes; `told`: the numbers of a context."""
        rng = generator(seed, "weights of G")
        G = config.G.build(z_dim=config.z_dim, problem=problem, context=told, rng=rng)
        return G, cls.discriminator(config, problem, told, rng=generator(seed, "weights of D"))

    @staticmethod
    def discriminator(
        config: GameConfig, problem: Problem, told: int, *, rng: torch.Generator
    ) -> nn.Module:
        """D that a configuration describes, of packs of examples where it says so."""
        pack = config.pack
        shape = packed_shape(problem.event_shape, pack)
        D = config.D.build(event_shape=shape, context=pack * told, rng=rng)
        return D if pack == 1 else Packed(D, pack)

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One iteration of Algorithm 1, with k = `len(batches)`.

        Returns:
            V (nats, of the last update of D), J (what G descends), D_x and D_Gz (mean D(x) and
            D(G(z)), dropout on).
        """
        self._look(batches)
        noise = [
            self._noise(batch, 2, rng, terms=self._due(self.D_updates + i))
            for i, batch in enumerate(batches)
        ]
        if self.order == "alternating":
            noise.append(self._noise(batches[-1], 2 if self.loss.reads_data else 1, rng))
        eager = not self.updates or self.G_player.hooked or self.D_player.hooked
        with torch.enable_grad(), errors.normalising(len(batches[-1].x)):
            info = (self.play if eager else self._whole)(batches, noise)
        self.D_updates += len(batches)
        self.updates += 1
        self.average.follow(self.G, self.updates)
        return info

    def step_D(self, batch: Batch, *, rng: torch.Generator) -> Info:
        """One update of D alone: G stands still. Many of them bring D close to D*_G.

        Returns:
            What `step` returns, with J what G would descend.
        """
        self._look([batch])
        noise = self._noise(batch, 2, rng, terms=self._due(self.D_updates))
        with torch.enable_grad():
            a, J = self._update_D(batch, noise)
        self.D_updates += 1
        return self._metrics(a, J, batch.share)

    def step_G(self, m: int, *, rng: torch.Generator) -> Info:
        """One update of G alone, on m noise vectors: D stands still.

        "G must not be trained too much without updating D" (Section 6): this is how to try it. It
        counts neither among `updates` nor as a minibatch, and the moving average does not see it.

        Returns:
            J and D_Gz, as `step` returns them.

        Raises:
            BadValue: Where G's loss reads D's logits on data, which are not here.
        """
        errors.at_least(1, m=m)
        if self.loss.reads_data:
            raise errors.bad_value("objective", "one that reads no data, for step_G", self.loss)
        c = None if self.context is None else self.context.draw(m, rng=rng)[self.ranks.rows(m)]
        noise = self._noise(Batch(torch.empty(m), c), 1, rng)
        batch = Batch(torch.empty(len(noise.z), 0), c, whole=m)
        self._look([])
        with torch.enable_grad():
            a, J = self._update_G(batch, noise, (self.minibatches - 1).clamp_(min=0))
        info = self._metrics(a.repeat(2), J, batch.share)
        return {name: info[name] for name in ("J", "D_Gz")}

    def watch(self) -> Info:
        """The norms of the last gradients: of J in G's weights, of what D descends in D's."""
        return {"G_gradient": self.G_player.norm(), "D_gradient": self.D_player.norm()}

    def _look(self, batches: Sequence[Batch]) -> None:
        """Before a step: refuse data of another size than samples, find what was hooked in."""
        for batch in batches:
            if batch.x.shape[1:].numel() != torch.Size(self.event_shape).numel():
                need = f"(m, {', '.join(map(str, self.event_shape))}), as G(z) is"
                raise errors.wrong_shape("x", need, batch.x.shape)
        for player in (self.G_player, self.D_player):
            player.look()

    # Algorithm 1

    def play(self, batches: Sequence[Batch], noise: Sequence[Noise]) -> Info:
        """Algorithm 1 with its randomness given: a function of tensors, which can be compiled."""
        simultaneous = self.order == "simultaneous"

        # for k steps do (k - 1, where the last is made together with G's)
        for batch, drawn in zip(batches[: -1 if simultaneous else None], noise, strict=False):
            # - Sample minibatches of m noise samples from p_g(z) and of m examples from p_data(x).
            # - Update the discriminator by ascending its stochastic gradient.
            a, _ = self._update_D(batch, drawn)

        # Sample minibatch of m noise samples from noise prior p_g(z).
        # Update the generator by descending its stochastic gradient.
        batch, drawn = batches[-1], noise[-1]
        if simultaneous:
            a, J = self._update_both(batch, drawn)
        else:
            _, J = self._update_G(batch, drawn, self.minibatches - 1)

        return self._metrics(a, J, batch.share)

    def look(self, batch: Batch, noise: Noise) -> View:
        """What D is shown of a minibatch; override it for another game (pairs, masks, ...)."""
        dropout.hand_out(self.G_player.random, noise.G)
        x_g: Tensor = self.G_player.plays(noise.z.to(self._playing), *noise.c)
        x = batch.x.to(self._device, self._playing)
        return View((x, *noise.c), (x_g, *noise.c), (Seat(self.G_player, x_g, 1),))

    def _update_D(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """Update D; its logits before, and what G would descend."""
        with torch.no_grad():
            view = self.look(batch, noise)
        a = self.passes.discriminate(noise.D, view.data, view.samples).a
        for_D, J = cotangent_of_D(self.loss, a)
        self._step_D(
            self.passes.gradient_of_D(batch, noise, view, a, for_D * self._share_of_D(batch))
        )
        return a, J

    def _update_G(self, batch: Batch, noise: Noise, minibatch: Tensor) -> tuple[Tensor, Tensor]:
        """Update G against a D that stands still; D's logits on its samples, and J."""
        view, reads_data = self.look(batch, noise), self.loss.reads_data
        parts = (view.data, view.samples) if reads_data else (view.samples,)
        with self.D_player.still():
            a = self.passes.discriminate(noise.D, *parts).a
        for_G, J = cotangent_of_G(self.loss, a)
        for seat, gradient in self.passes.gradients_of(view.seats, a, for_G * batch.share):
            seat.player.update(gradient, minibatch)
        return a.chunk(2)[1] if reads_data else a, J

    def _update_both(self, batch: Batch, noise: Noise) -> tuple[Tensor, Tensor]:
        """Update all players by their gradients at the old weights; D's logits, and J."""
        view = self.look(batch, noise)
        a = self.passes.discriminate(noise.D, view.data, view.samples).a
        for_D, for_G, J = cotangents(self.loss, a)
        for_D, for_G = for_D * self._share_of_D(batch), for_G * batch.share
        if self.passes.samplewise:
            of_D, of_seats = self.passes.in_one_pass(batch, noise, view, a, for_D, for_G)
        else:
            of_seats = self.passes.gradients_of(view.seats, a, for_G, keep_graph=True)
            of_D = self.passes.gradient_of_D(batch, noise, view, a, for_D)
        for seat, gradient in of_seats:
            seat.player.update(gradient, self.minibatches)
        self._step_D(of_D)
        return a, J

    def _share_of_D(self, batch: Batch) -> float:
        return self.D_scale * batch.share

    def _step_D(self, gradient: Gradient) -> None:
        self.D_player.update(gradient, self.minibatches)
        self.minibatches += 1

    @torch.no_grad()
    def _metrics(self, a: Tensor, J: Tensor, share: float) -> Info:
        """What a person is shown of a step; the networks take over what their copies counted."""
        for player in (self.G_player, self.D_player):
            player.take_back()
        D_x, D_Gz = a.chunk(2)
        info = {"V": value(D_x, D_Gz), "J": J}
        info |= {"D_x": D_x.sigmoid().mean(), "D_Gz": D_Gz.sigmoid().mean()}
        return {name: number * share for name, number in info.items()}

    # What a step needs

    def _due(self, D_update: int) -> list[Term]:
        """The terms of this update of D, counted from 0."""
        return [term for term in self.terms if D_update % term.every == 0]

    def _noise(
        self, batch: Batch, parts: int, rng: torch.Generator, *, terms: Sequence[Term] = ()
    ) -> Noise:
        """This process's rows of what is drawn for the whole minibatch."""
        m, pack = batch.whole or len(batch.x), self.passes.pack
        self.refuse_sizes({m})
        own = self.ranks.rows(m)
        packs = m // pack, slice(own.start // pack, own.stop // pack)
        draws: dict[str, Any] = {"device": self._device, "rng": rng}

        z = self.prior.sample(m, rng=rng)[own].to(self._device)
        of_G = masks(self.G_player.random, m, own, parts=1, **draws)
        of_D = masks(self.D_player.random, *packs, parts=parts, **draws)
        of_terms = tuple(
            TermNoise(
                term,
                [masks(self.D_player.random, *packs, parts=1, **draws) for _ in range(term.passes)],
            )
            for term in terms
        )
        return Noise(z, of_G, of_D, self._told(batch.context), of_terms)

    def refuse_sizes(self, sizes: Iterable[int]) -> None:
        """Raise `BadValue` for minibatches, or shares of one, that `pack` does not divide."""
        pack = self.passes.pack
        for m in sizes:
            own = self.ranks.rows(m)
            if m % pack or own.start % pack or own.stop % pack:
                raise errors.no_whole_packs(m, pack, self.ranks.world)

    def _told(self, context: Tensor | None) -> tuple[Tensor, ...]:
        """What both players are told of a minibatch; nothing in a game without contexts."""
        if self.context is None:
            return ()
        if context is None:
            raise errors.no_context()
        return (self.context.encode(context.to(self._device)).to(self._playing),)

    def _rehearse(self, G: nn.Module, D: nn.Module) -> tuple[int, ...]:
        """See what D makes of G's samples; the shape of one."""
        n = getattr(D, "pack", 1) * 2
        z = torch.zeros(n, self.prior.dim, device=self._device, dtype=self._playing)
        c = () if self.context is None else self._told(self.context.rows[[0] * n])
        return rehearse(G, D, z, c)

    def train_mode(self) -> None:
        """Put both players in training mode, but for parts that are frozen."""
        for player in (self.G_player, self.D_player):
            player.train_mode()

    def samplers(self) -> dict[str, GeneratorSampler]:
        """`raw`: G as it is. `averaged`: G with the moving average of its weights."""
        networks = {"raw": self.G, "averaged": self.average.network}
        return {n: GeneratorSampler(G, self.prior, self.context) for n, G in networks.items()}

    def state(self) -> dict[str, Tensor]:
        """Both players, the average and the number of minibatches that D has seen."""
        parts = {"G": self.G_player.state(), "D": self.D_player.state()}
        parts["average"] = dict(self.average.network.state_dict())
        parts["context"] = {} if self.context is None else self.context.state()
        flat = {f"{part}.{name}": t for part, state in parts.items() for name, t in state.items()}
        clock = {"minibatches": self.minibatches.clone(), "updates": torch.tensor(self.updates)}
        return flat | clock

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when the state is of another pair."""
        if "minibatches" not in state:
            raise errors.bad_value("state", "a game's (with 'minibatches')", "another model's")
        self.G_player.load_state(below("G.", state))
        self.D_player.load_state(below("D.", state))
        load_weights(self.average.network, below("average.", state))
        if self.context is not None:
            self.context.load_state(below("context.", state))
        self.minibatches.copy_(state["minibatches"])
        self.D_updates = int(state["minibatches"])
        self.fitted = None
        counted = int(state["minibatches"]) // self.batches_per_step  # before it was saved itself
        self.updates = int(state.get("updates", counted))

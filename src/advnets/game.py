r"""Algorithm 1: the game between a generator G and a discriminator D.

Reference: Goodfellow et al. (2014), Section 3 and Algorithm 1; goodfeli/adversarial,
    `AdversaryCost2`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from advnets import capture, checks, dropout
from advnets.checkpoints import below
from advnets.contexts import Context
from advnets.environment import Precision, resolved
from advnets.networks import (
    DiscriminatorConfig,
    DiscriminatorKind,
    GeneratorConfig,
    GeneratorKind,
)
from advnets.optim import Average, Momentum, OptimizerConfig, Schedule
from advnets.player import (
    Player,
    load_weights,
    one_by_one,
    refuse_dependence,
)
from advnets.priors import PRIORS, Prior, PriorName
from advnets.process import global_stream_kept
from advnets.protocols import Batch, Info, ModelConfig, Problem
from advnets.ranks import ALONE, Ranks
from advnets.rehearsal import rehearse
from advnets.rng import generator
from advnets.sampling import GeneratorSampler
from advnets.value import OBJECTIVES, SLOPES, Objective, shared_cotangent, value, value_slope

Order = Literal["alternating", "simultaneous"]
Told = Literal["none", "labels"]


@dataclass(frozen=True, kw_only=True)
class GameConfig(ModelConfig):
    """The adversarial pair. The defaults are the authors' published MNIST run."""

    kind: ClassVar[str] = "game"
    logged: ClassVar[str] = (
        "V, the players' value, is -1.386 and D_x, D_Gz (mean D on data and samples) are 0.5 "
        "where D cannot tell; J is what G descends."
    )

    order: Order = "simultaneous"
    """'alternating' (Algorithm 1: G answers the new D) or 'simultaneous' (the authors' code: both
    move at once)."""
    objective: Objective = "non-saturating"
    """What G descends: 'minimax' (eq. 1) or 'non-saturating' (-log D(G(z)))."""
    k: int = 1
    """Updates of D for each update of G."""
    D_scale: float = 0.5
    """D ascends this times V: 0.5 in the authors' code, 1 in the paper's text."""
    prior: PriorName = "uniform"
    """p_z: 'uniform' on (-sqrt 3, sqrt 3), 'gaussian' or 'spherical'."""
    z_dim: int = 100
    """Coordinates of z."""
    context: Told = "none"
    """What both players are told of each example: 'none', or its 'labels' (a class or a vector):
    a conditional game."""
    G: GeneratorKind = GeneratorConfig()
    D: DiscriminatorKind = DiscriminatorConfig()
    G_optimizer: OptimizerConfig = OptimizerConfig()
    D_optimizer: OptimizerConfig = OptimizerConfig()
    precision: Precision = "auto"
    """What the networks are played in, D's logits included: 'float32' or 'bfloat16'. The weights
    themselves, what moves them and all scores stay in float32. 'auto' is bfloat16 for pictures
    where the processor or GPU has instructions for it, and float32 elsewhere."""
    compiled: bool = False
    """Whether the step is compiled as a whole by torch: quicker after a first half minute. Needs
    the momentum rule, one process and, on a CPU, a C++ compiler; same game, other rounding."""
    average_rate: float = 0.01
    """Share of the newest weights in the moving average of G ..."""
    average_every: int = 10
    """... and the updates between two looks at them."""

    def __post_init__(self) -> None:
        checks.one_of(get_args(Order), order=self.order)
        checks.one_of(OBJECTIVES, objective=self.objective)
        checks.one_of(PRIORS, prior=self.prior)
        checks.one_of(get_args(Precision), precision=self.precision)
        checks.one_of(get_args(Told), context=self.context)
        checks.at_least(1, k=self.k, z_dim=self.z_dim, average_every=self.average_every)
        checks.positive(D_scale=self.D_scale)
        checks.probability(average_rate=self.average_rate)

    @property
    def conditional(self) -> bool:
        """Whether G and D are told the context of each example."""
        return self.context == "labels"

    @property
    def ends_with_the_run(self) -> bool:
        """Whether a learning rate anneals towards the run's last update."""
        return "cosine" in (self.G_optimizer.anneal, self.D_optimizer.anneal)


class Noise(NamedTuple):
    """What one pass is given: z, what the random layers of G and of D need, and the contexts."""

    z: Tensor
    G: list[Tensor]
    D: list[Tensor]
    c: tuple[Tensor, ...] = ()


class Game:
    r"""The two-player minimax game, played one step of Algorithm 1 at a time.

    .. math:: \min_G \max_D V(D, G) = E_x[\log D(x)] + E_z[\log(1 - D(G(z)))]

    Where D has a method `both(x, x_g)`, which gives the logits of m examples and of m samples at
    once, `(2m, 1)`, it says by that that it treats every example by itself. The game then passes
    through D once for both, and in the simultaneous order one backward pass serves both players.

    With a `context` the game is conditional: G(z, c), D(x, c) and D.both(x, x_g, c) are given the
    contexts of the minibatch too, `(m, context.size)`; a sample has that of the example beside it.

    Reference: Goodfellow et al. (2014), eq. (1) and Algorithm 1.

    Args:
        G: Maps z of shape `(m, prior.dim)` to samples of the data's shape.
        D: Maps examples to one logit each, of shape `(m,)` or `(m, 1)`: no sigmoid at its end.
        prior: Where z comes from.
        G_optimizer: Any torch optimiser over G's parameters.
        D_optimizer: Any torch optimiser over D's parameters.
        objective: What G descends.
        order: 'alternating' is the paper's text: after k updates of D, G moves with a fresh z
            against the new D. 'simultaneous' is its authors' code: both gradients are taken at the
            old weights, with the same z and the same dropout masks (for k > 1, k - 1 updates of D
            alone come first).
        k: Updates of D for each update of G.
        D_scale: D ascends this times V.
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
        objective: Objective = "non-saturating",
        order: Order = "alternating",
        k: int = 1,
        D_scale: float = 1.0,
        precision: Precision = "float32",
        compiled: bool = False,
        average_rate: float = 0.01,
        average_every: int = 10,
        schedules: tuple[Schedule | None, Schedule | None] = (None, None),
        context: Context | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        checks.at_least(1, k=k)
        checks.one_of(OBJECTIVES, objective=objective)
        checks.one_of(get_args(Order), order=order)
        checks.one_of(get_args(Precision), precision=precision)
        for name, network, rule in (("G", G, G_optimizer), ("D", D, D_optimizer)):
            own = {id(p) for p in network.parameters()}
            moved = {id(p) for group in rule.param_groups for p in group["params"]}
            need = f"an optimiser of {name}'s own parameters"
            checks.require(moved <= own, f"{name}_optimizer", need, "other parameters")
        first = next(G.parameters())
        self._device, self._playing = first.device, first.dtype
        self.context = None if context is None else context.to(first.device)
        self.G, self.D, self.prior = G, D, prior
        self.event_shape = self._rehearse(G, D)
        precision = resolved(precision, self.event_shape, first.device)
        self._playing = torch.bfloat16 if precision == "bfloat16" else first.dtype
        self.objective, self.slope, self.order = OBJECTIVES[objective], SLOPES[objective], order
        self.batches_per_step, self.D_scale, self.ranks = k, D_scale, ranks
        together: dict[str, Any] = {"precision": precision, "ranks": ranks}
        self.average = Average(G, rate=average_rate, every=average_every)
        self.G_player = Player(G, G_optimizer, schedules[0], **together)
        self.D_player = Player(D, D_optimizer, schedules[1], **together)
        self.train_mode()
        self._rehearse(self.G_player.plays, self.D_player.plays)
        self._one_by_one = one_by_one(D)
        if ranks.world > 1:
            refuse_dependence(G, D)
        for optimizer in (G_optimizer, D_optimizer) if compiled else ():
            if ranks.world > 1 or not isinstance(optimizer, Momentum):
                raise checks.not_compiled(type(optimizer).__name__, ranks.world)
        self._compiled = compiled
        self._whole = capture.whole(self.play) if compiled else self.play
        self.fitted: object = None  # where `fit` left it
        self.updates, self.minibatches = 0, torch.zeros((), dtype=torch.int64, device=self._device)

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
            raise checks.no_labels()
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
        rng = generator(seed, "weights of D")
        return G, config.D.build(event_shape=problem.event_shape, context=told, rng=rng)

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One iteration of Algorithm 1, with k = `len(batches)`.

        Returns:
            V (nats, of the last update of D), J (G's objective, nats), D_x and D_Gz (mean D(x) and
            D(G(z)), dropout on).
        """
        self._look(batches)
        noise = [self._noise(batch, 2, rng) for batch in batches]
        if self.order == "alternating":
            noise.append(self._noise(batches[-1], 1, rng))
        eager = not self.updates or self.G_player.hooked or self.D_player.hooked
        with torch.enable_grad(), checks.normalising(len(batches[-1].x)):
            info = (self.play if eager else self._whole)(batches, noise)
        self.updates += 1
        self.average.follow(self.G, self.updates)
        return info

    def step_D(self, batch: Batch, *, rng: torch.Generator) -> Info:
        """One update of D alone: G stands still. Many of them bring D close to D*_G.

        Returns:
            What `step` returns, with J what G would descend.
        """
        self._look([batch])
        with torch.enable_grad():
            logits = self._move_D(batch, self._noise(batch, 2, rng))
        return self._seen(logits, logits.chunk(2)[1], batch.share)

    def step_G(self, m: int, *, rng: torch.Generator) -> Info:
        """One update of G alone, on m noise vectors: D stands still.

        "G must not be trained too much without updating D" (Section 6): this is how to try it. It
        counts neither among `updates` nor as a minibatch, and the moving average does not see it.

        Returns:
            J and D_Gz, as `step` returns them.
        """
        checks.at_least(1, m=m)
        c = None if self.context is None else self.context.draw(m, rng=rng)[self.ranks.rows(m)]
        drawn = self._noise(Batch(torch.empty(m), c), 1, rng)
        share = len(drawn.z) / m
        self._look([])
        with torch.enable_grad():
            answer = self._move_G(drawn, share, (self.minibatches - 1).clamp_(min=0))
        info = self._seen(answer.repeat(2), answer, share)
        return {name: info[name] for name in ("J", "D_Gz")}

    def watch(self) -> Info:
        """The norms of the last gradients: of J in G's weights, of D_scale V in D's."""
        return {"G_gradient": self.G_player.norm(), "D_gradient": self.D_player.norm()}

    def _look(self, batches: Sequence[Batch]) -> None:
        """Before a step: refuse data of another size than samples, find what was hooked in."""
        for batch in batches:
            if batch.x.shape[1:].numel() != torch.Size(self.event_shape).numel():
                need = f"(m, {', '.join(map(str, self.event_shape))}), as G(z) is"
                raise checks.wrong_shape("x", need, batch.x.shape)
        for player in (self.G_player, self.D_player):
            player.look()

    def play(self, batches: Sequence[Batch], noise: Sequence[Noise]) -> Info:
        """Algorithm 1 with its randomness given: a function of tensors, which can be compiled."""
        together = self.order == "simultaneous"

        # For k steps (k - 1, where the last one is made together with G's):
        for batch, drawn in zip(batches[: -1 if together else None], noise, strict=False):
            # Sample m noise vectors and m examples; update D by ascending its gradient.
            logits = self._move_D(batch, drawn)

        # Sample m noise vectors; update G by descending its stochastic gradient.
        batch, drawn = batches[-1], noise[-1]
        if together:
            x_g = self._generate(drawn)
            logits = self._judge(drawn, batch.x, x_g)
            answer = logits[len(x_g) :]
            self._move_together(logits, x_g, batch)
        else:
            answer = self._move_G(drawn, batch.share, self.minibatches - 1)

        return self._seen(logits, answer, batch.share)

    def _move_D(self, batch: Batch, drawn: Noise) -> Tensor:
        """Update D by ascending its stochastic gradient; the logits it gave before."""
        # Sample m noise vectors from p_g(z), m examples from p_data(x).
        with torch.no_grad():
            x_g = self._generate(drawn)
        logits = self._judge(drawn, batch.x, x_g)
        self._update_D(self.D_player.gradient(logits, self._descent_of_D(logits, batch)))
        return logits

    def _move_G(self, drawn: Noise, share: float, minibatch: Tensor) -> Tensor:
        """Update G by descending its stochastic gradient; the logits its samples got before."""
        x_g = self._generate(drawn)
        with self.D_player.still():
            answer = self._judge(drawn, x_g)
        of_G = self.G_player.gradient(answer, self.slope(answer.detach()) * share)
        self.G_player.update(of_G, minibatch)
        return answer

    @torch.no_grad()
    def _seen(self, logits: Tensor, answer: Tensor, share: float) -> Info:
        """What a person is shown of a step, and what the copies that play have counted in it."""
        for player in (self.G_player, self.D_player):
            player.take_back()
        D_x, D_Gz = logits.chunk(2)
        info = {"V": value(D_x, D_Gz), "J": self.objective(answer)}
        info |= {"D_x": D_x.sigmoid().mean(), "D_Gz": D_Gz.sigmoid().mean()}
        return {name: number * share for name, number in info.items()}

    def _move_together(self, logits: Tensor, x_g: Tensor, batch: Batch) -> None:
        """Update both players by their gradients at the old weights."""
        for_D = self._descent_of_D(logits, batch)
        data, samples = for_D.chunk(2)
        for_G = self.slope(logits.detach().chunk(2)[1]) * batch.share
        if self._one_by_one:
            u, ratio = shared_cotangent(samples, for_G)
            *of_D, along = self.D_player.gradient(logits, torch.cat((data, u)), beside=[x_g])
            of_G = self.G_player.gradient(x_g, rows_times(ratio, along))
        else:
            along = torch.cat((torch.zeros_like(data), for_G))
            of_G = self.G_player.gradient(logits, along, keep_graph=True)
            of_D = list(self.D_player.gradient(logits, for_D))
        self.G_player.update(of_G, self.minibatches)
        self._update_D(of_D)

    def _descent_of_D(self, logits: Tensor, batch: Batch) -> Tensor:
        """The gradient in D's logits of what D descends, this process's share of -D_scale V."""
        return value_slope(*logits.detach().chunk(2)) * (-self.D_scale * batch.share)

    def _update_D(self, gradient: Sequence[Tensor | None]) -> None:
        self.D_player.update(gradient, self.minibatches)
        self.minibatches += 1

    def _generate(self, drawn: Noise) -> Tensor:
        """G(z), in the precision that is played in."""
        dropout.hand_out(self.G_player.random, drawn.G)
        x_g: Tensor = self.G_player.plays(drawn.z.to(self._playing), *drawn.c)
        return x_g

    def _judge(self, drawn: Noise, *parts: Tensor) -> Tensor:
        """D's logits on data and samples, or on samples alone: flat, in float32 at least."""
        dropout.hand_out(self.D_player.random, drawn.D)
        parts = tuple(part.to(self._device, self._playing) for part in parts)
        if self._one_by_one:
            flat = self.D_player.logits(*parts, c=drawn.c)
        else:
            flat = torch.cat([self.D_player.logits(part, c=drawn.c) for part in parts])
        return flat.to(torch.promote_types(flat.dtype, torch.float32))

    def _noise(self, batch: Batch, parts: int, rng: torch.Generator) -> Noise:
        """This process's rows of what is drawn for the whole minibatch."""
        m = batch.whole or len(batch.x)
        own = self.ranks.rows(m)

        def own_rows(layer: dropout.Stochastic, parts: int) -> Tensor:
            drawn = layer.draw(parts * m, rng=rng)
            return drawn.view(parts, m, *drawn.shape[1:])[:, own].flatten(0, 1).to(self._device)

        z = self.prior.sample(m, rng=rng)[own].to(self._device)
        of_G = [own_rows(layer, 1) for layer in self.G_player.random]
        of_D = [own_rows(layer, parts) for layer in self.D_player.random]
        return Noise(z, of_G, of_D, self._told(batch.context))

    def _told(self, context: Tensor | None) -> tuple[Tensor, ...]:
        """What both players are told of a minibatch; nothing in a game without contexts."""
        if self.context is None:
            return ()
        if context is None:
            raise checks.no_context()
        return (self.context.encode(context.to(self._device)).to(self._playing),)

    def _rehearse(self, G: nn.Module, D: nn.Module) -> tuple[int, ...]:
        """See what D makes of G's samples; the shape of one."""
        z = torch.zeros(2, self.prior.dim, device=self._device, dtype=self._playing)
        c = () if self.context is None else self._told(self.context.rows[[0, 0]])
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
            raise checks.bad_value("state", "a game's (with 'minibatches')", "another model's")
        self.G_player.load_state(below("G.", state))
        self.D_player.load_state(below("D.", state))
        load_weights(self.average.network, below("average.", state))
        if self.context is not None:
            self.context.load_state(below("context.", state))
        self.minibatches.copy_(state["minibatches"])
        self.fitted = None
        counted = int(state["minibatches"]) // self.batches_per_step  # before it was saved itself
        self.updates = int(state.get("updates", counted))


def rows_times(factors: Tensor, x: Tensor | None) -> Tensor | None:
    """Row i of `x` times factor i."""
    return None if x is None else x * factors.to(x.dtype).view(-1, *[1] * (x.ndim - 1))

r"""Algorithm 1: the game between a generator G and a discriminator D.

Reference: Goodfellow et al. (2014), Section 3 and Algorithm 1; goodfeli/adversarial,
    `AdversaryCost2`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from advnets import checks, layers
from advnets.checkpoints import below
from advnets.networks import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from advnets.optim import (
    Average,
    OptimizerConfig,
    Schedule,
    load_optimizer_state,
    optimizer_state,
)
from advnets.priors import PRIORS, Prior, PriorName
from advnets.protocols import Batch, Info, ModelConfig, Problem
from advnets.rng import generator
from advnets.sampling import GeneratorSampler
from advnets.value import OBJECTIVES, Objective, value

Order = Literal["alternating", "simultaneous"]


@dataclass(frozen=True, kw_only=True)
class GameConfig(ModelConfig):
    """The adversarial pair. The defaults are the authors' published MNIST run."""

    kind: ClassVar[str] = "game"

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
    G: GeneratorConfig = GeneratorConfig()
    D: DiscriminatorConfig = DiscriminatorConfig()
    G_optimizer: OptimizerConfig = OptimizerConfig()
    D_optimizer: OptimizerConfig = OptimizerConfig()
    average_rate: float = 0.01
    """Share of the newest weights in the moving average of G ..."""
    average_every: int = 10
    """... and the updates between two looks at them."""

    def __post_init__(self) -> None:
        checks.one_of(get_args(Order), order=self.order)
        checks.one_of(OBJECTIVES, objective=self.objective)
        checks.one_of(PRIORS, prior=self.prior)
        checks.at_least(1, k=self.k, z_dim=self.z_dim, average_every=self.average_every)
        checks.positive(D_scale=self.D_scale)
        checks.probability(average_rate=self.average_rate)

    @property
    def ends_with_the_run(self) -> bool:
        """Whether a learning rate anneals towards the run's last update."""
        return "cosine" in (self.G_optimizer.anneal, self.D_optimizer.anneal)


class Player:
    """A network, the rule that moves its weights, and the rule's schedule.

    Args:
        network: G or D; it may have a method `constrain()`, which is called after every update.
        optimizer: Any torch optimiser over the network's parameters.
        schedule: Learning rate and momentum by minibatch number; None leaves the optimiser as it
            is.
    """

    def __init__(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule | None
    ) -> None:
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.constrain = getattr(network, "constrain", None)

    def gradient(self, loss: Tensor, *, keep_graph: bool = False) -> None:
        """The gradient of `loss` in this player's own parameters, and in nobody else's."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.parameters, retain_graph=keep_graph)  # type: ignore[no-untyped-call]

    def update(self, minibatch: int) -> None:
        """Move the weights along the gradient."""
        if self.schedule is not None:
            self.schedule.apply(self.optimizer, minibatch)
        self.optimizer.step()
        if self.constrain is not None:
            self.constrain()

    def state(self) -> dict[str, Tensor]:
        """Weights, buffers and what the optimiser remembers."""
        weights = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        return weights | {f"optimizer.{n}": t for n, t in optimizer_state(self.optimizer).items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        load_weights(self.network, below("network.", state))
        load_optimizer_state(self.optimizer, below("optimizer.", state))


class Game:
    r"""The two-player minimax game, played one step of Algorithm 1 at a time.

    .. math:: \min_G \max_D V(D, G) = E_x[\log D(x)] + E_z[\log(1 - D(G(z)))]

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
        average_rate: Share of the newest weights in the moving average of G's.
        average_every: Updates between two looks at them.
        schedules: Schedules of G's and D's optimisers.

    Raises:
        BadValue: For an unknown word, or k below 1.
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
        average_rate: float = 0.01,
        average_every: int = 10,
        schedules: tuple[Schedule | None, Schedule | None] = (None, None),
    ) -> None:
        checks.at_least(1, k=k)
        checks.one_of(OBJECTIVES, objective=objective)
        checks.one_of(get_args(Order), order=order)
        for name, network, rule in (("G", G, G_optimizer), ("D", D, D_optimizer)):
            own = {id(p) for p in network.parameters()}
            moved = {id(p) for group in rule.param_groups for p in group["params"]}
            need = f"an optimiser of {name}'s own parameters"
            checks.require(moved <= own, f"{name}_optimizer", need, "other parameters")
        self.G, self.D, self.prior = G.train(), D.train(), prior
        self.objective, self.order = OBJECTIVES[objective], order
        self.batches_per_step, self.D_scale = k, D_scale
        self.G_player = Player(G, G_optimizer, schedules[0])
        self.D_player = Player(D, D_optimizer, schedules[1])
        self.average = Average(G, rate=average_rate, every=average_every)
        self.minibatches = 0
        self._dropouts = layers.dropouts(G, D)

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> "Game":
        """The pair that a configuration describes, its first weights drawn from the seed."""
        G = Generator(
            config.G, z_dim=config.z_dim, problem=problem, rng=generator(seed, "weights of G")
        )
        D = Discriminator(
            config.D, event_shape=problem.event_shape, rng=generator(seed, "weights of D")
        )
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
            average_rate=config.average_rate,
            average_every=config.average_every,
            schedules=(
                Schedule(config=config.G_optimizer, **clock),
                Schedule(config=config.D_optimizer, **clock),
            ),
        )

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One iteration of Algorithm 1, with k = `len(batches)`.

        Returns:
            V (nats, of the last update of D), J (G's objective, nats), D_x and D_Gz (mean D(x) and
            D(G(z)), dropout on).
        """
        layers.bind(self._dropouts, rng)
        together = self.order == "simultaneous"

        # For k steps:
        for i, (x, _) in enumerate(batches, start=1):
            minibatch = self.minibatches

            # Sample m noise vectors from p_g(z), m examples from p_data(x).
            joint = together and i == len(batches)
            z = self._noise(x, rng)
            with torch.set_grad_enabled(joint):
                x_g = self.G(z)

            # Update D by ascending its stochastic gradient.
            D_x, D_Gz = self._logits(x), self._logits(x_g)
            V = value(D_x, D_Gz)
            self.D_player.gradient(-self.D_scale * V, keep_graph=joint)
            if not joint:
                self._update_D()

        # Sample m noise vectors; update G by descending its stochastic gradient.
        J = self.objective(D_Gz if together else self._logits(self.G(self._noise(x, rng))))
        self.G_player.gradient(J)
        self.G_player.update(minibatch)
        if together:
            self._update_D()
        self.average.follow(self.G, self.minibatches // self.batches_per_step)

        with torch.no_grad():
            D_x, D_Gz = D_x.sigmoid().mean(), D_Gz.sigmoid().mean()
        return {"V": V.detach(), "J": J.detach(), "D_x": D_x, "D_Gz": D_Gz}

    def samplers(self) -> dict[str, GeneratorSampler]:
        """`raw`: G as it is. `averaged`: G with the moving average of its weights."""
        networks = {"raw": self.G, "averaged": self.average.network}
        return {name: GeneratorSampler(G, self.prior) for name, G in networks.items()}

    def state(self) -> dict[str, Tensor]:
        """Both players, the average and the number of minibatches that D has seen."""
        parts = {"G": self.G_player.state(), "D": self.D_player.state()}
        parts["average"] = dict(self.average.network.state_dict())
        flat = {f"{part}.{name}": t for part, state in parts.items() for name, t in state.items()}
        return flat | {"minibatches": torch.tensor(self.minibatches)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when the state is of another pair."""
        if "minibatches" not in state:
            raise checks.bad_value("state", "a game's (with 'minibatches')", "another model's")
        self.G_player.load_state(below("G.", state))
        self.D_player.load_state(below("D.", state))
        load_weights(self.average.network, below("average.", state))
        self.minibatches = int(state["minibatches"])

    def _noise(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self.prior.sample(len(x), rng=rng).to(x.device)

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.D(x)
        if logits.numel() != len(x):
            raise checks.wrong_shape("D(x)", f"({len(x)},): one logit an example", logits.shape)
        return logits

    def _update_D(self) -> None:
        self.D_player.update(self.minibatches)
        self.minibatches += 1


def load_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a network's weights. Raises `BadValue` where a name or a shape differs."""
    own = network.state_dict()
    for name in {**own, **state}:
        need, got = (tuple(s[name].shape) if name in s else "absent" for s in (own, state))
        checks.require(need == got, name, f"of shape {need}", got)
    network.load_state_dict(dict(state))

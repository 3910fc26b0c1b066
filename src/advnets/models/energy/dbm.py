r"""The deep Boltzmann machine, trained by mean field and stochastic maximum likelihood.

Greedy pretraining gives it a start: two restricted machines, the lower one with its weights doubled
on the way up, the upper one with its weights doubled on the way down, since in the whole machine
h_1 hears both sides. Then all weights together ascend the bound

.. math:: \log p(v) \ge -E(v, \mu_1, \mu_2) + H(\mu) - \log Z, \qquad
          \nabla \log Z = -E_p[\nabla E]

whose first part is by mean field at the data, and whose second by persistent chains.

Reference: Salakhutdinov and Hinton (2009), Deep Boltzmann machines.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Annealed, Batch, Info, ModelConfig, Problem
from advnets.base.rng import derive, generator
from advnets.models.bernoulli import Binarise, bernoulli, binarise
from advnets.models.energy.annealing import DBMPath, base_rates
from advnets.models.energy.deep_energy import DeepEnergy
from advnets.models.energy.energy import Energy
from advnets.models.energy.rbm import RBM, LearningConfig, RBMConfig, uniform
from advnets.models.gradient_learner import GradientLearner
from advnets.models.greedy import GreedyStack, Layer, problems
from advnets.nn.init import logit_of_marginals
from advnets.nn.kernels import product
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain

BOUND = (
    "The mean-field bound is below log p(x); log Z by AIS is below the truth on average, which "
    "moves it up by little where the weights agree: a bound but for that."
)


@dataclass(frozen=True, kw_only=True)
class DBMConfig(ModelConfig):
    """A deep Boltzmann machine of two hidden layers."""

    kind: ClassVar[str] = "dbm"
    logged: ClassVar[str] = (
        "gap is the mean energy of the data with its mean field less that of the chains (nats), "
        "and the weight decay; "
        f"while a restricted machine is pretrained: {RBMConfig.logged}"
    )

    hidden: tuple[int, int] = (500, 1000)
    """Hidden units of the two layers, from the data upwards."""
    updates: tuple[int, ...] = (1_000, 1_000)
    """Updates of pretraining of the lower and the upper machine; none at all trains all weights
    together from the start. After long pretraining log Z could not be estimated on MNIST: annealed
    chains did not reach the digits."""
    mean_field: int = 10
    """Updates of both layers' means at each minibatch, and where log p(x) is bounded."""
    k: int = 5
    """Sweeps of the persistent chains in each update."""
    particles: int = 100
    """Persistent chains."""
    stdev: float = 0.01
    """Standard deviation of the first weights."""
    weight_decay: float = 2e-4
    """Half this times the squared norm of the weights is added to what is descended."""
    binarise: Binarise = "sample"
    """What becomes of values between 0 and 1: 'sample' (drawn anew at each pass) or 'refuse'."""
    optimizer: OptimizerConfig = OptimizerConfig(
        lr=0.002, lr_decay=1.0, anneal="cosine", final_momentum=0.5
    )
    """The rule for all weights together."""
    pretraining: LearningConfig = LearningConfig(k=3)
    """How the two restricted machines are learnt."""
    chain: ChainConfig = ChainConfig()

    def __post_init__(self) -> None:
        two_layers(self.hidden)
        need, n = "2 numbers, or none at all", len(self.updates)
        errors.require(n in (0, 2), "updates", need, n)
        for number in self.updates:
            errors.at_least(1, updates=number)
        errors.at_least(1, mean_field=self.mean_field, k=self.k, particles=self.particles)
        errors.at_least(0, stdev=self.stdev, weight_decay=self.weight_decay)
        errors.one_of(get_args(Binarise), binarise=self.binarise)

    @property
    def pretraining_updates(self) -> int:
        """Updates of the two restricted machines."""
        return sum(self.updates)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


def two_layers(hidden: tuple[int, ...]) -> None:
    """Raise unless there are two hidden layers of at least one unit."""
    errors.require(len(hidden) == 2, "hidden", "2 layers", len(hidden))
    for n in hidden:
        errors.at_least(1, hidden=n)


class DeepBoltzmann(GradientLearner):
    """What all learners of a `DeepEnergy` share: its data, its chains and its density.

    Args:
        energy: Whose parameters are learnt; its visible bias is set to the data's marginals.
        optimizer: The rule.
        problem: What is known of the data and the run.
        chain: How it is sampled.
        how: What becomes of values between 0 and 1.
        mean_field: Updates of the means where log p(x) is bounded.

    Raises:
        BadValue: For data outside [0, 1].
    """

    network: DeepEnergy

    def __init__(
        self,
        energy: DeepEnergy,
        optimizer: OptimizerConfig,
        problem: Problem,
        *,
        chain: ChainConfig,
        how: Binarise,
        mean_field: int,
    ) -> None:
        if not 0 <= problem.low <= problem.high <= 1:
            got = f"values from {problem.low:g} to {problem.high:g}"
            raise errors.bad_value("x", "in [0, 1] for binary visible units", got)
        energy.b.data.copy_(logit_of_marginals(problem.mean).flatten())
        super().__init__(energy, optimizer, problem)
        self.chain, self.how, self.updates_of_means = chain, how, mean_field
        if chain.init == "data":
            self.keep_first(chain.chains, problem.mean)

    def visible(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """The data as binary units take it, `(m, n_v)`."""
        v = x.flatten(1)
        return binarise(v, self.how, self.uniform(*v.shape, rng=rng))

    @torch.no_grad()
    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) exactly, `(n,)`, in nats. Raises `BadValue` for too many units."""
        v = x.flatten(1)
        v = binarise(v, "refuse", v)
        return (self.network.log_sum_hidden(v) - self.network.log_Z()).to(v)

    @torch.no_grad()
    def annealed(self, x: Tensor, mean: Tensor, *, rng: torch.Generator) -> Annealed:
        """The mean-field bound less log Z, by `annealing.DBMPath`, in float64."""
        energy, v = self.network.exact(), x.flatten(1).double().cpu()
        v = binarise(v, self.how, torch.rand(v.shape, generator=rng))
        bound = energy.bound(v, energy.mean_field(v, self.updates_of_means))
        return Annealed(DBMPath(energy, base_rates(mean)), bound, BOUND)

    def samplers(self) -> dict[str, MarkovChain]:
        """`persistent`, where training keeps chains, and `chain`, which begins anew."""
        found = {"chain": self.chain.run(DeepGibbs(self))}
        if "particles" in self.kept:
            going_on = DeepGibbs(self, first=self.kept["particles"])
            found = {"persistent": self.chain.run(going_on), **found}
        return found


class Joint(DeepBoltzmann):
    """All weights together: mean field at the data against persistent chains."""

    def __init__(self, config: DBMConfig, problem: Problem, *, seed: int) -> None:
        energy = DeepEnergy(
            problem.mean.numel(),
            *config.hidden,
            stdev=config.stdev,
            rng=generator(seed, "weights"),
        )
        super().__init__(
            energy,
            config.optimizer,
            problem,
            chain=config.chain,
            how=config.binarise,
            mean_field=config.mean_field,
        )
        self.config = config
        coins = torch.randint(
            2, (config.particles, config.hidden[0]), generator=generator(seed, "persistent chains")
        )
        self.kept["particles"] = coins.to(energy.W1)

    @torch.no_grad()
    def take(self, lower: Energy, upper: Energy) -> None:
        """Begin at two pretrained machines; the two biases of h_1 are averaged."""
        own = self.network
        own.W1.copy_(lower.W)
        own.b.copy_(lower.b)
        own.c1.copy_((lower.c + upper.b) / 2)
        own.W2.copy_(upper.W)
        own.c2.copy_(upper.c)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The gap between the energies of the data and of the chains; states are held still."""
        e, v = self.network, self.visible(x, rng)
        with torch.no_grad():
            q = e.mean_field(v, self.config.mean_field)
            v_model, mu_model, h2_model = self._chains(rng)
        gap = e.energy(v, *q).mean() - e.energy(v_model, mu_model, h2_model).mean()
        decay = self.config.weight_decay / 2 * (e.W1.square().sum() + e.W2.square().sum())
        return {"gap": gap + decay, "active": torch.cat(q, dim=1).mean()}

    def _chains(self, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """v, the means of h_1 and h_2 of all persistent chains, k sweeps on."""
        h1 = self.kept["particles"]
        for _ in range(self.config.k):
            v, h2, a, h1 = self.network.gibbs(h1, uniform(rng, h1))
        self.kept["particles"].copy_(h1)
        return v, a.sigmoid(), h2

    def up(self, x: Tensor) -> Tensor:
        """The means of h_2, `(n, n_2)`."""
        with torch.no_grad():
            return self.network.mean_field(x.flatten(1), self.config.mean_field).mu2


class Doubled(Energy):
    """A restricted machine whose weights count twice, on the way up or on the way down."""

    up_factor, down_factor = 2.0, 1.0

    def hidden(self, v: Tensor) -> Tensor:
        """The logits of h given v, `(n, n_h)`."""
        return product(v, self.up_factor * self.W, self.c)

    def visible(self, h: Tensor) -> Tensor:
        """The means of v given h, `(n, n_v)`."""
        return product(h, self.down_factor * self.W.T, self.b).sigmoid()


class DoubledDown(Doubled):
    """The upper one of the two that are pretrained."""

    up_factor, down_factor = 1.0, 2.0


class DBM(GreedyStack):
    """Two restricted machines, then the machine that both make, as one learner.

    Args:
        config: The model.
        problem: What is known of the data and the run.
        seed: Of the first weights and of persistent chains.
    """

    def __init__(self, config: DBMConfig, problem: Problem, *, seed: int) -> None:
        units = (*config.hidden, 1)[: len(config.updates) + 1]
        *below, whole = problems(problem, units, config.updates)
        parts = [
            _restricted(
                kind,
                p,
                RBMConfig(
                    hidden=n,
                    learning=config.pretraining,
                    binarise="sample" if i else config.binarise,
                ),
                seed=derive(seed, "machine", i),
            )
            for i, (kind, n, p) in enumerate(
                zip((Doubled, DoubledDown), config.hidden, below, strict=False)
            )
        ]
        whole = dataclasses.replace(problem, steps=whole.steps)
        self.joint, self.parts, self.config = Joint(config, whole, seed=seed), parts, config
        layers: list[Layer] = [*parts, self.joint]
        super().__init__(layers, config.updates)

    @classmethod
    def from_config(cls, config: DBMConfig, problem: Problem, *, seed: int) -> "DBM":
        """The machine that a configuration describes."""
        return cls(config, problem, seed=seed)

    def up(self, x: Tensor, layers: int) -> Tensor:
        """The data as the layer of that number is trained on; the whole machine has x itself."""
        return x if layers == len(self.parts) else super().up(x, layers)

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One update of the machine whose turn it is."""
        if self.parts and self.updates == self.ends[-1]:
            self.joint.take(*(part.network for part in self.parts))
        return super().step(batches, rng=rng)

    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) of the whole machine exactly, `(n,)`, in nats, where it is tiny."""
        return self.joint.log_density(x)

    def annealed(self, x: Tensor, mean: Tensor, *, rng: torch.Generator) -> Annealed:
        """See `DeepBoltzmann.annealed`."""
        return self.joint.annealed(x, mean, rng=rng)

    def samplers(self) -> dict[str, MarkovChain]:
        """`persistent` and `chain` of the whole machine."""
        return self.joint.samplers()


def _restricted(kind: type[Energy], problem: Problem, config: RBMConfig, *, seed: int) -> RBM:
    energy = kind(
        problem.mean.numel(),
        config.hidden,
        stdev=config.learning.stdev,
        rng=generator(seed, "weights"),
    )
    energy.b.data.copy_(logit_of_marginals(problem.mean).flatten())
    return RBM(energy, config, problem, seed=seed)


class DeepGibbs:
    """Block Gibbs in a machine of two hidden layers; the state is h_1.

    Args:
        machine: Whose weights are used as they are when it moves.
        first: States to begin at in turn, `(n, n_1)`; by default as the configuration says.
    """

    def __init__(self, machine: DeepBoltzmann, *, first: Tensor | None = None) -> None:
        self.machine, self.first = machine, first
        self.event_shape = machine.event_shape

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """The first h_1 of each chain."""
        turns, e = torch.arange(chains), self.machine.network
        if self.first is not None:
            return self.first[turns % len(self.first)]
        if self.machine.chain.init == "noise":
            p = e.c1.new_full((chains, len(e.c1)), 0.5)
        else:
            examples = self.machine.kept["first"]
            p = e.up(examples[turns % len(examples)].flatten(1))
        return bernoulli(p, uniform(rng, p)(*p.shape))

    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """One sweep."""
        return self.machine.network.gibbs(state, uniform(rng, state))[-1]

    def observe(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """X of shape `(chains, *event_shape)`."""
        means = self.machine.network.visible(state).sigmoid()
        if self.machine.chain.shown == "binary":
            means = bernoulli(means, uniform(rng, means)(*means.shape))
        return means.view(-1, *self.event_shape)

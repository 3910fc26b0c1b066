r"""The restricted Boltzmann machine, trained by contrastive divergence or with persistent chains.

Reference: Hinton (2002), contrastive divergence; Younes (1999) and Tieleman (2008), stochastic
    maximum likelihood, or persistent contrastive divergence.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Annealed, Info, ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.bernoulli import Binarise, bernoulli, binarise
from advnets.models.energy.annealing import OPTIMISTIC, RBMPath, base_rates
from advnets.models.energy.energy import Draw, Energy, GaussianEnergy
from advnets.models.gradient_learner import GradientLearner
from advnets.nn.init import logit_of_marginals
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain

Negative = Literal["cd", "pcd"]
Visible = Literal["binary", "gaussian"]
Down = Literal["states", "means"]


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """How an RBM is trained.

    The learning rate anneals to 0 by default. At a constant rate, weights and persistent chains
    change together, and the RBM at any single update has few modes.
    """

    negative: Negative = "pcd"
    """Initial states of the negative phase: 'cd' at the data, 'pcd' at the states of the last
    update."""
    k: int = 1
    """Steps of block Gibbs in each update."""
    particles: int = 100
    """Persistent chains of 'pcd'."""
    stdev: float = 0.01
    """Standard deviation of the initial weights."""
    weight_decay: float = 0.0
    """Half this times the squared norm of W is added to the loss."""
    optimizer: OptimizerConfig = OptimizerConfig(
        lr=0.05, lr_decay=1.0, anneal="cosine", final_momentum=0.5
    )

    def __post_init__(self) -> None:
        errors.one_of(get_args(Negative), negative=self.negative)
        errors.at_least(1, k=self.k, particles=self.particles)
        errors.at_least(0, stdev=self.stdev, weight_decay=self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class RBMConfig(ModelConfig):
    """A restricted Boltzmann machine."""

    kind: ClassVar[str] = "rbm"
    logged: ClassVar[str] = (
        "gap is the mean free energy of the data minus that of the negative phase (nats; near 0 "
        "where they agree), active is the mean of p(h = 1) given the data."
    )

    hidden: int = 500
    """Hidden units, which are binary."""
    visible: Visible = "binary"
    """Visible units: 'binary' or 'gaussian'."""
    sigma: float = 1.0
    """Standard deviation of Gaussian visible units, in the units of the data."""
    binarise: Binarise = "sample"
    """Treatment of values between 0 and 1 by binary units: 'sample' (drawn again in each pass) or
    'refuse'."""
    learning: LearningConfig = LearningConfig()
    chain: ChainConfig = ChainConfig()

    def __post_init__(self) -> None:
        errors.one_of(get_args(Visible), visible=self.visible)
        errors.one_of(get_args(Binarise), binarise=self.binarise)
        errors.at_least(1, hidden=self.hidden)
        errors.positive(sigma=self.sigma)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.learning.optimizer.anneal == "cosine"


class RBM(GradientLearner):
    r"""Descends the mean free energy of the data minus that of the model's states.

    .. math:: \nabla_\theta (-\log p(v)) = \nabla_\theta F(v)
              - E_{v' \sim p}[\nabla_\theta F(v')]

    The negative phase's v' comes from k steps of block Gibbs, starting at the data (CD-k) or at the
    states of the last update (PCD; the chains are part of the state). v' is binary; hidden units
    enter by their probabilities.

    Args:
        energy: E(v, h), whose parameters are trained.
        config: Settings of training and sampling.
        problem: What is known of the data and the run.
        seed: Draws the initial states of persistent chains: fair coin flips.
    """

    network: Energy

    def __init__(self, energy: Energy, config: RBMConfig, problem: Problem, *, seed: int) -> None:
        super().__init__(energy, config.learning.optimizer, problem)
        self.config = config
        if config.learning.negative == "pcd":
            size = (config.learning.particles, len(energy.c))
            coins = torch.randint(2, size, generator=generator(seed, "persistent chains"))
            self.kept["particles"] = coins.to(energy.W)
        if config.chain.init == "data":
            self.keep_first(config.chain.chains, problem.mean)

    @classmethod
    def from_config(cls, config: RBMConfig, problem: Problem, *, seed: int) -> "RBM":
        """The RBM of a configuration; initially its samples have the data's mean."""
        binary = config.visible == "binary"
        if binary and not 0 <= problem.low <= problem.high <= 1:
            raise errors.bad_value(
                "x",
                "in [0, 1] for binary visible units (or choose --model.visible gaussian)",
                f"values from {problem.low:g} to {problem.high:g}",
            )
        kind = Energy if binary else partial(GaussianEnergy, sigma=config.sigma)
        energy = kind(
            problem.mean.numel(),
            config.hidden,
            stdev=config.learning.stdev,
            rng=generator(seed, "weights"),
        )
        mean = logit_of_marginals(problem.mean) if binary else problem.mean
        energy.b.data.copy_(mean.flatten())
        return cls(energy, config, problem, seed=seed)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The difference of F(v) and F(v') in nats, with the negative phase's v' constant."""
        v = self._visible(x, rng)
        with torch.no_grad():
            _, v_model, _ = self._phases(v, rng)
        F = self.network.free_energy
        return {"gap": F(v).mean() - F(v_model).mean()}

    @torch.no_grad()
    def gradient(
        self, x: Tensor, share: float, *, rng: torch.Generator
    ) -> tuple[Info, Sequence[Tensor | None]]:
        """The difference and its gradient: the positive phase's minus the negative phase's."""
        energy, v = self.network, self._visible(x, rng)
        a, v_model, a_model = self._phases(v, rng)
        F, F_model = energy.free_energy(v, a).mean(), energy.free_energy(v_model, a_model).mean()

        # Both phases in one product: data with weight 1 / m, the model's states with -1 / M.
        of_data = v.new_full((len(v),), share / len(v))
        of_model = v.new_full((len(v_model),), -share / len(v_model))
        gradient = energy.gradient(
            torch.cat((v, v_model)), torch.cat((a, a_model)), torch.cat((of_data, of_model))
        )
        gradient[0].add_(energy.W, alpha=share * self.config.learning.weight_decay)
        return {"gap": F - F_model, "active": a.sigmoid().mean()}, gradient

    def _phases(self, v: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of h given the data; the negative phase's v', and the logits of h given it."""
        learning, energy = self.config.learning, self.network
        a = energy.hidden(v)
        if learning.negative == "cd":
            draw: Draw = partial(self.uniform, rng=rng)
            h = bernoulli(a.sigmoid(), draw(*a.shape))
        else:  # every process moves all persistent chains
            draw, h = uniform(rng, v), self.kept["particles"]
        for _ in range(learning.k):
            v_model, a_model, h = energy.gibbs(h, draw)
        if learning.negative == "pcd":
            self.kept["particles"].copy_(h)
        return a, v_model, a_model

    def _visible(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """The data as the visible units take it, `(m, n_v)`."""
        v = x.flatten(1)
        if not self.network.binary:
            return v
        return binarise(v, self.config.binarise, self.uniform(*v.shape, rng=rng))

    @torch.no_grad()
    def up(self, x: Tensor) -> Tensor:
        """p(h = 1 | v = x), `(n, hidden)`: what the next RBM of a stack is trained on."""
        return self.network.hidden(x.flatten(1)).sigmoid_()

    @torch.no_grad()
    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) of shape `(n,)`, in nats, by the exact log Z.

        Raises:
            BadValue: For real values of binary units, or too many units on both sides.
        """
        v = x.flatten(1)
        if self.network.binary:
            v = binarise(v, "refuse", v)
        return -self.network.free_energy(v) - self.network.log_Z().to(v)

    @torch.no_grad()
    def annealed(self, x: Tensor, mean: Tensor, *, rng: torch.Generator) -> Annealed:
        """Log p(x) = -F(x) - log Z, with log Z by `annealing.RBMPath`, in float64."""
        energy, v = copy.deepcopy(self.network).double(), x.flatten(1).double()
        b_A = None
        if energy.binary:
            u = torch.rand(v.shape, generator=rng, device=rng.device).to(v.device)
            v, b_A = binarise(v, self.config.binarise, u), base_rates(mean)
        return Annealed(RBMPath(energy, b_A), -energy.free_energy(v), OPTIMISTIC)

    def samplers(self) -> dict[str, MarkovChain]:
        """`persistent`, where training keeps chains, and `chain` (see `chains`)."""
        return chains([self], self.config.chain)


def chains(
    stack: Sequence[RBM], config: ChainConfig, *, down: Down = "states"
) -> dict[str, MarkovChain]:
    """The samplers of an RBM, or of a stack of them.

    `chain` starts where the configuration says. Where the last RBM was trained with persistent
    chains, `persistent` comes before it and continues them: they started at fair coin flips and
    have moved in every update, so their burn-in is longer than that of any new chain.
    """
    found = {"chain": config.run(BlockGibbs(stack, config, down=down))}
    if "particles" in stack[-1].kept:
        going_on = BlockGibbs(stack, config, down=down, first=stack[-1].kept["particles"])
        found = {"persistent": config.run(going_on), **found}
    return found


class BlockGibbs:
    r"""Block Gibbs in the last RBM of a stack, observed through those below.

    The state is the last RBM's h. To observe it, it is passed down once: v is drawn given h in
    every RBM, except at the bottom, where the means are shown (or states drawn from them).

    Args:
        stack: RBMs from the data upwards, at least one.
        config: Initial states (fair coin flips, or h given the first examples passed up) and what
            is shown.
        down: Whether the RBMs above the first pass down 'states' or 'means'.
        first: Other initial states, used in turn, of shape `(n, n_h)`.
    """

    def __init__(
        self,
        stack: Sequence[RBM],
        config: ChainConfig,
        *,
        down: Down = "states",
        first: Tensor | None = None,
    ) -> None:
        self.stack, self.config, self.down, self.first = stack, config, down, first
        self.event_shape = stack[0].event_shape

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """The first h of each chain."""
        turns, top = torch.arange(chains), self.stack[-1].network
        if self.first is not None:
            return self.first[turns % len(self.first)]
        if self.config.init == "noise":
            p = top.W.new_full((chains, len(top.c)), 0.5)
        else:
            examples = self.stack[0].kept["first"]
            p = examples[turns % len(examples)]
            for machine in self.stack:
                p = machine.up(p)
        return bernoulli(p, uniform(rng, p)(*p.shape))

    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """One step of block Gibbs."""
        _, _, h = self.stack[-1].network.gibbs(state, uniform(rng, state))
        return h

    def observe(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """X of shape `(chains, *event_shape)`."""
        draw = uniform(rng, state)
        for machine in reversed(self.stack):
            energy, lowest = machine.network, machine is self.stack[0]
            means = state = energy.visible(state)
            if self.config.shown == "binary" if lowest else self.down == "states":
                state = energy.draw_visible(means, draw(*means.shape))
        return state.view(-1, *self.event_shape)


def uniform(rng: torch.Generator, like: Tensor) -> Draw:
    """Uniform numbers from a generator, on the device of a tensor."""
    return lambda *shape: torch.rand(*shape, generator=rng, device=rng.device).to(like)

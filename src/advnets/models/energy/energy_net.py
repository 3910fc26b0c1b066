r"""An energy that is a network: score matching or noise contrast, sampled by Langevin moves.

.. math:: \log \tilde p(x) = f(x) - \|x - m\|^2 / 2 s^2

with m the mean of the data, s half the range of its values and f a network without a form to be
derived from. Score matching learns its gradient alone; noise contrast learns log Z too, as one
number. The noise that it is told from is :math:`N(m, s^2 I)`, the density at f = 0.

Reference: Hyvarinen (2005); Vincent (2011); Song et al. (2019); Gutmann and Hyvarinen (2010);
    Roberts and Tweedie (1996), the Metropolis-adjusted Langevin algorithm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.energy import nce, score_matching
from advnets.models.gradient_learner import GradientLearner
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain

Criterion = Literal["denoising", "sliced", "exact", "nce"]


@dataclass(frozen=True, kw_only=True)
class EnergyNetConfig(ModelConfig):
    """An energy that is a perceptron, for real values."""

    kind: ClassVar[str] = "energy-net"
    logged: ClassVar[str] = (
        "score is what score matching descends (its least value is not 0); contrast minus what "
        "noise contrast ascends, log 4 at first, and log_Z the number that it learns."
    )

    hidden: tuple[int, ...] = (128, 128)
    """Tanh units of each hidden layer."""
    criterion: Criterion = "denoising"
    """'denoising', 'sliced' or 'exact' score matching, or 'nce', noise contrast."""
    noise: float = 0.1
    """'denoising': deviation of the noise on the data; the density is that of noisy data."""
    step: float = 0.1
    """Of a Langevin move: its noise's deviation, in the units of the data."""
    optimizer: OptimizerConfig = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9)
    chain: ChainConfig = ChainConfig()

    def __post_init__(self) -> None:
        errors.at_least(1, layers=len(self.hidden))
        for n in self.hidden:
            errors.at_least(1, hidden=n)
        errors.one_of(get_args(Criterion), criterion=self.criterion)
        errors.positive(noise=self.noise, step=self.step)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


class EnergyNetwork(nn.Module):
    """The density but for Z.

    Args:
        mean: m, `(d,)`.
        span: s, in the units of the data: what tanh units and the noise are scaled by.
        hidden: Units of each hidden layer.
        learns_log_Z: Whether log Z is a parameter.
        rng: Draws the first weights; those to the output are 0, so that f begins at 0.
    """

    mean: Tensor
    span: Tensor

    def __init__(
        self,
        mean: Tensor,
        span: float,
        hidden: Sequence[int],
        *,
        learns_log_Z: bool = False,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        d = mean.numel()
        self.register_buffer("mean", mean.flatten().clone())
        self.register_buffer("span", torch.tensor(span))
        self.net = nn.Sequential()
        for i, o in pairwise((d, *hidden)):
            layer = nn.Linear(i, o)
            nn.init.normal_(layer.weight, 0, 2 * math.sqrt(2 / i), generator=rng)
            nn.init.uniform_(layer.bias, -2, 2, generator=rng)
            self.net.extend([layer, nn.Tanh()])
        last = nn.Linear(hidden[-1], 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net.append(last)
        if learns_log_Z:
            self.log_Z = nn.Parameter(torch.tensor(self.bowl()))

    def bowl(self) -> float:
        """Log Z at f = 0, in nats."""
        return len(self.mean) * math.log(float(self.span) * math.sqrt(2 * math.pi))

    def forward(self, x: Tensor) -> Tensor:
        r""":math:`\log \tilde p` of rows `(n, d)`, `(n,)`, in nats."""
        off = (x - self.mean) / self.span
        f: Tensor = self.net(off)[:, 0]
        return f - off.square().sum(dim=1) / 2


class EnergyNet(GradientLearner):
    """Descends a criterion that needs no Z.

    Args:
        config: The model.
        problem: What is known of the data and the run.
        seed: Of the first weights.
    """

    network: EnergyNetwork

    def __init__(self, config: EnergyNetConfig, problem: Problem, *, seed: int) -> None:
        network = EnergyNetwork(
            problem.mean,
            max((problem.high - problem.low) / 2, 1e-3),
            config.hidden,
            learns_log_Z=config.criterion == "nce",
            rng=generator(seed, "weights"),
        )
        super().__init__(network, config.optimizer, problem)
        self.config = config
        if config.chain.init == "data":
            self.keep_first(config.chain.chains, problem.mean)

    @classmethod
    def from_config(cls, config: EnergyNetConfig, problem: Problem, *, seed: int) -> "EnergyNet":
        """The model that a configuration describes."""
        return cls(config, problem, seed=seed)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The mean criterion of the minibatch."""
        rows, net, how = x.flatten(1), self.network, self.config.criterion
        if how == "nce":
            return self._contrast(rows, rng)
        if how == "exact":
            return {"score": score_matching.exact(net, rows).mean()}
        if how == "sliced":
            v = 2 * (self.uniform(*rows.shape, rng=rng) < 0.5).to(rows) - 1
            return {"score": score_matching.sliced(net, rows, v[None]).mean()}
        epsilon = self.normal(*rows.shape, rng=rng)
        J = score_matching.denoising(net, rows, epsilon, sigma=self.config.noise)
        return {"score": J.mean()}

    def _contrast(self, rows: Tensor, rng: torch.Generator) -> Mapping[str, Tensor]:
        net, epsilon = self.network, self.normal(*rows.shape, rng=rng)
        a = [
            nce.logits(net(y) - net.log_Z, self._log_noise(y))
            for y in (rows, net.mean + net.span * epsilon)
        ]
        return {"contrast": -nce.objective(*a), "log_Z": net.log_Z}

    def _log_noise(self, x: Tensor) -> Tensor:
        off = (x - self.network.mean) / self.network.span
        return -off.square().sum(dim=1) / 2 - self.network.bowl()

    def samplers(self) -> dict[str, MarkovChain]:
        """`chain`: Langevin moves, each taken or refused by Metropolis."""
        return {"chain": self.config.chain.run(Langevin(self))}


class Langevin:
    r"""The Metropolis-adjusted Langevin algorithm; the state is x, `(chains, d)`.

    .. math:: x' = x + \tfrac{h^2}{2} \nabla \log \tilde p(x) + h \epsilon

    Args:
        model: Whose density is sampled, as it is when the chain moves.
    """

    def __init__(self, model: EnergyNet) -> None:
        self.model, self.event_shape = model, model.event_shape

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """From the noise, or the first examples seen."""
        net = self.model.network
        if self.model.config.chain.init == "data":
            first = self.model.kept["first"]
            return first[torch.arange(chains) % len(first)].flatten(1)
        return net.mean + net.span * self._normal((chains, len(net.mean)), rng)

    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """One move of every chain."""
        h, epsilon = self.model.config.step, self._normal(state.shape, rng)
        before, drift = self._density(state)
        proposed = state + h**2 / 2 * drift + h * epsilon
        after, back = self._density(proposed)
        reverse = (state - proposed - h**2 / 2 * back) / h
        ratio = after - before + (epsilon.square() - reverse.square()).sum(dim=1) / 2
        u = torch.rand(len(state), generator=rng, device=rng.device).to(state)
        return torch.where((u.log() < ratio)[:, None], proposed, state)

    def observe(self, state: Tensor, *, rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """X itself."""
        return state.view(-1, *self.event_shape)

    def _density(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            log_p = self.model.network(x)
            (gradient,) = torch.autograd.grad(log_p.sum(), x)
        return log_p.detach(), gradient

    def _normal(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        noise = torch.randn(*shape, generator=rng, device=rng.device)
        return noise.to(self.model.network.mean)

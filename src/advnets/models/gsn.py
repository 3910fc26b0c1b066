r"""The deep generative stochastic network: a chain that corrupts x and learns to denoise it.

Layers :math:`h_0 = x, h_1, \dots, h_K` with weights tied between the directions. Each reads its
neighbours. Hidden layers except h_1 get noise before and after their nonlinearity f:

.. math:: a_i = b_i + h_{i-1} W_i + h_{i+1} W_{i+1}^\top, \qquad
          h_1 = f(a_1), \quad h_i = f(a_i + \eta) + \eta', \quad \eta, \eta' \sim N(0, \sigma^2 I)

and p(x|h) is Bernoulli with means sigmoid(a_0). One update is all odd layers, then all even ones:
h_0 becomes a draw from p(x|h), corrupted by salt and pepper. Walkback starts from a corrupted x and
h = 0, makes N updates, and descends the sum of the cross-entropies of all N reconstructions with
the clean x. The same updates, repeated, are the sampler.

Reference: Bengio, Laufer, Alain and Yosinski (2014), Deep generative stochastic networks trainable
    by backprop; yaoli/GSN, `model.py` and `run_gsn.py`: every constant, and where the noise is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.autoencoders.corruption import salt_and_pepper
from advnets.models.bernoulli import bernoulli
from advnets.models.gradient_learner import GradientLearner
from advnets.nn.init import logit_of_marginals
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain, Shown
from advnets.storage.environment import Precision

Activation = Literal["tanh", "rectifier"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "rectifier": torch.relu,
}

AUTHORS_RULE = OptimizerConfig(
    lr=0.25 * (1 - 0.5), lr_decay=0.995 ** (-1 / 500), momentum=0.5, final_momentum=0.5
)
r"""The authors' rule, rate .25 times .995 an epoch of 500 minibatches, in our `Momentum`'s terms.

Theirs averages the gradients g_t, :math:`v_t = m v_{t-1} + (1 - m) g_t` and
:math:`\theta_t = \theta_{t-1} - \eta_t v_t`. With :math:`u_t = -\eta_t v_t` that is

.. math:: u_t = \frac{\eta_t}{\eta_{t-1}} m u_{t-1} - (1 - m) \eta_t g_t, \qquad
          \theta_t = \theta_{t-1} + u_t

which is `Momentum` with the rate :math:`(1 - m) \eta_t` and the momentum
:math:`m \eta_t / \eta_{t-1}`. Here the rate falls at every minibatch instead of every epoch, so
that this ratio is always 1 - 1e-5 and is taken as 1.
"""


@dataclass(frozen=True, kw_only=True)
class GSNConfig(ModelConfig):
    """The deep GSN. The defaults are its authors' for MNIST."""

    kind: ClassVar[str] = "gsn"
    logged: ClassVar[str] = (
        "cost, summed over the reconstructions, in nats per pixel, is the loss; first and last are "
        "the losses of the first and the last reconstruction, in nats per example."
    )

    hidden: tuple[int, ...] = (1500, 1500)
    """Units of each hidden layer, from the lowest up."""
    activation: Activation = "tanh"
    """f: 'tanh', or 'rectifier', with which the feedback loop is unbounded."""
    salt_and_pepper: float = 0.4
    """Share of the pixels that become 0 or 1, with equal probability, in x and in every
    reconstruction."""
    hidden_noise: float = 2.0
    """Standard deviation of the noise before and after the nonlinearity of h_2 and above."""
    noisy_h1: bool = False
    """Whether h_1 gets that noise too."""
    bias_from_marginals: bool = False
    """Whether p(x|h) starts at the training mean (the bias of x at its logit) instead of bias 0."""
    walkback: int = 4
    """N, the updates in one training step, with one reconstruction each."""
    optimizer: OptimizerConfig = AUTHORS_RULE
    """The optimizer, for a loss in nats per pixel, summed over the reconstructions."""
    precision: Precision = "auto"
    """Precision of training; samples and scores are float32."""
    published: ChainConfig = ChainConfig(chains=1, burn_in=0, thin=1, init="data")
    """The sampler `published`: one chain of consecutive steps, as the authors', starting at a
    training example (theirs at a test image)."""
    burnt_in: ChainConfig = ChainConfig(chains=100, burn_in=1000, thin=10, init="noise")
    """The sampler `burnt-in`: chains after a burn-in."""

    def __post_init__(self) -> None:
        errors.require(len(self.hidden) > 0, "hidden", "at least one layer", "none")
        for units in self.hidden:
            errors.at_least(1, hidden=units)
        errors.one_of(ACTIVATIONS, activation=self.activation)
        errors.one_of(get_args(Precision), precision=self.precision)
        share = self.salt_and_pepper
        errors.require(0 <= share <= 1, "salt_and_pepper", "from 0 to 1", share)
        errors.at_least(0, hidden_noise=self.hidden_noise)
        errors.at_least(1, walkback=self.walkback)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


class Noise(NamedTuple):
    """Sources of random numbers: functions of a shape."""

    uniform: Callable[..., Tensor]
    """U[0, 1)."""
    normal: Callable[..., Tensor]
    """N(0, 1)."""

    @classmethod
    def of(cls, rng: torch.Generator) -> "Noise":
        """The numbers of one generator."""
        made = {"generator": rng, "device": rng.device}
        return cls(partial(torch.rand, **made), partial(torch.randn, **made))


class Layers(nn.Module):
    r"""The layers of a GSN and their two half updates, in place on a list of their values.

    The list holds h_0 to h_K, each `(n, units)`; None stands for a layer of zeros. Weights start
    from :math:`U(\pm \sqrt{6 / (n_{i-1} + n_i)})`, biases at 0.

    Args:
        config: Sizes, nonlinearity and noise.
        inputs: Pixels of one example.
        rng: Draws the initial weights.
    """

    def __init__(self, config: GSNConfig, inputs: int, *, rng: torch.Generator) -> None:
        super().__init__()
        self.sizes, self.config = (inputs, *config.hidden), config
        self.biases = nn.ParameterList(torch.zeros(units) for units in self.sizes)
        self.weights = nn.ParameterList()
        for i, o in pairwise(self.sizes):
            bound = math.sqrt(6 / (i + o))
            self.weights.append(torch.empty(i, o).uniform_(-bound, bound, generator=rng))
        self.K, self.f = len(config.hidden), ACTIVATIONS[config.activation]

    def affine(self, i: int, h: Sequence[Tensor | None], n: int) -> Tensor:
        """a_i, the input of layer i from its neighbours in `h`, `(n, units)`."""
        a: Tensor = self.biases[i].expand(n, -1)
        if i > 0 and (below := h[i - 1]) is not None:
            a = torch.addmm(a, below, self.weights[i - 1])
        if i < self.K and (above := h[i + 1]) is not None:
            a = torch.addmm(a, above, self.weights[i].T)
        return a

    def hidden(self, i: int, h: Sequence[Tensor | None], n: int, noise: Noise) -> Tensor:
        """h_i from its neighbours, with its noise, if any, before and after f."""
        a = self.affine(i, h, n)
        if not self.config.hidden_noise or (i == 1 and not self.config.noisy_h1):
            return self.f(a)
        return self._blurred(self.f(self._blurred(a, noise)), noise)

    def _blurred(self, a: Tensor, noise: Noise) -> Tensor:
        return torch.add(a, noise.normal(*a.shape).to(a), alpha=self.config.hidden_noise)

    def corrupted(self, x: Tensor, noise: Noise) -> Tensor:
        """X with salt and pepper on it."""
        return salt_and_pepper(x, self.config.salt_and_pepper, noise.uniform(*x.shape).to(x.device))

    def odd(self, h: list[Tensor | None], n: int, noise: Noise) -> None:
        """Update h_1, h_3, ..."""
        for i in range(1, self.K + 1, 2):
            h[i] = self.hidden(i, h, n, noise)

    def even(self, h: list[Tensor | None], logits: Tensor, noise: Noise) -> None:
        """Update h_0, by a draw from p(x|h) that is corrupted again, and h_2, h_4, ...

        The logits are a_0, of p(x|h); no gradient passes through the draw.
        """
        u = noise.uniform(*logits.shape).to(logits.device)
        h[0] = self.corrupted(bernoulli(logits.detach().sigmoid(), u), noise)
        for i in range(2, self.K + 1, 2):
            h[i] = self.hidden(i, h, len(logits), noise)

    def walk(self, x: Tensor, updates: int, noise: Noise) -> list[Tensor]:
        """The logits of all reconstructions of clean rows x, `(n, inputs)` each.

        The even layers of the last update are skipped: no reconstruction depends on them.
        """
        h: list[Tensor | None] = [self.corrupted(x, noise), *[None] * self.K]
        logits: list[Tensor] = []
        for _ in range(updates):
            if logits:
                self.even(h, logits[-1], noise)
            self.odd(h, len(x), noise)
            logits.append(self.affine(0, h, len(x)))
        return logits


@dataclass(frozen=True)
class GSNChain:
    r"""The sampler's transition: one update of all layers.

    A state is the odd layers side by side, :math:`(h_1, h_3, \dots)`: the next state depends on
    nothing else. The initial state is the odd half of the first update, from a corrupted example
    and h = 0.

    Attributes:
        layers: The network.
        event_shape: Shape of one x.
        start: Examples at which the chains start in turn, `(n, *event_shape)`; None for pixels that
            are 0 or 1 with equal probability.
        shown: The means of p(x|h), or draws from it.
    """

    layers: Layers
    event_shape: tuple[int, ...]
    start: Tensor | None
    shown: Shown = "means"

    @torch.no_grad()
    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """The first state of each chain."""
        noise, weight = Noise.of(rng), self.layers.weights[0]
        if self.start is None:
            x = noise.uniform(chains, len(weight)).round().to(weight)
        else:
            rows = torch.arange(chains, device=self.start.device) % len(self.start)
            x = self.layers.corrupted(self.start[rows].flatten(1).to(weight), noise)
        return self._odd([x, *[None] * self.layers.K], chains, noise)

    @torch.no_grad()
    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The even layers from the odd ones, then the odd ones from those."""
        noise, h = Noise.of(rng), self._layers_of(state)
        self.layers.even(h, self.layers.affine(0, h, len(state)), noise)
        return self._odd(h, len(state), noise)

    @torch.no_grad()
    def observe(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The means of p(x|h), or a draw, `(chains, *event_shape)`."""
        p = self.layers.affine(0, self._layers_of(state), len(state)).sigmoid()
        if self.shown == "binary":
            p = bernoulli(p, torch.rand(p.shape, generator=rng, device=rng.device).to(p.device))
        return p.view(-1, *self.event_shape)

    def _odd(self, h: list[Tensor | None], n: int, noise: Noise) -> Tensor:
        self.layers.odd(h, n, noise)
        return torch.cat([layer for layer in h[1::2] if layer is not None], dim=1)

    def _layers_of(self, state: Tensor) -> list[Tensor | None]:
        h: list[Tensor | None] = [None] * (self.layers.K + 1)
        h[1::2] = torch.split(state, list(self.layers.sizes[1::2]), dim=1)
        return h


class GSN(GradientLearner):
    """A deep GSN, trained by walkback. Raises `BadValue` for data outside [0, 1]."""

    def __init__(self, config: GSNConfig, problem: Problem, *, seed: int) -> None:
        if not 0 <= problem.low <= problem.high <= 1:
            raise errors.outside_unit_interval("data", problem.low, problem.high, choose=None)
        layers = Layers(config, problem.mean.numel(), rng=generator(seed, "weights"))
        if config.bias_from_marginals:
            layers.biases[0].data = logit_of_marginals(problem.mean.flatten())
        super().__init__(layers, config.optimizer, problem, precision=config.precision)
        self.config, self.layers = config, layers
        self.keep_first(max(config.published.chains, config.burnt_in.chains), problem.mean)

    @classmethod
    def from_config(cls, config: GSNConfig, problem: Problem, *, seed: int) -> "GSN":
        """The model of a configuration, with initial weights drawn from the seed."""
        return cls(config, problem, seed=seed)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The walkback loss and its metrics.

        Returns:
            `cost`, the sum over the reconstructions of their cross-entropies with the clean x, each
            in nats per pixel, the unit of the authors' learning rate; `first` and `last`, the first
            and the last of them, in nats per example.
        """
        noise = Noise(partial(self.uniform, rng=rng), partial(self.normal, rng=rng))
        layers: Layers = self.compute_module  # type: ignore[assignment]
        walk = layers.walk(x.flatten(1).to(self.playing), self.config.walkback, noise)
        clean = x.flatten(1).float()
        pixels = [F.binary_cross_entropy_with_logits(a.float(), clean) for a in walk]
        cost, d = torch.stack(pixels).sum(), clean.shape[1]
        return {"cost": cost, "first": d * pixels[0], "last": d * pixels[-1]}

    def samplers(self) -> dict[str, MarkovChain]:
        """`published`: the authors' chain. `burnt-in`: chains after a burn-in."""
        chains = {"published": self.config.published, "burnt-in": self.config.burnt_in}
        return {name: self._run(chain) for name, chain in chains.items()}

    def _run(self, chain: ChainConfig) -> MarkovChain:
        start = self.kept["first"] if chain.init == "data" else None
        return chain.run(GSNChain(self.layers, self.event_shape, start=start, shown=chain.shown))

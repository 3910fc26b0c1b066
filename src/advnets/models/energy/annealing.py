r"""Paths from independent units to Boltzmann machines, for annealed importance sampling.

The base is independent visible units at the data's base rates b_A, beside hidden units that are
fair coins; weights and biases come in with beta:

.. math:: \tilde p_\beta(v) = \exp\Big( (1 - \beta) b_A^\top v + \beta b^\top v
          + \sum_j \log(1 + e^{\beta a_j(v)}) \Big)

Reference: Salakhutdinov and Murray (2008), Section 4.1.
"""

import math

import torch
from torch import Tensor, nn

from advnets.models.bernoulli import bernoulli
from advnets.models.energy.deep_energy import DeepEnergy
from advnets.models.energy.energy import Energy, GaussianEnergy
from advnets.nn.kernels import product

softplus = nn.functional.softplus
SMOOTHING = 0.05
"""Pseudo-counts of ones for each example: 5 for every minibatch of 100, as published."""

OPTIMISTIC = (
    "log Z by AIS is below the truth on average, so log p(x) is above it (optimistic), by little "
    "where the weights agree."
)
"""Of a log p(x) that is exact but for log Z."""


def base_rates(mean: Tensor) -> Tensor:
    r""":math:`b_A = \text{logit}((mean + .05) / 1.05)`, of the training set's mean in [0, 1]."""
    return torch.logit((mean.flatten().double() + SMOOTHING) / (1 + SMOOTHING))


class RBMPath:
    r"""The path to p(v) of a restricted Boltzmann machine; the state is v.

    Gaussian visible units have the base :math:`N(b, \sigma^2 I)`.

    Args:
        energy: The target's.
        b_A: Biases of binary visible units in the base; its own by default.
    """

    def __init__(self, energy: Energy, b_A: Tensor | None = None) -> None:
        self.energy = energy
        self.b_A = energy.b.detach() if b_A is None else b_A.to(energy.b)
        self.pull = energy.b.detach() - self.b_A
        n_h, n_v = energy.W.shape
        bell = n_v * math.log(math.sqrt(2 * math.pi))
        if isinstance(energy, GaussianEnergy):
            log_Z = torch.tensor(bell + n_v * math.log(energy.sigma), dtype=torch.float64)
        else:
            log_Z = softplus(self.b_A.double()).sum()
        self.log_Z_base = log_Z + n_h * math.log(2)
        self._last: tuple[Tensor, Tensor] | None = None

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """V of the base, `(chains, n_v)`."""
        means = self.b_A.sigmoid() if self.energy.binary else self.b_A
        means = means.expand(chains, -1)
        return self.energy.draw_visible(means, uniform_like(means, rng))

    def log_ratio(self, state: Tensor, low: float, high: float) -> Tensor:
        """Of two temperatures, in nats, `(chains,)`."""
        a = self._logits(state)
        hidden = (softplus(high * a) - softplus(low * a)).sum(dim=1)
        return hidden + (high - low) * (state @ self.pull)

    def step(self, state: Tensor, beta: float, *, rng: torch.Generator) -> Tensor:
        """One sweep of block Gibbs at beta."""
        p = (beta * self._logits(state)).sigmoid()
        h = bernoulli(p, uniform_like(p, rng)) * beta
        if self.energy.binary:
            bias = self.b_A + beta * self.pull
            means = product(h, self.energy.W.T, bias).sigmoid()
        else:
            means = self.energy.visible(h)
        return self.energy.draw_visible(means, uniform_like(means, rng))

    def _logits(self, v: Tensor) -> Tensor:
        """Those of h, kept from the weight to the move that follows."""
        if self._last is None or self._last[0] is not v:
            self._last = v, self.energy.hidden(v)
        return self._last[1]


def uniform_like(t: Tensor, rng: torch.Generator) -> Tensor:
    """U[0, 1) of a tensor's shape, where and what it is."""
    return torch.rand(t.shape, generator=rng, device=rng.device, dtype=t.dtype).to(t.device)


class DBMPath:
    r"""The path to p(h_1) of a Boltzmann machine with two hidden layers; the state is h_1.

    v and h_2 are summed out, all weights and biases come in with beta:

    .. math:: \log \tilde p_\beta(h_1) = \beta c_1^\top h_1
              + \sum_i \log(1 + e^{(1 - \beta) b_{A, i} + \beta a_i(h_1)})
              + \sum_j \log(1 + e^{\beta a_j(h_1)})

    Args:
        energy: The target's.
        b_A: Biases of the visible units in the base; its own by default.
    """

    def __init__(self, energy: DeepEnergy, b_A: Tensor | None = None) -> None:
        self.energy = energy
        self.b_A = energy.b.detach() if b_A is None else b_A.to(energy.b)
        coins = len(energy.c1) + len(energy.c2)
        self.log_Z_base = softplus(self.b_A.double()).sum() + coins * math.log(2)

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """h_1 of the base, `(chains, n_1)`."""
        p = torch.full_like(self.energy.c1, 0.5).expand(chains, -1)
        return bernoulli(p, uniform_like(p, rng))

    def log_ratio(self, state: Tensor, low: float, high: float) -> Tensor:
        """Of two temperatures, in nats, `(chains,)`."""
        # What h_1 says to v beyond the base: 0 exactly where nothing is between the two.
        beyond = product(state, self.energy.W1.T) + (self.energy.b - self.b_A)
        second = self.energy.second(state)
        visible = softplus(self.b_A + high * beyond) - softplus(self.b_A + low * beyond)
        above = softplus(high * second) - softplus(low * second)
        return (high - low) * (state @ self.energy.c1) + visible.sum(dim=1) + above.sum(dim=1)

    def step(self, state: Tensor, beta: float, *, rng: torch.Generator) -> Tensor:
        """One sweep of block Gibbs at beta."""
        e = self.energy
        beyond = product(state, e.W1.T) + (e.b - self.b_A)
        p_v, p_2 = (self.b_A + beta * beyond).sigmoid(), (beta * e.second(state)).sigmoid()
        v, h2 = bernoulli(p_v, uniform_like(p_v, rng)), bernoulli(p_2, uniform_like(p_2, rng))
        p = (beta * e.first(v, h2)).sigmoid()
        return bernoulli(p, uniform_like(p, rng))

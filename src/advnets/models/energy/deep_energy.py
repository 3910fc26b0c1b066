r"""The energy of a Boltzmann machine with two hidden layers, and its mean field.

.. math:: E(v, h_1, h_2) = -b^\top v - c_1^\top h_1 - c_2^\top h_2
          - h_1^\top W_1 v - h_2^\top W_2 h_1

Given h_1 the outer layers v and h_2 are independent; given them, h_1 is. No sum over both hidden
layers is known, so :math:`\log p(v)` is bounded by a factorial q with means mu:

.. math:: \log p(v) \ge -E(v, \mu_1, \mu_2) + H(\mu_1) + H(\mu_2) - \log Z

Reference: Salakhutdinov and Hinton (2009), Deep Boltzmann machines.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.models.bernoulli import bernoulli
from advnets.models.energy.energy import Draw
from advnets.nn.kernels import product
from advnets.theory import enumeration

softplus = nn.functional.softplus


class MeanField(NamedTuple):
    """The means of a factorial q(h_1, h_2 | v), of shapes `(n, n_1)` and `(n, n_2)`."""

    mu1: Tensor
    mu2: Tensor


class DeepEnergy(nn.Module):
    """Binary units in three layers.

    Args:
        n_v: Visible units.
        n_1: Units of the first hidden layer.
        n_2: Of the second.
        rng: Draws the weights from N(0, stdev^2); biases are 0.
        stdev: Of the weights.
    """

    def __init__(
        self,
        n_v: int,
        n_1: int,
        n_2: int,
        *,
        stdev: float = 0.01,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        errors.at_least(1, n_v=n_v, n_1=n_1, n_2=n_2)
        self.W1 = nn.Parameter(torch.randn(n_1, n_v, generator=rng) * stdev)
        self.W2 = nn.Parameter(torch.randn(n_2, n_1, generator=rng) * stdev)
        self.b = nn.Parameter(torch.zeros(n_v))
        self.c1 = nn.Parameter(torch.zeros(n_1))
        self.c2 = nn.Parameter(torch.zeros(n_2))

    def energy(self, v: Tensor, h1: Tensor, h2: Tensor) -> Tensor:
        """E(v, h_1, h_2) of rows, `(n,)`, in nats."""
        biases = v @ self.b + h1 @ self.c1 + h2 @ self.c2
        return -biases - ((v @ self.W1.T) * h1).sum(dim=1) - ((h1 @ self.W2.T) * h2).sum(dim=1)

    def first(self, v: Tensor, h2: Tensor) -> Tensor:
        """The logits of h_1 given v and h_2, `(n, n_1)`."""
        return product(v, self.W1, self.c1) + product(h2, self.W2.T)

    def second(self, h1: Tensor) -> Tensor:
        """The logits of h_2 given h_1, `(n, n_2)`."""
        return product(h1, self.W2, self.c2)

    def visible(self, h1: Tensor) -> Tensor:
        """The logits of v given h_1, `(n, n_v)`."""
        return product(h1, self.W1.T, self.b)

    def up(self, v: Tensor) -> Tensor:
        """A first guess at the means of h_1: from v alone, whose weights count twice."""
        return product(v, 2 * self.W1, self.c1).sigmoid()

    def gibbs(self, h1: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One sweep: v and h_2 given h_1, then h_1.

        Returns:
            v, h_2, the logits of the new h_1, and it.
        """
        p_v, p_2 = self.visible(h1).sigmoid(), self.second(h1).sigmoid()
        v, h2 = bernoulli(p_v, draw(*p_v.shape)), bernoulli(p_2, draw(*p_2.shape))
        a = self.first(v, h2)
        return v, h2, a, bernoulli(a.sigmoid(), draw(*a.shape))

    def mean_field(self, v: Tensor, updates: int) -> MeanField:
        """The means after so many updates of both layers, each of which raises the bound."""
        mu1 = self.up(v)
        mu2 = self.second(mu1).sigmoid()
        bottom_up = product(v, self.W1, self.c1)
        for _ in range(updates):
            mu1 = (bottom_up + product(mu2, self.W2.T)).sigmoid()
            mu2 = self.second(mu1).sigmoid()
        return MeanField(mu1, mu2)

    def bound(self, v: Tensor, q: MeanField) -> Tensor:
        r"""What :math:`\log \sum_h e^{-E(v, h)}` is at least, `(n,)`, in nats."""
        parts = [torch.special.entr(p).sum(dim=1) for mu in q for p in (mu, 1 - mu)]
        return torch.stack(parts).sum(dim=0) - self.energy(v, *q)

    def log_sum_outer(self, h1: Tensor) -> Tensor:
        r""":math:`\log \sum_{v, h_2} e^{-E}`, `(n,)`."""
        outer = softplus(self.visible(h1)).sum(dim=1) + softplus(self.second(h1)).sum(dim=1)
        return h1 @ self.c1 + outer

    def log_sum_first(self, v: Tensor, h2: Tensor) -> Tensor:
        r""":math:`\log \sum_{h_1} e^{-E}`, `(n,)`."""
        return v @ self.b + h2 @ self.c2 + softplus(self.first(v, h2)).sum(dim=1)

    @torch.no_grad()
    def log_sum_hidden(self, v: Tensor) -> Tensor:
        r""":math:`\log \sum_{h_1, h_2} e^{-E}` exactly, by all states of h_2: `(n,)`, float64.

        Raises:
            BadValue: For more than 25 units in the second hidden layer.
        """
        exact = self.exact()
        return enumeration.log_marginal(exact.log_sum_first, v.cpu(), len(self.c2))

    @torch.no_grad()
    def log_Z(self) -> Tensor:
        """Exactly, by all states of h_1 or of v and h_2, whichever are fewer: 0-d, float64.

        Raises:
            BadValue: Where both are more than 25 units.
        """
        exact, n_1, n_v = self.exact(), len(self.c1), len(self.b)
        outer = n_v + len(self.c2)
        if n_1 <= outer:
            return enumeration.log_sum(exact.log_sum_outer, n_1)
        return enumeration.log_sum(lambda s: exact.log_sum_first(s[:, :n_v], s[:, n_v:]), outer)

    def exact(self) -> "DeepEnergy":
        """A copy in float64 on the CPU."""
        return copy.deepcopy(self).double().cpu()

r"""The energy of a restricted Boltzmann machine, and what follows from it in closed form.

.. math:: p(v, h) = e^{-E(v, h)} / Z, \qquad F(v) = -\log \sum_h e^{-E(v, h)}, \qquad
          p(v) = e^{-F(v)} / Z

Reference: Smolensky (1986); Hinton (2002), Training products of experts by minimizing contrastive
    divergence; for Gaussian units Welling et al. (2005), Exponential family harmoniums.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.models.bernoulli import bernoulli
from advnets.nn.kernels import product
from advnets.theory.enumeration import ENUMERABLE, log_sum

Draw = Callable[..., Tensor]
"""Uniform numbers on [0, 1) of the shape that is asked for."""


class Energy(nn.Module):
    r"""Binary visible and binary hidden units.

    .. math:: E(v, h) = -b^\top v - c^\top h - h^\top W v

    Args:
        n_v: Visible units.
        n_h: Hidden units.
        rng: Draws W from :math:`N(0, stdev^2)`; b and c are 0.
        stdev: Of the weights.
    """

    binary = True

    def __init__(
        self, n_v: int, n_h: int, *, stdev: float = 0.01, rng: torch.Generator | None = None
    ) -> None:
        super().__init__()
        errors.at_least(1, n_v=n_v, n_h=n_h)
        self.W = nn.Parameter(torch.randn(n_h, n_v, generator=rng) * stdev)
        self.b = nn.Parameter(torch.zeros(n_v))
        self.c = nn.Parameter(torch.zeros(n_h))

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) of `(n, n_v)` and `(n, n_h)`: of shape `(n,)`, in nats."""
        return -(v @ self.b) - h @ self.c - ((v @ self.W.T) * h).sum(dim=1)

    def hidden(self, v: Tensor) -> Tensor:
        r"""The logits of :math:`p(h_j = 1 | v) = \sigma(c + W v)_j`, of shape `(n, n_h)`."""
        return product(v, self.W, self.c)

    def visible(self, h: Tensor) -> Tensor:
        r""":math:`E[v | h] = \sigma(b + W^\top h)`, of shape `(n, n_v)`."""
        return product(h, self.W.T, self.b).sigmoid_()

    def draw_visible(self, means: Tensor, u: Tensor) -> Tensor:
        """V given h by its means, from uniform `u` of the same shape."""
        return bernoulli(means, u)

    def gibbs(self, h: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """One step of block Gibbs: v ~ p(v | h), then h ~ p(h | v).

        Returns:
            v, the logits of p(h = 1 | v), and the new h.
        """
        means = self.visible(h)
        v = self.draw_visible(means, draw(*means.shape))
        a = self.hidden(v)
        return v, a, bernoulli(a.sigmoid(), draw(*a.shape))

    def free_energy(self, v: Tensor, a: Tensor | None = None) -> Tensor:
        r""":math:`F(v) = -b^\top v - \sum_j \log(1 + e^{a_j})`: of shape `(n,)`, in nats.

        :math:`a = c + W v`, the logits of the hidden units, may be given.
        """
        a = self.hidden(v) if a is None else a
        return -(v @ self.b) - nn.functional.softplus(a).sum(dim=1)

    def gradient(self, v: Tensor, a: Tensor, along: Tensor) -> list[Tensor]:
        r"""The gradient of :math:`\sum_i r_i F(v_i)` in W, b and c, without autograd.

        .. math:: \nabla_W F(v) = -p(h = 1 | v) \, v^\top, \quad \nabla_b F(v) = -v, \quad
                  \nabla_c F(v) = -p(h = 1 | v)

        Args:
            v: Visible states, of shape `(n, n_v)`.
            a: The logits of p(h = 1 | v), of shape `(n, n_h)`.
            along: r, of shape `(n,)`.
        """
        weighted = a.sigmoid().mul_(-along[:, None])
        return [weighted.T @ v, -(along @ v), weighted.sum(dim=0)]

    def log_sum_visible(self, h: Tensor) -> Tensor:
        r""":math:`\log \sum_v e^{-E(v, h)}`, of shape `(n,)`."""
        return h @ self.c + nn.functional.softplus(h @ self.W + self.b).sum(dim=1)

    @torch.no_grad()
    def log_Z(self) -> Tensor:
        r""":math:`\log \sum_{v, h} e^{-E(v, h)}`, exactly: over all states of the smaller side.

        The other side is summed in closed form. 0-d, float64, in nats.

        Raises:
            BadValue: When neither side has at most 25 (binary) units.
        """
        n_h, n_v = self.W.shape
        over_visible = self.binary and n_v < n_h
        n = n_v if over_visible else n_h
        if n > ENUMERABLE:
            raise errors.bad_value(
                "log_Z",
                f"asked of a machine with at most {ENUMERABLE} binary units on one side "
                "(advnets.evaluation.ais estimates it)",
                f"{n_v} visible and {n_h} hidden units: 2^{n} states",
            )
        exact = copy.deepcopy(self).double().cpu()
        if over_visible:
            return log_sum(lambda v: -exact.free_energy(v), n)
        return log_sum(exact.log_sum_visible, n)


class GaussianEnergy(Energy):
    r"""Gaussian visible units of standard deviation :math:`\sigma`, and binary hidden units.

    .. math:: E(v, h) = \|v - b\|^2 / 2 \sigma^2 - c^\top h - h^\top W v / \sigma

    so that :math:`v | h \sim N(b + \sigma W^\top h, \sigma^2 I)`.

    Args:
        n_v: Visible units.
        n_h: Hidden units.
        sigma: In the units of the data; it is not learnt.
        rng: Draws W from :math:`N(0, stdev^2)`; b and c are 0.
        stdev: Of the weights.
    """

    binary = False

    def __init__(
        self,
        n_v: int,
        n_h: int,
        *,
        sigma: float = 1.0,
        stdev: float = 0.01,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_v, n_h, stdev=stdev, rng=rng)
        errors.positive(sigma=sigma)
        self.sigma = sigma

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) of `(n, n_v)` and `(n, n_h)`: of shape `(n,)`, in nats."""
        bowl = (v - self.b).square().sum(dim=1) / (2 * self.sigma**2)
        return bowl - h @ self.c - ((v / self.sigma @ self.W.T) * h).sum(dim=1)

    def hidden(self, v: Tensor) -> Tensor:
        r"""The logits of :math:`p(h_j = 1 | v) = \sigma(c + W v / \sigma)_j`: `(n, n_h)`."""
        return product(v / self.sigma, self.W, self.c)

    def visible(self, h: Tensor) -> Tensor:
        r""":math:`E[v | h] = b + \sigma W^\top h`, of shape `(n, n_v)`."""
        return product(self.sigma * h, self.W.T, self.b)

    def draw_visible(self, means: Tensor, u: Tensor) -> Tensor:
        r""":math:`v = E[v | h] + \sigma \Phi^{-1}(u)`, of shape `(n, n_v)`."""
        inside = u.clamp(2**-25, 1 - 2**-24)
        noise: Tensor = torch.special.ndtri(inside)
        return means + self.sigma * noise

    def free_energy(self, v: Tensor, a: Tensor | None = None) -> Tensor:
        r""":math:`F(v) = \|v - b\|^2 / 2 \sigma^2 - \sum_j \log(1 + e^{a_j})`: `(n,)`, in nats."""
        a = self.hidden(v) if a is None else a
        bowl = (v - self.b).square().sum(dim=1) / (2 * self.sigma**2)
        return bowl - nn.functional.softplus(a).sum(dim=1)

    def gradient(self, v: Tensor, a: Tensor, along: Tensor) -> list[Tensor]:
        r"""As for binary units, but :math:`v / \sigma` in W and :math:`(v - b) / \sigma^2` in b."""
        of_W, of_b, of_c = super().gradient(v / self.sigma, a, along)
        return [of_W, of_b / self.sigma + along.sum() * self.b / self.sigma**2, of_c]

    def log_sum_visible(self, h: Tensor) -> Tensor:
        r""":math:`\log \int e^{-E(v, h)} dv`, of shape `(n,)`.

        .. math:: c^\top h + b^\top W^\top h / \sigma + \|W^\top h\|^2 / 2
                  + n_v \log(\sigma \sqrt{2 \pi})
        """
        pull, n_v = h @ self.W, self.W.shape[1]
        bell = n_v * math.log(self.sigma * math.sqrt(2 * math.pi))
        return h @ self.c + pull @ self.b / self.sigma + pull.square().sum(dim=1) / 2 + bell

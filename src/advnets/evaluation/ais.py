r"""Annealed importance sampling: log Z from a base whose Z is known, temperature by temperature.

States begin as exact samples of the base and move towards the target; at each temperature the
weight is taken first, then the move is made:

.. math:: \log w = \sum_k \log \frac{\tilde p_{\beta_k}(s_{k-1})}{\tilde p_{\beta_{k-1}}(s_{k-1})},
          \qquad E[w] = Z / Z_{base}

so that the log of the mean weight is below log Z on average (Jensen). Run backwards from exact
samples of the target, the same sum has :math:`E[w'] = Z_{base} / Z` and bounds log Z from above:
the two together are the sandwich of bidirectional Monte Carlo.

Reference: Neal (2001), Annealed importance sampling; Salakhutdinov and Murray (2008), On the
    quantitative analysis of deep belief networks; Grosse, Ghahramani and Adams (2015), Sandwiching
    the marginal likelihood using bidirectional Monte Carlo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import AnnealingPath


def linear(n: int) -> list[float]:
    """0 to 1 in n equal steps."""
    errors.at_least(1, temperatures=n)
    return [k / n for k in range(n + 1)]


def sigmoid(n: int, *, radius: float = 4.0) -> list[float]:
    r"""0 to 1 in n steps that are small at both ends, along a sigmoid on :math:`\pm radius`.

    Reference: Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of
        decoder-based generative models.
    """
    errors.at_least(1, temperatures=n)
    errors.positive(radius=radius)
    s = [1 / (1 + math.exp(radius - 2 * radius * k / n)) for k in range(n + 1)]
    inside = [(b - s[0]) / (s[-1] - s[0]) for b in s[1:-1]]
    return [0.0, *inside, 1.0]


def published() -> list[float]:
    """The 14,500 steps of Salakhutdinov and Murray: by 1e-3 to .5, 1e-4 to .9, 1e-5 to 1."""
    coarse = [k / 1_000 for k in range(500)]
    return [
        *coarse,
        *(k / 10_000 for k in range(5_000, 9_000)),
        *(k / 100_000 for k in range(90_000, 100_001)),
    ]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What chains have weighed on their way, and what follows from it for log Z."""

    log_weights: Tensor
    """Of each chain, `(chains, ...)`, float64, in nats."""
    base: Tensor
    """Log Z of where the weights count from, in nats."""
    upward: bool = True
    """Whether the way was from the base to the target."""

    @property
    def log_Z(self) -> Tensor:
        """The estimate, in nats: below the truth on average, or above, where the way was down."""
        n = len(self.log_weights)
        log_mean = self.log_weights.logsumexp(dim=0) - math.log(n)
        return self.base + (log_mean if self.upward else -log_mean)

    @property
    def mean_bound(self) -> Tensor:
        """The mean of the log weights in place of the log of their mean: a looser bound."""
        mean = self.log_weights.mean(dim=0)
        return self.base + (mean if self.upward else -mean)

    @property
    def standard_error(self) -> Tensor:
        """Of `log_Z`, in nats, by the deviation of the weights; NaN of one chain."""
        n = len(self.log_weights)
        w = self.log_weights.softmax(dim=0) * n
        return w.std(dim=0) / math.sqrt(n) if n > 1 else torch.full_like(w[0], math.nan)

    @property
    def effective(self) -> Tensor:
        r"""Chains that the weights are worth: :math:`(\sum w)^2 / \sum w^2`."""
        return 1 / self.log_weights.softmax(dim=0).square().sum(dim=0)


@torch.no_grad()
def run(
    path: AnnealingPath, betas: Sequence[float], chains: int, *, rng: torch.Generator
) -> Weights:
    """Anneal from the base to the target.

    Args:
        path: The base, the densities between, and the moves.
        betas: Temperatures, rising from 0 to 1; one move at each but the first and the last.
        chains: Side by side.
        rng: Draws where chains begin, and moves.

    Raises:
        BadValue: For no chain, temperatures that do not rise from 0 to 1, weights that are NaN.
    """
    errors.at_least(1, chains=chains)
    betas = rising(betas)
    state = path.init(chains, rng=rng)
    log_w = torch.zeros((), dtype=torch.float64)
    for k, (low, high) in enumerate(pairwise(betas), 1):
        log_w = _added(log_w, path.log_ratio(state, low, high), high)
        if k < len(betas) - 1:
            state = path.step(state, high, rng=rng)
    return Weights(log_weights=log_w, base=path.log_Z_base.double().cpu())


@torch.no_grad()
def run_down(
    path: AnnealingPath, betas: Sequence[float], exact: Tensor, *, rng: torch.Generator
) -> Weights:
    """Anneal from exact samples of the target down to the base: log Z from above.

    Args:
        path: As of `run`.
        betas: As of `run`, rising.
        exact: Independent samples of the target, `(chains, ...)`.
        rng: Draws moves.
    """
    errors.at_least(1, chains=len(exact))
    betas, state = rising(betas)[::-1], exact
    log_w = torch.zeros((), dtype=torch.float64)
    for k, (high, low) in enumerate(pairwise(betas), 1):
        log_w = _added(log_w, -path.log_ratio(state, low, high), low)
        if k < len(betas) - 1:
            state = path.step(state, low, rng=rng)
    base = path.log_Z_base.double().cpu()
    return Weights(log_weights=log_w, base=base, upward=False)


@dataclass(frozen=True, kw_only=True)
class Sandwich:
    """Log Z from below and from above."""

    up: Weights
    down: Weights

    @property
    def width(self) -> Tensor:
        """The distance between the two estimates, in nats: how far off either can be."""
        return self.down.log_Z - self.up.log_Z


def sandwich(
    path: AnnealingPath, betas: Sequence[float], exact: Tensor, *, rng: torch.Generator
) -> Sandwich:
    """Both ways, with as many chains as there are exact samples of the target."""
    up = run(path, betas, len(exact), rng=rng)
    return Sandwich(up=up, down=run_down(path, betas, exact, rng=rng))


def rising(betas: Sequence[float]) -> list[float]:
    """The temperatures. Raises `BadValue` unless they rise from 0 to 1."""
    betas = [float(b) for b in betas]
    need = "at least 2 numbers that rise from 0 to 1"
    errors.require(len(betas) > 1, "temperatures", need, len(betas))
    ends = f"from {betas[0]:g} to {betas[-1]:g}"
    errors.require(betas[0] == 0 and betas[-1] == 1, "temperatures", need, ends)
    for before, after in pairwise(betas):
        errors.require(before < after, "temperatures", need, f"{after:g} after {before:g}")
    return betas


def _added(log_w: Tensor, ratio: Tensor, beta: float) -> Tensor:
    log_w = log_w + ratio.double().cpu()
    bad = log_w.isnan() | (log_w == math.inf)
    if bad.any():
        got = f"{log_w[bad][0].item()} at temperature {beta:g} (a weight of the model overflows)"
        raise errors.bad_value("log_weights", "numbers in nats", got)
    return log_w

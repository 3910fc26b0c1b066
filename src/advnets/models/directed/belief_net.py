r"""A belief net of binary layers with its recognition net: densities, draws, and a path for AIS."""

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advnets.base import errors
from advnets.base.rng import per_sample
from advnets.models.bernoulli import bernoulli
from advnets.nn.linear import Affine
from advnets.theory import enumeration

Draw = Callable[..., Tensor]
"""Uniform numbers on [0, 1) of the shape that is asked for."""
Layers = list[Tensor]
"""h_1 to h_L, of shapes `(..., n_l)`."""
_ROWS = 1_024
"""Rows that are compared at once with all states of a layer."""
BOUND = "Below the truth on average; it rises towards it with the temperatures."


class BeliefNet(nn.Module):
    """The net and its recognition net.

    Args:
        units: Of x and of each hidden layer, from the data upwards.
        rng: Draws the weights from N(0, stdev^2); biases are 0.
        stdev: Of the weights.
    """

    def __init__(
        self, units: tuple[int, ...], *, stdev: float = 0.01, rng: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.units = units
        self.top = nn.Parameter(torch.zeros(units[-1]))
        self.down = nn.ModuleList(_affine(o, i, stdev, rng) for i, o in pairwise(units))
        self.up = nn.ModuleList(_affine(i, o, stdev, rng) for i, o in pairwise(units))

    def log_joint(self, x: Tensor, h: Layers) -> Tensor:
        """Log p(x, h) in nats, of shapes `(..., n_0)` and `(..., n_l)`: `(...,)`."""
        total = log_bernoulli(self.top.expand_as(h[-1]), h[-1])
        for layer, below, above in zip(self.down, [x, *h[:-1]], h, strict=True):
            total = total + log_bernoulli(layer(above), below)
        return total

    def log_marginal(self, x: Tensor) -> Tensor:
        """Log p(x) of rows `(n, n_0)` exactly, in nats, `(n,)`: one layer is summed after another.

        Raises:
            BadValue: For too many hidden units.
        """
        hidden = self.units[1:]
        if sum(hidden) > enumeration.ENUMERABLE:
            raise enumeration.too_many("units", sum(hidden))
        top = self.top
        log_p = torch.cat([log_bernoulli(top, h.to(top)) for h in enumeration.states(hidden[-1])])
        for layer, n in zip(reversed(self.down), [*reversed(hidden[:-1]), None], strict=True):
            rows = [x] if n is None else enumeration.states(n)
            parts = (part for block in rows for part in torch.split(block.to(top), _ROWS))
            log_p = torch.cat([_mixed(layer, part, log_p) for part in parts])
        return log_p

    def log_q(self, x: Tensor, h: Layers) -> Tensor:
        """Log q(h|x) in nats, shapes as in `log_joint`."""
        below = [x, *h[:-1]]
        parts = (log_bernoulli(up(b), a) for up, b, a in zip(self.up, below, h, strict=True))
        return torch.stack(list(parts)).sum(dim=0)

    @torch.no_grad()
    def recognise(self, x: Tensor, draw: Draw) -> Layers:
        """H ~ q(h|x), layer by layer, of `(..., n_0)`."""
        h: Layers = []
        for up in self.up:
            x = bernoulli(p := up(x).sigmoid(), draw(*p.shape))
            h.append(x)
        return h

    @torch.no_grad()
    def dream(self, n: int, draw: Draw) -> tuple[Tensor, Layers]:
        """(x, h) ~ p: x of `(n, n_0)`, and h."""
        p = self.top.sigmoid().expand(n, -1)
        h = [bernoulli(p, draw(*p.shape))]
        for layer in reversed(self.down):
            p = layer(h[0]).sigmoid()
            h.insert(0, bernoulli(p, draw(*p.shape)))
        return h[0], h[1:]

    def log_weights(self, x: Tensor, h: Layers) -> Tensor:
        """Log p(x, h) - log q(h|x), in nats."""
        return self.log_joint(x, h) - self.log_q(x, h)

    def split(self, h: Tensor) -> Layers:
        """All hidden units side by side, `(..., n_1 + ... + n_L)`, as layers."""
        return list(torch.split(h, list(self.units[1:]), dim=-1))


def log_bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """Log p of binary values, summed over the last dimension, in nats."""
    # x log s(a) + (1 - x) log s(-a), shapes that broadcast
    return (x * logits - F.softplus(logits)).sum(dim=-1)


def _mixed(layer: nn.Module, x: Tensor, log_p: Tensor) -> Tensor:
    """Log sum over h of p(h) p(x|h), from log p of all states of h: `(n,)`."""
    total, done = torch.tensor(-math.inf).to(x), 0
    for h in enumeration.states(len(log_p).bit_length() - 1):
        logits = layer(h.to(x))
        given = x @ logits.T - F.softplus(logits).sum(dim=1)
        here = (given + log_p[done : done + len(h)]).logsumexp(dim=1)
        total, done = torch.logaddexp(total, here), done + len(h)
    return total


def _affine(i: int, o: int, stdev: float, rng: torch.Generator | None) -> Affine:
    layer = Affine(i, o)
    nn.init.normal_(layer.weight, 0, stdev, generator=rng)
    nn.init.zeros_(layer.bias)
    return layer


class Ancestral:
    """Samples of a belief net from the top down; sample number i is a function of (seed, i).

    Args:
        net: Its weights are used as they are when it is drawn from.
        event_shape: Of one x.
        binary: Whether x is drawn, or its means given h_1 are shown.
    """

    def __init__(
        self, net: BeliefNet, event_shape: tuple[int, ...], *, binary: bool = False
    ) -> None:
        self.net, self.event_shape, self.binary = net, event_shape, binary

    @torch.no_grad()
    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`."""
        if context is not None:
            raise errors.not_conditional()
        errors.at_least(1, n=n)
        needed = sum(self.net.units)
        u = torch.cat([torch.rand(1, needed, generator=r) for r in per_sample(seed, start, n)])
        # In float64, so that no unit falls to the other side where samples are cut otherwise.
        net = copy.deepcopy(self.net).double()
        pieces = iter(torch.split(u.to(net.top), [*reversed(net.units)], dim=1))
        x, h = net.dream(n, lambda *_: next(pieces))
        means = x if self.binary else net.down[0](h[0]).sigmoid()
        return means.to(self.net.top).view(-1, *self.event_shape)


class RecognitionPath:
    r"""From q(h|x) to p(x, h) for each x; the state is all hidden units side by side.

    .. math:: \tilde p_\beta(h) = q(h|x)^{1 - \beta} p(x, h)^\beta

    A move is Metropolis' flips of units chosen at random, a proposal from q, and as many flips
    again: the same forwards and backwards, so that it is reversible.

    Args:
        net: The belief net.
        x: Binary rows, `(n, n_0)`.
        flips: Before and after each proposal from q.
    """

    def __init__(self, net: BeliefNet, x: Tensor, *, flips: int = 4) -> None:
        errors.at_least(0, flips=flips)
        self.net, self.x, self.flips = net, x, flips
        self.log_Z_base = x.new_zeros(len(x))

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """H ~ q(h|x), `(chains, n, units)`."""
        x = self.x.expand(chains, -1, -1)

        def draw(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=rng, dtype=x.dtype)

        return torch.cat(self.net.recognise(x, draw), dim=-1)

    def log_ratio(self, state: Tensor, low: float, high: float) -> Tensor:
        """Of two temperatures, in nats, `(chains, n)`."""
        return (high - low) * self.net.log_weights(self.x, self.net.split(state))

    def step(self, state: Tensor, beta: float, *, rng: torch.Generator) -> Tensor:
        """Flips, a proposal from q, flips."""
        for _ in range(self.flips):
            state = self._flip(state, beta, rng)
        proposed = self.init(len(state), rng=rng)
        ratio = self.log_ratio(proposed, 0, beta) - self.log_ratio(state, 0, beta)
        state = _accept(state, proposed, ratio, rng)
        for _ in range(self.flips):
            state = self._flip(state, beta, rng)
        return state

    def _flip(self, state: Tensor, beta: float, rng: torch.Generator) -> Tensor:
        one = torch.randint(state.shape[-1], state.shape[:-1], generator=rng)[..., None]
        proposed = state.scatter(-1, one, 1 - state.gather(-1, one))
        ratio = self._log_density(proposed, beta) - self._log_density(state, beta)
        return _accept(state, proposed, ratio, rng)

    def _log_density(self, state: Tensor, beta: float) -> Tensor:
        h = self.net.split(state)
        return (1 - beta) * self.net.log_q(self.x, h) + beta * self.net.log_joint(self.x, h)


def _accept(state: Tensor, proposed: Tensor, ratio: Tensor, rng: torch.Generator) -> Tensor:
    u = torch.rand(ratio.shape, generator=rng, dtype=ratio.dtype)
    return torch.where((u.log() < ratio)[..., None], proposed, state)

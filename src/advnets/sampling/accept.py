r"""D at sampling time: samples of G are accepted or refused by what D says of them.

The logit of the best D is :math:`a(x) = \log p_{data}(x) - \log p_g(x)`: with it both ways below
draw from p_data, as far as p_g reaches. Sample number i is a function of (seed, i) here too: the
proposals for it are its own.

Reference: Azadi et al. (2019), Discriminator rejection sampling; Turner et al. (2019),
    Metropolis-Hastings generative adversarial networks.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors, rng
from advnets.base.choices import Accept as Accept
from advnets.base.protocols import LatentSampler
from advnets.sampling.samplers import untouched

LogRatio = Callable[..., Tensor]
"""From x, or x and its context, to the logit of D, `(n,)`."""
_WARM = 1_000
_FIRST, _LARGEST = 4, 64
"""Proposals of a sample that are looked at together: at first, and at most."""
_AT_ONCE = 1_024
"""Proposals of all samples that are computed together."""


class _ByD:
    """Proposals of a sampler, and what D says of them."""

    def __init__(self, base: LatentSampler, log_ratio: LogRatio) -> None:
        self.base, self.log_ratio = base, log_ratio
        self.event_shape = base.event_shape

    def _contexts(self, rows: range, seed: int, context: Tensor | None) -> Tensor | None:
        """The context of each sample, one for all its proposals."""
        n, own = len(rows), getattr(self.base, "context", None)
        if context is None:
            return self.base.contexts(n, seed=seed, start=rows.start)
        if own is None:
            raise errors.not_conditional()
        given: Tensor = own.given(context, n)
        return given

    def _proposed(
        self, rows: Sequence[int], seed: int, first: int, n: int, c: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Proposals number `first` to `first + n - 1` for each of these samples.

        Returns:
            x, `(rows, n, *event_shape)`; its logit, and the log of a uniform u, `(rows, n)`.
        """
        own = [rng.derive(seed, "proposals", i) for i in rows]
        z = torch.cat([self.base.latents(n, seed=at, start=first) for at in own])
        u = [torch.rand(n, generator=rng.for_samples(at, "acceptance", first)) for at in own]
        c = None if c is None else c.repeat_interleave(n, dim=0)
        x = self.base.decode(z, context=c)
        a = self._logit(x, c)
        return x.reshape(-1, n, *x.shape[1:]), a.reshape(-1, n), torch.stack(u).log()

    def _logit(self, x: Tensor, c: Tensor | None) -> Tensor:
        a = self.log_ratio(x) if c is None else self.log_ratio(x, c)
        return a.detach().flatten().cpu()


class Rejection(_ByD):
    r"""Rejection by D: x is accepted with probability :math:`e^{a(x) - a_{max} - \gamma'}`.

    .. math:: P(accept) = \sigma(F), \quad F = a - a_{max} - \log(1 - e^{a - a_{max}}) - \gamma

    With gamma = 0 this is :math:`e^{a - a_{max}}`: rejection sampling proper. A larger gamma
    accepts less and better, a smaller one more.

    Args:
        base: Gives the proposals: G.
        log_ratio: The logit of D.
        largest: :math:`a_{max}`; by default the largest of 1,000 samples. What exceeds it later is
            always accepted.
        gamma: The shift.
        most: Proposals for one sample at most.
    """

    def __init__(
        self,
        base: LatentSampler,
        log_ratio: LogRatio,
        *,
        largest: float | None = None,
        gamma: float = 0.0,
        most: int = 10_000,
    ) -> None:
        super().__init__(base, log_ratio)
        errors.at_least(1, most=most)
        self.most, self.gamma = most, gamma
        self.largest = self._largest() if largest is None else largest

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`.

        Raises:
            TooFewAccepted: Where `most` proposals for a sample were all refused.
        """
        errors.at_least(1, n=n)
        errors.at_least(0, start=start)
        c = self._contexts(range(start, start + n), seed, context)
        found: dict[int, Tensor] = {}
        first, size = 0, _FIRST
        while len(found) < n and first < self.most:
            size = min(size, self.most - first)
            left = [i for i in range(n) if i not in found]
            for some in _groups(left, size):
                rows = [start + i for i in some]
                part = None if c is None else c[some]
                x, a, log_u = self._proposed(rows, seed, first, size, part)
                accepted = log_u <= self.log_probability(a)
                for row in accepted.any(dim=1).nonzero()[:, 0].tolist():
                    found[some[row]] = x[row, int(accepted[row].int().argmax())]
            first, size = first + size, min(2 * size, _LARGEST)
        if len(found) < n:
            need = f"enough proposals for each of {n} samples to be accepted by D"
            raise errors.TooFewAccepted(str(errors.bad_value("most", need, self.most)))
        return torch.stack([found[i] for i in range(n)])

    def log_probability(self, a: Tensor) -> Tensor:
        """The log of the probability that a proposal with this logit is accepted."""
        below = (a.double() - self.largest).clamp(max=0)
        F = below - torch.log(-torch.expm1(below)) - self.gamma  # infinite at the largest
        return -torch.nn.functional.softplus(-F, threshold=40)

    def _largest(self) -> float:
        c = self._contexts(range(_WARM), 0, None)
        x = self.base.decode(self.base.latents(_WARM, seed=rng.derive(0, "largest")), context=c)
        return float(self._logit(x, c).max())


class MetropolisHastings(_ByD):
    r"""A chain of proposals for each sample: x' is taken with probability min(1, e^{a(x') - a(x)}).

    The proposals are independent samples of G; the state after `moves` of them is the sample. The
    chain begins at a proposal.

    Args:
        base: Gives the proposals: G.
        log_ratio: The logit of D.
        moves: Proposals after the first.
    """

    def __init__(self, base: LatentSampler, log_ratio: LogRatio, *, moves: int = 100) -> None:
        super().__init__(base, log_ratio)
        errors.at_least(1, moves=moves)
        self.moves = moves

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`."""
        errors.at_least(1, n=n)
        errors.at_least(0, start=start)
        rows = range(start, start + n)
        c = self._contexts(rows, seed, context)
        ends = []
        for some in _groups(range(n), self.moves + 1):
            own = [rows[i] for i in some]
            part = None if c is None else c[list(some)]
            x, a, log_u = self._proposed(own, seed, 0, self.moves + 1, part)
            at, now = torch.zeros(len(own), dtype=torch.int64), a[:, 0].clone()
            for j in range(1, self.moves + 1):
                taken = log_u[:, j] <= a[:, j] - now
                at[taken], now[taken] = j, a[taken, j]
            ends.append(x[torch.arange(len(own)), at])
        return torch.cat(ends)


BY_D: dict[str, Callable[[LatentSampler, LogRatio], Rejection | MetropolisHastings]] = {
    "rejection": Rejection,
    "metropolis": MetropolisHastings,
}
"""The samplers by D, by name."""


def logit_of(D: nn.Module) -> LogRatio:
    """The logit of a network D, in evaluation mode.

    Raises:
        BadValue: For a D of packs, which says nothing of one example.
    """
    pack: int = getattr(D, "pack", 1)
    errors.require(pack == 1, "pack", "1 for D to judge samples one by one", pack)

    def a(x: Tensor, *c: Tensor) -> Tensor:
        like = next(D.parameters())
        with untouched(D) as asleep:
            out: Any = asleep(*(t.to(like) for t in (x, *c)))
        logit: Callable[[Any], Tensor] = getattr(D, "logit", lambda out: out)
        return logit(out).flatten()

    return a


def calibrated(log_ratio: LogRatio, x: Tensor, x_g: Tensor) -> LogRatio:
    """D's logit put right on held-out data: the best of the lines s a + b.

    A relativistic D is known up to a constant only, and a D that has seen its data too often is too
    sure; logistic regression of held-out data against samples on the logit mends both.

    Args:
        log_ratio: The logit of D.
        x: Held-out examples.
        x_g: Samples, of about their number.
    """
    from sklearn.linear_model import LogisticRegression  # heavy

    a = torch.cat([log_ratio(x), log_ratio(x_g)]).double().cpu().numpy()[:, None]
    real = [1] * len(x) + [0] * len(x_g)
    fitted = LogisticRegression(C=math.inf, class_weight="balanced").fit(a, real)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return lambda x, *c: slope * log_ratio(x, *c) + offset


def _groups(rows: Sequence[int], proposals: int) -> Iterator[Sequence[int]]:
    """Samples in groups of which all proposals are computed at once."""
    size = max(1, _AT_ONCE // proposals)
    for first in range(0, len(rows), size):
        yield rows[first : first + size]

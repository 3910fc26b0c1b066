"""The measures of the rows of Table 2, except for the last."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Learner
from advnets.base.rng import derive, for_samples, generator
from advnets.evaluation import ais, autocorrelation, decoders
from advnets.evaluation.parzen import log_densities
from advnets.experiments.table2.data import Data
from advnets.experiments.table2.families import Family, of_directed, of_prior, on_grid
from advnets.game import Game
from advnets.models.directed.sigmoid_belief_net import SBN
from advnets.models.energy.dbm import DBM
from advnets.theory import enumeration

REACHED = 0.05
"""KL from the data, in nats, at which a training has succeeded and stops."""
CLOSE = 0.1
"""Root mean squared error, in nats, at which an estimate of log p(x) counts as close."""
SIGMA = 0.2
"""Standard deviation of the Gaussian noise on G, which gives it a density."""
SOME = 100
"""Examples on which AIS of a generator is measured: HMC through G is slow."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """One training: KL from the data against the CPU seconds of its updates."""

    seconds: tuple[float, ...]
    kl: tuple[float, ...]
    learner: Learner
    diverged: str = ""

    @property
    def arrived(self) -> float | None:
        """CPU seconds to a KL of at most `REACHED`; None where it never was."""
        pairs = zip(self.seconds, self.kl, strict=True)
        return next((s for s, kl in pairs if kl <= REACHED), None)


def play(family: Family, data: Data, *, seconds: float, every: int, seed: int) -> Course:
    """Train until the KL is at most `REACHED`, or for so many CPU seconds.

    Args:
        family: The model.
        data: The data set.
        seconds: CPU time of the updates at most; measuring the KL is not counted.
        every: Updates between two measurements of the KL. There are more of them where the KL takes
            longer than the updates.
        seed: Of weights and minibatches.
    """
    learner, rng = family.build(data, 100_000, seed), generator(seed, "step")
    times, kls, used, why = [0.0], [family.kl(learner, data)], 0.0, ""
    look = 0.0
    while used < seconds and kls[-1] > REACHED and not why:
        while used <= times[-1] or (used < seconds and used - times[-1] < look):
            used += _seconds(lambda: _updates(learner, data, every, rng))
        began = time.process_time()
        try:
            kl = family.kl(learner, data)
        except errors.Diverged as error:
            kl, why = math.nan, str(error)
        look = time.process_time() - began
        times.append(used)
        kls.append(kl)
    return Course(seconds=tuple(times), kl=tuple(kls), learner=learner, diverged=why)


def _updates(learner: Learner, data: Data, n: int, rng: torch.Generator) -> None:
    for _ in range(n):
        batches = tuple(data.batch(rng) for _ in range(learner.batches_per_step))
        learner.step(batches, rng=rng)


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


@dataclass(frozen=True, kw_only=True)
class GradientError:
    """The error of an estimate of the gradient of -log p, as fractions of the exact norm."""

    bias: float
    noise: float
    """Square root of the summed variances of the estimate from one minibatch."""
    bias_error: float
    """The bias that an unbiased estimate would show by chance in so many draws."""


def gradient_error(learner: Learner, data: Data, *, draws: int, seed: int) -> GradientError | None:
    """The error at the current weights; None where log p has no exact gradient."""
    if isinstance(learner, SBN):
        exact, estimate = _of_sbn(learner, data)
    elif isinstance(learner, DBM):
        exact, estimate = _of_dbm(learner, data)
    else:
        return None
    rng = for_samples(seed, "gradients")
    rows = torch.stack([estimate(rng) for _ in range(draws)])
    size, noise = exact.norm().item(), rows.var(dim=0).sum().sqrt().item()
    bias = (rows.mean(dim=0) - exact).norm().item()
    return GradientError(
        bias=bias / size, noise=noise / size, bias_error=noise / math.sqrt(draws) / size
    )


Estimate = Callable[[torch.Generator], Tensor]


def _of_sbn(learner: SBN, data: Data) -> tuple[Tensor, Estimate]:
    """The exact gradient by the generative weights, and the estimate of the wake phase."""
    net, x = copy.deepcopy(learner.network).double(), data.examples
    own = [p for n, p in net.named_parameters() if not n.startswith("up")]
    log_p = net.log_marginal(data.pictures.double())
    exact = flat(torch.autograd.grad(-(data.p @ log_p), own))
    weights = [p for n, p in learner.network.named_parameters() if not n.startswith("up")]

    def estimate(rng: torch.Generator) -> Tensor:
        wake = learner.objective(x, rng=rng)["wake"]
        return flat(torch.autograd.grad(wake, weights))

    return exact, estimate


def _of_dbm(learner: DBM, data: Data) -> tuple[Tensor, Estimate]:
    """The exact gradient, and the estimate by mean field and persistent chains."""
    joint, x = learner.joint, data.examples
    e = joint.network.exact().requires_grad_(True)
    log_p = enumeration.log_marginal(e.log_sum_first, data.pictures, len(e.c2))
    log_Z = enumeration.log_sum(e.log_sum_outer, len(e.c1))
    exact = flat(torch.autograd.grad(log_Z - data.p @ log_p, list(e.parameters())))

    def estimate(rng: torch.Generator) -> Tensor:
        _, gradient = joint.gradient(x, 1.0, rng=rng)
        return flat([g for g in gradient if g is not None])

    return exact, estimate


def flat(gradient: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """A gradient as one vector, float64."""
    return torch.cat([g.detach().flatten().double() for g in gradient])


@dataclass(frozen=True, kw_only=True)
class Inference:
    """What guessing h of an x costs and misses."""

    gap: float
    """Nats from the guess to the exact posterior, or pixels that are wrong."""
    ms: float
    """Milliseconds for all of x together, over their number."""


def inference(learner: Learner, data: Data) -> Inference | None:
    """KL(q || p(h|x)) by enumeration, a mean over data; None for a model without a posterior."""
    x = data.pictures
    if isinstance(learner, SBN):
        net = copy.deepcopy(learner.network).double()
        units = sum(net.units[1:])
        log_q = enumeration.posterior(lambda v, h: net.log_q(v, net.split(h)), x, units)
        log_p = enumeration.posterior(lambda v, h: net.log_joint(v, net.split(h)), x, units)
        kl = data.expectation((log_q.exp() * (log_q - log_p)).sum(dim=1))
        rng = for_samples(0, "inference")
        return Inference(gap=kl, ms=_ms(lambda: _recognise(learner, x, rng), len(x)))
    if isinstance(learner, DBM):
        e, updates = learner.joint.network.exact(), learner.config.mean_field
        v = x.double()
        with torch.no_grad():
            bound = e.bound(v, e.mean_field(v, updates))
            gap = data.expectation(e.log_sum_hidden(v) - bound)
            return Inference(gap=gap, ms=_ms(lambda: e.mean_field(v, updates), len(x)))
    return None


def _recognise(learner: SBN, x: Tensor, rng: torch.Generator) -> None:
    learner.network.recognise(x, lambda *shape: torch.rand(*shape, generator=rng))


def inversion(learner: Game, data: Data, *, steps: int = 200) -> Inference:
    """Wrong pixels, of 16, of the z found by descent, minus those of the best z on the grid."""
    x, G = data.pictures, copy.deepcopy(learner.G).eval().requires_grad_(False)
    sure: Tensor = torch.unique(on_grid(learner)[1].round(), dim=0)
    best = (sure[None] - x[:, None]).abs().sum(dim=2).amin(dim=1)
    began = time.process_time()
    a = torch.zeros(len(x), 2, requires_grad=True)  # z is the quantile of sigmoid(a)
    rule = torch.optim.Adam([a], 0.1)
    for _ in range(steps):
        rule.zero_grad()
        (G(of_prior(learner, a.sigmoid())) - x).square().sum().backward()
        rule.step()
    ms = 1_000 * (time.process_time() - began) / len(x)
    with torch.no_grad():
        wrong = (G(of_prior(learner, a.sigmoid())).round() - x).abs().sum(dim=1)
    return Inference(gap=data.expectation(wrong - best), ms=ms)


def _ms(work: Callable[[], object], n: int) -> float:
    began = time.process_time()
    for _ in range(5):
        work()
    return 1_000 * (time.process_time() - began) / 5 / n


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The cost and the quality of samples."""

    tau: float
    """Integrated autocorrelation time along a chain, in states; 1 without a chain."""
    ms: float
    """CPU milliseconds for an independent sample: those for a state times tau."""
    recall: float
    """The fraction of the pictures of the data that are among the samples, rounded."""
    valid: float
    """The fraction of samples, rounded, that are pictures of the data."""


def sampling(family: Family, learner: Learner, data: Data, *, n: int, seed: int) -> Sampling:
    """The cost and the quality of n samples; burn-in is included in the cost."""
    sampler = learner.samplers()[family.sampler]
    began = time.process_time()
    drawn = sampler.sample(n, seed=derive(seed, "samples") % 2**31)
    ms = 1_000 * (time.process_time() - began) / n
    chains, tau = getattr(sampler, "chains", 0), 1.0
    if chains:
        kept = n // chains
        states = drawn[: kept * chains].view(kept, chains, *drawn.shape[1:])
        tau = autocorrelation.slowest(states).item()
    same = (drawn.round()[:, None] == data.pictures).all(dim=2)
    return Sampling(
        tau=tau,
        ms=ms * tau,
        recall=same.any(dim=0).float().mean().item(),
        valid=same.any(dim=1).float().mean().item(),
    )


@dataclass(frozen=True, kw_only=True)
class DensityError:
    """An estimate of log p(x) beside the exact value, over data."""

    by: str
    error: float
    """Mean of the estimate less the exact value, in nats."""
    scatter: float
    """Deviation of that between examples."""
    seconds: float
    """CPU time for all of them."""
    close: float | None
    """CPU time of the smallest effort whose error is at most `CLOSE`; None without one."""


def density(learner: Learner, data: Data, *, temperatures: int, seed: int) -> list[DensityError]:
    """The errors of a family's estimators of log p(x); empty where the exact value is unknown."""
    rng, x, mean = for_samples(seed, "density"), data.pictures, data.examples.mean(dim=0)
    if isinstance(learner, SBN):
        exact = of_directed(learner, x)

        def annealed(n: int) -> Tensor:
            path = learner.annealed(x, mean, rng=rng).path
            return ais.run(path, ais.linear(n), 20, rng=rng).log_Z

        def weighted(k: int) -> Tensor:
            return learner.importance_weighted(x, k=k, rng=rng)

        return [
            density_error("AIS", annealed, max(1, temperatures // 10), exact, data),
            density_error("100 weighted draws", weighted, 100, exact, data),
        ]
    if isinstance(learner, DBM):

        def bound(n: int) -> Tensor:
            whole = learner.annealed(x, mean, rng=rng)
            assert whole.log_numerator is not None
            return whole.log_numerator - ais.run(whole.path, ais.linear(n), 100, rng=rng).log_Z

        exact = learner.log_density(x.double())
        return [density_error("mean-field bound less AIS", bound, temperatures, exact, data)]
    if isinstance(learner, Game):
        return _of_generator(learner, data, temperatures, rng)
    return []


def _of_generator(
    learner: Game, data: Data, temperatures: int, rng: torch.Generator
) -> list[DensityError]:
    """The errors of Parzen and AIS, both with `SIGMA`; the integral over the grid is exact."""
    sampler, centres = learner.samplers()["raw"], on_grid(learner)[1]
    some = replace(data, examples=data.examples[:SOME])

    def exact(of: Data) -> Tensor:
        return log_densities(of.pictures, centres, [SIGMA])[0]

    def window(n: int) -> Tensor:
        return log_densities(data.pictures, sampler.sample(n, seed=0), [SIGMA])[0]

    def annealed(n: int) -> Tensor:
        path, betas = decoders.annealed(sampler, some.pictures, SIGMA).path, ais.sigmoid(n)
        path.tune(betas, 4, rng=rng)  # type: ignore[attr-defined]
        return ais.run(path, betas, 16, rng=rng).log_Z

    return [
        density_error("Parzen, 1,000 samples", window, 1_000, exact(data), data),
        density_error("AIS by HMC", annealed, max(2, temperatures // 5), exact(some), some),
    ]


def density_error(
    by: str, estimate: Callable[[int], Tensor], effort: int, exact: Tensor, data: Data
) -> DensityError:
    """The error of an estimate with the full effort, and the CPU time of the least close one.

    The efforts are 1/64, 1/16, 1/4 and the whole of `effort`.
    """
    close, mean, scatter, seconds = None, math.nan, math.nan, math.nan
    for n in sorted({max(1, effort // 4**k) for k in range(4)}):
        if close is not None and n < effort:
            continue
        began = time.process_time()
        off = estimate(n).double() - exact.double()
        seconds, mean = time.process_time() - began, data.expectation(off)
        scatter = math.sqrt(data.expectation((off - mean).square()))
        if close is None and math.hypot(mean, scatter) <= CLOSE:
            close = seconds
    return DensityError(by=by, error=mean, scatter=scatter, seconds=seconds, close=close)

r"""Log p(x) of models that have one: by annealed importance sampling, or as a bound.

Beside Parzen's number, which is of another density: that of samples with Gaussian noise on them.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

from advnets.base import errors, rng
from advnets.base.protocols import Annealed, HasAnnealing, Sampler
from advnets.data.splits import Splits
from advnets.evaluation import ais, decoders
from advnets.sampling.hmc import DecoderPath

Schedule = Literal["linear", "published"]


@runtime_checkable
class HasImportanceWeights(Protocol):
    """A latent-variable model with a recognition network to draw from."""

    def importance_weighted(self, x: Tensor, *, k: int, rng: torch.Generator) -> Tensor:
        """The bound on log p(x) of k draws, in nats, `(n,)`."""
        ...


@dataclass(frozen=True, kw_only=True)
class LikelihoodConfig:
    """How log p(x) is estimated, beside the Parzen score."""

    temperatures: int = 1_000
    """Steps of annealed importance sampling, equal ones; 0 leaves log p(x) out."""
    schedule: Schedule = "linear"
    """The steps of a Boltzmann machine: 'linear', or 'published', the 14,500 of Salakhutdinov and
    Murray (2008), whatever `temperatures` says."""
    chains: int = 100
    """Chains of a Boltzmann machine, which has one log Z for all x."""
    examples: int = 0
    """Test examples, the first ones, each with a path of its own: decoders and belief nets."""
    own_chains: int = 16
    """Chains of each of these."""
    draws: int = 50
    """Draws of the importance-weighted bound, where the model has one, of each of ..."""
    weighted: int = 1_000
    """... so many test examples, the first ones."""

    def __post_init__(self) -> None:
        errors.at_least(0, temperatures=self.temperatures, examples=self.examples)
        errors.one_of(get_args(Schedule), schedule=self.schedule)
        errors.at_least(1, chains=self.chains, own_chains=self.own_chains)
        errors.at_least(1, draws=self.draws, weighted=self.weighted)


@dataclass(frozen=True, kw_only=True)
class LogP:
    """The mean of log p(x) over test examples, and how far it can be trusted."""

    mean: float
    """In nats an example."""
    standard_error: float
    """Over the examples."""
    n: int
    by: str
    """The estimator, in a few words."""
    bound: str
    """What it bounds and in which direction."""
    estimate_error: float | None = None
    """Standard error of log Z by the deviation of the weights, in nats (the largest of any x)."""
    effective: float | None = None
    """Chains that the weights are worth (the fewest of any x)."""
    seconds: float = 0.0

    def __str__(self) -> str:
        """One sentence."""
        own = ""
        if self.effective is not None:
            of_Z = _known(self.estimate_error)
            own = f", {self.effective:,.1f} effective; log Z +- {of_Z}"
        return (
            f"log p(x) of {self.n:,} test examples by {self.by}{own}: {self.mean:.2f} +- "
            f"{_known(self.standard_error)} nats ({self.seconds:.1f} s). {self.bound}"
        )


def _known(error: float | None) -> str:
    """A standard error, which one value alone does not have."""
    return "unknown" if error is None or math.isnan(error) else f"{error:.2f}"


def measure(
    learner: object,
    splits: Splits,
    config: LikelihoodConfig,
    *,
    seed: int,
    sigmas: Mapping[str, tuple[Sampler, float]] | None = None,
) -> tuple[LogP, ...]:
    """All that a model says of log p(x) of test examples; nothing where it has no density.

    Args:
        learner: Asked whether it `HasAnnealing` or `HasImportanceWeights`.
        splits: The run's data; the training mean is the base of a Boltzmann machine's path.
        config: How.
        seed: Of all draws.
        sigmas: Samplers and the sigma of their Parzen windows, by name: those that decode z are
            annealed with this noise.
    """
    if not config.temperatures:
        return ()
    found, x = list[LogP](), splits.test.x[: config.examples]
    if isinstance(learner, HasAnnealing):
        found += _of_learner(learner, splits, config, rng.for_samples(seed, "annealing"))
    if isinstance(learner, HasImportanceWeights):
        found += [_by_draws(learner, splits, config, rng.for_samples(seed, "importance weights"))]
    for name, (sampler, sigma) in (sigmas or {}).items() if config.examples else ():
        if decoders.decodes(sampler):
            path = decoders.annealed(sampler, x, sigma)
            of = f" of {name}, sigma {sigma:.4f}"
            found += [_by_ais(path, config, rng.for_samples(seed, "annealing", 1), of=of)]
    return tuple(found)


def _of_learner(
    learner: HasAnnealing, splits: Splits, config: LikelihoodConfig, stream: torch.Generator
) -> list[LogP]:
    x, mean = splits.test.x, splits.statistics.mean
    shared = learner.annealed(x[:1], mean, rng=stream).log_numerator is not None
    rows = x[:] if shared else x[: config.examples]
    if not len(rows):
        return []
    return [_by_ais(learner.annealed(rows, mean, rng=stream), config, stream)]


def _by_ais(
    annealed: Annealed, config: LikelihoodConfig, stream: torch.Generator, *, of: str = ""
) -> LogP:
    began, path, shared = time.perf_counter(), annealed.path, annealed.log_numerator is not None
    chains = config.chains if shared else config.own_chains
    betas = _betas(config) if shared else ais.sigmoid(config.temperatures)
    if isinstance(path, DecoderPath):
        path.tune(betas, chains, rng=stream)
    weights = ais.run(path, betas, chains, rng=stream)
    log_p = weights.log_Z
    if annealed.log_numerator is not None:
        log_p = annealed.log_numerator.double().cpu() - weights.log_Z
    each = "" if shared else " for each x"
    return _of(
        log_p,
        by=f"AIS{of} ({chains:,} chains, {len(betas) - 1:,} temperatures{each})",
        bound=annealed.bound,
        estimate_error=weights.standard_error.max().item(),
        effective=weights.effective.min().item(),
        seconds=time.perf_counter() - began,
    )


def _betas(config: LikelihoodConfig) -> list[float]:
    """The temperatures of a Boltzmann machine."""
    return ais.published() if config.schedule == "published" else ais.linear(config.temperatures)


def _by_draws(
    learner: HasImportanceWeights,
    splits: Splits,
    config: LikelihoodConfig,
    stream: torch.Generator,
) -> LogP:
    began, x = time.perf_counter(), splits.test.x[: config.weighted]
    parts = [
        learner.importance_weighted(p, k=config.draws, rng=stream) for p in torch.split(x, 100)
    ]
    return _of(
        torch.cat(parts),
        by=f"{config.draws:,} importance-weighted draws",
        bound="Below the truth on average; it rises towards it with the draws.",
        seconds=time.perf_counter() - began,
    )


def _of(
    log_p: Tensor,
    *,
    by: str,
    bound: str,
    estimate_error: float | None = None,
    effective: float | None = None,
    seconds: float,
) -> LogP:
    values, n = log_p.double().cpu(), len(log_p)
    return LogP(
        mean=values.mean().item(),
        standard_error=values.std().item() / math.sqrt(n) if n > 1 else math.nan,
        n=n,
        by=by,
        bound=bound,
        estimate_error=estimate_error,
        effective=effective,
        seconds=seconds,
    )

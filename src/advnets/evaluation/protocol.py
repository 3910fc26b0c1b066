r"""Section 5's protocol: the score of a sampler by a Parzen window on its samples.

Sigma is chosen on validation images and the score computed on the whole test set. Every table has
two reference rows on the run's own data and sample count: real training examples as samples, and
the training mean as a single centre.

With a feature space, the table also has the metrics of `metrics.py`; for Markov chains it has the
effective sample size.

Reference: Goodfellow et al. (2014), Section 5 and Table 1; goodfeli/adversarial, `parzen_ll.py`.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from advnets.base import errors
from advnets.base.distributed import ALONE, Ranks
from advnets.base.protocols import Chain, Sampler
from advnets.data.splits import Splits
from advnets.evaluation import autocorrelation, metrics
from advnets.evaluation.classification import ClassificationError
from advnets.evaluation.features import FeatureSpace
from advnets.evaluation.inception import InceptionScores
from advnets.evaluation.likelihood import LikelihoodConfig, LogP
from advnets.evaluation.metrics import Quality
from advnets.evaluation.parzen import BLUR, LogLikelihood, choose_sigma, score
from advnets.sampling.samplers import TrainingSet, draw
from advnets.storage import schema


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """The constants of the protocol. The defaults are the paper's."""

    samples: int = 10_000
    """Number of samples, the centres of the window."""
    validation: int = 1_000
    """Number of validation examples, the first ones, on which sigma is chosen."""
    sigma_low: float = 0.1
    """Smallest sigma of the grid."""
    sigma_high: float = 1.0
    """Largest sigma of the grid."""
    sigma_count: int = 10
    """Points of the grid, evenly spaced in the logarithm."""
    log_p: LikelihoodConfig = LikelihoodConfig()
    """How log p(x) is estimated, of models that have one."""

    def __post_init__(self) -> None:
        errors.at_least(1, samples=self.samples, validation=self.validation)
        errors.at_least(1, sigma_count=self.sigma_count)
        errors.positive(sigma_low=self.sigma_low)
        errors.at_least(self.sigma_low, sigma_high=self.sigma_high)

    def sigmas(self) -> list[float]:
        """The grid."""
        low, high = math.log10(self.sigma_low), math.log10(self.sigma_high)
        return [float(s) for s in np.logspace(low, high, self.sigma_count)]


@dataclass(frozen=True, kw_only=True)
class ChainDiagnostics:
    r"""The effective sample size of Markov chains.

    n samples with the integrated autocorrelation time :math:`\tau` are worth :math:`n / \tau`
    independent ones. The time is that of the slowest of the samples' leading principal directions
    (`autocorrelation.slowest`); it does not detect a burn-in that is too short.
    """

    chains: int
    burn_in: int
    """Steps of each chain before its first sample."""
    thin: int
    """Steps between two samples of a chain."""
    tau: float
    """Integrated autocorrelation time, in samples of one chain."""
    effective: float
    """Effective number of independent samples."""
    per_second: float
    """Effective samples per second of sampling, including burn-in, on this machine."""

    def __str__(self) -> str:
        """One sentence."""
        chains = "1 chain" if self.chains == 1 else f"{self.chains:,} chains"
        return (
            f"{chains}, burn-in {self.burn_in:,}, every {self.thin:,}. state: autocorrelation time "
            f"{self.tau:.1f} samples; {self.effective:,.0f} effective samples, "
            f"{self.per_second:,.1f} a second."
        )


def mixing(chain: Chain, x: Tensor, seconds: float) -> ChainDiagnostics:
    """The diagnostics of samples of a chain.

    Args:
        chain: The chain of the samples.
        x: Samples number 0 to n - 1, of shape `(n, *event_shape)`.
        seconds: Seconds that sampling took.
    """
    chains = min(chain.chains, len(x))
    kept = len(x) // chains
    tau = autocorrelation.slowest(x[: kept * chains].view(kept, chains, *x.shape[1:])).item()
    return ChainDiagnostics(
        chains=chain.chains,
        burn_in=chain.burn_in,
        thin=chain.thin,
        tau=tau,
        effective=len(x) / tau,
        per_second=len(x) / tau / max(seconds, 1e-9),
    )


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One row of the table: the same centres scored on validation and on test examples."""

    name: str
    validation: LogLikelihood
    test: LogLikelihood
    mixing: ChainDiagnostics | None = None
    """Diagnostics of the samples, where they come from Markov chains."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a model's samplers and of the reference rows."""

    lines: tuple[ScoreRow, ...]
    """A model's samplers, then the reference rows."""
    sigmas: tuple[float, ...]
    """The grid that sigma was chosen from."""
    caveat: str = BLUR
    """What a Parzen score does not measure."""
    quality: Quality | None = None
    """Other metrics, where they were computed."""
    notice: str = ""
    """The notice of the data (`Splits.notice`)."""
    log_p: tuple[LogP, ...] = ()
    """What the model itself says of log p(x), where it has one."""
    inception: InceptionScores | None = None
    """Frechet distances in Inception features, where they were asked for."""
    classification: ClassificationError | None = None
    """The test error of a model that also predicts classes."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        record = asdict(self)
        for kept, own in zip(record["lines"], self.lines, strict=True):
            kept |= {"validation": own.validation.to_dict(), "test": own.test.to_dict()}
        return record

    def at_edge(self, line: ScoreRow) -> bool:
        """Whether a row's sigma is the smallest or the largest of the grid."""
        return line.test.sigma in (self.sigmas[0], self.sigmas[-1])

    def sigma(self, name: str) -> float:
        """The sigma of the line of that name."""
        return next(line.test.sigma for line in self.lines if line.name == name)

    def notes(self) -> list[str]:
        """Notes for the reader of the table, one sentence each."""
        notes = ["n: samples that the window stands on. +-: standard error over the test examples."]
        if self.lines[0].test.n < FEW:
            few = f"{self.lines[0].test.n:,} test examples are few"
            notes += [f"{few}: compare rows of this table only, by their standard errors."]
        if any(math.isnan(s.standard_error) for li in self.lines for s in (li.validation, li.test)):
            notes += ["unknown: one example has no standard error."]
        if any(map(self.at_edge, self.lines)):
            notes += ["*: at the edge of the grid of sigmas; a wider grid might score higher."]
        if min(line.test.centres for line in self.lines[:-1]) < self.lines[0].test.centres:
            notes += ["Real examples are fewer than the samples: that alone lowers their score."]
        return [*notes, self.notice] if self.notice else notes


def from_dict(record: Mapping[str, Any], path: Path = Path("the scores")) -> Evaluation:
    """The inverse of `to_dict`.

    Args:
        record: The scores.
        path: The file that they were in, for the error.

    Raises:
        BadFile: When the record is not of that kind.
    """
    result = schema.convert(path, metrics.upgraded(record), Evaluation)
    if not result.lines or not result.sigmas:
        raise errors.damaged_facts(path, "lines and sigmas must not be empty")
    return result


NUMBERS = {"mean", "standard_error", "value", "low", "high", "tau", "effective", "per_second"}
"""The values of a score that may be NaN, such as the standard error of one example."""


YOUNGER: Mapping[str, Any] = {
    "features": "data",
    "accuracy": None,
    "against": "test",
    "n": 0,
    "left_out": [],
    "biased": "",
}
"""Defaults of fields that the first versions did not write."""


@dataclass(frozen=True, kw_only=True)
class Kept(Evaluation):
    """`evaluation.json`: scores, and the checkpoint that was scored."""

    checkpoint: str
    update: int
    seed: int
    format: schema.Version = schema.FORMAT

    def to_json(self) -> bytes:
        """The text of the file."""
        return (json.dumps(schema.known(asdict(self)), indent=2) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> "Kept":
        """The scores in a file. Raises `BadFile` where it is damaged."""
        saved = schema.read(path, dict[str, Any])
        record = schema.not_known(saved, NUMBERS)
        if "log_p" in saved:  # here None is a value: the estimator has no such number
            record["log_p"] = schema.not_known(saved["log_p"], {"mean", "standard_error"})
        quality = record.get("quality") or None
        if isinstance(quality, dict):
            quality = {**YOUNGER, **metrics.upgraded(quality)}
        kept = schema.convert(path, record | {"quality": quality}, cls)
        if len(kept.lines) < len(REFERENCES) or not kept.sigmas:
            raise errors.damaged_facts(path, "lines or sigmas are missing")
        return kept


FEW = 100
"""Test examples below which a note says that a score is no figure to quote."""
REFERENCES = ("real training examples", "training mean")


def validation_score(
    sampler: Sampler,
    splits: Splits,
    config: EvaluationConfig,
    *,
    seed: int,
    ranks: Ranks = ALONE,
) -> LogLikelihood:
    """The score on validation examples at the best sigma, for model selection."""
    centres = draw(sampler, config.samples, seed=seed, ranks=ranks)
    x = splits.validation.x[: config.validation]
    return choose_sigma(x, centres, config.sigmas(), ranks=ranks)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Samples of a model, and the cost of drawing them."""

    x: Tensor
    """Samples number 0 to n - 1, of shape `(n, *event_shape)`."""
    seconds: float
    """Seconds that sampling took."""
    mixing: ChainDiagnostics | None
    """How much they are worth, where they come from Markov chains."""


def drawn(sampler: Sampler, n: int, *, seed: int, ranks: Ranks = ALONE) -> Drawn:
    """The samples that are scored."""
    began = time.perf_counter()
    x = draw(sampler, n, seed=seed, ranks=ranks)
    seconds = time.perf_counter() - began
    worth = mixing(sampler, x, seconds) if isinstance(sampler, Chain) else None
    return Drawn(x=x, seconds=seconds, mixing=worth)


def evaluate(
    samplers: Mapping[str, Sampler],
    splits: Splits,
    config: EvaluationConfig,
    *,
    seed: int,
    space: FeatureSpace | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Score samplers on the test set, beside real training examples and the training mean.

    Args:
        samplers: The samplers to score, by name.
        splits: The run's own data.
        config: The protocol's constants. Where the training set is smaller than `samples`, its row
            uses all of it.
        seed: Samples number 0 to `samples - 1` of this seed are scored.
        space: The space of the other metrics (`features.learn`); without it they are not computed.
            With several processes only the first one needs it.
        ranks: The processes that share the work; each returns the whole result.
    """
    train = splits.train.x
    n = min(config.samples, len(train))
    samples = {
        name: drawn(sampler, config.samples, seed=seed, ranks=ranks)
        for name, sampler in samplers.items()
    }
    models = {name: own.x for name, own in samples.items()}
    centres, quality = dict(models), None
    if ranks.any(space is not None):
        quality = metrics.of_first(models, splits, space, seed=seed, ranks=ranks)
    real, mean = REFERENCES
    centres[real] = TrainingSet(train).sample(n, seed=seed)
    centres[mean] = splits.statistics.mean[None]
    lines = tuple(
        line(name, mu, splits, config, samples[name].mixing if name in samples else None, ranks)
        for name, mu in centres.items()
    )
    return Evaluation(
        lines=lines, sigmas=tuple(config.sigmas()), quality=quality, notice=splits.notice
    )


def line(
    name: str,
    centres: Tensor,
    splits: Splits,
    config: EvaluationConfig,
    mixing: ChainDiagnostics | None = None,
    ranks: Ranks = ALONE,
) -> ScoreRow:
    """The row of some samples: sigma chosen on validation examples, then the test score."""
    x = splits.validation.x[: config.validation]
    chosen = choose_sigma(x, centres, config.sigmas(), ranks=ranks)
    test = score(splits.test.x, centres, chosen.sigma, ranks=ranks)
    return ScoreRow(name=name, validation=chosen, test=test, mixing=mixing)

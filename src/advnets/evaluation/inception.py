r"""The Frechet distance in Inception features (FID), which compares with published ones.

The features are those of `inception_network.py`. The distance is that of `distances.py`, in
float64, without an interval: each resample would cost as much again.

References: Heusel et al. (2017), arXiv 1706.08500. On its bias: Binkowski et al. (2018), arXiv
    1801.01401; Chong and Forsyth (2020), arXiv 1911.07023.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.choices import Device
from advnets.base.distributed import ALONE, Ranks
from advnets.base.progress import counting
from advnets.base.protocols import Chain, Sampler
from advnets.data.batches import Array
from advnets.data.splits import Splits
from advnets.evaluation.distances import between_gaussians
from advnets.evaluation.inception_network import FEATURES, PUBLISHED, Inception, load
from advnets.evaluation.moments import Moments
from advnets.sampling.samplers import draw

__all__ = [
    "PUBLISHED",
    "Inception",
    "InceptionConfig",
    "InceptionRow",
    "InceptionScores",
    "load",
    "measure",
    "of_arrays",
]

USUAL = 50_000
"""Samples of most published values."""
HELD_OUT = "test examples"
_BATCH, _MEETING = 50, 10
"""Pictures of a batch, and the batches after which processes wait for each other."""


@dataclass(frozen=True, kw_only=True)
class InceptionConfig:
    """How the distance is measured."""

    weights: Path
    """The file of weights."""
    samples: int = USUAL
    """Most samples of each sampler; no more than there are training images."""
    device: Device = "cpu"
    """Where the network computes."""

    def __post_init__(self) -> None:
        errors.at_least(2, samples=self.samples)
        errors.one_of(get_args(Device), device=self.device)


# The result


@dataclass(frozen=True, kw_only=True)
class InceptionRow:
    """The distance of some pictures from all training images."""

    name: str
    distance: float
    n: int
    """How many pictures."""


@dataclass(frozen=True, kw_only=True)
class InceptionScores:
    """Frechet distances in Inception features from the same real images."""

    rows: tuple[InceptionRow, ...]
    real: int
    """Real images on the other side."""
    against: str
    """What they are."""
    features: int
    sha256: str
    """Of the file of weights."""

    def __str__(self) -> str:
        """All in one paragraph."""
        rows = ", ".join(f"{row.name} {row.distance:.4g} (n = {row.n:,})" for row in self.rows)
        return " ".join([f"{self.title}: {rows}.", *self.notes()])

    @property
    def title(self) -> str:
        """What the numbers are."""
        return f"Frechet distance in Inception features (FID) from {self.real:,} {self.against}"

    def notes(self) -> list[str]:
        """Notes for the reader, one sentence each; warnings begin with the word."""
        sizes = {row.name: row.n for row in self.rows} | {self.against: self.real}
        few = [name for name, n in sizes.items() if n <= self.features]
        notes = []
        if few:
            notes += [
                f"Warning: no more than {self.features:,} pictures ({', '.join(few)}) have a "
                f"singular covariance of {self.features:,} features; the distance says more of n "
                "than of the model."
            ]
        notes += [
            "It is biased upwards, the more the fewer the samples (Binkowski et al., 2018; Chong "
            "and Forsyth, 2020): compare values of the same n."
        ]
        if self.sha256 != PUBLISHED:
            return [
                *notes,
                "Warning: the weights are not the published ones (SHA-256 begins with "
                f"{self.sha256[:8]}, theirs with {PUBLISHED[:8]}): it compares with no published "
                "value.",
            ]
        if min((r.n for r in self.rows if r.name != HELD_OUT), default=USUAL) < USUAL:
            notes += [f"Most published values are of {USUAL:,} samples."]
        return [
            *notes,
            "The weights are the published ones: it compares with values of the same data, "
            "resolution, real images and n.",
        ]


# The measurement


def measure(
    samplers: Mapping[str, Sampler],
    splits: Splits,
    inception: Inception,
    *,
    samples: int = USUAL,
    seed: int,
    span: tuple[float, float] = (0.0, 1.0),
    ranks: Ranks = ALONE,
) -> InceptionScores:
    """The distances of samplers, and of the test examples, from all training images.

    Args:
        samplers: By name.
        splits: The data, pictures.
        inception: The network (`load`).
        samples: Most samples; no more than there are training images.
        seed: Samples number 0 to n - 1 of this seed.
        span: The values that are black and white; what lies outside is clipped.
        ranks: The processes that share the work; each returns the whole result.

    Raises:
        BadValue: For data that is not pictures.
    """
    refuse_other_than_pictures("data", splits.event_shape)
    train, test = splits.train.x, splits.test.x
    n = min(samples, len(train))

    def of(name: str, size: int, take: Callable[[int, int], Tensor]) -> Moments:
        return _moments(name, size, lambda a, b: to_bytes(take(a, b), span), inception, ranks)

    real = of("training images", len(train), lambda a, b: train[a:b])
    sides = {name: of(f"samples, {name}", n, _taken(s, n, seed)) for name, s in samplers.items()}
    if len(test) > 1:
        sides[HELD_OUT] = of(HELD_OUT, len(test), lambda a, b: test[a:b])
    return _scores(sides, real, "training images", inception)


def of_arrays(
    samples: Tensor | Array, real: Tensor | Array, inception: Inception
) -> InceptionScores:
    """The distance between two arrays of pictures, wherever they come from.

    Args:
        samples: Bytes, or numbers in [0, 1], of shape `(n, 1, H, W)` or `(n, 3, H, W)`.
        real: The same of real images; their size may be another.
        inception: The network (`load`).

    Raises:
        BadValue: For arrays that are not such pictures, or fewer than two.
    """
    x, y = _pictures("samples", samples), _pictures("real", real)
    own = _moments("samples", len(x), lambda a, b: to_bytes(x[a:b]), inception, ALONE)
    other = _moments("real images", len(y), lambda a, b: to_bytes(y[a:b]), inception, ALONE)
    return _scores({"samples": own}, other, "real images", inception)


def refuse_other_than_pictures(name: str, event_shape: Sequence[int]) -> None:
    """Raise `BadValue` unless examples of this shape are grey or RGB pictures."""
    if len(event_shape) != 3 or event_shape[0] not in (1, 3):
        need = "of pictures, (1, H, W) or (3, H, W), for Inception features"
        got = f"examples of shape ({', '.join(map(str, event_shape))})"
        raise errors.bad_value(name, need, got)


def to_bytes(x: Tensor, span: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Pictures as bytes: the span to 0 and 255, rounded; what lies outside is clipped."""
    if x.dtype == torch.uint8:
        return x
    low, high = span
    return ((x.detach().double() - low) / (high - low) * 255).round().clamp(0, 255).byte()


def _pictures(name: str, given: Tensor | Array) -> Tensor:
    try:
        x = given.detach() if isinstance(given, Tensor) else torch.from_numpy(np.asarray(given))
    except (TypeError, ValueError):
        raise errors.not_numbers(name, errors.kind_of(given)) from None
    refuse_other_than_pictures(name, x.shape[1:])
    errors.require(len(x) > 1, name, "at least 2 pictures", len(x))
    if x.dtype != torch.uint8:
        need, low, high = "bytes (uint8), or numbers in [0, 1]", x.min().item(), x.max().item()
        fits = x.is_floating_point() and low >= 0 and high <= 1
        errors.require(fits, name, need, f"{x.dtype} from {low:g} to {high:g}")
    return x


def _taken(sampler: Sampler, n: int, seed: int) -> Callable[[int, int], Tensor]:
    """Samples number a to b - 1; those of Markov chains are drawn at once."""
    if not isinstance(sampler, Chain):
        return lambda a, b: draw(sampler, b - a, seed=seed, start=a)
    kept: list[Tensor] = []

    def taken(a: int, b: int) -> Tensor:
        if not kept:
            kept.append(draw(sampler, n, seed=seed))
        return kept[0][a:b]

    return taken


def _moments(
    name: str, n: int, take: Callable[[int, int], Tensor], inception: Inception, ranks: Ranks
) -> Moments:
    """The moments of the features of pictures number 0 to n - 1, which the processes share."""
    rows, total = ranks.rows(n), None
    longest = -(-n // ranks.world)  # the same in all processes
    with counting(f"Inception features of {name}", rows.stop - rows.start) as show:
        for step, first in enumerate(range(0, longest, _BATCH)):
            if step % _MEETING == 0:
                ranks.any(False)  # none is so far behind that the others give it up
            a, b = rows.start + first, min(rows.start + first + _BATCH, rows.stop)
            if a < b:
                part = Moments.of(inception(take(a, b)))
                total = part if total is None else total + part
                show(b - rows.start)
    return (total or Moments.none(int(FEATURES))).over(ranks)


def _scores(
    sides: Mapping[str, Moments], real: Moments, against: str, inception: Inception
) -> InceptionScores:
    y = (real.mean, real.covariance)
    rows = tuple(
        InceptionRow(name=name, n=x.n, distance=between_gaussians((x.mean, x.covariance), y))
        for name, x in sides.items()
    )
    return InceptionScores(
        rows=rows,
        real=real.n,
        against=against,
        features=len(real.mean),
        sha256=inception.sha256,
    )

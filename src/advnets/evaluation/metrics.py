"""All metrics of `distances.py` and `neighbours.py`, for samples and for real training examples.

Samples, training examples and held-out examples are equally many, because most of these metrics
depend on n. The value of training examples against held-out ones is that of a perfect model:
compare every other row with it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.distributed import Ranks
from advnets.base.protocols import Examples
from advnets.base.rng import generator
from advnets.data.splits import Splits
from advnets.evaluation import distances, neighbours
from advnets.evaluation.bootstrap import Estimate
from advnets.evaluation.features import FeatureSpace, Kind
from advnets.sampling.samplers import TrainingSet, refuse_non_finite

Against = Literal["test", "validation"]
Better = Literal["lower", "higher", "near"]

REAL = "real training examples"
"""The row of a perfect model."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The name of a metric and how to read it."""

    name: str
    title: str
    better: Better
    """'near' means close to the value of real training examples."""
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """The metrics of one set of samples, by name."""

    name: str
    values: dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The metrics of all rows, and how they were computed."""

    features: Kind
    describe: str
    """The feature space, in one sentence."""
    accuracy: float | None
    """Accuracy of the feature space on validation examples."""
    against: Against
    """The part of the data that all rows are compared with."""
    n: int
    """Samples in each row, and examples that they are compared with."""
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    """The samplers, then `REAL`."""
    left_out: tuple[str, ...]
    """Why a metric is missing: name, need, got."""
    biased: str = ""
    """Which metric is an upper estimate at this n, and why; empty for none."""

    def notes(self) -> list[str]:
        """Notes for the reader of the table, one sentence each."""
        biased = [self.biased] if self.biased else []
        return [self.describe, *biased, *(f"Not computed: {why}" for why in self.left_out)]


EACH = 10
"""Examples for each feature below which a Frechet distance is called an upper estimate."""


def _measure(name: str, title: str, better: Better, meaning: str) -> Measure:
    return Measure(name=name, title=title, better=better, meaning=meaning)


MEASURES = (
    _measure(
        "frechet",
        "Frechet distance",
        "lower",
        "between the Gaussians that fit features of samples and data",
    ),
    _measure(
        "kernel",
        "kernel distance",
        "lower",
        "between features, up to third moments; 0 between equals",
    ),
    _measure("precision", "precision", "higher", "share of samples near the data"),
    _measure("recall", "recall", "higher", "share of the data near samples"),
    _measure(
        "density", "density", "higher", "density of the data around samples; 1 for data itself"
    ),
    _measure("coverage", "coverage", "higher", "share of the data with a sample nearby"),
    _measure(
        "classes",
        "classes covered",
        "higher",
        "classes that get at least a tenth of their share of the data",
    ),
    _measure(
        "class_tv_distance",
        "class TV distance",
        "lower",
        "total variation distance between the class shares of samples and data",
    ),
    _measure(
        "pairwise",
        "spread",
        "near",
        "mean distance of two samples, over that of two real examples",
    ),
    _measure(
        "nearest",
        "nearest training example",
        "near",
        "distance of the closest 0.1% to their nearest training examples, over that of real "
        "held-out examples; well below 1 indicates copies",
    ),
)


FORMERLY = {"balance": "class_tv_distance"}
"""Names of metrics in files of older versions."""


def upgraded(record: Any) -> Any:
    """A record of a `Quality` from an older version, with today's names of metrics."""
    if isinstance(record, list):
        return [upgraded(part) for part in record]
    if not isinstance(record, dict):
        return record
    new = {FORMERLY.get(key, key): upgraded(value) for key, value in record.items()}
    name = new.get("name")
    return {**new, "name": FORMERLY.get(name, name)} if isinstance(name, str) else new


@dataclass(frozen=True)
class _Side:
    """One set of examples with lazily computed features, classes and distances."""

    x: Tensor
    space: FeatureSpace
    train: Examples
    own: int = 0
    """1 where the examples are training examples."""

    @cached_property
    def features(self) -> Tensor:
        return self.space.features(self.x)

    @cached_property
    def labels(self) -> Tensor:
        return self.space.labels(self.x)

    @cached_property
    def spread(self) -> Tensor:
        return neighbours.distances_to_others(self.x)

    @cached_property
    def nearest(self) -> Tensor:
        return neighbours.nearest(self.x, self.train, skip=self.own).distance


def measure(
    samples: Mapping[str, Tensor],
    splits: Splits,
    space: FeatureSpace,
    *,
    seed: int,
    against: Against = "test",
) -> Quality:
    """Compute every metric that the number of samples allows.

    Args:
        samples: Samples of shape `(n, *event_shape)`, by name.
        splits: The data.
        space: The space of features.
        seed: Chooses the real examples and draws the resamples.
        against: The part of the data to compare with; 'validation' for model selection.
    """
    errors.one_of(get_args(Against), against=against)
    held_out, train = getattr(splits, against).x, splits.train.x
    for x in samples.values():
        refuse_non_finite(x)
    n = min(len(held_out), len(train), *(len(x) for x in samples.values()))
    data = _Side(TrainingSet(held_out).sample(n, seed=seed), space, train)
    sides = {name: _Side(x[:n].cpu(), space, train) for name, x in samples.items()}
    sides[REAL] = _Side(TrainingSet(train).sample(n, seed=seed), space, train, own=1)
    left_out: dict[str, None] = {}
    rows = tuple(
        Row(name=name, values=_values(side, data, left_out, rng=generator(seed, "resamples")))
        for name, side in sides.items()
    )
    each = sides[REAL].features.shape[1]
    biased = (
        f"Frechet distance is an upper estimate: it falls with n, and {n:,} are fewer than {EACH} "
        f"for each of {each} features. Compare it with that of {REAL} here, with nothing else."
        if "frechet" in rows[0].values and n < EACH * each
        else ""
    )
    return Quality(
        features=space.kind,
        describe=space.describe,
        accuracy=space.accuracy,
        against=against,
        n=n,
        measures=tuple(m for m in MEASURES if m.name in rows[0].values),
        rows=rows,
        left_out=tuple(left_out),
        biased=biased,
    )


def of_first(
    samples: Mapping[str, Tensor],
    splits: Splits,
    space: FeatureSpace | None,
    *,
    seed: int,
    ranks: Ranks,
) -> Quality:
    """The result of the first process, in all processes; only the first needs the space."""

    def measured() -> bytes:
        assert space is not None
        return json.dumps(asdict(measure(samples, splits, space, seed=seed))).encode()

    return from_dict(json.loads(ranks.from_first(measured)))


def from_dict(record: Mapping[str, Any]) -> Quality:
    """The inverse of `dataclasses.asdict`."""
    rows = tuple(
        Row(name=row["name"], values={n: Estimate(**v) for n, v in row["values"].items()})
        for row in record["rows"]
    )
    taken = tuple(Measure(**measure) for measure in record["measures"])
    left_out = tuple(record["left_out"])
    return Quality(**{**record, "rows": rows, "measures": taken, "left_out": left_out})


def _values(
    x: _Side, y: _Side, left_out: dict[str, None], *, rng: torch.Generator
) -> dict[str, Estimate]:
    """All metrics of one set against the data, and the reasons for missing ones."""
    values: dict[str, Estimate] = {}
    for take in _TAKE if x.space.classes else _TAKE_WITHOUT_CLASSES:
        try:
            values |= take(x, y, rng)
        except errors.BadValue as error:
            left_out[str(error)] = None
    return values


def _frechet(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return {"frechet": distances.frechet_distance(x.features, y.features, rng=rng)}


def _kernel(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return {"kernel": distances.kernel_distance(x.features, y.features, rng=rng)}


def _neighbourhoods(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return neighbours.neighbourhoods(x.features, y.features, rng=rng)._asdict()


def _classes(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    k = x.space.classes
    return {
        "classes": distances.classes_covered(x.labels, y.labels, classes=k, rng=rng),
        "class_tv_distance": distances.class_tv_distance(x.labels, y.labels, classes=k, rng=rng),
    }


def _pairwise(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return {"pairwise": distances.spread_ratio(x.spread, y.spread, rng=rng)}


def _nearest(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return {"nearest": neighbours.nearest_ratio(x.nearest, y.nearest, rng=rng)}


_Take = Callable[[_Side, _Side, torch.Generator], dict[str, Estimate]]
_TAKE_WITHOUT_CLASSES: tuple[_Take, ...] = (_frechet, _kernel, _neighbourhoods, _pairwise, _nearest)
_TAKE: tuple[_Take, ...] = (*_TAKE_WITHOUT_CLASSES, _classes)

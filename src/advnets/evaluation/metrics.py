"""All measures of `distances.py` and `neighbours.py`, of samples beside real training examples.

Samples, training examples and held-out examples are of the same number, because most of these
measures move with it. What training examples give against held-out ones is what a perfect model
would: read every other line beside theirs.
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
"""The line that a perfect model would have."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a number is called and how to read it."""

    name: str
    title: str
    better: Better
    """'near' is near the value of real training examples."""
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """All that was measured of one set of samples, by the names of the measures."""

    name: str
    values: dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What was measured, of what, and in which space."""

    features: Kind
    describe: str
    """The feature space, in one sentence."""
    accuracy: float | None
    """Share of validation examples whose class the feature space tells."""
    against: Against
    """The part of the data that all rows are compared with."""
    n: int
    """Samples in each row, and examples that they are compared with."""
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    """The samplers', then `REAL`."""
    left_out: tuple[str, ...]
    """Why a measure is not there: name, need, got."""


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
    _measure("precision", "precision", "higher", "share of samples that lie among the data"),
    _measure("recall", "recall", "higher", "share of the data that lies among the samples"),
    _measure(
        "density", "density", "higher", "how deep samples lie in the data; 1 is as deep as data"
    ),
    _measure("coverage", "coverage", "higher", "share of the data with a sample close by"),
    _measure(
        "classes",
        "classes covered",
        "higher",
        "classes that get at least a tenth of their share of the data",
    ),
    _measure(
        "balance",
        "class imbalance",
        "lower",
        "share of samples that are too many for their class",
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
        "held-out examples; well below 1 speaks of copies",
    ),
)


@dataclass(frozen=True)
class _Side:
    """Examples of one kind, and what is known of them, computed when it is first asked for."""

    x: Tensor
    space: FeatureSpace
    train: Examples
    own: int = 0
    """1 where they are training examples themselves."""

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
    """Take every measure that the number of samples allows.

    Args:
        samples: Samples of shape `(n, *event_shape)`, by name.
        splits: The data.
        space: Where features are compared.
        seed: Chooses the real examples and draws the resamples.
        against: The part of the data to compare with; 'validation' where something is chosen.
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
    return Quality(
        features=space.kind,
        describe=space.describe,
        accuracy=space.accuracy,
        against=against,
        n=n,
        measures=tuple(m for m in MEASURES if m.name in rows[0].values),
        rows=rows,
        left_out=tuple(left_out),
    )


def of_first(
    samples: Mapping[str, Tensor],
    splits: Splits,
    space: FeatureSpace | None,
    *,
    seed: int,
    ranks: Ranks,
) -> Quality:
    """What the first process measures, in all of them; only it needs the space."""

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
    """All measures of one side against the data; the sentences of those that cannot be had."""
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
        "balance": distances.class_imbalance(x.labels, y.labels, classes=k, rng=rng),
    }


def _pairwise(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return {"pairwise": distances.spread_ratio(x.spread, y.spread, rng=rng)}


def _nearest(x: _Side, y: _Side, rng: torch.Generator) -> dict[str, Estimate]:
    return {"nearest": neighbours.nearest_ratio(x.nearest, y.nearest, rng=rng)}


_Take = Callable[[_Side, _Side, torch.Generator], dict[str, Estimate]]
_TAKE_WITHOUT_CLASSES: tuple[_Take, ...] = (_frechet, _kernel, _neighbourhoods, _pairwise, _nearest)
_TAKE: tuple[_Take, ...] = (*_TAKE_WITHOUT_CLASSES, _classes)

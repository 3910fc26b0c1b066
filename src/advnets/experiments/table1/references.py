"""The lines that say what a Parzen score is worth: no model, the same protocol.

Real training images are what a perfect model would draw. Cluster means of them score above: the
window rewards pictures that are smooth. The training mean is one picture, and the least to beat.
"""

from collections.abc import Callable
from dataclasses import dataclass

from advnets.base.protocols import Sampler
from advnets.evaluation.kmeans import KMeans
from advnets.experiments.table1.columns import Column
from advnets.sampling.samplers import TrainingSet

LLOYD = 8
"""Steps of k-means; few means still move then."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A sampler that is made from the training images alone."""

    title: str
    name: str
    make: Callable[[Column], Sampler]
    single: bool = False
    """Whether it has but one sample."""

    def samples(self, column: Column) -> int:
        """How many are scored: as many as of a model, where there are so many."""
        return 1 if self.single else min(column.protocol.samples, len(column.splits[0].train))


def _real(column: Column) -> Sampler:
    return TrainingSet(column.splits[0].train.x)


def _means(column: Column) -> Sampler:
    train = column.splits[0].train.x
    return KMeans(train, min(column.protocol.samples, len(train)), steps=LLOYD)


def _mean(column: Column) -> Sampler:
    return TrainingSet(column.splits[0].statistics.mean[None])


REFERENCES = (
    Reference(title="real training images", name="real", make=_real),
    Reference(title="k-means centroids", name=f"k-means, {LLOYD} steps", make=_means),
    Reference(title="training mean", name="mean", make=_mean, single=True),
)

"""The reference rows of Table 1: no model, the same protocol.

Real training images are what a perfect model would draw. Their cluster means score higher, because
the window rewards smooth pictures. The training mean is a single picture and the lowest reference.
"""

from collections.abc import Callable
from dataclasses import dataclass

from advnets.base.protocols import Sampler
from advnets.evaluation.kmeans import KMeans
from advnets.experiments.table1.columns import Column
from advnets.sampling.samplers import TrainingSet

LLOYD = 8
"""Steps of k-means, close to convergence."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A sampler made from the training images alone."""

    title: str
    name: str
    make: Callable[[Column], Sampler]
    single: bool = False
    """Whether it has only one sample."""

    def samples(self, column: Column) -> int:
        """Number of samples: as for a model, where there are enough."""
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

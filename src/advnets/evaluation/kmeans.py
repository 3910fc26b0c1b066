r"""K-means: the k centres with the least squared distance, by scikit-learn.

.. math:: \min_{\mu_1, \dots, \mu_k} \sum_i \min_j \|x_i - \mu_j\|^2

As centres of a Parzen window they score above real images (docs/results/table1.md), because means
of many examples are smooth and the window rewards that. They are not a model: they show what the
score cannot see.

Reference: Lloyd (1982); Arthur and Vassilvitskii (2007), "k-means++"; Theis et al. (2016), "A note
    on the evaluation of generative models", Section 4.
"""

import warnings
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.blocks import blocks
from advnets.base.protocols import Examples
from advnets.base.rng import generator
from advnets.sampling.samplers import TrainingSet

Init = Literal["random", "k-means++"]


class Clustering(NamedTuple):
    """The result of Lloyd's algorithm."""

    centres: Tensor
    """The means, `(k, *event_shape)`."""
    inertia: Tensor
    """The sum of squared distances to the nearest of them, 0-d, float64."""


def kmeans(
    x: Examples,
    k: int,
    *,
    steps: int = 20,
    init: Init = "random",
    rng: torch.Generator,
) -> Clustering:
    """Lloyd's algorithm in float64, in memory; it stops at convergence.

    Args:
        x: Examples of shape `(n, *event_shape)`; they may be in a file.
        k: Centres, from 1 to n.
        steps: Lloyd's steps at most.
        init: 'random' starts from k different examples, 'k-means++' from examples far apart.
        rng: Draws the initial centres.

    Raises:
        BadValue: For k outside 1 to n, no step, or an unknown start.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
        >>> kmeans(x, 2, rng=torch.Generator()).centres.flatten().sort().values
        tensor([ 0.5000, 11.0000])
    """
    # Heavy, and its import sets variables of the environment.
    from sklearn import cluster
    from sklearn.exceptions import ConvergenceWarning

    errors.require(1 <= k <= len(x), "k", f"from 1 to the number of examples, {len(x)}", k)
    errors.at_least(1, steps=steps)
    errors.one_of(get_args(Init), init=init)
    rows = torch.cat([block.flatten(1).double() for block in blocks(x)]).numpy()
    begin = rows[torch.randperm(len(x), generator=rng)[:k].numpy()] if init == "random" else init
    seed = int(torch.randint(2**31, (), generator=rng))
    lloyd = cluster.KMeans(k, init=begin, n_init=1, max_iter=steps, tol=0, random_state=seed)
    with warnings.catch_warnings():  # equal examples, of which k are not different
        warnings.simplefilter("ignore", ConvergenceWarning)
        lloyd.fit(rows)
    centres = torch.from_numpy(lloyd.cluster_centers_).to(x.dtype).view(k, *x.shape[1:])
    return Clustering(centres, torch.tensor(lloyd.inertia_, dtype=torch.float64))


class KMeans(TrainingSet):
    """Cluster means as a sampler: a reference row that scores above real examples.

    Sample number i is entry i of a permutation of the centres drawn from the seed (repeated after
    the last one).

    Args:
        x: The training set, of shape `(n, *event_shape)`.
        k: Centres, at most n.
        steps: Lloyd's steps at most.
        init: Initial centres; see `kmeans`.
        seed: Seed of the initial centres.
    """

    def __init__(
        self, x: Examples, k: int, *, steps: int = 8, init: Init = "random", seed: int = 0
    ) -> None:
        rng = generator(seed, "k-means")
        centres, self.inertia = kmeans(x, k, steps=steps, init=init, rng=rng)
        super().__init__(centres)

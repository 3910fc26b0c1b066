r"""K-means: the k centres that leave the least squared distance, by Lloyd's two steps.

.. math:: \min_{\mu_1, \dots, \mu_k} \sum_i \min_j \|x_i - \mu_j\|^2

As centres of a Parzen window they score above real images (docs/table1.md): means of many examples
are smooth, and the window rewards that. They are no model; they show what the score cannot see.

Reference: Lloyd (1982); Arthur and Vassilvitskii (2007), "k-means++"; Theis et al. (2016), "A note
    on the evaluation of generative models", Section 4.
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.blocks import blocks
from advnets.base.protocols import Examples
from advnets.base.rng import generator
from advnets.evaluation.pairwise import nearest
from advnets.sampling.samplers import TrainingSet

Init = Literal["random", "k-means++"]


class Clustering(NamedTuple):
    """Where Lloyd's steps ended."""

    centres: Tensor
    """The means, `(k, *event_shape)`."""
    inertia: Tensor
    """The sum of squared distances to the nearest centre before each step, `(steps,)`, float64."""


def kmeans(
    x: Examples,
    k: int,
    *,
    steps: int = 20,
    init: Init = "random",
    rng: torch.Generator,
) -> Clustering:
    """Lloyd's algorithm. The examples pass by in blocks; it ends early where nothing moves.

    A centre that is nearest to no example is put on the example that lies farthest from its own
    centre.

    Args:
        x: Examples of shape `(n, *event_shape)`; they may be in a file.
        k: Centres, from 1 to n.
        steps: Lloyd's steps at most.
        init: 'random' begins at k different examples; 'k-means++' at examples drawn one by one
            with a probability proportional to the squared distance to those drawn before, which
            takes a pass over the data for each.
        rng: Draws where to begin.

    Raises:
        BadValue: For k outside 1 to n, no step, or an unknown start.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
        >>> kmeans(x, 2, rng=torch.Generator()).centres.flatten().sort().values
        tensor([ 0.5000, 11.0000])
    """
    errors.require(1 <= k <= len(x), "k", f"from 1 to the number of examples, {len(x)}", k)
    errors.at_least(1, steps=steps)
    errors.one_of(get_args(Init), init=init)
    chosen = torch.randperm(len(x), generator=rng)[:k] if init == "random" else spread(x, k, rng)
    centres, inertia = x[chosen].flatten(1).double(), []
    for _ in range(steps):
        moved, total = lloyd(x, centres)
        inertia.append(total)
        still, centres = torch.equal(moved, centres), moved
        if still:
            break
    means = centres.to(x.dtype).view(k, *x.shape[1:])
    return Clustering(means, torch.tensor(inertia, dtype=torch.float64))


def lloyd(x: Examples, centres: Tensor) -> tuple[Tensor, float]:
    """One step: each example to its nearest centre, each centre to the mean of its examples.

    Returns:
        The new centres, `(k, d)`, and the sum of squared distances to the old ones.
    """
    distance, owner = [], []
    sums = torch.zeros(centres.shape, dtype=torch.float64)
    for block in blocks(x):
        near = nearest(block, centres)
        distance.append(near.distance[:, 0])
        owner.append(near.number[:, 0])
        sums.index_add_(0, owner[-1], block.flatten(1).double())
    far, own = torch.cat(distance), torch.cat(owner)
    sizes = torch.bincount(own, minlength=len(centres))
    moved = (sums / sizes[:, None]).to(centres)
    empty = (sizes == 0).nonzero().flatten()
    farthest = far.argsort(descending=True, stable=True)[: len(empty)]
    moved[empty] = x[farthest].flatten(1).to(centres)
    return moved, far.square().sum().item()


def spread(x: Examples, k: int, rng: torch.Generator) -> Tensor:
    """The numbers of k examples far from one another: where k-means++ begins."""
    weight = torch.ones(len(x), dtype=torch.float64)
    nearest = torch.full((len(x),), torch.inf, dtype=torch.float64)
    chosen = torch.empty(k, dtype=torch.int64)
    for j in range(k):
        total = weight.cumsum(0)
        u = torch.rand((), generator=rng, dtype=torch.float64) * total[-1]
        chosen[j] = torch.searchsorted(total, u, right=True).clamp(max=len(x) - 1)
        centre = x[chosen[j : j + 1]].flatten(1)
        away = [(b.flatten(1) - centre).square().sum(dim=1, dtype=torch.float64) for b in blocks(x)]
        weight = nearest = torch.minimum(nearest, torch.cat(away))
    return chosen


class KMeans(TrainingSet):
    """Cluster means as a sampler: a reference line that scores above real examples.

    Sample number i is entry i of a permutation of the centres drawn from the seed (it begins again
    after the last one).

    Args:
        x: The training set, of shape `(n, *event_shape)`.
        k: Centres, at most n.
        steps: Lloyd's steps at most.
        init: Where the centres begin; see `kmeans`.
        seed: Decides where the centres begin.
    """

    def __init__(
        self, x: Examples, k: int, *, steps: int = 8, init: Init = "random", seed: int = 0
    ) -> None:
        rng = generator(seed, "k-means")
        centres, self.inertia = kmeans(x, k, steps=steps, init=init, rng=rng)
        super().__init__(centres)

r"""Who lies next to whom: balls around examples, and the nearest training example.

Distances pass by in blocks, so that memory does not grow with samples times examples. They come
from a product, :math:`\|x\|^2 - 2 x^\top y + \|y\|^2`, taken about the mean of the points, where
float32 loses least.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from advnets import bootstrap, checks
from advnets.bootstrap import Estimate, resampled
from advnets.protocols import Examples
from advnets.streaming import blocks

TAIL, TAIL_LEAST = 1_000, 10
"""`nearest_ratio` looks at the closest thousandth of the samples, and at no fewer than ten."""

_ROWS = 500
_MANIFOLD, _DENSE = 3, 5
_CANDIDATES = 4


class Neighbourhoods(NamedTuple):
    """What balls around examples say; the first and third of fidelity, the others of variety."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def neighbourhoods(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Neighbourhoods:
    """Precision, recall, density and coverage.

    The ball of an example reaches to its k-th nearest neighbour on its own side. Precision is the
    share of samples in the ball of some real example, recall that of real examples in the ball of
    some sample (k = 3). Density is the number of real examples' balls that a sample lies in, over
    k; coverage the share of real examples whose ball holds a sample (k = 5).

    Intervals resample the examples that are asked and leave the balls: a doubled example would
    shrink its own ball to nothing. So they are narrower than those of fresh balls.

    Reference: Kynkaanniemi et al. (2019), arXiv 1904.06991; Naeem et al. (2020), arXiv 2002.09797.

    Args:
        x: Features of samples, of shape `(n, d)`.
        y: Features of real examples, of shape `(m, d)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 rows.
    """
    bootstrap.refuse_too_few("precision, recall, density and coverage", bootstrap.ENOUGH, x, y)
    origin = y.double().mean(dim=0)
    x, y = x.double() - origin, y.double() - origin
    (around_x, _), (around_y, wide) = squared_radii(x), squared_radii(y)
    real, balls = [], []
    found = torch.zeros(len(y), dtype=torch.bool)
    covered = torch.zeros(len(y), dtype=torch.bool)
    for d, radius in zip(squared_distances(x, y), torch.split(around_x, _ROWS), strict=True):
        real.append((d <= around_y).any(dim=1))
        balls.append((d <= wide).sum(dim=1))
        found |= (d <= radius[:, None]).any(dim=0)
        covered |= (d <= wide).any(dim=0)
    return Neighbourhoods(
        precision=bootstrap.share(torch.cat(real), rng=rng),
        recall=bootstrap.share(found, rng=rng),
        density=bootstrap.mean(torch.cat(balls) / _DENSE, rng=rng),
        coverage=bootstrap.share(covered, rng=rng),
    )


def squared_radii(x: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of each row to its third and to its fifth nearest other row."""
    nearest = []
    for i, d in enumerate(squared_distances(x, x)):
        rows = torch.arange(len(d))
        d[rows, i * _ROWS + rows] = torch.inf
        nearest.append(d.topk(_DENSE, largest=False).values)
    sorted_d = torch.cat(nearest)
    return sorted_d[:, _MANIFOLD - 1], sorted_d[:, _DENSE - 1]


def squared_distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Squared distances of all rows of x to all of y, some rows of x at a time."""
    norms = y.square().sum(dim=1)
    for rows in torch.split(x, _ROWS):
        d = torch.addmm(norms, rows, y.T, alpha=-2).add_(rows.square().sum(dim=1, keepdim=True))
        yield d.clamp_min_(0)


def distances_to_others(x: Tensor) -> Tensor:
    """The mean distance of each row to all others, of shape `(n,)`, float64."""
    rows = x.flatten(1)
    rows = rows - rows.mean(dim=0)  # where a product of float32 loses least
    means = []
    for i, d in enumerate(squared_distances(rows, rows)):
        own = torch.arange(len(d))
        d[own, i * _ROWS + own] = 0
        means.append(d.sqrt_().sum(dim=1, dtype=torch.float64) / (len(x) - 1))
    return torch.cat(means)


class Nearest(NamedTuple):
    """The nearest example of each point: its distance, float64, and its number."""

    distance: Tensor
    number: Tensor


def nearest(x: Tensor, examples: Examples, *, skip: int = 0) -> Nearest:
    r"""For each point the example nearest to it, the first of equals: :math:`\min_j \|x_i - e_j\|`.

    A product finds the closest few, and differences in float64 choose among them: near 0 a product
    has lost its digits.

    Args:
        x: Points, of shape `(n, *event_shape)`.
        examples: More than `skip` of them, of shape `(N, *event_shape)`; they may be in a file.
        skip: 1 for points that are examples themselves, to pass over each one's own.

    Returns:
        Distances and numbers of examples, each of shape `(n,)`.

    Example:
        >>> nearest(torch.tensor([[0.9], [5.0]]), torch.tensor([[0.0], [1.0], [4.0]])).number
        tensor([1, 2])
    """
    points = x.detach().flatten(1)
    origin = points.double().mean(dim=0)
    centred = (points.double() - origin).to(points)
    kept, start = min(skip + _CANDIDATES, len(examples)), 0
    least = torch.full((len(points), kept), torch.inf, dtype=points.dtype)
    found = torch.zeros(len(points), kept, dtype=torch.int64)
    for block in blocks(examples):
        others = (block.flatten(1).double() - origin).to(points)
        for i, d in enumerate(squared_distances(centred, others)):
            rows = slice(i * _ROWS, i * _ROWS + len(d))
            near = d.topk(min(kept, len(others)), largest=False)
            all_d = torch.cat([least[rows], near.values], dim=1)
            numbers = torch.cat([found[rows], near.indices + start], dim=1)
            least[rows], chosen = all_d.topk(kept, largest=False)
            found[rows] = numbers.gather(1, chosen)
        start += len(block)
    return _settled(points, examples, found.sort(dim=1).values, skip)


def _settled(points: Tensor, examples: Examples, found: Tensor, skip: int) -> Nearest:
    """The nearest, or the one after it, of the few examples found for each point."""
    parts = []
    for rows, few in zip(torch.split(points, _ROWS), torch.split(found, _ROWS), strict=True):
        candidates = examples[few.flatten()].flatten(1).view(*few.shape, -1)
        exact = (rows[:, None].double() - candidates.double()).norm(dim=2)
        distance, order = exact.sort(dim=1, stable=True)
        parts.append((distance[:, skip], few.gather(1, order)[:, skip]))
    return Nearest(*map(torch.cat, zip(*parts, strict=True)))


def nearest_ratio(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    """How close the closest samples are to training examples, over the same for held-out ones.

    The mean nearest distance of the closest thousandth of the samples (of ten at least), over that
    of as large a part of real examples that were not trained on. Well below 1 speaks of copies.

    Args:
        x: distances to the `nearest` of samples, of shape `(n,)`.
        y: distances to the `nearest` of real examples outside the training set, of shape `(n,)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 100 of them, or held-out examples that are copies themselves.
    """
    bootstrap.refuse_too_few("nearest training example", 10 * TAIL_LEAST, x, y)
    floor = _tail(y)
    need = "measured on held-out examples that are no copies of training examples"
    checks.require(floor > 0, "nearest training example", need, "copies")
    replicates = torch.tensor(
        [
            _tail(resampled(x, rng=rng)) / max(_tail(resampled(y, rng=rng)), floor / 10)
            for _ in range(bootstrap.RESAMPLES)
        ]
    )
    return bootstrap.centred(_tail(x) / floor, replicates, n=len(x), low=0.0)


def _tail(distances: Tensor) -> float:
    count = max(TAIL_LEAST, len(distances) // TAIL)
    return distances.topk(count, largest=False).values.double().mean().item()

r"""Metrics of nearest neighbours: balls around examples, and the nearest training example.

Distances are those of `pairwise.py`: by a product where that is accurate enough, else by
differences in float64. They are computed in blocks, so that memory does not grow with samples times
examples.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Examples
from advnets.evaluation import bootstrap, pairwise
from advnets.evaluation.bootstrap import Estimate, resampled
from advnets.evaluation.pairwise import Nearest

TAIL, TAIL_LEAST = 1_000, 10
"""`nearest_ratio` uses the closest thousandth of the samples, and at least ten."""

_MANIFOLD, _DENSE = 3, 5
_MEAN_ERROR = 1e-3


class Neighbourhoods(NamedTuple):
    """Precision and density (fidelity), recall and coverage (variety)."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def neighbourhoods(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Neighbourhoods:
    """Precision, recall, density and coverage.

    The ball of an example reaches to its k-th nearest neighbour in its own set. Precision is the
    share of samples in the ball of some real example, recall that of real examples in the ball of
    some sample (k = 3). Density is the number of real examples' balls that a sample lies in, over
    k; coverage the share of real examples whose ball holds a sample (k = 5).

    A distance equal to the radius counts, as in both papers' definitions and the first's code (the
    second's, `prdc`, excludes it, which differs only for ties). Ties are settled in float64, up to
    the rounding of the features themselves (`pairwise.inside`).

    Intervals resample the points and keep the balls, because a duplicated example would shrink its
    own ball to nothing. So they are narrower than with new balls.

    Reference: Kynkaanniemi et al. (2019), arXiv 1904.06991; Naeem et al. (2020), arXiv 2002.09797.

    Args:
        x: Features of samples, of shape `(n, d)`.
        y: Features of real examples, of shape `(m, d)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 rows.
    """
    bootstrap.refuse_too_few("precision, recall, density and coverage", bootstrap.ENOUGH, x, y)
    (around_x, _), (around_y, wide) = radii(x), radii(y)
    real, balls = [], []
    found = torch.zeros(len(y), dtype=torch.bool)
    covered = torch.zeros(len(y), dtype=torch.bool)
    for near, near_wide, by_x in pairwise.inside(x, y, around_y, wide, around_x[:, None]):
        real.append(near.any(dim=1))
        balls.append(near_wide.sum(dim=1))
        found |= by_x.any(dim=0)
        covered |= near_wide.any(dim=0)
    return Neighbourhoods(
        precision=bootstrap.share(torch.cat(real), rng=rng),
        recall=bootstrap.share(found, rng=rng),
        density=bootstrap.mean(torch.cat(balls).double() / _DENSE, rng=rng),
        coverage=bootstrap.share(covered, rng=rng),
    )


def radii(x: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each row to its third and to its fifth nearest other row, float64."""
    # The nearest of all is the row itself, or its copy: at distance 0 either way.
    d = pairwise.nearest(x, x, k=_DENSE + 1).distance
    return d[:, _MANIFOLD], d[:, _DENSE]


def distances_to_others(x: Tensor) -> Tensor:
    """The mean distance of each row to all others, of shape `(n,)`, float64.

    By a product in float32 where its error is below a thousandth of the mean's square, else by one
    in float64, else by differences.
    """
    flat = pairwise.rows("x", x)
    origin = flat.double().mean(dim=0)
    means = torch.zeros(len(x), dtype=torch.float64)
    still_open = torch.arange(len(x))
    for dtype in (torch.float32, torch.float64)[flat.dtype == torch.float64 :]:
        centred = pairwise.about(flat, origin, dtype)
        lengths = centred.double().norm(dim=1)
        error = pairwise.error_bound(centred, lengths[still_open] + lengths.max())
        found = _mean_distances(centred, still_open)
        sure = error < _MEAN_ERROR * found.square()
        means[still_open[sure]] = found[sure]
        still_open = still_open[~sure]
        if not len(still_open):
            return means
    for rows in torch.split(still_open, pairwise.ROWS):
        means[rows] = pairwise.all_apart(flat[rows], flat).sum(dim=1) / (len(x) - 1)
    return means


def _mean_distances(x: Tensor, chosen: Tensor) -> Tensor:
    """Of the chosen rows, by products in the dtype of x."""
    means = []
    for rows, d in zip(
        torch.split(chosen, pairwise.ROWS), pairwise.squared_distances(x[chosen], x), strict=True
    ):
        d[torch.arange(len(rows)), rows] = 0
        means.append(d.sqrt_().sum(dim=1, dtype=torch.float64) / (len(x) - 1))
    return torch.cat(means)


def nearest(x: Tensor, examples: Examples, *, skip: int = 0) -> Nearest:
    r"""For each point the example nearest to it, the first of equals: :math:`\min_j \|x_i - e_j\|`.

    Args:
        x: Points, of shape `(n, *event_shape)`.
        examples: More than `skip` of them, of shape `(N, *event_shape)`; they may be in a file.
        skip: 1 for points that are examples themselves, to skip the point itself.

    Returns:
        Distances and numbers of examples, each of shape `(n,)`.

    Example:
        >>> nearest(torch.tensor([[0.9], [5.0]]), torch.tensor([[0.0], [1.0], [4.0]])).number
        tensor([1, 2])
    """
    found = pairwise.nearest(x, examples, k=skip + 1)
    return Nearest(found.distance[:, skip], found.number[:, skip])


def nearest_ratio(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    """Distance of the closest samples to training examples, over that of held-out examples.

    The mean nearest distance of the closest thousandth of the samples (of ten at least), over that
    of as large a part of real examples that were not trained on. Values well below 1 indicate
    copies.

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
    errors.require(floor > 0, "nearest training example", need, "copies")
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

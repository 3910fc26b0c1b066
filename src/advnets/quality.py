r"""Other ways to see quality than a Parzen score: do samples look like data, and like all of it?

Everywhere x are samples and y is real data, one row an example, in a space of features or in that
of the data. Distances pass by in blocks, so that memory does not grow with samples times examples.

Two clouds of features: `frechet_distance`, `kernel_distance`. Neighbourhoods: `neighbourhoods`
(precision, recall, density, coverage). Classes: `classes_covered`, `class_imbalance`. Spread and
copies, in data space: `spread_ratio`, `nearest_ratio`.

Every number comes with its 95% interval. It speaks of the draw of samples and examples, at this
number of them; where a number is biased (a Frechet distance falls with n), it says nothing of the
bias, so compare numbers of the same n.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from advnets import bootstrap, checks
from advnets.bootstrap import Estimate, resampled, resampled_means
from advnets.protocols import Examples
from advnets.streaming import blocks

ENOUGH = 20
"""Samples, and examples, below which no interval means anything."""
TAIL, TAIL_LEAST = 1_000, 10
"""`nearest_ratio` looks at the closest thousandth of the samples, and at no fewer than ten."""

_ROWS = 500
_FRECHET_RESAMPLES = 100
_MANIFOLD, _DENSE = 3, 5


def refuse_too_few(name: str, need: int, x: Tensor, y: Tensor) -> None:
    """Raise unless there are `need` samples and as many real examples."""
    if min(len(x), len(y)) < need:
        raise checks.too_few_samples(name, need, min(len(x), len(y)))


# Two clouds of features


def frechet_distance(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    r"""The Frechet distance between the Gaussians that have the two clouds' moments.

    .. math:: \|m_x - m_y\|^2 + \operatorname{tr}\big(S_x + S_y - 2 (S_x S_y)^{1/2}\big)

    The trace of the root is the sum of the singular values of :math:`S_x^{1/2} S_y^{1/2}`, which
    holds for covariances of any rank. The interval is centred: resamples are further apart than the
    samples are. Near 0 it is too wide rather than too narrow.

    Reference: Heusel et al. (2017), arXiv 1706.08500, eq. (6).

    Args:
        x: Features of samples, of shape `(n, d)`.
        y: Features of real examples, of shape `(m, d)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 rows, or no more than d.
    """
    refuse_too_few("Frechet distance", max(ENOUGH, x.shape[1] + 1), x, y)
    x, y = x.double(), y.double()
    replicates = [
        _frechet(resampled(x, rng=rng), resampled(y, rng=rng)) for _ in range(_FRECHET_RESAMPLES)
    ]
    return bootstrap.centred(_frechet(x, y), replicates, n=len(x), low=0.0)


def _frechet(x: Tensor, y: Tensor) -> float:
    # torch.cov of one feature is a number; of several, a matrix.
    S_x, S_y = (torch.cov(side.T).view(x.shape[1], -1) for side in (x, y))
    cross = torch.linalg.svdvals(_root(S_x) @ _root(S_y)).sum()
    shift = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    return max(0.0, float(shift + S_x.trace() + S_y.trace() - 2 * cross))


def _root(S: Tensor) -> Tensor:
    """The symmetric square root of a covariance."""
    eigenvalues, U = torch.linalg.eigh(S)
    root: Tensor = (U * eigenvalues.clamp_min(0).sqrt()) @ U.T
    return root


def kernel_distance(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    r"""The unbiased squared maximum mean discrepancy with a cubic kernel; about 0 between equals.

    .. math:: \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}
              {m (m - 1)} - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m},
              \quad k(a, b) = \Big(\frac{a^\top b}{d} + 1\Big)^3

    A resample would pair an example with its own copy, so what is resampled is each example's
    part in the sum (the number's linear part). Near 0 the interval is up to 1.4 times too wide.

    Reference: Binkowski et al. (2018), arXiv 1801.01401; Gretton et al. (2012), lemma 6.

    Args:
        x: Features of samples, of shape `(n, d)`.
        y: Features of real examples, of shape `(m, d)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 rows.
    """
    refuse_too_few("kernel distance", ENOUGH, x, y)
    x, y = x.double(), y.double()
    to_y, to_x = _kernel_means(x, y)
    parts = _kernel_means_of_others(x) - to_y, _kernel_means_of_others(y) - to_x
    replicates = sum(2 * resampled_means(part, rng=rng) for part in parts)
    assert isinstance(replicates, Tensor)
    return bootstrap.centred(sum(part.mean().item() for part in parts), replicates, n=len(x))


def _kernel_means(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of k(x_i, y_j) over j, and over i."""
    over_j, over_i = [], torch.zeros(len(y), dtype=torch.float64)
    for rows in torch.split(x, _ROWS):
        k = (rows @ y.T).div_(x.shape[1]).add_(1).pow_(3)
        over_j.append(k.mean(dim=1))
        over_i += k.sum(dim=0)
    return torch.cat(over_j), over_i / len(x)


def _kernel_means_of_others(x: Tensor) -> Tensor:
    """The mean of k(x_i, x_j) over all j but i."""
    n, own = len(x), (x.square().sum(dim=1) / x.shape[1] + 1).pow(3)
    return (_kernel_means(x, x)[0] * n - own) / (n - 1)


# Neighbourhoods


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
    refuse_too_few("precision, recall, density and coverage", ENOUGH, x, y)
    origin = y.double().mean(dim=0)
    x, y = x.double() - origin, y.double() - origin
    (around_x, _), (around_y, wide) = squared_radii(x), squared_radii(y)
    real, balls = [], []
    found = torch.zeros(len(y), dtype=torch.bool)
    covered = torch.zeros(len(y), dtype=torch.bool)
    for d, radius in zip(_squared_distances(x, y), torch.split(around_x, _ROWS), strict=True):
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
    for i, d in enumerate(_squared_distances(x, x)):
        rows = torch.arange(len(d))
        d[rows, i * _ROWS + rows] = torch.inf
        nearest.append(d.topk(_DENSE, largest=False).values)
    sorted_d = torch.cat(nearest)
    return sorted_d[:, _MANIFOLD - 1], sorted_d[:, _DENSE - 1]


def _squared_distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Squared distances of all rows of x to all of y, some rows of x at a time."""
    norms = y.square().sum(dim=1)
    for rows in torch.split(x, _ROWS):
        d = torch.addmm(norms, rows, y.T, alpha=-2).add_(rows.square().sum(dim=1, keepdim=True))
        yield d.clamp_min_(0)


# Classes


def classes_covered(x: Tensor, y: Tensor, *, classes: int, rng: torch.Generator) -> Estimate:
    """The number of classes that samples hold at least a tenth as often as the data does.

    Args:
        x: Classes of samples, integers from 0, of shape `(n,)`.
        y: Classes of real examples, by the same judge.
        classes: How many classes there are.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than ten samples, or examples, a class.
    """
    refuse_too_few("classes covered", max(ENOUGH, 10 * classes), x, y)
    need = _shares(y, classes) / 10

    def covered(labels: Tensor) -> float:
        return float(((_shares(labels, classes) >= need) & (need > 0)).sum())

    replicates = torch.tensor([covered(resampled(x, rng=rng)) for _ in range(bootstrap.RESAMPLES)])
    return bootstrap.percentile(covered(x), replicates, n=len(x))


def class_imbalance(x: Tensor, y: Tensor, *, classes: int, rng: torch.Generator) -> Estimate:
    r"""How far the classes' shares are from the data's: :math:`\frac12 \sum_c |p_c - q_c|`.

    It is the share of samples that are too many for their class; 0 where all shares agree.

    Args:
        x: Classes of samples, integers from 0, of shape `(n,)`.
        y: Classes of real examples, by the same judge.
        classes: How many classes there are.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than ten samples, or examples, a class.
    """
    refuse_too_few("class imbalance", max(ENOUGH, 10 * classes), x, y)

    def apart(a: Tensor, b: Tensor) -> float:
        return (_shares(a, classes) - _shares(b, classes)).abs().sum().item() / 2

    replicates = [
        apart(resampled(x, rng=rng), resampled(y, rng=rng)) for _ in range(bootstrap.RESAMPLES)
    ]
    return bootstrap.centred(apart(x, y), replicates, n=len(x), low=0.0, high=1.0)


def _shares(labels: Tensor, classes: int) -> Tensor:
    return torch.bincount(labels, minlength=classes).double() / len(labels)


# Spread and copies, in data space


def distances_to_others(x: Tensor) -> Tensor:
    """The mean distance of each row to all others, of shape `(n,)`, float64."""
    rows = x.flatten(1)
    rows = rows - rows.mean(dim=0)  # where a product of float32 loses least
    means = []
    for i, d in enumerate(_squared_distances(rows, rows)):
        own = torch.arange(len(d))
        d[own, i * _ROWS + own] = 0
        means.append(d.sqrt_().sum(dim=1, dtype=torch.float64) / (len(x) - 1))
    return torch.cat(means)


def spread_ratio(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    """The mean distance of two samples over that of two real examples: near 1 where all is well.

    The interval resamples each example's mean distance to the others (the linear part), since a
    resample would pair an example with its own copy.

    Args:
        x: `distances_to_others` of samples, of shape `(n,)`.
        y: `distances_to_others` of real examples, of shape `(m,)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 of them, or real examples that are all one.
    """
    refuse_too_few("spread", ENOUGH, x, y)
    checks.require(y.mean().item() > 0, "spread", "measured on data that varies", "one point")
    top, bottom = (
        2 * resampled_means(side, rng=rng) - side.mean() for side in (x.double(), y.double())
    )
    return bootstrap.centred(
        (x.mean() / y.mean()).item(), top / bottom.clamp_min(y.mean() / 10), n=len(x), low=0.0
    )


def nearest_distances(x: Tensor, train: Examples, *, skip: int = 0) -> Tensor:
    """The distance of each row to its nearest training example, of shape `(n,)`, float64.

    Args:
        x: Samples, of shape `(n, *event_shape)`.
        train: Training examples; they may be in a file still.
        skip: 1 for rows that are training examples themselves, to pass over each one's own.
    """
    points, best = x.flatten(1), torch.full((len(x), 1 + skip), torch.inf)
    found = torch.zeros(len(x), 1 + skip, dtype=torch.long)
    origin, start = points.mean(dim=0), 0
    for block in blocks(train):
        others = block.flatten(1).to(points) - origin
        for i, d in enumerate(_squared_distances(points - origin, others)):
            rows = slice(i * _ROWS, i * _ROWS + len(d))
            near = d.topk(min(1 + skip, len(others)), largest=False)
            both = torch.cat([best[rows], near.values.float()], dim=1)
            best[rows], chosen = both.topk(1 + skip, largest=False)
            indices = torch.cat([found[rows], near.indices + start], dim=1)
            found[rows] = indices.gather(1, chosen)
        start += len(block)
    return _exact(points, train, found).amax(dim=1)


def _exact(points: Tensor, train: Examples, found: Tensor) -> Tensor:
    """Distances to the examples found, by subtraction: a product loses those near 0."""
    return torch.stack(
        [
            torch.cat(
                [
                    (rows.double() - train[index].flatten(1).double()).norm(dim=1)
                    for rows, index in zip(
                        torch.split(points, _ROWS), torch.split(column, _ROWS), strict=True
                    )
                ]
            )
            for column in found.T
        ],
        dim=1,
    )


def nearest_ratio(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    """How close the closest samples are to training examples, over the same for held-out ones.

    The mean nearest distance of the closest thousandth of the samples (of ten at least), over that
    of as large a part of real examples that were not trained on. Well below 1 speaks of copies.

    Args:
        x: `nearest_distances` of samples, of shape `(n,)`.
        y: `nearest_distances` of real examples outside the training set, of shape `(n,)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 100 of them, or held-out examples that are copies themselves.
    """
    refuse_too_few("nearest training example", 10 * TAIL_LEAST, x, y)
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

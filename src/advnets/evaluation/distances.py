r"""Metrics of samples beside the Parzen score: distances of features, classes, spread.

Everywhere x are samples and y is real data, one row an example, in a space of features or in that
of the data. Features: `frechet_distance`, `kernel_distance`. Classes: `classes_covered`,
`class_tv_distance`. Spread, in data space: `spread_ratio`. Precision, recall, density, coverage and
copies are in `neighbours.py`.

Every value has a 95% interval. It covers the random draw of samples and examples at this n, not the
bias of a metric (a Frechet distance falls with n): compare values of the same n.
"""

import torch
from torch import Tensor

from advnets.base import errors
from advnets.evaluation import bootstrap
from advnets.evaluation.bootstrap import Estimate, resampled, resampled_means

_ROWS = 500
_FRECHET_RESAMPLES = 100
_MOST = 1e25
"""Features may be as large: float64 holds the square of a cubic kernel between them."""


# Two clouds of features


def frechet_distance(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    r"""The Frechet distance between Gaussians fitted to two sets of features.

    .. math:: \|m_x - m_y\|^2 + \operatorname{tr}\big(S_x + S_y - 2 (S_x S_y)^{1/2}\big)

    The trace of the root is the sum of the singular values of :math:`S_x^{1/2} S_y^{1/2}`, which
    holds for covariances of any rank. The interval is centred, because resamples are further apart
    than the samples. Near 0 it is rather too wide.

    Reference: Heusel et al. (2017), arXiv 1706.08500, eq. (6).

    Args:
        x: Features of samples, of shape `(n, d)`.
        y: Features of real examples, of shape `(m, d)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 rows, or no more than d; for numbers beyond 1e25.
    """
    bootstrap.refuse_too_few("Frechet distance", max(bootstrap.ENOUGH, x.shape[1] + 1), x, y)
    _refuse_huge("Frechet distance", x, y)
    x, y = x.double(), y.double()
    replicates = [
        _frechet(resampled(x, rng=rng), resampled(y, rng=rng)) for _ in range(_FRECHET_RESAMPLES)
    ]
    return bootstrap.centred(_frechet(x, y), replicates, n=len(x), low=0.0)


def _refuse_huge(name: str, *sides: Tensor) -> None:
    """Raise where the powers that are summed would be infinite."""
    most = max(side.abs().max().item() for side in sides)
    errors.require(most <= _MOST, name, f"of features of at most {_MOST:g}", f"{most:g}")


def _frechet(x: Tensor, y: Tensor) -> float:
    # torch.cov of one feature is a number; of several, a matrix.
    S_x, S_y = (torch.cov(side.T).view(x.shape[1], -1) for side in (x, y))
    return between_gaussians((x.mean(dim=0), S_x), (y.mean(dim=0), S_y))


def between_gaussians(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor]) -> float:
    """The Frechet distance between two Gaussians, without an interval (`frechet_distance`).

    Args:
        x: Mean `(d,)` and covariance `(d, d)` of the one, in float64; any rank.
        y: Those of the other.
    """
    (m_x, S_x), (m_y, S_y) = x, y
    cross = torch.linalg.svdvals(_root(S_x) @ _root(S_y)).sum()
    shift = (m_x - m_y).square().sum()
    return max(float(shift + S_x.trace() + S_y.trace() - 2 * cross), 0.0)  # NaN stays


def _root(S: Tensor) -> Tensor:
    """The symmetric square root of a covariance."""
    eigenvalues, U = torch.linalg.eigh(S)
    root: Tensor = (U * eigenvalues.clamp_min(0).sqrt()) @ U.T
    return root


def kernel_distance(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    r"""The unbiased squared MMD with a cubic kernel; about 0 for equal distributions.

    .. math:: \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}
              {m (m - 1)} - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m},
              \quad k(a, b) = \Big(\frac{a^\top b}{d} + 1\Big)^3

    A resample would pair an example with its own copy, so each example's contribution to the sum
    (the linear part) is resampled. Near 0 the interval is up to 1.4 times too wide.

    Reference: Binkowski et al. (2018), arXiv 1801.01401; Gretton et al. (2012), lemma 6.

    Args:
        x: Features of samples, of shape `(n, d)`.
        y: Features of real examples, of shape `(m, d)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 rows, or numbers beyond 1e25.
    """
    bootstrap.refuse_too_few("kernel distance", bootstrap.ENOUGH, x, y)
    _refuse_huge("kernel distance", x, y)
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


# Classes


def classes_covered(x: Tensor, y: Tensor, *, classes: int, rng: torch.Generator) -> Estimate:
    """The number of classes whose share of the samples is at least a tenth of that of the data.

    Args:
        x: Classes of samples, integers from 0, of shape `(n,)`.
        y: Classes of real examples, by the same classifier.
        classes: How many classes there are.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than ten samples, or examples, a class.
    """
    bootstrap.refuse_too_few("classes covered", max(bootstrap.ENOUGH, 10 * classes), x, y)
    need = _shares(y, classes) / 10

    def covered(labels: Tensor) -> float:
        return float(((_shares(labels, classes) >= need) & (need > 0)).sum())

    replicates = torch.tensor([covered(resampled(x, rng=rng)) for _ in range(bootstrap.RESAMPLES)])
    return bootstrap.percentile(covered(x), replicates, n=len(x))


def class_tv_distance(x: Tensor, y: Tensor, *, classes: int, rng: torch.Generator) -> Estimate:
    r"""Total variation distance of the class shares: :math:`\frac12 \sum_c |p_c - q_c|`.

    It is the share of samples in excess of the data's class shares; 0 where all shares agree.

    Args:
        x: Classes of samples, integers from 0, of shape `(n,)`.
        y: Classes of real examples, by the same classifier.
        classes: How many classes there are.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than ten samples, or examples, a class.
    """
    bootstrap.refuse_too_few("class TV distance", max(bootstrap.ENOUGH, 10 * classes), x, y)

    def apart(a: Tensor, b: Tensor) -> float:
        return (_shares(a, classes) - _shares(b, classes)).abs().sum().item() / 2

    replicates = [
        apart(resampled(x, rng=rng), resampled(y, rng=rng)) for _ in range(bootstrap.RESAMPLES)
    ]
    return bootstrap.centred(apart(x, y), replicates, n=len(x), low=0.0, high=1.0)


def _shares(labels: Tensor, classes: int) -> Tensor:
    return torch.bincount(labels, minlength=classes).double() / len(labels)


# Spread, in data space


def spread_ratio(x: Tensor, y: Tensor, *, rng: torch.Generator) -> Estimate:
    """The mean distance of two samples over that of two real examples: about 1 for a good model.

    The interval resamples each example's mean distance to the others (the linear part), since a
    resample would pair an example with its own copy.

    Args:
        x: `neighbours.distances_to_others` of samples, of shape `(n,)`.
        y: `distances_to_others` of real examples, of shape `(m,)`.
        rng: Draws the resamples.

    Raises:
        BadValue: For fewer than 20 of them, or real examples that are all equal.
    """
    bootstrap.refuse_too_few("spread", bootstrap.ENOUGH, x, y)
    errors.require(y.mean().item() > 0, "spread", "measured on data that varies", "one point")
    top, bottom = (
        2 * resampled_means(side, rng=rng) - side.mean() for side in (x.double(), y.double())
    )
    return bootstrap.centred(
        (x.mean() / y.mean()).item(), top / bottom.clamp_min(y.mean() / 10), n=len(x), low=0.0
    )

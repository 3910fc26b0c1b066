r"""Pairwise distances: by a product where that is accurate enough, else by float64 differences.

.. math:: \|x - y\|^2 = \|x\|^2 - 2 x^\top y + \|y\|^2

The right side is one matrix product, and loses the digits of a small distance between rows of large
norm. After subtraction of a common origin in float64, its error is at most

.. math:: (d + 8)\, u\, (\|x\| + \|y\|)^2

(`error_bound`; u is half the spacing of numbers at 1: :math:`2^{-24}` in float32,
:math:`2^{-53}` in float64). So a product selects candidate pairs, in float32 or, if necessary, in
float64, and differences in float64 decide among them. These have no error beyond the rounding of
the inputs.

Reference: Higham (2002), "Accuracy and stability of numerical algorithms", Section 3.1.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.blocks import blocks
from advnets.base.protocols import Examples

ROWS = 500
"""Rows in one block of distances."""
_SPARE, _PART, _NUMBERS = 4, 10_000, 2**22
_MOST = 1e150


def rows(name: str, x: Tensor, start: int = 0) -> Tensor:
    """Examples as rows of floats; an error names the first non-finite row, counted from `start`."""
    flat = x.detach().flatten(1)
    flat = flat if flat.dtype in (torch.float32, torch.float64) else flat.float()
    finite = flat.isfinite().all(dim=1)
    if not finite.all():
        raise errors.array_not_finite(name, start + int(finite.logical_not().nonzero()[0]))
    if flat.dtype == torch.float64 and flat.numel():
        most = flat.abs().max().item()
        need = f"numbers of at most {_MOST:g}, whose squares float64 holds"
        errors.require(most <= _MOST, name, need, f"{most:g}")
    return flat


def about(x: Tensor, origin: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows minus an origin, subtracted in float64 and then rounded to `dtype`."""
    parts = torch.split(x, max(1, _NUMBERS // max(1, x.shape[1])))
    return torch.cat([(part.double() - origin).to(dtype) for part in parts])


def squared_distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Squared distances of all rows of x to all of y by a product, `ROWS` rows of x at a time."""
    norms = y.square().sum(dim=1)
    for part in torch.split(x, ROWS):
        d = torch.addmm(norms, part, y.T, alpha=-2).add_(part.square().sum(dim=1, keepdim=True))
        yield d.clamp_min_(0)


def error_bound(x: Tensor, lengths: Tensor) -> Tensor:
    r"""Bound of the error of squared distances by a product in the dtype of x, float64.

    Args:
        x: Rows minus an origin, of shape `(n, d)`.
        lengths: :math:`\|x\| + \|y\|` of the pairs, of any shape.
    """
    number = torch.finfo(
        x.dtype
    )  # squares below the smallest normal one have no relative precision
    return (x.shape[1] + 8) * (number.eps / 2 * lengths.square() + number.tiny)


def apart(a: Tensor, b: Tensor) -> Tensor:
    """The distance of row i of a to row i of b by differences, `(n,)`, float64."""
    at_once = max(1, _NUMBERS // max(1, a.shape[1]))
    pairs = zip(torch.split(a, at_once), torch.split(b, at_once), strict=True)
    return torch.cat([(p.double() - q.double()).norm(dim=1) for p, q in pairs])


def all_apart(x: Tensor, y: Tensor) -> Tensor:
    """The distances of all rows of x to all of y by differences, `(n, m)`, float64."""
    return torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")


# The nearest


class Nearest(NamedTuple):
    """The nearest examples of each point: their distances, float64, and their numbers."""

    distance: Tensor
    number: Tensor


def nearest(x: Tensor, examples: Examples, *, k: int = 1) -> Nearest:
    """The k examples nearest to each point, the first of equals first.

    A product finds slightly more than k candidates, whose distances are computed by differences.
    They are accepted where the error bound excludes all other examples. Points that are undecided
    after a product in float32 and one in float64 are searched by differences.

    Args:
        x: Points, of shape `(n, *event_shape)`.
        examples: At least k of them, of shape `(N, *event_shape)`; they may be in a file.
        k: How many.

    Returns:
        Distances and numbers of examples, each of shape `(n, k)`.
    """
    points = rows("x", x)
    origin = points.double().mean(dim=0)
    distance = torch.full((len(points), k), torch.inf, dtype=torch.float64)
    number = torch.zeros(len(points), k, dtype=torch.int64)
    still_open = torch.arange(len(points))
    for dtype in (torch.float32, torch.float64, None):
        own = points[still_open]
        if dtype is None:
            found, sure = _by_differences(own, examples, k), torch.ones(len(own), dtype=torch.bool)
        else:
            found, sure = _by_products(own, examples, k, origin, dtype)
        distance[still_open[sure]] = found.distance[sure]
        number[still_open[sure]] = found.number[sure]
        still_open = still_open[~sure]
        if not len(still_open):
            break
    return Nearest(distance, number)


def _by_products(
    points: Tensor, examples: Examples, k: int, origin: Tensor, dtype: torch.dtype
) -> tuple[Nearest, Tensor]:
    """The nearest of the candidates of a product, and for which points they are certain."""
    centred, kept = about(points, origin, dtype), min(k + _SPARE, len(examples))
    (least, found), longest = _none(len(points), kept, dtype), 0.0
    for start, part in _in_parts(examples):
        others = about(part, origin, dtype)
        longest = max(longest, others.double().norm(dim=1).max().item())
        for i, d in enumerate(squared_distances(centred, others)):
            own = slice(i * ROWS, i * ROWS + len(d))
            _keep_least(least[own], found[own], d, start)
    whole = least.isfinite().all(dim=1)  # squares of large numbers are infinite in float32
    found = found.clamp_max(len(examples) - 1).sort(dim=1).values
    few = torch.cat([examples[part.flatten()].flatten(1) for part in torch.split(found, ROWS)])
    exact = apart(points.repeat_interleave(kept, dim=0), few).view(-1, kept)
    distance, order = exact.sort(dim=1, stable=True)
    # Whatever was not kept is at least as far away as the last that was, less the error.
    error = error_bound(centred, centred.double().norm(dim=1) + longest)
    others_from = least.max(dim=1).values.double() - error
    sure = (distance[:, k - 1].square() < others_from) | (kept == len(examples))
    return Nearest(distance[:, :k], found.gather(1, order)[:, :k]), sure & whole & error.isfinite()


def _by_differences(points: Tensor, examples: Examples, k: int) -> Nearest:
    """The nearest of all examples."""
    least, found = _none(len(points), k, torch.float64)
    for start, others in _in_parts(examples):
        for i, part in enumerate(torch.split(points, ROWS)):
            own = slice(i * ROWS, i * ROWS + len(part))
            _keep_least(least[own], found[own], all_apart(part, others), start)
    return Nearest(least, found)


def _none(n: int, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """No neighbours yet: infinite distances and the largest indices."""
    return torch.full((n, k), torch.inf, dtype=dtype), torch.full((n, k), 2**62)


def _keep_least(least: Tensor, found: Tensor, d: Tensor, start: int) -> None:
    """Merge the distances of further examples, from number `start`, into the least so far."""
    k = min(least.shape[1], d.shape[1])
    # What is found by differences is final: of equals, the first. topk takes any of them.
    final = d.dtype == torch.float64
    near, at = d.sort(dim=1, stable=True) if final else d.topk(k, largest=False)
    values = torch.cat([least, near[:, :k]], dim=1)
    numbers = torch.cat([found, at[:, :k] + start], dim=1)
    values, chosen = values.sort(dim=1, stable=True)
    least.copy_(values[:, : least.shape[1]])
    found.copy_(numbers.gather(1, chosen)[:, : least.shape[1]])


def _in_parts(examples: Examples) -> Iterator[tuple[int, Tensor]]:
    """All examples as rows, in blocks of thousands, and the number of the first of each."""
    start = 0
    for block in blocks(examples):
        for part in torch.split(rows("examples", block, start), _PART):
            yield start, part
            start += len(part)


# Balls


def inside(x: Tensor, y: Tensor, *radii: Tensor) -> Iterator[tuple[Tensor, ...]]:
    r"""Which pairs of rows are at most a radius apart, `ROWS` rows of x at a time.

    A distance equal to the radius counts, also up to the rounding of the coordinates: :math:`4 u
    (\|x\| + \|y\|)` in float64. A radius of 0 contains only equal rows.

    Args:
        x: Rows `(n, d)`.
        y: Rows `(m, d)`.
        radii: Each of shape `(n, 1)`, of balls around x, or `(m,)`, of balls around y.

    Yields:
        For each of the radii, booleans `(at most ROWS, m)`.
    """
    origin = y.double().mean(dim=0)
    around, others = (about(t, origin, torch.float64) for t in (x, y))
    long_x, long_y, about_x, about_y = (t.double().norm(dim=1) for t in (x, y, around, others))
    for i, d in enumerate(squared_distances(around, others)):
        own = slice(i * ROWS, i * ROWS + len(d))
        error = error_bound(around, about_x[own, None] + about_y)
        rounding = 2 * torch.finfo(torch.float64).eps * (long_x[own, None] + long_y)
        balls = [r[own] if r.ndim == 2 else r for r in radii]
        yield tuple(_settled(d, error, rounding, r, x[own], y) for r in balls)


def _settled(
    d: Tensor, error: Tensor, rounding: Tensor, radius: Tensor, x: Tensor, y: Tensor
) -> Tensor:
    """Whether pairs are inside: by the product's d, or by differences where d is too close."""
    reach = torch.where(radius > 0, radius + rounding, 0.0)
    square = reach.square()
    holds = d <= square
    i, j = ((d - square).abs() <= error).nonzero().T
    for a, b in zip(torch.split(i, _PART), torch.split(j, _PART), strict=True):
        holds[a, b] = apart(x[a], y[b]) <= reach[a, b]
    return holds

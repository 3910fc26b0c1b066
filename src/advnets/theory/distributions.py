"""Distributions over finitely many outcomes: tables, and grids as tables of cell probabilities.

The quantities of Section 4 are averages of functions of the *ratio* of two densities. The volume of
a cell cancels in the ratio, so the same formulas hold for grids.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from advnets.base import errors

MASS = 1e-6
"""Allowed deviation of a total from 1, for float32 rounding and the tails beyond a wide grid.
Totals within it are scaled to 1, so that identities hold to rounding."""
EVEN = 1e-3
"""Allowed relative variation of the spacing of an axis, for float32 axes far from 0."""


@dataclass(frozen=True, kw_only=True)
class Density:
    """A density on a regular grid of one or two dimensions.

    Attributes:
        values: The density at the cells' centres, of shape `(n,)` or `(n, m)`.
        axes: The cells' centres along each dimension, increasing and evenly spaced: tensors of
            shape `(n,)`, or `(n,)` and `(m,)`.

    Raises:
        BadValue: Where the axes are no such grid, or do not fit the values.

    Example:
        >>> import torch
        >>> x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
        >>> normal = Density(values=torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi), axes=(x,))
        >>> f"{normal.cell:g} {masses('normal', normal).max():.5f}"
        '0.016 0.00638'
    """

    values: Tensor
    axes: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        """Refuse axes that do not form a grid."""
        shape = tuple(len(axis) for axis in self.axes)
        if tuple(self.values.shape) != shape or len(shape) not in (1, 2):
            need = f"(n) or (n, m), as long as its {len(shape)} axes: {shape}"
            raise errors.wrong_shape("values", need, self.values.shape)
        for axis in self.axes:
            steps = axis.double().diff()
            mean = steps.mean() if len(steps) else steps.sum()
            if not (mean > 0 and (steps - mean).abs().max() <= EVEN * mean):
                raise _uneven_axis(axis.tolist())

    @property
    def spacing(self) -> tuple[float, ...]:
        """The distance between neighbouring centres along each dimension."""
        ends = ((axis[0].item(), axis[-1].item(), len(axis)) for axis in self.axes)
        return tuple((last - first) / (n - 1) for first, last, n in ends)

    @property
    def cell(self) -> float:
        """The length or area of a cell."""
        return math.prod(self.spacing)


def _uneven_axis(got: list[float]) -> errors.BadValue:
    """The cells' centres of a grid are not evenly spaced."""
    few = ", ".join(f"{v:g}" for v in got[:4]) + (", ..." if len(got) > 4 else "")
    return errors.bad_value(
        "axes", "of at least 2 increasing, evenly spaced values each", few or "none"
    )


Distribution = Tensor | Density
"""Probabilities of any shape that sum to 1, or a density on a grid."""


def masses(name: str, p: Distribution) -> Tensor:
    """The probabilities of the outcomes of a table, or of the cells of a grid.

    Args:
        name: Its name in errors.
        p: The distribution.

    Returns:
        Probabilities of the same shape, in float64, that sum to 1.

    Raises:
        BadValue: Where `p` is negative or not finite somewhere, or where its total is not 1.
    """
    mass = p.values.double() * p.cell if isinstance(p, Density) else p.double()
    good = (mass >= 0) & mass.isfinite()
    if not good.all():
        raise errors.bad_value(
            name, "finite and at least 0 everywhere", f"{mass[~good][0].item():g}"
        )
    total = mass.sum()
    if not abs(total.item() - 1) <= MASS:
        if isinstance(p, Density):
            raise _misses_mass(name, total.item())
        raise errors.bad_value(name, "probabilities that sum to 1", f"a sum of {total.item():.9g}")
    return mass / total


def _misses_mass(name: str, total: float) -> errors.BadValue:
    """A density whose integral over its grid is not one."""
    off = abs(1 - total)
    why = "the grid misses" if total < 1 else "the grid is too coarse for it or it is not scaled:"
    more = "" if total < 1 else " too much"
    need = "a density with an integral of 1 over its grid"
    return errors.bad_value(name, need, f"{total:.9g}: {why} {off:.3g} of the mass{more}")


def pair(**two: Distribution) -> tuple[Tensor, Tensor]:
    """The masses of two distributions over the same outcomes; errors use their names.

    Raises:
        BadValue: Where one of them is no distribution, or where their tables or grids differ.
    """
    (first, p), (second, q) = two.items()
    if not _over_the_same(p, q):
        raise errors.bad_value(
            second, f"over the outcomes of '{first}', {_described(p)}", _described(q)
        )
    return masses(first, p), masses(second, q)


def _over_the_same(p: Distribution, q: Distribution) -> bool:
    if isinstance(p, Density) and isinstance(q, Density):
        if p.values.shape != q.values.shape:
            return False
        ends = (((a - b)[[0, -1]].abs().max().item()) for a, b in zip(p.axes, q.axes, strict=True))
        return all(off <= EVEN * step for off, step in zip(ends, p.spacing, strict=True))
    return isinstance(p, Tensor) and isinstance(q, Tensor) and p.shape == q.shape


def _described(p: Distribution) -> str:
    if isinstance(p, Tensor):
        return f"a table of shape ({', '.join(map(str, p.shape))})"
    axes = (f"{len(a)} cells from {a[0].item():g} to {a[-1].item():g}" for a in p.axes)
    return f"a grid of {' by '.join(axes)}"

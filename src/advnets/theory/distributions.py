"""Distributions over finitely many outcomes: tables, and grids as tables of their cells' masses.

What Section 4 measures are averages of functions of the *ratio* of two densities. The volume of a
cell cancels in the ratio, so that a grid needs no formulas of its own.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from advnets.base import errors

MASS = 1e-6
"""How far from 1 a total may be: what float32 loses, and the tails beyond a wide grid. What passes
is scaled to 1, so that identities hold to rounding."""
EVEN = 1e-3
"""How much the spacing of an axis may vary, relative to itself: float32 of a far-off axis."""


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
        """Refuse axes that are no grid."""
        shape = tuple(len(axis) for axis in self.axes)
        if tuple(self.values.shape) != shape or len(shape) not in (1, 2):
            need = f"(n) or (n, m), as long as its {len(shape)} axes: {shape}"
            raise errors.wrong_shape("values", need, self.values.shape)
        for axis in self.axes:
            steps = axis.double().diff()
            mean = steps.mean() if len(steps) else steps.sum()
            if not (mean > 0 and (steps - mean).abs().max() <= EVEN * mean):
                raise errors.uneven_axis(axis.tolist())

    @property
    def spacing(self) -> tuple[float, ...]:
        """The distance between neighbouring centres along each dimension."""
        ends = ((axis[0].item(), axis[-1].item(), len(axis)) for axis in self.axes)
        return tuple((last - first) / (n - 1) for first, last, n in ends)

    @property
    def cell(self) -> float:
        """The length or area of a cell."""
        return math.prod(self.spacing)


Distribution = Tensor | Density
"""Probabilities of any shape that sum to 1, or a density on a grid."""


def masses(name: str, p: Distribution) -> Tensor:
    """The probabilities of the outcomes of a table, or of the cells of a grid.

    Args:
        name: What an error calls it.
        p: The distribution.

    Returns:
        Probabilities of the same shape, in float64, that sum to 1.

    Raises:
        BadValue: Where `p` is negative or not finite somewhere, or where its total is not 1.
    """
    mass = p.values.double() * p.cell if isinstance(p, Density) else p.double()
    good = (mass >= 0) & mass.isfinite()
    if not good.all():
        raise errors.not_a_mass(name, mass[~good][0].item())
    total = mass.sum()
    if not abs(total.item() - 1) <= MASS:
        if isinstance(p, Density):
            raise errors.misses_mass(name, total.item())
        raise errors.not_one(name, total.item())
    return mass / total


def pair(**two: Distribution) -> tuple[Tensor, Tensor]:
    """The masses of two distributions over the same outcomes, which errors call by their names.

    Raises:
        BadValue: Where one of them is no distribution, or where their tables or grids differ.
    """
    (first, p), (second, q) = two.items()
    if not _over_the_same(p, q):
        raise errors.another_grid(second, first, _described(p), _described(q))
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

"""The distributions for the measurements of claims."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from advnets.base.rng import generator
from advnets.plotting.curves import Array
from advnets.theory.distributions import Density, Distribution

PAIRS = 300
"""Random pairs of tables behind a number."""
SIZES = (2, 40)
"""Outcomes of a random table."""
ZEROS = 0.25
"""The share of its outcomes that have no probability."""
SPREAD = 6.0
"""Standard deviation of a random table's log-probabilities: from about 1 down to 1e-17."""


def stream(name: str) -> torch.Generator:
    """The random numbers of a claim."""
    return generator(0, f"theory/{name}")


def table(*probabilities: float) -> Tensor:
    """A table written out."""
    return torch.tensor(probabilities, dtype=torch.float64)


def random_table(n: int, *, zeros: float = 0.0, rng: torch.Generator) -> Tensor:
    """Probabilities of n outcomes, some of them tiny, some of them zero."""
    weights = torch.exp(SPREAD * torch.randn(n, generator=rng, dtype=torch.float64))
    kept = torch.rand(n, generator=rng) >= zeros
    kept[torch.randint(n, (), generator=rng)] = True
    weights = weights * kept
    return weights / weights.sum()


def random_pairs(
    name: str, *, zeros: float = ZEROS, pairs: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Random p_data and p_g over the same outcomes."""
    rng = stream(name)
    for _ in range(pairs or PAIRS):
        n = int(torch.randint(SIZES[0], SIZES[1] + 1, (), generator=rng))
        yield random_table(n, zeros=zeros, rng=rng), random_table(n, zeros=zeros, rng=rng)


def grids() -> dict[str, tuple[Distribution, Distribution]]:
    """A pair of densities in one dimension and one in two."""
    return {
        f"{len(LINE):,} cells of a line, two Gaussians and one": (two_bumps(), one_bump()),
        f"{PLANE}² cells of the plane, a ring of eight Gaussians and one": in_the_plane(),
    }


LINE = torch.linspace(-12, 12, 2401, dtype=torch.float64)
"""The cells' centres of densities on the line."""
PLANE = 321
"""Cells along each side of a grid in the plane."""


def on_line(*parts: tuple[float, float, float]) -> Density:
    """A mixture of Gaussians on the line, each `(weight, mean, standard deviation)`."""
    values = sum((w * _normal((LINE - m) / s) / s for w, m, s in parts), torch.zeros_like(LINE))
    return Density(values=values, axes=(LINE,))


def two_bumps() -> Density:
    """1/2 N(-2, 0.5^2) + 1/2 N(2, 0.5^2)."""
    return on_line((0.5, -2.0, 0.5), (0.5, 2.0, 0.5))


def one_bump() -> Density:
    """N(1/2, 1.5^2)."""
    return on_line((1.0, 0.5, 1.5))


def in_the_plane() -> tuple[Density, Density]:
    """Eight Gaussians on a ring, and one broad Gaussian."""
    axis = torch.linspace(-8, 8, PLANE, dtype=torch.float64)
    angles = [2 * math.pi * i / 8 for i in range(8)]
    bumps = [_bump(axis, 2 * math.cos(a), 2 * math.sin(a), 0.25) for a in angles]
    ring = torch.stack(bumps).mean(dim=0)
    broad = _bump(axis, 0.0, 0.0, 1.5)
    return Density(values=ring, axes=(axis, axis)), Density(values=broad, axes=(axis, axis))


def _bump(axis: Tensor, x: float, y: float, s: float) -> Tensor:
    return torch.outer(_normal((axis - x) / s) / s, _normal((axis - y) / s) / s)


def _normal(u: Tensor) -> Tensor:
    return torch.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)


def largest(values: Tensor) -> float:
    """The largest absolute value, ignoring NaN."""
    return values[~values.isnan()].abs().max().item()


def array(values: Tensor) -> Array:
    """A tensor as an array for plotting."""
    return np.asarray(values, dtype=np.float64)

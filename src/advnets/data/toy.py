"""Toy distributions whose modes can be counted: 1-D mixtures, rings and grids of 2-D Gaussians."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from advnets.base import errors, rng
from advnets.base.memory import refuse_larger
from advnets.data.splits import DataConfig, Split, Splits


@dataclass(frozen=True, kw_only=True)
class ToyConfig(DataConfig):
    """The common settings of all toy sets."""

    examples: int = 10_000
    """Training examples; there are a tenth as many validation and test examples."""
    std: float = 0.05
    """Standard deviation of each mode."""

    def __post_init__(self) -> None:
        errors.at_least(10, examples=self.examples)
        errors.positive(std=self.std)

    def means(self) -> Tensor:
        """The modes, of shape `(modes, dimensions)`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RingConfig(ToyConfig):
    """Gaussians of equal weight on a circle in the plane."""

    kind: ClassVar[str] = "ring"

    modes: int = 8
    """Number of Gaussians."""
    radius: float = 1.0
    """Radius of the circle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.at_least(1, modes=self.modes)
        errors.positive(radius=self.radius)

    def means(self) -> Tensor:
        """The modes, of shape `(modes, 2)`."""
        angle = 2 * math.pi * torch.arange(self.modes) / self.modes
        return self.radius * torch.stack([angle.cos(), angle.sin()], dim=1)


@dataclass(frozen=True, kw_only=True)
class GridConfig(ToyConfig):
    """Gaussians of equal weight on a square grid in the plane."""

    kind: ClassVar[str] = "grid"

    side: int = 5
    """Number of Gaussians along each side."""
    spacing: float = 0.5
    """Distance between neighbours."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.at_least(1, side=self.side)
        errors.positive(spacing=self.spacing)

    def means(self) -> Tensor:
        """The modes, of shape `(side * side, 2)`, centred on 0."""
        axis = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return torch.cartesian_prod(axis, axis)


@dataclass(frozen=True, kw_only=True)
class MixtureConfig(ToyConfig):
    """Gaussians of equal weight on the line."""

    kind: ClassVar[str] = "mixture"

    centres: tuple[float, ...] = (-1.0, 1.0)
    """Mean of each Gaussian."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.require(len(self.centres) > 0, "centres", "at least one number", self.centres)
        errors.require(all(map(math.isfinite, self.centres)), "centres", "finite", self.centres)

    def means(self) -> Tensor:
        """The modes, of shape `(modes, 1)`."""
        return torch.tensor(self.centres)[:, None]

    def cdf(self, x: Tensor) -> Tensor:
        """P(X <= x), of the shape of `x`, float64."""
        means = self.means()[:, 0].double()
        below: Tensor = torch.special.ndtr((x.double()[..., None] - means) / self.std)
        return below.mean(dim=-1)


def load(config: ToyConfig, *, seed: int) -> Splits:
    """Draw a toy set.

    Returns:
        Points of shape `(n, dimensions)` with the number of their mode as context.
    """
    held_out = config.examples // 10
    refuse_larger("data.examples", config.examples, numbers=4 * config.examples)
    sizes = {"train": config.examples, "validation": held_out, "test": held_out}
    return Splits(*(draw(config, n, rng=rng.generator(seed, name)) for name, n in sizes.items()))


def draw(config: ToyConfig, n: int, *, rng: torch.Generator) -> Split:
    """`n` independent points of the distribution."""
    means = config.means()
    mode = torch.randint(len(means), (n,), generator=rng)
    noise = torch.randn(n, means.shape[1], generator=rng)
    return Split(means[mode] + config.std * noise, mode)

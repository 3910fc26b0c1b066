"""What every kind of generator and of discriminator has in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from advnets.base import errors
from advnets.base.config import Variant
from advnets.base.protocols import Problem
from advnets.nn import linear

Output = Literal["sigmoid", "linear"]


@dataclass(frozen=True, kw_only=True)
class GeneratorKind(Variant):
    """Base of every generator's configuration."""

    kind: ClassVar[str] = "mlp"

    def build(
        self, *, z_dim: int, problem: Problem, context: int = 0, rng: torch.Generator
    ) -> nn.Module:
        """G(z), or G(z, c) where it is told `context` numbers beside z."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class DiscriminatorKind(Variant):
    """Base of every discriminator's configuration."""

    kind: ClassVar[str] = "mlp"

    def build(
        self, *, event_shape: Sequence[int], context: int = 0, rng: torch.Generator
    ) -> nn.Module:
        """D(x), or D(x, c) where it is told `context` numbers beside x."""
        raise NotImplementedError


class Constrained(nn.Module):
    """A network that keeps the norms of its weights below a limit."""

    max_col_norm: float | None = None
    max_kernel_norm: float | None = None

    def constrain(self) -> None:
        """Put the weights back within their limits, after an update."""
        if self.max_col_norm is not None:
            linear.limit_column_norms(self, self.max_col_norm)
        if self.max_kernel_norm is not None:
            linear.limit_kernel_norms(self, self.max_kernel_norm)


def squash(output: Output, problem: Problem) -> nn.Module:
    """The last map of a G. Raises `BadValue` for a sigmoid and data outside [0, 1]."""
    if output == "linear":
        return nn.Identity()
    if not 0 <= problem.low <= problem.high <= 1:
        raise errors.outside_unit_interval("data", problem.low, problem.high)
    return nn.Sigmoid()


def picture_sides(event_shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width. Raises `BadValue` where examples are no images."""
    if len(event_shape) != 3:
        need = "(C, H, W), images, for a convolutional network"
        raise errors.wrong_shape("examples", need, event_shape)
    channels, height, width = event_shape
    return channels, height, width


def limits_checked(**limits: float | None) -> None:
    """Raise unless every limit on a norm is above 0, or None."""
    errors.positive(**{name: limit for name, limit in limits.items() if limit is not None})

"""The common base of generators and discriminators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from advnets.base import errors
from advnets.base.config import TaggedConfig
from advnets.base.protocols import Problem
from advnets.nn import constraints

Output = Literal["sigmoid", "linear"]


@dataclass(frozen=True, kw_only=True)
class GeneratorKind(TaggedConfig):
    """Base of every generator's configuration."""

    kind: ClassVar[str] = "mlp"

    def build(
        self, *, z_dim: int, problem: Problem, context: int = 0, rng: torch.Generator
    ) -> nn.Module:
        """G(z), or G(z, c) with contexts of length `context`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class DiscriminatorKind(TaggedConfig):
    """Base of every discriminator's configuration."""

    kind: ClassVar[str] = "mlp"

    def build(
        self, *, event_shape: Sequence[int], context: int = 0, rng: torch.Generator
    ) -> nn.Module:
        """D(x), or D(x, c) with contexts of length `context`."""
        raise NotImplementedError


class Constrained(nn.Module):
    """A network with limits on the norms of its weights."""

    max_col_norm: float | None = None
    max_kernel_norm: float | None = None

    def constrain(self) -> None:
        """Project the weights onto their limits, after an update."""
        if self.max_col_norm is not None:
            constraints.limit_column_norms(self, self.max_col_norm)
        if self.max_kernel_norm is not None:
            constraints.limit_kernel_norms(self, self.max_kernel_norm)


def squash(output: Output, problem: Problem) -> nn.Module:
    """The output units of G. Raises `BadValue` for a sigmoid and data outside [0, 1]."""
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

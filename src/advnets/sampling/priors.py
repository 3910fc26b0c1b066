r"""The prior p_z(z) over the generator's noise.

The ranges are those of the authors' code, which the paper's text does not state: uniform noise has
unit variance, so it spans :math:`[-\sqrt 3, \sqrt 3]` and not [-1, 1], and spherical noise has norm
1 and not :math:`\sqrt d`.

Reference: Goodfellow et al. (2014), Section 3; goodfeli/adversarial, `Generator.get_noise`.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from advnets.base import errors

PriorName = Literal["uniform", "gaussian", "spherical"]


class Prior(Protocol):
    """A distribution that z is drawn from."""

    @property
    def dim(self) -> int:
        """Number of coordinates of z."""
        ...

    def sample(self, n: int, *, rng: torch.Generator) -> Tensor:
        """`n` draws, of shape `(n, dim)`."""
        ...


@dataclass(frozen=True)
class _Vector:
    dim: int

    def __post_init__(self) -> None:
        errors.whole(1, dim=self.dim)


@dataclass(frozen=True)
class Uniform(_Vector):
    r"""Independent :math:`U(-\sqrt 3, +\sqrt 3)` coordinates: mean 0, variance 1.

    Example:
        >>> z = Uniform(100).sample(8, rng=torch.Generator().manual_seed(0))
        >>> z.shape, bool(z.abs().max() < 3**0.5)
        (torch.Size([8, 100]), True)
    """

    def sample(self, n: int, *, rng: torch.Generator) -> Tensor:
        """`n` draws, of shape `(n, dim)`."""
        z = torch.empty(n, self.dim, dtype=torch.float32, device=rng.device)
        return z.uniform_(-math.sqrt(3), math.sqrt(3), generator=rng)

    def quantile(self, u: Tensor) -> Tensor:
        """The z of one coordinate below which the prior has the probability u, in (0, 1)."""
        return math.sqrt(3) * (2 * u - 1)

    def cdf(self, z: Tensor) -> Tensor:
        """The probability below z, for one coordinate: the inverse of `quantile`."""
        return (z / math.sqrt(12) + 0.5).clamp(0, 1)


@dataclass(frozen=True)
class Gaussian(_Vector):
    """Independent N(0, 1) coordinates."""

    def sample(self, n: int, *, rng: torch.Generator) -> Tensor:
        """`n` draws, of shape `(n, dim)`."""
        return torch.randn(n, self.dim, generator=rng, dtype=torch.float32, device=rng.device)

    def quantile(self, u: Tensor) -> Tensor:
        """The z of one coordinate below which the prior has the probability u, in (0, 1)."""
        z: Tensor = torch.special.ndtri(u)
        return z

    def cdf(self, z: Tensor) -> Tensor:
        """The probability below z, for one coordinate: the inverse of `quantile`."""
        u: Tensor = torch.special.ndtr(z)
        return u


@dataclass(frozen=True)
class Spherical(_Vector):
    """The uniform distribution on the unit sphere: N(0, 1) coordinates divided by their norm."""

    def sample(self, n: int, *, rng: torch.Generator) -> Tensor:
        """`n` draws, of shape `(n, dim)`."""
        z = torch.randn(n, self.dim, generator=rng, dtype=torch.float32, device=rng.device)
        radius: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)
        return z / radius


PRIORS: dict[PriorName, type[Uniform] | type[Gaussian] | type[Spherical]] = {
    "uniform": Uniform,
    "gaussian": Gaussian,
    "spherical": Spherical,
}

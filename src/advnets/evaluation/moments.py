r"""Mean and covariance of features that come part by part, in float64.

What is held does not grow with the number of examples, and processes that hold different examples
add theirs up.

Reference: Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.distributed import Ranks


@dataclass(frozen=True)
class Moments:
    """The moments of n rows of d features.

    Example:
        >>> part = Moments.of(torch.tensor([[0.0], [2.0]]))
        >>> whole = part + Moments.of(torch.tensor([[4.0]]))
        >>> whole.n, whole.mean.item(), whole.covariance.item()
        (3, 2.0, 4.0)
    """

    n: int
    mean: Tensor
    """`(d,)`."""
    scatter: Tensor
    """The sum of the outer products of deviations from the mean, `(d, d)`."""

    @classmethod
    def none(cls, d: int) -> "Moments":
        """Those of no rows."""
        zero = torch.zeros(d, dtype=torch.float64)
        return cls(0, zero, torch.outer(zero, zero))

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Those of features `(n, d)`, n at least 1."""
        x = features.double().cpu()
        mean = x.mean(dim=0)
        deviations = x - mean
        return cls(len(x), mean, deviations.T @ deviations)

    def __add__(self, other: "Moments") -> "Moments":
        """Those of the rows of both."""
        n = self.n + other.n
        if not n:
            return self
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter
        scatter.add_(torch.outer(shift, shift), alpha=self.n * other.n / n)
        return Moments(n, self.mean + shift * (other.n / n), scatter)

    def over(self, ranks: Ranks) -> "Moments":
        """Those of the rows of all processes."""
        if ranks.world == 1:
            return self
        sums = ranks.add_up(torch.cat([self.mean * self.n, self.mean.new_tensor([self.n])]))
        n = round(sums[-1].item())
        mean = sums[:-1] / max(1, n)
        shift = self.mean - mean
        scatter = self.scatter + self.n * torch.outer(shift, shift)
        return Moments(n, mean, ranks.add_up(scatter))

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, `(d, d)`. Raises `BadValue` for fewer than two rows."""
        errors.require(self.n > 1, "covariance", "that of at least 2 examples", self.n)
        return self.scatter / (self.n - 1)

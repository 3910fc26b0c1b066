r"""E(x): from an example to the z that may have made it.

A deterministic E is a perceptron. A stochastic one gives the mean and the standard deviation of
each coordinate, :math:`z = \mu(x) + s(x) \odot \epsilon` with :math:`\epsilon \sim N(0, I)`.

Reference: Donahue et al. (2017), Adversarial Feature Learning; Dumoulin et al. (2017),
    Adversarially Learned Inference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.nn import init, linear

LEAK = 0.2


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The multilayer perceptron E."""

    hidden: tuple[int, ...] = (1024, 1024)
    """Leaky rectified linear units of each hidden layer."""
    stochastic: bool = False
    """Whether E gives a law of z, N(mu(x), diag s(x)^2), and not one z."""

    def __post_init__(self) -> None:
        for units in self.hidden:
            errors.at_least(1, hidden=units)

    def build(self, *, event_shape: Sequence[int], z_dim: int, rng: torch.Generator) -> "Encoder":
        """E(x)."""
        return Encoder(self, event_shape=event_shape, z_dim=z_dim, rng=rng)


class Encoder(nn.Module):
    """E(x), or E(x, epsilon) where it is stochastic.

    Args:
        config: Sizes.
        event_shape: Shape of one example.
        z_dim: Numbers of a code.
        rng: Draws the initial weights: N(0, 2 / inputs), the last layer's N(0, 1 / inputs).
    """

    def __init__(
        self,
        config: EncoderConfig,
        *,
        event_shape: Sequence[int],
        z_dim: int,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.event_shape, self.z_dim = tuple(event_shape), z_dim
        self.stochastic = config.stochastic
        sizes = (torch.Size(event_shape).numel(), *config.hidden)
        self.body = nn.Sequential()
        for i, o in pairwise(sizes):
            self.body.extend([linear.Affine(i, o), nn.LeakyReLU(LEAK)])
        self.last = linear.Affine(sizes[-1], 2 * z_dim if config.stochastic else z_dim)
        init.init_he(self, rng=rng)
        with torch.no_grad():
            self.last.weight.div_(2**0.5)
            if config.stochastic:  # s begins at 0.1, so that x decides and not epsilon
                self.last.weight[z_dim:] = 0
                self.last.bias[z_dim:] = -2.3

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, `(n, units)`."""
        h: Tensor = self.body(x.flatten(1))
        return h

    def forward(self, x: Tensor, epsilon: Tensor | None = None) -> Tensor:
        """`(n, *event_shape)` to `(n, z_dim)`; of a stochastic E without epsilon, the mean."""
        out: Tensor = self.last(self.features(x))
        if not self.stochastic:
            return out
        mu, log_s = out.chunk(2, dim=1)
        return mu if epsilon is None else mu + log_s.exp() * epsilon

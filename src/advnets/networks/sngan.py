r"""A small convolutional GAN for pictures: G doubles the sides of its maps, D halves them.

All sizes follow from the picture: its sides are halved while they are even and above 7, so that
pictures of 28, 32, 48 and 64 start from maps of 7, 4, 6 and 4. `conv32` and `conv64` are this pair
at those two sizes.

- G: an affine map to the smallest maps, then transposed convolutions of kernel 4 and stride 2, each
  rectified and then batch normalised, so that the last convolution, to colours, receives channels
  of mean 0 and cannot shift all samples to one colour at once.
- D: a convolution, then one of kernel 4 and stride 2 for each halving, leaky rectifiers, one linear
  unit; all spectrally normalised. No dropout, and no dependence on other examples.

Reference: Radford et al. (2016), DCGAN; Miyato et al. (2018), Spectral Normalization.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Problem
from advnets.networks.base import (
    Constrained,
    DiscriminatorKind,
    GeneratorKind,
    Output,
    picture_sides,
    squash,
)
from advnets.nn import init, linear, spectral_norm
from advnets.nn.batch_norm import BatchNorm
from advnets.nn.dropout import GaussianNoise
from advnets.nn.spectral_norm import SpectralConv

LEAK = 0.1


@dataclass(frozen=True, kw_only=True)
class SpectralGConfig(GeneratorKind):
    """G of the small convolutional pair."""

    kind: ClassVar[str] = "conv"

    width: int = 32
    """Channels at the full size of the picture; twice as many at each halving."""
    output: Output = "sigmoid"
    """Output units: 'sigmoid' for data in [0, 1], 'linear' for any other."""

    def __post_init__(self) -> None:
        errors.at_least(1, width=self.width)
        errors.one_of(get_args(Output), output=self.output)

    def build(
        self, *, z_dim: int, problem: Problem, context: int = 0, rng: torch.Generator
    ) -> "SpectralG":
        """G(z), or G(z, c)."""
        return SpectralG(self, z_dim=z_dim, problem=problem, context=context, rng=rng)


@dataclass(frozen=True, kw_only=True)
class SpectralDConfig(DiscriminatorKind):
    """D of the small convolutional pair."""

    kind: ClassVar[str] = "conv"

    width: int = 32
    """Channels at the full size of the picture; twice as many at each halving."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise added to x, on data and samples alike."""

    def __post_init__(self) -> None:
        errors.at_least(1, width=self.width)
        errors.at_least(0, input_noise=self.input_noise)

    def build(
        self, *, event_shape: Sequence[int], context: int = 0, rng: torch.Generator
    ) -> "SpectralD":
        """D(x), or D(x, c)."""
        return SpectralD(self, event_shape=event_shape, context=context, rng=rng)


def halvings(height: int, width: int) -> int:
    """How often both sides of a picture can be halved: while they are even and above 7.

    Example:
        >>> [halvings(side, side) for side in (28, 32, 48, 64, 33)]
        [2, 3, 3, 4, 0]
    """
    if height % 2 or width % 2 or min(height, width) <= 7:
        return 0
    return 1 + halvings(height // 2, width // 2)


class SpectralG(Constrained):
    """G(z), or G(z, c): maps whose sides double up to the picture's.

    Args:
        config: Width and output.
        z_dim: Coordinates of z.
        problem: Shape and mean of the data; each colour starts at its mean.
        context: Length of the contexts, which are appended to z.
        rng: Draws the initial weights: N(0, 2 / inputs), biases 0.

    Raises:
        BadValue: For data that are no images.
    """

    def __init__(
        self,
        config: SpectralGConfig,
        *,
        z_dim: int,
        problem: Problem,
        context: int = 0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        channels, height, width = picture_sides(problem.event_shape)
        n = halvings(height, width)
        widths = [config.width * 2**i for i in range(n, -1, -1)]
        self.maps = (widths[0], height >> n, width >> n)
        self.first = linear.Affine(z_dim + context, torch.Size(self.maps).numel())
        self.net = nn.Sequential(nn.ReLU(inplace=True), BatchNorm(widths[0]))
        for i, o in pairwise(widths):
            up = nn.ConvTranspose2d(i, o, 4, stride=2, padding=1)
            self.net.extend([up, nn.ReLU(inplace=True), BatchNorm(o)])
        last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.net.append(last)
        self.squash = squash(config.output, problem)
        init.init_he(self, rng=rng)
        mean = problem.mean.mean(dim=(1, 2))
        sigmoid = config.output == "sigmoid"
        last.bias.data.copy_(init.logit_of_marginals(mean) if sigmoid else mean)  # type: ignore[union-attr]

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, z_dim)`, and contexts `(n, context)`, to `(n, *event_shape)`."""
        h = self.first(z if c is None else torch.cat((z, c), dim=1)).view(-1, *self.maps)
        x: Tensor = self.squash(self.net(h.contiguous(memory_format=torch.channels_last)))
        return x


class SpectralD(Constrained):
    """D(x) as a logit, or D(x, c): maps whose sides halve, spectrally normalised.

    Args:
        config: Width.
        event_shape: Shape of one example.
        context: Length of the contexts.
        rng: Draws the initial weights, N(0, 2 / inputs), and the vectors of the normalisation.

    Raises:
        BadValue: For examples that are no images.
    """

    def __init__(
        self,
        config: SpectralDConfig,
        *,
        event_shape: Sequence[int],
        context: int = 0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        channels, height, width = picture_sides(event_shape)
        n = halvings(height, width)
        widths = [config.width * 2**i for i in range(n + 1)]
        self.noise = GaussianNoise(config.input_noise)
        self.net = nn.Sequential(SpectralConv(channels, widths[0], 3, padding=1))
        for i, o in pairwise(widths):
            down = SpectralConv(i, o, 4, stride=2, padding=1)
            self.net.extend([nn.LeakyReLU(LEAK, inplace=True), down])
        self.net.extend([nn.LeakyReLU(LEAK, inplace=True), nn.Flatten()])
        features = widths[-1] * (height >> n) * (width >> n)
        self.last = spectral_norm.SpectralProjectionHead(features, context)
        init.init_he(self, rng=rng)
        spectral_norm.init_vectors(self, rng=rng)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, *event_shape)`, and contexts `(n, context)`, to logits of shape `(n, 1)`."""
        seen = self.noise(x).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.last(self.net(seen), c)
        return logits

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of data `(x,)` or `(x, c)`, then of as many samples, `(2m, 1)`, in one pass.

        Examples are independent.
        """
        (x, *c), (x_g, *c_g) = data, samples
        return self.forward(torch.cat((x, x_g)), torch.cat((*c, *c_g)) if c else None)

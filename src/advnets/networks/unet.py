r"""G of masked pictures: maps that halve down to z and double up again, with a way across at each.

What is seen reaches the picture's own size by the ways across; z joins at the smallest maps, where
what is hidden is decided as a whole.

Reference: Ronneberger et al. (2015), U-Net; Pathak et al. (2016), Context Encoders.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Problem
from advnets.networks.base import Constrained, GeneratorKind, Output, picture_sides, squash
from advnets.networks.sngan import LEAK, halvings
from advnets.nn import init, linear
from advnets.nn.batch_norm import BatchNorm


@dataclass(frozen=True, kw_only=True)
class UNetConfig(GeneratorKind):
    """G of a game of all conditionals, for pictures."""

    kind: ClassVar[str] = "unet"

    width: int = 32
    """Channels at the picture's own size; twice as many at each halving."""
    output: Output = "sigmoid"
    """Output units: 'sigmoid' for data in [0, 1], 'linear' for any other."""

    def __post_init__(self) -> None:
        errors.at_least(1, width=self.width)
        errors.one_of(get_args(Output), output=self.output)

    def build(
        self, *, z_dim: int, problem: Problem, context: int = 0, rng: torch.Generator
    ) -> "UNet":
        """G(z, c), with c the picture's size and one channel more: what is seen, and the mask."""
        return UNet(self, z_dim=z_dim, problem=problem, context=context, rng=rng)


class UNet(Constrained):
    """G(z, c): what is seen of a picture and its mask, in a row, to a whole picture.

    Args:
        config: Width and output.
        z_dim: Coordinates of z.
        problem: Shape and mean of the data; each colour starts at its mean.
        context: Numbers in c: those of the picture and of its mask.
        rng: Draws the initial weights: N(0, 2 / inputs), biases 0.

    Raises:
        BadValue: For data that are no images, or another c.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        z_dim: int,
        problem: Problem,
        context: int,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        channels, height, width = picture_sides(problem.event_shape)
        self.shown = (channels + 1, height, width)
        right = context == torch.Size(self.shown).numel()
        need = "another kind, but in a game of conditionals, whose G is shown a masked picture"
        errors.require(right, "G.kind", need, f"'{config.kind}'")
        n = halvings(height, width)
        widths = [config.width * 2**i for i in range(n + 1)]
        self.maps = (widths[-1], height >> n, width >> n)
        self.first = nn.Conv2d(channels + 1, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_halved(i, o) for i, o in pairwise(widths))
        self.z = linear.Affine(z_dim, torch.Size(self.maps).numel())
        self.middle = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 3, padding=1), nn.ReLU(inplace=True)
        )
        self.up = nn.ModuleList(_doubled(i, o) for o, i in reversed([*pairwise(widths)]))
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)
        self.squash = squash(config.output, problem)
        init.init_he(self, rng=rng)
        mean = problem.mean.mean(dim=(1, 2))
        sigmoid = config.output == "sigmoid"
        self.last.bias.data.copy_(init.logit_of_marginals(mean) if sigmoid else mean)  # type: ignore[union-attr]

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """`(n, z_dim)`, and c `(n, context)`, to `(n, *event_shape)`."""
        h = self.first(c.view(-1, *self.shown).contiguous(memory_format=torch.channels_last))
        across = []
        for down in self.down:
            across.append(h)
            h = down(h)
        h = self.middle(h + self.z(z).view(-1, *self.maps))
        for up in self.up:
            h = up(h) + across.pop()
        x: Tensor = self.squash(self.last(h))
        return x


def _halved(i: int, o: int) -> nn.Sequential:
    return nn.Sequential(nn.LeakyReLU(LEAK), nn.Conv2d(i, o, 4, stride=2, padding=1), BatchNorm(o))


def _doubled(i: int, o: int) -> nn.Sequential:
    up = nn.ConvTranspose2d(i, o, 4, stride=2, padding=1)
    return nn.Sequential(BatchNorm(i), up, nn.ReLU(inplace=True))

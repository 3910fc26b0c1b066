r"""The paper's convolutional pair: a transposed convolution in G, maxout convolutions in D.

Reference: Goodfellow et al. (2014), Section 5; goodfeli/adversarial, `cifar10_convolutional.yaml`.
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
    limits_checked,
    picture_sides,
    squash,
)
from advnets.networks.mlp import Unit, hidden_layers, start_sigmoids
from advnets.nn import init, linear
from advnets.nn.convolution import CeilPool, MaxoutConv, TransposedConv
from advnets.nn.dropout import Dropout, GaussianNoise
from advnets.nn.maxout import Maxout


@dataclass(frozen=True, kw_only=True)
class ConvolutionalGConfig(GeneratorKind):
    """G of the paper's convolutional pair."""

    kind: ClassVar[str] = "transposed-conv"

    hidden: tuple[int, ...] = (8000, 8000)
    """Units of each hidden layer; the last ones are the input maps of the transposed
    convolution."""
    units: tuple[Unit, ...] = ("relu", "sigmoid")
    """The kind of units of each hidden layer."""
    sigmoid_bias: float = 0.0
    """Initial bias of hidden sigmoid units."""
    size: int = 5
    """Pixels on a side of a kernel."""
    stride: int = 3
    """Pixels from one kernel to the next."""
    output: Output = "linear"
    """Output units: 'sigmoid' for data in [0, 1], 'linear' for any other."""
    irange: float = 0.05
    """Weights start uniform in (-irange, +irange)."""
    max_col_norm: float | None = None
    """Limit on the norm of each hidden unit's incoming weights."""
    max_kernel_norm: float | None = None
    """Limit on the norm of each kernel."""

    def __post_init__(self) -> None:
        errors.one_of(get_args(Output), output=self.output)
        errors.positive(irange=self.irange)
        errors.at_least(1, size=self.size, stride=self.stride)
        need = f"one for each of at least one hidden layer, {len(self.hidden)}"
        right = len(self.units) == len(self.hidden) > 0
        errors.require(right, "units", need, len(self.units))
        limits_checked(max_col_norm=self.max_col_norm, max_kernel_norm=self.max_kernel_norm)

    def build(
        self, *, z_dim: int, problem: Problem, context: int = 0, rng: torch.Generator
    ) -> "ConvolutionalG":
        """G(z), or G(z, c)."""
        return ConvolutionalG(self, z_dim=z_dim, problem=problem, context=context, rng=rng)


@dataclass(frozen=True, kw_only=True)
class ConvolutionalDConfig(DiscriminatorKind):
    """D of the paper's convolutional pair."""

    kind: ClassVar[str] = "maxout-conv"

    channels: tuple[int, ...] = (32, 32, 192)
    """Output channels of each convolution."""
    sizes: tuple[int, ...] = (8, 8, 5)
    """Kernel size of each convolution ..."""
    padding: tuple[int, ...] = (4, 3, 3)
    """... and its padding."""
    pools: tuple[int, ...] = (4, 4, 2)
    """Size of the pooling windows after it ..."""
    pool_strides: tuple[int, ...] = (2, 2, 2)
    """... and their stride."""
    pieces: int = 2
    """Maxout pieces of one channel."""
    units: tuple[int, ...] = (500,)
    """Maxout units of each fully connected layer."""
    unit_pieces: int = 5
    """Affine pieces of one maxout unit."""
    irange: float = 0.005
    """Weights start uniform in (-irange, +irange)."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise added to x, on data and samples alike."""
    dropout_input: float = 0.2
    """Probability that dropout sets a number of x to 0."""
    dropout_hidden: float = 0.5
    """Probability that dropout sets a number of any layer above to 0."""
    max_col_norm: float | None = None
    """Limit on the norm of each unit's incoming weights."""
    max_kernel_norm: float | None = None
    """Limit on the norm of each kernel."""

    def __post_init__(self) -> None:
        n = len(self.channels)
        errors.at_least(1, channels=n, pieces=self.pieces, unit_pieces=self.unit_pieces)
        for name in ("sizes", "padding", "pools", "pool_strides"):
            got = len(getattr(self, name))
            errors.require(got == n, name, f"one for each convolution, {n}", got)
        errors.positive(irange=self.irange)
        errors.at_least(0, input_noise=self.input_noise)
        errors.fraction(dropout_input=self.dropout_input, dropout_hidden=self.dropout_hidden)
        limits_checked(max_col_norm=self.max_col_norm, max_kernel_norm=self.max_kernel_norm)

    def build(
        self, *, event_shape: Sequence[int], context: int = 0, rng: torch.Generator
    ) -> "ConvolutionalD":
        """D(x), or D(x, c)."""
        return ConvolutionalD(self, event_shape=event_shape, context=context, rng=rng)


class ConvolutionalG(Constrained):
    """G(z): fully connected layers, then a transposed convolution to the picture.

    Args:
        config: Sizes and initialisation.
        z_dim: Coordinates of z.
        problem: Shape of the data.
        context: Length of the contexts, which are appended to z.
        rng: Draws the initial weights.

    Raises:
        BadValue: For data that are no images, or whose size does not fit the kernels.
    """

    def __init__(
        self,
        config: ConvolutionalGConfig,
        *,
        z_dim: int,
        problem: Problem,
        context: int = 0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.squash = squash(config.output, problem)
        shape = picture_sides(problem.event_shape)
        self.below = hidden_layers((z_dim + context, *config.hidden), config.units)
        side, units = {"size": config.size, "stride": config.stride}, config.hidden[-1]
        places = TransposedConv(1, shape, **side).places
        per_map = places[0] * places[1]
        need = f"a multiple of {per_map} at its end, {places[0]} x {places[1]} places of a kernel"
        errors.require(units % per_map == 0, "hidden", need, units)
        self.maps = (units // per_map, *places)
        self.last = TransposedConv(self.maps[0], shape, **side)
        self.max_col_norm, self.max_kernel_norm = config.max_col_norm, config.max_kernel_norm
        init.init_uniform(self, config.irange, rng=rng)
        start_sigmoids(self.below, config.sigmoid_bias)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, z_dim)`, and contexts `(n, context)`, to `(n, *event_shape)`."""
        h: Tensor = self.below(z if c is None else torch.cat((z, c), dim=1))
        x: Tensor = self.squash(self.last(h.view(-1, *self.maps)))
        return x


class ConvolutionalD(Constrained):
    """D(x) as a logit: maxout convolutions, each pooled, maxout layers, then one linear unit.

    Dropout is elementwise, before every layer. The output unit of a conditional D depends on the
    context (`nn.linear.ProjectionHead`).

    Args:
        config: Sizes, dropout and initialisation.
        event_shape: Shape of one example.
        context: Length of the contexts.
        rng: Draws the initial weights.

    Raises:
        BadValue: For examples that are no images.
    """

    def __init__(
        self,
        config: ConvolutionalDConfig,
        *,
        event_shape: Sequence[int],
        context: int = 0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        shape = picture_sides(event_shape)
        depth = len(config.channels)
        dropout = (config.dropout_input, *[config.dropout_hidden] * (depth + len(config.units)))
        self.noise = GaussianNoise(config.input_noise)
        self.dropouts = nn.ModuleList(Dropout(p) for p in dropout)
        self.convs, self.pools = nn.ModuleList(), nn.ModuleList()
        for i, (inputs, channels) in enumerate(pairwise((shape[0], *config.channels))):
            size, padding = config.sizes[i], config.padding[i]
            conv = MaxoutConv(inputs, channels, config.pieces, size=size, padding=padding)
            self.convs.append(conv)
            self.pools.append(CeilPool(config.pools[i], config.pool_strides[i]))
        sizes = (self.features(shape), *config.units)
        self.maxouts = nn.ModuleList(Maxout(i, o, config.unit_pieces) for i, o in pairwise(sizes))
        self.last = linear.ProjectionHead(sizes[-1], context)
        self.max_col_norm, self.max_kernel_norm = config.max_col_norm, config.max_kernel_norm
        init.init_uniform(self, config.irange, rng=rng)

    @torch.no_grad()
    def features(self, shape: Sequence[int]) -> int:
        """Number of outputs of the convolutions; `BadValue` where examples are too small."""
        h = torch.zeros(1, *shape)
        for i, (conv, pool) in enumerate(zip(self.convs, self.pools, strict=True)):
            try:
                h = pool(conv(h))
            except RuntimeError as error:
                need = f"one whose layer {i} takes pictures of shape {tuple(h.shape[1:])}"
                raise errors.does_not_play("D", need, error) from None
        return h.numel()

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, *event_shape)`, and contexts `(n, context)`, to logits of shape `(n, 1)`."""
        return self._logits(self._first(x), c)

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of data `(x,)` or `(x, c)`, then of as many samples, `(2m, 1)`, in one pass.

        Examples are independent. The first layer receives data and samples separately, so that the
        gradient in the data is computed only where it is needed.
        """
        (x, *c), (x_g, *c_g) = data, samples
        h = torch.cat((self._first(x), self._first(x_g)))
        return self._logits(h, torch.cat((*c, *c_g)) if c else None)

    def _first(self, x: Tensor) -> Tensor:
        h: Tensor = self.pools[0](self.convs[0](self.dropouts[0](self.noise(x))))
        return h

    def _logits(self, h: Tensor, c: Tensor | None) -> Tensor:
        depth = len(self.convs)
        above = zip(self.dropouts[1:depth], self.convs[1:], self.pools[1:], strict=True)
        for dropout, conv, pool in above:
            h = pool(conv(dropout(h)))
        h = self.dropouts[depth](h).flatten(1)
        for maxout, dropout in zip(self.maxouts, self.dropouts[depth + 1 :], strict=True):
            h = dropout(maxout(h))
        logits: Tensor = self.last(h, c)
        return logits

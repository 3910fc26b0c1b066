r"""Multilayer perceptrons: rectifiers and sigmoids in G, maxout and dropout in D.

Reference: Goodfellow et al. (2014), Section 5; goodfeli/adversarial, `mnist.yaml`,
    `tfd_pretrain/pretrain.yaml`, `cifar10_fully_connected.yaml`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, get_args

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
    squash,
)
from advnets.nn import linear
from advnets.nn.dropout import Dropout, GaussianNoise
from advnets.nn.maxout import Maxout

Unit = Literal["relu", "sigmoid"]


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(GeneratorKind):
    """The multilayer perceptron G."""

    kind: ClassVar[str] = "mlp"

    hidden: tuple[int, ...] = (1200, 1200)
    """Units of each hidden layer."""
    units: tuple[Unit, ...] = ()
    """What the units of each hidden layer are, 'relu' or 'sigmoid'; rectified linear by default."""
    sigmoid_bias: float = 0.0
    """Where the biases of hidden sigmoids start."""
    output: Output = "sigmoid"
    """Output units: 'sigmoid' for data in [0, 1], 'linear' for any other."""
    irange: float = 0.05
    """Weights start uniform in (-irange, +irange)."""
    output_irange: float | None = None
    """The same for the output layer alone, where it is another."""
    output_inputs: int | None = None
    """Sparse first weights of the output layer: N(0, 1) on so many random inputs of each unit."""
    bias_from_marginals: bool = True
    """Let the output start at the training mean (its logit under a sigmoid) rather than at bias
    0."""
    max_col_norm: float | None = None
    """Limit on the norm of each unit's incoming weights, kept after every update."""

    def __post_init__(self) -> None:
        errors.one_of(get_args(Output), output=self.output)
        errors.positive(irange=self.irange)
        for units in self.hidden:
            errors.at_least(1, hidden=units)
        if self.units:
            for unit in self.units:
                errors.one_of(get_args(Unit), units=unit)
            need = f"one for each hidden layer, {len(self.hidden)}, or none"
            errors.require(len(self.units) == len(self.hidden), "units", need, len(self.units))
        if self.output_inputs is not None:
            errors.at_least(1, output_inputs=self.output_inputs)
        limits_checked(max_col_norm=self.max_col_norm, output_irange=self.output_irange)

    def build(
        self, *, z_dim: int, problem: Problem, context: int = 0, rng: torch.Generator
    ) -> "Generator":
        """G(z), or G(z, c)."""
        return Generator(self, z_dim=z_dim, problem=problem, context=context, rng=rng)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig(DiscriminatorKind):
    """The maxout multilayer perceptron D."""

    kind: ClassVar[str] = "mlp"

    units: tuple[int, ...] = (240, 240)
    """Maxout units of each hidden layer."""
    pieces: int = 5
    """Affine pieces of one maxout unit."""
    irange: float = 0.005
    """Weights start uniform in (-irange, +irange)."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise added to x, on data and samples alike."""
    include_input: float = 0.8
    """Dropout: probability of keeping an element of x."""
    include_hidden: float = 0.5
    """Dropout: probability of keeping a hidden unit."""
    max_col_norm: float | None = None
    """Limit on the norm of each unit's incoming weights, kept after every update."""

    def __post_init__(self) -> None:
        errors.positive(irange=self.irange)
        errors.at_least(1, pieces=self.pieces)
        for units in self.units:
            errors.at_least(1, units=units)
        errors.at_least(0, input_noise=self.input_noise)
        errors.probability(include_input=self.include_input, include_hidden=self.include_hidden)
        limits_checked(max_col_norm=self.max_col_norm)

    def build(
        self, *, event_shape: Sequence[int], context: int = 0, rng: torch.Generator
    ) -> "Discriminator":
        """D(x), or D(x, c)."""
        return Discriminator(self, event_shape=event_shape, context=context, rng=rng)


class Generator(Constrained):
    r"""G(z): hidden layers of rectifiers or sigmoids, and a sigmoid or linear output.

    Args:
        config: Sizes and initialisation.
        z_dim: Coordinates of z.
        problem: Shape and mean of the data.
        context: Numbers that G is told beside z; they stand after it.
        rng: Draws the initial weights.

    Raises:
        BadValue: For a sigmoid output and data outside [0, 1].
    """

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        z_dim: int,
        problem: Problem,
        context: int = 0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.squash = squash(config.output, problem)
        sizes = (z_dim + context, *config.hidden)
        self.net = hidden_layers(sizes, config.units)
        last = linear.Affine(sizes[-1], problem.mean.numel())
        self.net.append(last)
        self.event_shape = problem.event_shape
        self.max_col_norm = config.max_col_norm
        linear.init_uniform(self, config.irange, rng=rng)
        if config.output_irange is not None:
            linear.init_uniform(last, config.output_irange, rng=rng)
        if config.output_inputs is not None:
            linear.init_sparse(last, config.output_inputs, rng=rng)
        start_sigmoids(self.net, config.sigmoid_bias)
        if config.bias_from_marginals:
            mean = problem.mean.flatten()
            sigmoid = config.output == "sigmoid"
            last.bias.data.copy_(linear.logit_of_marginals(mean) if sigmoid else mean)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, z_dim)`, and contexts `(n, context)`, to `(n, *event_shape)`."""
        x: Tensor = self.squash(self.net(z if c is None else torch.cat((z, c), dim=1)))
        return x.view(-1, *self.event_shape)


def hidden_layers(sizes: Sequence[int], units: Sequence[Unit]) -> nn.Sequential:
    """Affine maps from each size to the next, each with its units; rectifiers by default."""
    net = nn.Sequential()
    for layer, (i, o) in enumerate(pairwise(sizes)):
        sigmoid = bool(units) and units[layer] == "sigmoid"
        net.append(linear.Affine(i, o))
        net.append(nn.Sigmoid() if sigmoid else nn.ReLU(inplace=True))
    return net


def start_sigmoids(net: nn.Sequential, bias: float) -> None:
    """Let the biases under hidden sigmoids start at a number."""
    for below, unit in pairwise(net):
        if isinstance(unit, nn.Sigmoid) and isinstance(below, nn.Linear):
            nn.init.constant_(below.bias, bias)


class Discriminator(Constrained):
    r"""D(x) as a logit: dropout and maxout, layer after layer, then one linear unit.

    A conditional D(x | c) reads its features h by a linear unit that depends on c:

    .. math:: a(x | c) = (w + V c)^\top h(x) + b

    Reference: Miyato and Koyama (2018), cGANs with projection discriminator.

    Args:
        config: Sizes, dropout and initialisation.
        event_shape: Shape of one example.
        context: Numbers that D is told of each example.
        rng: Draws the initial weights.
    """

    def __init__(
        self,
        config: DiscriminatorConfig,
        *,
        event_shape: Sequence[int],
        context: int = 0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        sizes = (int(torch.Size(event_shape).numel()), *config.units)
        include = (config.include_input, *[config.include_hidden] * len(config.units))
        self.noise = GaussianNoise(config.input_noise)
        self.dropouts = nn.ModuleList(Dropout(share) for share in include)
        self.maxouts = nn.ModuleList(Maxout(i, o, config.pieces) for i, o in pairwise(sizes))
        self.last = linear.Reading(sizes[-1], context)
        self.max_col_norm = config.max_col_norm
        linear.init_uniform(self, config.irange, rng=rng)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, *event_shape)`, and contexts `(n, context)`, to logits of shape `(n, 1)`."""
        return self._logits(self._disturbed(x), c)

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of data `(x,)` or `(x, c)`, then of as many samples, `(2m, 1)`, in one pass.

        Examples are treated one by one. The gradient in the data is not computed unless it is
        asked for.
        """
        (x, *c), (x_g, *c_g) = data, samples
        twice = torch.cat((*c, *c_g)) if c else None
        if x.requires_grad:
            return self.forward(torch.cat((x, x_g)), twice)
        h, h_g = self._disturbed(x), self._disturbed(x_g)
        return self._logits(h_g, twice, before=h.detach())

    def _disturbed(self, x: Tensor) -> Tensor:
        """The examples as rows, with noise and dropout."""
        h: Tensor = self.dropouts[0](self.noise(x.flatten(1)))
        return h

    def _logits(self, h: Tensor, c: Tensor | None, before: Tensor | None = None) -> Tensor:
        if before is not None and self.maxouts and linear.hooked(self.maxouts[0]):
            h, before = torch.cat((before, h)), None  # what is hooked in is to see all rows
        for maxout, dropout in zip(self.maxouts, self.dropouts[1:], strict=True):
            h, before = dropout(maxout(h) if before is None else maxout(h, before=before)), None
        h = h if before is None else torch.cat((before, h))
        logits: Tensor = self.last(h, c)
        return logits

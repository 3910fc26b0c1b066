r"""Multilayer perceptrons: rectifiers and sigmoids in G, maxout and dropout in D.

Reference: Goodfellow et al. (2014), Section 5; goodfeli/adversarial, `mnist.yaml`,
    `tfd_pretrain/pretrain.yaml`, `cifar10_fully_connected.yaml`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Problem
from advnets.base.rng import generator
from advnets.networks.base import (
    Constrained,
    DiscriminatorKind,
    GeneratorKind,
    Output,
    limits_checked,
    squash,
)
from advnets.nn import init, linear, spectral_norm
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
    """The units of each hidden layer, 'relu' or 'sigmoid'; rectified linear by default."""
    sigmoid_bias: float = 0.0
    """Initial bias of hidden sigmoid units."""
    output: Output = "sigmoid"
    """Output units: 'sigmoid' for data in [0, 1], 'linear' for any other."""
    irange: float = 0.05
    """Weights start uniform in (-irange, +irange)."""
    output_irange: float | None = None
    """The same for the output layer, where it differs."""
    output_inputs: int | None = None
    """Sparse initial weights of the output layer: N(0, 1) on this many random inputs of each
    unit."""
    bias_from_marginals: bool = True
    """Whether the output starts at the training mean (its logit under a sigmoid) instead of bias
    0."""
    max_col_norm: float | None = None
    """Limit on the norm of each unit's incoming weights, applied after every update."""

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
        squash(self.output, problem)  # refuses data that a sigmoid cannot make
        shape, mean = problem.event_shape, problem.mean
        return Generator(self, z_dim=z_dim, event_shape=shape, mean=mean, context=context, rng=rng)


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
    dropout_input: float = 0.2
    """Probability that dropout sets an element of x to 0."""
    dropout_hidden: float = 0.5
    """Probability that dropout sets a hidden unit to 0."""
    max_col_norm: float | None = None
    """Limit on the norm of each unit's incoming weights, applied after every update."""
    spectral: bool = False
    """Whether each layer is divided by its largest singular value (Miyato et al., 2018)."""

    def __post_init__(self) -> None:
        errors.positive(irange=self.irange)
        errors.at_least(1, pieces=self.pieces)
        for units in self.units:
            errors.at_least(1, units=units)
        errors.at_least(0, input_noise=self.input_noise)
        errors.fraction(dropout_input=self.dropout_input, dropout_hidden=self.dropout_hidden)
        limits_checked(max_col_norm=self.max_col_norm)

    def build(
        self, *, event_shape: Sequence[int], context: int = 0, rng: torch.Generator
    ) -> "Discriminator":
        """D(x), or D(x, c)."""
        return Discriminator(self, event_shape=event_shape, context=context, rng=rng)


class Generator(Constrained):
    r"""G(z): hidden layers of rectifiers or sigmoids, and a sigmoid or linear output.

    Args:
        config: Sizes and initialisation; by default those of `settings`.
        z_dim: Coordinates of z.
        event_shape: Shape of one example.
        mean: Mean of the data, the initial output under `bias_from_marginals`.
        context: Length of the contexts, which are appended to z.
        rng: Draws the initial weights; by default a generator of seed 0.
        settings: Fields of `GeneratorConfig`, in place of a config: `hidden`, `output`, ...
    """

    def __init__(
        self,
        config: GeneratorConfig | None = None,
        *,
        z_dim: int,
        event_shape: Sequence[int],
        mean: Tensor | None = None,
        context: int = 0,
        rng: torch.Generator | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        config = GeneratorConfig(**settings) if config is None else replace(config, **settings)
        rng = generator(0, "weights of G") if rng is None else rng
        errors.at_least(1, z_dim=z_dim)
        self.squash = nn.Sigmoid() if config.output == "sigmoid" else nn.Identity()
        sizes = (z_dim + context, *config.hidden)
        self.net = hidden_layers(sizes, config.units)
        last = linear.Affine(sizes[-1], torch.Size(event_shape).numel())
        self.net.append(last)
        self.event_shape = tuple(event_shape)
        self.max_col_norm = config.max_col_norm
        init.init_uniform(self, config.irange, rng=rng)
        if config.output_irange is not None:
            init.init_uniform(last, config.output_irange, rng=rng)
        if config.output_inputs is not None:
            init.init_sparse(last, config.output_inputs, rng=rng)
        start_sigmoids(self.net, config.sigmoid_bias)
        if config.bias_from_marginals and mean is not None:
            mean = mean.flatten()
            sigmoid = config.output == "sigmoid"
            last.bias.data.copy_(init.logit_of_marginals(mean) if sigmoid else mean)

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
    """Set the initial bias of hidden sigmoid units."""
    for below, unit in pairwise(net):
        if isinstance(unit, nn.Sigmoid) and isinstance(below, nn.Linear):
            nn.init.constant_(below.bias, bias)


class Discriminator(Constrained):
    r"""D(x) as a logit: layers of dropout and maxout, then one linear unit.

    The linear unit of a conditional D(x | c) depends on c:

    .. math:: a(x | c) = (w + V c)^\top h(x) + b

    Reference: Miyato and Koyama (2018), cGANs with projection discriminator.

    Args:
        config: Sizes, dropout and initialisation; by default those of `settings`.
        event_shape: Shape of one example.
        context: Length of the contexts.
        rng: Draws the initial weights; by default a generator of seed 0.
        settings: Fields of `DiscriminatorConfig`, in place of a config: `units`, `pieces`, ...
    """

    def __init__(
        self,
        config: DiscriminatorConfig | None = None,
        *,
        event_shape: Sequence[int],
        context: int = 0,
        rng: torch.Generator | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        config = DiscriminatorConfig(**settings) if config is None else replace(config, **settings)
        rng = generator(0, "weights of D") if rng is None else rng
        sizes = (int(torch.Size(event_shape).numel()), *config.units)
        dropout = (config.dropout_input, *[config.dropout_hidden] * len(config.units))
        self.noise = GaussianNoise(config.input_noise)
        self.dropouts = nn.ModuleList(Dropout(p) for p in dropout)
        spectral = config.spectral
        self.maxouts = nn.ModuleList(
            Maxout(i, o, config.pieces, spectral=spectral) for i, o in pairwise(sizes)
        )
        head = spectral_norm.SpectralProjectionHead if spectral else linear.ProjectionHead
        self.last: nn.Module = head(sizes[-1], context)
        self.max_col_norm = config.max_col_norm
        init.init_uniform(self, config.irange, rng=rng)
        spectral_norm.init_vectors(self, rng=rng)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, *event_shape)`, and contexts `(n, context)`, to logits of shape `(n, 1)`."""
        return self._logits(self._disturbed(x), c)

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of data `(x,)` or `(x, c)`, then of as many samples, `(2m, 1)`, in one pass.

        Examples are independent. The gradient in the data is computed only where it is needed.
        """
        (x, *c), (x_g, *c_g) = data, samples
        twice = torch.cat((*c, *c_g)) if c else None
        if x.requires_grad:
            return self.forward(torch.cat((x, x_g)), twice)
        h, h_g = self._disturbed(x), self._disturbed(x_g)
        return self._logits(h_g, twice, before=h.detach())

    def _disturbed(self, x: Tensor) -> Tensor:
        """The examples flattened, with noise and dropout."""
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

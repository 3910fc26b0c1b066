"""Initial weights: uniform, He's normal, sparse; biases of the data's marginals."""

import math

import torch
from torch import Tensor, nn

from advnets.base import errors


@torch.no_grad()
def init_uniform(network: nn.Module, irange: float, *, rng: torch.Generator) -> None:
    """Every weight from U(-irange, +irange), every bias 0.

    Reference: goodfeli/adversarial, `irange` .05 for G and .005 for D.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.uniform_(-irange, irange, generator=rng)
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def init_he(network: nn.Module, *, rng: torch.Generator) -> None:
    """Every weight from N(0, 2 / inputs), with the inputs of one output number; every bias 0.

    For a transposed convolution of stride s, each output number has inputs from size^2 / s^2
    positions.

    Reference: He et al. (2015), Delving Deep into Rectifiers.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):
                size = math.prod(layer.kernel_size) / math.prod(layer.stride)
                inputs = max(1, round(layer.in_channels * size))
            layer.weight.normal_(0, math.sqrt(2 / inputs), generator=rng)
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def init_sparse(
    layer: nn.Linear, nonzero: int, *, stdev: float = 1.0, rng: torch.Generator
) -> None:
    """N(0, stdev^2) on `nonzero` distinct random inputs of each output unit, 0 elsewhere, bias 0.

    Reference: Martens (2010); goodfeli/adversarial, `sparse_init`.
    """
    need = f"from 1 to the number of inputs, {layer.in_features}"
    errors.require(1 <= nonzero <= layer.in_features, "nonzero", need, nonzero)
    order = torch.rand(layer.weight.shape, generator=rng).argsort(dim=1)
    drawn = torch.randn(layer.out_features, nonzero, generator=rng) * stdev
    layer.weight.zero_().scatter_(1, order[:, :nonzero], drawn)
    layer.bias.zero_()


def logit_of_marginals(mean: Tensor) -> Tensor:
    r"""The bias at which a sigmoid output starts at the data's mean: :math:`\log(p / (1 - p))`.

    Means are first clipped to :math:`[10^{-7}, 1 - 10^{-7}]`, so that a pixel that is always 0
    starts at -16.1.

    Args:
        mean: Mean of each pixel over the training set, in [0, 1].
    """
    return torch.logit(mean.double(), eps=1e-7).float()

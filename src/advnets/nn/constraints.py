"""Limits on the norms of weights."""

import torch
from torch import Tensor, nn


def limit_column_norms(network: nn.Module, limit: float) -> None:
    r"""Scale the incoming weights of each unit (or maxout piece) to a norm of at most `limit`.

    :math:`w \leftarrow w \cdot \min(\|w\|, c) / (10^{-7} + \|w\|)`, without biases. What pylearn2
    calls a column is a row of torch's weight.

    Reference: Srebro and Shraibman (2005); pylearn2, `max_col_norm`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            _limit(layer.weight, limit)


def limit_kernel_norms(network: nn.Module, limit: float) -> None:
    """The same for each kernel: of an output channel, or of an input channel where transposed.

    Reference: pylearn2, `max_kernel_norm`; goodfeli/adversarial, `deconv.py`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _limit(layer.weight, limit)


@torch.no_grad()
def _limit(weight: Tensor, limit: float) -> None:
    """Scale the weights of each index of the first dimension."""
    norms = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    shrink = norms.clamp(max=limit) / (1e-7 + norms)
    weight.mul_(shrink.view(-1, *[1] * (weight.ndim - 1)))

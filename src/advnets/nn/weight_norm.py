r"""Affine maps whose weights have a norm of their own: weight normalisation.

.. math:: y = s \odot \frac{V x}{\|V\|} + b

with a norm for each row of V. s and b begin so that on some first examples each output has mean 0
and variance 1. A hidden layer keeps its first s, for what follows can undo it; the last one learns
it.

Reference: Salimans and Kingma (2016), Weight normalization.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WeightNormAffine(nn.Module):
    """The map.

    Args:
        inputs: Numbers of an example.
        outputs: Numbers that come out.
        learned_scale: Whether s moves.
        rng: Draws V, from N(0, 0.1^2).
    """

    scale: Tensor

    def __init__(
        self, inputs: int, outputs: int, *, learned_scale: bool = False, rng: torch.Generator
    ) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(outputs, inputs, generator=rng) * 0.1)
        self.bias = nn.Parameter(torch.zeros(outputs))
        scale = torch.ones(outputs)
        if learned_scale:
            self.scale = nn.Parameter(scale)
        else:
            self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs)` to `(n, outputs)`."""
        # The outputs are divided, not the weights, of which there are many more.
        norm = torch.linalg.vector_norm(self.direction, dim=1)
        y: Tensor = F.linear(x, self.direction).to(norm.dtype) * (self.scale / norm) + self.bias
        return y

    @torch.no_grad()
    def begin_at(self, x: Tensor) -> Tensor:
        """Let each output have mean 0 and variance 1 on these examples; what comes out of them."""
        self.scale.fill_(1)
        self.bias.zero_()
        y = self(x)
        mean, std = y.mean(dim=0), y.std(dim=0).clamp_(min=1e-6)
        self.scale.copy_(1 / std)
        self.bias.copy_(-mean / std)
        centred: Tensor = (y - mean) / std
        return centred

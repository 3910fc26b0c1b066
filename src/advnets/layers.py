r"""The layers of the paper's networks, and what is done to their weights.

Reference: Goodfellow et al. (2014), Section 5: maxout and dropout in D, rectifiers and sigmoids in
    G.
"""

import torch
from torch import Tensor, nn

from advnets import checks

_DRAWS_PER_WORD, _BITS = 4, 16


class Maxout(nn.Module):
    r"""An affine map, then the maximum over each group of `pieces` consecutive numbers.

    .. math:: h_i(x) = \max_{j < p} (x^\top W_{\cdot, ip + j} + b_{ip + j})

    No rectifier follows: h may be negative.

    Reference: Goodfellow et al. (2013), Maxout Networks.

    Args:
        inputs: Features of one example.
        units: Features that come out.
        pieces: Affine pieces of one unit.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        checks.at_least(1, units=units, pieces=pieces)
        self.pieces = pieces
        self.affine = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs)` to `(n, units)`."""
        pieces: Tensor = self.affine(x)
        best: Tensor = pieces.view(len(x), -1, self.pieces).max(dim=2).values
        return best


class Dropout(nn.Module):
    r"""Keeps each element of each example with probability `include` and divides it by that.

    :math:`\tilde x = x \odot m / include`, with :math:`m \sim` Bernoulli(include) elementwise, in
    training only. The mask comes from the generator that `bind` gave (torch's global stream before
    that), 16 bits an element: the probability is exact to 1e-5.

    Reference: Hinton et al. (2012); goodfeli/adversarial: .8 on D's input, .5 on each hidden layer.

    Args:
        include: Probability of keeping an element (not of dropping it).
    """

    def __init__(self, include: float) -> None:
        super().__init__()
        checks.probability(include=include)
        self.include = include
        self.rng: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; the identity in evaluation mode."""
        if not self.training or self.include == 1:
            return x
        return x * self._mask(x)

    def _mask(self, x: Tensor) -> Tensor:
        words = torch.empty(-(-x.numel() // _DRAWS_PER_WORD), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.rng)
        draws = words.view(torch.int16)[: x.numel()].view(x.shape)
        last = round(self.include * 2**_BITS) - 2 ** (_BITS - 1) - 1
        keep: Tensor = draws <= last
        return keep.to(x.device, x.dtype).div_(self.include)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"include={self.include}"


def dropouts(*networks: nn.Module) -> list[Dropout]:
    """All our dropout layers in the networks, for `bind`."""
    return [m for network in networks for m in network.modules() if isinstance(m, Dropout)]


def bind(layers: list[Dropout], rng: torch.Generator) -> None:
    """Let the dropout layers draw their masks from `rng`."""
    for layer in layers:
        layer.rng = rng


@torch.no_grad()
def init_uniform(network: nn.Module, irange: float, *, rng: torch.Generator) -> None:
    """Every weight from U(-irange, +irange), every bias 0.

    Reference: goodfeli/adversarial, `irange` .05 for G and .005 for D.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.uniform_(-irange, irange, generator=rng)
            layer.bias.zero_()


@torch.no_grad()
def init_sparse(
    layer: nn.Linear, nonzero: int, *, stdev: float = 1.0, rng: torch.Generator
) -> None:
    """N(0, stdev^2) on `nonzero` distinct random inputs of each output unit, 0 elsewhere, bias 0.

    Reference: Martens (2010); goodfeli/adversarial, `sparse_init`.
    """
    need = f"from 1 to the number of inputs, {layer.in_features}"
    checks.require(1 <= nonzero <= layer.in_features, "nonzero", need, nonzero)
    order = torch.rand(layer.weight.shape, generator=rng).argsort(dim=1)
    drawn = torch.randn(layer.out_features, nonzero, generator=rng) * stdev
    layer.weight.zero_().scatter_(1, order[:, :nonzero], drawn)
    layer.bias.zero_()


def logit_of_marginals(mean: Tensor) -> Tensor:
    r"""The bias at which a sigmoid output starts at the data's mean: :math:`\log(p / (1 - p))`.

    Means are first brought into :math:`[10^{-7}, 1 - 10^{-7}]`, so that a pixel that is always 0
    starts at -16.1.

    Args:
        mean: Mean of each pixel over the training set, in [0, 1].
    """
    return torch.logit(mean.double(), eps=1e-7).float()


@torch.no_grad()
def limit_column_norms(network: nn.Module, limit: float) -> None:
    r"""Shrink each unit's (each maxout piece's) incoming weights to a norm of at most `limit`.

    :math:`w \leftarrow w \cdot \min(\|w\|, c) / (10^{-7} + \|w\|)`, biases left alone. What
    pylearn2 calls a column is a row of torch's weight.

    Reference: Srebro and Shraibman (2005); pylearn2, `max_col_norm`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            norms = torch.linalg.vector_norm(layer.weight, dim=1, keepdim=True)
            layer.weight.mul_(norms.clamp(max=limit) / (1e-7 + norms))

r"""The layers of the paper's networks, and what is done to their weights.

Reference: Goodfellow et al. (2014), Section 5: maxout and dropout in D, rectifiers and sigmoids in
    G.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnets import checks

_DRAWS_PER_WORD, _BITS = 4, 16
_ONEDNN = torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Maxout(nn.Module):
    r"""An affine map to `pieces` numbers for each of q units, then each unit's largest.

    .. math:: h_i(x) = \max_{j < p} (x^\top W_{\cdot, jq + i} + b_{jq + i})

    No rectifier follows: h may be negative. The j-th pieces of all units lie side by side, so that
    the maximum is taken over whole rows of memory.

    Reference: Goodfellow et al. (2013), Maxout Networks.

    Args:
        inputs: Features of one example.
        units: q, features that come out.
        pieces: p, affine pieces of one unit.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        checks.at_least(1, units=units, pieces=pieces)
        self.pieces = pieces
        self.affine = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor, *, constant: int = 0) -> Tensor:
        """`(n, inputs)` to `(n, units)`; no gradient goes back to the first `constant` rows."""
        y = affine(self.affine, x, constant=constant)
        h: Tensor = _apply(_LargestPiece, y.view(len(x), self.pieces, -1))
        return h


def _apply(node: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    y: Tensor = node.apply(*arguments)  # type: ignore[no-untyped-call]
    return y


class _LargestPiece(torch.autograd.Function):
    """The maximum over dimension 1 of `(n, pieces, units)`; equal pieces share its gradient."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        h = y.amax(dim=1)
        ctx.save_for_backward(y, h)
        return h

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Tensor:
        y, h = ctx.saved_tensors
        # As numbers, not as truth values: those are many times slower to multiply with.
        largest = torch.eq(y, h.unsqueeze(1), out=torch.empty_like(y))
        return largest.mul_((d / largest.sum(dim=1)).unsqueeze(1))


def affine(layer: nn.Linear, x: Tensor, *, constant: int = 0) -> Tensor:
    """`layer(x)`; the gradient in x is taken only for the rows after the first `constant`.

    The gradients in W and in x are two nodes of the graph, so that the one that nobody asks for is
    not computed.
    """
    y = _apply(_Affine, x.detach(), layer.weight, layer.bias)
    if x.requires_grad:
        y = _apply(_Back, y, x, layer.weight.detach(), constant)
    return y


class _Affine(torch.autograd.Function):
    """y = x W^T + b, with its gradients in W and b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[None, Tensor, Tensor]:
        (x,) = ctx.saved_tensors
        return None, d.T @ x, d.sum(dim=0)


class _Back(torch.autograd.Function):
    """`y` as it is; on the way back, the gradient in x of y = x W^T + b, for the last rows."""

    @staticmethod
    def forward(
        ctx: Any,
        y: Tensor,
        x: Tensor,  # noqa: ARG004  its gradient is what this node is for
        weight: Tensor,
        constant: int,
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.constant = constant
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        d_x = product(d[ctx.constant :], weight.T)
        if ctx.constant:
            d_x = nn.functional.pad(d_x, (0, 0, ctx.constant, 0))
        return d, d_x, None, None


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x weight^T + bias`. In float32 on a CPU by oneDNN, which is up to twice as fast as MKL."""
    eager = not torch.compiler.is_compiling()
    if eager and _ONEDNN and x.dtype == torch.float32 and x.device.type == "cpu":
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return y
    return nn.functional.linear(x, weight, bias)


class Affine(nn.Linear):
    """`nn.Linear` by `affine`: the same numbers, sooner."""

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs)` to `(n, outputs)`."""
        return affine(self, x)


class Dropout(nn.Module):
    r"""Keeps each element of each example with probability `include` and divides it by that.

    :math:`\tilde x = x \odot m / include`, with :math:`m \sim` Bernoulli(include) elementwise, in
    training only. The mask is a function of 16 random bits an element, so the probability is exact
    to 1e-5. A game draws the bits of a pass beforehand (`draw`) and hands them over (`hand_out`);
    without them they come from torch's global stream.

    Reference: Hinton et al. (2012); goodfeli/adversarial: .8 on D's input, .5 on each hidden layer.

    Args:
        include: Probability of keeping an element (not of dropping it).
    """

    def __init__(self, include: float) -> None:
        super().__init__()
        checks.probability(include=include)
        self.include = include
        self.event_shape: torch.Size | None = None
        self.bits: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; the identity in evaluation mode."""
        if self.event_shape != x.shape[1:]:
            self.event_shape = x.shape[1:]
        if not self.training or self.include == 1:
            return x
        bits = self.draw(len(x)) if self.bits is None else self.bits
        last = round(self.include * 2**_BITS) - 2 ** (_BITS - 1) - 1
        mask = torch.le(bits.to(x.device), last, out=torch.empty_like(x, requires_grad=False))
        return x * mask.div_(self.include)

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """Bits of a mask for `n` examples of the last shape seen: int16, `(n, *event_shape)`."""
        shape = (n, *(self.event_shape or ()))
        numel, device = math.prod(shape), rng.device if rng is not None else None
        words = torch.empty(-(-numel // _DRAWS_PER_WORD), dtype=torch.int64, device=device)
        words.random_(-(2**63), None, generator=rng)
        return words.view(torch.int16)[:numel].view(shape)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"include={self.include}"


def dropouts(network: nn.Module) -> list[Dropout]:
    """The network's dropout layers that do anything, in order."""
    return [m for m in network.modules() if isinstance(m, Dropout) and m.include < 1]


def hand_out(layers: Sequence[Dropout], bits: Sequence[Tensor | None]) -> None:
    """Give each dropout layer the bits of its next mask."""
    for layer, own in zip(layers, bits, strict=True):
        layer.bits = own


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

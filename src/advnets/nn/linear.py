r"""The affine layers of the paper's networks, and what is done to their weights.

Reference: Goodfellow et al. (2014), Section 5.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.nn.kernels import product


class Affine(nn.Linear):
    r"""`nn.Linear`, :math:`y = x W^\top + b`, by the quickest products at hand.

    The next gradient in W is written into `lent`, memory of its shape, where there is some: fresh
    memory that the system has to clear costs nearly as much time as the product. Not for
    `torch.func`.
    """

    lent: Tensor | None = None
    still = False
    """Whether W is a constant, for a graph that cannot be told by `requires_grad_`."""

    def borrow(self) -> Tensor | None:
        """The memory lent, once: a second use in one graph has a gradient of its own."""
        # What is derived once more is kept, and a graph has memory of its own.
        if self.lent is None or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return None
        memory, self.lent = self.lent, None
        return memory

    def forward(self, x: Tensor, *, before: Tensor | None = None) -> Tensor:
        """`(n, inputs)` to `(n, outputs)`; rows put `before` x come first and get no gradient."""
        if not self.suits(x):
            return super().forward(x if before is None else torch.cat((before, x)))
        return applied(_Affine, x, self.played_weight, self.bias, before, self)

    def suits(self, x: Tensor) -> bool:
        """Whether x is mapped by products of our own."""
        plain = x.ndim == 2 and x.shape[1] == self.in_features and self.bias is not None
        kind = x.device.type
        return plain and not (kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind))

    @property
    def bare(self) -> bool:
        """Whether W and b are all there is to it, so that another layer may multiply by them."""
        own = type(self).forward is Affine.forward and "forward" not in self.__dict__
        return own and "weight" in self._parameters and not hooked(self)

    @property
    def played_weight(self) -> Tensor:
        """W, or the constant that it is."""
        return self.weight.detach() if self.still else self.weight


HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
)
"""Where a module of torch keeps its hooks, by their handle's number."""


def hooked(module: nn.Module) -> bool:
    """Whether something runs when the module is called that its `forward` does not know of.

    A step that is compiled has no hooks: a game with hooks is not played by its compiled step.
    """
    if torch.compiler.is_compiling():
        return False
    registered: Any = nn.modules.module._has_any_global_hook
    return bool(registered()) or any(module.__dict__.get(name) for name in HOOKS)


def applied(node: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """What an operation with a gradient of its own makes of the arguments."""
    y: Tensor = node.apply(*arguments)  # type: ignore[no-untyped-call]
    return y


class _Affine(torch.autograd.Function):
    """y = x W^T + b, with the gradients in x, W and b that are asked for."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, before: Tensor | None, layer: Affine
    ) -> Tensor:
        whole = x if before is None else torch.cat((before, x))
        ctx.save_for_backward(x, whole, weight)
        ctx.layer = layer
        return product(whole, weight, bias)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, whole, weight = ctx.saved_tensors
        before = len(whole) - len(x)
        if torch.is_grad_enabled():  # to be derived once more, in x too
            whole = torch.cat((whole[:before], x))
        for_x, for_weight, for_bias = ctx.needs_input_grad[:3]
        d_x = d_weight = d_bias = None
        if for_x:
            d_x = product(d[before:], weight.T)
        if for_weight:
            lent = ctx.layer.borrow()
            d_weight = product(d.T, whole.T) if lent is None else torch.mm(d.T, whole, out=lent)
        if for_bias:
            d_bias = d.sum(dim=0)
        return d_x, d_weight, d_bias, None, None


class Reading(nn.Linear):
    r"""The logit of features h, :math:`a = w^\top h + b`; told c, :math:`(w + V c)^\top h + b`.

    Of classes, V has a column for each that w has to be corrected by.

    Reference: Miyato and Koyama (2018), cGANs with projection discriminator.

    Args:
        features: Numbers in h.
        context: Numbers in c; 0 where nothing is told.
    """

    def __init__(self, features: int, context: int = 0) -> None:
        super().__init__(features, 1)
        self.context = Affine(features, context, bias=False) if context else None

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, features)`, and `(n, context)` where it is told, to `(n, 1)`."""
        a = super().forward(h)
        if self.context is None or c is None:
            return a
        V_c: Tensor = self.context(h) * c
        return a + V_c.sum(dim=1, keepdim=True)


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

    Of a transposed convolution of stride s each output number has inputs from size^2 / s^2 places.

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

    Means are first brought into :math:`[10^{-7}, 1 - 10^{-7}]`, so that a pixel that is always 0
    starts at -16.1.

    Args:
        mean: Mean of each pixel over the training set, in [0, 1].
    """
    return torch.logit(mean.double(), eps=1e-7).float()


def limit_column_norms(network: nn.Module, limit: float) -> None:
    r"""Shrink each unit's (each maxout piece's) incoming weights to a norm of at most `limit`.

    :math:`w \leftarrow w \cdot \min(\|w\|, c) / (10^{-7} + \|w\|)`, biases left alone. What
    pylearn2 calls a column is a row of torch's weight.

    Reference: Srebro and Shraibman (2005); pylearn2, `max_col_norm`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            _limit(layer.weight, limit)


def limit_kernel_norms(network: nn.Module, limit: float) -> None:
    """The same for each kernel: of an output channel, or of a transposed one's input channel.

    Reference: pylearn2, `max_kernel_norm`; goodfeli/adversarial, `deconv.py`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _limit(layer.weight, limit)


@torch.no_grad()
def _limit(weight: Tensor, limit: float) -> None:
    """Shrink what belongs to each index of the first dimension."""
    norms = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    shrink = norms.clamp(max=limit) / (1e-7 + norms)
    weight.mul_(shrink.view(-1, *[1] * (weight.ndim - 1)))

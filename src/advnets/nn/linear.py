r"""The affine layers of the paper's networks.

Reference: Goodfellow et al. (2014), Section 5.
"""

from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import torch_private
from advnets.nn.kernels import product


class Affine(nn.Linear):
    r"""`nn.Linear`, :math:`y = x W^\top + b`, by the fastest available products.

    The next gradient in W is written into `grad_buffer`, if set: allocating new memory costs nearly
    as much time as the product, because the system clears it. Not for `torch.func`.
    """

    grad_buffer: Tensor | None = None
    frozen = False
    """Whether W is a constant, for graphs that cannot use `requires_grad_`."""

    def borrow(self) -> Tensor | None:
        """The gradient buffer, once: a second use in one graph allocates its own gradient."""
        # What is derived once more is kept, and a graph has memory of its own.
        if self.grad_buffer is None or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return None
        memory, self.grad_buffer = self.grad_buffer, None
        return memory

    def forward(self, x: Tensor, *, before: Tensor | None = None) -> Tensor:
        """`(n, inputs)` to `(n, outputs)`; rows `before` are prepended to x, without gradient."""
        if not self.suits(x):
            return super().forward(x if before is None else torch.cat((before, x)))
        return applied(_Affine, x, self.played_weight, self.bias, before, self)

    def suits(self, x: Tensor) -> bool:
        """Whether x is mapped by the products of `kernels`."""
        plain = x.ndim == 2 and x.shape[1] == self.in_features and self.bias is not None
        kind = x.device.type
        return plain and not (kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind))

    @property
    def bare(self) -> bool:
        """Whether the layer is only W and b, without hooks or parametrisations."""
        own = type(self).forward is Affine.forward and "forward" not in self.__dict__
        return own and "weight" in self._parameters and not hooked(self)

    @property
    def played_weight(self) -> Tensor:
        """W, detached where it is frozen."""
        return self.weight.detach() if self.frozen else self.weight


HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
)
"""The attributes in which torch modules keep hooks."""


def hooked(module: nn.Module) -> bool:
    """Whether the module has hooks.

    A compiled step ignores hooks, so a game with hooks uses its eager step.
    """
    if torch.compiler.is_compiling():
        return False
    return torch_private.has_global_hooks() or any(module.__dict__.get(name) for name in HOOKS)


def applied(node: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """The result of an operation with a custom gradient."""
    y: Tensor = node.apply(*arguments)  # type: ignore[no-untyped-call]
    return y


class _Affine(torch.autograd.Function):
    """y = x W^T + b, with the gradients in x, W and b that are needed."""

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
            grad_buffer = ctx.layer.borrow()
            d_weight = (
                product(d.T, whole.T)
                if grad_buffer is None
                else torch.mm(d.T, whole, out=grad_buffer)
            )
        if for_bias:
            d_bias = d.sum(dim=0)
        return d_x, d_weight, d_bias, None, None


class ProjectionHead(nn.Linear):
    r"""The logit of features h, :math:`a = w^\top h + b`; given c, :math:`(w + V c)^\top h + b`.

    For classes, V has one column for each, the correction of w.

    Reference: Miyato and Koyama (2018), cGANs with projection discriminator.

    Args:
        features: Length of h.
        context: Length of c; 0 without a context.
    """

    def __init__(self, features: int, context: int = 0) -> None:
        super().__init__(features, 1)
        self.context = Affine(features, context, bias=False) if context else None

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, features)`, and `(n, context)` with a context, to `(n, 1)`."""
        a = super().forward(h)
        if self.context is None or c is None:
            return a
        V_c: Tensor = self.context(h) * c
        return a + V_c.sum(dim=1, keepdim=True)

r"""Maxout: units that are the largest of several affine pieces.

Reference: Goodfellow et al. (2014), Section 5: "the discriminator net used maxout activations".
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.nn.kernels import product, thin_pays, thin_products
from advnets.nn.linear import Affine, applied

_MANY = 4
"""Pieces from which on the gradient in them counts as thin."""


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
        errors.at_least(1, units=units, pieces=pieces)
        self.pieces = pieces
        self.affine = Affine(inputs, units * pieces)

    def forward(self, x: Tensor, *, before: Tensor | None = None) -> Tensor:
        """`(n, inputs)` to `(n, units)`; rows put `before` x come first and get no gradient."""
        affine = self.affine
        bare = isinstance(affine, Affine) and affine.bare
        if self.pieces >= _MANY and bare and affine.suits(x):
            if thin_pays(x, before, affine.weight):
                weights = affine.played_weight, affine.bias
                return applied(_ThinMaxout, x, *weights, before, self.pieces)
        elif before is not None and not bare:  # what is hooked in is to see all rows
            x, before = torch.cat((before, x)), None
        y = affine(x) if before is None else affine(x, before=before)
        return largest_piece(y, self.pieces)


def largest_piece(y: Tensor, pieces: int) -> Tensor:
    """The largest of the pieces of each unit: `(n, pieces * q, ...)` to `(n, q, ...)`."""
    n, q, places = len(y), y.shape[1] // pieces, y.shape[2:]
    h = applied(_LargestPiece, y.reshape(n, pieces, q * places.numel()))
    return h.view(n, q, *places)


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
        if torch.compiler.is_compiling():  # who finds a unit's share anew for each of its pieces
            won = [piece.eq(h).to(d.dtype) for piece in y.unbind(dim=1)]
            share = d / functools.reduce(torch.add, won)
            return torch.stack([piece * share for piece in won], dim=1)
        # As numbers, not as truth values: those are many times slower to multiply with.
        largest = torch.eq(y, h.unsqueeze(1), out=torch.empty_like(y))
        return largest.mul_((d / largest.sum(dim=1)).unsqueeze(1))


class _ThinMaxout(torch.autograd.Function):
    """The largest pieces of an affine map, with a gradient of those alone that won."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, before: Tensor | None, pieces: int
    ) -> Tensor:
        whole = x if before is None else torch.cat((before, x))
        y = product(whole, weight, bias).view(len(whole), pieces, -1)
        h = y.amax(dim=1)
        ctx.save_for_backward(x, whole, weight, bias, y, h)
        return h

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, whole, weight, bias, y, h = ctx.saved_tensors
        before, wanted = len(whole) - len(x), ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # to be derived once more: the plain way
            whole = torch.cat((whole[:before], x))
            h = largest_piece(product(whole, weight, bias), y.shape[1])
            inputs = [t for t, wish in zip((x, weight, bias), wanted, strict=True) if wish]
            found = iter(torch.autograd.grad(h, inputs, d, create_graph=True))
            return *(next(found) if wish else None for wish in wanted), None, None
        for_x, for_weight, _ = wanted
        factors = weight if for_x else None, whole if for_weight else None
        return *thin_products(d, _winners(y, h), len(weight), *factors, before=before), None, None


def _winners(y: Tensor, h: Tensor) -> Tensor:
    """Which of all pieces of an example has won each unit; of equal ones the last."""
    _, pieces, q = y.shape
    number = torch.arange(pieces, dtype=y.dtype, device=y.device).unsqueeze(1)
    largest = torch.eq(y, h.unsqueeze(1), out=torch.empty_like(y))
    unit = torch.arange(q, dtype=torch.int32, device=y.device)
    return largest.mul_(number).amax(dim=1).int().mul_(q).add_(unit)

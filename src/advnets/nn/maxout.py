r"""Maxout: each unit is the maximum of several affine pieces.

Reference: Goodfellow et al. (2014), Section 5: "the discriminator net used maxout activations".
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.nn.kernels import product, thin_pays, thin_products
from advnets.nn.linear import Affine, applied
from advnets.nn.spectral_norm import SpectralAffine

_MANY = 4
"""Number of pieces from which on their gradient is treated as sparse."""


class Maxout(nn.Module):
    r"""An affine map to `pieces` numbers for each of q units, then their maximum.

    .. math:: h_i(x) = \max_{j < p} (x^\top W_{\cdot, jq + i} + b_{jq + i})

    No rectifier follows: h may be negative. The j-th pieces of all units are contiguous, so that
    the maximum is taken over whole rows of memory.

    Reference: Goodfellow et al. (2013), Maxout Networks.

    Args:
        inputs: Input features.
        units: q, output features.
        pieces: p, affine pieces of one unit.
        spectral: Whether W, all pieces stacked, is divided by its largest singular value: no two
            inputs are then further apart than before (`init_vectors` draws its start).
    """

    def __init__(self, inputs: int, units: int, pieces: int, *, spectral: bool = False) -> None:
        super().__init__()
        errors.at_least(1, units=units, pieces=pieces)
        self.pieces = pieces
        layer: type[nn.Linear] = SpectralAffine if spectral else Affine
        self.affine = layer(inputs, units * pieces)

    def forward(self, x: Tensor, *, before: Tensor | None = None) -> Tensor:
        """`(n, inputs)` to `(n, units)`; rows `before` are prepended to x, without gradient."""
        affine = self.affine
        own = affine if isinstance(affine, Affine) and affine.bare else None
        if self.pieces >= _MANY and own is not None and own.suits(x):
            if thin_pays(x, before, own.weight):
                weights = own.played_weight, own.bias
                return applied(_ThinMaxout, x, *weights, before, self.pieces)
        elif before is not None and own is None:  # what is hooked in is to see all rows
            x, before = torch.cat((before, x)), None
        y = affine(x) if before is None else affine(x, before=before)
        return largest_piece(y, self.pieces)


def largest_piece(y: Tensor, pieces: int) -> Tensor:
    """The maximum of the pieces of each unit: `(n, pieces * q, ...)` to `(n, q, ...)`."""
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
    """The maximum pieces of an affine map, with gradients of these pieces alone."""

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
    """The index of the largest piece of each unit; of equal ones the last."""
    _, pieces, q = y.shape
    number = torch.arange(pieces, dtype=y.dtype, device=y.device).unsqueeze(1)
    largest = torch.eq(y, h.unsqueeze(1), out=torch.empty_like(y))
    unit = torch.arange(q, dtype=torch.int32, device=y.device)
    return largest.mul_(number).amax(dim=1).int().mul_(q).add_(unit)

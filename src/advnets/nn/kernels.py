r"""Matrix products on a CPU that are faster than torch's default.

`product` is for dense factors. `thin_products` is for a sparse one, such as the gradient in the
pieces of maxout: only the largest of p pieces has a gradient, and dropout zeroes half of the units,
so that nine of ten multiplications would be by zero.
"""

from typing import Any

import torch
from scipy import sparse
from torch import Tensor, nn

from advnets.base import torch_private

ONEDNN = torch_private.onednn_linear()
BAGS = torch_private.fbgemm()
_FEW = 500_000
"""Number of multiplications below which a call of oneDNN takes longer than torch's product."""
_LARGE, _CACHED = 50_000_000, (2**18, 2**21)
"""Number of multiplications from which on skipping zeros pays; and the largest size of x and of the
weights for it, because gathered rows must come from the caches."""


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x weight^T + bias`; in float32 on a CPU by oneDNN where that is faster than torch's own."""
    suits = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    suits = suits and len(x) * weight.numel() >= _FEW
    if ONEDNN is None or not suits or torch.is_grad_enabled():
        return nn.functional.linear(x, weight, bias)
    multiply = torch.ops.advnets.product if torch.compiler.is_compiling() else _by_onednn
    y: Tensor = multiply(x, weight, bias)
    return y


def thin_products(
    d: Tensor,
    columns: Tensor,
    k: int,
    weight: Tensor | None,
    x: Tensor | None,
    before: int = 0,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of an affine map to k numbers, of which few have a nonzero gradient.

    Each row of a product is a weighted sum of a few rows of the other factor, always in the same
    order.

    Args:
        d: The gradient in some of the numbers, `(n, q)`, on a CPU. Its zeros are skipped.
        columns: The indices of these numbers among the k, `(n, q)`.
        k: Outputs of the map.
        weight: The map's weight, `(k, i)`.
        x: The inputs of the map, `(n, i)`.
        before: Number of first rows of x for which no gradient is computed.

    Returns:
        The gradients in `x[before:]` (None without `weight`), in the weight and in the bias (None
        without `x`).
    """
    multiply = torch.ops.advnets.thin_products if torch.compiler.is_compiling() else _by_bags
    d_x, d_weight, d_bias = multiply(d.contiguous(), columns, k, weight, x, before)
    return None if weight is None else d_x, *((None, None) if x is None else (d_weight, d_bias))


def thin_pays(x: Tensor, before: Tensor | None, weight: Tensor) -> bool:
    """Whether `thin_products` is faster than dense products; at most a fifth of d is nonzero."""
    k, i = weight.shape
    n = len(x) + (0 if before is None else len(before))
    size = n * k * i >= _LARGE and n * i <= _CACHED[0] and k * i <= _CACHED[1]
    suits = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    return BAGS and suits and size


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if ONEDNN is None:
        return nn.functional.linear(x, weight, bias)
    return ONEDNN(x, weight, bias, "none", [], "")


def _by_bags(
    d: Tensor, columns: Tensor, k: int, weight: Tensor | None, x: Tensor | None, before: int
) -> tuple[Tensor, Tensor, Tensor]:
    n, q = d.shape
    places = d.ne(0).view(-1).nonzero().view(-1)
    first = torch.searchsorted(places, torch.arange(0, n * q + 1, q), out_int32=True)
    columns, values = columns.view(-1)[places], d.view(-1)[places]
    d_x, d_weight, d_bias = (d.new_empty(0) for _ in range(3))
    if weight is not None:
        skip = first.numpy()[before]
        d_x = _bags(weight, columns[skip:], first[before:-1] - skip, values[skip:])
    if x is not None:
        rows = sparse.csr_array((values.numpy(), columns.numpy(), first.numpy()), shape=(n, k))
        turned = rows.tocsc()
        found = [torch.from_numpy(t) for t in (turned.indices, turned.indptr[:-1], turned.data)]
        d_weight = _bags(x, *found)
        d_bias = _bags(x.new_ones(n, 1), *found).view(-1)
    return d_x, d_weight, d_bias


def _bags(table: Tensor, indices: Tensor, first: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of the table's rows for each bag of indices."""
    return nn.functional.embedding_bag(
        indices, table, first, mode="sum", per_sample_weights=weights
    )


def _shape_of_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The shape of a product, for a compiler."""
    del bias
    return x.new_empty(len(x), len(weight))


def _shape_of_thin_products(
    d: Tensor, columns: Tensor, k: int, weight: Tensor | None, x: Tensor | None, before: int
) -> tuple[Tensor, Tensor, Tensor]:
    del columns
    d_x, d_weight, d_bias = (d.new_empty(0) for _ in range(3))
    if weight is not None:
        d_x = d.new_empty(len(d) - before, weight.shape[1])
    if x is not None:
        d_weight, d_bias = d.new_empty(k, x.shape[1]), d.new_empty(k)
    return d_x, d_weight, d_bias


# The same as operations of torch, which a compiler takes as they are.
_library: Any = torch.library
_OPERATIONS = _library.Library("advnets", "DEF")
for _schema, _on_cpu, _shape in (
    ("product(Tensor x, Tensor weight, Tensor? bias) -> Tensor", _by_onednn, _shape_of_product),
    (
        "thin_products(Tensor d, Tensor columns, int k, Tensor? weight, Tensor? x, int before)"
        " -> (Tensor, Tensor, Tensor)",
        _by_bags,
        _shape_of_thin_products,
    ),
):
    _name = _OPERATIONS.define(_schema)
    _OPERATIONS.impl(_name, _on_cpu, "CPU")
    _library.register_fake(f"advnets::{_name}", _shape, lib=_OPERATIONS)

r"""Matrix products on a CPU, by what is quicker than torch's own choice.

`product` is for dense factors. `thin_products` are for one that is mostly zero, as the gradient in
the pieces of maxout is: one of p has won, and dropout has left half of the units, so that nine of
ten multiplications would be by zero.
"""

from typing import Any

import torch
from scipy import sparse
from torch import Tensor, nn

_ONEDNN = torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_BAGS = "fbgemm" in torch.backends.quantized.supported_engines  # who sums rows fast, on x86
_LARGE, _CACHED = 50_000_000, (2**18, 2**21)
"""From what number of multiplications looking for zeros is repaid; and up to how many numbers x and
the weights may hold for it: rows that are gathered have to come from the caches."""


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x weight^T + bias`. In float32 on a CPU by oneDNN, which is up to twice as fast as MKL."""
    suits = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not (_ONEDNN and suits) or torch.is_grad_enabled():
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
    """The gradients of an affine map to k numbers, of which few have a gradient that is not zero.

    A row of either product is a weighted sum of a few rows of the other factor, always in the same
    order.

    Args:
        d: The gradient in some of the numbers, `(n, q)`, on a CPU. Its zeros are left out.
        columns: Which of the k each of these is, `(n, q)`.
        k: Numbers that the map gives.
        weight: The map's, `(k, i)`.
        x: What it was given, `(n, i)`.
        before: Rows of x in which no gradient is asked for.

    Returns:
        The gradients in `x[before:]` (None without `weight`), in the weight and in the bias (None
        without `x`).
    """
    multiply = torch.ops.advnets.thin_products if torch.compiler.is_compiling() else _by_bags
    d_x, d_weight, d_bias = multiply(d.contiguous(), columns, k, weight, x, before)
    return None if weight is None else d_x, *((None, None) if x is None else (d_weight, d_bias))


def thin_pays(x: Tensor, before: Tensor | None, weight: Tensor) -> bool:
    """Whether `thin_products` are quicker than dense ones, where at most a fifth of d is left."""
    k, i = weight.shape
    n = len(x) + (0 if before is None else len(before))
    size = n * k * i >= _LARGE and n * i <= _CACHED[0] and k * i <= _CACHED[1]
    suits = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    return _BAGS and suits and size


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


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
    """Of each bag of indices the weighted sum of the table's rows."""
    return nn.functional.embedding_bag(
        indices, table, first, mode="sum", per_sample_weights=weights
    )


def _shape_of_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a compiler has to know of a product."""
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

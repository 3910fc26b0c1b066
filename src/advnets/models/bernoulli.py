"""Binary units, and their treatment of values between 0 and 1."""

from typing import Literal

from torch import Tensor

from advnets.base import errors

Binarise = Literal["sample", "refuse"]


def bernoulli(p: Tensor, u: Tensor) -> Tensor:
    """1 with probability p, else 0, of the type of p.

    Args:
        p: Probabilities, of any shape.
        u: Uniform on [0, 1), of the same shape.
    """
    return (u < p).to(p.dtype)


def binarise(x: Tensor, how: Binarise, u: Tensor) -> Tensor:
    """Binary values for Bernoulli units.

    Args:
        x: Values in [0, 1], of any shape.
        how: 'sample' draws binary values with these probabilities, again in each pass; 'refuse'
            allows only 0 and 1.
        u: Uniform on [0, 1), of the same shape.

    Raises:
        BadValue: For a value outside [0, 1], or between 0 and 1 where that is refused.
    """
    low, high = (bound.item() for bound in x.aminmax())
    outside = low if low < 0 else high
    errors.require(0 <= outside <= 1, "x", "in [0, 1] for binary units", f"{outside:g}")
    if how == "sample":
        return bernoulli(x, u)
    between = x[(x != 0) & (x != 1)]
    if len(between):
        raise errors.bad_value(
            "x", "0 or 1 everywhere (or choose --model.binarise sample)", f"{between[0].item():g}"
        )
    return x

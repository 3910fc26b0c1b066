r"""Ways to corrupt an example, :math:`\tilde x \sim C(\tilde x \mid x)`, for denoising.

The random numbers are arguments, because training and chains draw them differently.

Reference: Vincent et al. (2010), "Stacked denoising autoencoders", Section 4.3.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

CorruptionName = Literal["masking", "salt-and-pepper", "gaussian"]


def masking(x: Tensor, level: float, u: Tensor) -> Tensor:
    """Each element becomes 0 with probability `level`.

    Example:
        >>> masking(torch.ones(3), 0.4, torch.tensor([0.1, 0.3, 0.5]))
        tensor([0., 0., 1.])
    """
    return torch.where(u < level, 0, x)


def salt_and_pepper(x: Tensor, level: float, u: Tensor) -> Tensor:
    """Each element is replaced with probability `level`, by 0 or 1 with equal probability.

    Example:
        >>> salt_and_pepper(torch.full((3,), 0.5), 0.4, torch.tensor([0.1, 0.3, 0.5]))
        tensor([1.0000, 0.0000, 0.5000])
    """
    return torch.where(u < level, (u < level / 2).to(x.dtype), x)


def gaussian(x: Tensor, level: float, epsilon: Tensor) -> Tensor:
    r""":math:`x + \sigma \epsilon`; `level` is sigma."""
    return torch.add(x, epsilon, alpha=level)


class Corruption(NamedTuple):
    """A corruption, and the random numbers that it needs."""

    corrupt: Callable[[Tensor, float, Tensor], Tensor]
    """The function of examples of any shape, a level, and random numbers of the same shape."""
    normal: bool
    """Whether the random numbers are N(0, 1); else U[0, 1)."""


CORRUPTIONS: dict[CorruptionName, Corruption] = {
    "masking": Corruption(masking, normal=False),
    "salt-and-pepper": Corruption(salt_and_pepper, normal=False),
    "gaussian": Corruption(gaussian, normal=True),
}

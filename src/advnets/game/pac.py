"""PacGAN: D judges several examples at once, all real or all generated.

A pack with little variety is easily told from a pack of data, so that mode collapse costs G more.
The examples of a pack stand behind one another along the first axis (channels of pictures).

Reference: Lin et al. (2018), PacGAN: The power of two samples in generative adversarial networks.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from advnets.base import errors


class Packed(nn.Module):
    """D of packs of examples: one logit for each `pack` of them.

    Args:
        D: Takes inputs whose first axis after the batch's is `pack` times as long.
        pack: Examples in a pack.
    """

    def __init__(self, D: nn.Module, pack: int) -> None:
        super().__init__()
        errors.at_least(1, pack=pack)
        self.D, self.pack = D, pack

    def constrain(self) -> None:
        """Put D's weights back within their limits, after an update."""
        constrain: Callable[[], None] | None = getattr(self.D, "constrain", None)
        if constrain is not None:
            constrain()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Examples `(n, ...)`, and contexts, to logits of shape `(n / pack, 1)`."""
        a: Tensor = self.D(*self._packs(inputs))
        return a

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of packs of data, then of packs of samples, in one pass."""
        D: Any = self.D
        a: Tensor = D.forward_pair(self._packs(data), self._packs(samples))
        return a

    def _packs(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(packs(t, self.pack) for t in inputs)


def packs(x: Tensor, pack: int) -> Tensor:
    """`(n, c, ...)` to `(n / pack, pack * c, ...)`: neighbouring examples side by side.

    Raises:
        BadValue: Where n is no multiple of `pack`.
    """
    n, c, *rest = x.shape
    if n % pack:
        raise errors.no_whole_packs(n, pack)
    return x.reshape(n // pack, pack * c, *rest)


def packed_shape(event_shape: tuple[int, ...], pack: int) -> tuple[int, ...]:
    """The shape of a pack of examples of this shape."""
    first, *rest = event_shape
    return pack * first, *rest

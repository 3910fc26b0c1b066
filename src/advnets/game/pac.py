"""PacGAN: D classifies several examples at once, all real or all generated.

A pack of samples with little variety is easily told from a pack of data, so that mode collapse
costs G more. The examples of a pack are concatenated along the first axis (channels of pictures).

Reference: Lin et al. (2018), PacGAN: The power of two samples in generative adversarial networks.
"""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from advnets.base import errors
from advnets.base.distributed import Ranks
from advnets.optim.train_state import has_forward_pair


class Packed(nn.Module):
    """D of packs of examples: one logit for each `pack` of them. `packed` makes it.

    Args:
        D: Takes inputs whose first axis after the batch's is `pack` times as long.
        pack: Examples in a pack.
    """

    def __init__(self, D: nn.Module, pack: int) -> None:
        super().__init__()
        errors.at_least(1, pack=pack)
        self.D, self.pack = D, pack

    def constrain(self) -> None:
        """Project D's weights onto their limits, after an update."""
        constrain: Callable[[], None] | None = getattr(self.D, "constrain", None)
        if constrain is not None:
            constrain()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Examples `(n, ...)`, and contexts, to logits of shape `(n / pack, 1)`."""
        a: Tensor = self.D(*self._packs(inputs))
        return a

    def _packs(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(packs(t, self.pack) for t in inputs)


class PackedPair(Packed):
    """A packed D with a `forward_pair`: it treats packs independently."""

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of packs of data, then of packs of samples, in one pass."""
        D: Any = self.D
        a: Tensor = D.forward_pair(self._packs(data), self._packs(samples))
        return a


def packed(D: nn.Module, pack: int) -> Packed:
    """D of packs of examples, which keeps a `forward_pair` that D has.

    Args:
        D: Takes inputs whose first axis after the batch's is `pack` times as long.
        pack: Examples in a pack, at least 1.
    """
    return (PackedPair if has_forward_pair(D) else Packed)(D, pack)


def packs(x: Tensor, pack: int) -> Tensor:
    """`(n, c, ...)` to `(n / pack, pack * c, ...)`: neighbouring examples side by side.

    Raises:
        BadValue: Where n is no multiple of `pack`.
    """
    n, c, *rest = x.shape
    if n % pack:
        raise _no_whole_packs(n, pack)
    return x.reshape(n // pack, pack * c, *rest)


def packed_shape(event_shape: tuple[int, ...], pack: int) -> tuple[int, ...]:
    """The shape of a pack of examples of this shape."""
    first, *rest = event_shape
    return pack * first, *rest


def refuse_split_packs(sizes: Iterable[int], *, pack: int, ranks: Ranks) -> None:
    """Raise `BadValue` for minibatches, or shares of one, that `pack` does not divide."""
    for m in sizes:
        own = ranks.rows(m)
        if m % pack or own.start % pack or own.stop % pack:
            raise _no_whole_packs(m, pack, ranks.world)


def _no_whole_packs(n: int, pack: int, world: int = 1) -> errors.BadValue:
    """A minibatch, or a process's share of one, that `pack` does not divide."""
    share = f" in each of {world} processes" if world > 1 else ""
    need = f"a multiple of pack, {pack}{share}, for every minibatch (the last of an epoch too)"
    return errors.bad_value("batch_size", need, n)

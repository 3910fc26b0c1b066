"""Several processes that play one game: whose rows are whose, and the sums they share.

Every process draws the noise and the masks of the whole minibatch from the same generator and keeps
its own rows, so that the game is the one that a single process would play. `torchrun` starts them;
gloo joins them on CPUs, NCCL on GPUs.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from advnets import checks


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run.

    Attributes:
        rank: Its number, from 0.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, and speaks to the user."""
        return self.rank == 0

    def rows(self, n: int) -> slice:
        """This process's rows of `n`: as even as can be, in the order of the ranks."""
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def add_up(self, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The sum over all processes of each tensor, in one flat all-reduce."""
        if self.world == 1:
            return list(tensors)
        there = [t for t in tensors if t is not None]
        flat = torch.cat([t.reshape(-1) for t in there])
        with checks.together():
            torch.distributed.all_reduce(flat)
        parts = iter(flat.split([t.numel() for t in there]))
        return [None if t is None else next(parts).view_as(t) for t in tensors]

    def gather(self, own: Tensor, n: int) -> Tensor:
        """All `n` rows, of which this process holds `own`, in their order."""
        if self.world == 1:
            return own
        parts = [own.new_empty(0)] * self.world
        for rank in range(self.world):
            rows = Ranks(rank, self.world).rows(n)
            parts[rank] = own.new_empty(rows.stop - rows.start, *own.shape[1:])
        parts[self.rank] = own.contiguous()
        with checks.together():
            for rank, part in enumerate(parts):
                torch.distributed.broadcast(part, rank)
        return torch.cat(parts)

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        (flags,) = self.add_up([torch.tensor([float(flag)], device=_device())])
        return flag if flags is None else flags.item() > 0


ALONE = Ranks()


def _device() -> str:
    return "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"

"""Several processes that play one game: whose rows are whose, and the sums they share.

Every process draws the noise and the masks of the whole minibatch from the same generator and keeps
its own rows, so that the game is the one that a single process would play. `torchrun` starts them;
gloo joins them on CPUs, NCCL on GPUs.
"""

import contextlib
import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from advnets import checks

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run.

    Attributes:
        rank: Its number, from 0.
        world: How many there are.

    Example:
        >>> [Ranks(rank, 3).rows(10) for rank in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def rows(self, n: int) -> slice:
        """This process's rows of `n`: as even as can be, in the order of the ranks."""
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def add_up(self, flat: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.world > 1:
            with checks.reaching_the_others():
                distributed.all_reduce(flat)
        return flat

    def gather(self, own: Tensor, n: int) -> Tensor:
        """All `n` rows in their order, of which this process holds `own`."""
        if self.world == 1:
            return own
        nccl = distributed.get_backend() == "nccl"
        whole = torch.zeros(n, *own.shape[1:], dtype=own.dtype, device="cuda" if nccl else "cpu")
        whole[self.rows(n)] = own.to(whole.device)
        with checks.reaching_the_others():
            distributed.all_reduce(whole)  # a sum of rows, each of which one process alone holds
        return whole.to(own.device)

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        if self.world == 1:
            return flag
        with checks.reaching_the_others():
            flags: list[bool] = [False] * self.world
            distributed.all_gather_object(flags, flag)
        return any(flags)

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them; the others wait for it."""
        if self.world == 1:
            return make()
        box = [make() if self.first else None]
        with checks.reaching_the_others():
            distributed.broadcast_object_list(box)
        made: T = box[0]  # type: ignore[assignment]
        return made


ALONE = Ranks()


def several() -> bool:
    """Whether this process plays with others."""
    started = distributed.is_available() and distributed.is_initialized()
    return started and distributed.get_world_size() > 1


def sum_of_all(own: Tensor) -> Tensor:
    """The sum over all processes; a gradient in it reaches what each of them gave."""
    total: Tensor = _SumOfAll.apply(own)  # type: ignore[no-untyped-call]
    return total


class _SumOfAll(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, own: Tensor) -> Tensor:
        return _added_up(own)

    @staticmethod
    def backward(_: Any, *along: Tensor) -> Tensor:
        return _added_up(*along)


def _added_up(own: Tensor) -> Tensor:
    total = own.clone()
    with checks.reaching_the_others():
        distributed.all_reduce(total)
    return total


def here() -> Ranks:
    """This process as `torchrun` numbered it; alone where it did not."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        return ALONE
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[Ranks]:
    """Inside, this process is one of those that `torchrun` started; alone where it started none.

    Raises:
        BadValue: For more processes on this machine than it has cores or GPUs.
    """
    own = here()
    if own.world == 1:
        yield ALONE
        return
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", own.world))
    if device == "cuda":
        places, what, backend = torch.cuda.device_count(), "GPUs", "nccl"
    else:
        places, what, backend = cores(), "cores", "gloo"
    if beside > places:
        raise checks.too_many_ranks(beside, places, what)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # Its default arguments hold the group that is there when it is first imported, by an optimiser
    # say. Such a group outlives its end, and its threads may fall over the interpreter's.
    importlib.import_module("torch.distributed.nn")
    with checks.reaching_the_others():
        distributed.init_process_group(backend)
    try:
        yield own
    except checks.OthersLost:
        # torchrun ends us now with a SIGTERM; the user is to read why first.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    except BaseException:
        distributed.destroy_process_group()
        raise
    distributed.destroy_process_group()


def cores() -> int:
    """Cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

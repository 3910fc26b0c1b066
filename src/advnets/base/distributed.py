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
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from advnets.base import errors

PATIENCE = timedelta(seconds=60)
"""How long a process waits for the others to come, where no `torchrun` brings them."""


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
            with errors.reaching_the_others():
                distributed.all_reduce(flat)
        return flat

    def gather(self, own: Tensor, n: int) -> Tensor:
        """All `n` rows in their order, of which this process holds `own`."""
        if self.world == 1:
            return own
        whole = torch.zeros(n, *own.shape[1:], dtype=own.dtype, device=_device())
        whole[self.rows(n)] = own.to(whole.device)
        with errors.reaching_the_others():
            distributed.all_reduce(whole)  # a sum of rows, each of which one process alone holds
        return whole.to(own.device)

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        if self.world == 1:
            return flag
        with errors.reaching_the_others():
            raised = torch.tensor([int(flag)], device=_device())
            distributed.all_reduce(raised)
        return bool(raised.item())

    def from_first(self, make: Callable[[], bytes]) -> bytes:
        """What the first process makes, in all of them; the others wait for it.

        Bytes that mean something, JSON say, and no objects: torch sends those as pickles, and what
        another process sends is not to be run.
        """
        if self.world == 1:
            return make()
        made = bytearray(make() if self.first else b"")
        with errors.reaching_the_others():
            size = torch.tensor([len(made)], device=_device())
            distributed.broadcast(size, 0)
            whole = torch.zeros(int(size), dtype=torch.uint8, device=_device())
            if self.first:
                whole.copy_(torch.frombuffer(made, dtype=torch.uint8))
            distributed.broadcast(whole, 0)
        return whole.cpu().numpy().tobytes()


ALONE = Ranks()


def _device() -> str:
    """Where tensors must be that the processes send one another."""
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


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
    with errors.reaching_the_others():
        distributed.all_reduce(total)
    return total


def here() -> Ranks:
    """This process as `torchrun` numbered it; alone where it did not."""
    world = _counted("WORLD_SIZE", least=1, default=1)
    if world == 1:
        return ALONE
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise errors.not_by_torchrun(name, world)
    _counted("MASTER_PORT", least=1, most=65_535)
    return Ranks(_counted("RANK", least=0, most=world - 1), world)


def beside() -> int:
    """Processes of this run on this machine."""
    world = here().world
    return _counted("LOCAL_WORLD_SIZE", least=1, most=world, default=world)


def _counted(name: str, *, least: int, most: int = 2**31 - 1, default: int = 0) -> int:
    """A number out of the environment, which somebody may have set by hand."""
    word = os.environ.get(name, str(default))
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 20 else -1
    need = f"a whole number from {least} to {most} (torchrun sets it)"
    errors.require(least <= number <= most, name, need, repr(word))
    return number


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
    local = beside()
    if device == "cuda":
        places, what, backend = torch.cuda.device_count(), "GPUs", "nccl"
    else:
        places, what, backend = cores(), "cores", "gloo"
    if local > places:
        raise errors.too_many_ranks(local, places, what)
    if device == "cuda":
        torch.cuda.set_device(_counted("LOCAL_RANK", least=0, most=places - 1))
    # Its default arguments hold the group that is there when it is first imported, by an optimiser
    # say. Such a group outlives its end, and its threads may fall over the interpreter's.
    importlib.import_module("torch.distributed.nn")
    _join(own, backend)
    try:
        yield own
    except errors.OthersLost:
        # torchrun ends us now with a SIGTERM; the user is to read why first.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    except BaseException:
        distributed.destroy_process_group()
        raise
    distributed.destroy_process_group()


def _join(own: Ranks, backend: str) -> None:
    """Meet the others. Where they were never started, this process must not wait for ever."""
    from torch.distributed.rendezvous import rendezvous  # not in every build of torch

    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
        distributed.init_process_group(backend, store=store, rank=rank, world_size=world)
    except RuntimeError as error:
        seconds = int(PATIENCE.total_seconds())
        raise errors.others_missing(own.world, address, seconds, error) from None


def cores() -> int:
    """Cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

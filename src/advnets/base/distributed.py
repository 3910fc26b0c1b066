"""Several processes that train one model: rows of each process, and sums over all.

Every process draws the noise and the masks of the whole minibatch from the same generator and keeps
its own rows, so that the result equals that of a single process up to rounding. `torchrun` starts
the processes; gloo connects them on CPUs, NCCL on GPUs.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from advnets.base import errors, rendezvous, torch_private


@dataclass(frozen=True)
class Ranks:
    """This process and the number of all.

    Attributes:
        rank: Number of this process, from 0.
        world: Number of processes.

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
        """This process's rows of `n`: divided as evenly as possible, in the order of the ranks."""
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def add_up(self, flat: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.world > 1:
            with _reaching_the_others():
                distributed.all_reduce(flat)
        return flat

    def gather(self, own: Tensor, n: int) -> Tensor:
        """All `n` rows in their order, of which this process holds `own`."""
        if self.world == 1:
            return own
        whole = torch.zeros(n, *own.shape[1:], dtype=own.dtype, device=_device())
        whole[self.rows(n)] = own.to(whole.device)
        with _reaching_the_others():
            distributed.all_reduce(whole)  # a sum of rows, each of which one process alone holds
        return whole.to(own.device)

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process."""
        if self.world == 1:
            return flag
        with _reaching_the_others():
            raised = torch.tensor([int(flag)], device=_device())
            distributed.all_reduce(raised)
        return bool(raised.item())

    def from_first(self, make: Callable[[], bytes]) -> bytes:
        """Bytes that the first process makes, in all processes; the others wait for them.

        Pass data such as JSON, not Python objects: torch sends objects as pickles, and code from
        another process must not run.
        """
        if self.world == 1:
            return make()
        made = bytearray(make() if self.first else b"")
        with _reaching_the_others():
            size = torch.tensor([len(made)], device=_device())
            distributed.broadcast(size, 0)
            whole = torch.zeros(int(size), dtype=torch.uint8, device=_device())
            if self.first:
                whole.copy_(torch.frombuffer(made, dtype=torch.uint8))
            distributed.broadcast(whole, 0)
        return whole.cpu().numpy().tobytes()


ALONE = Ranks()


def _device() -> str:
    """The device of tensors that processes exchange."""
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def sum_of_all(own: Tensor) -> Tensor:
    """The sum over all processes, differentiable in what each process gave."""
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
    with _reaching_the_others():
        distributed.all_reduce(total)
    return total


def get_rank() -> Ranks:
    """This process by the environment of `torchrun`; a single process without it."""
    world = _counted("WORLD_SIZE", least=1, default=1)
    if world == 1:
        return ALONE
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if not os.environ.get(name):
            raise errors.bad_value(
                name,
                (
                    f"set where WORLD_SIZE is {world} (torchrun sets it; unset WORLD_SIZE to run "
                    "alone)"
                ),
                "nothing",
            )
    _counted("MASTER_PORT", least=1, most=65_535)
    return Ranks(_counted("RANK", least=0, most=world - 1), world)


def beside() -> int:
    """Processes of this run on this machine."""
    world = get_rank().world
    return _counted("LOCAL_WORLD_SIZE", least=1, most=world, default=world)


def _counted(name: str, *, least: int, most: int = 2**31 - 1, default: int = 0) -> int:
    """A number from an environment variable, which may be set by hand."""
    word = os.environ.get(name, str(default))
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 20 else -1
    need = f"a whole number from {least} to {most} (torchrun sets it)"
    errors.require(least <= number <= most, name, need, repr(word))
    return number


@contextlib.contextmanager
def init_process_group(device: str = "cpu") -> Iterator[Ranks]:
    """Inside, this process is one of those that `torchrun` started, or a single one.

    Raises:
        BadValue: For more processes on this machine than it has cores or GPUs.
    """
    own = get_rank()
    if own.world == 1:
        yield ALONE
        return
    local = beside()
    if device == "cuda":
        places, what, backend = torch.cuda.device_count(), "GPUs", "nccl"
    else:
        places, what, backend = cores(), "cores", "gloo"
    if local > places:
        raise errors.bad_value(
            "nproc_per_node", f"at most the number of {what} here, {places}", local
        )
    if device == "cuda":
        torch.cuda.set_device(_counted("LOCAL_RANK", least=0, most=places - 1))
    torch_private.import_before_joining()
    rendezvous.join(own.rank, own.world, backend)
    try:
        yield own
    except errors.OthersLost:
        _hold_sigterm()
        raise
    except BaseException:
        rendezvous.leave()
        raise
    rendezvous.leave()


_LAST_WORDS: ContextVar[contextlib.ExitStack | None] = ContextVar("_LAST_WORDS", default=None)


@contextlib.contextmanager
def last_words() -> Iterator[None]:
    """Inside, a process that has lost the others ignores the SIGTERM that `torchrun` then sends.

    It prints the reason first. Afterwards SIGTERM has its earlier handler.
    """
    with contextlib.ExitStack() as stack:
        token = _LAST_WORDS.set(stack)
        try:
            yield
        finally:
            _LAST_WORDS.reset(token)


def _hold_sigterm() -> None:
    stack, before = _LAST_WORDS.get(), signal.getsignal(signal.SIGTERM)
    get_rank = threading.current_thread() is threading.main_thread()
    if stack is not None and get_rank and before is not None:  # None: no handler of Python's
        stack.callback(signal.signal, signal.SIGTERM, before)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextlib.contextmanager
def _reaching_the_others() -> Iterator[None]:
    """Inside, torch's errors about a lost process become `OthersLost`."""
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in ("gloo", "NCCL", "onnection", "imed out")):
            raise
        _hold_sigterm()
        raise rendezvous.others_lost(error) from None


def cores() -> int:
    """Cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

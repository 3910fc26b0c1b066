"""Where the processes of a run meet, and which of them does not answer.

Each process writes its rank into the store of the run: when it joins, and again when it has lost
another one. A rank that is not there in time is named in the error.
"""

import contextlib
import os
import time
from datetime import timedelta
from typing import Any

from torch import distributed

from advnets.base import errors, torch_private

PATIENCE = timedelta(seconds=60)
"""How long a process waits for the others when it joins."""
LONGEST = timedelta(minutes=30)
"""How long a process waits for another one during the run, while rank 0 scores, draws or saves.

It is torch's own default.
"""
ANSWER = timedelta(seconds=3)
"""How long it waits for their answers when one is lost."""

_met: tuple[Any, int, int] | None = None
"""The store of the run, this rank and the number of all, while there is a process group."""


def join(rank: int, world: int, backend: str) -> None:
    """Connect to the other processes.

    Raises:
        OthersLost: Where one of them is not there within `PATIENCE`. It is named.
    """
    global _met
    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        store = open_store(rank, world)
        missing = _silent(store, rank, world, "joined", PATIENCE)
        if missing:
            raise RuntimeError(f"missing: {_named(missing)}")
        torch_private.init_process_group(
            backend, store, rank, world, connecting=PATIENCE, running=LONGEST
        )
    except RuntimeError as error:
        seconds = int(PATIENCE.total_seconds())
        raise _others_missing(world, address, seconds, error) from None
    _met = store, rank, world


def leave() -> None:
    """Give up the process group."""
    global _met
    _met = None
    distributed.destroy_process_group()


def others_lost(why: object) -> errors.OthersLost:
    """The error where another process of the run has died, was killed or does not answer."""
    first = str(why).splitlines()[0][:120]
    missing = _silent(*_met, "lost another", ANSWER) if _met is not None else []
    who = f": {_named(missing)}" if missing else ""
    return errors.OthersLost(
        f"Another process of this run is gone{who} ({first}). All stop; what was saved before is "
        "kept. If it did not say why itself, go on with the same command and --resume RUN."
    )


def open_store(rank: int, world: int) -> Any:
    """The store that `torchrun` keeps; else that of rank 0, which does not wait for the others."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        from torch.distributed.rendezvous import rendezvous  # not in every build of torch

        return next(rendezvous("env://", timeout=PATIENCE))[0]
    # Not in every build of torch.
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(
        host, port, world, is_master=rank == 0, timeout=PATIENCE, wait_for_workers=False
    )


def _silent(store: Any, rank: int, world: int, word: str, patience: timedelta) -> list[int]:
    """The ranks that do not write a word into the store in time; rank 0 where it has no store."""
    end = time.monotonic() + patience.total_seconds()
    missing = []
    try:
        store.set(f"{word} {rank}", "")
    except RuntimeError:
        return [0]
    for other in range(world):
        left = timedelta(seconds=max(end - time.monotonic(), 0.01))
        answered = False
        with contextlib.suppress(RuntimeError):
            store.wait([f"{word} {other}"], left)
            answered = True
        if not answered:
            missing.append(other)
    return missing


def _named(ranks: list[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _others_missing(world: int, address: str, seconds: int, why: object) -> errors.OthersLost:
    """The error where a process cannot connect to the others."""
    first = (str(why).splitlines() or ["no reason given"])[0][:120]
    return errors.OthersLost(
        f"'WORLD_SIZE' must be the number of processes that meet at {address} within {seconds} s, "
        f"got {world} and not all of them ({first}). Start them by torchrun, or unset WORLD_SIZE."
    )

"""Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP, handled between two updates."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType

_LISTS: ContextVar[list[int] | None] = ContextVar("_LISTS", default=None)


@contextlib.contextmanager
def received() -> Iterator[list[int]]:
    """The numbers of the signals that end a loop inside, as they come."""
    numbers: list[int] = []
    token = _LISTS.set(numbers)
    try:
        yield numbers
    finally:
        _LISTS.reset(token)


@contextlib.contextmanager
def interrupted(
    say: Callable[[str], object], *, insist: bool = True
) -> Iterator[Callable[[], bool]]:
    """Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP end the loop between two steps; a second one, at once.

    SIGUSR1 is what `sbatch --signal=USR1@120` sends before the time of a SLURM job is over.

    A closed terminal may send SIGHUP more than once, so a second SIGHUP does not end the loop at
    once. Signals that the process ignores (by `nohup`, or in a shell's background) stay ignored,
    and handlers that are not Python's are kept, because they could not be restored. `torchrun`
    forwards a Ctrl-C that every process has received already: there a second signal has no meaning,
    and `insist` is False.
    """
    noted = _LISTS.get()
    before_it = len(noted := [] if noted is None else noted)

    def note(number: int, _: FrameType | None) -> None:
        again = len(noted) > before_it
        if again and insist and number != getattr(signal, "SIGHUP", None):
            raise KeyboardInterrupt
        if not again:
            hint = " (a second signal stops at once)" if insist else ""
            say(f"Stopping after this update{hint}.")
        noted.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in _to_be_noted()}
    try:
        yield lambda: len(noted) > before_it
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _to_be_noted() -> list[signal.Signals]:
    """The signals that end a training, except those with other handlers."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)]
    ask = [signal.Signals[name] for name in names]
    return [n for n in ask if signal.getsignal(n) not in (None, signal.SIG_IGN)]

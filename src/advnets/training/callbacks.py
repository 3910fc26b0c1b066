"""Callbacks: functions, or objects, that are called after every update of a training.

    def sharpness(at: advnets.Moment) -> None:
        if at.update % 500 == 0:
            at.log(sharpness=measure(at.learner))

The contract:

- A callback is called once an update with a `Moment`: after the metrics, the validation score and
  the picture of this update, and before its checkpoint. Callbacks are called in their order; one
  sees what those before it logged.
- An object may also have `start(at: Start)`, called before the first update, and `close()`, called
  once after the last one, however the training ends.
- A callback must not change the learner, nor draw from torch's global random stream: a resumed run
  would differ.
- An exception ends the training. The checkpoints are kept.
- Of several processes, each calls its own callbacks; `Start.first` is True in one of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from advnets.base import errors

RESERVED = ("update", "validation", "warning", "sentence")
"""Names in a line of metrics that are the library's."""


@dataclass(frozen=True)
class Moment:
    """The state of a training after one update, for a callback."""

    update: int
    """Updates so far."""
    learner: Any
    """The learner, a `Game` for instance."""
    metrics: Mapping[str, float]
    """The metrics logged at this update, validation scores included (`validation.raw.mean`); empty
    where none were."""
    _log: Callable[[Mapping[str, float]], None]
    _stop: Callable[[], None]
    clock: Mapping[str, float] = field(default_factory=dict)
    """Where the progress was shown: `seconds` trained, `updates_per_second`, `seconds_left`."""
    picture: Path | None = None
    """The picture of samples drawn at this update, if any: a PNG in the run folder."""

    def log(self, **metrics: float | Tensor) -> None:
        """Log further metrics at this update.

        Raises:
            BadValue: For a value that is no number, and for a name in `RESERVED`.
            Diverged: For a value that is not finite.
        """
        for name in metrics:
            need = f"a name of a metric other than {', '.join(RESERVED)}"
            errors.require(name not in RESERVED, "log", need, name)
        self._log({name: _number(name, value) for name, value in metrics.items()})

    def stop(self) -> None:
        """End the training after this update; several processes agree on it every 10 updates."""
        self._stop()


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a callback with a `start` is told before the first update."""

    update: int
    """Updates so far: 0 in a new run."""
    steps: int
    """Updates in the whole run."""
    folder: Path | None
    """The run folder; None where nothing is kept, and in every process but the first."""
    settings: Mapping[str, Any]
    """The settings that the results depend on, by dotted name."""
    first: bool
    """Whether this is the first process, the one that writes."""


Callback = Callable[[Moment], None]
"""Called after every update, when its metrics are logged and before its checkpoint."""


@runtime_checkable
class HasStart(Protocol):
    """A callback that is also called before the first update."""

    def start(self, at: Start) -> None:
        """Begin."""
        ...


@runtime_checkable
class HasClose(Protocol):
    """A callback that is also called after the last update, however the training ends."""

    def close(self) -> None:
        """End."""
        ...


def refuse_others(callbacks: Iterable[Any]) -> None:
    """Raise `BadValue` where one of them cannot be called."""
    for one in callbacks:
        need = "functions, or objects that can be called, of a Moment"
        errors.require(callable(one), "callbacks", need, errors.kind_of(one))


def _number(name: str, value: Any) -> float:
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError, RuntimeError):
        pass  # refused below
    raise errors.bad_value(name, "a number, or a tensor of one", errors.kind_of(value))

"""The metrics that `fit` logged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload


@dataclass(frozen=True)
class Entry:
    """The metrics logged at one update."""

    update: int
    metrics: Mapping[str, float]


class History(Sequence[Entry]):
    """The entries that one call of `fit` logged, the oldest first."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(self, update: int, metrics: Mapping[str, float]) -> None:
        """Add metrics to the entry of this update."""
        if self._entries and self._entries[-1].update == update:
            metrics = {**self._entries.pop().metrics, **metrics}
        self._entries.append(Entry(update, dict(metrics)))

    @overload
    def __getitem__(self, i: int) -> Entry: ...
    @overload
    def __getitem__(self, i: slice) -> list[Entry]: ...
    def __getitem__(self, i: int | slice) -> Entry | list[Entry]:
        return self._entries[i]

    def __len__(self) -> int:
        return len(self._entries)

    def to_dict(self) -> dict[str, list[float]]:
        """One list for `update` and for each metric; NaN where a metric was not logged."""
        names = dict.fromkeys(name for entry in self for name in entry.metrics)
        columns = {name: [e.metrics.get(name, math.nan) for e in self] for name in names}
        return {"update": [float(e.update) for e in self], **columns}

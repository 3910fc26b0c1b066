"""Points that are kept in files, each with what it was measured on.

A point is believed where its run (settings, weights, data) and its number of test examples are
those of now. Points of several runs stand side by side in one folder.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from advnets.base import errors
from advnets.data import Split, Splits
from advnets.experiments.label_curve.table import Point
from advnets.runs.run import Run
from advnets.runs.run_config import reproducibility_settings
from advnets.storage import checkpoints, schema


@dataclass(frozen=True, kw_only=True)
class MeasuredOn:
    """What a point was measured on."""

    crc32: int
    """Checksum of the run's settings, weights and data."""
    test: int
    """Test examples."""


@dataclass(frozen=True, kw_only=True)
class KeptPoint(Point):
    """A point, and what it was measured on."""

    measured_on: MeasuredOn


def measured_on(run: Run, splits: Splits, test: Split) -> MeasuredOn:
    """What this run is measured on: settings, weights and data, and so many test examples."""
    facts = {
        "settings": reproducibility_settings(run.config),
        "data": splits.fingerprint,
        "order": splits.order,
    }
    weights = {name: t.detach().cpu() for name, t in run.learner.state().items()}
    return MeasuredOn(crc32=checkpoints.checksum(weights, facts), test=len(test))


def kept(folder: Path, name: str, on: MeasuredOn, find: Callable[[], Point]) -> Point:
    """A point from its file; where there is none of the same run, it is measured, and kept.

    Args:
        folder: Where points are kept.
        name: What the point is of.
        on: What it is measured on.
        find: Measures it.
    """
    path = folder / f"{name}-{on.crc32:08x}-{on.test}.json"
    try:
        own = schema.read(path, KeptPoint)
        if own.measured_on == on:
            return own
    except errors.BadFile:
        pass
    point = KeptPoint(**asdict(find()), measured_on=on)
    with errors.saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_atomically(path, msgspec.json.encode(asdict(point)) + b"\n")
    return point

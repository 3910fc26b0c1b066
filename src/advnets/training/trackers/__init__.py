"""Trackers: callbacks that pass the log of a run on to another program.

`--trainer.track tensorboard wandb mlflow` names them for the command. In Python they are callbacks:
`advnets.fit(game, x, steps=500, callbacks=[WandB(project="mine")])`.

A tracker is a view of the log. Where it fails, one line says so, and the run goes on without it.
Names are those of the run folder with the file before them (`metrics/V`, `clock/seconds`), and a
step is an update.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from advnets.base import errors

if TYPE_CHECKING:
    from advnets.training.trackers.tracker import Tracker

Name = Literal["tensorboard", "wandb", "mlflow"]
_CLASSES = {"tensorboard": "TensorBoard", "wandb": "WandB", "mlflow": "MLflow"}


def refuse(names: Sequence[str]) -> None:
    """Raise `MissingExtra` where the package of one of these trackers is not installed.

    TensorBoard is the default, and left out silently.
    """
    for name in names:
        if name != "tensorboard" and not _installed(name):
            raise errors.missing_extra(name, name)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module without a spec
        return True


def build(names: Sequence[str]) -> "list[Tracker]":
    """The trackers of these names, not started yet."""
    return [
        getattr(importlib.import_module(f"{__name__}.{name}"), _CLASSES[name])()
        for name in dict.fromkeys(names)
    ]

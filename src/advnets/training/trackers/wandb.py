"""The log of a run for Weights & Biases (extra `wandb`).

Its own environment variables decide where it goes: WANDB_MODE=offline keeps it in RUN/wandb.

Reference: https://docs.wandb.ai/ref/python
"""

import importlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advnets.training.callbacks import Start
from advnets.training.trackers.tracker import Tracker, remember, remembered

PROJECT = "advnets"
"""The project where none is named."""


class WandB(Tracker):
    """A run of Weights & Biases. A resumed run goes on in the same one.

    Args:
        project: The project; $WANDB_PROJECT, else 'advnets', by default.
        name: The name of the run; that of the run folder by default.
    """

    title = "Weights & Biases"

    def __init__(self, project: str | None = None, name: str | None = None) -> None:
        super().__init__()
        self.project, self.name = project, name
        self._package: Any = None
        self._run: Any = None

    def begin(self, at: Start) -> None:
        """Open a run with the settings as its configuration."""
        self._package = importlib.import_module("wandb")
        own = remembered(at.folder, "wandb") or secrets.token_hex(4)
        self._run = self._package.init(
            project=self.project or os.environ.get("WANDB_PROJECT") or PROJECT,
            name=self.name or (at.folder.name if at.folder else None),
            id=own,
            resume="allow",
            dir=None if at.folder is None else str(at.folder),
            config=dict(at.settings),
        )
        remember(at.folder, "wandb", own)

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        """Log at the step that is the update."""
        self._run.log(dict(numbers), step=update)

    def show(self, picture: Path, update: int) -> None:
        """Log a picture as `samples`."""
        self._run.log({"samples": self._package.Image(str(picture))}, step=update)

    def end(self) -> None:
        """Finish the run."""
        self._run.finish()

"""The log of a run for MLflow (extra `mlflow`).

Its own environment variables decide where it goes: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME.

Reference: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html
"""

import importlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advnets.training.callbacks import Start
from advnets.training.trackers.tracker import Tracker, remember, remembered

EXPERIMENT = "advnets"
"""The experiment where none is named."""
_AT_ONCE = 100
"""Parameters that MLflow takes in one call."""
_LONGEST = 500
"""Letters of a parameter that every server takes."""


class MLflow(Tracker):
    """A run of MLflow. A resumed run goes on in the same one.

    Args:
        experiment: The experiment; $MLFLOW_EXPERIMENT_NAME, else 'advnets', by default.
        name: The name of the run; that of the run folder by default.
    """

    title = "MLflow"

    def __init__(self, experiment: str | None = None, name: str | None = None) -> None:
        super().__init__()
        self.experiment, self.name = experiment, name
        self._client: Any = None
        self._run = ""

    def begin(self, at: Start) -> None:
        """Open a run with the settings as its parameters."""
        self._client = importlib.import_module("mlflow").MlflowClient()
        known = remembered(at.folder, "mlflow")
        if known is not None:
            self._run = known
            self._client.set_terminated(known, "RUNNING")
            return
        name = self.name or (at.folder.name if at.folder else None)
        self._run = self._client.create_run(self._experiment(), run_name=name).info.run_id
        entities: Any = importlib.import_module("mlflow.entities")
        params = [entities.Param(n, str(v)[:_LONGEST]) for n, v in at.settings.items()]
        for i in range(0, len(params), _AT_ONCE):
            self._client.log_batch(self._run, params=params[i : i + _AT_ONCE])
        remember(at.folder, "mlflow", self._run)

    def _experiment(self) -> str:
        """The id of the experiment, which is made where it is not there."""
        name = self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        own: str = self._client.create_experiment(name) if found is None else found.experiment_id
        return own

    def add(self, numbers: Mapping[str, float], update: int) -> None:
        """Log at the step that is the update."""
        entities: Any = importlib.import_module("mlflow.entities")
        now = int(1000 * time.time())
        values = [
            entities.Metric(re.sub(r"[^\w\-. /]", "_", name), value, now, update)
            for name, value in numbers.items()
        ]
        self._client.log_batch(self._run, metrics=values)

    def show(self, picture: Path, update: int) -> None:
        """Keep a picture as an artifact in `samples`."""
        del update  # its name has it
        self._client.log_artifact(self._run, str(picture), "samples")

    def end(self) -> None:
        """Finish the run."""
        self._client.set_terminated(self._run)

"""The columns of Table 1: what a model is trained on, and what its samples are scored on.

MNIST: sigma is chosen on the first 1,000 validation images, the score is the mean over the 10,000
test images, its standard error is over these. TFD: one model, trained on the unlabelled images of
fold 0, as the authors' run was; in each of the five folds sigma is chosen on all validation images,
and the score is taken on the test images; the mean is over the folds, and so is the standard error.
No checkpoint is chosen there: the last one is scored.

Reference: goodfeli/adversarial, `parzen_ll.py`; Goodfellow et al. (2014), Table 1.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from advnets import data
from advnets.base.config import expanded
from advnets.data import DataConfig, Mnist5kConfig, MnistConfig, Splits, tfd
from advnets.data.downloads import ENVIRONMENT
from advnets.evaluation.protocol import EvaluationConfig
from advnets.experiments.table1 import quick
from advnets.experiments.table1.faces import for_faces
from advnets.experiments.table1.rows import ColumnName
from advnets.runs import train
from advnets.runs.loaded import Which
from advnets.runs.train import RunConfig


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: As in the paper.
        checkpoint: Which of a run is scored. What selects one must not be in the test: of TFD the
            validation images of fold 0, which the best one is chosen on, are test images of other
            folds, so that the last one stands there.
        title: As printed: a file that is not what the paper's column is of says so.
        splits: One for each fold; all have the same training images.
        protocol: The constants of the score.
        recipe: Makes a recipe for MNIST one for this column.
    """

    name: ColumnName
    title: str
    splits: tuple[Splits, ...]
    protocol: EvaluationConfig
    recipe: Callable[[RunConfig], RunConfig]
    checkpoint: Which = "best"

    @property
    def notice(self) -> str:
        """What has to stand beside its scores."""
        return self.splits[0].notice

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What a run's `data.json` says where it was trained on this, in whatever order."""
        about = train.describe(self.splits[0])
        return {name: fact for name, fact in about.items() if name not in ("order", "notice")}


def digits(folder: Path | None, *, small: bool) -> Column:
    """MNIST; in small, 5,000 of its digits where no folder is known."""
    known = folder or os.environ.get(ENVIRONMENT)
    config: DataConfig = MnistConfig(root=str(known) if known else None)
    title = "MNIST"
    if small and not known:
        config, title = Mnist5kConfig(), "5,000 digits"

    def recipe(base: RunConfig) -> RunConfig:
        own = replace(base, data=config)
        return quick.in_tiny(own) if small else own

    splits = data.load(config, seed=0)
    if splits.notice:
        title = f"not MNIST ({Path(known or '').resolve().name})"
    return Column("MNIST", title, (splits,), _protocol(small), recipe)


def faces(path: Path, *, small: bool) -> Column:
    """The Toronto Face Database, or what a file of its layout holds.

    Raises:
        BadFile: As `tfd.read`; for an image that is trained on and held out.
    """
    held = tfd.read(expanded(path))
    for fold in range(tfd.FOLDS):
        held.split(fold, tfd.TEST)  # refuses a fold that is not there by its own name
        held.refuse_leaks(fold)
    first = held.splits(0)
    others = (
        replace(first, validation=held.split(f, tfd.VALIDATION), test=held.split(f, tfd.TEST))
        for f in range(1, tfd.FOLDS)
    )

    def recipe(base: RunConfig) -> RunConfig:
        own = for_faces(base, str(path))
        return quick.in_tiny(own) if small else own

    protocol = replace(_protocol(small), validation=len(held.images))  # all that the fold has
    title = f"not TFD ({path.name})" if held.notice else "TFD"
    return Column("TFD", title, (first, *others), protocol, recipe, checkpoint="last")


def _protocol(small: bool) -> EvaluationConfig:
    return quick.PROTOCOL if small else EvaluationConfig()

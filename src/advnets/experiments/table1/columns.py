"""The columns of Table 1: training data, and data for scoring.

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
from advnets.base.protocols import ModelConfig
from advnets.data import DataConfig, Mnist5kConfig, MnistConfig, Splits, tfd
from advnets.data.downloads import ENVIRONMENT
from advnets.evaluation.protocol import EvaluationConfig
from advnets.experiments.table1 import quick
from advnets.experiments.table1.faces import binary, for_faces
from advnets.experiments.table1.rows import ColumnName
from advnets.runs import same_run
from advnets.runs.loaded import Which
from advnets.runs.run_config import RunConfig


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: As in the paper.
        checkpoint: The checkpoint that is scored. Images for model selection must not be test
            images: on TFD the validation images of fold 0 are test images of other folds, so the
            last checkpoint is scored there.
        title: As printed; it says where the file is not the paper's data set.
        splits: One for each fold; all have the same training images.
        protocol: The constants of the score.
        recipe: Converts a recipe for MNIST to this column.
        refuses: The reason why a model is left out of this column; empty where it is not.
    """

    name: ColumnName
    title: str
    splits: tuple[Splits, ...]
    protocol: EvaluationConfig
    recipe: Callable[[RunConfig], RunConfig]
    checkpoint: Which = "best"
    refuses: Callable[[ModelConfig], str] = lambda _: ""

    @property
    def notice(self) -> str:
        """The notice beside its scores."""
        return self.splits[0].notice

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of `data.json` of a run on this data, without the order."""
        about = same_run.describe(self.splits[0])
        return {name: fact for name, fact in about.items() if name not in ("order", "notice")}


def digits(folder: Path | None, *, small: bool) -> Column:
    """MNIST; for quick runs 5,000 of its digits where no folder is known."""
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
    """The Toronto Face Database, or another file of its layout.

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
    return Column(
        "TFD", title, (first, *others), protocol, recipe, checkpoint="last", refuses=binary
    )


def _protocol(small: bool) -> EvaluationConfig:
    return quick.PROTOCOL if small else EvaluationConfig()

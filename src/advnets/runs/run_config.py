"""The configuration of a run, as an object and as TOML."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advnets import data, networks
from advnets.base import errors
from advnets.base.config import (
    Kinds,
    dumps,
    expanded,
    from_dict,
    read_toml,
    settings,
)
from advnets.base.protocols import ModelConfig
from advnets.base.renamed_options import upgraded
from advnets.data import DataConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.networks import DiscriminatorKind, GeneratorKind
from advnets.runs import registry
from advnets.runs.settings import RunSettings
from advnets.storage.run_folder import RunDir
from advnets.training.config import TrainerConfig

KINDS: Kinds = {
    DataConfig: data.KINDS,
    ModelConfig: registry.KINDS,
    GeneratorKind: networks.GENERATORS,
    DiscriminatorKind: networks.DISCRIMINATORS,
}


PLACES = ("path", "root")
"""The settings of data that give its location."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(RunSettings):
    """The complete configuration of a run."""

    data: DataConfig
    model: ModelConfig
    trainer: TrainerConfig = TrainerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def to_toml(self) -> str:
        """As TOML text, which `read_config` reads."""
        return dumps(self)


def read_config(path: Path | str) -> RunConfig:
    """A configuration from a TOML file. Raises `BadFile` or `BadValue`, naming what is wrong."""
    return _configured(Path(path), read_toml(Path(path)))


def _configured(path: Path, table: Mapping[str, Any]) -> RunConfig:
    try:
        return from_dict(RunConfig, table, kinds=KINDS)
    except errors.BadValue as error:
        raise errors.BadFile(f"{path}: {error}") from None


def found_from_anywhere(config: RunConfig) -> RunConfig:
    """The configuration with absolute paths of the data, valid in any working directory."""
    places = {name: getattr(config.data, name, None) for name in (*PLACES, "labels_path")}
    whole = {name: str(expanded(at).absolute()) for name, at in places.items() if at}
    found = dataclasses.replace(config, data=dataclasses.replace(config.data, **whole))
    own: str = getattr(config.model, "own_masks", "")
    if not own:
        return found
    model: Any = found.model
    whole_path = str(expanded(own).absolute())
    return dataclasses.replace(found, model=dataclasses.replace(model, own_masks=whole_path))


def moved(config: RunConfig, *, path: str | None = None, root: str | None = None) -> RunConfig:
    """The configuration with a new location of the data.

    Raises:
        BadValue: For data that is not given by such a path.
    """
    fields = {f.name for f in dataclasses.fields(config.data)}
    given = {name: at for name, at in {"path": path, "root": root}.items() if at is not None}
    for name in given:
        if name not in fields:
            other = " or ".join(f"--data.{n}" for n in PLACES if n in fields) or "no place"
            raise errors.bad_value(
                f"data.{name}",
                f"left out: data of kind '{config.data.kind}' takes {other}",
                "a path",
            )
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **given))


def config_of(folder: RunDir | Path | str) -> RunConfig:
    """The configuration of a run, with renamed options converted."""
    folder = folder if isinstance(folder, RunDir) else RunDir(folder)
    path = folder.path / "config.toml"
    return _configured(path, upgraded(read_toml(path)))


def reproducibility_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that a run's results depend on, by dotted name."""
    last = {"trainer.steps": config.trainer.steps} if config.model.needs_total_steps else {}
    return settings(config) | last

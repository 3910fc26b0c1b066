"""Checks before a run is resumed: settings, data and checkpoint must be the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from advnets import data
from advnets.base import errors
from advnets.base.config import differences
from advnets.base.renamed_options import upgraded
from advnets.data import Order, Splits
from advnets.runs.run_config import RunConfig, reproducibility_settings
from advnets.storage import schema
from advnets.storage.checkpoints import Checkpoint
from advnets.storage.run_folder import RunDir


def refuse_changes(folder: RunDir, own: RunConfig, config: RunConfig) -> None:
    """Raise where a resumed run would differ from the uninterrupted one."""
    if config.recipe != own.recipe:
        raise errors.another_model(folder.path, f"recipe '{config.recipe}'", f"'{own.recipe}'")
    for name, (need, got) in differences(
        reproducibility_settings(own), reproducibility_settings(config)
    ).items():
        raise _setting_changed(folder.path, name, need, got)


def refuse_foreign(checkpoint: Checkpoint, config: RunConfig) -> None:
    """Raise where a checkpoint was saved by a run with other settings."""
    progress = schema.convert(checkpoint.path, checkpoint.facts, schema.Progress)
    saved, own = upgraded(progress.settings), reproducibility_settings(config)
    known = {name: own[name] for name in own if name in saved}  # others are younger than it
    for name, (got, need) in differences(saved, known).items():
        raise _foreign_settings(checkpoint.path, name, need, got)


def _foreign_settings(path: Path, name: str, need: object, got: object) -> errors.BadFile:
    """The error for a checkpoint of a run with other settings."""
    its, own = errors.short(repr(got)), errors.short(repr(need))
    return errors.BadFile(f"{path}: is of another run: its '{name}' is {its}, this run's is {own}.")


def describe(splits: Splits) -> dict[str, Any]:
    """The content of `data.json`: sizes, range and checksum of the data.

    It has no order where rows are as in their file, as in runs from before rows were shuffled.
    """
    low, high, _ = splits.statistics
    about = {
        "order": splits.order if splits.order != "file" else "",
        "classes": list(splits.classes),
        "notice": splits.notice,
        "span": list(splits.span or ()),
    }
    return {name: fact for name, fact in about.items() if fact} | {
        "event_shape": list(splits.event_shape),
        "examples": [len(s) for s in (splits.train, splits.validation, splits.test)],
        "low": low,
        "high": high,
        "crc32": splits.fingerprint,
    }


def read_again(folder: RunDir, config: RunConfig, say: Callable[[str], None]) -> Splits:
    """The data of a run, in the order that it had when the run began.

    Args:
        folder: The run's folder.
        config: The location of the data, and the run's seed.
        say: Called with a message for a run whose rows were not shuffled.

    Raises:
        BadValue: When the data has changed.
    """
    order = folder.facts("data").get("order", "file")
    if order not in get_args(Order):
        need = f"'order' must be one of {', '.join(get_args(Order))}"
        raise errors.damaged_facts(folder.path / "data.json", need)
    if order == "file":
        say(
            f"{folder.path}: this run began before advnets shuffled the rows of each split; "
            "they are read in "
            "the order of their file, as then."
        )
    splits = data.load(config.data, seed=config.seed, order=order)
    refuse_other_data(folder, describe(splits))
    return splits


def refuse_other_data(folder: RunDir, found: dict[str, Any]) -> None:
    """Raise where the data differs from that at the start of the run."""
    own = folder.facts("data")
    for name, value in found.items():
        if name != "notice" and own.get(name) != value:
            raise _setting_changed(folder.path, f"data ({name})", own.get(name), value)


def _setting_changed(path: Path, name: str, need: object, got: object) -> errors.BadValue:
    """The error for a changed setting of a resumed run."""
    return errors.BadValue(
        f"'{name}' must be {errors.short(repr(need))} to resume {path}, got "
        f"{errors.short(repr(got))}: "
        "it changes the run. Start a new one with --folder."
    )

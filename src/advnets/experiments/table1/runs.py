"""The runs of the rows: found in folders, or trained.

A run belongs to a row if its settings equal the row's recipe; if there is none, a run of the recipe
of that name is used, and the table names the differences. Of several complete runs the newest is
used. Incomplete runs and runs on other data are refused with a message.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advnets.base import errors
from advnets.base.config import differences
from advnets.base.progress import Display
from advnets.runs import run_config
from advnets.runs import train as run
from advnets.runs.run_config import RunConfig, reproducibility_settings
from advnets.storage.run_folder import RunDir

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A complete run of a row's model."""

    folder: RunDir
    config: RunConfig
    differs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Settings that differ from the recipe: name -> (recipe's, its own)."""

    def facts(self) -> dict[str, Any]:
        """The metadata in the table."""
        made = self.folder.facts("environment")
        seconds = [r.get("seconds", 0.0) for r in self.folder.records("clock")]
        return {
            "run": str(self.folder.path),
            "recipe": self.config.recipe,
            "commit": made.get("commit"),
            "command": command(made.get("command") or []),
            "processor": made.get("processor"),
            "threads": made.get("threads"),
            "training_seconds": max(seconds, default=None),
            "differs": {name: list(pair) for name, pair in self.differs.items()},
        }


def command(words: Sequence[str]) -> str:
    """The command of a run, without the program's path."""
    return shlex.join(["advnets", *words[1:]]) if words else ""


def find(
    config: RunConfig, data: dict[str, Any], folders: Sequence[Path], *, say: Say
) -> Found | str:
    """The complete run of a recipe among those in some folders.

    Args:
        config: The row's recipe.
        data: The content of `data.json` of a run on the column's data.
        folders: Runs, or folders of runs.
        say: Called for each run of this recipe that is refused, with the reason.

    Returns:
        The run, or the reason why there is none.

    Raises:
        BadFile: For a path that is no folder, or a damaged run folder.
    """
    found, refused = [], []
    for folder in runs_in(folders):
        try:
            own = run_config.config_of(folder)
        except errors.UserError as error:  # whatever else lies there need not concern the table
            say(f"{error} It is not used.")
            continue
        unlike = differences(reproducibility_settings(config), reproducibility_settings(own))
        # What a recipe leaves to the machine ('auto') is no difference.
        differs = {name: pair for name, pair in unlike.items() if pair[0] != "auto"}
        if differs and own.recipe != config.recipe:
            continue
        reason = why_not(folder, own, data)
        if reason:
            refused.append(f"{folder.path}: not used for '{config.recipe}': {reason}.")
            say(refused[-1])
        else:
            found.append(Found(folder=folder, config=own, differs=differs))
    if not found:
        return " ".join(refused) or f"no run of '{config.recipe}' was found."
    return max(found, key=lambda f: (not f.differs, _age(f.folder)))


def runs_in(folders: Sequence[Path]) -> Iterator[RunDir]:
    """The runs among these folders, and directly in them. `BadFile` where one is no folder."""
    seen = set()
    for folder in folders:
        if not folder.is_dir():
            raise _not_a_folder(folder)
        for path in (folder, *sorted(folder.iterdir())):
            if (path / "config.toml").is_file() and path.resolve() not in seen:
                seen.add(path.resolve())
                yield RunDir(path)


def _not_a_folder(path: Path) -> errors.BadFile:
    """The error for a missing folder of runs, or a file in its place."""
    got = "a file" if path.exists() else "nothing"
    return errors.BadFile(f"{path}: must be a folder of runs, got {got}.")


def why_not(folder: RunDir, config: RunConfig, data: dict[str, Any]) -> str:
    """Why a run cannot be in the table; empty where it can."""
    try:
        own = folder.facts("data")
        if any(own.get(name) != value for name, value in data.items()):
            return "it was trained on other data"
        saved = folder.latest(lambda _: None)
    except errors.BadFile as error:
        return f"it is not whole ({error})"
    update = saved.update if saved else 0
    if update < config.trainer.steps:
        return f"it stands at update {update:,} of {config.trainer.steps:,}"
    return ""


def train(config: RunConfig, folder: Path, *, display: Display) -> bool:
    """Train a recipe in a folder, or resume it; False when stopped."""
    if (folder / "config.toml").is_file():
        return run.resume(folder, config, display=display)
    return run.train(config, folder, display=display)


def _age(folder: RunDir) -> float:
    return max(p.stat().st_mtime for p in (folder.path / "checkpoints").iterdir())

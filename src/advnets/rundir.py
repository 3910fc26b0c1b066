"""The folder of one run, which explains itself and is never left unreadable.

    config.toml           the resolved configuration
    data.json             shape, range and fingerprint of the training set
    environment.json      versions, machine, commit
    metrics.jsonl         what the game did: a pure function of the configuration and the machine
    clock.jsonl           how fast it did it
    checkpoints/          00012000.safetensors (the newest two), best.safetensors
    samples/              a picture of the same fixed z every so often
    tensorboard/          the same metrics, where that extra is installed

A checkpoint is written when all that belongs to its update is on the disk, the best one before the
numbered one that speaks of it; what was logged, drawn or saved after it is dropped on resume.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from advnets import checks
from advnets.checkpoints import (
    ASIDE,
    Checkpoint,
    flush,
    read_checkpoint,
    write_atomically,
    write_checkpoint,
)
from advnets.tensorboard import Board

KEEP = 2
"""Numbered checkpoints kept: the newest, and the one before in case that is damaged."""


class RunDir:
    """One run's folder.

    Args:
        path: A folder that `create` made.

    Raises:
        BadFile: When it is no run folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / "config.toml").is_file():
            raise checks.not_a_run(self.path)
        self._board = Board(self.path / "tensorboard")

    @classmethod
    def create(cls, path: Path | str, *, config: str, **facts: object) -> "RunDir":
        """Make the folder of a new run, all at once or not at all.

        Args:
            path: Where; nothing may be there yet.
            config: The configuration as TOML.
            facts: One JSON file for each.

        Raises:
            BadFile: When something is there already.
        """
        path = Path(path)
        refuse_existing(path)
        with checks.saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.absolute().with_name(f".{path.absolute().name}.{os.getpid()}")
            aside.mkdir()
            try:
                (aside / "config.toml").write_text(config, encoding="utf-8")
                for name, value in facts.items():
                    text = json.dumps(value, indent=2)
                    (aside / f"{name}.json").write_text(text, encoding="utf-8")
                for name in ("checkpoints", "samples"):
                    (aside / name).mkdir()
                aside.rename(path)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return cls(path)

    def facts(self, name: str, *keys: str) -> dict[str, Any]:
        """One of the JSON files that `create` wrote, with these keys at least."""
        path = self.path / f"{name}.json"
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise checks.damaged_facts(path, error) from None
        if not isinstance(facts, dict) or not {*keys} <= facts.keys():
            raise checks.damaged_facts(path, f"it must hold {', '.join(keys)}")
        return facts

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here. Raises `WrongMoment` when one does already."""
        try:
            import fcntl
        except ImportError:  # not on Windows
            yield
            return
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise checks.folder_in_use(self.path) from None
            yield

    # Metrics

    def log(self, record: Mapping[str, Any], *, to: str = "metrics") -> None:
        """Append one JSON line to `metrics.jsonl` or `clock.jsonl`. It has an entry `update`."""
        path = self.path / f"{to}.jsonl"
        with checks.saving(path), path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        numbers = {f"{to}/{name}": value for name, value in flat(record).items()}
        self._board.add(numbers, record["update"])

    def records(self, name: str = "metrics") -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` or `clock.jsonl`, without a last one that is cut off."""
        path = self.path / f"{name}.jsonl"
        records: list[dict[str, Any]] = []
        if not path.exists():
            return records
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("update"), int):
                    records.append(record)
        return records

    def forget_after(self, update: int) -> None:
        """Drop what was logged, drawn and saved after this update: the run goes on from there."""
        self._board.after = update
        for name in ("metrics", "clock"):
            kept = [json.dumps(r) + "\n" for r in self.records(name) if r["update"] <= update]
            write_atomically(self.path / f"{name}.jsonl", "".join(kept).encode())
        for path in [*self._numbered(), *self.pictures()]:
            if int(path.stem) > update:
                path.unlink()
        for left_by_a_kill in self.path.rglob(f"{ASIDE}*"):
            left_by_a_kill.unlink()

    def picture_path(self, update: int) -> Path:
        """Where the picture of this update goes."""
        return self.path / "samples" / f"{update:08d}.png"

    def pictures(self) -> list[Path]:
        """The pictures that were drawn, the oldest first."""
        return _numbered_files(self.path / "samples", ".png")

    # Checkpoints

    def save(
        self, update: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, best: bool
    ) -> None:
        """Save a checkpoint, and keep it as the best one too if it is.

        Raises:
            Diverged: When a tensor is not finite; nothing is written then.
            CannotWrite: When the disk does not take it; what was saved before stays.
        """
        for file in (self.path / "metrics.jsonl", self.path / "clock.jsonl"):
            if file.exists():
                with checks.saving(file):
                    flush(file)
        path = self.path / "checkpoints" / f"{update:08d}.safetensors"
        paths = [path.with_name("best.safetensors"), path] if best else [path]
        write_checkpoint(paths, update, tensors, facts)
        for old in self._numbered()[:-KEEP]:
            old.unlink()

    def latest(self, say: Callable[[str], object]) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where nothing was saved yet.

        Args:
            say: Is told when a damaged one had to be passed over.

        Raises:
            BadFile: When there are checkpoints and none is whole.
        """
        return self._first_whole([*reversed(self._numbered()), *self._best()], say)

    def best(self, say: Callable[[str], object]) -> Checkpoint | None:
        """The checkpoint with the best validation score; the newest where there is none whole."""
        return self._first_whole([*self._best(), *reversed(self._numbered())], say)

    def _first_whole(
        self, paths: Sequence[Path], say: Callable[[str], object]
    ) -> Checkpoint | None:
        damage: checks.BadFile | None = None
        for path in paths:
            try:
                checkpoint = read_checkpoint(path)
            except checks.BadFile as error:
                damage = damage or error
                continue
            if damage is not None:
                say(checks.used_another(damage, path))
            return checkpoint
        if damage is not None:
            raise damage
        return None

    def _best(self) -> list[Path]:
        path = self.path / "checkpoints" / "best.safetensors"
        return [path] if path.exists() else []

    def _numbered(self) -> list[Path]:
        return _numbered_files(self.path / "checkpoints", ".safetensors")


def _numbered_files(folder: Path, suffix: str) -> list[Path]:
    files = [p for p in folder.glob(f"*{suffix}") if p.stem.isdecimal()]
    return sorted(files, key=lambda p: int(p.stem))


def refuse_existing(path: Path) -> None:
    """Raise `BadFile` where a new run would be written over something."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise checks.folder_exists(path, is_run=(path / "config.toml").is_file())


def flat(record: Mapping[str, Any], at: str = "") -> dict[str, float]:
    """The numbers of a nested record by dotted name, without `update`."""
    numbers: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{at}{name}.")
        elif isinstance(value, int | float) and name != "update":
            numbers[at + name] = value
    return numbers

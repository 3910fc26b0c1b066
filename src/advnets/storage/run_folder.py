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

Nothing in it is trusted: what is read is checked (`schema`), and nothing is written through a link
or into a folder that took this one's place.
"""

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from advnets.base import errors, files
from advnets.storage import schema
from advnets.storage.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from advnets.storage.tensorboard import Board

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
        try:
            found = (self.path / "config.toml").is_file()
            self._identity = self.path.stat()
        except FileNotFoundError:
            found = False
        except (OSError, ValueError) as error:
            raise errors.unreadable(self.path, error) from None
        if not found:
            raise errors.not_a_run(self.path)
        self._board = Board(self.path / "tensorboard")

    @classmethod
    def create(cls, path: Path | str, *, config: str, **facts: Mapping[str, Any]) -> "RunDir":
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
        with files.made_aside(path) as aside:
            (aside / "config.toml").write_text(config, encoding="utf-8")
            for name, value in facts.items():
                text = json.dumps({**value, "format": schema.FORMAT}, indent=2)
                (aside / f"{name}.json").write_text(text, encoding="utf-8")
            for name in ("checkpoints", "samples"):
                (aside / name).mkdir()
        return cls(path)

    def data(self) -> schema.Data:
        """What `data.json` says of the training set."""
        return schema.read(self.path / "data.json", schema.Data)

    def facts(self, name: str) -> dict[str, Any]:
        """All that one of the JSON files holds which `create` wrote, checked by its class."""
        return schema.facts(self.path / f"{name}.json", schema.FILES[name])

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here.

        Raises:
            WrongMoment: When one does already.
            BadFile: When a folder in this one, or the lock, is a link to somewhere else.
        """
        for name in files.FOLDERS:
            self._own(name)
        with self._kept_open(), files.locked(self._own() / ".lock") as free:
            if not free:
                raise errors.folder_in_use(self.path)
            yield

    @contextlib.contextmanager
    def _kept_open(self) -> Iterator[None]:
        """Inside, the system gives no new folder the number that this one is known by."""
        handle = None
        with contextlib.suppress(OSError):  # Windows opens no folders
            handle = os.open(self.path, os.O_RDONLY)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def _own(self, name: str = "") -> Path:
        """This folder, or one in it, as long as it is still the one that the run began in."""
        try:
            same = os.path.samestat(self.path.stat(), self._identity)
        except OSError:
            same = False
        if not same:
            raise errors.folder_replaced(self.path)
        path = self.path / name if name else self.path
        if name and os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
            raise errors.linked_folder(path)
        return path

    def place(self, name: str) -> Path:
        """Where a file of this folder is to be written."""
        return self._own() / name

    # Metrics

    def log(self, record: Mapping[str, Any], *, to: str = "metrics") -> None:
        """Append one JSON line to `metrics.jsonl` or `clock.jsonl`. It has an entry `update`."""
        files.append(self.place(f"{to}.jsonl"), json.dumps(record) + "\n")
        numbers = {f"{to}/{name}": value for name, value in flat(record).items()}
        self._board.add(numbers, record["update"])

    def records(self, name: str = "metrics") -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` or `clock.jsonl`, without those that a kill cut off.

        Raises:
            BadFile: For a damaged line with a whole one after it.
        """
        return [record for _, record in self._lines(name)]

    def _lines(self, name: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
        path = self.path / f"{name}.jsonl"
        if os.path.lexists(path):
            yield from schema.lines(path, files.read(path, most=schema.LINES))

    def forget_after(self, update: int) -> None:
        """Drop what was logged, drawn and saved after this update: the run goes on from there."""
        self._board.after = update
        for name in ("metrics", "clock"):
            kept = [line + b"\n" for line, r in self._lines(name) if r["update"] <= update]
            files.write_atomically(self.place(f"{name}.jsonl"), b"".join(kept))
        folders = [self._own(name) for name in ("", "checkpoints", "samples")]
        for path in [*self._numbered(), *self.pictures()]:
            if int(path.stem) > update:
                _unlink(path)
        for folder in filter(Path.is_dir, folders):
            files.clear_stale(folder)

    def picture_path(self, update: int) -> Path:
        """Where the picture of this update goes."""
        return self._own("samples") / f"{update:08d}.png"

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
                with errors.saving(file):
                    files.flush(file)
        path = self._own("checkpoints") / f"{update:08d}.safetensors"
        paths = [path.with_name("best.safetensors"), path] if best else [path]
        write_checkpoint(paths, update, tensors, facts)
        for old in self._numbered()[:-KEEP]:
            _unlink(old)

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
        damage: errors.BadFile | None = None
        for path in paths:
            try:
                checkpoint = read_checkpoint(path)
            except errors.BadFile as error:
                damage = damage or error
                continue
            if damage is not None:
                say(errors.used_another(damage, path))
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


def _unlink(path: Path) -> None:
    """Delete a file, or a link but not what it leads to."""
    if path.is_symlink() or not path.is_dir():
        with errors.saving(path):
            path.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raise `BadFile` where a new run would be written over something."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise errors.folder_exists(path, is_run=(path / "config.toml").is_file())


def flat(record: Mapping[str, Any], at: str = "") -> dict[str, float]:
    """The numbers of a nested record by dotted name, without `update`."""
    numbers: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{at}{name}.")
        elif isinstance(value, int | float) and name != "update":
            numbers[at + name] = value
    return numbers

"""The folder of one run, complete and readable at any moment.

    config.toml           the resolved configuration
    data.json             shape, range and fingerprint of the training set
    environment.json      versions, machine, commit
    metrics.jsonl         logged values: a pure function of the configuration and the machine
    clock.jsonl           the speed
    checkpoints/          00012000.safetensors (the newest two), best.safetensors
    samples/              pictures of the same fixed z
    tensorboard/          the same metrics, where TensorBoard is installed; wandb/ likewise

A checkpoint is written after everything else of its update, and the best one before the numbered
one that refers to it. What was logged, drawn or saved after the last checkpoint is dropped on
resume.

The folder is untrusted: everything that is read is checked (`schema`), and nothing is written
through a link or into a folder that replaced this one.
"""

import contextlib
import json
import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from advnets.base import errors, files
from advnets.storage import schema
from advnets.storage.checkpoints import Checkpoint, read_checkpoint, write_checkpoint

KEEP = 2
"""Numbered checkpoints that are kept: the newest, and the one before in case it is damaged."""


SHARED = "config.json"
"""What the folder of a shared generator has (`shared_folder`), and a run's has not."""


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
        if not found and is_shared(self.path):
            raise not_a_run(self.path)
        if not found:
            raise errors.BadFile(f"{self.path}: is not a run folder (it has no config.toml).")

    @classmethod
    def create(cls, path: Path | str, *, config: str, **facts: Mapping[str, Any]) -> "RunDir":
        """Make the folder of a new run, all at once or not at all.

        Args:
            path: The path, which must not exist yet.
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
        """`data.json`: the description of the training set."""
        return schema.read(self.path / "data.json", schema.Data)

    def facts(self, name: str) -> dict[str, Any]:
        """The content of a JSON file of `create`, checked by its class."""
        return schema.facts(self.path / f"{name}.json", schema.FILES[name])

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here.

        Raises:
            WrongMoment: When another process trains here already.
            BadFile: When a folder in this one, or the lock, is a link to somewhere else.
        """
        for name in files.FOLDERS:
            self._own(name)
        with self._kept_open(), files.locked(self._own() / ".lock") as free:
            if not free:
                raise errors.WrongMoment(
                    f"{self.path}: another process is training in this folder."
                )
            yield

    @contextlib.contextmanager
    def _kept_open(self) -> Iterator[None]:
        """Inside, no new folder can get this folder's inode number."""
        handle = None
        with contextlib.suppress(OSError):  # Windows opens no folders
            handle = os.open(self.path, os.O_RDONLY)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def _own(self, name: str = "") -> Path:
        """This folder, or one in it; an error where it was replaced since the run began."""
        try:
            same = os.path.samestat(self.path.stat(), self._identity)
        except OSError:
            same = False
        if not same:
            raise errors.WrongMoment(
                f"{self.path}: was moved away, deleted or replaced under the run, which stops; "
                "nothing is "
                "written into what is there now."
            )
        path = self.path / name if name else self.path
        if name and os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
            raise errors.BadFile(
                f"{path}: must be a folder of the run itself, got a symbolic link or a file."
            )
        return path

    def place(self, name: str) -> Path:
        """Where a file of this folder is to be written."""
        return self._own() / name

    # Metrics

    def log(self, record: Mapping[str, Any], *, to: str = "metrics") -> None:
        """Append one JSON line to `metrics.jsonl` or `clock.jsonl`. It has an entry `update`."""
        files.append(self.place(f"{to}.jsonl"), json.dumps(record) + "\n")

    def note_start(self, record: Mapping[str, Any]) -> None:
        """Add a line to `environment.jsonl`, in place of one that a kill cut off."""
        kept = [line + b"\n" for line, _ in self._lines("environment")]
        line = json.dumps(record).encode() + b"\n"
        files.write_atomically(self.place("environment.jsonl"), b"".join([*kept, line]))

    def records(self, name: str = "metrics") -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` or `clock.jsonl`, without incomplete lines at the end.

        Raises:
            BadFile: For a damaged line before an intact one.
        """
        return [record for _, record in self._lines(name)]

    def _lines(self, name: str) -> Iterator[tuple[bytes, dict[str, Any]]]:
        path = self.path / f"{name}.jsonl"
        if os.path.lexists(path):
            yield from schema.lines(path, files.read(path, most=schema.LINES))

    def forget_after(self, update: int) -> None:
        """Drop what was logged, drawn and saved after this update, from which the run resumes."""
        for name in ("metrics", "clock"):
            kept = [line + b"\n" for line, r in self._lines(name) if r["update"] <= update]
            files.write_atomically(self.place(f"{name}.jsonl"), b"".join(kept))
        folders = [self._own(name) for name in ("", "checkpoints", "samples")]
        for path in [*self._numbered(), *self.pictures()]:
            if int(path.stem) > update:
                _unlink(path)
        self._number_the_best(update)
        self._forget_old()
        for folder in filter(Path.is_dir, folders):
            files.clear_stale(folder)

    def picture_path(self, update: int) -> Path:
        """Path of the picture of this update."""
        return self._own("samples") / f"{update:08d}.png"

    def pictures(self) -> list[Path]:
        """The pictures that were drawn, the oldest first."""
        return _numbered_files(self.path / "samples", ".png")

    # Checkpoints

    def save(
        self, update: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, best: bool
    ) -> None:
        """Save a checkpoint, and also as the best one if it is.

        Raises:
            Diverged: When a tensor is not finite; nothing is written then.
            CannotWrite: When it cannot be written; earlier checkpoints are unchanged.
        """
        for file in (self.path / "metrics.jsonl", self.path / "clock.jsonl"):
            if file.exists():
                with errors.saving(file):
                    files.flush(file)
        path = self._own("checkpoints") / f"{update:08d}.safetensors"
        paths = [path.with_name("best.safetensors"), path] if best else [path]
        write_checkpoint(paths, update, tensors, facts)
        self._forget_old()

    def _number_the_best(self, update: int) -> None:
        """Save the best checkpoint under its number too, where that file is missing or damaged."""
        path = self._own("checkpoints") / f"{update:08d}.safetensors"
        with contextlib.suppress(errors.BadFile):
            read_checkpoint(path)
            return
        for best in self._best():
            with contextlib.suppress(errors.BadFile):
                if read_checkpoint(best).update == update:
                    files.write_atomically(path, files.read(best))

    def _forget_old(self) -> None:
        for old in self._numbered()[:-KEEP]:
            _unlink(old)

    def at(self, update: int) -> Checkpoint:
        """The checkpoint of this update. Raises `BadValue` where it is not kept."""
        kept = {int(path.stem): path for path in self._numbered()}
        if update not in kept:
            need = f"an update whose checkpoint is kept ({', '.join(map(str, kept)) or 'none is'})"
            raise errors.bad_value("checkpoint", need, update)
        return read_checkpoint(kept[update])

    def latest(self, say: Callable[[str], object]) -> Checkpoint | None:
        """The newest intact checkpoint; None where nothing was saved yet.

        Args:
            say: Called with a message for each damaged checkpoint.

        Raises:
            BadFile: When there are checkpoints and none is intact.
        """
        return self._first_whole([*reversed(self._numbered()), *self._best()], say)

    def best(self, say: Callable[[str], object]) -> Checkpoint | None:
        """The checkpoint with the best validation score; else the newest intact one."""
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
                say(f"{damage} Using the newest that is whole: {path.name}.")
            return checkpoint
        if damage is not None:
            raise damage
        return None

    def _best(self) -> list[Path]:
        path = self.path / "checkpoints" / "best.safetensors"
        return [path] if path.exists() else []

    def _numbered(self) -> list[Path]:
        return _numbered_files(self.path / "checkpoints", ".safetensors")


def is_shared(path: Path) -> bool:
    """Whether a folder is that of a shared generator, and not of a run."""
    with contextlib.suppress(OSError, ValueError):
        return (path / SHARED).is_file() and not (path / "config.toml").exists()
    return False


def not_a_run(path: Path) -> errors.BadFile:
    """A shared generator where a run is needed."""
    return errors.BadFile(
        f"{path}: must be a run folder, got a shared generator (it draws samples; training, "
        "scores and inference need the run)."
    )


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
        raise _folder_exists(path, is_run=(path / "config.toml").is_file())


def _folder_exists(path: Path, *, is_run: bool) -> errors.BadFile:
    """A run would be written over something."""
    resume = f"Go on with: advnets train --resume {shlex.quote(str(path))}. Or c" if is_run else "C"
    return errors.BadFile(f"{path}: exists already. {resume}hoose another folder with --folder.")


def flat(record: Mapping[str, Any], at: str = "") -> dict[str, float]:
    """The numbers of a nested record by dotted name, without `update`."""
    numbers: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{at}{name}.")
        elif isinstance(value, int | float) and name != "update":
            numbers[at + name] = value
    return numbers

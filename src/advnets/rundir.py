"""The folder of one run, which explains itself and is never left unreadable.

    config.toml           the resolved configuration
    data.json             shape, range and fingerprint of the training set
    environment.json      versions, machine, commit
    metrics.jsonl         what the game did: a pure function of the configuration and the machine
    clock.jsonl           how fast it did it
    checkpoints/          00012000.safetensors (the newest two), best.safetensors
    samples/              a picture of the same fixed z every so often
    tensorboard/          the same metrics, where that extra is installed

A checkpoint is one safetensors file with its JSON in the header and a checksum over its tensors. It
is written aside, flushed to the disk and renamed, so that a run killed at any moment finds its last
one whole. No code is ever unpickled.
"""

import contextlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from advnets import checks

FORMAT = 1
KEEP = 2
"""Numbered checkpoints kept: the newest, and the one before in case that is damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after one update: tensors by name, and facts that JSON can hold."""

    path: Path
    update: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


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
        self._board: Any = None
        self._begun_after = 0

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
            aside = path.with_name(f".{path.name}.{os.getpid()}")
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

    def facts(self, name: str) -> dict[str, Any]:
        """One of the JSON files that `create` wrote."""
        path = self.path / f"{name}.json"
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise checks.damaged_facts(path, error) from None
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
        board = self._tensorboard()
        if board is not None:
            for name, value in flat(record).items():
                board.add_scalar(f"{to}/{name}", value, record["update"])

    def records(self, name: str = "metrics") -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` or `clock.jsonl`, without a last one that is cut off."""
        path = self.path / f"{name}.jsonl"
        records: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                records.append(json.loads(line))
        return records

    def forget_after(self, update: int) -> None:
        """Drop what was logged, drawn and saved after this update: the run goes on from there."""
        self._begun_after = update
        for name in ("metrics", "clock"):
            kept = [json.dumps(r) + "\n" for r in self.records(name) if r["update"] <= update]
            write_atomically(self.path / f"{name}.jsonl", "".join(kept).encode())
        for path in [*self._numbered(), *self._pictures()]:
            if int(path.stem) > update:
                path.unlink()
        for left_by_a_kill in self.path.rglob(".*.part"):
            left_by_a_kill.unlink()

    def picture_path(self, update: int) -> Path:
        """Where the picture of this update goes."""
        return self.path / "samples" / f"{update:08d}.png"

    def _pictures(self) -> list[Path]:
        return _numbered_files(self.path / "samples", ".png")

    def _tensorboard(self) -> Any:
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                self._board = False
            else:
                purge = self._begun_after + 1 if self._begun_after else None
                self._board = SummaryWriter(str(self.path / "tensorboard"), purge_step=purge)
        return self._board or None

    # Checkpoints

    def save(
        self, update: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, best: bool
    ) -> None:
        """Save a checkpoint, and keep it as the best one too if it is.

        Raises:
            Diverged: When a tensor is not finite; nothing is written then.
            CannotWrite: When the disk does not take it; what was saved before stays.
        """
        still = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        for name, t in still.items():
            if t.is_floating_point() and not t.isfinite().all():
                raise checks.diverged(name, t[~t.isfinite()].flatten()[0].item(), update)
        for file in (self.path / "metrics.jsonl", self.path / "clock.jsonl"):
            if file.exists():
                with checks.saving(file):
                    flush(file)
        if self._board:
            self._board.flush()
        header = {"format": FORMAT, "update": update, **facts}
        header["crc32"] = checksum(still, header)
        data = safetensors.torch.save(still, metadata={"advnets": json.dumps(header)})
        path = self.path / "checkpoints" / f"{update:08d}.safetensors"
        if best:
            write_atomically(path.with_name("best.safetensors"), data)
        write_atomically(path, data)
        for old in self._numbered()[:-KEEP]:
            old.unlink()

    def latest(self, say: Callable[[str], object]) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where nothing was saved yet.

        Args:
            say: Is told when a damaged one had to be passed over.

        Raises:
            BadFile: When there are checkpoints and none is whole.
        """
        damage: checks.BadFile | None = None
        for path in reversed(self._numbered()):
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

    def best(self, say: Callable[[str], object]) -> Checkpoint | None:
        """The checkpoint with the best validation score; the newest where there is none whole."""
        path = self.path / "checkpoints" / "best.safetensors"
        if not path.exists():
            return self.latest(say)
        try:
            return read_checkpoint(path)
        except checks.BadFile as damage:
            checkpoint = self.latest(say)
            if checkpoint is None:
                raise
            say(checks.used_another(damage, checkpoint.path))
            return checkpoint

    def _numbered(self) -> list[Path]:
        return _numbered_files(self.path / "checkpoints", ".safetensors")


def _numbered_files(folder: Path, suffix: str) -> list[Path]:
    files = [p for p in folder.glob(f"*{suffix}") if p.stem.isdecimal()]
    return sorted(files, key=lambda p: int(p.stem))


def refuse_existing(path: Path) -> None:
    """Raise `BadFile` where a new run would be written over something."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise checks.folder_exists(path, is_run=(path / "config.toml").is_file())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises `BadFile` when it is damaged or is not ours."""
    raw = path.read_bytes()
    try:
        tensors = safetensors.torch.load(raw)
        length = int.from_bytes(raw[:8], "little")
        facts = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["advnets"])
        crc32 = facts.pop("crc32")
        expected = checksum(tensors, facts)
        version, update = facts.pop("format"), facts.pop("update")
    except safetensors.SafetensorError as error:
        raise checks.damaged_checkpoint(path, error) from None
    except (KeyError, ValueError, TypeError, AttributeError):
        raise checks.damaged_checkpoint(path, "it is not a checkpoint of advnets") from None
    if version != FORMAT:
        raise checks.damaged_checkpoint(path, f"format {version}; this version reads {FORMAT}")
    if expected != crc32:
        raise checks.damaged_checkpoint(path, "its checksum is wrong")
    return Checkpoint(path, update, tensors, facts)


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def checksum(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> int:
    """CRC-32 over facts and over all tensors: names, types, shapes and bytes."""
    crc = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        raw = tensor.contiguous().view(-1).view(torch.uint8).numpy()
        crc = zlib.crc32(raw.data, crc)
    return crc


def write_atomically(path: Path, data: bytes) -> None:
    """Write aside, flush to the disk, rename: never half a file."""
    aside = path.with_name(f".{path.name}.part")
    with checks.saving(path):
        try:
            with aside.open("wb") as handle:
                handle.write(data)
                _sync(handle)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        flush(path.parent)


def flush(path: Path) -> None:
    """Have the disk hold what was written to a file or folder."""
    with contextlib.suppress(PermissionError):  # Windows opens no folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync(handle: IO[bytes]) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def flat(record: Mapping[str, Any], at: str = "") -> dict[str, float]:
    """The numbers of a nested record by dotted name, without `update`."""
    numbers: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{at}{name}.")
        elif isinstance(value, int | float) and name != "update":
            numbers[at + name] = value
    return numbers

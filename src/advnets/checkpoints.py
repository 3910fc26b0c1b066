"""Checkpoints: one safetensors file each, with its JSON in the header and a checksum over both.

A file is written aside, flushed to the disk and renamed, so that a run killed at any moment finds
its last one whole. No code is ever unpickled; a damaged or foreign file is refused by name.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from advnets import checks
from advnets.protocols import Examples
from advnets.streaming import blocks

FORMAT = 2
"""Version of what a checkpoint holds."""
ASIDE = ".part."
"""What the name of a file begins with while it is being written."""


@dataclass(frozen=True)
class Checkpoint:
    """What was saved after one update: tensors by name, and facts that JSON can hold."""

    path: Path
    update: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(
    paths: Sequence[Path], update: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Write one checkpoint to several places, in this order.

    Raises:
        Diverged: When a tensor is not finite; nothing is written then.
        CannotWrite: When the disk does not take it.
    """
    refuse_non_finite(update, tensors)
    still = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    header = {"format": FORMAT, "update": update, **facts}
    header["crc32"] = checksum(still, header)
    data = safetensors.torch.save(still, metadata={"advnets": json.dumps(header)})
    for path in paths:
        write_atomically(path, data)


def refuse_non_finite(update: int, tensors: Mapping[str, Tensor]) -> None:
    """Raise `Diverged`, with the tensor's name, where one is not finite."""
    name = first_non_finite(tensors)
    if name is not None:
        t = tensors[name]
        raise checks.diverged(name, t[~t.isfinite()].flatten()[0].item(), update)


def first_non_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with NaN or infinity; None where all are finite."""
    for name, t in tensors.items():
        if t.is_floating_point() and not t.isfinite().all():
            return name
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises `BadFile` when it is damaged or is not ours."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise checks.unreadable(path, error) from None
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
        raise checks.another_format(path, version, FORMAT)
    if expected != crc32:
        raise checks.damaged_checkpoint(path, "its checksum is wrong")
    return Checkpoint(path, update, tensors, facts)


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def checksum(tensors: Mapping[str, Tensor | Examples], facts: Mapping[str, Any]) -> int:
    """CRC-32 over facts and over all tensors: names, types, shapes and bytes.

    What is in a file still is read in blocks; its checksum is that of the tensor it would be.
    """
    crc = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        for part in [tensor] if isinstance(tensor, Tensor) else blocks(tensor):
            raw = part.contiguous().view(-1).view(torch.uint8).numpy()
            crc = zlib.crc32(raw.data, crc)
    return crc


def write_atomically(path: Path, data: bytes) -> None:
    """Write aside, flush to the disk, rename: never half a file."""
    with written_aside(path) as aside, aside.open("wb") as handle:
        handle.write(data)
        _sync(handle)
    with checks.saving(path):
        flush(path.parent)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Inside, write the file that this gives; it gets its name when it is whole."""
    aside = path.with_name(f"{ASIDE}{path.name}")
    with checks.saving(path):
        try:
            yield aside
            if aside.exists():
                aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


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

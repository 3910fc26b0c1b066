"""Checkpoints: one safetensors file each, with its JSON in the header and a checksum over both.

A file is written to a temporary name, flushed to the disk and renamed, so that the last checkpoint
of a killed run is always complete. Nothing is unpickled; a damaged or foreign file is refused by
name.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from advnets.base import errors, files
from advnets.base.blocks import blocks
from advnets.base.files import atomic_path as atomic_path
from advnets.base.files import write_atomically as write_atomically
from advnets.base.protocols import Examples
from advnets.storage import schema

FORMAT = 2
"""Version of the format."""
DTYPES = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}
"""The types of tensors that a checkpoint may hold."""


@dataclass(frozen=True)
class Checkpoint:
    """The state after one update: tensors by name, and metadata as JSON."""

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
        CannotWrite: When it cannot be written.
    """
    data = encoded(update, tensors, facts)
    for path in paths:
        write_atomically(path, data)


def encoded(update: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """The bytes of a checkpoint. Raises `Diverged` when a tensor is not finite."""
    refuse_non_finite(update, tensors)
    still = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    header = {"format": FORMAT, "update": update, **facts}
    header["crc32"] = checksum(still, header)
    return safetensors.torch.save(still, metadata={"advnets": json.dumps(header)})


def refuse_non_finite(update: int, tensors: Mapping[str, Tensor]) -> None:
    """Raise `Diverged`, with the tensor's name, where one is not finite."""
    name = first_non_finite(tensors)
    if name is not None:
        t = tensors[name]
        raise errors.diverged(name, t[~t.isfinite()].flatten()[0].item(), update)


def first_non_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with NaN or infinity; None where all are finite."""
    for name, t in tensors.items():
        if t.is_floating_point() and not t.isfinite().all():
            return name
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint. Raises `BadFile` when it is damaged or is not ours."""
    return decoded(path, files.read(path))


def decoded(path: Path, raw: bytes) -> Checkpoint:
    """The checkpoint in some bytes. Raises `BadFile`, which names the file, where it is none."""
    try:
        tensors = safetensors.torch.load(raw)
    except Exception as error:  # whatever the parser of a foreign format says of it
        raise errors.damaged_checkpoint(path, str(error) or type(error).__name__) from None
    header, facts = _header(path, raw)
    if header.format != FORMAT:
        raise errors.BadFile(
            f"{path}: was written by another version (format {header.format}); this one reads "
            f"{FORMAT}."
        )
    _refuse_unusual(path, tensors)
    if checksum(tensors, {n: f for n, f in facts.items() if n != "crc32"}) != header.crc32:
        raise errors.damaged_checkpoint(path, "its checksum is wrong")
    own = {n: f for n, f in facts.items() if n not in ("format", "update", "crc32")}
    return Checkpoint(path, header.update, tensors, own)


def _header(path: Path, raw: bytes) -> tuple[schema.Header, dict[str, Any]]:
    """The header of a checkpoint, and its metadata."""
    text = raw[8 : 8 + int.from_bytes(raw[:8], "little")]

    def ours(words: bytes | str, of: Any) -> Any:
        return schema.decode(path, words, of, failure=lambda *why: _not_a_checkpoint(*why))

    words = ours(text, schema.SafeTensors).metadata.advnets
    return ours(words, schema.Header), ours(words, dict[str, Any])


def _not_a_checkpoint(path: Path, why: object) -> errors.BadFile:
    """The error for a file of tensors that this library did not write."""
    return errors.damaged_checkpoint(path, f"it is not a checkpoint of advnets: {why}")


def _refuse_unusual(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise `BadFile` for tensors that no run saves: of other types, or not finite."""
    for name, t in tensors.items():
        if t.dtype not in DTYPES:
            raise errors.damaged_checkpoint(path, f"{name} is of type {t.dtype}")
        if t.is_floating_point() and not t.isfinite().all():
            value = t[~t.isfinite()].flatten()[0].item()
            raise errors.damaged_checkpoint(path, f"{name} is {value}")


def refuse_other_types(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Raise `BadValue` where a saved tensor is of another type than the model's of that name."""
    for name in own.keys() & saved.keys():
        need, got = own[name], saved[name]
        errors.require(need.dtype == got.dtype, name, f"of type {need.dtype}", got.dtype)
        if need.ndim == 0:
            errors.require(got.ndim == 0, name, "one number", f"shape {tuple(got.shape)}")


def checksum(tensors: Mapping[str, Tensor | Examples], facts: Mapping[str, Any]) -> int:
    """CRC-32 over facts and over all tensors: names, types, shapes and bytes.

    Data in a file is read in blocks; its checksum equals that of the same tensor in memory.
    """
    crc = zlib.crc32(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        for part in [tensor] if isinstance(tensor, Tensor) else blocks(tensor):
            raw = part.contiguous().view(-1).view(torch.uint8).numpy()
            crc = zlib.crc32(raw.data, crc)
    return crc

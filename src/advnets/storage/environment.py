"""The environment of a run: versions, machine, commit."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch

from advnets.base import torch_private
from advnets.base.cpu import processor
from advnets.base.distributed import get_rank

Precision = Literal["auto", "float32", "bfloat16"]
_ASK_TORCH = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
"""Functions of `torch.cpu`, which are private and may be absent."""


def environment() -> dict[str, Any]:
    """Versions, machine, command and commit."""
    versions = {name: metadata.version(name) for name in ("advnets", "torch", "numpy")}
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "commit": commit(),
        **versions,
        "platform": platform.platform(),
        "processor": processor().name,
        "products": "oneDNN" if torch_private.onednn_linear() else "torch",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": get_rank().world,
    }


def has_bfloat16(device: torch.device | str = "cpu") -> bool | None:
    """Whether this processor or GPU has bfloat16 instructions; None where that is unknown."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return None
    known: Any = [getattr(torch.cpu, name, None) for name in _ASK_TORCH]
    if any(ask() for ask in known if ask is not None):
        return True
    here = processor()
    return here.bfloat16 if here.flags else None


def resolved(
    precision: Precision, event_shape: Sequence[int], device: torch.device | str
) -> Literal["float32", "bfloat16"]:
    """The precision that 'auto' means here: bfloat16 for pictures where there are instructions.

    Other data stays in float32: its values can be far from 0 and close together, which the 8 bits
    of bfloat16 cannot resolve, and its networks are small.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if len(event_shape) > 1 and has_bfloat16(device) else "float32"


BITS = ("processor", "products", "torch", "threads", "processes")
"""The parts of the environment that rounding depends on."""


def differences_of_bits(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Changes of the environment that affect rounding, in words; empty where there are none."""
    if "processor" in before:
        before = {"products": "oneDNN", **before}  # until they were recorded
    known = [name for name in BITS if name in before and name in now]
    changed = [name for name in known if not _same(before[name], now[name])]
    return ", ".join(f"{name} {before[name]} became {now[name]}" for name in changed)


def _same(before: object, now: object) -> bool:
    """Whether a part is unchanged; older runs recorded a processor without family and model."""
    return before == now or (isinstance(now, str) and now.startswith(f"{before}, family "))


def commit() -> str | None:
    """The commit of the source tree that runs; None for an installed copy, wherever it lies."""
    package = Path(__file__).resolve().parents[1]
    words = ["git", "-C", str(package), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return None
    top, _, head = found.stdout.strip().partition("\n")
    return head if head and Path(top) / "src" / "advnets" == package else None

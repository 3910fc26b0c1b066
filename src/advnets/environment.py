"""What a run was made with: versions, machine, commit, for whoever reads its numbers later."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from advnets.ranks import here


def environment() -> dict[str, Any]:
    """Versions, machine and command, for whoever reads the numbers later."""
    versions = {name: metadata.version(name) for name in ("advnets", "torch", "numpy")}
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "commit": commit(),
        **versions,
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": here().world,
    }


def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; True where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return True
    flags = {flag for line in lines if ":" in line for flag in line.split(":", 1)[1].split()}
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def commit() -> str | None:
    """The commit of the source tree that runs; None for an installed copy, wherever it lies."""
    package = Path(__file__).resolve().parent
    words = ["git", "-C", str(package), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return None
    top, _, head = found.stdout.strip().partition("\n")
    return head if head and Path(top) / "src" / "advnets" == package else None


def processor() -> str:
    """The processor's name, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

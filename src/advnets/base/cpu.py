"""The processor: its name, with family and model, and its instructions."""

import functools
import platform
import re
from pathlib import Path
from typing import NamedTuple


class Processor(NamedTuple):
    """A processor as the system reports it."""

    name: str
    """Its name; on x86 with family and model, because several kinds share a name."""
    flags: frozenset[str]
    """The names of its instruction sets; empty where unknown."""

    @property
    def bfloat16(self) -> bool:
        """Whether it multiplies bfloat16 numbers."""
        return bool(self.flags & {"avx512_bf16", "amx_bf16", "bf16"})


@functools.cache
def processor() -> Processor:
    """This machine's processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Processor(platform.processor() or platform.machine(), frozenset())
    return described(text)


def described(cpuinfo: str) -> Processor:
    """The processor that a `/proc/cpuinfo` describes."""
    lines = r"^(model name|cpu family|model|flags|Features)\s*: (.*)$"
    found: dict[str, str] = dict(re.findall(lines, cpuinfo, re.MULTILINE))
    name = found.get("model name") or platform.machine()
    if "cpu family" in found:
        name += f", family {found['cpu family']} model {found.get('model', '?')}"
    return Processor(name, frozenset(found.get("flags", found.get("Features", "")).split()))

"""Preload `failing_writes.c`, with which calls of the C library that write can be made to fail.

It has to be loaded before torch is imported, so that this module imports no torch.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def preloaded() -> bool:
    """Whether the library is loaded in this process."""
    return hasattr(ctypes.CDLL(None), "failing_arm")


def preload() -> None:
    """Start this program again with `failing_writes.c` preloaded, where there is a C compiler."""
    if preloaded():  # it stays in memory for forked children; other programs run without it
        shutil.rmtree(Path(os.environ.pop("LD_PRELOAD", "/nowhere/x")).parent, ignore_errors=True)
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return
    library = Path(tempfile.mkdtemp(prefix="campaign")) / "failing_writes.so"
    source = HERE / "failing_writes.c"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(words, check=True)
    os.environ["LD_PRELOAD"] = str(library)
    os.execv(sys.executable, [sys.executable, *sys.argv])

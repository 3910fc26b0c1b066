"""The library between a process and the C library whose writes can fail, preloaded.

It is loaded before torch is imported: this module imports neither.
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
    """Whether the C library's calls can fail here."""
    return hasattr(ctypes.CDLL(None), "failing_arm")


def preload() -> None:
    """Start this program again with `failing_writes.c` preloaded, where there is a C compiler."""
    if preloaded():  # children find it in memory, and other programs do without
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

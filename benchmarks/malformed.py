"""Malformed run folders, arrays, archives, options and environments: each must get one clear line.

    python benchmarks/malformed.py [--cases 330] [--seed 0] [--quick]

Real files are made once and then damaged at random. Each command runs in a child of its own that
has torch loaded already. Counted, and 0 when all is well: tracebacks, hangs, signals, and files
that changed outside the run folder. The exit code is 1 otherwise. `--quick` (CI) takes 40 cases.
"""

import argparse
import gzip
import io
import os
import random
import shutil
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from damage import READ, damaged
from PIL import Image

from advnets import cli
from advnets.data import ArrayConfig
from advnets.models.energy.rbm import RBMConfig
from advnets.runs.run_config import RunConfig

LIMIT = 60
"""Seconds after which a command hangs."""
SMALL = [
    "--trainer.steps=2", "--trainer.log_every=1", "--trainer.score_every=2",
    "--trainer.sample_every=2", "--trainer.checkpoint_every=1", "--evaluation.samples=20",
    "--evaluation.validation=10",
]  # fmt: skip
NETS = ["--batch_size=5", "--model.G.hidden=4", "--model.D.units=4"]
WORDS = [
    "-1", "0", "1e-320", "nan", "inf", "-inf", "9223372036854775808", "1000000000000000", "", "x",
    "~nobodyhere/x", "\x1b[2J", "é", "1e400", "[b]", "/dev/null", "/dev/zero", "\udcff", "None",
]  # fmt: skip
Words = list[str]
Case = Callable[[Path, random.Random], Words]


def main() -> None:
    """Make real files, damage them, count what goes wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=330)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="40 cases")
    options = parser.parse_args()
    torch.set_num_threads(1)  # a child of a process with threads of its own could hang
    with tempfile.TemporaryDirectory(prefix="malformed") as scratch:
        top = Path(scratch)
        os.environ["XDG_CACHE_HOME"] = str(top / "cache")
        made_in_a_child(top / "real")
        refuse_unsound(top, quick=options.quick)
        found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for i in range(40 if options.quick else options.cases):
            kind = [*KINDS][i % len(KINDS)]
            what = one(top, kind, random.Random(f"{options.seed}/{i}"), i)
            found[kind][what] += 1
    sys.exit(1 if show(found) else 0)


def made_in_a_child(real: Path) -> None:
    """Make the real files and leave no thread behind, which a fork would lose."""
    child = os.fork()
    if child == 0:
        end = 1
        try:
            make(real)
            end = 0
        finally:
            traceback.print_exc() if end else None
            os._exit(end)
    assert waited(child, 10 * LIMIT) == 0


def refuse_unsound(top: Path, *, quick: bool) -> None:
    """End here where a command refuses what is whole: its other refusals would say nothing."""
    work = top / "whole"
    shutil.copytree(top / "real", work)
    for run in ("run-ring",) if quick else sorted(p.name for p in work.glob("run-*/")):
        for command in ("sample", "evaluate", "report", "train"):
            words = on(run, command)
            code, said = in_child(work, words, False, random.Random())
            if code:
                raise SystemExit(f"{words!r} on whole files: {code}: {said[-300:]}")
    shutil.rmtree(work)


def show(found: dict[str, Counter[str]]) -> int:
    """Print a table by kind; the number of faults."""
    columns = ("refused", "accepted", *FAULTS)
    print(f"{'kind':14}" + "".join(f"{name:>12}" for name in columns))
    for kind, counts in found.items():
        print(f"{kind:14}" + "".join(f"{counts[name]:12}" for name in columns))
    return sum(counts[name] for counts in found.values() for name in FAULTS)


# One command in a child


FAULTS = ("traceback", "hang", "signal", "outside")


def one(top: Path, kind: str, dice: random.Random, number: int) -> str:
    """Damage a copy of the real files and run a command on it: what came of it."""
    work = top / f"{number:04d}"
    shutil.copytree(top / "real", work)
    (work / "bystander").mkdir()
    (work / "bystander" / "file").write_text("not yours")
    words = KINDS[kind](work, dice)
    before = contents(work)
    code, said = in_child(work, words, kind == "environment", dice)
    what = "refused" if code == 2 else "accepted"
    if code == -signal.SIGALRM:
        what = "hang"
    elif code < 0:
        what = "signal"
    elif code not in (0, 1, 2, 130) or "Traceback" in said:
        what = "traceback"
    elif contents(work) != before:
        what = "outside"
    if what in FAULTS:
        last = [line for line in said.splitlines() if line.strip()][-1:]
        print(f"case {number} ({kind}): {what}: {words!r}: {last}", flush=True)
    shutil.rmtree(work, ignore_errors=True)
    return what


def contents(work: Path) -> dict[str, bytes]:
    """What no command here may change."""
    kept = [*(work / "bystander").rglob("*"), *work.glob("*.npy"), *work.glob("*.npz")]
    return {str(path): path.read_bytes() for path in kept if path.is_file()}


def in_child(work: Path, words: Words, bare: bool, dice: random.Random) -> tuple[int, str]:
    """The exit code (of a signal: negative) and the words of a command."""
    log = work / "said"
    child = os.fork()
    if child == 0:
        end = 70
        try:
            os.setsid()
            os.chdir(work)
            for stream in (1, 2):
                os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
            if bare:
                wear(dice)
            end = cli.main(words)
        except SystemExit as asked:
            end = asked.code if isinstance(asked.code, int) else 0
        except BaseException:
            os.write(2, traceback.format_exc().encode(errors="replace"))
        finally:
            os._exit(end)
    return waited(child), log.read_text(errors="replace") if log.exists() else ""


def waited(child: int, limit: float = LIMIT) -> int:
    """The exit code of a child, which is killed when it takes too long."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGALRM


def wear(dice: random.Random) -> None:
    """An environment that nobody would choose."""
    odd = ["", "x", "0", "-1", "2", "9" * 30, "1.5"]
    names = ["WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "COLUMNS", "LINES", "TERM"]
    for name in dice.sample(names, 2):
        os.environ[name] = dice.choice(odd)
    os.environ["ADVNETS_DATA"] = dice.choice(["~nobodyhere", "", "/dev/null", "\udcff"])
    for number in range(3):
        if dice.random() < 0.3:
            os.close(number)
    encoding = dice.choice(["ascii", "latin-1", "utf-8"])
    for name in ("stdout", "stderr"):
        if dice.random() < 0.5:
            stream = open(os.devnull, "w", encoding=encoding)  # noqa: PTH123, SIM115
            setattr(sys, name, dice.choice([stream, None]))


# Real files


def make(real: Path) -> None:
    """A tiny run on each kind of data, and the data."""
    (real / "pics" / "a").mkdir(parents=True)
    (real / "pics" / "b").mkdir()
    rows = np.random.default_rng(0)
    for i in range(24):
        pixels = rows.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(real / "pics" / "ab"[i % 2] / f"{i}.png")
    x = rows.random((60, 4), dtype=np.float32)
    np.save(real / "x.npy", x)
    np.savez(real / "x.npz", x=x, y=np.arange(60) % 3)
    (real / "mnist").mkdir()
    for name, data in idx_files(rows).items():
        (real / "mnist" / name).write_bytes(gzip.compress(data))
    with zipfile.ZipFile(real / "pics.zip", "w") as archive:
        for path in (real / "pics").rglob("*.png"):
            archive.write(path, str(path.relative_to(real / "pics")))
    machine = RunConfig(
        recipe="rbm",
        batch_size=5,
        data=ArrayConfig(path=str(real / "x.npy")),
        model=RBMConfig(hidden=4),
    )
    (real / "rbm.toml").write_text(machine.to_toml())
    here = Path.cwd()
    os.chdir(real)
    for words in (
        ["ring", "--data.examples", "100", *NETS],
        ["array", "--data.path", "x.npy", *NETS],
        ["images", "--data.path", "pics", "--data.size", "16", "--batch_size", "4"],
        ["rbm.toml"],
    ):
        run_folder = f"run-{words[0].partition('.')[0]}"
        made = cli.main(["train", *words, *SMALL, "--folder", run_folder])
        assert made == 0, run_folder
    os.chdir(here)


def idx_files(rows: np.random.Generator) -> dict[str, bytes]:
    """MNIST's four files, of 30 noisy digits each."""
    files = {}
    for part in ("train", "t10k"):
        pixels = rows.integers(0, 256, 30 * 784, dtype=np.uint8).tobytes()
        head = struct.pack(">IIII", 0x803, 30, 28, 28)
        files[f"{part}-images-idx3-ubyte.gz"] = head + pixels
        labels = bytes(i % 10 for i in range(30))
        files[f"{part}-labels-idx1-ubyte.gz"] = struct.pack(">II", 0x801, 30) + labels
    return files


# What is damaged


def run_folder(work: Path, dice: random.Random) -> Words:
    """A tampered run folder, and a command that reads what was tampered with."""
    run = dice.choice([p for p in sorted(work.glob("run-*")) if p.is_dir()])
    name = dice.choice([*READ, *list(READ)[:4]])  # the first are read by most
    commands, damages = READ[name]
    if name.startswith("checkpoints") and dice.random() < 0.8:
        for other in (run / "checkpoints").iterdir():  # none that could stand in
            if other.name != Path(name).name:
                other.unlink()
    dice.choice(damages)(work, run / name, dice)
    return on(run.name, dice.choice(commands))


def on(run: str, command: str) -> Words:
    """A command on a run; one that learns to its own end can only be resumed to that."""
    if command == "train":
        longer = ["--trainer.steps", "3"] if run in ("run-array", "run-images") else []
        return ["train", "--resume", run, *longer]
    more = {"sample": ["--n", "4"], "evaluate": ["--quality", "False"], "report": []}
    return [command, run, *more[command]]


def array(work: Path, dice: random.Random) -> Words:
    """A damaged array or IDX file, or one of another kind."""
    how = dice.randrange(5)
    if how == 0:
        path = dice.choice(sorted((work / "mnist").iterdir()))
        path.write_bytes(gzip.compress(damaged(gzip.decompress(path.read_bytes()), dice)))
        return ["train", "mnist", "--data.root", "mnist", *SMALL, "--folder", "new"]
    path = work / dice.choice(["x.npy", "x.npz"])
    if how == 1:
        shape = dice.choice([(0, 3), (60,), (60, 0), (60, 4, 4, 4, 4), (9, 2)])
        kind = dice.choice(["f8", "U3", "c16", "?", "M8[s]", "u8", "S1"])
        save = np.save if path.suffix == ".npy" else np.savez
        save(path, np.zeros(shape, dtype=kind))
    elif how == 2 and path.suffix == ".npz":
        labels = dice.choice([np.zeros((1, 60)), np.full(60, np.nan), np.zeros(0), np.zeros(60)])
        np.savez(path, x=np.full((60, 4), dice.choice([np.nan, 1e300, 1.0])), y=labels)
    else:
        path.write_bytes(damaged(path.read_bytes(), dice))
    return ["train", "array", "--data.path", path.name, *NETS, *SMALL, "--folder", "new"]


def archive(work: Path, dice: random.Random) -> Words:
    """A damaged archive of pictures, a picture that is none, or a packed CIFAR-10."""
    how = dice.randrange(4)
    if how == 0:
        blob = io.BytesIO()
        with tarfile.open(fileobj=blob, mode="w:gz") as tar:
            entry = tarfile.TarInfo(dice.choice(["../x", "data_batch_1.bin", "a/\x1b[2J"]))
            entry.size = 100
            tar.addfile(entry, io.BytesIO(dice.randbytes(100)))
        (work / "cifar-10-binary.tar.gz").write_bytes(damaged(blob.getvalue(), dice))
        place = ["cifar10", "--data.root", "cifar-10-binary.tar.gz"]
        return ["train", *place, *SMALL, "--folder", "new"]
    source = "pics.zip"
    if how == 1:
        with zipfile.ZipFile(work / source, "a") as pictures:
            pictures.writestr(dice.choice(["../\x1b[2Jx.png", "/etc/x.png", "a\nb.png"]), b"x")
    elif how == 2:
        source = "pics"
        path = dice.choice(sorted((work / source).rglob("*.png")))
        path.write_bytes(damaged(path.read_bytes(), dice))
    else:
        path = work / source
        path.write_bytes(damaged(path.read_bytes(), dice))
    words = ["images", "--data.path", source, "--data.size", "16", "--batch_size", "4"]
    return ["train", *words, *SMALL, "--folder", "new"]


NAMES = [
    "data.examples", "data.std", "data.radius", "seed", "batch_size", "model.k", "model.z_dim",
    "model.G.hidden", "model.D.units", "model.D.irange", "model.G.sigmoid_bias", "trainer.steps",
    "trainer.log_every", "evaluation.samples", "evaluation.sigma_low", "evaluation.sigma_count",
    "model.G_optimizer.lr", "model.G_optimizer.momentum", "folder", "device", "model.precision",
]  # fmt: skip


def option(work: Path, dice: random.Random) -> Words:
    """An option out of all bounds."""
    word = dice.choice(WORDS)
    if dice.random() < 0.7:
        small = ["--data.examples", "50", *NETS, *SMALL, "--folder", "new"]
        return ["train", "ring", *small, f"--{dice.choice(NAMES)}={word}"]
    command, name = dice.choice(
        [("sample", "n"), ("sample", "start"), ("sample", "seed"), ("evaluate", "samples"),
         ("evaluate", "seed"), ("figure", "seed"), ("report", "checkpoint"),
         ("report", "data.path"), ("sample", "weights"), ("evaluate", "data.root")]
    )  # fmt: skip
    number = [dice.choice("123")] if command == "figure" else []
    return [command, *number, "run-ring", f"--{name}={word}"]


def environment(work: Path, dice: random.Random) -> Words:
    """Any command in an environment that nobody would choose (`wear`)."""
    small = ["--data.examples", "50", *NETS, *SMALL, "--folder", "new"]
    return dice.choice(
        [["train", "ring", *small], ["evaluate", "run-ring"], ["recipes"], ["sample", "run-array"],
         ["train", "mnist", *SMALL, "--folder", "new"], ["report", "run-ring"], ["--version"]]
    )  # fmt: skip


KINDS: dict[str, Case] = {
    "run folder": run_folder,
    "array": array,
    "archive": archive,
    "option": option,
    "environment": environment,
}

if __name__ == "__main__":
    main()

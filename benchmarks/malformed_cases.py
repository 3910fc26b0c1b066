"""Generators of malformed inputs, for every reader, option and file of a run folder."""

import dataclasses
import gzip
import io
import os
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from damage import CHECKED, READ, SHARED, damaged, no_file, other_bytes
from forked import Words

from advnets import recipes
from advnets.base.config import fields_of
from advnets.cli import options

SMALL = [
    "--trainer.steps=2", "--trainer.log_every=1", "--trainer.score_every=2",
    "--trainer.sample_every=2", "--trainer.checkpoint_every=1", "--evaluation.samples=20",
    "--evaluation.validation=10", "--trainer.track",
]  # fmt: skip
NETS = ["--batch_size=5", "--model.G.hidden=4", "--model.D.units=4"]
WORDS = [
    "-1", "0", "1e-320", "nan", "inf", "-inf", "9223372036854775808", "1000000000000000", "", "x",
    "~nobodyhere/x", "\x1b[2J", "é", "1e400", "[b]", "/dev/null", "/dev/zero", "\udcff", "None",
]  # fmt: skip


class Case(NamedTuple):
    """A command on what was damaged.

    Attributes:
        words: The command that reads the input.
        what: What was damaged, and how.
        checked: Whether the damage must be reported, as the file has a checksum or a format that
            determines every byte. Other damage may leave a valid file.
    """

    words: Words
    what: str
    checked: bool


Make = Callable[[Path, random.Random], Case]


def on_ring() -> Words:
    """A tiny run on points."""
    return ["train", "ring", "--data.examples", "100", *NETS, *SMALL, "--folder", "new"]


def on_array(path: str) -> Words:
    """A tiny run on an array."""
    return ["train", "array", "--data.path", path, *NETS, *SMALL, "--folder", "new"]


def on_pictures(path: str) -> Words:
    """A tiny run on pictures."""
    words = ["--data.path", path, "--data.size", "16", "--batch_size", "4"]
    return ["train", "images", *words, "--data.cache", "cache", *SMALL, "--folder", "new"]


# Run folders and shared folders


def run_folder(work: Path, dice: random.Random) -> Case:
    """A tampered run folder, and a command that reads what was tampered with."""
    name = dice.choice([*READ, *list(READ)[:4]])  # most commands read the first four
    runs = [p for p in sorted(work.glob("run-*")) if (p / name).exists() or name == ".lock"]
    run = dice.choice(runs)
    commands, damages = READ[name]
    if name.startswith("checkpoints") and dice.random() < 0.8:
        for other in (run / "checkpoints").iterdir():  # no other checkpoint can be used instead
            if other.name != Path(name).name:
                other.unlink()
    damage = dice.choice(damages)
    damage(work, run / name, dice)
    what = f"{run.name}/{name}, {damage.__name__}"
    return Case(
        on(run.name, dice.choice(commands)), what, name in CHECKED and damage in CHECKED[name]
    )


def on(run: str, command: str) -> Words:
    """The words of a command on a run."""
    if command == "train":
        return ["train", "--resume", run, "--trainer.steps", "3"]
    more = {
        "sample": ["--n", "4"],
        "evaluate": ["--quality", "False"],
        "export": ["--to", "safetensors"],
    }
    return [command, *(["."] if command == "runs" else [run]), *more.get(command, [])]


def shared(work: Path, dice: random.Random) -> Case:
    """A tampered folder of a shared generator, or an export that is read."""
    name = dice.choice([*SHARED])
    damage = dice.choice(SHARED[name])
    damage(work, work / name, dice)
    run = name.partition("/")[0]
    words = dice.choice(
        [
            ["sample", run, "--n", "4"],
            ["export", run, "--to", "safetensors", "--out", "o.safetensors"],
        ]
    )
    return Case(words, f"{name}, {damage.__name__}", checked=False)


# Data


def array(work: Path, dice: random.Random) -> Case:
    """A damaged file of numbers: an array, a table, IDX files, Keras's or MATLAB's."""
    name = dice.choice(["mnist", "keras.npz", "faces.mat", "table.csv", *2 * ["x.npy", "x.npz"]])
    path = work / name
    if name == "mnist":
        path = dice.choice(sorted(path.iterdir()))
        path.write_bytes(gzip.compress(damaged(gzip.decompress(path.read_bytes()), dice)))
    elif name in ("x.npy", "x.npz") and dice.random() < 0.5:
        _other_array(path, dice)
    else:
        path.write_bytes(damaged(path.read_bytes(), dice))
    what = f"{path.name}, damaged"
    if name in ("mnist", "keras.npz"):
        words = ["train", "mnist", "--data.root", name, *SMALL, "--folder", "new"]
        return Case(words, what, checked=name == "keras.npz")
    if name == "faces.mat":
        words = ["train", "tfd", "--data.path", name, *SMALL, "--folder", "new"]
        return Case(words, what, checked=False)
    return Case(on_array(name), what, checked=False)


def _other_array(path: Path, dice: random.Random) -> None:
    """Write an array of another shape or type, or with NaN or infinity."""
    shape = dice.choice([(0, 3), (60,), (60, 0), (60, 4, 4, 4, 4), (9, 2)])
    kind = dice.choice(["f8", "U3", "c16", "?", "M8[s]", "u8", "S1"])
    x = np.zeros(shape, dtype=kind)
    if dice.random() < 0.5:
        x = np.full((60, 4), dice.choice([np.nan, np.inf, 1e300]))
    if path.suffix == ".npy":
        np.save(path, x)
        return
    labels = [np.zeros((1, 60)), np.full(60, np.nan), np.zeros(0), np.zeros(60)]
    np.savez(path, x=x, y=dice.choice(labels))


def archive(work: Path, dice: random.Random) -> Case:
    """A damaged archive of pictures, picture, table of labels, or archive of CIFAR-10."""
    how = dice.randrange(5)
    if how == 0:
        blob = io.BytesIO()
        with tarfile.open(fileobj=blob, mode="w:gz") as tar:
            entry = tarfile.TarInfo(dice.choice(["../x", "data_batch_1.bin", "a/\x1b[2J"]))
            entry.size = 100
            tar.addfile(entry, io.BytesIO(dice.randbytes(100)))
        (work / "cifar-10-binary.tar.gz").write_bytes(damaged(blob.getvalue(), dice))
        place = ["cifar10", "--data.root", "cifar-10-binary.tar.gz"]
        return Case(["train", *place, *SMALL, "--folder", "new"], "a tar of CIFAR-10", checked=True)
    if how == 1:
        name = dice.choice(["../\x1b[2Jx.png", "/etc/x.png", "a\nb.png"])
        with zipfile.ZipFile(work / "pics.zip", "a") as pictures:
            pictures.writestr(name, b"x")
        return Case(on_pictures("pics.zip"), f"pics.zip with {name!r}", checked=True)
    source = ("pics", "listed", "pics.zip")[how - 2]
    path = work / source
    if source == "pics":
        path = dice.choice(sorted(path.rglob("*.png")))
    elif source == "listed":
        path = path / "labels.csv"
    path.write_bytes(damaged(path.read_bytes(), dice))
    return Case(on_pictures(source), f"{path.name}, damaged", checked=False)


def cache(work: Path, dice: random.Random) -> Case:
    """A damaged file of the cache of decoded pictures."""
    path = dice.choice(sorted(p for p in (work / "cache").rglob("*") if p.is_file()))
    damage = dice.choice([other_bytes, no_file])
    damage(work, path, dice)
    checked = path.name != "skipped.txt"
    return Case(on_pictures("pics"), f"cache/{path.name}, {damage.__name__}", checked)


# Options and environments

PLACES = ("folder", "data.cache")
"""Options for which nearly every word is the name of a new file."""
READING = {
    "sample": "SampleOptions", "evaluate": "EvaluateOptions", "figure": "FigureOptions",
    "report": "ReportOptions", "export": "ExportOptions", "video": "VideoOptions",
}  # fmt: skip
"""Commands on a run, and the class of their options."""


def option(work: Path, dice: random.Random) -> Case:
    """An option with an invalid value."""
    word = dice.choice(WORDS)
    if dice.random() < 0.6:
        recipe = dice.choice(["ring", "array"])
        words = on_ring() if recipe == "ring" else on_array("x.npz")
        name = dice.choice([n for n in fields_of(recipes.get(recipe)) if n != "recipe"])
        return Case([*words, f"--{name}={word}"], f"--{name}={word!r}", checked=False)
    command = dice.choice([*READING])
    fields = dataclasses.fields(getattr(options, READING[command]))
    name = dice.choice([f.name.rstrip("_") for f in fields if f.name not in ("run", "data")])
    number = [dice.choice("123")] if command == "figure" else []
    words = [command, *number, "run-ring", f"--{name}={word}"]
    return Case(words, f"{command} --{name}={word!r}", checked=False)


def environment(work: Path, dice: random.Random) -> Case:
    """A command in an environment with invalid variables and closed streams (`wear`)."""
    words = dice.choice(
        [on_ring(), ["evaluate", "run-ring", "--quality", "False"], ["recipes"], ["--version"],
         ["sample", "run-array"], ["train", "mnist", *SMALL, "--folder", "new"], ["runs", "."]]
    )  # fmt: skip
    return Case(words, "environment", checked=False)


def wear(dice: random.Random) -> None:
    """Set invalid environment variables, close streams, and replace standard output and error."""
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
            place = dice.choice([os.devnull, "/dev/full"])
            stream = open(place, "w", encoding=encoding)  # noqa: PTH123, SIM115
            setattr(sys, name, dice.choice([stream, None]))


KINDS: dict[str, Make] = {
    "run folder": run_folder,
    "shared folder": shared,
    "array": array,
    "archive": archive,
    "cache": cache,
    "option": option,
    "environment": environment,
}

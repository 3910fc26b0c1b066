"""The rows of `same_game.py`, and the process that plays them in one of the two trees.

    PYTHONPATH=TREE/src python same_game_rows.py OUT --data FOLDER --updates N --rows NAME ...

The trees may differ in modules, layout and the names of options, so that this file uses only what
stays: `advnets.train`, `resume` and `load`, `advnets.recipes.get`, `advnets.data.ArrayConfig`, the
fields of configurations (renamed ones by `RENAMED`), and the files of a run folder. Of each row it
leaves the run folder `OUT/ROW/run` and `samples.safetensors`, or one line that says why not.
"""

import argparse
import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from safetensors.torch import save_file

import advnets
import advnets.recipes

C = TypeVar("C")
Mode = Literal["whole", "resumed", "handed over", "two processes"]
"""'resumed': from the middle, each tree its own run. 'handed over': begun by the other commit and
ended in this tree, against the other commit's own end."""

ABSENT, FAILED = "absent.txt", "failed.txt"
"""Why a row was not played: the tree has no such recipe or option, or an error."""
SAMPLES = 16


def _same(value: Any) -> Any:
    return value


def _complement(value: float) -> float:
    return 1 - value


RENAMED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "compiled": ("compile", _same),
    "average_rate": ("ema_decay", _complement),
    "average_every": ("ema_every", _same),
    "include_input": ("dropout_input", _complement),
    "include_hidden": ("dropout_hidden", _complement),
    "picture_every": ("sample_every", _same),
    "D_scale": ("D_loss_weight", _same),
    "rule": ("optimizer", _same),
}
"""Old name of an option -> its new name, and what the new one is set to for an old value."""


class Absent(Exception):
    """The tree has no such recipe or option."""


@dataclass(frozen=True)
class Row:
    """One comparison: a recipe, with some of its options changed."""

    name: str
    recipe: str
    data: str = ""
    """Which of `write_data`'s arrays; the recipe's own data by default."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Dotted names, the old ones, and values."""
    mode: Mode = "whole"
    quick: bool = True
    """Whether the quick form plays it."""


PAIR = {"model.G.hidden": (48, 40), "model.G.irange": 0.2}
PAIR |= {"model.D.units": (16, 12), "model.D.irange": 0.05}
CONV = {"batch_size": 16, "model.z_dim": 8, "model.G.width": 4, "model.D.width": 4}
CHAIN = {"model.chain.chains": 20, "model.chain.burn_in": 5, "model.chain.thin": 1}
BFLOAT16 = {"model.precision": "bfloat16"}
SECOND = {"model.order": "alternating"}
ODD = {"batch_size": 34}  # 17 examples in each process


def rows(updates: int) -> list[Row]:
    """All rows, for runs of so many updates."""
    half = updates // 2
    faces = PAIR | {
        "model.G.output_inputs": 10,
        "model.below": (20,),
        "model.z_dim": 30,
        "model.first": updates // 3,
    }
    norm_55 = {
        "batch_size": 16,
        "model.G.hidden": (40, 200),
        "model.D.channels": (3, 3, 4),
        "model.D.units": (10,),
        "model.D.irange": 0.05,
    }
    points = {"data.examples": 1_000}
    gsn = {
        f"model.{chain}.{name}": value
        for chain in ("published", "burnt_in")
        for name, value in (("burn_in", 5), ("thin", 1))
    }
    stacked = {"model.hidden": (60, 40), "model.updates": (half + 3,)} | CHAIN
    minimax = {"model.objective": "minimax", "model.k": 2}
    first_stage = faces | {"model.first": 2 * updates // 3}
    return [
        Row("mnist", "mnist", "digits", PAIR),
        Row("mnist bfloat16", "mnist", "digits", PAIR | BFLOAT16),
        Row("mnist alternating", "mnist", "digits", PAIR | SECOND),
        Row("mnist alternating bfloat16", "mnist", "digits", PAIR | SECOND | BFLOAT16),
        Row("mnist minimax k 2", "mnist", "digits", PAIR | minimax),
        Row("mnist alternating k 2", "mnist", "digits", PAIR | SECOND | {"model.k": 2}),
        _compiled("mnist compiled", {}, quick=True),
        _compiled("mnist alternating bfloat16 compiled", SECOND | BFLOAT16, quick=False),
        Row("mnist resumed", "mnist", "digits", PAIR, "resumed"),
        Row("mnist handed over", "mnist", "digits", PAIR, "handed over"),
        Row("mnist two processes", "mnist", "digits", PAIR | ODD, "two processes"),
        Row("mnist-algorithm1", "mnist-algorithm1", "digits", PAIR),
        Row("mnist-algorithm1 two", "mnist-algorithm1", "digits", PAIR | ODD, "two processes"),
        Row("mnist-best", "mnist-best", "digits", PAIR),
        Row("mnist-coordinated", "mnist-coordinated", "digits", PAIR),
        Row("mnist-conditional", "mnist-conditional", "digits", PAIR),
        Row("mnist-conditional handed", "mnist-conditional", "digits", PAIR, "handed over"),
        Row("demo", "demo", "digits", PAIR),
        Row("array", "array", "digits", PAIR),
        Row("tfd", "tfd", "faces", faces),
        Row("tfd resumed in stage 1", "tfd", "faces", first_stage, "resumed"),
        Row("tfd handed over in stage 2", "tfd", "faces", faces, "handed over"),
        Row("cifar10", "cifar10", "centred", PAIR),
        Row("cifar10-conv", "cifar10-conv", "centred", norm_55),
        Row("images", "images", "colours", CONV),
        Row("images float32", "images", "colours", CONV | {"model.precision": "float32"}),
        Row("images resumed", "images", "colours", CONV, "resumed"),
        Row("images two processes", "images", "colours", CONV, "two processes"),
        Row("images-quick", "images-quick", "colours", CONV),
        Row("images-small", "images-small", "colours", PAIR | {"batch_size": 16}),
        Row("images-conditional", "images-conditional", "colours", CONV),
        Row("images-conditional handed", "images-conditional", "colours", CONV, "handed over"),
        Row("ring", "ring", options=points),
        Row("ring resumed", "ring", options=points, mode="resumed"),
        Row("ring two processes", "ring", options=points, mode="two processes"),
        Row("mixture", "mixture", options=points),
        Row("rbm", "rbm", "digits", CHAIN | {"model.hidden": 60}),
        Row("rbm resumed", "rbm", "digits", CHAIN | {"model.hidden": 60}, "resumed"),
        Row("rbm handed over", "rbm", "digits", CHAIN | {"model.hidden": 60}, "handed over"),
        Row("dbn", "dbn", "digits", stacked),
        Row("dbn handed over", "dbn", "digits", stacked, "handed over"),
        Row("dae", "dae", "digits", CHAIN | {"model.hidden": 60}),
        Row("cae", "cae", "digits", CHAIN | {"model.hidden": 60}),
        Row("stacked-cae", "stacked-cae", "digits", stacked),
        Row("stacked-cae handed over", "stacked-cae", "digits", stacked, "handed over"),
        Row("gsn", "gsn", "digits", gsn | {"model.hidden": (40, 30)}),
        Row("gsn handed over", "gsn", "digits", gsn | {"model.hidden": (40, 30)}, "handed over"),
        Row("vae", "vae", "digits", {"model.hidden": (40, 30)}),
        Row("vae resumed", "vae", "digits", {"model.hidden": (40, 30)}, "resumed"),
        Row("vae handed over", "vae", "digits", {"model.hidden": (40, 30)}, "handed over"),
        *_of_section_7(points),
        *_of_related_models(half),
        Row("energy-net", "energy-net", options=points | CHAIN),
    ]


def _of_related_models(half: int) -> list[Row]:
    deep = CHAIN | {"model.hidden": (40, 30)}
    dbm = deep | {"model.updates": (half // 2 + 1, half // 2)}
    return [
        Row("dbm", "dbm", "digits", dbm),
        Row("dbm resumed", "dbm", "digits", dbm, "resumed"),
        Row("mp-dbm", "mp-dbm", "digits", deep),
        Row("sbn", "sbn", "digits", {"model.hidden": (40, 30)}),
        Row("sbn resumed", "sbn", "digits", {"model.hidden": (40, 30)}, "resumed"),
    ]


def _of_section_7(points: Mapping[str, Any]) -> list[Row]:
    few = {"model.D_hidden": (20, 12), "model.G_hidden": (20,), "model.labels": 50}
    unet = {"batch_size": 16, "model.z_dim": 8, "model.G.width": 4, "model.D.width": 4}
    return [
        Row("mnist-bigan", "mnist-bigan", "digits", PAIR | {"model.E.hidden": (20,)}),
        Row("ring-bigan", "ring-bigan", options=points),
        Row("mnist-inpainting", "mnist-inpainting", "digits", PAIR),
        Row("mnist-inpainting resumed", "mnist-inpainting", "digits", PAIR, "resumed"),
        Row("images-inpainting", "images-inpainting", "colours", unet),
        Row("table-imputation", "table-imputation", "digits", {"model.G.hidden": (20,)}),
        Row("mnist-100-labels", "mnist-100-labels", "digits", few),
    ]


def _compiled(name: str, options: Mapping[str, Any], *, quick: bool) -> Row:
    options = {**PAIR, **options, "model.compiled": True}
    return Row(name, "mnist", "digits", options, quick=quick)


def write_data(folder: Path, n: int = 500) -> None:
    """Write the arrays that stand for the recipes' data: ten noisy patterns with their labels."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {"digits": (1, 28, 28), "faces": (1, 48, 48), "colours": (3, 32, 32)}
    for seed, (name, shape) in enumerate(shapes.items()):
        rng = np.random.default_rng(seed)
        y = np.arange(n) % 10
        x = rng.random((10, *shape))[y] * (rng.random((n, *shape)) > 0.2)
        x[..., :3] = 0  # as the border of MNIST, which never changes
        np.savez(folder / f"{name}.npz", x=(255 * x).astype(np.uint8), y=y)
        if name == "colours":
            np.savez(folder / "centred.npz", x=(2 * x - 1).astype(np.float32), y=y)


def changed(config: C, name: str, value: Any) -> C:
    """The configuration with one option changed: by its dotted name, or by what that became.

    Raises:
        Absent: Where there is no such option.
    """
    first, _, rest = name.partition(".")
    own = {f.name for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    new, convert = RENAMED.get(first, (first, _same))
    if first in own:
        new, convert = first, _same
    if new not in own:
        raise Absent(f"{type(config).__name__} has no option '{first}'")
    value = changed(getattr(config, new), rest, value) if rest else convert(value)
    settings = {new: value}
    return dataclasses.replace(config, **settings)  # type: ignore[type-var]


def configured(row: Row, updates: int, data: Path) -> advnets.RunConfig:
    """The configuration of a row in this tree. Raises `Absent` where the tree knows it not."""
    half = updates // 2
    schedule = {"steps": updates, "log_every": max(1, updates // 10), "score_every": half}
    schedule |= {"picture_every": half, "checkpoint_every": half}
    options = {f"trainer.{name}": value for name, value in schedule.items()}
    options |= {"evaluation.samples": 100, "evaluation.validation": 40}
    try:
        config = advnets.recipes.get(row.recipe)
    except ValueError as error:
        raise Absent(str(error)) from None
    if row.data:
        array = changed(advnets.data.ArrayConfig(), "path", str(data / f"{row.data}.npz"))
        config = changed(config, "data", array)
    for name, value in (options | dict(row.options)).items():
        config = changed(config, name, value)
    return config


def play(row: Row, out: Path, *, updates: int, data: Path, begun: Path | None = None) -> None:
    """Play a row, and draw samples from what it trained.

    Args:
        row: What to play.
        out: Where its folder goes.
        updates: Updates of the run.
        data: The folder of `write_data`.
        begun: The other tree's `out`, where the row is handed over: the run goes on from the
            middle of that one.
    """
    run = out / row.name / "run"
    if begun is not None:
        shutil.copytree(begun / row.name / "run", run)
    else:
        advnets.train(configured(row, updates, data), run)
    if row.mode == "resumed" or begun is not None:
        last_checkpoint(run).unlink()
        advnets.resume(run)
    if os.environ.get("RANK", "0") != "0":
        return
    trained = advnets.load(run, checkpoint="last")
    drawn = {"samples": trained.sample(SAMPLES, seed=1)}
    sampler: Any = trained.sampler()
    if hasattr(sampler, "decode"):
        model: Any = trained.config.model
        z = torch.rand(SAMPLES, model.z_dim, generator=torch.Generator().manual_seed(0))
        asked = {"context": torch.tensor(3)} if model.conditional else {}
        drawn["decoded"] = sampler.decode(2 * z - 1, **asked)
    save_file({name: x.contiguous() for name, x in drawn.items()}, samples_file(out, row.name))


def last_checkpoint(run: Path) -> Path:
    """The newest checkpoint of a run folder."""
    numbered = [p for p in (run / "checkpoints").glob("*.safetensors") if p.stem.isdecimal()]
    return max(numbered, key=lambda path: int(path.stem))


def samples_file(out: Path, row: str) -> Path:
    """Where the samples of a row are; the last thing that is written of it."""
    return out / row / "samples.safetensors"


def play_all(chosen: Sequence[Row], out: Path, **settings: Any) -> None:
    """Play rows one after the other; of one that cannot be played, say why in its folder."""
    port = int(os.environ.get("MASTER_PORT", "0"))
    for number, row in enumerate(chosen):
        os.environ["MASTER_PORT"] = str(port + number)  # a store may not have closed its own yet
        (out / row.name).mkdir(parents=True, exist_ok=True)
        try:
            play(row, out, **settings)
        except Exception as error:
            reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            where = ABSENT if isinstance(error, Absent) else FAILED
            (out / row.name / where).write_text(reason, encoding="utf-8")


def main() -> None:
    """Play some rows in the tree that PYTHONPATH names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--rows", nargs="+", required=True)
    parser.add_argument("--begun", type=Path, help="the other tree's OUT, to go on from")
    options = parser.parse_args()
    src = os.environ["PYTHONPATH"].split(os.pathsep)[0]
    if not Path(advnets.__file__).resolve().is_relative_to(Path(src).resolve()):
        sys.exit(f"imported {advnets.__file__}, which is not in {src}")
    torch.set_flush_denormal(True)  # as the command has it, before the first thread starts
    chosen = [row for row in rows(options.updates) if row.name in options.rows]
    settings = {"updates": options.updates, "data": options.data, "begun": options.begun}
    play_all(chosen, options.out, **settings)


if __name__ == "__main__":
    main()

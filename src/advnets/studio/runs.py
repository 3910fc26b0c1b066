"""A trained run as the page is told of it: its networks, samples, real pictures and history."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.choices import Format, Which
from advnets.base.protocols import Completes, Encodes, Examples
from advnets.base.rng import generator
from advnets.base.terminal import printable
from advnets.data import Splits
from advnets.data.masks import Masks, mask_shape
from advnets.extensions.conditionals import Unseen
from advnets.plotting import images
from advnets.runs import inference, loaded
from advnets.runs.run import Run
from advnets.sampling.samplers import GeneratorSampler
from advnets.storage.run_folder import RunDir
from advnets.studio import weights
from advnets.studio.weights import text

SHEET, SHEET_NUMBERS = 64, 2**20
"""Samples that come with a run, and the most numbers that they may have together."""
NEAR, NEAR_NUMBERS = 1_000, 2**20
TEST, TEST_NUMBERS = 100, 2**17
"""Test images that come with a run."""
CHECKED = 256
TYPICAL = 4_096
"""Inputs that integer weights are rounded for."""
PICTURES, CURVE = 24, 400
LOGGED = ("V", "J", "D_x", "D_Gz")


@dataclass(frozen=True)
class Shown:
    """A run on the page."""

    folder: RunDir
    run: Run | None
    """None where it has no checkpoint yet."""
    why: str = ""
    """Why there is no generator."""

    @property
    def name(self) -> str:
        """What the page calls it."""
        return printable(self.folder.path.name or str(self.folder.path))

    @cached_property
    def splits(self) -> Splits:
        """The run's data. Raises `BadValue` where it is not the same by now."""
        if self.run is None:
            raise errors.bad_value("run", "one with a checkpoint", self.why)
        return self.run.splits()


def opened(path: Path, which: Which = "best") -> Shown:
    """A run to be shown; one that is being trained may have no checkpoint yet.

    Args:
        path: Its folder.
        which: The checkpoint with the best validation score, or the last.

    Raises:
        BadFile: When the folder is no run's.
    """
    folder = RunDir(path)
    if folder.latest(lambda _: None) is None:
        why = "This run has no checkpoint yet: its curves are shown as it goes."
        return Shown(folder, None, why)
    run = loaded.load(path, checkpoint=which)
    run.samplers()  # refuses a model that cannot be sampled
    return Shown(folder, run)


def identity(folder: RunDir) -> str:
    """Tells a folder from any other that is served at the same address later."""
    return str(folder.path.stat().st_ino)


def newest(folder: RunDir) -> int | None:
    """The update of the newest checkpoint, by its name; None where there is none."""
    found = [
        int(p.stem)
        for p in (folder.path / "checkpoints").glob("*.safetensors")
        if p.stem.isdecimal()
    ]
    return max(found, default=None)


def described(shown: Shown, *, how: Format, say: Callable[[str], object]) -> dict[str, Any]:
    """All that the page is told, as JSON will hold it."""
    facts = shown.folder.data()
    told: dict[str, Any] = {
        "name": shown.name,
        "id": identity(shown.folder),
        "newest": newest(shown.folder),
        "why": shown.why,
        "shape": facts.event_shape,
        "pictures": [int(path.stem) for path in pictures(shown.folder)],
        "curves": curves(shown.folder),
    }
    if shown.run is None:
        return told
    run = shown.run
    told |= {"update": run.update, "checkpoint": run.checkpoint, "span": run.span()}
    told |= {"completes": isinstance(run.learner, Completes), "encoder": _encoder(shown, run, how)}
    told |= {"uploads": 0 <= facts.low <= facts.high <= 1}
    return told | _generator(run, how) | _real(shown, run, say)


def _generator(run: Run, how: Format) -> dict[str, Any]:
    """The first sampler: what it draws, and its weights where the page can compute with them."""
    sampler = run.sampler()
    shape = sampler.event_shape
    n = max(1, min(SHEET, SHEET_NUMBERS // int(torch.Size(shape).numel())))
    context = getattr(sampler, "context", None)
    told: dict[str, Any] = {"classes": () if context is None else context.names, "layers": None}
    if isinstance(run.learner, Completes):  # beside z its G takes m x and m
        told["told"] = int(torch.Size(shape).numel() + torch.Size(mask_shape(shape)).numel())
    if not isinstance(sampler, GeneratorSampler):
        return told | {"sheet": _sheet(run.sample(n, seed=0))}
    z, c = sampler.latents(n, seed=0), sampler.contexts(n, seed=0)
    told |= {"prior": type(sampler.prior).__name__.lower(), "z_dim": sampler.prior.dim}
    told |= {"sheet": _sheet(sampler.decode(z, context=c), z, _encoded(sampler, c))}
    if weights.layers(sampler.G) is None:
        return told
    rows = _inputs(sampler, TYPICAL if how == "int8" else 1, seed=2)
    sent, arrived = weights.packed(sampler.G, how, rows)
    error = cost(sampler.G, arrived, _inputs(sampler, CHECKED, seed=1))
    return told | {"layers": sent, "format": weights.kinds(sent), "error": error}


def _inputs(sampler: GeneratorSampler, n: int, *, seed: int) -> Tensor:
    """Inputs of G as the page gives them: z, and beside it a context or a masked sample."""
    z, c = sampler.latents(n, seed=seed), _encoded(sampler, sampler.contexts(n, seed=seed))
    if c is not None:
        return torch.cat((z, c.to(z)), dim=1)
    if not isinstance(sampler.G, Unseen):
        return z
    shape = mask_shape(sampler.event_shape)
    laws = ("pixels", "rectangle", "nothing") if len(shape) == 3 else ("pixels", "nothing")
    mask = Masks(laws, shape).draw(n, rng=generator(seed, "masks")).to(z)
    x = sampler.decode(z.roll(1, dims=0)).to(z)
    return torch.cat((z, (x * mask).flatten(1), mask.flatten(1)), dim=1)


def _encoded(sampler: GeneratorSampler, c: Tensor | None) -> Tensor | None:
    return None if c is None or sampler.context is None else sampler.context.encode(c)


def cost(G: torch.nn.Module, arrived: torch.nn.Module, rows: Tensor) -> dict[str, float]:
    """How far outputs of the weights that are sent lie from those of the run: mean and largest."""
    apart = (weights.outputs(G, rows) - weights.outputs(arrived, rows)).abs()
    return {"mean": apart.mean().item(), "largest": apart.max().item(), "samples": len(rows)}


def _sheet(x: Tensor, z: Tensor | None = None, c: Tensor | None = None) -> dict[str, Any]:
    sheet: dict[str, Any] = {"n": len(x), "x": floats(x)}
    return sheet | {name: floats(t) for name, t in (("z", z), ("c", c)) if t is not None}


def floats(x: Tensor) -> str:
    """A tensor as float32, in base 64."""
    return text(x.detach().float().cpu().numpy().astype("<f4"))


def _encoder(shown: Shown, run: Run, how: Format) -> dict[str, Any] | None:
    """E(x) for the page: its layers, or why there are none; None for a model without a G(z)."""
    sampler = run.sampler()
    plain = isinstance(sampler, GeneratorSampler) and sampler.context is None
    if not plain or isinstance(run.learner, Completes) or not images.is_image(sampler.event_shape):
        return None
    assert isinstance(sampler, GeneratorSampler)
    if isinstance(run.learner, Encodes):
        E: Any = getattr(run.learner, "E", None)
    elif not inference.place(run.folder).exists():
        fit = f"advnets encode {shlex.quote(str(run.folder.path))} --fit"
        return {"why": f"This run has no encoder yet. One is fitted with: {fit}"}
    else:
        try:
            E = inference.load(run.folder, sampler)
        except errors.BadFile as error:
            return {"why": str(error)}
    if E is None or weights.layers(E) is None:
        return {"layers": None}
    x, y = _pictures(shown, sampler, TYPICAL if how == "int8" else 1)
    sent, arrived = weights.packed(E, how, x.flatten(1))
    apart = (inference.encode(E, y) - inference.encode(arrived, y)).abs()
    return {"layers": sent, "format": weights.kinds(sent), "error": apart.mean().item()}


def _pictures(shown: Shown, sampler: GeneratorSampler, n: int) -> tuple[Tensor, Tensor]:
    """What an encoder sees: real training pictures and samples, and others to check it with.

    Samples alone where the data is not at hand.
    """
    x = sampler.decode(sampler.latents(n, seed=2)).float()
    y = sampler.decode(sampler.latents(CHECKED, seed=1)).float()
    try:
        train, test = shown.splits.train.x, shown.splits.test.x
    except errors.UserError:
        return x, y
    some = torch.linspace(0, len(train) - 1, min(n, len(train))).long()
    return torch.cat((x, train[some].float())), test[:CHECKED].float() if len(test) else y


def _real(shown: Shown, run: Run, say: Callable[[str], object]) -> dict[str, Any]:
    """Training images to look for the nearest among, and test images to be worked on.

    None of either where the data is not at hand.
    """
    nothing: dict[str, Any] = {"near": None, "test": None}
    if not images.is_image(run.sampler().event_shape):
        return nothing
    try:
        splits = shown.splits
    except errors.UserError as error:
        say(f"{run.folder.path}: no training or test images beside the samples: {error}")
        return nothing
    train, test, span = splits.train.x, splits.test.x, run.span()
    n = _fitting(train, NEAR, NEAR_NUMBERS)
    near = _bytes(train, torch.linspace(0, len(train) - 1, n).long(), span)
    if not (m := _fitting(test, TEST, TEST_NUMBERS)):
        return nothing | {"near": near}
    return {"near": near, "test": _bytes(test, torch.arange(m), span)}


def _fitting(x: Examples, most: int, most_numbers: int) -> int:
    return min(len(x), most, most_numbers // int(torch.Size(x.shape[1:]).numel()))


def _bytes(x: Examples, rows: Tensor, span: tuple[float, float]) -> dict[str, Any]:
    """Some images, each number as a byte of the span."""
    low, high = span
    scaled = ((x[rows].float() - low) / (high - low)).clamp(0, 1).mul(255).round()
    return {"n": len(rows), "of": len(x), "x": text(scaled.cpu().numpy().astype(np.uint8))}


def pictures(folder: RunDir) -> list[Path]:
    """Pictures of the training, evenly chosen, links left out."""
    found = [path for path in folder.pictures() if path.is_file() and not path.is_symlink()]
    if len(found) <= PICTURES:
        return found
    return [found[i * (len(found) - 1) // (PICTURES - 1)] for i in range(PICTURES)]


def curves(folder: RunDir) -> list[list[float | None]]:
    """Rows of the log: update, V, J, D(x), D(G(z)); evenly thinned."""
    rows = [row for record in folder.records() if (row := row_of(record)) is not None]
    step = max(1, -(-len(rows) // CURVE))
    return rows[::step]


def row_of(record: dict[str, Any]) -> list[float | None] | None:
    """What the page draws of a line of the log; None where it has nothing of it."""
    if "V" not in record:
        return None
    return [record["update"], *(record.get(name) for name in LOGGED)]


def as_script(described: dict[str, Any]) -> str:
    """A run as a script, which a page from `file://` can load: JSON, and nothing that runs."""
    told = json.dumps(described, allow_nan=False).replace("<", "\\u003c")
    return f"(globalThis.studio_runs ??= []).push({told});\n"

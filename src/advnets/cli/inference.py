"""The commands `advnets encode` and `advnets reconstruct`: z of pictures, and back."""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor

from advnets.base import errors, files
from advnets.base.terminal import say, tell
from advnets.cli.completion import MOST, examples
from advnets.cli.options import DataPlace
from advnets.cli.parsing import parse
from advnets.evaluation.neighbours import nearest
from advnets.extensions.inference.regression import CODE, RegressionConfig
from advnets.plotting import images
from advnets.runs import loaded as trained
from advnets.runs.inference import Reconstruction, place
from advnets.runs.loaded import Which
from advnets.runs.run import Run
from advnets.sampling import samplers
from advnets.storage import checkpoints


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """Infer the z of pictures or rows, or first fit an encoder to what a run's G makes of z."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    images: Path | None = None
    """A folder or zip of pictures, one picture, or a `.npy` array."""
    out: Path | None = None
    """Where to: NAME.npy, an array (N, z_dim). RUN/z.npy by default."""
    fit: bool = False
    """Fit the encoder anew and keep it beside the run, which stays as it is."""
    steps: int = 5_000
    """With --fit: updates."""
    target: str = CODE
    """What is inferred: 'z', or the output of a module of G by its name, such as net.3."""
    weights: str | None = None
    """Which of the model's samplers, the first by default: a game's 'raw' or 'averaged' weights."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""


@dataclass(frozen=True, kw_only=True)
class ReconstructOptions:
    """Show pictures beside G(E(x)), what search makes of it, and the nearest training picture."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    images: Path | None = None
    """A folder or zip of pictures, one picture, or a `.npy` array."""
    out: Path | None = None
    """Where to: NAME.png for the picture, or NAME.npy for the z that search ends at.
    RUN/reconstructions.png, or .npy for examples that are no pictures."""
    steps: int = 300
    """Updates of the search."""
    starts: int = 3
    """Random starts of the search, beside E(x)."""
    between: int = 0
    """Draw so many pictures on the way in z from each picture to the next one instead."""
    seed: int = 0
    """The seed of the random starts."""
    weights: str | None = None
    """Which of the model's samplers, the first by default: a game's 'raw' or 'averaged' weights."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """Where the run's data lies by now, when it has been moved."""


def encode(words: list[str]) -> int:
    """The command `advnets encode`."""
    options = parse(EncodeOptions, words, prog="advnets encode")
    out = options.out or options.run / "z.npy"
    files.output(out, (".npy",))
    if options.images is None and not options.fit:
        raise errors.bad_value("images", "given, or --fit", "nothing")
    run = trained.load(options.run, checkpoint=options.checkpoint)
    x = None if options.images is None else examples(run, options.images)
    if options.fit:
        config = RegressionConfig(steps=options.steps, target=options.target)
        run.fit_encoder(config, weights=options.weights, say=say)
        tell(f"Encoder of {options.target}: {place(run.folder, options.target)}")
    if x is not None:
        z = run.encode(x, target=options.target, weights=options.weights)
        _save(out, z)
        tell(f"{options.target} of {len(z)} examples, update {run.update}: {out}")
    return 0


def reconstruct(words: list[str]) -> int:
    """The command `advnets reconstruct`."""
    options = parse(ReconstructOptions, words, prog="advnets reconstruct")
    errors.at_least(0, between=options.between, steps=options.steps, starts=options.starts)
    at = options.data
    run = trained.load(
        options.run, checkpoint=options.checkpoint, data_path=at.path, data_root=at.root
    )
    pictures = images.is_image(run.folder.data().event_shape)
    suffixes = (*images.FORMATS, ".npy") if pictures else (".npy",)
    out = options.out or options.run / f"reconstructions{suffixes[0]}"
    files.output(out, suffixes)
    x = examples(run, options.images)
    found = run.reconstruct(
        x,
        steps=options.steps,
        starts=options.starts,
        seed=options.seed,
        weights=options.weights,
    )
    if out.suffix.lower() == ".npy":
        _save(out, found.z_search)
    elif options.between:
        line = run.between(found, options.between, weights=options.weights)
        _draw(out, run, line.flatten(0, 1), columns=options.between)
    else:
        cells = _sheet(run, found)
        _draw(out, run, cells.flatten(0, 1), columns=4)
    tell(_errors(found, run.update, out))
    return 0


def _sheet(run: Run, found: Reconstruction) -> Tensor:
    """x, G(E(x)), after search, nearest training picture: `(rows, 4, C, H, W)`."""
    train = run.splits().train.x
    x, decoded, searched = (t[:MOST] for t in (found.x, found.decoded, found.searched))
    near = train[nearest(x, train).number]
    return torch.stack([x, decoded, searched, near], dim=1)


def _errors(found: Reconstruction, update: int, out: Path) -> str:
    def rms(x: Tensor) -> float:
        return (x - found.x).square().mean().sqrt().item()

    return (
        f"{len(found.x)} examples, update {update}: root mean square error a number "
        f"{rms(found.decoded):.4f} of G(E(x)), {rms(found.searched):.4f} after search: {out}"
    )


def _draw(out: Path, run: Run, x: Tensor, *, columns: int) -> None:
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.atomic_path(out) as aside:
        images.save_samples(aside, x, span=run.span(), columns=columns)


def _save(out: Path, z: Tensor) -> None:
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.atomic_path(out) as aside:
        samplers.save_array(aside, z)

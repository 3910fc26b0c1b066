"""The commands `advnets encode` and `advnets reconstruct`: z of pictures, and back."""

from pathlib import Path

import torch
from torch import Tensor

from advnets.base import errors, files
from advnets.base.choices import CODE
from advnets.base.protocols import Encodes
from advnets.base.terminal import say, tell
from advnets.cli.completion import MOST, examples
from advnets.cli.extension_options import EncodeOptions, ReconstructOptions
from advnets.evaluation.neighbours import nearest
from advnets.extensions.inference.regression import RegressionConfig
from advnets.plotting import images
from advnets.runs import loaded as trained
from advnets.runs.inference import Reconstruction, generator_of, load, place, refuse_one
from advnets.runs.run import Run
from advnets.sampling import samplers
from advnets.storage import checkpoints


def encode(options: EncodeOptions) -> int:
    """The command `advnets encode`."""
    out = options.out or options.run / "z.npy"
    files.output(out, (".npy",))
    if options.images is None and not options.fit:
        raise errors.bad_value("images", "given, or --fit", "nothing")
    run = trained.load(options.run, checkpoint=options.checkpoint)
    x = None if options.images is None else examples(run, options.images)
    if not options.fit:
        _refuse_unfitted(run, options, options.target)
    else:
        config = RegressionConfig(steps=options.steps, target=options.target)
        run.fit_encoder(config, weights=options.weights, say=say)
        tell(f"Encoder of {options.target}: {place(run.folder, options.target)}")
    if x is not None:
        z = run.encode(x, target=options.target, weights=options.weights)
        _save(out, z)
        tell(f"{options.target} of {len(z)} examples, update {run.update}: {out}")
    return 0


def reconstruct(options: ReconstructOptions) -> int:
    """The command `advnets reconstruct`."""
    errors.at_least(0, steps=options.steps, starts=options.starts)
    need = "0 or at least 2"
    errors.require(options.between == 0 or options.between >= 2, "between", need, options.between)
    at = options.data
    run = trained.load(
        options.run, checkpoint=options.checkpoint, data_path=at.path, data_root=at.root
    )
    pictures = images.is_image(run.folder.data().event_shape)
    suffixes = (*images.FORMATS, ".npy") if pictures else (".npy",)
    out = options.out or options.run / f"reconstructions{suffixes[0]}"
    files.output(out, suffixes)
    x = examples(run, options.images)
    if options.between:
        refuse_one(x)
    _refuse_unfitted(run, options, CODE)
    found = run.reconstruct(
        x,
        steps=options.steps,
        starts=options.starts,
        seed=options.seed,
        weights=options.weights,
    )
    array = out.suffix.lower() == ".npy"
    if options.between:
        line = run.between(found, options.between, weights=options.weights)
        if array:
            _save(out, line)
        else:
            _draw(out, run, line.flatten(0, 1), columns=options.between)
    elif array:
        _save(out, found.z_search)
    else:
        cells = _sheet(run, found)
        _draw(out, run, cells.flatten(0, 1), columns=4)
    tell(_errors(found, run.update, out))
    return 0


def _refuse_unfitted(run: Run, options: EncodeOptions | ReconstructOptions, target: str) -> None:
    """Raise where no encoder is fitted to the weights asked; the error says how to fit one."""
    if target == CODE and isinstance(run.learner, Encodes):
        return
    asked = {"--weights": options.weights, "--checkpoint": options.checkpoint}
    given = {name: word for name, word in asked.items() if word not in (None, "best")}
    sampler = generator_of(run.sampler(options.weights), run.config.model.kind)
    words = [word for pair in given.items() for word in pair if word is not None]
    load(run.folder, sampler, target, asked=words)


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


def _save(out: Path, array: Tensor) -> None:
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.atomic_path(out) as aside:
        samplers.save_array(aside, array)

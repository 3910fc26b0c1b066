"""Films of a run: its training, by the pictures that it kept, and a walk through z."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from advnets.base import errors, files
from advnets.base.protocols import LatentSampler
from advnets.plotting import film, images
from advnets.plotting.images import Pixels
from advnets.runs.run import Run
from advnets.sampling.interpolation import closed_walk
from advnets.sampling.priors import Gaussian, Spherical
from advnets.sampling.samplers import class_rows
from advnets.storage.run_folder import RunDir

Say = Callable[[str], object]

MOST_BYTES, MOST_PIXELS = 2**26, 2**24
"""Limits of a picture; larger files are not from a run."""
CORNERS = 4
"""Draws from the prior that a walk passes."""
CELLS, CELLS_OF_A_CLASS, POINTS = 16, 4, 8
"""Walks in a frame: a square of pictures, so many in the row of each class, or points."""
WIDTH = 420
"""About the width of a frame of a walk, in pixels."""
CLOUD = 1_000
"""Samples that a walk through points in the plane is drawn over."""
TRAIL = 8
"""Frames for which a point of a walk leaves a trail."""


def of_training(folder: RunDir, *, frames: int, say: Say) -> list[Pixels]:
    """The pictures of samples that a run kept, one a frame, with their updates.

    Args:
        folder: The run's folder.
        frames: The most frames; of more pictures, evenly chosen ones, the first and last included.
        say: Is told of pictures that are left out because they are damaged.

    Raises:
        BadFile: For a run with fewer than two pictures.
    """
    errors.at_least(2, frames=frames)
    found = [(path, read) for path in folder.pictures() if (read := _read(path, say)) is not None]
    if len(found) < 2:
        need = "at least two pictures in samples/ (--trainer.sample-every says how often one comes)"
        raise errors.BadFile(f"{folder.path}: must have {need}, got {len(found)}.")
    rows = np.linspace(0, len(found) - 1, min(frames, len(found))).round().astype(int).tolist()
    last = found[-1][1]
    return [
        film.captioned(_fitted(found[i][1], last), f"update {int(found[i][0].stem):,}")
        for i in rows
    ]


def _read(path: Path, say: Say) -> Pixels | None:
    """A picture of a run; None for a damaged one."""
    try:
        with Image.open(io.BytesIO(files.read(path, most=MOST_BYTES))) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels")
            pixels: Pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        say(f"{path}: left out ({errors.short(error, 100)})")
        return None
    return pixels


def _fitted(frame: Pixels, last: Pixels) -> Pixels:
    """A picture in the size of the last one, where an older version drew another."""
    if frame.shape == last.shape:
        return frame
    image = Image.fromarray(frame).resize((last.shape[1], last.shape[0]))
    pixels: Pixels = np.asarray(image)
    return pixels


def walk(
    run: Run,
    *,
    frames: int,
    seed: int = 0,
    weights: str | None = None,
    classes: Sequence[str] = (),
) -> list[Pixels]:
    """A closed walk through z: the frame after the last one is the first.

    Each cell of a frame walks between four draws from the prior, on arcs where the prior is
    Gaussian or spherical and on straight lines elsewhere. The first frame shows samples number 0,
    1, ... of the seed. A conditional model keeps the class of each cell; a row is a class, and a
    column has one z.

    Args:
        run: A run on pictures, or on points in the plane.
        frames: Frames of the whole walk.
        seed: The seed of the draws.
        weights: Name of one of the model's samplers; by default the first.
        classes: For a conditional model: the class of each row; by default up to ten of them.

    Raises:
        BadValue: For a model without z, examples of another shape, or classes that do not fit.
    """
    errors.at_least(2, frames=frames)
    sampler = run.sampler(weights)
    shape = tuple(sampler.event_shape)
    if not isinstance(sampler, LatentSampler):
        raise errors.bad_value("walk", "left out: this model has no z", run.config.model.kind)
    if not (images.is_image(shape) or shape == (2,)):
        got = f"shape ({', '.join(map(str, shape))})"
        raise errors.bad_value("walk", "asked of a run on pictures or points in the plane", got)
    context = getattr(sampler, "context", None)
    rows = [*classes] or (class_rows(sampler) if images.is_image(shape) else [])
    if rows and context is None:
        raise errors.bad_value("class", "left out: the run is not conditional", " ".join(rows))
    n = CELLS_OF_A_CLASS if len(rows) > 1 else CELLS if images.is_image(shape) else POINTS
    z = torch.stack([sampler.latents(n, seed=seed, start=k * n) for k in range(CORNERS)])
    curved = isinstance(getattr(sampler, "prior", None), Gaussian | Spherical)
    path = closed_walk(z, frames, spherical=curved)
    told = _contexts(sampler, rows, n, seed)
    drawn = [_decoded(sampler, at, told, len(rows)) for at in path]
    if not images.is_image(shape):
        return _over_cloud(drawn, run.sample(CLOUD, seed=seed, weights=weights))
    low, high = run.span()
    columns = n if len(rows) > 1 else round(n**0.5)
    return [_frame((x - low) / (high - low), columns) for x in drawn]


def _contexts(sampler: LatentSampler, rows: Sequence[str], n: int, seed: int) -> Tensor | None:
    """The context of each cell, row after row; None without contexts."""
    if not rows:
        return sampler.contexts(n, seed=seed)
    labels = [sampler.context.named(name) for name in rows]  # type: ignore[attr-defined]
    return torch.stack(labels).repeat_interleave(n, dim=0)


def _decoded(sampler: LatentSampler, z: Tensor, told: Tensor | None, rows: int) -> Tensor:
    """G of a z for each cell; every row has the same."""
    return sampler.decode(z.repeat(max(rows, 1), 1), context=told)


def _frame(x: Tensor, columns: int) -> Pixels:
    """Pictures in [0, 1] as one, in colour."""
    plain = images.grid(x, columns=columns)
    pixels: Pixels = images.enlarged(plain, width=WIDTH).repeat(3 // plain.shape[2], axis=2)
    return pixels


def _over_cloud(walked: Sequence[Tensor], cloud: Tensor) -> list[Pixels]:
    """Points that move over samples, each with a trail."""
    path = torch.stack([*walked])
    return [
        images.scatter(cloud, torch.stack([path[i - k] for k in range(min(TRAIL, len(path)))]))
        for i in range(len(path))
    ]

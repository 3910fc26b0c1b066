"""The command `advnets complete`: fill in what is hidden of pictures, or missing in a table."""

from pathlib import Path

import torch
from torch import Tensor

from advnets.base import errors, files
from advnets.base.terminal import tell
from advnets.cli.extension_options import CompleteOptions
from advnets.data import given
from advnets.data.masks import mask_shape
from advnets.extensions.conditionals import read_masks
from advnets.plotting import images
from advnets.runs import loaded as trained
from advnets.runs.run import Run
from advnets.sampling import samplers
from advnets.storage import checkpoints

MOST = 20
"""Rows of a picture."""


def complete(options: CompleteOptions) -> int:
    """The command `advnets complete`."""
    errors.at_least(1, n=options.n)
    errors.one_of(("raw", "averaged"), weights=options.weights)
    if options.erase is not None and options.mask is not None:
        raise errors.bad_value("mask", "given without --erase", options.mask)
    run = trained.load(options.run, checkpoint=options.checkpoint)
    shape = run.folder.data().event_shape
    suffixes = (*images.FORMATS, ".npy") if images.is_image(shape) else (".npy",)
    out = options.out or options.run / f"completions{suffixes[0]}"
    files.output(out, suffixes)
    x = examples(run, options.images)
    mask = _mask(options, shape, len(x))
    _refuse_whole(options, x, mask)
    averaged = options.weights == "averaged"
    found = run.complete(x, mask, n=options.n, seed=options.seed, averaged=averaged)
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.atomic_path(out) as aside:
        if out.suffix.lower() == ".npy":
            samplers.save_array(aside, found)
        else:
            pixels = sheet(x[:MOST], mask, found[:, :MOST], span=run.span())
            images.save_picture(aside, pixels, zoom=max(1, round(56 / max(shape[1:]))))
    tell(f"{options.n} completions each of {len(x)} examples, update {run.update}: {out}")
    return 0


def examples(run: Run, path: Path | None) -> Tensor:
    """The examples that a user gives with --images, as the run's own are."""
    if path is None:
        raise errors.bad_value("images", "given: pictures, or a .npy file", "nothing")
    facts = run.folder.data()
    if path.suffix.lower() != ".npy" and not 0 <= facts.low <= facts.high <= 1:
        need = "a .npy file: the run's examples are no pictures in [0, 1]"
        raise errors.bad_value("images", need, path)
    return given.read(path, facts.event_shape, resize=run.config.data.kind == "images").x


def _mask(options: CompleteOptions, shape: tuple[int, ...], n: int) -> Tensor | None:
    """What is seen, from the options; None leaves it to NaN."""
    if options.mask is not None:
        mask = read_masks(options.mask, shape)
        if len(mask) not in (1, n):
            one = mask_shape(shape)
            need = f"(1 or {n}, {', '.join(map(str, one))})"
            raise errors.wrong_shape(str(options.mask), need, mask.shape)
        return mask
    if options.erase is None:
        if images.is_image(shape) and (options.images or Path()).suffix.lower() != ".npy":
            raise errors.bad_value("erase", "given as x,y,w,h, or --mask FILE", "nothing")
        return None
    return erased(options.erase, shape)


def _refuse_whole(options: CompleteOptions, x: Tensor, mask: Tensor | None) -> None:
    """Raise `BadValue` where no number is hidden."""
    if mask is None and not x.isnan().any():
        need = "NaN where a number is missing, or give --mask"
        raise errors.BadValue(f"'images' must have {need}, got {options.images} without NaN.")
    if mask is not None and mask.all():
        need = "0 where a number is hidden, at least once"
        raise errors.bad_value(str(options.mask), need, "1 everywhere")


def erased(words: str, shape: tuple[int, ...]) -> Tensor:
    """The mask of a picture without a rectangle, `(1, H, W)`.

    Args:
        words: The rectangle, as x,y,w,h.
        shape: `(C, H, W)`.

    Raises:
        BadValue: For other words, a rectangle that does not lie in the picture, or no picture.
    """
    if not images.is_image(shape):
        raise errors.bad_value("erase", "left out: the run's examples are no pictures", words)
    _, height, width = shape
    need = f"x,y,w,h: a rectangle in {width} x {height} pixels"
    try:
        x, y, w, h = (int(word) for word in words.split(","))
    except ValueError:
        raise errors.bad_value("erase", need, words) from None
    inside = 0 <= x < x + w <= width and 0 <= y < y + h <= height
    errors.require(inside, "erase", need, words)
    mask = torch.ones(1, height, width)
    mask[:, y : y + h, x : x + w] = 0
    return mask


def sheet(
    x: Tensor, mask: Tensor | None, found: Tensor, *, span: tuple[float, float]
) -> images.Pixels:
    """A row for each example: what is seen, the completions, their mean and standard deviation.

    Args:
        x: Examples `(N, C, H, W)`.
        mask: As `Run.complete` was given it.
        found: Completions `(n, N, C, H, W)`.
        span: The values drawn black and white. The standard deviation is drawn from 0 to half the
            span, hidden pixels of what is seen in grey.
    """
    low, high = span
    there = ~x.isnan() if mask is None else mask.bool().expand(len(x), 1, *x.shape[2:])
    seen = torch.where(there, x, torch.full((), low + 0.4 * (high - low)))
    columns = [seen, *found, found.mean(dim=0)]
    spread = found.std(dim=0, correction=0) * 2 / (high - low)
    scaled = [(c - low) / (high - low) for c in columns]
    cells = torch.stack([*scaled, spread], dim=1)
    return images.grid(cells.flatten(0, 1), columns=cells.shape[1])

"""Figure 3: images of the linear interpolation between two points in z space.

Two rows. Row r leads from the z of sample 2r to that of sample 2r + 1 of a seed, both ends
included: they are drawn from the training prior and not selected. Points between them have a
smaller norm than draws of the prior, so G was rarely trained on the z in the middle. A conditional
G draws all of a row in the context of its first end.

What is not known of the paper's figure: no script of it was published, nor how its ends were
chosen, nor how many steps it makes. The number of steps here is ours.

Reference: Goodfellow et al. (2014), Figure 3: "linearly interpolating between coordinates in z
space of the full model".
"""

from pathlib import Path

from advnets.base import errors
from advnets.base.protocols import LatentSampler
from advnets.plotting import images
from advnets.runs.run import Run
from advnets.sampling.interpolation import interpolate

ROWS, STEPS = 2, 16
WIDTH = 960
"""Approximate width of the picture in pixels."""


def draw(run: Run, *, seed: int = 0, weights: str | None = None) -> images.Pixels:
    """The figure of a run.

    Args:
        run: A run on images, of a model whose z can be chosen.
        seed: The seed of the ends.
        weights: Which of the model's samplers; by default the model proper.

    Raises:
        BadFile: When the model has no z, or the run's examples are no images.
    """
    sampler = run.sampler(weights)
    if not isinstance(sampler, LatentSampler):
        raise _no_latents(run.folder.path, "3", type(sampler).__name__)
    if not images.is_image(sampler.event_shape):
        raise errors.no_images(run.folder.path, "3", sampler.event_shape)
    ends = sampler.latents(2 * ROWS, seed=seed)
    c = sampler.contexts(2 * ROWS, seed=seed)
    c = None if c is None else c[0::2].repeat_interleave(STEPS, dim=0)
    x = sampler.decode(interpolate(ends[0::2], ends[1::2], STEPS).flatten(0, 1), context=c)
    low, high = run.span()
    picture = images.grid((x - low) / (high - low), columns=STEPS)
    return images.enlarged(picture, width=WIDTH)


def _no_latents(path: Path, figure: str, got: object) -> errors.BadFile:
    """The error for a model without z."""
    need = "a run of a model whose z can be chosen"
    return errors.BadFile(f"{path}: must be {need}, for Figure {figure}, got a {got}.")

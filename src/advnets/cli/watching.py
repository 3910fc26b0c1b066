"""The commands `advnets video` and `advnets compare`."""

import shlex

from advnets.base import errors, files
from advnets.base.terminal import say, tell
from advnets.cli.options import CompareOptions, VideoOptions
from advnets.plotting import film
from advnets.report import compare as comparing
from advnets.runs import film as filming
from advnets.runs import loaded
from advnets.storage import checkpoints
from advnets.storage.run_folder import RunDir

MOST, WALK = 200, 96
"""Frames by default: the most of a training, and those of a walk."""


def video(options: VideoOptions) -> int:
    """The command `advnets video`."""
    _refuse_options_of_a_walk(options)
    frames, fps = options.frames or 0, options.fps
    if options.frames is not None:
        errors.at_least(2, frames=options.frames)
    fps = (24.0 if options.walk else 8.0) if fps is None else fps
    film.refuse_speed(fps)
    name = "walk.gif" if options.walk else "training.gif"
    out = files.output(options.out or options.run / name, film.KINDS)
    film.refuse_kind(out)
    if options.walk:
        run = loaded.load(options.run, checkpoint=options.checkpoint)
        drawn = filming.walk(
            run,
            frames=frames or WALK,
            seed=options.seed or 0,
            weights=options.weights,
            classes=options.class_,
        )
        of, hold = f"a walk through z, update {run.update}", 0.0
    else:
        drawn = filming.of_training(RunDir(options.run), frames=frames or MOST, say=say)
        of, hold = "the training, by the pictures that the run kept", 2.0
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.atomic_path(out) as aside:
        film.save(aside, drawn, fps=fps, hold=hold)
    tell(f"{len(drawn)} frames of {of}: {out}")
    return 0


def _refuse_options_of_a_walk(options: VideoOptions) -> None:
    """Raise for an option of a walk where none is asked for."""
    if options.walk:
        return
    for name in ("seed", "class_", "weights", "checkpoint"):
        value = getattr(options, name)
        if value not in (None, ()):
            got = " ".join(value) if isinstance(value, tuple) else value
            raise errors.bad_value(name.rstrip("_"), "given with --walk", f"{got} without it")


def compare(options: CompareOptions) -> int:
    """The command `advnets compare`."""
    out = files.output(options.out, (".html",))
    members = comparing.opened(options.runs, checkpoint=options.checkpoint)
    text = comparing.page(members, say=say)
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_atomically(out, text.encode())
    tell(f"Comparison of {len(members)} runs: {shlex.quote(str(out))}")
    return 0

"""The pictures of a run: samples during training, and the paper's figures."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from advnets.base import errors, files
from advnets.base.protocols import LatentSampler
from advnets.experiments import FIGURES
from advnets.html import markup
from advnets.html.markup import Picture
from advnets.plotting import images
from advnets.report import embedded
from advnets.runs.run import Run

MOST = 8
"""Most pictures of the training on a page."""
MOST_BYTES, MOST_PIXELS = 2**26, 2**26
"""Limits of a picture; larger files are not from a run."""

CAPTIONS = {
    "2": (
        "Samples, and the training images nearest to some of them",
        "Samples 0 to 19 of seed 0 ({}), none picked. In the yellow border: the training "
        "image at the least Euclidean distance from the sample on its left. A generator that had "
        "learnt its examples by heart would show the same picture twice.",
    ),
    "3": (
        "From one z to another",
        "Each row leads in a straight line from one z to another ({}), both drawn from the prior, "
        "none picked. Midway z is shorter than what the prior draws, and G has seen little of it.",
    ),
}


def over_time(run: Run) -> Markup:
    """Pictures of the same z during training, including early ones."""
    shown = [_shown(path, "update {}") for path in spread(run.folder.pictures(), MOST)]
    whole = [picture for picture in shown if picture is not None]
    if not whole:
        return Markup()
    image = images.is_image(run.folder.data().event_shape)
    behind = "" if image else " Behind them: validation examples."
    kind = "pictures" if image else "pictures plots"
    same = "z" if isinstance(run.sampler(), LatentSampler) else "random numbers"
    about = f"Samples of the same {same} at every update, none picked.{behind}"
    return markup.render("samples.html", {"about": about, "pictures": whole, "kind": kind})


def spread(paths: list[Path], most: int) -> list[Path]:
    """A selection that includes the first and the last, denser at the start."""
    if len(paths) <= most:
        return paths
    chosen: list[int] = []
    for place in np.geomspace(1, len(paths), most).round().astype(int).tolist():
        chosen.append(max(chosen[-1] + 1 if chosen else 0, place - 1))
    return [paths[i] for i in chosen]


def figures(run: Run, say: Callable[[str], object]) -> Markup:
    """The paper's figures; for points, the last picture of samples."""
    found = _figures(run, say) if run.learner.samplers() else []
    return markup.render("figures.html", {"figures": found}) if found else Markup()


def _figures(run: Run, say: Callable[[str], object]) -> list[tuple[str, Picture | str]]:
    """Each figure with its kind, or the reason why it is missing."""
    if not images.is_image(run.sampler().event_shape):
        caption = "Samples on validation examples at update {}. Figures 2 and 3 show images only."
        last = run.folder.pictures()[-1:]
        shown = [_shown(path, caption) for path in last]
        return [("points", picture) for picture in shown if picture is not None]
    return [(f"figure{number}", _numbered(run, number, say)) for number in CAPTIONS]


def _numbered(run: Run, number: str, say: Callable[[str], object]) -> Picture | str:
    """A figure of the paper, or the reason why it is missing."""
    title, meaning = CAPTIONS[number]
    meaning = meaning.format(next(iter(run.learner.samplers())))
    try:
        pixels = FIGURES[number](run)
    except errors.UserError as error:
        why = f"Figure {number} is left out: {error}"
        say(why)
        return why
    file = io.BytesIO()
    images.save_png(file, pixels)
    height, width = pixels.shape[:2]
    return Picture(
        data=file.getvalue(),
        size=(width, height),
        alt=f"{title}.",
        title=f"Figure {number}. {title}.",
        caption=meaning,
    )


def _shown(path: Path, caption: str) -> Picture | None:
    """A picture of the training; None where its file is damaged."""
    found = reduced(path)
    if found is None:
        return None
    data, size, mime = found
    words = caption.format(f"{int(path.stem):,}")
    return Picture(data=data, size=size, alt=f"Samples: {words}", caption=words, mime=mime)


def reduced(path: Path) -> tuple[bytes, tuple[int, int], str] | None:
    """A picture's bytes, size and type, reduced where it is large; None for a damaged one."""
    try:
        data = files.read(path, most=MOST_BYTES)
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            image.load()
            return embedded.within_limits(data, image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None

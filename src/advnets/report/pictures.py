"""The pictures of a run: samples as training went on, and the paper's figures."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from advnets import checks, files, plots
from advnets.experiments import FIGURES
from advnets.page import markup
from advnets.protocols import LatentSampler
from advnets.trained import Run

MOST = 8
"""Pictures of the training that a page shows."""
MOST_BYTES, MOST_PIXELS = 2**26, 2**26
"""A larger file is no picture that a run has drawn."""
BYTES, SIDE = 200_000, 640
"""A picture of more bytes is shown at most so many pixels wide."""

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


def over_time(run: Run) -> list[str]:
    """Pictures of the same random numbers as training went on, early ones among them."""
    paths = spread(run.folder.pictures(), MOST)
    figures = [_figure(path, "update {}") for path in paths]
    if not any(figures):
        return []
    behind = (
        ""
        if plots.is_image(run.folder.data().event_shape)
        else " Behind them: validation examples."
    )
    same = "z" if isinstance(run.sampler(), LatentSampler) else "random numbers"
    about = f"Samples of the same {same} at every update, none picked.{behind}"
    return [markup.paragraph(about), markup.gallery(figures, kind="pictures")]


def spread(paths: list[Path], most: int) -> list[Path]:
    """At most so many, the first and the last among them, closer together at the beginning."""
    if len(paths) <= most:
        return paths
    chosen: list[int] = []
    for place in np.geomspace(1, len(paths), most).round().astype(int).tolist():
        chosen.append(max(chosen[-1] + 1 if chosen else 0, place - 1))
    return [paths[i] for i in chosen]


def figures(run: Run, say: Callable[[str], object]) -> list[str]:
    """The paper's figures; of points, the last picture of them."""
    if not run.learner.samplers():
        return []
    if not plots.is_image(run.sampler().event_shape):
        caption = "Samples on validation examples at update {}. Figures 2 and 3 show images only."
        last = run.folder.pictures()[-1:]
        return [_figure(path, caption, kind="points") for path in last]
    return [_numbered(run, number, say) for number in CAPTIONS]


def _numbered(run: Run, number: str, say: Callable[[str], object]) -> str:
    """A figure of the paper, or the sentence that says why there is none."""
    title, meaning = CAPTIONS[number]
    meaning = meaning.format(next(iter(run.learner.samplers())))
    try:
        pixels = FIGURES[number](run)
    except checks.UserError as error:
        say(f"Figure {number} is left out: {error}")
        return markup.paragraph(f"Figure {number} is left out: {error}", kind="notice")
    file = io.BytesIO()
    plots.save_png(file, pixels)
    height, width = pixels.shape[:2]
    image = markup.picture(file.getvalue(), alt=f"{title}.", size=(width, height))
    caption = f"<strong>Figure {number}. {markup.text(title)}.</strong> {markup.text(meaning)}"
    return markup.figure(image, caption, kind=f"figure{number}")


def _figure(path: Path, caption: str, *, kind: str = "") -> str:
    """A picture of the training; nothing where its file is damaged."""
    found = reduced(path)
    if found is None:
        return ""
    data, size, mime = found
    words = caption.format(f"{int(path.stem):,}")
    image = markup.picture(data, alt=f"Samples: {words}", size=size, kind=mime)
    return markup.figure(image, markup.text(words), kind=kind)


def reduced(path: Path) -> tuple[bytes, tuple[int, int], str] | None:
    """A picture's bytes, size and type, a heavy one made smaller; None for a damaged one."""
    try:
        data = files.read(path, most=MOST_BYTES)
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            image.load()
            if len(data) <= BYTES:
                return data, image.size, "image/png"
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=85)
    return file.getvalue(), small.size, "image/jpeg"

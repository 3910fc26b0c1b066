"""The picture of Table 1: a strip of randomly chosen samples for each row.

Every row shows the samples of the same numbers.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from advnets.experiments.table1.cells import Cell
from advnets.experiments.table1.table import Table
from advnets.plotting import images

WIDTH, LABEL, TILE, GAP = 800, 140, 53, 2
"""Sizes in pixels: the picture, its labels, a sample, and the gap between two samples."""
HEAD = 26
_INK, _GROUND = (20, 20, 20), (255, 255, 255)


def picture(table: Table) -> images.Pixels:
    """All strips of all columns, one below the other, `(height, 800, 3)`."""
    parts: list[Image.Image] = []
    for name, title in table.columns.items():
        cells = [(entry.title, entry.cells.get(name)) for entry in table.entries]
        had = [(label, cell) for label, cell in cells if isinstance(cell, Cell)]
        if had:
            parts += [heading(title), *(strip(label, cell.strip) for label, cell in had)]
    sheet = Image.new("RGB", (WIDTH, max(1, sum(p.height for p in parts))), _GROUND)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return np.asarray(sheet)


def heading(title: str) -> Image.Image:
    """The name of a column."""
    band = Image.new("RGB", (WIDTH, HEAD), _GROUND)
    ImageDraw.Draw(band).text((4, 5), title, fill=_INK, font=_font(15))
    return band


def strip(label: str, samples: Tensor) -> Image.Image:
    """A label and samples `(n, C, H, W)` in [0, 1], in a row."""
    band = Image.new("RGB", (WIDTH, TILE + GAP), _GROUND)
    words = "\n".join(_wrapped(label))
    ImageDraw.Draw(band).multiline_text((4, 6), words, fill=_INK, font=_font(13), spacing=1)
    for i, pixels in enumerate(images.to_pixels(samples.expand(-1, 3, -1, -1))):
        tile = Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.BOX)
        band.paste(tile, (LABEL + i * (TILE + GAP), 0))
    return band


def _wrapped(label: str) -> list[str]:
    """The label in lines that fit beside the samples."""
    lines, font = [""], _font(13)
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > LABEL - 8:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)

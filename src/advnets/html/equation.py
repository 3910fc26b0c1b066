"""Equations as SVG, set by matplotlib from TeX: no script, no font to fetch."""

import io
import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from advnets.plotting.curves import INK, for_a_page

STYLE: Any = {
    "mathtext.fontset": "stix",
    "svg.fonttype": "path",
    "svg.hashsalt": "advnets",
    "text.color": INK,
}
SIZE = 10
"""Points of the text that the drawing is made in; the page shows it at its own size."""


@dataclass(frozen=True, kw_only=True)
class Equation:
    """One line of mathematics, in the colour and size of the text around it.

    Attributes:
        svg: The drawing.
        words: What a screen reader says.
        width: In units of the font's size, as `height` is.
    """

    svg: Markup
    words: str
    width: str
    height: str


def equation(tex: str, words: str, *, name: str) -> Equation:
    """Draw one line of mathematics.

    Args:
        tex: What matplotlib's mathtext reads, without the dollar signs.
        words: The same as it is read aloud.
        name: Begins every id in the drawing: another one for each equation of a page.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure()
        figure.text(0, 0, f"${tex}$", fontsize=SIZE)
        file = io.StringIO()
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        layout: Any = {"bbox_inches": "tight", "pad_inches": 0.02}
        figure.savefig(file, format="svg", transparent=True, metadata=nobody, **layout)
    svg = for_a_page(file.getvalue(), name)
    width, height = (f"{float(v) / SIZE:.2f}" for v in re.findall(r"[\d.]+", svg)[2:4])
    return Equation(svg=svg, words=words, width=width, height=height)

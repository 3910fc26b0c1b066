"""Equations as SVG, drawn by matplotlib from TeX, without scripts or fonts."""

import io
import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from advnets.plotting.curves import INK, NOBODY, for_a_page

STYLE: Any = {
    "mathtext.fontset": "stix",
    "svg.fonttype": "path",
    "svg.hashsalt": "advnets",
    "text.color": INK,
}
SIZE = 10
"""Font size of the drawing in points; the page scales it to its own text."""
PHONE = 16.0
"""Width of the narrowest phone, 320 pixels, in em of an equation."""


@dataclass(frozen=True, kw_only=True)
class Equation:
    """One line of mathematics, in the colour and size of the text around it.

    Attributes:
        svg: The drawing.
        words: Text for screen readers.
        width: In em, like `height`.
    """

    svg: Markup
    words: str
    width: str
    height: str

    @property
    def scrolls(self) -> bool:
        """Whether it is wider than a phone, so that it must be reached by keyboard to scroll."""
        return float(self.width) > PHONE


def equation(tex: str, words: str, *, name: str) -> Equation:
    """Draw one line of mathematics.

    Args:
        tex: Mathtext of matplotlib, without dollar signs.
        words: The equation in words, for screen readers.
        name: Prefix of every id in the drawing, unique on a page.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure()
        figure.text(0, 0, f"${tex}$", fontsize=SIZE)
        file = io.StringIO()
        layout: Any = {"bbox_inches": "tight", "pad_inches": 0.02}
        figure.savefig(file, format="svg", transparent=True, metadata=NOBODY, **layout)
    svg = for_a_page(file.getvalue(), name)
    width, height = (f"{float(v) / SIZE:.2f}" for v in re.findall(r"[\d.]+", svg)[2:4])
    return Equation(svg=svg, words=words, width=width, height=height)

"""Equations as SVG, set by matplotlib from TeX: no script, no font to fetch."""

import io
import re
from typing import Any

from advnets.curves import INK, for_a_page
from advnets.page import markup

STYLE: Any = {
    "mathtext.fontset": "stix",
    "svg.fonttype": "path",
    "svg.hashsalt": "advnets",
    "text.color": INK,
}
SIZE = 10
"""Points of the text that the drawing is made in; the page shows it at its own size."""


def equation(tex: str, *, name: str) -> str:
    """One line of mathematics, in the colour and size of the text around it.

    Args:
        tex: What matplotlib's mathtext reads, without the dollar signs.
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
    width, height = (float(v) / SIZE for v in re.findall(r"[\d.]+", svg)[2:4])
    size = f'width="{width:.2f}em" height="{height:.2f}em"'
    label = f'role="img" aria-label="{markup.text(tex)}"'
    return f'<div class="equation">{svg.replace("<svg ", f"<svg {label} {size} ", 1)}</div>'

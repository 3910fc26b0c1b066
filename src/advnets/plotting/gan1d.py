"""A pair (G, D) in one dimension as a picture: the axes of the paper's Figure 1.

Above, three curves over x as in the paper: p_data dotted black, p_g solid green, D dashed blue,
and thin beside D the optimal one for this G. Below is the z axis with arrows from z to x = G(z):
where they are dense, p_g is high.

Reference: Goodfellow et al. (2014), Figure 1; Okabe and Ito (2008), "Color universal design".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from advnets.plotting.images import Pixels

Array = np.ndarray[Any, np.dtype[np.float64]]

GREEN, BLUE, ORANGE = "#009e73", "#0072b2", "#d55e00"
ARROW = {
    "arrowstyle": "-|>",
    "linewidth": 0.6,
    "color": "#404040",
    "shrinkA": 0,
    "shrinkB": 0,
    "mutation_scale": 7,
}
INSET = (0.25, 0.2, 0.5, 0.72)
"""Position of the inset, in fractions of the axes."""
ROOM = 1.5
"""Height of the density axis, in maxima of p_data; a higher p_g is cut off."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A pair at one moment."""

    title: str
    edges: Array
    """The edges of the cells of the x axis, `(m + 1,)`."""
    p_data: Array
    """Density of the data in each cell, `(m,)`."""
    p_g: Array
    """Density of the samples in each cell, `(m,)`."""
    D: Array
    """D(x) in the middle of each cell, `(m,)`."""
    D_star: Array
    """The optimal D for this G, `(m,)`; NaN where it is undetermined."""
    z: Array
    """Start of the arrows on the z axis, in [0, 1], `(n,)`."""
    G_z: Array
    """End of the arrows, `(n,)`."""
    of_p_data: str
    """How the curve of p_data was computed, where there is a choice."""
    of_p_g: str
    """How the curve of p_g was computed."""
    zoom: tuple[float, float] | None = None
    """A part of the axis that an inset magnifies."""


def panels(snapshots: Sequence[Snapshot]) -> Pixels:
    """Four moments, two by two, under one legend."""
    return _drawn(snapshots, rows=2, size=(10.0, 9.0), dpi=120)


def frame(snapshot: Snapshot) -> Pixels:
    """One moment, as a frame of an animation."""
    return _drawn([snapshot], rows=1, size=(6.4, 4.8), dpi=100)


def _drawn(
    snapshots: Sequence[Snapshot], *, rows: int, size: tuple[float, float], dpi: int
) -> Pixels:
    """Snapshots in rows under one legend, as pixels."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # the reader's own style must not change the picture
        mpl.rcParams.update({"font.size": 11})
        figure = Figure(figsize=size, dpi=dpi, layout="constrained")
        canvas: Any = FigureCanvasAgg(figure)
        parts = figure.subfigures(rows, len(snapshots) // rows, squeeze=False).flat
        handles: list[Any] = []
        for part, snapshot in zip(parts, snapshots, strict=True):
            curves, lines = part.subplots(2, 1, height_ratios=[3, 1.1])
            handles = _curves(curves, snapshot)
            _arrows(lines, snapshot)
        for handle, name in zip(handles, _names(snapshots), strict=True):
            handle.set_label(name)
        figure.legend(handles=handles, loc="outside upper center", ncols=2 * rows, frameon=False)
        canvas.draw()
        pixels: Pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    return pixels


def _names(snapshots: Sequence[Snapshot]) -> list[str]:
    """Legend entries of the four curves; for p_g, how it was computed in each panel."""
    made: dict[str, str] = {}
    for s in snapshots:
        made[s.of_p_g] = f"{made.get(s.of_p_g, '')} {s.title.split()[0]}".strip()
    ways = [how if len(made) == 1 else f"{where} {how}" for how, where in made.items()]
    data = f" ({snapshots[0].of_p_data})" if snapshots[0].of_p_data else ""
    p_g = f"$p_g$ ({'; '.join(ways)})"
    return [f"$p_{{data}}${data}", p_g, "$D$", "$D^*_G$, the best D for this G"]


def _curves(axes: Any, s: Snapshot) -> list[Any]:
    """The densities, and D on a second axis; returns handles for a legend."""
    handles, chance = _lines(axes, s)
    chance.set_yticks([0, 0.5, 1], labels=["0", "½", "1"], color=BLUE)
    chance.tick_params(length=0)
    for ax in (axes, chance):
        ax.set_xlim(s.edges[0], s.edges[-1])
        ax.spines[["top", "left"]].set_visible(False)
        ax.spines["right"].set_visible(ax is chance)
    axes.set_xticks([])
    axes.set_title(s.title, fontsize=11)
    if s.zoom is not None:
        inset = axes.inset_axes(INSET)
        _, above = _lines(inset, s)
        above.set_yticks([])
        inset.set_xlim(*s.zoom)
        inset.set_xticks(s.zoom, labels=[f"{end:g}" for end in s.zoom], fontsize=9)
        above.patch.set_visible(True)  # it is the lower of the two, and over the curves of D
        above.set_zorder((axes.get_zorder() + chance.get_zorder()) / 2)
    return handles


def _lines(axes: Any, s: Snapshot) -> tuple[list[Any], Any]:
    """The four curves; the axis that D is on."""
    centres = (s.edges[1:] + s.edges[:-1]) / 2
    chance = axes.twinx()
    chance.axhline(0.5, color="#b0b0b0", linewidth=0.7, zorder=1)
    star = chance.plot(centres, s.D_star, color=ORANGE, linewidth=0.9)
    D = chance.plot(centres, s.D, color=BLUE, linewidth=1.8, dashes=(5, 2))
    g = axes.plot(centres, s.p_g, color=GREEN, linewidth=1.8)
    data = axes.plot(centres, s.p_data, color="black", linewidth=1.8, linestyle=":")
    axes.set_zorder(chance.get_zorder() + 1)  # densities over D
    axes.patch.set_visible(False)
    axes.set_ylim(0, ROOM * s.p_data.max())
    axes.set_yticks([])
    chance.set_ylim(-0.02, 1.02)
    return [*data, *g, *D, *star], chance


def _arrows(axes: Any, s: Snapshot) -> None:
    """The x axis over the z axis, and arrows from z to G(z)."""
    low, high = s.edges[0], s.edges[-1]
    for height, name in ((1, "$x$"), (0, "$z$")):
        axes.plot([low, high], [height, height], color="black", linewidth=1, clip_on=False)
        axes.annotate(
            name, (low, height), (-6, 0), textcoords="offset points", ha="right", va="center"
        )
    for begin, end in zip(low + (high - low) * s.z, s.G_z, strict=True):
        if low <= end <= high:
            axes.annotate("", xy=(end, 1), xytext=(begin, 0), arrowprops=ARROW)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.05, 1.08)
    axes.axis("off")

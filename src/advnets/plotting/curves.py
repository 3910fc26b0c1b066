"""Curves as SVG that a page can take in: a function of arrays, and the same text every time.

A curve is told from its neighbours by colour (Okabe and Ito's palette, which colour-blind readers
tell apart), by its dashes and by its marker. Colours are left to the page, as CSS variables
`--curve-0`, `--curve-1`, ..., `--rule` and `currentColor`, so that one drawing serves light, dark
and paper.

Reference: Okabe and Ito (2008), "Color universal design".
"""

import contextlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup

Array = np.ndarray[Any, np.dtype[np.float64]]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.3)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")
INK, RULE = "#123456", "#123457"
"""Stand for the page's own colours until the drawing is done."""
GREY = "#cccccc"
ON_A_PAGE = 12.5
"""The size of text in a drawing, 360 wide, so that it is at least 11 pixels high on a telephone. A
wider screen shows it smaller (`.chart text` in the style of the page)."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "advnets",
    "font.size": 10,
    "text.parse_math": False,  # names are shown as they are, dollar signs too
    "text.color": INK,
    "axes.edgecolor": RULE,
    "grid.color": RULE,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
WIDE = 38
"""Letters that two names have room for side by side."""

Limits = tuple[float | None, float | None]
"""The ends of an axis; None where the curves decide."""

POINTS = 300
"""Intervals that a long log is drawn in: about one a pixel of a narrow screen."""
BARS = 12
"""A curve of at most so many points has bars of error, a longer one a band."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity over the updates, or over whatever else the horizontal axis holds."""

    label: str
    x: Array
    y: Array
    error: Array | None = None
    """Half the height of the bars on it (of the band around a long one), where it has any."""
    noise: tuple[Array, Array] | None = None
    """The values that `y` is a mean of, to be drawn faintly: their x and y."""
    joined: bool = True
    """Whether its points are joined by a line; those that are not have a marker each."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """A horizontal line to read a curve against."""

    label: str
    y: float


@dataclass(frozen=True, kw_only=True)
class Across:
    """A horizontal axis that is not the updates."""

    label: str
    limits: tuple[float, float] | None = None
    """Its ends; the first and last of the curves' x by default."""
    log: bool = False
    """Whether it is logarithmic."""


def thinned(x: Array, y: Array, points: int = POINTS) -> tuple[Array, Array]:
    """A long log as it looks from afar: of each interval the lowest and the highest value.

    Args:
        x: Increasing.
        y: Of the same length.
        points: Intervals of equal numbers of values. A log of at most twice as many is kept whole.

    Returns:
        At most `2 * points` of the points given, in their order.
    """
    if len(x) <= 2 * points:
        return x, y
    edges = np.linspace(0, len(x), points + 1).round().astype(int)
    kept: list[int] = []
    for begin, end in pairwise(edges):
        part = y[begin:end]
        kept += sorted({begin + int(part.argmin()), begin + int(part.argmax())})
    return x[kept], y[kept]


def running_mean(y: Array, window: int) -> Array:
    """The mean of the values around each one, `window` of them where there are so many.

    At the ends the window is cut off: fewer values there, never invented ones.
    """
    total = np.concatenate([[0.0], np.cumsum(y)])
    place = np.arange(len(y))
    begin = np.maximum(place - window // 2, 0)
    end = np.minimum(place + (window + 1) // 2, len(y))
    mean: Array = (total[end] - total[begin]) / (end - begin)
    return mean


def smoothed(label: str, x: Array, y: Array, window: int) -> Curve:
    """A noisy quantity: its running mean, on the values as they were logged."""
    if window < 2:
        return Curve(label=label, x=x, y=y)
    some = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
    mean = running_mean(y, window)
    return Curve(label=label, x=x[some], y=mean[some], noise=thinned(x, y))


def draw(
    curves: Sequence[Curve],
    *,
    name: str,
    end: float | None = None,
    across: Across | None = None,
    levels: Sequence[Level] = (),
    limits: Limits | None = None,
    log: bool = False,
    at: float | None = None,
) -> Markup:
    """Curves over the updates, or over another quantity, as an `<svg>` element.

    Args:
        curves: What to draw, the first one on top.
        name: Begins every id in the drawing: another one for each drawing of a page.
        end: The last update of the axis, which begins at 0; of the curves by default.
        across: The horizontal axis, where it is not the updates; `end` is not looked at then.
        levels: Lines to read them against.
        limits: The ends of the vertical axis; from the curves by default.
        log: Whether the vertical axis is logarithmic; values of 0 and below are left out then.
        at: An update (or place on the axis) to mark.
    """
    with _style(STYLE | {"font.size": ON_A_PAGE}):
        figure = _drawing(curves, end, across, levels, limits, log, at)
        file = io.StringIO()
        nobody = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nobody)
    return for_a_page(file.getvalue(), name)


def png(
    curves: Sequence[Curve],
    *,
    end: float | None = None,
    across: Across | None = None,
    levels: Sequence[Level] = (),
    limits: Limits | None = None,
    log: bool = False,
    at: float | None = None,
) -> bytes:
    """The same drawing as a PNG on white, 800 pixels wide, for where no page is around it."""
    with _style(STYLE | {"axes.edgecolor": GREY, "grid.color": GREY}):
        file = io.BytesIO()
        _drawing(curves, end, across, levels, limits, log, at).savefig(file, dpi=160)
    return file.getvalue()


@contextlib.contextmanager
def _style(style: Any) -> Iterator[None]:
    """Inside, matplotlib draws in this style: the reader's own must not change the page."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        yield


def _drawing(
    curves: Sequence[Curve],
    end: float | None,
    across: Across | None,
    levels: Sequence[Level],
    limits: Limits | None,
    log: bool,
    at: float | None,
) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    _dress(axes, curves, log=log)
    for level in levels:
        _level(axes, level)
    if at is not None:
        axes.axvline(at, color=INK, linewidth=0.8, dashes=(1, 2))
    for i, curve in reversed([*enumerate(curves)]):
        _curve(axes, curve, i)
    _horizontal(axes, curves, across, end)
    axes.set_ylim(*limits or (None, None))  # when all is drawn, so that the rest fits
    if len(curves) > 1:
        _legend(axes)
    return figure


def _dress(axes: Any, curves: Sequence[Curve], *, log: bool) -> None:
    """Axes, ticks and rules."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    positive = np.concatenate([curve.y[curve.y > 0] for curve in curves])
    if log and len(positive):
        wide = positive.max() / positive.min() > 1000
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(LogLocator(subs=()))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _horizontal(
    axes: Any, curves: Sequence[Curve], across: Across | None, end: float | None
) -> None:
    """The axis below: the updates from 0 to the end, or what `across` says."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    if across is None:
        last = max(curve.x.max() for curve in curves) if end is None else end
        across = Across(label="updates", limits=(0, 1.02 * max(last, 1)))
    if across.log:
        axes.set_xscale("log", nonpositive="mask")
        axes.xaxis.set_major_locator(LogLocator())
        axes.xaxis.set_minor_locator(LogLocator(subs=()))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    minus = "\N{MINUS SIGN}"
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: thousands(v).replace("-", minus)))
    axes.set_xlabel(across.label)
    if across.limits is None:
        axes.margins(x=0)
    else:
        axes.set_xlim(*across.limits)


def _curve(axes: Any, curve: Curve, i: int) -> None:
    colour = PALETTE[i % len(PALETTE)]
    if curve.noise is not None:
        axes.plot(*curve.noise, color=colour, alpha=0.28, linewidth=0.6, zorder=2)
    if curve.error is not None:
        low, high = curve.y - curve.error, curve.y + curve.error
        if len(curve.x) > BARS:
            axes.fill_between(curve.x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
        else:
            axes.vlines(curve.x, low, high, color=colour, linewidth=1, zorder=2)
    axes.plot(
        curve.x,
        curve.y,
        label=curve.label,
        color=colour,
        linewidth=1.8,
        linestyle=DASHES[i % len(DASHES)] if curve.joined else "none",
        marker=MARKERS[i % len(MARKERS)],
        markersize=4.5,
        markevery=max(1, math.ceil(len(curve.x) / 7)) if curve.joined else 1,
        zorder=4,
    )


def _level(axes: Any, level: Level) -> None:
    axes.axhline(level.y, color=INK, linewidth=0.9, dashes=(6, 3), zorder=3)
    axes.annotate(
        level.label,
        xy=(1, level.y),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        zorder=5,
    )


def _legend(axes: Any) -> None:
    """The names of the curves above the axes, each beside a piece of its line."""
    handles, labels = axes.get_legend_handles_labels()
    two = sum(sorted(map(len, labels))[-2:]) <= WIDE
    axes.figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside upper left",
        ncols=2 if two else 1,
        frameon=False,
        handlelength=2.6,
        handletextpad=0.6,
        borderaxespad=0.2,
        columnspacing=1.2,
    )


def thousands(value: float) -> str:
    """A number of updates, short: 250000 is 250k, 1000000 is 1M.

    Example:
        >>> [thousands(v) for v in (0, 500, 2500, 1e6)]
        ['0', '500', '2.5k', '1M']
    """
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def for_a_page(svg: str, name: str) -> Markup:
    """The drawing without what only a file needs, its ids its own, its colours the page's.

    By hand and not by a template: matplotlib wrote it, escaped it, and only parts of it change.
    """
    box = re.search(r'viewBox="[^"]*"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<style.*?</style>|font-family: [^;\"]*;? ?", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="|href="#|url\(#', lambda found: f"{found[0]}{name}-", body)
    for colour, own in _colours():
        body = body.replace(colour, own)
    return Markup(f"<svg {box[0] if box else ''}>{body}".strip())


def _colours() -> Iterator[tuple[str, str]]:
    yield INK, "currentColor"
    yield RULE, "var(--rule)"
    for i, colour in enumerate(PALETTE):
        yield colour, f"var(--curve-{i})"

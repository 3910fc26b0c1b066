"""Curves as inline SVG: a function of arrays with reproducible text.

Curves differ in colour (Okabe and Ito's palette, which is safe for colour-blind readers), in dashes
and in markers. The page sets the colours as CSS variables `--curve-0`, `--curve-1`, ..., `--rule`
and `currentColor`, so that one drawing serves light, dark and paper.

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
"""Placeholders of the page's colours while the drawing is made."""
GREY = "#cccccc"
ON_A_PAGE = 12.5
"""The size of text in a drawing, 360 wide, so that it is at least 11 pixels high on a phone. A
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
NOBODY: Any = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""A file that does not say by what or when it was made: the same drawing is the same bytes."""
LEVELS: tuple[Any, ...] = ((6, 3), (1.5, 2), (8, 2, 1.5, 2))
"""Dashes of the levels."""
WIDE = 38
"""Letters for which two names fit side by side."""
ROW = 0.24
"""Inches that each further row of the legend adds to the height."""
NARROW = 6.0
"""Ratio of the ends of a logarithmic axis below which its ticks are those of a linear one."""
FEW = 6
"""Values of x that are marked themselves on a logarithmic axis."""

Limits = tuple[float | None, float | None]
"""The ends of an axis; None for the range of the curves."""

POINTS = 300
"""Intervals of a long log: about one for each pixel of a narrow screen."""
BARS = 12
"""Curves of at most so many points have error bars, longer ones an error band."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity over the updates, or over another horizontal axis."""

    label: str
    x: Array
    y: Array
    error: Array | None = None
    """Half the height of the error bars or the error band, if any."""
    noise: tuple[Array, Array] | None = None
    """The values behind the mean `y`, drawn faintly: their x and y."""
    joined: bool = True
    """Whether the points are joined by a line; otherwise each has a marker."""


@dataclass(frozen=True, kw_only=True)
class HLine:
    """A horizontal reference line; levels of the same label share an entry of the legend."""

    label: str
    y: float


@dataclass(frozen=True, kw_only=True)
class XAxis:
    """A horizontal axis other than the updates."""

    label: str
    limits: tuple[float, float] | None = None
    """Its ends; the first and last of the curves' x by default."""
    log: bool = False
    """Whether it is logarithmic."""


def thinned(x: Array, y: Array, points: int = POINTS) -> tuple[Array, Array]:
    """A long log reduced to the minimum and maximum of each interval.

    Args:
        x: Increasing.
        y: Of the same length.
        points: Intervals of equal numbers of values. A log of at most twice as many is not reduced.

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

    At the ends the window has fewer values.
    """
    total = np.concatenate([[0.0], np.cumsum(y)])
    place = np.arange(len(y))
    begin = np.maximum(place - window // 2, 0)
    end = np.minimum(place + (window + 1) // 2, len(y))
    mean: Array = (total[end] - total[begin]) / (end - begin)
    return mean


def smoothed(label: str, x: Array, y: Array, window: int) -> Curve:
    """The running mean of a noisy quantity, drawn over the logged values."""
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
    across: XAxis | None = None,
    levels: Sequence[HLine] = (),
    limits: Limits | None = None,
    log: bool = False,
    at: float | None = None,
) -> Markup:
    """Curves over the updates, or over another quantity, as an `<svg>` element.

    Args:
        curves: The curves, the first one on top.
        name: Prefix of every id in the drawing, unique on a page.
        end: The last update of the axis, which starts at 0; that of the curves by default.
        across: The horizontal axis, where it is not the updates; `end` is ignored then.
        levels: Reference lines.
        limits: The ends of the vertical axis; from the curves by default.
        log: Whether the vertical axis is logarithmic; values of 0 and below are left out then.
        at: An update (or position on the axis) to mark.
    """
    with styled(STYLE | {"font.size": ON_A_PAGE}):
        figure = _drawing(curves, end, across, levels, limits, log, at)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=NOBODY)
    return for_a_page(file.getvalue(), name)


def png(
    curves: Sequence[Curve],
    *,
    end: float | None = None,
    across: XAxis | None = None,
    levels: Sequence[HLine] = (),
    limits: Limits | None = None,
    log: bool = False,
    at: float | None = None,
) -> bytes:
    """The same drawing as a PNG on white, 800 pixels wide."""
    with styled(STYLE | {"axes.edgecolor": GREY, "grid.color": GREY}):
        file = io.BytesIO()
        _drawing(curves, end, across, levels, limits, log, at).savefig(file, dpi=160)
    return file.getvalue()


@contextlib.contextmanager
def styled(style: Any) -> Iterator[None]:
    """Inside, matplotlib draws in this style, whatever the user's settings are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        yield


def _drawing(
    curves: Sequence[Curve],
    end: float | None,
    across: XAxis | None,
    levels: Sequence[HLine],
    limits: Limits | None,
    log: bool,
    at: float | None,
) -> Any:
    from matplotlib.figure import Figure

    named = [*dict.fromkeys(level.label for level in levels)]
    names = [*(curve.label for curve in curves), *named]
    rows = _legend_rows(names)
    figure = Figure(figsize=(5, 3 + ROW * max(0, rows - 1)), layout="constrained")
    axes = figure.subplots()
    _dress(axes, curves, log=log)
    _levels(axes, levels, named)
    if at is not None:
        axes.axvline(at, color=INK, linewidth=0.8, dashes=(1, 2))
    for i, curve in reversed([*enumerate(curves)]):
        _curve(axes, curve, i)
    _horizontal(axes, curves, across, end)
    axes.set_ylim(*limits or (None, None))  # when all is drawn, so that the rest fits
    if len(names) > 1:
        _legend(axes, len(named), 1 if rows == len(names) else 2)
    return figure


def _legend_rows(names: Sequence[str]) -> int:
    """Rows of the legend: two names side by side where they are short."""
    two = sum(sorted(map(len, names))[-2:]) <= WIDE
    return math.ceil(len(names) / 2) if two else len(names)


def _dress(axes: Any, curves: Sequence[Curve], *, log: bool) -> None:
    """Axes, ticks and rules."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    positive = np.concatenate([curve.y[curve.y > 0] for curve in curves])
    if log and len(positive):
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_locator(_of_log(positive))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5)  # the zeros of both axes do not touch
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _of_log(positive: Array) -> Any:
    """Ticks of a logarithmic axis: decades, 1, 2 and 5 of each, or a few round numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    span = positive.max() / positive.min()
    if span < NARROW:
        return MaxNLocator(4)
    return LogLocator(subs=(1.0,) if span > 1000 else (1.0, 2.0, 5.0))


def _horizontal(
    axes: Any, curves: Sequence[Curve], across: XAxis | None, end: float | None
) -> None:
    """The horizontal axis: the updates from 0 to the end, or `across`."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if across is None:
        last = max(curve.x.max() for curve in curves) if end is None else end
        across = XAxis(label="updates", limits=(0, 1.02 * max(last, 1)))
    if across.log:
        axes.set_xscale("log", nonpositive="mask")
        own = np.unique(np.concatenate([curve.x for curve in curves]))
        few = len(own) <= FEW and own.max() < 1000 * own.min()
        axes.xaxis.set_major_locator(FixedLocator(own.tolist()) if few else LogLocator())
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    minus = "\N{MINUS SIGN}"
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: thousands(v).replace("-", minus)))
    axes.set_xlabel(across.label)
    if across.limits is None:
        axes.margins(x=0.02)  # room for the markers at both ends
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


def _levels(axes: Any, levels: Sequence[HLine], named: Sequence[str]) -> None:
    """Levels are named in the legend alone, where no curve can cross their names."""
    for i, label in enumerate(named):
        for j, level in enumerate(level for level in levels if level.label == label):
            own = label if j == 0 else None
            dashes = LEVELS[i % len(LEVELS)]
            axes.axhline(level.y, color=INK, linewidth=1, dashes=dashes, label=own, zorder=3)


def _legend(axes: Any, levels: int, columns: int) -> None:
    """The names of curves and levels above the axes, each beside a piece of its line."""
    handles, labels = axes.get_legend_handles_labels()  # in the order in which they were drawn
    axes.figure.legend(
        [*handles[levels:][::-1], *handles[:levels]],
        [*labels[levels:][::-1], *labels[:levels]],
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        handlelength=2.6,
        handletextpad=0.6,
        borderaxespad=0.2,
        columnspacing=1.2,
    )


def thousands(value: float) -> str:
    """A short number of updates: 250000 is 250k, 1000000 is 1M.

    Example:
        >>> [thousands(v) for v in (0, 500, 2500, 1e6)]
        ['0', '500', '2.5k', '1M']
    """
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def for_a_page(svg: str, name: str) -> Markup:
    """The drawing for a page: without the file header, with unique ids and the page's colours.

    It is edited as text, not by a template: matplotlib wrote and escaped it, and only parts change.
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

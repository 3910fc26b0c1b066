"""Points as inline SVG: scatter plots and histograms in the style of `curves`."""

import io
from collections.abc import Mapping

import numpy as np
import torch
from markupsafe import Markup
from torch import Tensor

from advnets.plotting import curves
from advnets.plotting.curves import Array, Curve, XAxis

BINS = 60
"""Bars of a histogram."""
MARGIN = 0.08
"""Room around the data, as a share of its range."""


def draw(
    x: Array,
    *,
    name: str,
    limits: tuple[tuple[float, float], tuple[float, float]],
    labels: tuple[str, str] = ("x\N{SUBSCRIPT ONE}", "x\N{SUBSCRIPT TWO}"),
    colour: int = 0,
) -> Markup:
    """A scatter plot as an `<svg>` element whose colours are the page's.

    Args:
        x: Points of shape `(n, 2)`.
        name: Prefix of every id in the drawing, unique on a page.
        limits: The ends of both axes.
        labels: The names of both axes.
        colour: The number of the colour in the palette.
    """
    from matplotlib.figure import Figure

    # One path for all points: a stroke of no length with round ends is a dot.
    dots = np.stack([x, x, np.full_like(x, np.nan)], axis=1).reshape(-1, 2)
    style = curves.STYLE | {"font.size": curves.ON_A_PAGE, "path.simplify": False}
    with curves.styled(style):
        figure = Figure(figsize=(5, 4.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(*dots.T, color=curves.PALETTE[colour], linewidth=3.2, solid_capstyle="round")
        axes.set(xlim=limits[0], ylim=limits[1], xlabel=labels[0], ylabel=labels[1])
        axes.set_aspect("equal", adjustable="box")
        axes.grid(linewidth=0.6)
        axes.tick_params(length=0)
        axes.locator_params(nbins=5)
        for side in axes.spines.values():
            side.set_visible(False)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=curves.NOBODY)
    return curves.for_a_page(file.getvalue(), name)


def histogram(named: Mapping[str, Array], *, name: str) -> Markup:
    """Densities of numbers on one axis as an `<svg>` element.

    Args:
        named: Numbers of shape `(n,)` by the name of their curve.
        name: Prefix of every id in the drawing, unique on a page.
    """
    low = min(float(x.min()) for x in named.values())
    high = max(float(x.max()) for x in named.values())
    edges = np.linspace(low, high if high > low else low + 1e-6, BINS + 1)
    steps = np.repeat(edges, 2)
    lines = []
    for label, x in named.items():
        share = np.histogram(x, bins=edges, density=True)[0]
        y = np.concatenate([[0.0], np.repeat(share, 2), [0.0]])
        lines.append(Curve(label=label, x=steps, y=y))
    return curves.draw(lines, name=name, across=XAxis(label="x"), limits=(0.0, None))


def plane(x: Tensor, data: Tensor) -> Array:
    """Points of any dimension in the plane: as they are, or in two principal directions.

    Args:
        x: Points of shape `(n, *event_shape)`.
        data: The examples whose principal directions these are, of shape `(m, *event_shape)`.

    Returns:
        Coordinates of shape `(n, 2)`.
    """
    flat, of_data = (t.detach().cpu().double().flatten(1) for t in (x, data))
    if flat.shape[1] != 2:
        mean = of_data.mean(dim=0)
        directions = torch.linalg.svd(of_data - mean, full_matrices=False).Vh[:2]
        flat = (flat - mean) @ directions.T
    found: Array = flat.numpy()
    return found


def ends(x: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of both axes for points of shape `(n, 2)`, with some room around them."""
    low, high = x.min(axis=0), x.max(axis=0)
    room = MARGIN * float((high - low).max()) + 1e-6
    (a, b), (c, d) = ((float(p) - room, float(q) + room) for p, q in zip(low, high, strict=True))
    return (a, b), (c, d)

"""A label curve as a table, as a drawing and as one page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from advnets.html import markup
from advnets.plotting import curves
from advnets.plotting.curves import Curve, XAxis

LEAD = (
    "Section 7 of the paper hopes that features of the discriminator improve classifiers when few "
    "labels are at hand, or those of an inference net. Here is the test error of classifiers that "
    "begin from this run's D (of a BiGAN: its E), beside untrained networks and what needs none."
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """The test error of one method with one draw of labels."""

    method: str
    labels: int
    draw: int
    error: float
    """Share of test examples."""


@dataclass(frozen=True, kw_only=True)
class LabelCurve:
    """All that was measured."""

    points: Sequence[Point]
    test: int
    run: str
    command: str
    machine: Mapping[str, Any]

    def errors_of(self, method: str, labels: int) -> list[float]:
        """Test errors over the draws."""
        return [p.error for p in self.points if p.method == method and p.labels == labels]

    @property
    def methods(self) -> list[str]:
        """Those that were measured, in the order of the table."""
        return list(dict.fromkeys(p.method for p in self.points))

    @property
    def sizes(self) -> list[int]:
        """The numbers of labels, ascending."""
        return sorted({p.labels for p in self.points})


def stated(values: Sequence[float]) -> str:
    """A mean error in percent +- its standard error over draws.

    Example:
        >>> stated([0.1, 0.12]), stated([0.25]), stated([])
        ('11.00 +- 1.00', '25.00', '')
    """
    if not values:
        return ""
    mean, error = _moments(values)
    return f"{100 * mean:.2f}" + ("" if len(values) == 1 else f" +- {100 * error:.2f}")


def _moments(values: Sequence[float]) -> tuple[float, float]:
    n, mean = len(values), sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / max(1, n - 1)
    return mean, math.sqrt(variance / n)


def rows(curve: LabelCurve) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each method."""
    headings = ["test error, %", *(f"{n:,} labels (draws)" for n in curve.sizes)]
    lines = []
    for method in curve.methods:
        cells = [curve.errors_of(method, n) for n in curve.sizes]
        lines.append([method, *(f"{stated(c)} ({len(c)})" if c else "" for c in cells)])
    return headings, lines


def notes(curve: LabelCurve) -> list[str]:
    """How the numbers are read."""
    return [
        f"Error on {curve.test:,} test examples, +- its standard error over draws of labels. Draws "
        "are stratified and the same for every method; penalties and stopping are chosen on at "
        "most as many validation labels as there are training labels, the test examples are looked "
        "at once."
    ]


def made_with(curve: LabelCurve) -> str:
    """The command, the commit and the machine, in a sentence."""
    at = curve.machine
    return (
        f"Measured by {curve.command} (commit {(at['commit'] or 'unknown')[:7]}, torch "
        f"{at['torch']}, {at['threads']} of {at['cores']} cores, {at['processor']})."
    )


def markdown(curve: LabelCurve) -> str:
    """The table as Markdown."""
    headings, lines = rows(curve)
    table = [headings, ["---"] * len(headings), *lines]
    pipes = "\n".join("| " + " | ".join(line) + " |" for line in table)
    return (
        "\n\n".join(["# Test error against labels", *notes(curve), pipes, made_with(curve)]) + "\n"
    )


def drawing(curve: LabelCurve) -> list[Curve]:
    """Percent against labels, a curve for each method."""
    found = []
    for method in curve.methods:
        at = [n for n in curve.sizes if curve.errors_of(method, n)]
        moments = [_moments(curve.errors_of(method, n)) for n in at]
        mean, error = (np.array([100 * m[i] for m in moments]) for i in (0, 1))
        found.append(Curve(label=method, x=np.array(at, dtype=float), y=mean, error=error))
    return found


def page(curve: LabelCurve) -> str:
    """Everything as one HTML file."""
    headings, lines = rows(curve)
    table = {"caption": "Test error, %", "headings": headings, "rows": lines}
    across = XAxis(label="labels", log=True)
    svg = curves.draw(drawing(curve), name="labels", across=across, log=True)
    chart = markup.Chart("Test error, %", "against labels, with standard errors over draws", svg)
    sections = {
        "The curve": markup.render("curves.html", {"charts": [chart]}),
        "The numbers": markup.render("numbers.html", table),
    }
    values = {
        "title": f"Test error against labels: {curve.run}",
        "kicker": "advnets label-curve",
        "lead": LEAD,
        "notices": [],
        "notes": notes(curve),
        "sections": sections,
        "made_with": made_with(curve),
    }
    return markup.render("study.html", values)

"""The report of one failure: text, tables, charts and pictures, as HTML and as Markdown.

One `FailureReport` gives the section of the HTML page and that of `docs/results/failures.md`, so
that the two cannot say different things.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from advnets.base.files import write_atomically
from advnets.html import markup
from advnets.plotting import curves, images
from advnets.plotting.curves import Curve, HLine, Limits, XAxis
from advnets.plotting.images import Pixels


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers in rows, each named by its first cell; all cells are plain text."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves and the arguments of `curves.draw`."""

    title: str
    meaning: str
    lines: Sequence[Curve]
    across: XAxis | None = None
    levels: tuple[HLine, ...] = ()
    limits: Limits | None = None
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of samples."""

    title: str
    meaning: str
    pixels: Pixels


@dataclass(frozen=True, kw_only=True)
class FailureReport:
    """One failure of the game."""

    name: str
    """One word: the prefix of the ids of its drawings and of its file names."""
    title: str
    says: str
    """The claim of the paper, in our words."""
    measured: Sequence[str]
    """The experiment, its seeds and its results: one string for each paragraph."""
    charts: Sequence[Chart] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    helps: str
    """What usually helps."""


def section(finding: FailureReport) -> Markup:
    """The HTML section of a report."""
    charts = [
        markup.Chart(chart.title, chart.meaning, _svg(chart, f"{finding.name}{i}"))
        for i, chart in enumerate(finding.charts)
    ]
    pictures = [*map(_picture, finding.pictures)]
    values = {"finding": finding, "charts": charts, "pictures": pictures}
    return markup.render("failure_report.html", values)


def _settings(chart: Chart) -> dict[str, object]:
    names = ("across", "levels", "limits", "log")
    return {name: getattr(chart, name) for name in names}


def _svg(chart: Chart, name: str) -> Markup:
    return curves.draw(chart.lines, name=name, **_settings(chart))  # type: ignore[arg-type]


def _picture(picture: Picture) -> markup.Picture:
    height, width = picture.pixels.shape[:2]
    return markup.Picture(
        data=_png(picture.pixels),
        size=(width, height),
        alt=picture.title,
        title=picture.title,
        caption=picture.meaning,
    )


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    images.save_png(file, pixels)
    return file.getvalue()


def markdown(finding: FailureReport) -> str:
    """A report as a section of a Markdown page, whose pictures are `files`."""
    names = [*files(finding)]
    shown: list[Chart | Picture] = [*finding.charts, *finding.pictures]
    pictures = [
        f"![{drawn.title}]({name})\n\n*{drawn.title}.* {drawn.meaning}"
        for name, drawn in zip(names, shown, strict=True)
    ]
    parts = [
        f"## {finding.title}",
        f"**The paper.** {finding.says}",
        *finding.measured,
        *pictures,
        *map(_pipes, finding.tables),
        f"**What usually helps.** {finding.helps}",
    ]
    return "\n\n".join(parts) + "\n"


def _pipes(table: Table) -> str:
    lines = [table.headings, ["---"] * len(table.headings), *table.rows]
    return f"{table.caption}:\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def files(finding: FailureReport) -> Mapping[str, bytes]:
    """The pictures of a report as PNGs by file name: its charts, then its pictures."""
    drawn = [
        curves.png(chart.lines, **_settings(chart))  # type: ignore[arg-type]
        for chart in finding.charts
    ]
    drawn += [_png(picture.pixels) for picture in finding.pictures]
    return {f"failures-{finding.name}-{i}.png": png for i, png in enumerate(drawn)}


def write(findings: Sequence[FailureReport], folder: Path) -> str:
    """Write the PNGs of all reports into a folder, and return the text that shows them."""
    for finding in findings:
        for name, png in files(finding).items():
            write_atomically(folder / name, png)
    return "\n".join(map(markdown, findings))


def counted(seeds: Sequence[int]) -> str:
    """How many seeds, in words.

    Example:
        >>> counted([0]), counted([0, 1])
        ('1 seed', '2 seeds')
    """
    return f"{len(seeds)} seed{'s' * (len(seeds) > 1)}"


def short(value: float) -> str:
    """A number of any size in two or three digits.

    Example:
        >>> short(0.000491), short(0.56), short(7.52), short(75.2), short(18070.0)
        ('0.00049', '0.56', '7.5', '75', '18,100')
    """
    return f"{value:.2g}" if abs(value) < 100 else f"{float(f'{value:.3g}'):,.0f}"


def spread(values: Sequence[float], *, form: str = "") -> str:
    """The mean over several seeds and, in brackets, the smallest and the largest.

    Args:
        values: One a seed.
        form: As `format` has it; `short` by default.

    Example:
        >>> spread([2, 1, 2], form=".1f"), spread([0.1, 0.3])
        ('1.7 [1.0, 2.0]', '0.2 [0.1, 0.3]')
    """

    def written(value: float) -> str:
        text = format(value, form) if form else short(value)
        return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text

    if len(values) == 1:
        return written(values[0])
    mean, low, high = map(written, (sum(values) / len(values), min(values), max(values)))
    return f"{mean} [{low}, {high}]"

"""The cells as a table: as Markdown, as CSV and as one page."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from advnets.experiments.coordination import protocol
from advnets.experiments.coordination.cells import Cell
from advnets.experiments.coordination.methods import METHODS
from advnets.experiments.coordination.on_digits import Score
from advnets.html import markup

LEAD = (
    "Section 7 of the paper hopes for better methods for coordinating G and D and for better "
    "distributions to sample z from. Each method here is a few settings of one game, on data whose "
    "modes can be counted: that of PacGAN, with its measures."
)
MEANING = (
    "Modes: those with at least one of the samples within three standard deviations, at the end of "
    "the run. Sustained: the fewest at any measurement in its last quarter (at its end, for a "
    "method that only draws differently). High quality: the share of samples so near to a mode; "
    "98.9% for the data itself, and more for a G that is too narrow. Reverse KL: how uneven the "
    "modes are among these, in nats (log K where D accepts fewer than one proposal in 10,000, and "
    "nothing is drawn); about {floors} for the data. CPU: seconds of one thread for "
    "the updates. +- is the standard error over seeds."
)
OPEN = (
    "PacGAN's text leaves three details open. Here the examples of a minibatch are split into "
    "packs of m, the players move in turn, and batch normalisation has a scale and a shift."
)


HEADINGS = (
    *("data", "method", "seed", "epochs", "update"),
    *("modes", "high_quality", "reverse_kl", "seconds"),
)


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results of all games."""

    cells: Mapping[str, Mapping[str, Sequence[Cell]]]
    """By data and method, one a seed."""
    digits: Sequence[Score]
    protocol: str
    epochs: float
    samples: int
    command: str
    machine: Mapping[str, Any]
    quick: bool = False

    @property
    def whole(self) -> bool:
        """Whether the protocol is the published one, so that its numbers can be compared."""
        of = protocol.PROTOCOLS[self.protocol]
        judged = self.samples == protocol.SAMPLES
        return of.published and self.epochs == of.epochs and judged


def mean(values: Sequence[float], digits: int, *, percent: bool = False) -> str:
    """The mean over seeds +- its standard error.

    Example:
        >>> mean([8, 7], 1), mean([0.5], 1, percent=True)
        ('7.5 +- 0.5', '50.0%')
    """
    scale, unit = (100, "%") if percent else (1, "")
    n = len(values)
    average = sum(values) / n
    text = f"{scale * average:.{digits}f}{unit}"
    if n == 1:
        return text
    variance = sum((v - average) ** 2 for v in values) / (n - 1)
    return f"{text} +- {scale * math.sqrt(variance / n):.{digits}f}"


def rows(results: Results, data: str) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of one set of modes."""
    K = len(protocol.DATA[data].means())
    headings = ["method", "seeds", f"modes of {K}", "sustained", "all kept", "high quality"]
    headings += ["reverse KL", "CPU (s)"] + ["published"] * results.whole
    lines = []
    for name, cells in results.cells[data].items():
        last = [cell.last for cell in cells]
        line = [
            METHODS[name].title,
            str(len(cells)),
            mean([one.found for one in last], 1),
            mean([cell.sustained for cell in cells], 1),
            f"{sum(cell.sustained == K for cell in cells)} of {len(cells)}",
            mean([one.quality for one in last], 1, percent=True),
            mean([one.KL for one in last], 3),
            mean([cell.seconds for cell in cells], 0),
        ]
        lines.append(line + [METHODS[name].published.get(data, "")] * results.whole)
    return headings, lines


def notices(results: Results) -> list[str]:
    """Warnings above the tables."""
    found = []
    if results.quick:
        found.append("A few updates only (--quick): everything runs, and the numbers mean nothing.")
    if not results.whole:
        found.append(
            f"Networks, rate and length: {_lengths(results)}. This is not the published "
            "protocol, so that no published numbers are shown."
        )
    return found


def notes(results: Results) -> list[str]:
    """The meaning of the columns."""
    floors = ", ".join(
        f"{(len(d.means()) - 1) / (2 * results.samples):.4f} ({name})"
        for name, d in protocol.DATA.items()
    )
    return [MEANING.format(floors=floors), OPEN]


def _lengths(results: Results) -> str:
    of = protocol.PROTOCOLS[results.protocol]
    anneals = ", annealed to 0" if of.anneals else ""
    normalised = "with" if of.normalised else "without"
    return (
        f"'{results.protocol}', G {len(of.G_hidden)} x {of.G_hidden[0]} {normalised} batch "
        f"normalisation, D {len(of.D_units)} x {of.D_units[0]} maxout units of {of.D_pieces} "
        f"pieces, minibatches of {of.batch}, Adam at {of.lr:g}{anneals}, {results.epochs:g} epochs "
        f"of {protocol.PER_EPOCH:,} updates, {results.samples:,} samples judged"
    )


def digits_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the pair on digits."""
    headings = ["method", "updates", "CPU (s)", "validation (nats)", "precision", "recall"]
    return headings, [
        [
            one.title,
            f"{one.updates:,}",
            f"{one.seconds:.0f}",
            f"{one.nats:.1f} +- {one.standard_error:.1f}",
            *("-" if share is None else f"{share:.2f}" for share in (one.precision, one.recall)),
        ]
        for one in results.digits
    ]


def tables(results: Results) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Every table by its title."""
    found = {f"The {data}": rows(results, data) for data in results.cells}
    if results.digits:
        found["The paper's pair on digits, at equal CPU time"] = digits_rows(results)
    return found


def made_with(results: Results) -> str:
    """The command, the commit and the machine, in a sentence."""
    at = results.machine
    return (
        f"Played by {results.command} (advnets {at['advnets']}, commit "
        f"{(at['commit'] or 'unknown')[:7]}, torch {at['torch']}, {at['threads']} of "
        f"{at['cores']} cores, {at['processor']})."
    )


def markdown(results: Results) -> str:
    """The tables as Markdown."""
    parts = ["# Better coordination of G and D", LEAD, *notices(results), *notes(results)]
    for title, (headings, lines) in tables(results).items():
        pipes = "\n".join(
            "| " + " | ".join(line) + " |" for line in [headings, ["---"] * len(headings), *lines]
        )
        parts += [f"## {title}", pipes]
    methods = "\n".join(
        f"- {METHODS[name].title}: {METHODS[name].says}." for name in _asked(results)
    )
    return "\n\n".join([*parts, "## The methods", methods, made_with(results)]) + "\n"


def as_csv(results: Results) -> str:
    """One line a look of a cell."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(HEADINGS)
    for data, found in results.cells.items():
        for name, cells in found.items():
            for c in cells:
                for one in c.looks:
                    seen = one.update, one.found, f"{one.quality:.4f}", f"{one.KL:.4f}"
                    lines.writerow([data, name, c.seed, c.epochs, *seen, f"{c.seconds:.1f}"])
    return text.getvalue()


def page(results: Results) -> str:
    """Everything as one HTML file."""
    sections: dict[str, Markup] = {}
    for title, (headings, lines) in tables(results).items():
        own = {"caption": f"{title}, by method", "headings": headings, "rows": lines}
        sections[title] = markup.render("numbers.html", own)
    said = [[METHODS[name].title, METHODS[name].says] for name in _asked(results)]
    about = {"caption": "What each method changes", "headings": ["method", "changes"], "rows": said}
    sections["The methods"] = markup.render("numbers.html", about)
    values = {
        "title": "Better coordination of G and D",
        "kicker": "advnets coordination",
        "lead": LEAD,
        "notices": notices(results),
        "notes": notes(results),
        "sections": sections,
        "made_with": made_with(results),
    }
    return markup.render("study.html", values)


def _asked(results: Results) -> list[str]:
    return list(next(iter(results.cells.values())))

"""Table 2 as a page, as Markdown, as CSV, and the picture of its trainings."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from advnets.html import markup
from advnets.plotting import curves

PAPER: dict[str, tuple[str, str, str, str]] = {
    "Training": (
        "needs inference while it trains",
        "needs inference while it trains, and a Markov chain for the gradient of log Z",
        "trades mixing against the power to reconstruct",
        "D and G have to keep step; else 'Helvetica'",
    ),
    "Inference": (
        "learned, approximate",
        "variational",
        "by a Markov chain",
        "learned, approximate",
    ),
    "Sampling": ("no difficulty", "needs a Markov chain", "needs a Markov chain", "no difficulty"),
    "Evaluating p(x)": (
        "intractable; AIS approximates it",
        "intractable; AIS approximates it",
        "not explicit; a Parzen window approximates it",
        "not explicit; a Parzen window approximates it",
    ),
    "Model design": (
        "has to suit the inference that is wanted; some kinds of it suit nearly all",
        "careful, to ensure several properties at once",
        "any differentiable function, in theory",
        "any differentiable function, in theory",
    ),
}
"""What the paper's cells say, shortened."""
TINY = "Played in small (--quick): this shows that everything runs. No number says anything."
NOTE = (
    "Data: the 30 pictures of 4 x 4 bars and stripes. Means over seeds. Bias and noise of the "
    "gradient: norms as fractions of the exact gradient's, at one minibatch of all data after 200 "
    "updates; below what chance alone would show, a bias is not seen. Outputs between 0 and 1 are "
    "read as Bernoulli means. Parzen and AIS of the adversarial column: of G with Gaussian noise "
    "of sigma 0.2 on its output, at real pictures. Errors are the estimate less the exact value."
)


@dataclass(frozen=True)
class Cell:
    """One number."""

    what: str
    value: float | None
    unit: str

    def __str__(self) -> str:
        """The number, its unit and what it is."""
        if self.value is None:
            return self.what
        number = f"{self.value:.3g}" if isinstance(self.value, float) else f"{self.value}"
        return f"{number}{' ' if self.unit else ''}{self.unit} {self.what}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole table."""

    columns: Mapping[str, Mapping[str, list[Cell]]]
    """Rows and their numbers, by column."""
    models: Mapping[str, str]
    """What stands for each column."""
    courses: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    """CPU seconds and KL of a training of each."""
    machine: Mapping[str, Any]
    command: str
    plan: Any
    quick: bool = False


def paper(row: str, column: str, table: Table) -> str:
    """What the paper says there."""
    return PAPER[row][list(table.columns).index(column)]


def markdown(table: Table) -> str:
    """A table of the paper's words with the numbers under them."""
    names = list(table.columns)
    lines = [f"**{TINY}**", ""] if table.quick else []
    lines += [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines.append(f"| Here | {' | '.join(table.models.values())} |")
    for row in PAPER:
        cells = [
            "; ".join([f"*{paper(row, c, table)}*", *(_escaped(n) for n in table.columns[c][row])])
            for c in names
        ]
        lines.append(f"| **{row}** | {' | '.join(cells)} |")
    return "\n".join([*lines, "", NOTE, "", origin(table), ""])


def _escaped(cell: Cell) -> str:
    return str(cell).replace("|", "\\|")


def origin(table: Table) -> str:
    """Command, machine and plan."""
    known = ("commit", "processor", "threads", "python", "torch")
    at = ", ".join(f"{k} {table.machine[k]}" for k in known if table.machine.get(k) is not None)
    return f"Made by `{table.command}`: {at}. Plan: {table.plan}."


def as_csv(table: Table) -> str:
    """One line a number."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["row", "column", "paper", "quantity", "value", "unit"])
    for row in PAPER:
        for column, rows in table.columns.items():
            for cell in rows[row]:
                value = "" if cell.value is None else f"{cell.value:.6g}"
                words = paper(row, column, table)
                lines.writerow([row, column, words, cell.what, value, cell.unit])
    return file.getvalue()


def drawn(table: Table) -> list[curves.Curve]:
    """KL against CPU seconds, a curve a column."""
    return [
        curves.Curve(label=column, x=np.array(seconds), y=np.array(kl))
        for column, (seconds, kl) in table.courses.items()
    ]


def _across(table: Table) -> curves.XAxis:
    end = max(seconds[-1] for seconds, _ in table.courses.values())
    return curves.XAxis(label="CPU seconds", limits=(0.0, max(end, 1e-3)))


def picture(table: Table) -> bytes:
    """The trainings as a PNG."""
    return curves.png(drawn(table), across=_across(table), log=True)


def page(table: Table) -> str:
    """The table as one page, nothing fetched."""
    chart = markup.Chart(
        "KL(data || model) over CPU seconds",
        "of one training of each column, seed 0; nats, logarithmic.",
        curves.draw(drawn(table), name="kl", across=_across(table), log=True),
    )
    body = markup.render(
        "table2.html",
        {
            "columns": list(table.columns),
            "models": list(table.models.values()),
            "rows": {
                row: [
                    (paper(row, c, table), [str(cell) for cell in table.columns[c][row]])
                    for c in table.columns
                ]
                for row in PAPER
            },
            "charts": [chart],
            "notes": [*([TINY] if table.quick else []), NOTE, origin(table).replace("`", "")],
        },
    )
    return str(
        markup.render(
            "page.html",
            {
                "title": "Table 2, measured",
                "kicker": "Generative Adversarial Nets, Section 6",
                "sections": {"The table": body},
            },
        )
    )

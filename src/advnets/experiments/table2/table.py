"""Table 2 as a page, as Markdown, as CSV, and the picture of its trainings."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from advnets.html import markup
from advnets.plotting import curves

PAPER: dict[str, tuple[str, str, str, str]] = {
    "Training": (
        "Inference needed during training.",
        "Inference needed during training. MCMC needed to approximate partition function gradient.",
        "Enforced tradeoff between mixing and power of reconstruction generation",
        "Synchronizing the discriminator with the generator. Helvetica.",
    ),
    "Inference": (
        "Learned approximate inference",
        "Variational inference",
        "MCMC-based inference",
        "Learned approximate inference",
    ),
    "Sampling": (
        "No difficulties",
        "Requires Markov chain",
        "Requires Markov chain",
        "No difficulties",
    ),
    "Evaluating p(x)": (
        "Intractable, may be approximated with AIS",
        "Intractable, may be approximated with AIS",
        "Not explicitly represented, may be approximated with Parzen density estimation",
        "Not explicitly represented, may be approximated with Parzen density estimation",
    ),
    "Model design": (
        "Nearly all models incur extreme difficulty",
        "Careful design needed to ensure multiple properties",
        "Any differentiable function is theoretically permitted",
        "Any differentiable function is theoretically permitted",
    ),
}
"""The paper's cells, in its words (arXiv 1406.2661)."""
TINY = "A few updates only (--quick): this shows that everything runs. No number says anything."
NOTE = (
    "Numbers are means over seeds. Pictures are weighted by their probability in the data. Bias "
    "and noise of the gradient are fractions of the norm of the exact gradient, after 200 updates, "
    "with all data as the minibatch. A bias that is not larger than chance alone would show is not "
    "significant. Outputs between 0 and 1 are read as Bernoulli means. In the adversarial column, "
    "Parzen and AIS are for G with Gaussian noise of sigma 0.2 on its output, at pictures of the "
    "data (AIS: of 100 examples). An error is the estimate minus the exact value."
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
class Column:
    """What one family has on one data set."""

    rows: Mapping[str, list[Cell]]
    """Numbers by the paper's row."""
    seconds: tuple[float, ...]
    """CPU seconds of one training ..."""
    kl: tuple[float, ...]
    """... and the KL from the data there."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole table."""

    columns: Mapping[str, Mapping[str, Column]]
    """By data set, by the paper's column."""
    about: Mapping[str, str]
    """What each data set is."""
    models: Mapping[str, str]
    """What stands for each column."""
    machine: Mapping[str, Any]
    command: str
    plan: Any
    quick: bool = False


def paper(row: str, column: str, table: Table) -> str:
    """What the paper says there."""
    return PAPER[row][list(table.models).index(column)]


def markdown(table: Table) -> str:
    """A table of the paper's words, with a line of numbers under them for each data set."""
    names = list(table.models)
    lines = [f"**{TINY}**", ""] if table.quick else []
    lines += [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines.append(f"| Here | {' | '.join(table.models.values())} |")
    for row in PAPER:
        words = " | ".join(f"*{paper(row, c, table)}*" for c in names)
        lines.append(f"| **{row}** | {words} |")
        for of, columns in table.columns.items():
            numbers = ("; ".join(_escaped(n) for n in columns[c].rows[row]) for c in names)
            lines.append(f"| {of} | {' | '.join(numbers)} |")
    data = [f"{of}: {words}" for of, words in table.about.items()]
    return "\n".join([*lines, "", *data, NOTE, "", origin(table), ""])


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
    lines.writerow(["row", "column", "paper", "data", "quantity", "value", "unit"])
    for row in PAPER:
        for of, columns in table.columns.items():
            for name, column in columns.items():
                for cell in column.rows[row]:
                    value = "" if cell.value is None else f"{cell.value:.6g}"
                    words = paper(row, name, table)
                    lines.writerow([row, name, words, of, cell.what, value, cell.unit])
    return file.getvalue()


def drawn(columns: Mapping[str, Column]) -> list[curves.Curve]:
    """KL against CPU seconds, a curve a column."""
    return [
        curves.Curve(label=name, x=np.array(column.seconds), y=np.array(column.kl))
        for name, column in columns.items()
    ]


def _across(columns: Mapping[str, Column], name: str = "") -> curves.XAxis:
    end = max(column.seconds[-1] for column in columns.values())
    return curves.XAxis(label=f"CPU seconds{name}", limits=(0.0, max(end, 1e-3)))


def picture(table: Table) -> bytes:
    """The trainings as a PNG, a panel a data set, one under the other."""
    panels = [
        Image.open(
            io.BytesIO(curves.png(drawn(of), across=_across(of, f" ({name})"), log=True))
        ).convert("RGB")
        for name, of in table.columns.items()
    ]
    whole = Image.new("RGB", (max(p.width for p in panels), sum(p.height for p in panels)), "white")
    for n, panel in enumerate(panels):
        whole.paste(panel, (0, sum(p.height for p in panels[:n])))
    file = io.BytesIO()
    whole.save(file, format="PNG", optimize=True)
    return file.getvalue()


def charts(table: Table) -> list[markup.Chart]:
    """The trainings on each data set."""
    return [
        markup.Chart(
            f"KL(data || model) over CPU seconds, {name}",
            "of one training of each column, seed 0; nats, logarithmic.",
            curves.draw(drawn(of), name=f"kl-{n}", across=_across(of), log=True),
        )
        for n, (name, of) in enumerate(table.columns.items())
    ]


def page(table: Table) -> str:
    """The table as one page, nothing fetched."""
    about = [f"{name[0].upper()}{name[1:]}: {words}" for name, words in table.about.items()]
    body = markup.render(
        "table2.html",
        {
            "columns": list(table.models),
            "models": list(table.models.values()),
            "rows": {
                row: [(paper(row, c, table), _numbers(table, row, c)) for c in table.models]
                for row in PAPER
            },
            "charts": charts(table),
            "notes": [
                *([TINY] if table.quick else []),
                *about,
                NOTE,
                origin(table).replace("`", ""),
            ],
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


def _numbers(table: Table, row: str, column: str) -> dict[str, list[str]]:
    """The numbers of a cell, by data set."""
    return {
        of: [str(c) for c in columns[column].rows[row]] for of, columns in table.columns.items()
    }

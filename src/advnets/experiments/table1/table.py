"""The table as Markdown and as CSV, one line for each cell."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advnets.evaluation.parzen import BLUR
from advnets.experiments.table1.cells import Cell
from advnets.experiments.table1.rows import ColumnName, Published

NOT_RUN = "not run"
TINY = (
    "**Played in small (`--quick`): this shows that everything runs. No number says anything of a "
    "model.**"
)
PROTOCOL = (
    "Parzen log-likelihood, nats an example, sigma chosen on validation images. MNIST: mean over "
    "the test images, +- the standard error over them; the checkpoint is the best by validation "
    "score. TFD: one model, trained on the unlabelled images of fold 0, at its last checkpoint, "
    "because fold 0's validation images are test images of other folds; mean over five folds, +- "
    "the standard error across them (deviation of the five over root 5)."
)

TOOK = (
    "Training: the run's own clock, its updates alone. 10,000 samples: the seconds that they took "
    "here. Effective samples: the samples over the integrated autocorrelation time of the slowest "
    "of their ten leading principal directions; it does not see a burn-in that is too short. A "
    "sigma with a star is at the edge of its grid."
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row with its cells."""

    title: str
    paper: Mapping[ColumnName, Published]
    cells: Mapping[ColumnName, Cell | str]
    """The score, or why there is none."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole table."""

    columns: Mapping[ColumnName, str]
    """The requested columns and their titles."""
    notices: Sequence[str]
    """The notices beside its scores."""
    entries: Sequence[Entry]
    machine: Mapping[str, Any]
    """The environment of scoring (`environment.environment`)."""
    command: str
    quick: bool = False


def scored(entry: Entry, column: ColumnName) -> str:
    """A score as the table prints it, or that it was not run."""
    cell = entry.cells.get(column)
    return _score(cell) if isinstance(cell, Cell) else NOT_RUN


def _score(cell: Cell) -> str:
    return f"{cell.mean:.1f} +- {_known(cell.standard_error, 1)}"


def _known(error: float, digits: int) -> str:
    """A standard error; one example has none."""
    return "unknown" if math.isnan(error) else f"{error:.{digits}f}"


def summary(table: Table) -> tuple[list[str], list[list[str]]]:
    """The headings and rows of the table, with the paper's scores and ours."""
    headings, names = ["model"], list(_names(table))
    for name in names:
        headings += [f"{name}, paper", f"{table.columns.get(name, name)}, here"]
    rows = []
    for entry in table.entries:
        row = [entry.title]
        for name in names:
            row += [str(entry.paper.get(name, "")), scored(entry, name)]
        rows.append(row)
    return headings, rows


def _names(table: Table) -> tuple[ColumnName, ...]:
    return ("MNIST", "TFD")


def markdown(table: Table) -> str:
    """The table, the cost and the run of each cell, and why cells are empty."""
    headings, rows = summary(table)
    parts = [
        TINY if table.quick else "",
        *(f"**The data is {notice}**" for notice in table.notices),
        _machine(table),
        pipes(headings, rows),
        f"{PROTOCOL} {BLUR}",
        *(_took(table, name) for name in table.columns),
        TOOK,
        *(_runs(table, name) for name in table.columns),
        _reasons(table),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def pipes(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _had(table: Table, name: ColumnName) -> list[tuple[Entry, Cell]]:
    cells = [(entry, entry.cells.get(name)) for entry in table.entries]
    return [(entry, cell) for entry, cell in cells if isinstance(cell, Cell)]


def _took(table: Table, name: ColumnName) -> str:
    headings = [
        f"{table.columns[name]}",
        "nats",
        "sigma",
        "samples",
        "training",
        "10,000 samples (s)",
        "chains, burn-in, every",
        "effective samples",
    ]
    rows = [[entry.title, *_details(cell)] for entry, cell in _had(table, name)]
    return pipes(headings, rows) if rows else ""


def _details(cell: Cell) -> list[str]:
    mixing, seconds = cell.evaluation.lines[0].mixing, cell.facts.get("training_seconds")
    edge = any(map(cell.evaluation.at_edge, cell.evaluation.lines))
    return [
        _score(cell),
        ", ".join(f"{sigma:.3f}" for sigma in cell.sigmas) + ("*" if edge else ""),
        f"{cell.samples:,}",
        duration(seconds) if seconds else "",
        f"{cell.seconds / cell.samples * 10_000:.1f}" if cell.facts.get("run") else "",
        f"{mixing.chains:,}, {mixing.burn_in:,}, {mixing.thin:,}" if mixing else "",
        f"{mixing.effective:,.0f}" if mixing else "",
    ]


def duration(seconds: float) -> str:
    """Minutes and seconds, or seconds alone."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _runs(table: Table, name: ColumnName) -> str:
    rows, seen = [], set()
    for entry, cell in _had(table, name):
        facts = cell.facts
        if facts.get("run") and facts["run"] not in seen:
            seen.add(facts["run"])
            commit = (facts.get("commit") or "unknown")[:7]
            where = f"{facts['processor']}, {_threads(facts['threads'])}"
            rows.append(
                [entry.title, f"{facts['update']:,}", commit, where, f"`{facts['command']}`"]
            )
    headings = [f"{table.columns[name]}: run", "update", "commit", "machine", "command"]
    return "\n\n".join([pipes(headings, rows), *_deviations(table, name)]) if rows else ""


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def _deviations(table: Table, name: ColumnName) -> list[str]:
    found = {
        cell.facts["run"]: cell.facts["differs"] for _, cell in _had(table, name) if cell.facts
    }
    return [
        f"`{run}` differs from its recipe: "
        + ", ".join(f"{key} {own!r} (recipe {need!r})" for key, (need, own) in differs.items())
        + "."
        for run, differs in found.items()
        if differs
    ]


def _reasons(table: Table) -> str:
    reasons = {
        f"- {entry.title}, {title}: {why}"
        for entry in table.entries
        for name, title in table.columns.items()
        if isinstance(why := entry.cells.get(name), str)
    }
    return "Not run:\n\n" + "\n".join(sorted(reasons)) if reasons else ""


def _machine(table: Table) -> str:
    at = table.machine
    return (
        f"Scored by `{table.command}`, commit {(at['commit'] or 'unknown')[:7]}, on {at['cores']} "
        f"cores of {at['processor']} ({_threads(at['threads'])}); Python {at['python']}, torch "
        f"{at['torch']}."
    )


CSV: dict[str, Callable[[Cell], Any]] = {
    "nats": lambda c: f"{c.mean:.4f}",
    "standard_error": lambda c: _known(c.standard_error, 4),
    "sigma": lambda c: " ".join(f"{s:.4f}" for s in c.sigmas),
    "samples": lambda c: c.samples,
    "test_examples": lambda c: sum(fold.test.n for fold in c.evaluation.lines),
    "folds": lambda c: len(c.evaluation.lines),
    "training_seconds": lambda c: _number(c.facts.get("training_seconds")),
    "seconds_per_10000": lambda c: _number(c.seconds / c.samples * 10_000),
    "effective_samples": lambda c: _number(c.effective),
    "chains": lambda c: _of_chain(c, "chains"),
    "burn_in": lambda c: _of_chain(c, "burn_in"),
    "thin": lambda c: _of_chain(c, "thin"),
    "update": lambda c: c.facts.get("update", ""),
    "run": lambda c: c.facts.get("run", ""),
    "commit": lambda c: c.facts.get("commit", ""),
    "command": lambda c: c.facts.get("command", ""),
    "data_notice": lambda c: c.evaluation.notice,
}
"""The values of a line of the CSV, by heading."""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _of_chain(cell: Cell, name: str) -> Any:
    mixing = cell.evaluation.lines[0].mixing
    return "" if mixing is None else getattr(mixing, name)


def as_csv(table: Table) -> str:
    """One line for each cell, with every number and its origin."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["row", "column", "paper", "paper_standard_error", *CSV, "not_run"])
    for entry in table.entries:
        for name in _names(table):
            cell, paper = entry.cells.get(name), entry.paper.get(name)
            if isinstance(cell, Cell):
                numbers, why = [of(cell) for of in CSV.values()], ""
            else:
                numbers, why = [""] * len(CSV), cell or "not asked for"
            said = [paper.mean, paper.standard_error] if paper else ["", ""]
            lines.writerow([entry.title, table.columns.get(name, name), *said, *numbers, why])
    return text.getvalue()

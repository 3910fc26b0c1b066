"""The scores of a run as tables: the metrics, and Parzen scores with their reference rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from advnets.base import errors
from advnets.evaluation.bootstrap import Estimate
from advnets.evaluation.metrics import REAL, Measure, Quality
from advnets.evaluation.protocol import REFERENCES, ChainDiagnostics, Evaluation, Kept
from advnets.html import markup
from advnets.runs.run import Run

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "near": "best near real examples",
}


@dataclass(frozen=True)
class Scores:
    """The scores of a run."""

    result: Evaluation | None
    why: str = ""
    """Why there are no scores."""


def at_hand(run: Run, say: Callable[[str], object]) -> Scores:
    """The scores of this checkpoint from evaluation.json, computed where they are missing."""
    found = kept(run.folder.path / "evaluation.json", run.update, say)
    if found is not None:
        return Scores(found)
    say(f"{run.folder.path}: no scores of update {run.update} are kept here; scoring it first.")
    try:
        return Scores(run.score())
    except errors.UserError as error:
        say(f"Not scored: {error}")
        return Scores(None, why=str(error))


def kept(path: Path, update: int, say: Callable[[str], object]) -> Evaluation | None:
    """The scores in a file, if intact and of this update; a message where they are damaged."""
    if not path.exists():
        return None
    try:
        found = Kept.read(path)
    except errors.BadFile as damaged:
        say(f"{damaged} It is scored anew.")
        return None
    return found if found.update == update else None


LEADING = ("frechet", "recall")
"""The metrics that lead where the data is pictures."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number of the headline, beside that of real examples."""

    title: str
    hint: str
    value: str
    interval: str = ""
    real: str = ""


def headline(scores: Scores, *, image: bool) -> Markup:
    """The main numbers, with those of real examples: for pictures Frechet distance and recall lead.

    Args:
        scores: The scores of the run.
        image: Whether its data is pictures.
    """
    result = scores.result
    if result is None:
        return markup.render("headline.html", {"lead": [], "notice": f"Not scored: {scores.why}"})
    first = result.lines[0].name
    parzen = _parzen(result)
    lead = _leading(result.quality, first) if image and result.quality else []
    of = first if first in REFERENCES else f"samples ({first})"
    n = f"{result.lines[0].test.n:,}"
    meaning = f"Parzen: {n} test examples, {PLUS_MINUS} standard error."
    if lead and result.quality:
        metrics = f"{result.quality.n:,} samples" if result.quality.n else "samples"
        meaning = f"Metrics: {metrics}, 95% bootstrap intervals. {meaning}"
    values = {
        "lead": lead or [parzen],
        "second": [parzen] if lead else [],
        "meaning": f"Of {of}, beside {REAL}. {meaning}",
        "notice": f"The data is {result.notice}" if result.notice else "",
    }
    return markup.render("headline.html", values)


def _parzen(result: Evaluation) -> Number:
    real = [score(line.test) for line in result.lines if line.name == REFERENCES[0]]
    return Number(
        title="Parzen log-likelihood",
        hint="nats per example",
        value=score(result.lines[0].test),
        real=real[0] if real else "",
    )


def _leading(quality: Quality, name: str) -> list[Number]:
    """The leading metrics of the samples of this name, as far as they were measured."""
    rows = {row.name: row.values for row in quality.rows}
    found = []
    for measure in (m for m in quality.measures if m.name in LEADING):
        own, real = (rows.get(of, {}).get(measure.name) for of in (name, REAL))
        if own is not None:
            found.append(
                Number(
                    title=measure.title,
                    hint=BETTER[measure.better],
                    value=_written(own.value),
                    interval=f"{_written(own.low)} to {_written(own.high)}",
                    real=_written(real.value) if real is not None else "",
                )
            )
    return found


def section(scores: Scores, *, image: bool) -> Markup:
    """The tables of scores: for pictures the metrics come first, Parzen and its caveat second."""
    result = scores.result
    if result is None:
        return Markup()
    more = [str(part) for part in (result.classification, result.inception) if part]
    values = {
        "result": result,
        "score": score,
        "notes": " ".join([*result.notes(), *map(str, result.log_p), *more]).replace(
            "+-", PLUS_MINUS
        ),
        "chains": [(line.name, _chains(line.mixing)) for line in result.lines if line.mixing],
        "quality": _quality(result.quality) if result.quality else "",
        "quality_first": image,
    }
    return markup.render("scores.html", values)


def _chains(mixing: ChainDiagnostics) -> list[str]:
    """The diagnostics of Markov chains, as the cells of a row."""
    counts = [f"{count:,}" for count in (mixing.chains, mixing.burn_in, mixing.thin)]
    return [*counts, f"{mixing.tau:,.1f}", f"{mixing.effective:,.0f}", f"{mixing.per_second:,.1f}"]


def score(value: object) -> str:
    """A score with typographic signs."""
    return signed(str(value).removesuffix(" nats").replace("+-", PLUS_MINUS))


def signed(words: str) -> str:
    """A number with a typographic minus."""
    return words.replace("-", "\N{MINUS SIGN}")


def _quality(quality: Quality) -> Markup:
    """The other metrics, one a row, with a column for each set of samples."""
    columns = quality.rows
    counts = {value.n for column in columns for value in column.values.values()}
    counted = f", {max(counts):,} samples each" if len(counts) == 1 else ""

    def found(measure: Measure) -> list[Estimate | None]:
        return [column.values.get(measure.name) for column in columns]

    values = {
        "caption": f"Metrics against held-out examples, with 95% bootstrap intervals{counted}",
        "headings": ["measure", *(column.name for column in columns)],
        "measures": quality.measures,
        "notes": quality.notes(),
        "same_n": len(counts) == 1,
        "better": lambda measure: BETTER[measure.better],
        "found": found,
        "written": _written,
    }
    return markup.render("quality.html", values)


def _written(value: float) -> str:
    return signed(short(value))


def short(value: float) -> str:
    """Three significant digits without powers of ten; whole numbers unchanged.

    Example:
        >>> [short(v) for v in (0.98765, 12.345, 1234.5, 10.0, 0, -0.00123)]
        ['0.988', '12.3', '1,234', '10', '0', '-0.0012']
    """
    if not math.isfinite(value):
        return "\N{EN DASH}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{min(max(digits, 0), 4)}f}"

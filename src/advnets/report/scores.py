"""The scores of a run as tables: Parzen's with its reference lines, and the other measures."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from advnets.base import errors
from advnets.evaluation.bootstrap import Estimate
from advnets.evaluation.metrics import Measure, Quality
from advnets.evaluation.protocol import REFERENCES, Evaluation, Kept, Mixing
from advnets.html import markup
from advnets.runs.loaded import Run

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
BETTER = {
    "lower": "lower is better",
    "higher": "higher is better",
    "near": "best near real examples",
}


@dataclass(frozen=True)
class Scores:
    """What is known of how good a run is."""

    result: Evaluation | None
    why: str = ""
    """Why there are none."""


def at_hand(run: Run, say: Callable[[str], object]) -> Scores:
    """What evaluation.json says of this checkpoint, which is scored where it says nothing of it."""
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
    """The scores in a file, if they are whole and of this update; says where they are damaged."""
    if not path.exists():
        return None
    try:
        found = Kept.read(path)
    except errors.BadFile as damaged:
        say(errors.scored_anew(damaged))
        return None
    return found if found.update == update else None


def headline(scores: Scores) -> Markup:
    """The number that matters, beside the line that says what it is worth."""
    result = scores.result
    if result is None:
        return markup.render("headline.html", {"shown": {}, "notice": f"Not scored: {scores.why}"})
    first = result.lines[0]
    shown = {first.name if first.name in REFERENCES else f"samples ({first.name})": first}
    shown |= {line.name: line for line in result.lines if line.name == REFERENCES[0]}
    values = {
        "shown": {name: score(line.test) for name, line in shown.items()},
        "meaning": f"Parzen log-likelihood of {first.test.n:,} test examples, nats per example, "
        f"{PLUS_MINUS} its standard error.",
        "notice": f"The data is {result.notice}" if result.notice else "",
    }
    return markup.render("headline.html", values)


def section(scores: Scores) -> Markup:
    """The table of scores, what a Parzen score cannot see, and the measures that see more."""
    result = scores.result
    if result is None:
        return Markup()
    values = {
        "result": result,
        "score": score,
        "notes": " ".join(result.notes()).replace("+-", PLUS_MINUS),
        "chains": [(line.name, _chains(line.mixing)) for line in result.lines if line.mixing],
        "quality": _quality(result.quality) if result.quality else "",
    }
    return markup.render("scores.html", values)


def _chains(mixing: Mixing) -> list[str]:
    """How much the samples of Markov chains are worth, as the cells of a row."""
    counts = [f"{count:,}" for count in (mixing.chains, mixing.burn_in, mixing.thin)]
    return [*counts, f"{mixing.tau:,.1f}", f"{mixing.effective:,.0f}", f"{mixing.per_second:,.1f}"]


def score(value: object) -> str:
    """A score as a page writes it, with true signs."""
    return signed(str(value).removesuffix(" nats").replace("+-", PLUS_MINUS))


def signed(words: str) -> str:
    """A number in words, with a true minus."""
    return words.replace("-", "\N{MINUS SIGN}")


def _quality(quality: Quality) -> Markup:
    """The measures beside Parzen's, one a row, with a column for each set of samples."""
    columns = quality.rows
    counts = {value.n for column in columns for value in column.values.values()}
    counted = f", {max(counts):,} samples each" if len(counts) == 1 else ""

    def found(measure: Measure) -> list[Estimate | None]:
        return [column.values.get(measure.name) for column in columns]

    values = {
        "caption": f"What Parzen does not see, with 95% bootstrap intervals{counted}",
        "headings": ["measure", *(column.name for column in columns)],
        "measures": quality.measures,
        "describe": quality.describe,
        "left_out": quality.left_out,
        "same_n": len(counts) == 1,
        "better": lambda measure: BETTER[measure.better],
        "found": found,
        "written": lambda value: signed(short(value)),
    }
    return markup.render("quality.html", values)


def short(value: float) -> str:
    """Three digits that matter, never in powers of ten; a whole number as such.

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

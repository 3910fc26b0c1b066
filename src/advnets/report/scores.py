"""The scores of a run as tables: Parzen's with its reference lines, and the other measures."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from advnets import checks
from advnets.bootstrap import Estimate
from advnets.evaluation import REFERENCES, Evaluation, Kept, Line
from advnets.measures import Measure, Quality
from advnets.page import markup
from advnets.trained import Run

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
    except checks.UserError as error:
        say(f"Not scored: {error}")
        return Scores(None, why=str(error))


def kept(path: Path, update: int, say: Callable[[str], object]) -> Evaluation | None:
    """The scores in a file, if they are whole and of this update; says where they are damaged."""
    if not path.exists():
        return None
    try:
        found = Kept.read(path)
    except checks.BadFile as damaged:
        say(checks.scored_anew(damaged))
        return None
    return found if found.update == update else None


def headline(scores: Scores) -> str:
    """The number that matters, beside the line that says what it is worth."""
    result = scores.result
    if result is None:
        return markup.paragraph(f"Not scored: {scores.why}", kind="notice")
    first = result.lines[0]
    shown = {first.name if first.name in REFERENCES else f"samples ({first.name})": first}
    shown |= {line.name: line for line in result.lines if line.name == REFERENCES[0]}
    boxes = "".join(
        f"<div><span>{markup.text(name)}</span><b>{_score(line.test)}</b></div>"
        for name, line in shown.items()
    )
    what = (
        f"Parzen log-likelihood of {first.test.n:,} test examples, nats per example, "
        "\N{PLUS-MINUS SIGN} its standard error."
    )
    notice = (
        markup.paragraph(f"The data is {result.notice}", kind="notice") if result.notice else ""
    )
    return f'<div class="headline">{boxes}</div>' + markup.paragraph(what, kind="small") + notice


def tables(scores: Scores) -> list[str]:
    """The table of scores, what a Parzen score cannot see, and the measures that see more."""
    result = scores.result
    if result is None:
        return []
    first = result.lines[0]
    headings = ["samples from", f"test, {first.test.n:,}", f"validation, {first.validation.n:,}"]
    headings += ["n", "<i>\N{GREEK SMALL LETTER SIGMA}</i>"]
    notes = " ".join(result.notes()).replace("+-", "\N{PLUS-MINUS SIGN}")
    return [
        markup.table(
            headings,
            [_row(line, starred=result.at_edge(line)) for line in result.lines],
            caption="Parzen log-likelihood, nats per example",
            kind="numbers",
        ),
        markup.paragraph(result.caveat, kind="caveat"),
        markup.paragraph(notes, kind="small"),
        *_chains(result),
        *(_quality(result.quality) if result.quality else []),
    ]


def _row(line: Line, *, starred: bool) -> list[str]:
    star = "*" if starred else ""
    cells = [markup.text(line.name), _score(line.test), _score(line.validation)]
    return [*cells, f"{line.test.centres:,}", f"{line.test.sigma:.4f}{star}"]


def _chains(result: Evaluation) -> list[str]:
    """How much the samples of Markov chains are worth; nothing where there are none."""
    rows = [
        [
            markup.text(line.name),
            *(f"{count:,}" for count in (m.chains, m.burn_in, m.thin)),
            f"{m.tau:,.1f}",
            f"{m.effective:,.0f}",
            f"{m.per_second:,.1f}",
        ]
        for line in result.lines
        if (m := line.mixing) is not None
    ]
    if not rows:
        return []
    headings = ["samples from", "chains", "burn-in", "thinning"]
    headings += ["<i>\N{GREEK SMALL LETTER TAU}</i>", "effective", "a second"]
    meaning = (
        "\N{GREEK SMALL LETTER TAU}: integrated autocorrelation time, in samples of one chain, the "
        "largest over their leading principal directions. Effective: the independent samples that "
        "all n are worth, n / \N{GREEK SMALL LETTER TAU}; a second: of sampling, burn-in and all. "
        "A burn-in that is too short is not seen here."
    )
    return [
        markup.table(headings, rows, caption="Markov chains", kind="numbers"),
        markup.paragraph(meaning, kind="small"),
    ]


def _score(score: object) -> str:
    """A score as a page writes it: true signs, and no break inside."""
    words = str(score).removesuffix(" nats").replace("+-", "\N{PLUS-MINUS SIGN}")
    return _value(words)


def _value(words: str) -> str:
    signed = words.replace("-", "\N{MINUS SIGN}")
    return f'<span class="value">{signed}</span>'


def _quality(quality: Quality) -> list[str]:
    """The measures beside Parzen's, one a row, with a column for each set of samples."""
    measures, columns = quality.measures, quality.rows
    counts = {value.n for column in columns for value in column.values.values()}
    counted = f", {counts.pop():,} samples each" if len(counts) == 1 else ""
    rows = [
        [_measure(m), *(_interval(c.values.get(m.name), not counted) for c in columns)]
        for m in measures
    ]
    meanings = [
        f"<strong>{markup.text(m.title)}</strong>: {markup.text(m.meaning)}" for m in measures
    ]
    caption = f"What Parzen does not see, with 95% bootstrap intervals{counted}"
    headings = ["measure", *(markup.text(column.name) for column in columns)]
    shown = markup.table(headings, rows, caption=caption, kind="numbers quality")
    return [
        *([shown, markup.paragraph(quality.describe, kind="small")] if measures else []),
        *([markup.bullets(meanings, kind="small")] if measures else []),
        *(markup.paragraph(why, kind="small") for why in quality.left_out),
    ]


def _measure(measure: Measure) -> str:
    sense = BETTER[measure.better]
    return f"{markup.text(measure.title)}<small>{markup.text(sense)}</small>"


def _interval(value: Estimate | None, counted: bool) -> str:
    if value is None:
        return "\N{EN DASH}"
    low, high = _value(short(value.low)), _value(short(value.high))
    count = f"<small>n {value.n:,}</small>" if counted else ""
    return f"{_value(short(value.value))}<small>{low} to {high}</small>{count}"


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

"""The report on support size: text and tables."""

import math
from collections.abc import Sequence

from advnets.evaluation.birthday import Birthday
from advnets.experiments.failures.failure_report import FailureReport, Table
from advnets.experiments.failures.support import NEAR, Support


def report(results: Sequence[Support]) -> FailureReport:
    """The section of the page."""
    return FailureReport(
        name="support",
        title="Support size by the birthday paradox",
        says=(
            "The paper proves that p_g converges to p_data where G and D have enough capacity. It "
            "does not say how many different samples a trained G has; Arora and Zhang (2017) "
            "estimate that number from duplicates."
        ),
        measured=(
            "Among s draws from N equally likely values, two are equal with probability 1 - prod "
            "(1 - i / N), about 1 - exp(-s (s - 1) / 2N). If half of all sets of s hold a "
            "duplicate, N = s (s - 1) / (2 log 2).",
            "Two samples count as duplicates when they are closer than a radius within which only "
            f"{NEAR:.0%} of real examples have another real example. The estimate depends on that "
            "radius: for points in the plane it counts places, not points. The row of real "
            "examples is the value of a perfect G.",
        ),
        tables=tuple(map(_table, results)),
        helps=(
            "What helps against mode collapse: one update of D for each of G, larger batches, and "
            "a D that sees several samples at once. A support far below that of the data at the "
            "same radius is a warning even where every single sample looks good."
        ),
    )


def _table(result: Support) -> Table:
    rows = [
        (name, " ".join(_s(b) for b in sizes), " ".join(map(str, sizes)))
        for name, sizes in result.sets.items()
    ]
    return Table(
        caption=(
            f"{result.what[0].upper()}{result.what[1:]}: {result.n:,} of each, duplicates within "
            f"{result.radius:.3g}, seed by seed"
        ),
        headings=("samples of", "s at probability 1/2", "support"),
        rows=rows,
    )


def _s(size: Birthday) -> str:
    return f"{size.s:.1f}" if math.isfinite(size.s) else f"> {size.n}"

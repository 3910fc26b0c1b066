"""Support size in words and tables."""

import math
from collections.abc import Sequence

from advnets.evaluation.birthday import Birthday
from advnets.experiments.failures.finding import Finding, Table
from advnets.experiments.failures.support import NEAR, Support


def finding(results: Sequence[Support]) -> Finding:
    """The section of the page."""
    return Finding(
        name="support",
        title="Support size by the birthday paradox",
        says=(
            "The paper proves that p_g comes to p_data where G and D have no limits. How many "
            "different samples a trained G has, its text leaves open; Arora and Zhang (2017) read "
            "it off duplicates."
        ),
        measured=(
            "Of s draws from N equally likely things two are equal with probability 1 - prod (1 - "
            "i / N), about 1 - exp(-s (s - 1) / 2N). So where half of all sets of s hold a "
            "duplicate, N = s (s - 1) / (2 log 2).",
            "Two samples count as duplicates when they are as near as the nearest other "
            f"real example is for only {NEAR:.0%} of real ones. The number is one at that "
            "radius: for points in the plane it counts places, not points, and only the line of "
            "real examples says what a perfect G would have.",
        ),
        tables=tuple(map(_table, results)),
        helps=(
            "What helps against collapse: G and D in step, larger batches, and a D that sees "
            "several samples at once. A support far below that of the data at the same radius is "
            "a warning even where every single sample looks good."
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

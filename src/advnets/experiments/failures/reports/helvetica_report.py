"""The report on mode collapse, the Helvetica scenario: text, tables and plots."""

from collections.abc import Sequence

import numpy as np
import torch

from advnets.evaluation import modes
from advnets.experiments.failures.failure_report import (
    Chart,
    FailureReport,
    Picture,
    Table,
    counted,
    spread,
)
from advnets.experiments.failures.helvetica import FROZEN, Collapse, Helvetica, named
from advnets.plotting import images
from advnets.plotting.curves import Curve, HLine, XAxis

SHOWN = 24
"""Samples of each ratio in the picture of digits."""


def table(result: Helvetica) -> Table:
    """Modes covered against updates of G for each of D."""
    rows = []
    for ratio in result.plan.ratios:
        courses = result.at(ratio)
        later = [c.modes[len(c.modes) // 2 :] for c in courses]
        rows.append(
            (
                named(ratio),
                " ".join(f"{c.modes[-1]:.0f}" for c in courses),
                spread([c.modes[-1] for c in courses], form=".1f"),
                spread([m.mean() for m in later], form=".1f"),
                spread([c.other[-1] for c in courses], form=".2f"),
            )
        )
    plan = result.plan
    return Table(
        caption=(
            f"Modes of {result.what} covered after {plan.updates:,} updates of G that follow "
            f"{plan.warm_up:,} rounds: mean [least, largest] of {counted(plan.seeds)}"
        ),
        headings=(
            "G : D",
            "at the end, seed by seed",
            "at the end",
            "mean over the last half",
            f"{result.other}, at the end",
        ),
        rows=rows,
    )


def chart(result: Helvetica, ratios: Sequence[float]) -> Chart:
    """Modes covered over G's updates: the mean over the seeds."""
    lines = []
    for ratio in ratios:
        courses = result.at(ratio)
        every = np.stack([c.modes for c in courses])
        lines.append(Curve(label=named(ratio), x=courses[0].at, y=every.mean(axis=0)))
    return Chart(
        title=f"Modes covered: {result.what}",
        meaning=(
            f"Mean of {counted(result.plan.seeds)}, by updates of G for each update of D. All "
            f"start from the same pair, after {result.plan.warm_up:,} rounds."
        ),
        lines=lines,
        across=XAxis(label="updates of G", limits=(0, 1.02 * result.plan.updates)),
        levels=(HLine(label="all modes", y=result.of),),
        limits=(0.0, 1.12 * result.of),
    )


def clouds(result: Helvetica, ratios: Sequence[float]) -> Picture:
    """Samples of the first seed at the end, one ratio beside the other."""
    seed = result.plan.seeds[0]
    return Picture(
        title=f"Samples at the end, seed {seed}: {', '.join(map(named, ratios))}",
        meaning="Blue: samples; grey: data.",
        pixels=images.clouds(
            {named(r): result.at(r)[0].x for r in ratios}, data=result.data[:, :2]
        ),
    )


def report(result: Collapse) -> FailureReport:
    """The section of the page."""
    ring, n = result.ring, len(result.ring.plan.seeds)
    ends = [int(c.modes[-1]) for c in ring.at(FROZEN)]
    few = sum(modes <= 2 for modes in ends)
    least, most = (f(c.other[-1] for c in ring.at(FROZEN)) for f in (min, max))
    return FailureReport(
        name="helvetica",
        title="Mode collapse: the Helvetica scenario",
        says=(
            "If G is trained too much without updating D, it maps many z to the same x and loses "
            "the variety of the data (Section 6)."
        ),
        measured=(
            f"A mode counts as covered when at least a tenth of its fair share of the samples lies "
            f"within {modes.NEAR:g} standard deviations of it. The ring of eight: after "
            f"{ring.plan.warm_up:,} rounds at 1 : 1, D is frozen and only G is trained. After "
            f"{ring.plan.updates:,} updates the samples cover at most 2 of 8 modes in {few} of {n} "
            f"seeds ({', '.join(map(str, ends))}), with {least:.0%} to {most:.0%} of them near a "
            "mode.",
            "Every ratio starts from the same pair and gives G as many updates; only D's differ. "
            "Learning rates do not anneal. The effect of a frozen D depends on when it was frozen "
            "(the second table). Very early the maxima of D lie away from the data, and all "
            "samples move there: no mode is covered. A little later all samples move to one or two "
            "maxima near the data. Late D has a maximum at every mode, each sample moves to the "
            "nearest, and modes are lost more slowly.",
            f"{_in_words(result.grid)} {_in_words(result.digits)} The classes of digits are those "
            "of a small classifier trained on the same digits; a class is covered by a tenth of "
            "its share of real digits, and the last column compares distances in pixels. This is a "
            "low threshold: samples can favour one class, as the picture shows, and still cover "
            "most.",
        ),
        charts=(chart(ring, _shown(ring)), chart(result.digits, _shown(result.digits))),
        pictures=(clouds(ring, _shown(ring)), digits(result.digits)),
        tables=(
            table(ring),
            _frozen_table((*result.warm_ups, ring)),
            table(result.grid),
            table(result.digits),
        ),
        helps=(
            "One update of D for each of G, or more. After a collapse, further training at 1 : 1 "
            "may bring modes back. A larger batch, and a D that sees several samples at once "
            "(PacGAN, minibatch features), let D see the lack of variety."
        ),
    )


def _shown(result: Helvetica) -> list[float]:
    """One of the ratios that give G no fewer updates than D, and the last three."""
    ratios = [r for r in result.plan.ratios if r >= 1]
    return sorted({ratios[0], *ratios[-3:]})


def _in_words(result: Helvetica) -> str:
    """How many modes each ratio comes to, in a sentence."""
    ends = [
        f"{np.mean([c.modes[-1] for c in result.at(ratio)]):.1f} with {named(ratio)}"
        for ratio in result.plan.ratios
    ]
    return (
        f"Of {result.of} modes of {result.what} ({counted(result.plan.seeds)}) the samples cover "
        f"{', '.join(ends)}."
    )


def _frozen_table(results: Sequence[Helvetica]) -> Table:
    rows = []
    for result in sorted(results, key=lambda r: r.plan.warm_up):
        courses = result.at(FROZEN)
        rows.append(
            (
                f"{result.plan.warm_up:,}",
                " ".join(f"{c.modes[0]:.0f}" for c in courses),
                " ".join(f"{c.modes[-1]:.0f}" for c in courses),
                spread([c.other[-1] for c in courses], form=".2f"),
            )
        )
    return Table(
        caption=(
            f"D frozen after so many rounds, then {results[-1].plan.updates:,} updates of G alone "
            f"({results[-1].what}), seed by seed"
        ),
        headings=("rounds", "modes when D is frozen", "modes at the end", "near a mode"),
        rows=rows,
    )


def digits(result: Helvetica) -> Picture:
    """The first samples of the first seed, a row or two for each ratio."""
    x = torch.cat([result.at(ratio)[0].x[:SHOWN] for ratio in result.plan.ratios])
    pixels = images.enlarged(images.grid(x, columns=SHOWN // 2), width=800)
    return Picture(
        title=f"Digits at the end, seed {result.plan.seeds[0]}",
        meaning="Samples 0 to 23, not selected, two rows each: "
        f"{', '.join(map(named, result.plan.ratios))}.",
        pixels=pixels,
    )

"""The report on saturation: text, tables and plots."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from advnets.experiments.failures.failure_report import (
    Chart,
    FailureReport,
    Table,
    counted,
    short,
    spread,
)
from advnets.experiments.failures.saturation import LOST_RATE, Moment, Plan, Saturation, closed_form
from advnets.game.objectives import Objective
from advnets.plotting.curves import Curve, XAxis


def report(result: Saturation) -> FailureReport:
    """The section of the page."""
    plan = result.plan
    first, last = ([held[i] for held in result.held] for i in (0, -1))
    end = result.lost[-1]
    return FailureReport(
        name="saturation",
        title="Saturation",
        says=(
            "In eq. (1) G descends log(1 - D(G(z))), whose gradient may be too small: early in "
            "training D rejects samples with confidence, and the term is flat there. Ascending log "
            "D(G(z)) has the same fixed point and a strong gradient early on (Section 3)."
        ),
        measured=(
            "In closed form, the gradient in the logit of one sample is D(G(z)) for the first term "
            "and 1 - D(G(z)) for the second. With D = 0.001 the second is 999 times as large.",
            f"Measured on {result.data} with the paper's networks a third as wide and Adam: after "
            f"{plan.rounds:,} rounds G is frozen and only D is trained. Over {plan.updates[-1]:,} "
            f"updates of D the mean D(G(z)) falls from {_mean(first, 'D_Gz'):.2g} to "
            f"{_mean(last, 'D_Gz'):.2g}, the gradient of log(1 - D(G(z))) in G's weights from "
            f"{_mean(first, 'minimax'):.2g} to {_mean(last, 'minimax'):.2g}, and that of -log "
            f"D(G(z)) rises from {_mean(first, 'non_saturating'):.2g} to "
            f"{_mean(last, 'non_saturating'):.2g} ({counted(plan.seeds)}; without dropout, "
            f"{plan.z:,} samples).",
            "The non-saturating objective does not prevent every saturation. At ten times the "
            f"learning rate (Adam {LOST_RATE:g}) D dominates, and after {plan.lost[-1]:,} rounds "
            f"{end.saturated:.1%} of G's output units pass less than a thousandth of their "
            f"gradient: its norm is {end.at_x:.2g} at the sample and {end.before_output:.2g} "
            "before the output units. Then G's sigmoid is flat, not the objective.",
        ),
        charts=(_closed_form_chart(), _measured_chart(result)),
        tables=(
            _held_table(result),
            lost_table(dict(zip(_rounds(plan), result.lost, strict=True))),
        ),
        helps=(
            "The non-saturating objective (the default of every recipe), and learning rates at "
            "which D does not dominate: a lower one for both, or a higher one for G than for D. "
            "Restart a run whose samples are all black and white, with D(G(z)) at 0 for hundreds "
            "of updates; it rarely recovers."
        ),
    )


def _mean(moments: Sequence[Moment], name: str) -> float:
    return float(np.mean([getattr(m, name) for m in moments]))


def _rounds(plan: Plan) -> list[str]:
    return [f"{rounds:,}" for rounds in plan.lost]


def _closed_form_chart() -> Chart:
    a = np.linspace(-9, 6, 61)
    names: tuple[tuple[Objective, str], ...] = (
        ("minimax", "of log(1 - D(G(z)))"),
        ("non-saturating", "of -log D(G(z))"),
    )
    lines = [
        Curve(label=label, x=a, y=-closed_form(torch.from_numpy(a), name).numpy())
        for name, label in names
    ]
    return Chart(
        title="The gradient in one logit, in closed form",
        meaning="Its size against the logit of D(G(z)). To the left D rejects the sample.",
        lines=lines,
        across=XAxis(label="logit of D(G(z))", limits=(-9, 6)),
        log=True,
    )


def _measured_chart(result: Saturation) -> Chart:
    x = np.array(result.plan.updates, float)
    labels = {"minimax": "of log(1 - D(G(z)))", "non_saturating": "of -log D(G(z))"}
    lines = [
        Curve(
            label=label,
            x=x,
            y=np.array([[getattr(m, name) for m in held] for held in result.held]).mean(axis=0),
        )
        for name, label in labels.items()
    ]
    return Chart(
        title="The gradient in G's weights, measured",
        meaning=(
            f"Its norm while only D is trained against a frozen G, on "
            f"{result.data}: mean of {counted(result.plan.seeds)}."
        ),
        lines=lines,
        across=XAxis(label="updates of D alone", limits=(0, 1.02 * float(x[-1]))),
        log=True,
    )


def _held_table(result: Saturation) -> Table:
    rows = []
    for i, updates in enumerate(result.plan.updates):
        moments = [held[i] for held in result.held]
        ratios = [m.non_saturating / m.minimax for m in moments]
        columns = [[getattr(m, name) for m in moments] for name in ("minimax", "non_saturating")]
        rows.append(
            (
                f"{updates:,}",
                spread([m.D_Gz for m in moments]),
                *(spread(column) for column in columns),
                spread(ratios),
                spread([m.slopes for m in moments]),
            )
        )
    return Table(
        caption=(
            f"G frozen after {result.plan.rounds:,} rounds, D trained: mean [least, largest] of "
            f"{counted(result.plan.seeds)}"
        ),
        headings=(
            "updates of D alone",
            "D(G(z))",
            "gradient of log(1 - D(G(z)))",
            "gradient of -log D(G(z))",
            "their ratio",
            "(1 - D) / D of the means",
        ),
        rows=rows,
    )


def lost_table(moments: Mapping[str, Moment]) -> Table:
    """Where in G the gradient of -log D(G(z)) vanishes, pair by pair."""
    rows = [
        (
            name,
            f"{m.D_x:.3f}",
            f"{short(m.D_Gz)}",
            f"{short(m.at_x)}",
            f"{short(m.before_output)}",
            f"{short(m.non_saturating)}",
            f"{m.saturated:.1%}",
            f"{m.dead:.0%}",
        )
        for name, m in moments.items()
    ]
    return Table(
        caption=(
            "D dominates: the gradient of -log D(G(z)) in one sample, before G's output units, and "
            "in G's weights (norms)"
        ),
        headings=(
            "rounds",
            "D(x)",
            "D(G(z))",
            "in the sample",
            "before the output units",
            "in the weights",
            "outputs that pass less than 1/1000",
            "dead hidden units",
        ),
        rows=rows,
    )

"""Saturation in words, tables and drawings."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from advnets.experiments.failures.finding import Chart, Finding, Table, counted, short, spread
from advnets.experiments.failures.saturation import LOST_RATE, Moment, Plan, Saturation, closed_form
from advnets.game.objectives import Objective
from advnets.plotting.curves import Across, Curve


def finding(result: Saturation) -> Finding:
    """The section of the page."""
    plan = result.plan
    first, last = ([held[i] for held in result.held] for i in (0, -1))
    end = result.lost[-1]
    return Finding(
        name="saturation",
        title="Saturation",
        says=(
            "log(1 - D(G(z))), which G descends in eq. (1), may not give it enough gradient: early "
            "on D rejects its samples with confidence, and the term is flat there. Ascending log "
            "D(G(z)) has the same fixed point and a strong gradient then (Section 3)."
        ),
        measured=(
            "In closed form the first pulls at the logit of one sample with D(G(z)), the second "
            "with 1 - D(G(z)). With D = 0.001 that is 999 times as much.",
            f"Measured on {result.data} with the paper's networks a third as wide and Adam: after "
            f"{plan.rounds:,} rounds G is held and D alone trained on. Over {plan.updates[-1]:,} "
            f"updates of D the mean D(G(z)) falls from {_mean(first, 'D_Gz'):.2g} to "
            f"{_mean(last, 'D_Gz'):.2g}, the gradient of log(1 - D(G(z))) in G's weights from "
            f"{_mean(first, 'minimax'):.2g} to {_mean(last, 'minimax'):.2g}, and that of -log "
            f"D(G(z)) goes from {_mean(first, 'non_saturating'):.2g} to "
            f"{_mean(last, 'non_saturating'):.2g} ({counted(plan.seeds)}; without dropout, "
            f"{plan.z:,} samples).",
            "The other objective is no insurance. At ten times the rate "
            f"(Adam {LOST_RATE:g}) D wins, and after {plan.lost[-1]:,} rounds "
            f"{end.saturated:.1%} of G's output units let less than a thousandth of a gradient "
            f"pass: at the sample it is {end.at_x:.2g}, before the output units "
            f"{end.before_output:.2g}. What is flat then is G's sigmoid, not the objective.",
        ),
        charts=(_closed_form_chart(), _measured_chart(result)),
        tables=(
            _held_table(result),
            lost_table(dict(zip(_rounds(plan), result.lost, strict=True))),
        ),
        helps=(
            "The non-saturating objective (the default of every recipe here), and rates at which "
            "D does not win: a lower one for both, or a higher one for G than for D. A game whose "
            "samples are all black and white, with D(G(z)) at 0 for hundreds of updates, is to be "
            "begun anew rather than waited for."
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
        title="The pull on one sample, in closed form",
        meaning="Size of the slope in the logit of D(G(z)). To the left D rejects the sample.",
        lines=lines,
        across=Across(label="logit of D(G(z))", limits=(-9, 6)),
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
        title="The pull on G's weights, measured",
        meaning=(
            f"Norm of the gradient while D alone is trained against a G that is held, on "
            f"{result.data}: mean of {counted(result.plan.seeds)}."
        ),
        lines=lines,
        across=Across(label="updates of D alone", limits=(0, 1.02 * float(x[-1]))),
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
            f"G held after {result.plan.rounds:,} rounds, D trained on: mean [least, largest] of "
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
    """Where in G the gradient of -log D(G(z)) is lost, pair by pair."""
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
            "A game that D wins: the gradient of -log D(G(z)) in one sample, before G's output "
            "units, and in G's weights (norms)"
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

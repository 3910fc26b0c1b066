"""The report on equilibrium: text, a table and a picture."""

from collections.abc import Sequence

import numpy as np

from advnets.experiments.failures.equilibrium import Equilibrium, FinalState
from advnets.experiments.failures.failure_report import (
    FailureReport,
    Picture,
    Table,
    counted,
    spread,
)
from advnets.plotting import images


def report(result: Equilibrium) -> FailureReport:
    """The section of the page."""
    plan = result.plan
    good, small, asleep = result.cases.values()
    return FailureReport(
        name="equilibrium",
        title="Equilibrium and false equilibria",
        says=(
            "At the only equilibrium of the game, p_g = p_data, D is 1/2 everywhere and the value "
            "is -log 4 = -1.386 nats (Theorem 1), for G and D of unlimited capacity."
        ),
        measured=(
            f"The ring of eight, {plan.rounds:,} rounds, {counted(plan.seeds)}. The recipe's pair"
            f" reaches V = {_of(good, 'V'):.3f} with D(x) = {_of(good, 'D_x'):.3f} and "
            f"{_of(good, 'modes'):.1f} modes.",
            f"With a linear D, which can only compare means, V = "
            f"{_of(small, 'V'):.3f} and D(x) = {_of(small, 'D_x'):.3f}: just as close to the "
            f"equilibrium, while only {_of(small, 'near'):.0%} of the samples are near a mode and "
            f"{_of(small, 'modes'):.1f} of 8 modes are covered. A D that does not learn "
            f"shows V = {_of(asleep, 'V'):.3f} from the first round to the last.",
            f"A new D of the recipe, trained for {plan.judged:,} updates against each fixed G, "
            f"separates the three on held-out examples: V = {_of(good, 'judged'):.3f}, "
            f"{_of(small, 'judged'):.3f} and {_of(asleep, 'judged'):.3f}. (V + log 4) / 2 is a "
            "lower bound of the Jensen-Shannon divergence, up to sampling error, whose maximum is "
            "log 2 = 0.693.",
        ),
        pictures=(
            Picture(
                title=f"Samples at the end, seed {plan.seeds[0]}",
                meaning=f"Blue: samples; grey: data. From left: {', '.join(result.cases)}.",
                pixels=images.clouds(
                    {name: rests[0].x for name, rests in result.cases.items()}, data=result.data
                ),
            ),
        ),
        tables=(_table(result),),
        helps=(
            "Do not read V and D as measures of sample quality. Look at samples, and score them "
            "with something that took no part in training (a Parzen window, other features, a new "
            "D evaluated on held-out examples)."
        ),
    )


def _of(rests: Sequence[FinalState], name: str) -> float:
    return float(np.mean([getattr(rest, name) for rest in rests]))


def _table(result: Equilibrium) -> Table:
    forms = {
        "V": ".3f",
        "D_x": ".3f",
        "D_Gz": ".3f",
        "modes": ".1f",
        "near": ".2f",
        "judged": ".3f",
        "JSD": ".3f",
    }
    rows = [
        (name, *(spread([getattr(r, key) for r in rests], form=f) for key, f in forms.items()))
        for name, rests in result.cases.items()
    ]
    return Table(
        caption=f"The ring after {result.plan.rounds:,} rounds: mean [least, largest] of "
        f"{counted(result.plan.seeds)}",
        headings=(
            "trained against",
            "V (nats)",
            "D(x)",
            "D(G(z))",
            "modes of 8",
            "near a mode",
            "V of a new D (nats)",
            "JSD at least (nats)",
        ),
        rows=rows,
    )

"""Equilibrium in words, a table and a picture."""

from collections.abc import Sequence

import numpy as np

from advnets.experiments.failures.equilibrium import Equilibrium, Rest
from advnets.experiments.failures.finding import Finding, Picture, Table, counted, spread
from advnets.plotting import images


def finding(result: Equilibrium) -> Finding:
    """The section of the page."""
    plan = result.plan
    good, small, asleep = result.cases.values()
    return Finding(
        name="equilibrium",
        title="Equilibrium, and what only looks like it",
        says=(
            "At the only equilibrium of the game p_g = p_data, D is 1/2 everywhere and the value "
            "is -log 4 = -1.386 nats (Theorem 1), for players without limits."
        ),
        measured=(
            f"The ring of eight, {plan.rounds:,} rounds, {counted(plan.seeds)}. The recipe's pair"
            f" comes to V = {_of(good, 'V'):.3f} with D(x) = {_of(good, 'D_x'):.3f} and "
            f"{_of(good, 'modes'):.1f} modes.",
            f"Against a linear D, which can compare means and nothing else, V = "
            f"{_of(small, 'V'):.3f} and D(x) = {_of(small, 'D_x'):.3f}: as near to the "
            f"equilibrium, while {_of(small, 'near'):.0%} of the samples are near a mode and "
            f"{_of(small, 'modes'):.1f} of 8 modes are covered. A D that does not learn "
            f"shows V = {_of(asleep, 'V'):.3f} from the first round to the last.",
            f"A fresh D of the recipe, trained for {plan.judged:,} updates against each G, tells "
            f"them apart on held-out examples: V = {_of(good, 'judged'):.3f}, "
            f"{_of(small, 'judged'):.3f} and {_of(asleep, 'judged'):.3f}. (V + log 4) / 2 is a "
            "lower bound of the Jensen-Shannon divergence, up to sampling, and log 2 = 0.693 is "
            "the most that can be.",
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
            "Not to read V and D as a measure of how good samples are: look at samples, and score "
            "them by something that took no part in the game (a Parzen window, other features, a "
            "D trained anew on held-out examples)."
        ),
    )


def _of(rests: Sequence[Rest], name: str) -> float:
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
            "played against",
            "V (nats)",
            "D(x)",
            "D(G(z))",
            "modes of 8",
            "near a mode",
            "V of a fresh D (nats)",
            "JSD at least (nats)",
        ),
        rows=rows,
    )

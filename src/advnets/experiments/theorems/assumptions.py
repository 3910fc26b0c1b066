"""The assumptions of Proposition 2: an optimal D, and an initial p_g with full support."""

import torch
from torch import Tensor

from advnets.experiments.claims import MINUS, Claim, at_least, at_most
from advnets.experiments.theorems.examples import array, largest, random_pairs, table
from advnets.html.markup import Chart
from advnets.plotting import curves
from advnets.plotting.curves import Curve, HLine, XAxis
from advnets.theory import divergences, tabular_game

P_DATA, START = table(0.5, 0.3, 0.2), table(0.1, 0.7, 0.2)
STEPS = 400
"""Updates of G."""
FEW, SOME, MANY = 1, 10, 100
"""Steps of D before each of them."""
LR, STEP_SIZE = 0.05, 0.25
"""D's step, and G's."""


def optimal_D() -> Claim:
    """With a lagging D, C(G) also rises."""
    exact = tabular_game.descend(P_DATA, START, steps=STEPS, step_size=STEP_SIZE)
    played = {
        k: tabular_game.play(P_DATA, START, k=k, steps=STEPS, step_size=STEP_SIZE, lr=LR)
        for k in (FEW, SOME, MANY)
    }
    courses = {"D*": exact} | {f"k = {k}": course for k, course in played.items()}
    rising = float((played[FEW].C.diff() > 1e-12).sum())
    return Claim(
        title="What it assumes: an optimal D",
        source="Section 4.2, Proposition 2; Algorithm 1 takes k steps of D instead.",
        statement=(
            "Algorithm 1 does not reach the optimum: D makes k steps from its previous state. On "
            "the same table, with k steps of gradient ascent on D's logits a before each update "
            f"of G: at k = {FEW} G follows an outdated gradient, p_g oscillates around p_data, and "
            "C(G) rises in every oscillation. "
            f"At k = {MANY} it falls at every step again.",
            "The oscillations decay because this D is a table, in which V is strictly concave. The "
            "proposition does not cover this case.",
        ),
        equations={
            r"a(x) \leftarrow a(x) + \lambda\, (p_\mathrm{data}(x) - (p_\mathrm{data}(x) + "
            r"p_g(x))\, D(x)), \qquad k \;\mathrm{times}": (
                "a of x becomes a of x plus lambda times the difference: p data of x, minus "
                "the sum of p data of x and p g of x, times D of x; k times"
            ),
        },
        measured=(
            at_least(STEPS / 4, f"steps of {STEPS} in which C(G) rises, k = {FEW}", rising),
            at_least(1e-3, f"largest increase, nats, k = {FEW}", played[FEW].largest_rise),
            at_most(1e-12, f"largest increase, k = {MANY}", played[MANY].largest_rise),
            at_most(1e-12, "largest increase, with D*", exact.largest_rise),
            at_most(1e-6, f"p_g minus p_data at the end, k = {MANY}", _off(played[MANY])),
        ),
        charts=(_swinging_drawn(courses), _lagging_drawn(courses)),
    )


def _off(course: tabular_game.Trajectory) -> float:
    return largest(course.p_g[-1] - P_DATA)


def _swinging_drawn(courses: dict[str, tabular_game.Trajectory]) -> Chart:
    """One probability of p_g over the updates, as a chart."""
    t = torch.arange(STEPS + 1, dtype=torch.float64)
    lines = [Curve(label=name, x=array(t), y=array(c.p_g[:, 0])) for name, c in courses.items()]
    levels = [HLine(label="p_data", y=P_DATA[0].item())]
    across = XAxis(label="updates of G")
    svg = curves.draw(lines, name="swinging", across=across, levels=levels, limits=(0.0, 1.0))
    return Chart("Oscillation of p_g", "The probability that p_g gives outcome 1.", svg)


def _lagging_drawn(courses: dict[str, tabular_game.Trajectory]) -> Chart:
    t = torch.arange(STEPS + 1, dtype=torch.float64)
    lines = [Curve(label=name, x=array(t), y=array(c.C)) for name, c in courses.items()]
    levels = [HLine(label=f"{MINUS}log 4", y=divergences.LEAST)]
    across = XAxis(label="updates of G")
    svg = curves.draw(lines, name="lagging", across=across, levels=levels, limits=(-1.42, None))
    return Chart("The criterion with a lagging D", "C(G) in nats, not V.", svg)


def full_support() -> Claim:
    """An outcome of probability zero under p_g keeps it."""
    shares, off, end = [], [], []
    for p, q in random_pairs("full support", zeros=0.5):
        P = p[q > 0].sum()
        if not 0.1 <= P <= 0.999:  # next to nothing of the data is lost, or nearly all of it
            continue
        course = tabular_game.descend(p, q, steps=STEPS)
        shares.append(P)
        off.append(largest(course.p_g[-1] - divergences.reachable(p, q)))
        end.append(course.C[-1])
    kept, ends = torch.stack(shares), torch.stack(end)
    above = (ends - divergences.LEAST) / (1 - kept) ** 2
    here = f"{len(off)} random tables and starts, P from 0.1 to 0.999"
    return Claim(
        title="What it assumes: full support",
        source="Section 4.2, Proposition 2.",
        statement=(
            "G gets no gradient from an outcome that it never produces: its update scales p_g, and "
            "zero stays zero. From a start that lacks some outcomes of the data, p_g converges to "
            "the data restricted to the others, and C(G) stays above "
            f"{MINUS}log 4, by how much the probability P that is left to G says.",
            "With D* the gradient at a missing outcome is minus infinity, because D is certain "
            "there, but G draws no samples to use it.",
        ),
        equations={
            r"p_g \rightarrow p_\mathrm{data}(\cdot \mid S), \quad S = \mathrm{supp}\, p_g": (
                "p g tends to p data given S, where S is the support of p g"
            ),
            r"C(G) \rightarrow P \log P - (1 + P) \log(1 + P), \quad P = p_\mathrm{data}(S)": (
                "C of G tends to P log P minus, 1 plus P, times log of 1 plus P, "
                "where P is p data of S"
            ),
        },
        measured=(
            at_most(1e-6, f"p_g at the end minus p_data given S, {here}", max(off)),
            at_most(1e-6, "C(G) at the end minus its limit", largest(ends - _least_on(kept))),
            at_least(
                1.0, f"(C(G) + log 4) / (1 {MINUS} P)², the least of them", above.min().item()
            ),
        ),
        charts=(_lost_drawn(), _limits_drawn(kept, ends)),
    )


def _least_on(P: Tensor) -> Tensor:
    """The minimum of C(G) on a support with probability P under p_data."""
    return torch.xlogy(P, P) - torch.xlogy(1 + P, 1 + P)


def _lost_drawn() -> Chart:
    p = table(0.4, 0.3, 0.2, 0.1)
    q = table(0.1, 0.2, 0.3, 0.4)
    lines, levels = [], []
    for lost in range(4):
        start = torch.where(torch.arange(4) < 4 - lost, q, 0.0)
        course = tabular_game.descend(p, start / start.sum(), steps=12, step_size=0.5)
        P = p[: 4 - lost].sum()
        levels.append(HLine(label="limit of each", y=_least_on(P).item()))
        t = array(torch.arange(13, dtype=torch.float64))
        lines.append(Curve(label=f"{lost or 'none'} of 4 lost", x=t, y=array(course.C)))
    across = XAxis(label="updates of G")
    svg = curves.draw(lines, name="lost", across=across, levels=levels)
    meaning = "C(G) in nats, at step η = 0.5, from starts without the last outcomes."
    return Chart("Starts with a missing outcome", meaning, svg)


def _limits_drawn(kept: Tensor, ends: Tensor) -> Chart:
    P = torch.linspace(0, 1, 101, dtype=torch.float64)
    lines = [
        Curve(label="limit", x=array(P), y=array(_least_on(P))),
        Curve(label=f"after {STEPS} updates", x=array(kept), y=array(ends), joined=False),
    ]
    across = XAxis(label="P, the probability of the support of p_g under p_data", limits=(0.0, 1.0))
    svg = curves.draw(lines, name="limits", across=across, limits=(-1.45, 0.0))
    return Chart("The limits of C(G)", "C(G) in nats, from the random starts.", svg)

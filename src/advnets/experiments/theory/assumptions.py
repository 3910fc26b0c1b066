"""What Proposition 2 assumes: a D at its optimum, and a start that has lost no outcome."""

import torch
from torch import Tensor

from advnets import curves, table_game, theory
from advnets.curves import Across, Curve, Level
from advnets.experiments.claims import MINUS, Claim, at_least, at_most
from advnets.experiments.theory.examples import array, largest, random_pairs, table
from advnets.page import markup

P_DATA, START = table(0.5, 0.3, 0.2), table(0.05, 0.05, 0.9)
STEPS = 400
"""Updates of G."""
FEW, SOME, MANY = 1, 10, 100
"""Steps of D before each of them."""
LR = 0.2
"""D's step."""


def optimal_D() -> Claim:
    """With a D that lags behind, C(G) rises too."""
    exact = table_game.descend(P_DATA, START, steps=STEPS)
    played = {k: table_game.play(P_DATA, START, k=k, steps=STEPS, lr=LR) for k in (FEW, SOME, MANY)}
    courses = {"D*": exact} | {f"k = {k}": course for k, course in played.items()}
    rising = float((played[FEW].C.diff() > 1e-12).sum())
    return Claim(
        title="What it assumes: an optimal D",
        source="Section 4.2, Proposition 2; Algorithm 1 takes k steps of D instead.",
        statement=(
            "Algorithm 1 does not wait for the optimum: D takes k steps, and next time goes on "
            "from where it stood. On the same table, with k steps of gradient ascent on D's "
            f"logits a before each update of G: at k = {FEW} G follows a gradient that is out of "
            "date, p_g runs past p_data and around it, and C(G) rises about as often as it falls. "
            f"At k = {MANY} it falls at every step again.",
            "That the turns close in the end is owed to this D, a table of its own, in which V is "
            "strictly concave. The proposition promises nothing of the kind.",
        ),
        tex=(
            r"a(x) \leftarrow a(x) + \lambda\, (p_\mathrm{data}(x) - (p_\mathrm{data}(x) + "
            r"p_g(x))\, D(x)), \qquad k \;\mathrm{times}",
        ),
        measured=(
            at_least(STEPS / 4, f"steps of {STEPS} in which C(G) rises, k = {FEW}", rising),
            at_least(1e-3, f"the most it rises in one, nats, k = {FEW}", played[FEW].largest_rise),
            at_most(1e-12, f"the most it rises in a step, k = {MANY}", played[MANY].largest_rise),
            at_most(1e-12, "the most it rises in a step, with D*", exact.largest_rise),
            at_most(1e-6, f"p_g less p_data at the end, k = {MANY}", _off(played[MANY])),
        ),
        charts=(_around_drawn(courses), _lagging_drawn(courses)),
    )


def _off(course: table_game.Course) -> float:
    return largest(course.p_g[-1] - P_DATA)


def _around_drawn(courses: dict[str, table_game.Course]) -> str:
    """Where p_g goes, in the plane of two of its three probabilities."""
    lines = [
        Curve(label=label, x=array(courses[name].p_g[:120, 0]), y=array(courses[name].p_g[:120, 1]))
        for label, name in (("with D*", "D*"), (f"k = {FEW}", f"k = {FEW}"))
    ]
    goal = Curve(label="p_data", x=array(P_DATA[:1]), y=array(P_DATA[1:2]))
    across = Across(label="p_g of outcome 1; upwards: p_g of outcome 2", limits=(0.0, 1.0))
    svg = curves.draw([*lines, goal], name="around", across=across, limits=(0.0, 1.0))
    meaning = (
        "120 updates from one start: straight to p_data with D*, around it with a D that lags."
    )
    return markup.chart(svg, "Where p_g goes", meaning)


def _lagging_drawn(courses: dict[str, table_game.Course]) -> str:
    t = torch.arange(121, dtype=torch.float64)
    lines = [Curve(label=name, x=array(t), y=array(c.C[:121])) for name, c in courses.items()]
    levels = [Level(label=f"{MINUS}log 4", y=theory.LEAST)]
    across = Across(label="updates of G")
    svg = curves.draw(lines, name="lagging", across=across, levels=levels)
    return markup.chart(svg, "The criterion, with a D that lags", "C(G) in nats, not V.")


def full_support() -> Claim:
    """An outcome that p_g has lost never comes back."""
    off, least, above = [], [], []
    for p, q in random_pairs("full support", zeros=0.5):
        kept = p[q > 0].sum()
        if not 0.1 <= kept <= 0.999:  # next to nothing of the data is lost, or nearly all of it
            continue
        course = table_game.descend(p, q, steps=STEPS)
        off.append(largest(course.p_g[-1] - theory.reachable(p, q)))
        least.append(abs((course.C[-1] - _least_on(kept)).item()))
        above.append(((course.C.min() - theory.LEAST) / (1 - kept) ** 2).item())
    here = f"{len(off)} random tables and starts, P from 0.1 to 0.999"
    return Claim(
        title="What it assumes: full support",
        source="Section 4.2, Proposition 2.",
        statement=(
            "An outcome that G never produces is one of which it never hears: its update scales "
            "what p_g has, and zero stays zero. From a start without some outcomes of the data "
            "the game ends at the data as they are among the others, and C(G) above "
            f"{MINUS}log 4, by how much the probability P that is left to G says.",
            "With D* the gradient at a lost outcome is minus infinity: D is certain there, and G "
            "draws nothing to profit from it.",
        ),
        tex=(
            r"p_g \rightarrow p_\mathrm{data}(\cdot \mid S), \qquad C(G) \rightarrow "
            r"P \log P - (1 + P) \log(1 + P), \qquad P = p_\mathrm{data}(S), \; "
            r"S = \mathrm{supp}\, p_g",
        ),
        measured=(
            at_most(1e-6, f"p_g at the end less p_data given S, {here}", max(off)),
            at_most(1e-6, "C(G) at the end less its limit", max(least)),
            at_least(1.0, f"(C(G) + log 4) / (1 {MINUS} P)², the least ever", min(above)),
        ),
        charts=(_lost_drawn(),),
    )


def _least_on(P: Tensor) -> Tensor:
    """The least C(G) on a support that has the share P of the data."""
    return torch.xlogy(P, P) - torch.xlogy(1 + P, 1 + P)


def _lost_drawn() -> str:
    p = table(0.4, 0.3, 0.2, 0.1)
    q = table(0.1, 0.2, 0.3, 0.4)
    lines, levels = [], []
    for lost in range(4):
        start = torch.where(torch.arange(4) < 4 - lost, q, 0.0)
        course = table_game.descend(p, start / start.sum(), steps=12, step_size=0.5)
        P = p[: 4 - lost].sum()
        levels.append(Level(label=f"limit, P = {P:.1f}", y=_least_on(P).item()))
        t = array(torch.arange(13, dtype=torch.float64))
        lines.append(Curve(label=f"{lost or 'none'} of 4 lost", x=t, y=array(course.C)))
    across = Across(label="updates of G")
    svg = curves.draw(lines, name="lost", across=across, levels=levels)
    meaning = "C(G) in nats, at step η = 0.5, from starts without the last outcomes."
    return markup.chart(svg, "Starts that have lost an outcome", meaning)

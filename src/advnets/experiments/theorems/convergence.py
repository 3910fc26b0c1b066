"""Proposition 2: the criterion is convex in p_g, and descent with an optimal D converges."""

import torch
from torch import Tensor

from advnets.experiments.claims import Claim, at_least, at_most
from advnets.experiments.theorems.examples import (
    array,
    largest,
    random_pairs,
    random_table,
    stream,
    table,
)
from advnets.html.markup import Chart
from advnets.plotting import curves
from advnets.plotting.curves import Curve, XAxis
from advnets.theory import divergences, tabular_game

POINTS = 41
"""Points of a segment between two tables."""
STEP_SIZES = (1.0, 0.5, 0.25, 0.1)
STEPS = 800
"""Updates of G; at the smallest step the error shrinks by 0.95 in each."""
FLOOR = 1e-16
"""Differences below it are rounding."""


def proposition_2() -> Claim:
    """The supremum over D is convex in p_g, and its gradient at D* is a subgradient."""
    rises, gaps, slopes = [], [], []
    rng = stream("ends")
    for p, q in random_pairs("proposition 2"):
        other = random_table(len(p), rng=rng)
        rises.append(divergences.over_chord(_along(p, q, other)).max().item())
        inside = (q + other) / 2  # of full support, where the subgradient is finite
        slope = divergences.subgradient(p, inside)
        line = divergences.C(p, inside) + (slope * (q - inside)).sum()
        gaps.append((divergences.C(p, q) - line).item())
        slopes.append(largest(_by_autograd(p, inside) - (slope - (inside * slope).sum())))
    here = f"{len(rises)} random triples of tables"
    return Claim(
        title="Proposition 2: convexity",
        source="Section 4.2, the proof of Proposition 2.",
        statement=(
            "For each fixed D the value is linear in p_g, so that its supremum over D is convex in "
            "p_g. Its gradient at the optimal D, with that D fixed, is a subgradient of the "
            "supremum (Danskin): G may descend it as if D were constant.",
            "Measured: C(G) is below every chord and above every line of the subgradient, and "
            "differentiating through D* gives the same gradient.",
        ),
        equations={
            r"C(G) = \sup_D U(p_g, D)": "C of G equals the supremum over D of U of p g and D",
            r"\log(1 - D^*_G) = \nabla_{p_g} U(p_g, D^*_G) \in \partial_{p_g} \sup_D U(p_g, D)": (
                "log of 1 minus D star of G equals the gradient in p g of U at D star, "
                "a subgradient in p g of the supremum over D of U"
            ),
        },
        measured=(
            at_most(1e-12, f"C(G) over its chords, {here}, {POINTS} points each", max(rises)),
            at_least(-1e-12, f"C(G) over the subgradient's lines, {here}", min(gaps)),
            at_most(1e-10, "derivative through D* minus that with D* fixed", max(slopes)),
        ),
        charts=(_segment_drawn(), _bowls_drawn()),
    )


def _along(p: Tensor, q: Tensor, other: Tensor) -> Tensor:
    """C(G) on the segment between two tables."""
    t = torch.linspace(0, 1, POINTS, dtype=p.dtype)
    return torch.stack([divergences.C(p, torch.lerp(q, other, s)) for s in t])


def _by_autograd(p: Tensor, q: Tensor) -> Tensor:
    """The gradient of C along the simplex, D* differentiated with the rest."""
    positive = p > 0  # what has no data adds p_g log 1 = 0 to C, and no finite logit to D
    q = q.clone().requires_grad_()
    total = q / q.sum()
    D_logit = p[positive].log() - total[positive].log()
    V = (p[positive] * torch.nn.functional.logsigmoid(D_logit)).sum()
    V = V + (total[positive] * torch.nn.functional.logsigmoid(-D_logit)).sum()
    (gradient,) = torch.autograd.grad(V, q)
    return gradient


def _segment_drawn() -> Chart:
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    p, q, other = table(0.5, 0.4, 0.1), table(0.01, 0.01, 0.98), table(0.9, 0.09, 0.01)
    C = _along(p, q, other)
    inside = torch.lerp(q, other, 0.3)
    slope = (divergences.subgradient(p, inside) * (other - q)).sum()
    touching = divergences.C(p, inside) + slope * (t - 0.3)
    lines = [
        Curve(label="C(G)", x=array(t), y=array(C)),
        Curve(label="its chord", x=array(t), y=array(torch.lerp(C[0], C[-1], t))),
        Curve(label="the subgradient's line at 0.3", x=array(t), y=array(touching)),
    ]
    svg = curves.draw(lines, name="segment", across=XAxis(label="from one p_g to another"))
    meaning = "Nats, on a segment between two tables of three outcomes: convex."
    return Chart("The criterion between two distributions", meaning, svg)


def _bowls_drawn() -> Chart:
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    rng = stream("bowls")
    lines = []
    for n in (2, 5, 10, 40):
        p, q, other = (random_table(n, rng=rng) for _ in range(3))
        below = divergences.over_chord(_along(p, q, other))
        lines.append(Curve(label=f"{n} outcomes", x=array(t), y=array(below)))
    across = XAxis(label="from one p_g to another")
    svg = curves.draw(lines, name="bowls", across=across, limits=(None, 0.0))
    return Chart("C(G) minus its chord", "Nats, on segments between random tables.", svg)


def descent() -> Claim:
    """Mirror descent against the optimal D converges to p_data with decreasing C(G)."""
    pairs = [*random_pairs("descent", zeros=0.0, pairs=25)]
    ends, rises, rates = [], [], []
    for p, q in pairs:
        for step_size in STEP_SIZES:
            course = tabular_game.descend(p, q, steps=STEPS, step_size=step_size)
            ends.append(largest(course.p_g[-1] - p))
            rises.append(course.largest_rise)
            t = torch.arange(1, STEPS + 1)
            above = course.C[1:] - divergences.LEAST
            rates.append((above - divergences.KL(p, q) / (step_size * t)).max().item())
    here = f"{len(pairs)} random tables and starts, {len(STEP_SIZES)} step sizes"
    return Claim(
        title="Proposition 2: convergence",
        source="Section 4.2, Proposition 2.",
        statement=(
            "If D reaches its optimum before every update of G, and G can change p_g itself, then "
            "p_g converges to p_data. Here G is the table p_g, its update is mirror "
            "descent on the simplex, and D is exactly D*.",
            "The criterion is smooth relative to the negative entropy with constant 1, because "
            "the ratio of their second derivatives is D*, at most 1. So C(G) never rises for any "
            "step size η up to 1; at η = 1 each step halves the distance to p_data.",
        ),
        equations={
            r"p_g^{\,t+1}(x) \propto p_g^{\,t}(x)\, (1 - D^*_t(x))^{-\eta}": (
                "p g of x at step t plus 1 is proportional to p g of x at step t, "
                "times 1 minus D star of x to the power minus eta"
            ),
            r"C(G_t) + \log 4 \leq "
            r"\dfrac{\mathrm{KL}(p_\mathrm{data} \,\|\, p_g^{\,0})}{\eta\, t}": (
                "C of G at step t, plus log 4, is at most "
                "KL of p data from p g at step 0, over eta times t"
            ),
        },
        measured=(
            at_most(1e-6, f"p_g minus p_data after {STEPS} steps, {here}", max(ends)),
            at_most(1e-12, "the most that C(G) rose in a step", max(rises)),
            at_most(1e-12, "C(G) + log 4 minus its bound, at any step", max(rates)),
        ),
        charts=(_falling_drawn(*pairs[0]), _moving_drawn()),
    )


def _falling_drawn(p: Tensor, q: Tensor) -> Chart:
    lines = []
    for step_size in STEP_SIZES:
        course = tabular_game.descend(p, q, steps=150, step_size=step_size)
        above = course.C - divergences.LEAST
        above = torch.where(above > FLOOR, above, torch.nan)
        x = torch.arange(len(above), dtype=torch.float64)[above > FLOOR]
        lines.append(Curve(label=f"η = {step_size:g}", x=array(x), y=array(above[above > FLOOR])))
    svg = curves.draw(lines, name="falling", across=XAxis(label="updates of G"), log=True)
    meaning = "C(G) + log 4 in nats, from one start. Values about 1e-15 are rounding."
    return Chart("The criterion falls to its minimum", meaning, svg)


def _moving_drawn() -> Chart:
    """p_g during convergence to p_data, as a chart."""
    outcomes = torch.arange(1, 9, dtype=torch.float64)
    p, q = (torch.softmax(-((outcomes - m) ** 2) / s, dim=0) for m, s in ((6.0, 3.0), (2.0, 1.5)))
    course = tabular_game.descend(p, q, steps=4)
    names = {0: "start", 1: "1 update", 2: "2 updates", 4: "4 updates"}
    lines = [
        Curve(label=name, x=array(outcomes), y=array(course.p_g[t])) for t, name in names.items()
    ]
    goal = Curve(label="p_data", x=array(outcomes), y=array(p), joined=False)
    across = XAxis(label="outcome", limits=(0.7, 8.3))
    svg = curves.draw([*lines, goal], name="moving", across=across, limits=(0.0, None))
    return Chart("Convergence of p_g", "At η = 1, each step halves the difference.", svg)

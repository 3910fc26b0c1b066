"""Proposition 1 and the remark after its proof: the optimal D, and what it estimates."""

import torch
from torch import Tensor

from advnets.experiments.claims import Claim, Measured, at_most
from advnets.experiments.theorems.examples import (
    LINE,
    array,
    grids,
    largest,
    one_bump,
    random_pairs,
    stream,
    two_bumps,
)
from advnets.html.markup import Chart
from advnets.plotting import curves
from advnets.plotting.curves import Curve, XAxis
from advnets.theory import divergences, optimum

TRIES = 20
"""Random D's against each pair of tables."""
EXAMPLES = 1_000_000
"""Labelled examples of a fitted classifier."""


def proposition_1() -> Claim:
    """D*_G is p_data / (p_data + p_g)."""
    pairs = [*random_pairs("proposition 1")]
    off = max(largest(optimum.D_by_search(*pq) - optimum.D_star(*pq)) for pq in pairs)
    what = f"D by search minus the formula, {len(pairs)} random pairs of tables"
    measured = [at_most(1e-8, what, off)]
    for name, pq in grids().items():
        off = largest(optimum.D_by_search(*pq) - optimum.D_star(*pq))
        measured.append(at_most(1e-8, f"the same on {name}", off))
    return Claim(
        title="Proposition 1",
        source="Section 4.1, eq. (2).",
        statement=(
            "For a fixed G the optimal D at x is the share of data among all examples at x. Where "
            "both p_data and p_g are zero, D is arbitrary.",
            "V is a sum over x of terms a log y + b log(1 - y) with a = p_data(x), b = p_g(x), "
            "y = D(x); each is maximised separately, here by a numerical search.",
        ),
        equations={
            r"D^*_G(x) = \dfrac{p_\mathrm{data}(x)}{p_\mathrm{data}(x) + p_g(x)}": (
                "D star of x equals p data of x, over p data of x plus p g of x"
            ),
            r"D^*_G(x) = \mathrm{arg}\max_{y}\; p_\mathrm{data}(x) \log y + p_g(x) \log(1 - y)": (
                "D star of x is the y at which p data of x times log y, "
                "plus p g of x times log of 1 minus y, is greatest"
            ),
        },
        measured=(*measured, _best(pairs)),
        charts=(_D_drawn(), _integrand_drawn()),
    )


def _best(pairs: list[tuple[Tensor, Tensor]]) -> Measured:
    """The largest gain of a random D over D*, which is never positive."""
    rng = stream("other D")
    gains = []
    for p, q in pairs:
        best = divergences.C(p, q)
        for _ in range(TRIES):
            a = 3 * torch.randn(p.shape, generator=rng, dtype=torch.float64)
            gains.append((optimum.V(a, p, q) - best).item())
    what = f"largest gain in V over D* of {TRIES} random D's each"
    return at_most(1e-12, what, max(gains))


def _D_drawn() -> Chart:
    p, q = two_bumps(), one_bump()
    few, fewer = slice(600, 1801, 6), slice(600, 1801, 48)
    x, found = array(LINE[few]), optimum.D_by_search(p, q)[fewer]
    lines = [
        Curve(label="p_g", x=x, y=array(q.values[few])),
        Curve(label="D*, by the formula", x=x, y=array(optimum.D_star(p, q)[few])),
        Curve(label="p_data", x=x, y=array(p.values[few])),
        Curve(label="D*, by search", x=array(LINE[fewer]), y=array(found), joined=False),
    ]
    svg = curves.draw(lines, name="d-star", across=XAxis(label="x"), limits=(0.0, 1.0))
    meaning = "Two Gaussians as data, one as samples, and the optimal D."
    return Chart("The optimal D", meaning, svg)


def _integrand_drawn() -> Chart:
    y = torch.linspace(0.002, 0.998, 499, dtype=torch.float64)
    lines, peaks = [], []
    for a, b in ((0.4, 0.1), (0.2, 0.2), (0.05, 0.25)):
        height = a * y.log() + b * (-y).log1p()
        lines.append(Curve(label=f"a = {a}, b = {b}", x=array(y), y=array(height)))
        best = optimum.D_by_search(torch.tensor([a, 1 - a]), torch.tensor([b, 1 - b]))[:1]
        peaks.append((best, a * best.log() + b * (-best).log1p()))
    found = [array(torch.cat(part)) for part in zip(*peaks, strict=True)]
    lines.append(Curve(label="maximum found", x=found[0], y=found[1], joined=False))
    across = XAxis(label="y = D(x)", limits=(0.0, 1.0))
    svg = curves.draw(lines, name="integrand", across=across, limits=(-0.8, 0.0))
    meaning = "a log y + b log(1 - y), in nats, at three x; the maximum is at a / (a + b)."
    return Chart("What D maximises at one x", meaning, svg)


def remark() -> Claim:
    """D's objective is the conditional log-likelihood of the source of x."""
    rng = stream("remark")
    pairs = [*random_pairs("remark")]
    halves, off = [], []
    for p, q in pairs:
        a = 3 * torch.randn(p.shape, generator=rng, dtype=torch.float64)
        likelihood = divergences.conditional_log_likelihood(a, p, q)
        halves.append(largest(likelihood - optimum.V(a, p, q) / 2))
        off.append(largest(divergences.posterior(p, q) - optimum.D_star(p, q)))
    pair = f"{len(pairs)} random pairs of tables"
    fitted, sigmas = _fitted()
    return Claim(
        title="What D estimates",
        source="Section 4.1, the remark after the proof of Proposition 1.",
        statement=(
            "Let Y be a fair coin flip, and x an example of the data for Y = 1 and a sample of G "
            "for Y = 0. D maximises the likelihood of Y given x: V is twice the mean "
            "log-likelihood, and D* is the posterior probability that x is real.",
        ),
        equations={
            r"\mathrm{E}_{x, Y} \log P_D(Y \mid x) = \dfrac{1}{2}\, V(D, G)": (
                "the expectation over x and Y of log P D of Y given x equals one half V of D and G"
            ),
            r"D^*_G(x) = P(Y = 1 \mid x)": (
                "D star of x equals the probability that Y is 1 given x"
            ),
        },
        measured=(
            at_most(1e-10, f"log-likelihood minus V / 2, random D, {pair}", max(halves)),
            at_most(1e-10, f"posterior by Bayes' rule minus D*, {pair}", max(off)),
            at_most(
                4.0,
                f"classifier fitted on {EXAMPLES:,} labelled examples of 8 outcomes minus D*: the "
                "largest of 8 differences, in standard errors",
                sigmas,
            ),
        ),
        charts=(fitted, _shifted_drawn()),
    )


def _fitted() -> tuple[Chart, float]:
    """The maximum likelihood classifier of labelled draws from two tables, compared with D*."""
    rng = stream("fitted")
    p, q = (torch.rand(8, generator=rng, dtype=torch.float64) + 0.02 for _ in range(2))
    p, q = p / p.sum(), q / q.sum()
    joint = divergences.labelled(p, q)
    drawn = torch.multinomial(joint.flatten(), EXAMPLES, replacement=True, generator=rng)
    counts = torch.bincount(drawn, minlength=16).view(2, 8).double()
    share, n = counts[1] / counts.sum(dim=0), counts.sum(dim=0)
    D = optimum.D_star(p, q)
    error = (D * (1 - D) / n).sqrt()
    outcomes = array(torch.arange(1, 9))
    lines = [
        Curve(label="D*", x=outcomes, y=array(D)),
        Curve(label="fitted classifier", x=outcomes, y=array(share), joined=False),
    ]
    across = XAxis(label="outcome", limits=(0.7, 8.3))
    svg = curves.draw(lines, name="fitted", across=across, limits=(0.0, 1.0))
    meaning = f"The share of real examples among {EXAMPLES:,} labelled ones, outcome by outcome."
    chart = Chart("A classifier fitted by maximum likelihood", meaning, svg)
    return chart, largest((share - D) / error)


def _shifted_drawn() -> Chart:
    p, q = two_bumps(), one_bump()
    best = optimum.D_star_logit(p, q)
    shifts = torch.linspace(-4, 4, 81, dtype=torch.float64)
    likelihood = [divergences.conditional_log_likelihood(best + s, p, q).item() for s in shifts]
    line = Curve(label="log-likelihood", x=array(shifts), y=array(torch.tensor(likelihood)))
    most = curves.HLine(label="C(G) / 2", y=divergences.C(p, q).item() / 2)
    across = XAxis(label="logits added to D*")
    svg = curves.draw([line], name="shifted", across=across, levels=[most])
    meaning = "Mean log-likelihood of Y given x, in nats: its maximum, C(G) / 2, is at D*."
    return Chart("Off the optimum", meaning, svg)

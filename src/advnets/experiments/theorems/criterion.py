"""Theorem 1: the criterion that G minimises is the Jensen-Shannon divergence."""

import math

import torch
from torch import Tensor

from advnets.experiments.claims import MINUS, Claim, Measured, at_least, at_most
from advnets.experiments.theorems.examples import array, grids, largest, on_line, random_pairs
from advnets.html.markup import Chart
from advnets.plotting import curves
from advnets.plotting.curves import Across, Curve, Level
from advnets.theory import divergences

LEVELS = (Level(label=f"{MINUS}log 4", y=divergences.LEAST), Level(label="0", y=0.0))


def theorem_1() -> Claim:
    """C(G) = -log 4 + 2 JSD, least at p_g = p_data alone."""
    tables = [*random_pairs("theorem 1")]
    C = torch.stack([divergences.C(p, q) for p, q in tables])
    TV = torch.stack([(p - q).abs().sum() / 2 for p, q in tables])
    return Claim(
        title="Theorem 1",
        source="Section 4.1, eqs. (4) to (6).",
        statement=(
            "Against the best D, what is left for G is how far its distribution is from the "
            "data's: the Jensen-Shannon divergence, twice, less log 4. It is least where the two "
            "are equal, and only there. It is 0 as soon as they share no outcome, near or far.",
            "How much \N{LEFT DOUBLE QUOTATION MARK}only\N{RIGHT DOUBLE QUOTATION MARK} means: by "
            "Pinsker's inequality C(G) + log 4 is at least TV², the square of the total variation "
            "between the two.",
        ),
        equations={
            r"C(G) = \max_D V(D, G) = -\log 4 + 2\, \mathrm{JSD}(p_\mathrm{data} \,\|\, p_g)": (
                "C of G equals the maximum over D of V of D and G, "
                "equals minus log 4 plus 2 JSD of p data and p g"
            ),
            r"\mathrm{JSD}(p \,\|\, q) = \dfrac{1}{2}\, \mathrm{KL}(p \,\|\, m) + "
            r"\dfrac{1}{2}\, \mathrm{KL}(q \,\|\, m)": (
                "JSD of p and q equals one half KL of p from m plus one half KL of q from m"
            ),
            r"m = \dfrac{p + q}{2}": "m equals p plus q, over 2",
        },
        measured=(*_identities(tables, C), *_extremes(tables, C, TV)),
        charts=(_sliding_drawn(), _floor_drawn(C, TV)),
    )


def _identities(tables: list[tuple[Tensor, Tensor]], C: Tensor) -> list[Measured]:
    here = f"{len(tables)} random pairs of tables"
    JSD = torch.stack([divergences.JSD(p, q) for p, q in tables])
    V = torch.stack([divergences.V(divergences.D_star_logit(p, q), p, q) for p, q in tables])
    identity = f"C(G) less ({MINUS}log 4 + 2 JSD)"
    on_grids = {
        name: largest(divergences.C(p, q) - divergences.LEAST - 2 * divergences.JSD(p, q))
        for name, (p, q) in grids().items()
    }
    return [
        at_most(1e-10, f"V(D*, G) less C(G), {here}", largest(V - C)),
        at_most(1e-10, f"{identity}, {here}", largest(C - divergences.LEAST - 2 * JSD)),
        *(at_most(1e-10, f"the same on {name}", off) for name, off in on_grids.items()),
    ]


def _extremes(tables: list[tuple[Tensor, Tensor]], C: Tensor, TV: Tensor) -> list[Measured]:
    ratio = (C - divergences.LEAST) / TV**2
    equal = torch.stack([divergences.C(p, p) for p, _ in tables]) - divergences.LEAST
    apart = [(torch.cat((p, 0 * q)), torch.cat((0 * p, q))) for p, q in tables]
    C_apart = torch.stack([divergences.C(p, q) for p, q in apart])
    JSD_apart = torch.stack([divergences.JSD(p, q) for p, q in apart])
    return [
        at_least(-1e-12, "C(G) + log 4, the least of them", (C - divergences.LEAST).min().item()),
        at_most(1e-12, "C(G) + log 4 at p_g = p_data", largest(equal)),
        at_least(1.0, "(C(G) + log 4) / TV², the least of them", ratio.min().item()),
        at_most(1e-12, "C(G) for disjoint supports", largest(C_apart)),
        at_most(1e-12, "JSD less log 2 for disjoint supports", largest(JSD_apart - math.log(2))),
    ]


def _sliding_drawn() -> Chart:
    """Two Gaussians as they slide past each other."""
    m = torch.linspace(-6, 6, 97, dtype=torch.float64)
    p = on_line((1.0, 0.0, 1.0))
    pairs = [(p, on_line((1.0, mean, 1.0))) for mean in m.tolist()]
    C = torch.stack([divergences.C(*pq) for pq in pairs])
    identity = torch.stack([divergences.LEAST + 2 * divergences.JSD(*pq) for pq in pairs])
    lines = [
        Curve(label="C(G)", x=array(m), y=array(C)),
        Curve(label=f"{MINUS}log 4 + 2 JSD", x=array(m[::6]), y=array(identity[::6]), joined=False),
    ]
    across = Across(label="mean of p_g; that of p_data is 0")
    svg = curves.draw(lines, name="sliding", across=across, levels=LEVELS)
    meaning = "Nats, for Gaussians of standard deviation 1. Far off, C(G) is flat: its gradient is "
    return Chart("The criterion as G slides past the data", meaning + "gone.", svg)


def _floor_drawn(C: Tensor, TV: Tensor) -> Chart:
    """The random pairs above their lower bound, from the nearest on."""
    order = TV.argsort()
    x, above = TV[order], C[order] - divergences.LEAST
    lines = [
        Curve(label="C(G) + log 4", x=array(x), y=array(above), joined=False),
        Curve(label="TV²", x=array(x), y=array(x**2)),
    ]
    across = Across(label="total variation TV of p_data and p_g", limits=(0.0, 1.0))
    svg = curves.draw(lines, name="floor", across=across, limits=(0.0, None))
    meaning = "The random pairs of tables, in nats; bound below by the square of their distance."
    return Chart("Only at p_g = p_data", meaning, svg)

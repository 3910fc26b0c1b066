"""Theorem 1: the criterion that G minimises is the Jensen-Shannon divergence."""

import math

import torch
from torch import Tensor

from advnets.experiments.claims import MINUS, Claim, Measured, at_least, at_most
from advnets.experiments.theorems.examples import array, grids, largest, on_line, random_pairs
from advnets.html.markup import Chart
from advnets.plotting import curves
from advnets.plotting.curves import Curve, HLine, XAxis
from advnets.theory import divergences, optimum

LEVELS = (HLine(label=f"{MINUS}log 4", y=divergences.LEAST), HLine(label="0", y=0.0))


def theorem_1() -> Claim:
    """C(G) = -log 4 + 2 JSD, with its only minimum at p_g = p_data."""
    tables = [*random_pairs("theorem 1")]
    C = torch.stack([divergences.C(p, q) for p, q in tables])
    TV = torch.stack([(p - q).abs().sum() / 2 for p, q in tables])
    return Claim(
        title="Theorem 1",
        source="Section 4.1, eqs. (4) to (6).",
        statement=(
            "Against the optimal D, the criterion of G is twice the Jensen-Shannon divergence from "
            "the data, minus log 4. It has its minimum where the two distributions are equal, and "
            "only there. It is 0 for disjoint supports, at any distance.",
            "By Pinsker's inequality C(G) + log 4 is at least TV², the square of the total "
            "variation between the two.",
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
    V = torch.stack([optimum.V(optimum.D_star_logit(p, q), p, q) for p, q in tables])
    identity = f"C(G) minus ({MINUS}log 4 + 2 JSD)"
    on_grids = {
        name: largest(divergences.C(p, q) - divergences.LEAST - 2 * divergences.JSD(p, q))
        for name, (p, q) in grids().items()
    }
    return [
        at_most(1e-10, f"V(D*, G) minus C(G), {here}", largest(V - C)),
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
        at_least(-1e-12, "C(G) + log 4, the smallest value", (C - divergences.LEAST).min().item()),
        at_most(1e-12, "C(G) + log 4 at p_g = p_data", largest(equal)),
        at_least(1.0, "(C(G) + log 4) / TV², the least of them", ratio.min().item()),
        at_most(1e-12, "C(G) for disjoint supports", largest(C_apart)),
        at_most(1e-12, "JSD minus log 2 for disjoint supports", largest(JSD_apart - math.log(2))),
    ]


def _sliding_drawn() -> Chart:
    """C(G) of two Gaussians against their distance, as a chart."""
    m = torch.linspace(-6, 6, 97, dtype=torch.float64)
    p = on_line((1.0, 0.0, 1.0))
    pairs = [(p, on_line((1.0, mean, 1.0))) for mean in m.tolist()]
    C = torch.stack([divergences.C(*pq) for pq in pairs])
    identity = torch.stack([divergences.LEAST + 2 * divergences.JSD(*pq) for pq in pairs])
    lines = [
        Curve(label="C(G)", x=array(m), y=array(C)),
        Curve(label=f"{MINUS}log 4 + 2 JSD", x=array(m[::6]), y=array(identity[::6]), joined=False),
    ]
    across = XAxis(label="mean of p_g; that of p_data is 0")
    svg = curves.draw(lines, name="sliding", across=across, levels=LEVELS)
    meaning = "Nats, for Gaussians of standard deviation 1. At large distances C(G) is flat: its "
    return Chart("The criterion against the distance of G", meaning + "gradient vanishes.", svg)


def _floor_drawn(C: Tensor, TV: Tensor) -> Chart:
    """The differences of random pairs from the minimum, sorted, as a chart."""
    order = TV.argsort()
    x, above = TV[order], C[order] - divergences.LEAST
    lines = [
        Curve(label="C(G) + log 4", x=array(x), y=array(above), joined=False),
        Curve(label="TV²", x=array(x), y=array(x**2)),
    ]
    across = XAxis(label="total variation TV of p_data and p_g", limits=(0.0, 1.0))
    svg = curves.draw(lines, name="floor", across=across, limits=(0.0, None))
    meaning = "The random pairs of tables, in nats; bound below by the square of their distance."
    return Chart("Only at p_g = p_data", meaning, svg)

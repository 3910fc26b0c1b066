"""The criterion is convex in p_g, but not in the parameters of a network."""

import math

import torch
from torch import Tensor
from torch.func import functional_call

from advnets.experiments.claims import MINUS, Claim, at_least, at_most
from advnets.experiments.theorems.examples import array, largest, stream
from advnets.html.markup import Chart
from advnets.networks import Generator
from advnets.plotting import curves
from advnets.plotting.curves import Curve, HLine, XAxis
from advnets.theory import divergences

POINTS = 81
"""Parameter settings on the segment."""
DRAWS = 100_000
"""Values of z, evenly spaced over the prior's range, that stand for its uniform density."""
CELLS = 200
"""Cells of the histogram of samples."""
WEIGHTS = ((1.2, -0.8), (0.3, 0.5), (1.0, -1.2), (0.0,))
"""Weights and biases of the two hidden units, then of the output."""

Parameters = dict[str, Tensor]


def not_convex() -> Claim:
    """Two parameter settings give the same samples, but their midpoint does not."""
    G = _generator()
    theta = {name: value.detach() for name, value in G.named_parameters()}
    other = _exchanged(theta)
    laws = _pushed_forward(G, theta, other)
    p = laws[0]
    C = torch.stack([divergences.C(p, q) for q in laws])
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    mixed = torch.stack([divergences.C(p, torch.lerp(laws[0], laws[-1], s)) for s in t])
    return Claim(
        title="The criterion is not convex in the parameters",
        source="Section 4.2, the last paragraph: G is a network, and θ is optimised, not p_g.",
        statement=(
            "A generator with one hidden layer computes the same function when two hidden units "
            "are exchanged with their weights. So if its samples are the data, at least two "
            "parameter settings minimise the criterion. At their midpoint the two units are equal "
            "and the samples differ: C exceeds the chord, so it is not convex in the parameters. "
            "Between the two distributions, which are equal, C is constant.",
            "The generator is one of this library, with 1 input, 2 rectified units and 1 linear "
            "output. "
            f"Its p_g are the masses of {CELLS} cells of the line.",
        ),
        equations={
            r"C(\theta_t) > (1 - t)\, C(\theta_0) + t\, C(\theta_1)": (
                "C of theta t is greater than 1 minus t, times C of theta 0, "
                "plus t times C of theta 1"
            ),
            r"\theta_t = (1 - t)\, \theta_0 + t\, \theta_1": (
                "theta t equals 1 minus t, times theta 0, plus t times theta 1"
            ),
        },
        measured=(
            at_most(1e-9, "C + log 4 at both settings", largest(C[[0, -1]] - divergences.LEAST)),
            at_least(
                0.1, "largest C(θ) above its chord, in nats", largest(divergences.over_chord(C))
            ),
            at_most(1e-9, "C(p_g) over its chord", divergences.over_chord(mixed).max().item()),
        ),
        charts=(_hump_drawn(t, C, mixed), _outputs_drawn(G, theta, other)),
    )


def _generator() -> Generator:
    """A monotone generator with two hidden units."""
    G = Generator(
        z_dim=1,
        event_shape=(1,),
        hidden=(2,),
        output="linear",
        mean=torch.zeros(1),
        rng=stream("generator"),
    ).double()
    for value, written in zip(G.parameters(), WEIGHTS, strict=True):
        value.data.copy_(torch.tensor(written, dtype=torch.float64).view_as(value))
    return G


def _exchanged(theta: Parameters) -> Parameters:
    """The parameters with the two hidden units exchanged."""
    hidden_weight, hidden_bias, last_weight, last_bias = theta
    return {
        hidden_weight: theta[hidden_weight].flip(0),
        hidden_bias: theta[hidden_bias].flip(0),
        last_weight: theta[last_weight].flip(1),
        last_bias: theta[last_bias],
    }


def _pushed_forward(G: Generator, theta: Parameters, other: Parameters) -> list[Tensor]:
    """p_g at each setting on the segment, as a histogram."""
    half = math.sqrt(3)
    z = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS * 2 * half - half
    points = []
    for t in torch.linspace(0, 1, POINTS, dtype=torch.float64):
        between = {name: torch.lerp(theta[name], other[name], t) for name in theta}
        x = functional_call(G, between, (z[:, None],))
        points.append(x.flatten().detach())
    low, high = (limit(torch.cat(points)).item() for limit in (torch.min, torch.max))
    counts = [torch.histc(x, CELLS, low, high) for x in points]
    return [n / n.sum() for n in counts]


def _hump_drawn(t: Tensor, C: Tensor, mixed: Tensor) -> Chart:
    lines = [
        Curve(label="C(θ)", x=array(t), y=array(C)),
        Curve(label="C(p_g)", x=array(t), y=array(mixed)),
    ]
    levels = [HLine(label=f"{MINUS}log 4: the chord", y=divergences.LEAST)]
    across = XAxis(label="t, from one setting to the other")
    svg = curves.draw(lines, name="hump", across=across, levels=levels)
    return Chart(
        "Between two equally good generators",
        "Nats: interpolation of the parameters, and of the distributions.",
        svg,
    )


def _outputs_drawn(G: Generator, theta: Parameters, other: Parameters) -> Chart:
    z = torch.linspace(-math.sqrt(3), math.sqrt(3), 201, dtype=torch.float64)
    lines = []
    for label, t in (("t = 0 and t = 1", 0.0), ("t = 1/4", 0.25), ("t = 1/2", 0.5)):
        between = {name: torch.lerp(theta[name], other[name], t) for name in theta}
        x = functional_call(G, between, (z[:, None],)).detach().flatten()
        lines.append(Curve(label=label, x=array(z), y=array(x)))
    svg = curves.draw(lines, name="outputs", across=XAxis(label="z"))
    return Chart("The generators as functions of z", "x = G(z), at points of the segment.", svg)

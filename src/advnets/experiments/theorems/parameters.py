"""In the parameters of a network the criterion is not convex, though it is in p_g."""

import math

import torch
from torch import Tensor
from torch.func import functional_call

from advnets.base.protocols import Problem
from advnets.experiments.claims import MINUS, Claim, at_least, at_most
from advnets.experiments.theorems.examples import array, largest, stream
from advnets.html.markup import Chart
from advnets.networks import Generator, GeneratorConfig
from advnets.plotting import curves
from advnets.plotting.curves import Across, Curve, Level
from advnets.theory import divergences

POINTS = 81
"""Parameter settings on the segment."""
DRAWS = 100_000
"""Values of z, evenly spaced over the prior's range, that stand for its uniform density."""
CELLS = 200
"""Cells of the line that the samples are counted in."""
WEIGHTS = ((1.2, -0.8), (0.3, 0.5), (1.0, -1.2), (0.0,))
"""Weights and biases of the two hidden units, then of the output."""

Parameters = dict[str, Tensor]


def not_convex() -> Claim:
    """Two settings of a generator give the same samples; half-way between them it does not."""
    G = _generator()
    theta = {name: value.detach() for name, value in G.named_parameters()}
    other = _exchanged(theta)
    laws = _pushed_forward(G, theta, other)
    p = laws[0]
    C = torch.stack([divergences.C(p, q) for q in laws])
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    mixed = torch.stack([divergences.C(p, torch.lerp(laws[0], laws[-1], s)) for s in t])
    return Claim(
        title="In the parameters it is not convex",
        source="Section 4.2, the last paragraph: G is a network, and θ is optimised, not p_g.",
        statement=(
            "A generator of one hidden layer stays the same when two of its hidden units change "
            "places, weights and all. So what it produces, taken as the data, has at least two "
            "parameter settings of least criterion. Half-way between the two the units are alike "
            "and the samples are others: C rises over the chord, so it is not convex in the "
            "parameters. Between the two distributions, which are equal, nothing rises.",
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
                0.1, "C(θ) over its chord, the most, in nats", largest(divergences.over_chord(C))
            ),
            at_most(1e-9, "C(p_g) over its chord", divergences.over_chord(mixed).max().item()),
        ),
        charts=(_hump_drawn(t, C, mixed), _outputs_drawn(G, theta, other)),
    )


def _generator() -> Generator:
    """A generator of two hidden units that does not fold the line."""
    problem = Problem(
        event_shape=(1,), low=0, high=1, mean=torch.zeros(1), batches_per_epoch=1, steps=1
    )
    config = GeneratorConfig(hidden=(2,), output="linear")
    G = Generator(config, z_dim=1, problem=problem, rng=stream("generator")).double()
    for value, written in zip(G.parameters(), WEIGHTS, strict=True):
        value.data.copy_(torch.tensor(written, dtype=torch.float64).view_as(value))
    return G


def _exchanged(theta: Parameters) -> Parameters:
    """The parameters with the two hidden units in each other's place."""
    hidden_weight, hidden_bias, last_weight, last_bias = theta
    return {
        hidden_weight: theta[hidden_weight].flip(0),
        hidden_bias: theta[hidden_bias].flip(0),
        last_weight: theta[last_weight].flip(1),
        last_bias: theta[last_bias],
    }


def _pushed_forward(G: Generator, theta: Parameters, other: Parameters) -> list[Tensor]:
    """p_g at each setting on the segment: the shares of the line's cells."""
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
    levels = [Level(label=f"{MINUS}log 4: the chord", y=divergences.LEAST)]
    across = Across(label="t, from one setting to the other")
    svg = curves.draw(lines, name="hump", across=across, levels=levels)
    return Chart(
        "Between two equally good generators",
        "Nats: the parameters mixed, and the distributions mixed.",
        svg,
    )


def _outputs_drawn(G: Generator, theta: Parameters, other: Parameters) -> Chart:
    z = torch.linspace(-math.sqrt(3), math.sqrt(3), 201, dtype=torch.float64)
    lines = []
    for label, t in (("t = 0 and t = 1", 0.0), ("t = 1/4", 0.25), ("t = 1/2", 0.5)):
        between = {name: torch.lerp(theta[name], other[name], t) for name in theta}
        x = functional_call(G, between, (z[:, None],)).detach().flatten()
        lines.append(Curve(label=label, x=array(z), y=array(x)))
    svg = curves.draw(lines, name="outputs", across=Across(label="z"))
    return Chart("What the generators make of z", "x = G(z), at points of the segment.", svg)

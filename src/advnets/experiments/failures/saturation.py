r"""Saturation: what is left of G's gradient when D is sure.

On one sample with logit a, D = sigmoid(a), the two objectives pull with

.. math:: \frac{d}{da} \log(1 - D) = -D, \qquad \frac{d}{da} (-\log D) = -(1 - D),

so that the first has gone where D rejects the sample, and their ratio is :math:`(1 - D) / D =
e^{-a}`. What both are multiplied with on the way to G's weights, :math:`\partial a / \partial
\theta`, is the same; where that has gone too, no objective helps.

Reference: Goodfellow et al. (2014), Section 3: "early in learning, when G is poor, D can reject
    samples with high confidence because they are clearly different from the training data".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from advnets.curves import Across, Curve
from advnets.data import DataConfig, Splits
from advnets.experiments.failures.finding import Chart, Finding, Table, spread
from advnets.experiments.failures.play import Play, digits
from advnets.game import Game
from advnets.networks import Generator
from advnets.protocols import Info
from advnets.value import OBJECTIVES, SLOPES, Objective

LOST_RATE = 1e-2
"""Ten times the rate that works: D wins for good (so it does at 4e-3 in docs/mnist-study.md)."""
_SATURATED = 1e-3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is played for each seed."""

    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 100
    """Rounds of the published game before G is held."""
    updates: tuple[int, ...] = (0, 10, 20, 50, 100, 150, 200, 250, 300)
    """Updates of D alone after which G's gradient is measured."""
    lost: tuple[int, ...] = (50, 100, 200, 400, 800)
    """Rounds of a game at too high a rate after which it is looked into."""
    z: int = 500
    """Samples that a gradient is the mean over."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One pair: what D believes, and how strongly each objective pulls at G's weights.

    Attributes:
        D_x: The mean of D on data, without dropout like all that follows.
        D_Gz: The mean of D on samples.
        minimax: Norm of the gradient of log(1 - D(G(z))) in G's weights.
        non_saturating: Norm of the gradient of -log D(G(z)).
        slopes: The mean of 1 - D over the mean of D on the samples: their ratio, were every
            sample's pull on the weights the same.
        at_x: Norm of the gradient of -log D(G(z)) in one sample, root mean square.
        before_output: The same where the sample enters G's output units.
        saturated: Share of the outputs where those pass on less than a thousandth.
        dead: Share of G's last hidden units that no z wakes.
    """

    D_x: float
    D_Gz: float
    minimax: float
    non_saturating: float
    slopes: float
    at_x: float
    before_output: float
    saturated: float
    dead: float


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """Moments of every seed, and of a game that is lost."""

    data: str
    plan: Plan
    held: tuple[tuple[Moment, ...], ...]
    """Seed by seed, after each number of updates of D alone."""
    lost: tuple[Moment, ...]
    """After each number of rounds."""


def closed_form(a: Tensor, objective: Objective) -> Tensor:
    """The slope of an objective in the logit of one sample, for many logits at once.

    Example:
        >>> a = torch.tensor([-5.0, 0.0])
        >>> closed_form(a, "minimax")
        tensor([-0.0067, -0.5000])
        >>> closed_form(a, "non-saturating")
        tensor([-0.9933, -0.5000])
    """
    return torch.cat([SLOPES[objective](one) for one in a.split(1)])


@contextmanager
def sure(game: Game) -> Iterator[None]:
    """The pair without dropout, gradients on; afterwards as it was."""
    training = [(m, m.training) for network in (game.G, game.D) for m in network.modules()]
    game.G.eval(), game.D.eval()
    try:
        yield
    finally:
        for module, was in training:
            module.training = was


def moment(game: Game, z: Tensor, x: Tensor) -> Moment:
    """Measure a pair as it stands: nothing of it moves.

    Args:
        game: With a generator of this library.
        z: Noise vectors, of shape `(n, z_dim)`.
        x: Examples, of shape `(n, *event_shape)`.
    """
    G = game.G
    assert isinstance(G, Generator) and isinstance(G.net, nn.Sequential)
    with sure(game):
        hidden = G.net[:-1](z)
        output = G.net[-1](hidden)
        x_g = G.squash(output).view(-1, *G.event_shape)
        a = game.D(x_g).view(-1)
        weights = list(G.parameters())
        norms = {name: _norm(of(a), weights) for name, of in OBJECTIVES.items()}
        along = torch.autograd.grad(OBJECTIVES["non-saturating"](a), [x_g, output])
        D_x = game.D(x).detach().sigmoid().mean().item()
    D = a.detach().double().sigmoid()
    D, x_g = a.detach().double().sigmoid(), x_g.detach()
    passed = x_g * (1 - x_g) if isinstance(G.squash, nn.Sigmoid) else torch.ones_like(x_g)
    at_x, before = (len(z) * g.flatten(1).norm(dim=1).square().mean().sqrt().item() for g in along)
    return Moment(
        D_x=D_x,
        D_Gz=D.mean().item(),
        minimax=norms["minimax"],
        non_saturating=norms["non-saturating"],
        slopes=((1 - D).mean() / D.mean().clamp_min(1e-300)).item(),
        at_x=at_x,
        before_output=before,
        saturated=(passed < _SATURATED).double().mean().item(),
        dead=(hidden <= 0).all(dim=0).double().mean().item(),
    )


def _norm(of: Tensor, weights: Sequence[Tensor]) -> float:
    gradient = torch.autograd.grad(of, weights, retain_graph=True)
    return torch.linalg.vector_norm(torch.stack([g.double().norm() for g in gradient])).item()


def measure(data: DataConfig, plan: Plan, splits: Splits | None = None) -> Saturation:
    """Hold G and train D, and watch what is left of G's gradient; then lose a game.

    Args:
        data: Digits.
        plan: What is played.
        splits: Those digits, where they are read already.
    """
    held = []
    for seed in plan.seeds:
        play = Play(digits(data, seed=seed), splits)
        for _ in range(plan.rounds):
            play.round()
        held.append(tuple(_over(play, plan, plan.updates, play.D)))
    play = Play(digits(data, seed=plan.seeds[0], lr=LOST_RATE), splits)
    lost = tuple(_over(play, plan, plan.lost, play.round))
    return Saturation(data=data.kind, plan=plan, held=tuple(held), lost=lost)


def _over(
    play: Play, plan: Plan, at: Sequence[int], move: Callable[[], Info]
) -> Iterator[Moment]:
    """The pair after each of these numbers of moves."""
    z, x = play.latents(plan.z), play.splits.validation.x[: plan.z]
    done = 0
    for number in at:
        for _ in range(number - done):
            move()
        done = number
        yield moment(play.game, z, x)


# The page


def finding(result: Saturation) -> Finding:
    """The section of the page."""
    plan = result.plan
    seeds = f"{len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}"
    first, last = ([held[i] for held in result.held] for i in (0, -1))
    end = result.lost[-1]
    return Finding(
        name="saturation",
        title="Saturation",
        says=(
            "log(1 - D(G(z))), which G descends in eq. (1), may not give it enough gradient: early "
            "on D rejects its samples with confidence, and the term is flat there. Ascending log "
            "D(G(z)) has the same fixed point and a strong gradient then (Section 3)."
        ),
        measured=(
            "In closed form the first pulls at the logit of one sample with D(G(z)), the second "
            "with 1 - D(G(z)). With D = 0.001 that is 999 times as much.",
            f"Measured on {result.data} with the paper's networks a third as wide and Adam: after "
            f"{plan.rounds:,} rounds G is held and D alone trained on. Over {plan.updates[-1]:,} "
            f"updates of D the mean D(G(z)) falls from {_mean(first, 'D_Gz'):.2g} to "
            f"{_mean(last, 'D_Gz'):.2g}, the gradient of log(1 - D(G(z))) in G's weights from "
            f"{_mean(first, 'minimax'):.2g} to {_mean(last, 'minimax'):.2g}, and that of -log "
            f"D(G(z)) goes from {_mean(first, 'non_saturating'):.2g} to "
            f"{_mean(last, 'non_saturating'):.2g} ({seeds}; without dropout, "
            f"{plan.z:,} samples).",
            "The other objective is no insurance. At ten times the rate "
            f"(Adam {LOST_RATE:g}) D wins, and after {plan.lost[-1]:,} rounds "
            f"{end.saturated:.1%} of G's output units let less than a thousandth of a gradient "
            f"pass: at the sample it is {end.at_x:.2g}, before the output units "
            f"{end.before_output:.2g}. What is flat then is G's sigmoid, not the objective.",
        ),
        charts=(_closed_form_chart(), _measured_chart(result)),
        tables=(_held_table(result), lost_table(dict(zip(_rounds(plan), result.lost, strict=True)))),
        helps=(
            "The non-saturating objective (the default of every recipe here), and rates at which "
            "D does not win: a lower one for both, or a higher one for G than for D. A game whose "
            "samples are all black and white, with D(G(z)) at 0 for hundreds of updates, is to be "
            "begun anew rather than waited for."
        ),
    )


def _mean(moments: Sequence[Moment], name: str) -> float:
    return float(np.mean([getattr(m, name) for m in moments]))


def _rounds(plan: Plan) -> list[str]:
    return [f"{rounds:,}" for rounds in plan.lost]


def _closed_form_chart() -> Chart:
    a = np.linspace(-12, 6, 73)
    names: tuple[tuple[Objective, str], ...] = (
        ("minimax", "of log(1 - D(G(z)))"),
        ("non-saturating", "of -log D(G(z))"),
    )
    lines = [
        Curve(label=label, x=a, y=-closed_form(torch.from_numpy(a), name).numpy())
        for name, label in names
    ]
    return Chart(
        title="The pull on one sample, in closed form",
        meaning="Size of the slope in the logit of D(G(z)). To the left D rejects the sample.",
        lines=lines,
        across=Across(label="logit of D(G(z))", limits=(-12, 6)),
        log=True,
    )


def _measured_chart(result: Saturation) -> Chart:
    x = np.array(result.plan.updates, float)
    labels = {"minimax": "of log(1 - D(G(z)))", "non_saturating": "of -log D(G(z))"}
    lines = [
        Curve(
            label=label,
            x=x,
            y=np.array([[getattr(m, name) for m in held] for held in result.held]).mean(axis=0),
        )
        for name, label in labels.items()
    ]
    return Chart(
        title="The pull on G's weights, measured",
        meaning=(
            f"Norm of the gradient while D alone is trained against a G that is held, on "
            f"{result.data}: mean of {len(result.held)} seeds."
        ),
        lines=lines,
        across=Across(label="updates of D alone", limits=(0, 1.02 * float(x[-1]))),
        log=True,
    )


def _held_table(result: Saturation) -> Table:
    rows = []
    for i, updates in enumerate(result.plan.updates):
        moments = [held[i] for held in result.held]
        ratios = [m.non_saturating / m.minimax for m in moments]
        columns = [[getattr(m, name) for m in moments] for name in ("minimax", "non_saturating")]
        rows.append(
            (
                f"{updates:,}",
                spread([m.D_Gz for m in moments], form=".2g"),
                *(spread(column, form=".2g") for column in columns),
                spread(ratios, form=".3g"),
                spread([m.slopes for m in moments], form=".3g"),
            )
        )
    return Table(
        caption=(
            f"G held after {result.plan.rounds:,} rounds, D trained on: mean [least, largest] of "
            f"{len(result.held)} seeds"
        ),
        headings=(
            "updates of D alone",
            "D(G(z))",
            "gradient of log(1 - D(G(z)))",
            "gradient of -log D(G(z))",
            "their ratio",
            "(1 - D) / D of the means",
        ),
        rows=rows,
    )


def lost_table(moments: Mapping[str, Moment]) -> Table:
    """Where in G the gradient of -log D(G(z)) is lost, pair by pair."""
    rows = [
        (
            name,
            f"{m.D_x:.3f}",
            f"{m.D_Gz:.1e}",
            f"{m.at_x:.2g}",
            f"{m.before_output:.2g}",
            f"{m.non_saturating:.2g}",
            f"{m.saturated:.1%}",
            f"{m.dead:.0%}",
        )
        for name, m in moments.items()
    ]
    return Table(
        caption=(
            "A game that D wins: the gradient of -log D(G(z)) in one sample, before G's output "
            "units, and in G's weights (norms)"
        ),
        headings=(
            "rounds",
            "D(x)",
            "D(G(z))",
            "in the sample",
            "before the output units",
            "in the weights",
            "outputs that pass less than 1/1000",
            "dead hidden units",
        ),
        rows=rows,
    )

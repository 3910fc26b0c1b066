r"""Saturation: G's gradient against a confident D.

On one sample with logit a, D = sigmoid(a), the two objectives have the derivatives

.. math:: \frac{d}{da} \log(1 - D) = -D, \qquad \frac{d}{da} (-\log D) = -(1 - D),

so that the first vanishes where D rejects the sample, and their ratio is :math:`(1 - D) / D =
e^{-a}`. Both are multiplied by the same :math:`\partial a / \partial \theta` on the way to G's
weights; where that vanishes too, no objective helps.

Reference: Goodfellow et al. (2014), Section 3: "early in learning, when G is poor, D can reject
    samples with high confidence because they are clearly different from the training data".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advnets.base.protocols import Info
from advnets.data import DataConfig, Splits
from advnets.experiments.failures.play import Play, digits
from advnets.game import Game
from advnets.game.value import OBJECTIVES
from advnets.networks import Generator

LOST_RATE = 1e-2
"""Ten times the rate that works: D dominates for good, as at 4e-3 in the MNIST study."""
_SATURATED = 1e-3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan for each seed."""

    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 100
    """Rounds of the published game before G is frozen."""
    updates: tuple[int, ...] = (0, 10, 20, 50, 100, 150, 200, 250, 300)
    """Updates of D alone after which G's gradient is measured."""
    lost: tuple[int, ...] = (50, 100, 200, 400, 800)
    """Rounds of a game at too high a rate after which it is measured."""
    z: int = 500
    """Samples that a gradient is the mean over."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The measurements of one pair: outputs of D, and gradients of both objectives in G's weights.

    Attributes:
        D_x: The mean of D on data, without dropout like all that follows.
        D_Gz: The mean of D on samples.
        minimax: Norm of the gradient of log(1 - D(G(z))) in G's weights.
        non_saturating: Norm of the gradient of -log D(G(z)).
        slopes: The mean of 1 - D over the mean of D on the samples: the ratio of the gradients if
            all samples had the same derivative in the weights.
        at_x: Norm of the gradient of -log D(G(z)) in one sample, root mean square.
        before_output: The same at the inputs of G's output units.
        saturated: Share of the outputs that pass less than a thousandth of their gradient.
        dead: Share of G's last hidden units that are 0 for every z.
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
    """Measurements of every seed, and of a game in which D dominates."""

    data: str
    plan: Plan
    held: tuple[tuple[Moment, ...], ...]
    """Seed by seed, after each number of updates of D alone."""
    lost: tuple[Moment, ...]
    """After each number of rounds."""


def closed_form(a: Tensor, objective: str) -> Tensor:
    """The derivative of an objective in the logit of one sample, for many logits at once.

    Example:
        >>> a = torch.tensor([-5.0, 0.0])
        >>> closed_form(a, "minimax")
        tensor([-0.0067, -0.5000])
        >>> closed_form(a, "non-saturating")
        tensor([-0.9933, -0.5000])
    """
    a = a.detach().requires_grad_()
    each = torch.stack([OBJECTIVES[objective](one) for one in torch.split(a, 1)])
    (gradient,) = torch.autograd.grad(each.sum(), a)
    return gradient


@contextmanager
def sure(game: Game) -> Iterator[None]:
    """Inside, G and D are without dropout and have gradients; afterwards they are restored."""
    training = [(m, m.training) for network in (game.G, game.D) for m in network.modules()]
    game.G.eval(), game.D.eval()
    try:
        yield
    finally:
        for module, was in training:
            module.training = was


def moment(game: Game, z: Tensor, x: Tensor) -> Moment:
    """Measure a pair without changing it.

    Args:
        game: With a generator of this library.
        z: Noise vectors, of shape `(n, z_dim)`.
        x: Examples, of shape `(n, *event_shape)`.
    """
    G = game.G
    assert isinstance(G, Generator)
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
    return float(torch.cat([g.flatten() for g in gradient]).double().norm())


def measure(data: DataConfig, plan: Plan, splits: Splits | None = None) -> Saturation:
    """Freeze G, train D and measure G's gradient; then train a game in which D dominates.

    Args:
        data: Digits.
        plan: The plan of the experiment.
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


def _over(play: Play, plan: Plan, at: Sequence[int], move: Callable[[], Info]) -> Iterator[Moment]:
    """The measurements after each of these numbers of updates."""
    z, x = play.latents(plan.z), play.splits.validation.x[: plan.z]
    done = 0
    for number in at:
        for _ in range(number - done):
            move()
        done = number
        yield moment(play.game, z, x)

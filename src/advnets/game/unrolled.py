r"""Unrolled D: G answers the D of K updates later, and its gradient passes through these updates.

.. math:: \theta_{j+1} = \theta_j + u(\nabla_\theta L_D(\theta_j, \theta_G)), \qquad
          \theta_G \leftarrow \theta_G - \eta \nabla_{\theta_G} L_G(\theta_K(\theta_G), \theta_G)

u is D's own rule with what it remembers (`optim.twin`). Each of the K updates sees the same
minibatch, z and masks; D itself then makes its usual move. Terms are not in L_D here.

Reference: Metz et al. (2017), Unrolled Generative Adversarial Networks, eq. (7) to (9).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from advnets.base import errors
from advnets.game.noise import Noise
from advnets.game.passes import View
from advnets.game.rule import Players, Rule
from advnets.game.term import Judged
from advnets.optim.twin import Twin


@dataclass(frozen=True)
class Unrolled(Rule):
    """The unrolled D as a rule of the game."""

    updates: int
    """K, the updates of D that G looks ahead."""
    alone: ClassVar[bool] = True
    alternating: ClassVar[bool] = True
    answers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        errors.at_least(1, updates=self.updates)

    def answered(self, players: Players, noise: Noise, view: View) -> Judged:
        """What D says K updates from now, with a graph back to G."""
        weights = self.ahead(players, noise, view)
        ask = partial(players.passes.discriminate, weights=weights)
        if players.loss.reads_data:
            return ask(noise.D, view.data, view.samples)
        return ask([mask.chunk(2)[1] for mask in noise.D], view.samples)

    def ahead(self, players: Players, noise: Noise, view: View) -> dict[str, Tensor]:
        """D's weights after K updates, functions of those that it has and of G's."""
        network = players.D_state.network
        weights: dict[str, Tensor] = {
            name: p for name, p in network.named_parameters() if p.requires_grad
        }
        twin = Twin(players.D_state.optimizer, weights.values())
        for _ in range(self.updates):
            parts = view.data, view.samples
            a = players.passes.discriminate(noise.D, *parts, weights=weights).a
            of_D = players.D_loss_weight * players.loss(*a.chunk(2))[0]
            moving = list(weights.values())
            gradient = torch.autograd.grad(of_D, moving, create_graph=True, allow_unused=True)
            weights = dict(zip(weights, twin.moved(moving, gradient), strict=True))
        return weights

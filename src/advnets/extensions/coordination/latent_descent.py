r"""Latent descent: before each update every z is moved to where D likes its sample better.

.. math:: z' = z + \alpha \frac{\nabla_z a(G(z))}{\beta + \|\nabla_z a(G(z))\|^2}

Both players then play z'. Where it would leave the prior's support it stays on its edge. The
gradient of G takes z' for a constant: the second-order part of LOGAN is left out.

Reference: Wu et al. (2019), LOGAN: Latent optimisation for generative adversarial networks.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.game.noise import Noise
from advnets.game.rule import Players, Rule
from advnets.nn import dropout
from advnets.sampling.priors import Prior, Spherical, Uniform


@dataclass(frozen=True)
class LatentDescent(Rule):
    """The move of z as a rule of the game."""

    step: float
    """Alpha: how far z is moved."""
    damping: float = 5.0
    """Beta: below its root a gradient moves z less the smaller it is."""

    def __post_init__(self) -> None:
        errors.positive(step=self.step, damping=self.damping)

    def latents(self, players: Players, noise: Noise) -> Tensor:
        """The z that are played."""
        g = self._gradient(players, noise)
        norm = g.square().sum(dim=1, keepdim=True)
        return inside(players.prior, noise.z + self.step * g / (self.damping + norm))

    def _gradient(self, players: Players, noise: Noise) -> Tensor:
        """D's logits on the samples, each in its own z."""
        G, rows = players.G_state.compute_module, len(noise.z) // players.passes.pack
        z = noise.z.detach().requires_grad_()
        dropout.set_masks(players.G_state.random, noise.G)
        with torch.enable_grad(), players.G_state.frozen(), players.D_state.frozen():
            x_g = G(z.to(next(G.parameters()).dtype), *noise.c)
            masks = [mask[-rows:] for mask in noise.D]  # those of the samples stand last
            a = players.passes.discriminate(masks, (x_g, *noise.c)).a
            (found,) = torch.autograd.grad(a.sum(), z)
        return found


def inside(prior: Prior, z: Tensor) -> Tensor:
    """The points of the prior's support that are nearest to z."""
    if isinstance(prior, Uniform):
        return z.clamp(-math.sqrt(3), math.sqrt(3))
    if isinstance(prior, Spherical):
        radius: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)
        return z / radius
    return z

r"""Instance noise that anneals: D compares data and samples after the same blur.

.. math:: a(x + \sigma_t \epsilon), \quad a(G(z) + \sigma_t \epsilon'), \qquad
          \sigma_t = \sigma \max(0, 1 - t / T)

Where p_data and p_g hardly overlap, D tells them apart whatever G does; blurred they overlap. t
counts the minibatches that D has seen.

Reference: Sønderby et al. (2017), Amortised MAP Inference for Image Super-resolution; Arjovsky and
    Bottou (2017). goodfeli/adversarial, `noise_both`, keeps it at one width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.base import errors
from advnets.game.passes import View
from advnets.game.rule import Players, Rule


@dataclass(frozen=True)
class InstanceNoise(Rule):
    """The blur as a rule of the game."""

    stdev: float
    """Standard deviation of the first minibatch, in the units of x."""
    minibatches: int
    """T: the minibatch from which on there is none."""

    def __post_init__(self) -> None:
        errors.positive(stdev=self.stdev)
        errors.at_least(1, minibatches=self.minibatches)

    def sigma(self, t: Tensor) -> Tensor:
        """The standard deviation at minibatch number t = 0, 1, ..., 0-d."""
        return (1 - t.double() / self.minibatches).clamp(min=0) * self.stdev

    def draw(self, m: int, shape: tuple[int, ...], *, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Epsilon of the data and of the samples."""
        size, device = (m, *shape), rng.device
        return tuple(torch.randn(size, generator=rng, device=device) for _ in range(2))

    def show(self, players: Players, view: View, drawn: tuple[Tensor, ...]) -> View:
        """Data and samples, blurred alike."""
        sigma = self.sigma(players.minibatches)
        data, samples = (
            (_blurred(x, epsilon, sigma), *told)
            for (x, *told), epsilon in zip((view.data, view.samples), drawn, strict=True)
        )
        return view._replace(data=data, samples=samples)


def _blurred(x: Tensor, epsilon: Tensor, sigma: Tensor) -> Tensor:
    if not x.numel():  # an update of G alone has no data
        return x
    return x + (sigma * epsilon.to(x.device)).to(x.dtype).view_as(x)

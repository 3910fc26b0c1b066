r"""Differentiable augmentation: D sees mirrored and shifted pictures, of data and samples alike.

.. math:: D(T_u(x)), \qquad D(T_{u'}(G(z))), \qquad u, u' \sim p(u)

D overfits few pictures later when it sees them transformed. Data and samples are transformed by
the same law, each with draws of its own, and the gradient of G passes through :math:`T_{u'}`: G
makes pictures whose transforms have the law of the data's transforms. Samples are not transformed.

- `flip`: mirrored left to right, with probability 1/2. G may then make mirror images of the data,
  because a picture and its mirror image give D the same law.
- `translate`: shifted by whole pixels, uniform up to an eighth of each side; 0 where it was empty.
- `flip-data`: examples alone are mirrored, with probability 1/2: data of twice as many pictures.

Reference: Zhao et al. (2020), Differentiable Augmentation for Data-Efficient GAN Training.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advnets.game.passes import View
from advnets.game.rule import Players, Rule
from advnets.game.transforms import (
    LARGEST,
    Transform,
    mirrored,
    refuse_transforms,
    refuse_vectors,
    translated,
)


@dataclass(frozen=True)
class Augmentation(Rule):
    """Mirrored and shifted pictures as a rule of the game.

    What D is told of an example as a picture of the same sides, such as a mask, moves with it.
    """

    transforms: tuple[Transform, ...]

    def __post_init__(self) -> None:
        refuse_transforms(self.transforms)

    def draw(self, m: int, shape: tuple[int, ...], *, rng: torch.Generator) -> tuple[Tensor, ...]:
        """For data and for samples: whether mirrored, pixels down and pixels right, `(m, 3)`.

        Raises:
            BadValue: For examples that are no pictures.
        """
        refuse_vectors(shape)
        return tuple(self._drawn(m, shape[1:], data, rng) for data in (True, False))

    def _drawn(self, m: int, sides: tuple[int, ...], data: bool, rng: torch.Generator) -> Tensor:
        flips = "flip" in self.transforms or (data and "flip-data" in self.transforms)
        shifts = "translate" in self.transforms
        most = [int(flips), *(round(side * LARGEST) if shifts else 0 for side in sides)]
        low = [0, *(-n for n in most[1:])]
        return torch.stack(
            [
                torch.randint(a, b + 1, (m,), generator=rng, device=rng.device)
                for a, b in zip(low, most, strict=True)
            ],
            dim=1,
        )

    def show(
        self,
        players: Players,  # noqa: ARG002 (the transforms depend on what was drawn alone)
        view: View,
        drawn: tuple[Tensor, ...],
    ) -> View:
        """Data and samples, transformed by the same law."""
        shape = view.samples[0].shape[1:]
        data, samples = (
            tuple(self._seen(t, shape, moves, is_x=i == 0) for i, t in enumerate(part))
            for part, moves in zip((view.data, view.samples), drawn, strict=True)
        )
        return view._replace(data=data, samples=samples)

    def _seen(self, t: Tensor, shape: torch.Size, moves: Tensor, *, is_x: bool) -> Tensor:
        """One input of D, transformed where it is a picture of the sides of x."""
        picture = is_x or (t.ndim == 4 and t.shape[2:] == shape[1:])
        if not picture or not t.numel():  # an update of G alone has no data
            return t
        x = t.reshape(-1, *shape) if is_x else t
        if {"flip", "flip-data"} & {*self.transforms}:
            x = mirrored(x, moves[:, 0] == 1)
        if "translate" in self.transforms:
            x = translated(x, moves[:, 1], moves[:, 2])
        return x.reshape(t.shape)

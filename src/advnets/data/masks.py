r"""Laws over masks: which numbers of an example are seen (1) and which are hidden (0).

    pixels       each pixel seen by itself, at a rate that each example draws from U(0, 1)
    rectangle    a random rectangle hidden, or all but one
    halves       the left, right, upper or lower half hidden
    quadrants    one to three of the four quadrants hidden
    strokes      a random brush stroke hidden
    nothing      nothing seen: the plain game

A picture's channels share one mask, so that a mask of `(C, H, W)` is `(1, H, W)`; any other example
has a mask of its own shape.

Reference: Goodfellow et al. (2014), Section 7, extension 3: "all conditionals p(x_S | x_notS)".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors

MaskLaw = Literal["pixels", "rectangle", "halves", "quadrants", "strokes", "nothing", "own"]
"""A law over masks by name; 'own' draws from masks of the user's."""
_POINTS, _WIDTH = 5, 1 / 10
"""A stroke: the corners of its line, and how far it reaches, in parts of the picture's side."""


def mask_shape(event_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one example's mask.

    Example:
        >>> mask_shape((3, 8, 8)), mask_shape((13,))
        ((1, 8, 8), (13,))
    """
    shape = tuple(event_shape)
    return (1, *shape[1:]) if len(shape) == 3 else shape


def pixels(n: int, shape: Sequence[int], *, rng: torch.Generator) -> Tensor:
    """Each pixel seen by itself, at a rate of U(0, 1) for each example."""
    rate = torch.rand(n, *[1] * len(shape), generator=rng, device=rng.device)
    return torch.rand(n, *shape, generator=rng, device=rng.device) < rate


def nothing(n: int, shape: Sequence[int], *, rng: torch.Generator) -> Tensor:
    """Nothing seen."""
    return torch.zeros(n, *shape, dtype=torch.bool, device=rng.device)


def rectangle(n: int, shape: Sequence[int], *, rng: torch.Generator) -> Tensor:
    """A rectangle between two uniform rows and two uniform columns hidden, or all but it."""
    u = torch.rand(n, 5, generator=rng, device=rng.device)
    rows, columns = _axes(shape, rng.device)
    top, bottom = u[:, :2].sort(dim=1).values.T[..., None]
    left, right = u[:, 2:4].sort(dim=1).values.T[..., None]
    down = (rows >= top) & (rows <= bottom)
    across = (columns >= left) & (columns <= right)
    inside = (down[:, :, None] & across[:, None, :])[:, None]
    seen: Tensor = inside ^ (u[:, 4] < 0.5)[:, None, None, None]
    return seen


def halves(n: int, shape: Sequence[int], *, rng: torch.Generator) -> Tensor:
    """One of the four halves hidden."""
    side = torch.randint(4, (n,), generator=rng, device=rng.device)
    rows, columns = _axes(shape, rng.device)
    down, across = (rows < 0.5)[:, None].expand(shape[1:]), (columns < 0.5).expand(shape[1:])
    return torch.stack((down, ~down, across, ~across))[side][:, None]


def quadrants(n: int, shape: Sequence[int], *, rng: torch.Generator) -> Tensor:
    """One, two or three of the four quadrants hidden, each set of as many equally likely."""
    hidden = torch.randint(1, 4, (n, 1), generator=rng, device=rng.device)
    order = torch.rand(n, 4, generator=rng, device=rng.device).argsort(dim=1).argsort(dim=1)
    rows, columns = _axes(shape, rng.device)
    which = 2 * (rows >= 0.5).long()[:, None] + (columns >= 0.5).long()
    return (order >= hidden)[:, which][:, None]


def strokes(n: int, shape: Sequence[int], *, rng: torch.Generator) -> Tensor:
    """A brush stroke hidden: a line through uniform points, of a width that is uniform too."""
    points = torch.rand(n, _POINTS, 2, generator=rng, device=rng.device)
    reach = _WIDTH * (0.5 + torch.rand(n, 1, 1, 1, generator=rng, device=rng.device))
    rows, columns = _axes(shape, rng.device)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
    seen = torch.ones(n, *shape, dtype=torch.bool, device=rng.device)
    for i in range(_POINTS - 1):
        seen &= _distance(places, points[:, i], points[:, i + 1])[:, None] > reach
    return seen


def _distance(places: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """How far places `(H, W, 2)` lie from the segments between a and b, `(n, 2)`: `(n, H, W)`."""
    a, along = a[:, None, None], (b - a)[:, None, None]
    t = ((places - a) * along).sum(dim=-1) / along.square().sum(dim=-1).clamp(min=1e-12)
    foot = a + t.clamp(0, 1)[..., None] * along
    found: Tensor = torch.linalg.vector_norm(places - foot, dim=-1)
    return found


def _axes(shape: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """The middles of the rows and of the columns, in (0, 1)."""
    height, width = ((torch.arange(k, device=device) + 0.5) / k for k in shape[1:])
    return height, width


LAWS: Mapping[str, Callable[..., Tensor]] = {
    "pixels": pixels,
    "rectangle": rectangle,
    "halves": halves,
    "quadrants": quadrants,
    "strokes": strokes,
    "nothing": nothing,
}
ANYWHERE = ("pixels", "nothing", "own")
"""The laws for examples that are no pictures too."""


@dataclass(frozen=True)
class Masks:
    """A mixture of laws, each drawn equally often; name one twice to draw it twice as often.

    Args:
        laws: Names of laws.
        shape: Of one example's mask (`mask_shape`).
        own: The user's own masks, `(k, *shape)`, for the law 'own'.

    Raises:
        BadValue: For an unknown law, one that needs pictures where there are none, or own masks
            that are not given, of another shape, or of other values than 0 and 1.
    """

    laws: tuple[str, ...]
    shape: tuple[int, ...]
    own: Tensor | None = None

    def __post_init__(self) -> None:
        refuse_laws(self.laws, pictures=len(self.shape) == 3)
        if "own" in self.laws:
            errors.require(self.own is not None, "own", "masks, for the law 'own'", "nothing")
        if self.own is not None:
            refuse_masks("own", self.own, self.shape)

    def draw(self, n: int, *, rng: torch.Generator) -> Tensor:
        """`n` masks: 1 where a number is seen, of shape `(n, *shape)`, float32."""
        law = torch.randint(len(self.laws), (n,), generator=rng, device=rng.device)
        mask = torch.empty(n, *self.shape, dtype=torch.float32, device=rng.device)
        for i, name in enumerate(self.laws):
            rows = (law == i).nonzero()[:, 0]
            mask[rows] = self._of(name, len(rows), rng).to(mask)
        return mask

    def _of(self, name: str, n: int, rng: torch.Generator) -> Tensor:
        if name != "own":
            return LAWS[name](n, self.shape, rng=rng)
        assert self.own is not None
        return self.own[torch.randint(len(self.own), (n,), generator=rng, device=rng.device)]


def refuse_laws(laws: Sequence[str], *, pictures: bool) -> None:
    """Raise `BadValue` for no law at all, an unknown one, or one that needs pictures."""
    errors.require(len(laws) > 0, "masks", "at least one law", "none")
    for name in laws:
        errors.one_of(get_args(MaskLaw), masks=name)
        if not pictures:
            need = f"of {', '.join(ANYWHERE)} for examples that are no pictures"
            errors.require(name in ANYWHERE, "masks", need, name)


def refuse_masks(name: str, mask: Tensor, shape: Sequence[int]) -> None:
    """Raise `BadValue` unless these are masks `(n, *shape)` of zeros and ones, at least one."""
    if mask.shape[1:] != tuple(shape) or not len(mask):
        raise errors.wrong_shape(name, f"(n, {', '.join(map(str, shape))})", mask.shape)
    other = (mask != 0) & (mask != 1)
    if other.any():
        got = mask[other][0].item()
        raise errors.bad_value(
            name, "1 where a number is seen and 0 where it is hidden", f"{got:g}"
        )

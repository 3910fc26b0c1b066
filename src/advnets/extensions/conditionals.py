r"""All conditionals p(x_S | the rest), by one G that is shown the rest and told what is hidden.

A mask m is drawn for each example, 1 where it is seen. G fills in what is hidden, and D, which is
told the mask, compares the filled example with the whole one:

.. math:: \min_G \max_D E_{x, m}[\log D(x, m)] + E_{x, m, z}[\log(1 - D(\tilde x, m))], \qquad
          \tilde x = m x + (1 - m) G(m x, m, z)

The seen part of both pairs has the same law, so that at the optimum G's conditional is the data's
for every mask that can be drawn. With nothing seen it is the plain game.

Reference: Goodfellow et al. (2014), Section 7, extension 3: "one can approximately model all
    conditionals p(x_S | x_notS) where S is a subset of the indices of x by training a family of
    conditional models that share parameters".
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from advnets.base import errors, files
from advnets.base.config import expanded
from advnets.base.protocols import Batch, Info, Problem
from advnets.base.rng import generator
from advnets.data import arrays
from advnets.data.masks import MaskLaw, Masks, mask_shape, refuse_laws, refuse_masks
from advnets.game import Game, GameConfig
from advnets.game.pac import Packed, packed_shape
from advnets.optim.train_state import has_forward_pair
from advnets.sampling.priors import Prior
from advnets.sampling.samplers import GeneratorSampler, refuse_non_finite, untouched

_STRIDE = 2**32
"""Completion i of row j has z number i * _STRIDE + j: it depends on neither count."""
_CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class ConditionalsConfig(GameConfig):
    """A game of all conditionals: G fills in what a mask hides."""

    kind: ClassVar[str] = "conditionals"

    masks: tuple[MaskLaw, ...] = ("pixels", "nothing")
    """The laws that masks are drawn from, each equally often: 'pixels', 'nothing', 'own', and of
    pictures 'rectangle', 'halves', 'quadrants' and 'strokes' (`advnets.data.masks`)."""
    own_masks: str = ""
    """For 'own': a `.npy` file with masks, 1 where a number is seen, `(k, H, W)` or `(k, d)`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_laws(self.masks, pictures=True)
        none = self.context == "none"
        errors.require(none, "context", "'none' in a game of conditionals", self.context)
        asked = "own" in self.masks
        need = "the file of the law 'own'" if asked else "left out: no law is 'own'"
        errors.require(asked == bool(self.own_masks), "own_masks", need, self.own_masks or "none")


def shown_shape(event_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of m x and m side by side, as G and D are given them.

    Example:
        >>> shown_shape((3, 8, 8)), shown_shape((13,))
        ((4, 8, 8), (26,))
    """
    first, *rest = event_shape
    return first + mask_shape(event_shape)[0], *rest


class Filling(nn.Module):
    """G of masked examples: what is seen stays as it is, bit for bit.

    Args:
        G: Maps z and, beside it, m x and m in a row (`shown_shape`, flat) to examples.
        event_shape: Shape of one example.
    """

    def __init__(self, G: nn.Module, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.G, self.event_shape = G, tuple(event_shape)

    def constrain(self) -> None:
        """Put G's weights back within their limits, after an update."""
        _constrain(self.G)

    def forward(self, z: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
        """`(n, z_dim)`, m x `(n, *event_shape)` and m `(n, *mask_shape)` to whole examples."""
        x_g = self.G(z, torch.cat((seen, mask), dim=1).flatten(1))
        return torch.where(mask.bool(), seen, x_g.view_as(seen))


class Masked(nn.Module):
    """D that is told the mask: it sees x and m side by side, and treats each example by itself.

    Args:
        D: Maps examples of `shown_shape` to one logit each.
    """

    def __init__(self, D: nn.Module) -> None:
        super().__init__()
        self.D = D

    def constrain(self) -> None:
        """Put D's weights back within their limits, after an update."""
        _constrain(self.D)

    def forward(self, x: Tensor, seen: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002
        """`(n, *event_shape)` with what G was told of them, to logits `(n, 1)`."""
        a: Tensor = self.D(torch.cat((x, mask), dim=1))
        return a

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of data, then of as many samples, in one pass."""
        (x, _, m), (x_g, _, m_g) = data, samples
        parts = torch.cat((x, m), dim=1), torch.cat((x_g, m_g), dim=1)
        D: Any = self.D
        a: Tensor = (
            D.forward_pair(*((p,) for p in parts)) if has_forward_pair(D) else D(torch.cat(parts))
        )
        return a


def _constrain(network: nn.Module) -> None:
    constrain: Callable[[], None] | None = getattr(network, "constrain", None)
    if constrain is not None:
        constrain()


class Unseen(nn.Module):
    """G with nothing seen: G(z) of the plain game.

    Args:
        G: Fills in masked examples.
    """

    def __init__(self, G: Filling) -> None:
        super().__init__()
        self.G = G

    def forward(self, z: Tensor) -> Tensor:
        """`(n, z_dim)` to `(n, *event_shape)`."""
        x: Tensor = self.G(z, *nothing_seen(len(z), self.G.event_shape, like=z))
        return x


def nothing_seen(n: int, event_shape: Sequence[int], *, like: Tensor) -> tuple[Tensor, Tensor]:
    """What G is told of n examples of which nothing is seen: m x and m, all zeros."""
    return like.new_zeros(n, *event_shape), like.new_zeros(n, *mask_shape(event_shape))


class Shown(NamedTuple):
    """What is seen of some examples."""

    seen: Tensor
    """m x, `(N, *event_shape)`: 0 where it is hidden."""
    mask: Tensor
    """m, `(N, *mask_shape)`: 1 where it is seen."""


class Conditionals(Game):
    r"""A game of all conditionals. G and D are a `Filling` and a `Masked`, or a pack of such.

    What both are told (`told`) is m x and m, with masks drawn from `masks` at every minibatch; what
    is drawn of the samplers (`samplers`) has nothing seen. `complete` fills in.
    """

    G: Filling
    own_masks: Path | None = None
    laws: tuple[str, ...] = ("pixels", "nothing")
    _law: Masks | None = None

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> Self:
        """The game that a configuration describes, its first weights drawn from the seed."""
        assert isinstance(config, ConditionalsConfig)
        refuse_laws(config.masks, pictures=len(problem.event_shape) == 3)
        game = super().from_config(config, problem, seed=seed)
        game.laws = config.masks
        game.own_masks = expanded(config.own_masks) if config.own_masks else None
        return game

    @classmethod
    def networks(
        cls,
        config: GameConfig,
        problem: Problem,
        context_size: int,  # noqa: ARG003
        *,
        seed: int,
    ) -> tuple[nn.Module, nn.Module]:
        """G that is shown a masked example, and D that is told the mask."""
        shape, shown = problem.event_shape, shown_shape(problem.event_shape)
        told, rng = math.prod(shown), generator(seed, "weights of G")
        G = config.G.build(z_dim=config.z_dim, problem=problem, context=told, rng=rng)
        rng = generator(seed, "weights of D")
        D = Masked(config.D.build(event_shape=packed_shape(shown, config.pack), rng=rng))
        return Filling(G, shape), D if config.pack == 1 else Packed(D, config.pack)

    @property
    def masks(self) -> Masks:
        """The law that masks are drawn from; the user's own are read when they are first needed."""
        if self._law is None:
            shape, own = mask_shape(self.event_shape), None
            if self.own_masks is not None:
                option = "--model.own-masks"
                own = read_masks(self.own_masks, self.event_shape, option=option)
            self._law = Masks(self.laws, shape, own)
        return self._law

    @masks.setter
    def masks(self, law: Masks) -> None:
        self._law = law

    def refuse_sizes(self, sizes: Iterable[int]) -> None:
        """Raise for minibatches that do not fit, and for masks that cannot be read.

        It is called before the first update, and before a folder is made.
        """
        super().refuse_sizes(sizes)
        self.masks  # noqa: B018  # read here

    def told(self, batch: Batch, *, rng: torch.Generator) -> tuple[Tensor, ...]:
        """M x and m, of this process's rows."""
        m = batch.whole or len(batch.x)
        mask = self.masks.draw(m, rng=rng)[self.ranks.rows(m)].to(self._device, self._playing)
        return batch.x.to(self._device, self._playing) * mask, mask

    def told_first(self, n: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Nothing seen, for both."""
        like = torch.empty(0, device=self._device, dtype=self._playing)
        told = nothing_seen(n, self.G.event_shape, like=like)
        return told, told

    def step_G(self, m: int, *, rng: torch.Generator) -> Info:  # noqa: ARG002
        """Not in this game: G is shown examples, which `step` alone is given."""
        raise errors.WrongMoment("'step_G' must be given the data that this G sees: call 'step'.")

    def samplers(self) -> dict[str, GeneratorSampler]:
        """`raw` and `averaged`, as in any game: G with nothing seen."""
        networks = {"raw": self.G, "averaged": self.ema.network}
        return {n: GeneratorSampler(Unseen(G), self.prior) for n, G in networks.items()}  # type: ignore[arg-type]

    def complete(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        n: int = 8,
        seed: int = 0,
        averaged: bool = False,
    ) -> Tensor:
        """Fill in what is hidden, n times: `(n, N, *event_shape)`. See `complete`."""
        G: Any = self.ema.network if averaged else self.G
        return complete(G, self.prior, x, mask, n=n, seed=seed)


def read_masks(path: Path, event_shape: Sequence[int], *, option: str = "--mask") -> Tensor:
    """The user's masks in a `.npy` file: one, or many, as `(k, *mask_shape)`.

    Args:
        path: The file.
        event_shape: Shape of one example.
        option: What gives the file, for errors.

    Raises:
        BadFile: For a file that is missing or holds no array.
        BadValue: For another shape, or values other than 0 and 1.
    """
    files.open_regular(path, missing=f"give a .npy file of masks with {option}").close()
    array, _ = arrays.read(path)
    shape = mask_shape(event_shape)
    errors.require(array.dtype.kind in "biuf", str(path), "an array of 0 and 1", array.dtype)
    mask = torch.from_numpy(array.astype("float32"))
    plain = shape[1:] if len(shape) == 3 else shape
    if mask.shape in (plain, (*mask.shape[:1], *plain)):
        mask = mask.reshape(-1, *shape)
    elif mask.shape == shape:
        mask = mask[None]
    refuse_masks(str(path), mask, shape)
    return mask


def shown(x: Tensor, mask: Tensor | None, event_shape: Sequence[int]) -> Shown:
    """What is seen of examples, checked.

    Args:
        x: Examples `(N, *event_shape)`, or one; NaN where a number is missing.
        mask: 1 where a number is seen: one for each example, or one for all of them. A picture's
            channels have one mask, `(H, W)` or `(1, H, W)`. By default what is not NaN is seen.
        event_shape: Shape of one example.

    Raises:
        BadValue: For another shape, values other than 0 and 1, or NaN and infinity in what is seen.
    """
    event_shape, one = tuple(event_shape), mask_shape(event_shape)
    x = x[None] if x.shape == event_shape else x
    if x.shape[1:] != event_shape or not len(x):
        raise errors.wrong_shape("x", f"(N, {', '.join(map(str, event_shape))})", x.shape)
    if mask is None:
        there = ~x.isnan()
        mask = there.all(dim=1, keepdim=True) if len(one) == 3 else there
    elif mask.shape == one[1:] and len(one) == 3:
        mask = mask[None]
    elif len(one) == 3 and mask.shape == (len(x), *one[1:]):
        mask = mask[:, None]
    mask = mask[None] if mask.shape == one else mask
    mask = mask.expand(len(x), *one) if mask.shape == (1, *one) else mask
    refuse_masks("mask", mask, one)
    if len(mask) != len(x):
        raise errors.wrong_shape("mask", f"({len(x)}, {', '.join(map(str, one))})", mask.shape)
    seen = torch.where(mask.bool(), x, torch.zeros((), dtype=x.dtype))
    finite = seen.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        raise errors.array_not_finite("x", int(finite.logical_not().nonzero()[0]))
    return Shown(seen, mask)


def complete(
    G: Filling, prior: Prior, x: Tensor, mask: Tensor | None = None, *, n: int = 8, seed: int = 0
) -> Tensor:
    """N completions of each example: what is seen stays bit for bit, what is hidden is drawn.

    Completion i of example j depends on (seed, i, j) and the example alone.

    Args:
        G: Fills in masked examples.
        prior: p_z.
        x: Examples `(N, *event_shape)`, or one of them; NaN where a number is missing.
        mask: As in `shown`; by default what is not NaN is seen.
        n: Completions of each example: K.
        seed: Draws z.

    Returns:
        Of shape `(n, N, *event_shape)`, of the type of `x`. Their mean and standard deviation over
        the first axis are the estimate of what is hidden and how sure it is.

    Raises:
        BadValue: For n below 1, and as `shown`.
    """
    errors.at_least(1, n=n)
    seen, mask = shown(x, mask, G.event_shape)
    plain = GeneratorSampler(Unseen(G), prior)  # knows which z belongs to which number
    found = []
    for i in range(n):
        z = plain.latents(len(seen), seed=seed, start=i * _STRIDE)
        found.append(filled(G, z, seen, mask))
    return torch.stack(found)


def filled(G: nn.Module, z: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
    """One completion of each example, by the z given, of the type of `seen`."""
    like = next(G.parameters(), z)
    parts = zip(*(torch.split(t, _CHUNK) for t in (z, seen, mask)), strict=True)
    with untouched(G) as network:
        x = torch.cat([network(*(t.to(like) for t in part)) for part in parts])
    refuse_non_finite(x)
    return torch.where(mask.bool(), seen, x.to(seen))

"""Who is in the race: every row's name, and what its own process builds it with."""

from collections.abc import Callable
from functools import partial
from itertools import product

import peers
import torch
from peers import Rival, Sizes, count
from products import ORDERS, PRECISIONS, IdealStep, Layout, Order, Precision
from runners import Build
from torch import Tensor

import advnets
from advnets.base.protocols import Problem
from advnets.optim.train_state import keep_freed_memory

PLAIN, OURS, PRODUCTS, WITH_PASS = "plain PyTorch", "ours", "products", "products + pass"
COMPILED = ", compiled"
PEERS = {"lightning": "lightning", "pytorch-ignite": "ignite", "jax": "jax"}


def entrants(s: Sizes, layout: Layout) -> dict[str, Build]:
    """How to build everybody, in the order of the table."""
    entries: dict[str, Build] = {
        PLAIN: partial(on_images, peers.plain, s),
        f"{PLAIN}, D frozen": partial(on_images, peers.plain, s, freeze=True),
        "lightning": partial(on_images, peers.lightning, s),
        "pytorch-ignite": partial(on_images, peers.ignite, s),
        "jax": partial(on_images, jax, s),
    }
    kinds = list(product(ORDERS, PRECISIONS))
    for kind, suffix in product(kinds, ("", COMPILED)):
        name = f"{OURS} {' '.join(kind)}{suffix}"
        entries[name] = partial(on_images, ours, s, *kind, compile=bool(suffix))
    for kind in kinds:
        entries[f"{PRODUCTS} {' '.join(kind)}"] = partial(bare, s, *kind, layout, passes=False)
        entries[f"{WITH_PASS} {' '.join(kind)}"] = partial(bare, s, *kind, layout, passes=True)
    return entries


def split(name: str) -> tuple[str, str]:
    """Who plays, and in which order and precision."""
    for who in (WITH_PASS, PRODUCTS, OURS):
        if name.startswith(who):
            return who, name.removeprefix(who).removesuffix(COMPILED).strip()
    return name, ""


def images(s: Sizes) -> Tensor:
    """The training images: random numbers."""
    return torch.rand(s.examples, s.pixels, generator=torch.Generator().manual_seed(0))


def on_images(build: Callable[..., Rival], s: Sizes, *words: str, **switches: bool) -> Rival:
    """A competitor with training images of its own."""
    return build(s, images(s), *words, **switches)


def jax(s: Sizes, x: Tensor) -> Rival:
    """The game in JAX, which is imported only where it is played."""
    import peer_jax

    return peer_jax.rival(s, x)


class Ours:
    """Our game, of either order and precision."""

    def __init__(
        self, s: Sizes, x: Tensor, order: Order, precision: Precision, *, compile: bool = False
    ) -> None:
        keep_freed_memory()  # as the command does
        config = advnets.GameConfig(
            order=order,
            precision=precision,
            compile=compile,
            z_dim=s.z,
            G=advnets.GeneratorConfig(hidden=(s.hidden, s.hidden), bias_from_marginals=False),
            D=advnets.DiscriminatorConfig(units=(s.units, s.units), pieces=peers.PIECES),
        )
        problem = Problem(
            event_shape=(s.pixels,),
            low=0.0,
            high=1.0,
            mean=x.mean(dim=0),
            batches_per_epoch=s.examples // s.batch,
            steps=50_000,
        )
        self.game = advnets.Game.from_config(config, problem, seed=0)
        self.batches = advnets.Batches(x, size=s.batch, seed=0)
        self.rng = torch.Generator().manual_seed(0)
        self.played = 0

    def play(self, n: int) -> None:
        """The next n updates."""
        for i in range(self.played, self.played + n):
            self.game.step(self.batches.of_step(i, 1), rng=self.rng)
        self.played += n


def ours(
    s: Sizes, x: Tensor, order: Order, precision: Precision, *, compile: bool = False
) -> Rival:
    """Our game in the race."""
    entry = Ours(s, x, order, precision, compile=compile)
    if compile:
        entry.play(2)  # the second update compiles
    return Rival(peers.clocked(entry.play), count(entry.game.G, entry.game.D))


def bare(s: Sizes, order: Order, precision: Precision, layout: Layout, *, passes: bool) -> Rival:
    """The bare products in the race, which are to have no page faults either."""
    keep_freed_memory()
    return IdealStep(s, order, precision, layout).rival(passes=passes)

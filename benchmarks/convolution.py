"""Updates per second of the pair of `images` on pictures: ours, and plain PyTorch's loop.

    python benchmarks/convolution.py [--sides 32 64] [--rounds N] [--updates N] [--quick]

Everybody plays the same networks in float32, on minibatches of 64 random pictures in colour, in a
process of its own (`runners.py`), in interleaved rounds as in `speed.py`. The plain rows have the
loop of PyTorch's DCGAN tutorial: channels first or last, with networks compiled, or with D's
gradients spared in G's step. Ours is the recipe's game, whose players move simultaneously: one pass
of G and one of D serve both. `--quick` (CI) takes narrow networks and a single round.
"""

import argparse
import dataclasses
import statistics
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from peers import Rival, clocked, count
from runners import Build, running
from speed import Reasons, built, machine, play
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import advnets
from advnets import recipes
from advnets.base.protocols import Problem
from advnets.networks import SpectralDConfig, SpectralGConfig
from advnets.networks.sngan import LEAK, halvings
from advnets.optim.train_state import keep_freed_memory

BATCH, Z, LR, EXAMPLES = 64, 64, 4e-4, 1_000
OURS, PLAIN = "advnets, images", "plain PyTorch"


def entrants(side: int, width: int) -> dict[str, Build]:
    """How to build everybody at a side of the pictures, in the order of the table."""
    one = partial(plain, side, width)
    return {
        f"{PLAIN}, channels first": one,
        f"{PLAIN}, channels last": partial(one, last=True),
        f"{PLAIN}, channels last, D frozen": partial(one, last=True, freeze=True),
        f"{PLAIN}, channels last, compiled": partial(one, last=True, compiled=True),
        OURS: partial(ours, side, width),
    }


def pictures(side: int) -> Tensor:
    """Random pictures in colour, `(EXAMPLES, 3, side, side)`."""
    return torch.rand(EXAMPLES, 3, side, side, generator=torch.Generator().manual_seed(0))


def networks(side: int, width: int) -> tuple[nn.Module, nn.Module]:
    """The pair of `advnets.networks.sngan` in torch's own layers."""
    n = halvings(side, side)
    widths = [width * 2**i for i in range(n + 1)]
    low, top = side >> n, widths[-1]
    up: list[nn.Module] = [
        *(nn.Linear(Z, top * low * low), nn.Unflatten(1, (top, low, low))),
        *(nn.ReLU(inplace=True), nn.BatchNorm2d(top, affine=False)),
    ]
    for i, o in pairwise(widths[::-1]):
        up += [
            nn.ConvTranspose2d(i, o, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(o, affine=False),
        ]
    up += [nn.Conv2d(width, 3, 3, padding=1), nn.Sigmoid()]
    down: list[nn.Module] = [spectral_norm(nn.Conv2d(3, width, 3, padding=1))]
    for i, o in pairwise(widths):
        down += [nn.LeakyReLU(LEAK, inplace=True), spectral_norm(nn.Conv2d(i, o, 4, 2, 1))]
    down += [nn.LeakyReLU(LEAK, inplace=True), nn.Flatten()]
    down.append(spectral_norm(nn.Linear(top * low * low, 1)))
    return nn.Sequential(*up), nn.Sequential(*down)


def plain(
    side: int, width: int, *, last: bool = False, freeze: bool = False, compiled: bool = False
) -> Rival:
    """The loop of PyTorch's DCGAN tutorial; `freeze` spares D's gradients in G's step."""
    layout = torch.channels_last if last else torch.contiguous_format
    G, D = networks(side, width)
    for p in (*G.parameters(), *D.parameters()):
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=layout)
    G_rule, D_rule = (torch.optim.Adam(p.parameters(), LR, (0.0, 0.999)) for p in (G, D))
    x, rng = pictures(side), torch.Generator().manual_seed(0)
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    bce = F.binary_cross_entropy_with_logits
    of_G, of_D = (torch.compile(G), torch.compile(D)) if compiled else (G, D)

    def step(real: Tensor) -> None:
        D.zero_grad()
        bce(of_D(real), ones).backward()  # type: ignore[no-untyped-call]
        fake = of_G(torch.randn(BATCH, Z))
        bce(of_D(fake.detach()), zeros).backward()  # type: ignore[no-untyped-call]
        D_rule.step()
        G.zero_grad()
        D.requires_grad_(not freeze)
        bce(of_D(fake), ones).backward()  # type: ignore[no-untyped-call]
        D.requires_grad_(True)
        G_rule.step()

    def play_on(n: int) -> None:
        for _ in range(n):
            rows = torch.randint(len(x), (BATCH,), generator=rng)
            step(x[rows].contiguous(memory_format=layout))

    return Rival(clocked(play_on), count(G, D))


def ours(side: int, width: int) -> Rival:
    """The game of the recipe `images`."""
    keep_freed_memory()  # as the command does
    x, model = pictures(side), recipes.images().model
    assert isinstance(model, advnets.GameConfig)
    model = dataclasses.replace(
        model, G=SpectralGConfig(width=width), D=SpectralDConfig(width=width)
    )
    problem = Problem(
        event_shape=(3, side, side),
        low=0.0,
        high=1.0,
        mean=x.mean(dim=0),
        batches_per_epoch=len(x) // BATCH,
        steps=10_000,
    )
    game = advnets.Game.from_config(model, problem, seed=0)
    batches, rng = advnets.Batches(x, size=BATCH, seed=0), torch.Generator().manual_seed(0)
    numbers = iter(range(10**9))

    def play_on(n: int) -> None:
        for _ in range(n):
            game.step(batches.of_step(next(numbers), 1), rng=rng)

    return Rival(clocked(play_on), count(game.G, game.D))


def race(side: int, options: argparse.Namespace) -> list[str]:
    """The rows of the table for pictures of one size."""
    failed: Reasons = {}
    with running(entrants(side, options.width), options.threads) as runners:
        sizes = {name: parameters for name, (parameters, _) in built(runners, failed).items()}
        assert len(set(sizes.values())) <= 1, sizes
        rates = play(runners, options.rounds, options.updates, failed)
    others = [name for name in rates if name != OURS]
    best = max(others, key=lambda name: statistics.median(rates[name]))
    lines = []
    for name, of in rates.items():
        ratio = statistics.median(a / b for a, b in zip(of, rates[best], strict=True))
        rate = statistics.median(of)
        lines.append(f"| {side} x {side} | {name} | {rate:.2f} | {1e3 / rate:.0f} | {ratio:.2f} |")
    return lines + [
        f"| {side} x {side} | {name} | failed: {why} | | |" for name, why in failed.items()
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--sides", type=int, nargs="+", default=[32, 64])
    add("--width", type=int, default=32, help="channels at the full size")
    add("--rounds", type=int, default=4, help="the first is thrown away")
    add("--updates", type=int, default=10, help="updates of a burst")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--quick", action="store_true", help="pictures of 16 x 16, narrow networks, two rounds")
    options = parser.parse_args()
    if options.quick:
        options.sides, options.width, options.rounds, options.updates = [16], 2, 2, 2
    print("\n".join(f"{name}: {value}" for name, value in machine().items()), flush=True)
    print(f"{options.threads} thread(s), {options.rounds} rounds of {options.updates} updates\n")
    print("| pictures | who | updates/s | ms | over the best plain row |\n|---|---|---|---|---|")
    for side in options.sides:
        print("\n".join(race(side, options)), flush=True)


if __name__ == "__main__":
    main()

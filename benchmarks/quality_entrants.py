"""What `quality.py` compares: our recipes, and the GANs and the VAE that users would pick instead.

The others are written out with the networks, rules, order and minibatches of their own examples,
without logging: PyTorch's DCGAN tutorial, Lightning's GAN example, and PyTorch's VAE example. What
differs: DCGAN's pictures are padded to 32 x 32 and each pixel is doubled, which can be undone
exactly; Lightning's are in [-1, 1], as its G's outputs are, and not in [0, 1]. Each has all
training pictures in memory. All compute in float32.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from advnets import GameConfig, recipes
from advnets.base.protocols import Batch, Learner, Problem
from advnets.base.rng import generator
from advnets.runs import registry

Draw = Callable[[int, torch.Generator], Tensor]
"""n samples of shape `(n, 1, 28, 28)` in [0, 1]."""


@dataclass(frozen=True)
class Entrant:
    """A model in training."""

    step: Callable[[], object]
    """One update, on its own minibatch."""
    draw: Draw

    def play(self, seconds: float) -> float:
        """Updates for so many CPU seconds; the CPU seconds that they took."""
        began = time.process_time()
        while time.process_time() - began < seconds:
            self.step()
        return time.process_time() - began


Build = Callable[[Tensor, int, float], Entrant]
"""An entrant, from the training pictures `(n, 1, 28, 28)`, a seed and all its CPU seconds."""


def minibatches(x: Tensor, m: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Minibatches of m pictures, without end: a new order in each epoch."""
    while True:
        order = torch.randperm(len(x), generator=rng)
        for at in range(0, len(x) - m + 1, m):
            yield x[order[at : at + m]]


def recipe(name: str) -> Build:
    """A recipe of ours, its rates annealed over as many updates as the time has room for."""

    def build(x: Tensor, seed: int, seconds: float) -> Entrant:
        config = recipes.get(name)
        assert isinstance(config.model, GameConfig)
        model_config = replace(config.model, precision="float32")

        def learner(steps: int) -> Learner:
            problem = Problem(
                event_shape=tuple(x.shape[1:]),
                low=0.0,
                high=1.0,
                mean=x.mean(dim=0),
                batches_per_epoch=len(x) // config.batch_size,
                steps=steps,
            )
            return registry.build(model_config, problem, seed=seed)

        def playing(steps: int) -> Entrant:
            model, rng = learner(steps), generator(seed, "steps")
            batches = minibatches(x, config.batch_size, generator(seed, "batches"))

            def step() -> None:
                mine = itertools.islice(batches, model.batches_per_step)
                model.step(tuple(Batch(b) for b in mine), rng=rng)

            def draw(n: int, rng: torch.Generator) -> Tensor:
                number = int(torch.randint(2**31, (1,), generator=rng))
                drawn: Tensor = model.samplers()["raw"].sample(n, seed=number)
                return drawn

            return Entrant(step, draw)

        trial, n = playing(1_000), 20
        for _ in range(5):  # the first updates are slow
            trial.step()
        began = time.process_time()
        for _ in range(n):
            trial.step()
        each = (time.process_time() - began) / n
        return playing(max(1, round(seconds / each)))

    return build


@dataclass(frozen=True)
class Gan:
    """A GAN of somebody's example: G and D, their rule, and how pictures are passed to D."""

    G: nn.Module
    D: nn.Module
    z_shape: tuple[int, ...]
    batch: int
    prepare: Callable[[Tensor], Tensor]
    """Pictures in [0, 1] as D takes them."""
    finish: Callable[[Tensor], Tensor]
    """Outputs of G as pictures in [0, 1]."""
    G_first: bool = False
    """Whether G moves before D, which then descends half of its loss on new samples."""

    def entrant(self, x: Tensor, seed: int) -> Entrant:
        """The example's loop, by Adam at 2e-4 with beta1 = 0.5."""
        rng = generator(seed, "peer")
        rules = [optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in (self.D, self.G)]
        batches, bce = minibatches(x, self.batch, rng), F.binary_cross_entropy_with_logits

        def samples(rng: torch.Generator) -> Tensor:
            made: Tensor = self.G(torch.randn(self.batch, *self.z_shape, generator=rng))
            return made

        def move_D(fake: Tensor) -> None:
            a, b = self.D(self.prepare(next(batches))), self.D(fake.detach())
            loss = bce(a, torch.ones_like(a)) + bce(b, torch.zeros_like(b))
            updated(rules[0], loss / 2 if self.G_first else loss)

        def move_G(fake: Tensor) -> None:
            a = self.D(fake)
            updated(rules[1], bce(a, torch.ones_like(a)))

        def step() -> None:
            fake = samples(rng)
            if self.G_first:
                move_G(fake)
                move_D(samples(rng))
            else:
                move_D(fake)
                move_G(fake)

        @torch.no_grad()
        def draw(n: int, rng: torch.Generator) -> Tensor:
            # By the statistics of a minibatch, as the examples' own pictures are.
            parts = [self.finish(samples(rng)) for _ in range(-(-n // self.batch))]
            return torch.cat(parts)[:n]

        return Entrant(step, draw)


def updated(rule: optim.Optimizer, loss: Tensor) -> None:
    """One step down the gradient of a loss."""
    rule.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    rule.step()


def dcgan(x: Tensor, seed: int, seconds: float) -> Entrant:
    """PyTorch's DCGAN tutorial: 64 x 64, 64 channels, z of 100, minibatches of 128; D first."""
    del seconds
    torch.manual_seed(seed)

    def up(a: int, b: int, stride: int, padding: int) -> list[nn.Module]:
        convolution = nn.ConvTranspose2d(a, b, 4, stride, padding, bias=False)
        return [convolution, nn.BatchNorm2d(b), nn.ReLU(inplace=True)]

    def down(a: int, b: int) -> list[nn.Module]:
        convolution = nn.Conv2d(a, b, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(b), nn.LeakyReLU(0.2, inplace=True)]

    G = nn.Sequential(
        *up(100, 512, 1, 0),
        *up(512, 256, 2, 1),
        *up(256, 128, 2, 1),
        *up(128, 64, 2, 1),
        nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    first = [nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    D = nn.Sequential(
        *first, *down(64, 128), *down(128, 256), *down(256, 512), nn.Conv2d(512, 1, 4, bias=False)
    )
    for module in (*G.modules(), *D.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return Gan(
        G,
        D,
        (100, 1, 1),
        128,
        prepare=lambda x: 2 * F.interpolate(F.pad(x, (2, 2, 2, 2)), scale_factor=2) - 1,
        finish=lambda y: F.avg_pool2d(y, 2)[..., 2:-2, 2:-2] / 2 + 0.5,
    ).entrant(x, seed)


def lightning(x: Tensor, seed: int, seconds: float) -> Entrant:
    """Lightning's GAN example: 100-128-256-512-1024-784 against 784-512-256-1, batches of 32."""
    del seconds
    torch.manual_seed(seed)

    def block(a: int, b: int, *, norm: bool = True) -> list[nn.Module]:
        norms = [nn.BatchNorm1d(b, 0.8)] if norm else []
        return [nn.Linear(a, b), *norms, nn.LeakyReLU(0.2, inplace=True)]

    G = nn.Sequential(
        *block(100, 128, norm=False),
        *block(128, 256),
        *block(256, 512),
        *block(512, 1024),
        nn.Linear(1024, 784),
        nn.Tanh(),
    )
    D = nn.Sequential(*block(784, 512, norm=False), *block(512, 256, norm=False), nn.Linear(256, 1))
    return Gan(
        G,
        D,
        (100,),
        32,
        prepare=lambda x: 2 * x.flatten(1) - 1,
        finish=lambda y: y.view(-1, 1, 28, 28) / 2 + 0.5,
        G_first=True,
    ).entrant(x, seed)


def vae(x: Tensor, seed: int, seconds: float) -> Entrant:
    """PyTorch's VAE example: 784-400-20-400-784, Adam at 1e-3, minibatches of 128."""
    del seconds
    torch.manual_seed(seed)
    rng = generator(seed, "peer")
    encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
    rule = optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    batches = minibatches(x, 128, rng)

    def step() -> None:
        v = next(batches).flatten(1)
        mean, log_variance = encoder(v).chunk(2, dim=1)
        z = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=rng)
        fit = F.binary_cross_entropy_with_logits(decoder(z), v, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        updated(rule, fit + kl)

    @torch.no_grad()
    def draw(n: int, rng: torch.Generator) -> Tensor:
        means: Tensor = decoder(torch.randn(n, 20, generator=rng)).sigmoid()
        return means.view(-1, 1, 28, 28)

    return Entrant(step, draw)


ENTRANTS: dict[str, Build] = {
    "ours, mnist-best": recipe("mnist-best"),
    "ours, images": recipe("images"),
    "PyTorch's DCGAN tutorial": dcgan,
    "Lightning's GAN example": lightning,
    "PyTorch's VAE example": vae,
}

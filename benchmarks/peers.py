"""What others would play the published MNIST pair with: plain PyTorch, Lightning, Ignite.

All of them play the same game: Algorithm 1 with k = 1 in float32. D moves on x and G(z), then G
moves on a fresh z against the new D. The networks, their first weights, the batch, the objective
and momentum are the same too; each loop has the shape that its library's own GAN example has, less
the logging. `peer_jax.py` has the fourth; `speed.py` plays them.
"""

import importlib.util
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

PIECES, LR, MOMENTUM, D_SCALE = 5, 0.1, 0.5, 0.5
WARM_UP = 5  # updates that a burst plays before its clock starts


@dataclass(frozen=True)
class Sizes:
    """The sizes of the published pair and of its data."""

    examples: int = 50_000
    pixels: int = 784
    batch: int = 100
    z: int = 100
    hidden: int = 1200
    units: int = 240

    def tenth(self) -> "Sizes":
        """Everything divided by ten, for a quick look."""
        return Sizes(*(n // 10 for n in astuple(self)))


@dataclass(frozen=True)
class Rival:
    """Somebody in the race: `burst(n)` plays n updates and returns the seconds that they took."""

    burst: Callable[[int], float]
    parameters: int
    flop: int = 0  # of an update, where it is known


def clocked(play: Callable[[int], None]) -> Callable[[int], float]:
    """A burst: a few updates to warm up, then n under the clock."""

    def burst(n: int) -> float:
        play(WARM_UP)
        began = time.perf_counter()
        play(n)
        return time.perf_counter() - began

    return burst


class Maxout(nn.Module):
    """The maximum over groups of five affine pieces."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.affine = nn.Linear(inputs, units * PIECES)

    def forward(self, x: Tensor) -> Tensor:
        """`(m, inputs)` to `(m, units)`."""
        best: Tensor = self.affine(x).view(len(x), self.units, PIECES).max(2).values
        return best


def networks(s: Sizes) -> tuple[nn.Module, nn.Module]:
    """G and D of the published pair."""
    G = nn.Sequential(
        *(nn.Linear(s.z, s.hidden), nn.ReLU()),
        *(nn.Linear(s.hidden, s.hidden), nn.ReLU()),
        *(nn.Linear(s.hidden, s.pixels), nn.Sigmoid()),
    )
    D = nn.Sequential(
        *(nn.Dropout(0.2), Maxout(s.pixels, s.units)),
        *(nn.Dropout(0.5), Maxout(s.units, s.units)),
        *(nn.Dropout(0.5), nn.Linear(s.units, 1)),
    )
    for network, irange in ((G, 0.05), (D, 0.005)):
        for p in network.parameters():
            nn.init.uniform_(p, -irange, irange) if p.dim() == 2 else nn.init.zeros_(p)
    return G, D


def noise(s: Sizes) -> Tensor:
    """A batch of z, uniform with variance 1."""
    return torch.empty(s.batch, s.z).uniform_(-math.sqrt(3), math.sqrt(3))


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    """The learning rule of both players."""
    return torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM)


def count(*networks: nn.Module) -> int:
    """The number of parameters of some networks."""
    return sum(p.numel() for network in networks for p in network.parameters())


def shuffled(s: Sizes) -> Iterator[Tensor]:
    """The rows of one batch after another, in a fresh permutation each epoch."""
    rng = torch.Generator().manual_seed(0)
    while True:
        yield from torch.split(torch.randperm(s.examples, generator=rng), s.batch)


def loader(s: Sizes, x: Tensor) -> "DataLoader[Any]":
    """The loader that Lightning and Ignite are given."""
    return DataLoader(TensorDataset(x), s.batch, shuffle=True, drop_last=True, num_workers=0)


def plain(s: Sizes, x: Tensor, *, freeze: bool = False) -> Rival:
    """The loop of PyTorch's DCGAN tutorial; `freeze` spares D's gradients in G's step."""
    G, D = networks(s)
    G_rule, D_rule, rows = sgd(G), sgd(D), shuffled(s)
    ones, zeros, bce = *targets(s), F.binary_cross_entropy_with_logits

    def step(real: Tensor) -> None:
        D_rule.zero_grad()
        fake = G(noise(s))
        D_loss = D_SCALE * (bce(D(real), ones) + bce(D(fake.detach()), zeros))
        D_loss.backward()  # type: ignore[no-untyped-call]
        D_rule.step()
        G_rule.zero_grad()
        if freeze:
            D.requires_grad_(False)
        G_loss = bce(D(G(noise(s))), ones)
        G_loss.backward()  # type: ignore[no-untyped-call]
        if freeze:
            D.requires_grad_(True)
        G_rule.step()

    def play(n: int) -> None:
        for _ in range(n):
            step(x[next(rows)])

    return Rival(clocked(play), count(G, D))


def targets(s: Sizes) -> tuple[Tensor, Tensor]:
    """The labels 'real' and 'fake' of a batch."""
    return torch.ones(s.batch, 1), torch.zeros(s.batch, 1)


def lightning(s: Sizes, x: Tensor) -> Rival:
    """Manual optimisation, toggling the optimisers as Lightning's own GAN example does.

    A burst is a `fit` of its own. Its clock runs from the end of batch `WARM_UP` to the end of the
    last one: n whole cycles, without the start of the Trainer.
    """
    import lightning.pytorch as pl

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    ones, zeros, bce = *targets(s), F.binary_cross_entropy_with_logits

    class GAN(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.generator, self.discriminator = networks(s)
            self.ends: list[float] = []

        def forward(self, z: Tensor) -> Tensor:
            fake: Tensor = self.generator(z)
            return fake

        def training_step(self, batch: list[Tensor]) -> None:
            (real,) = batch
            G_rule, D_rule = self.optimizers()

            self.toggle_optimizer(D_rule)
            real_loss = bce(self.discriminator(real), ones)
            fake_loss = bce(self.discriminator(self(noise(s)).detach()), zeros)
            D_rule.zero_grad()
            self.manual_backward(D_SCALE * (real_loss + fake_loss))
            D_rule.step()
            self.untoggle_optimizer(D_rule)

            self.toggle_optimizer(G_rule)
            G_loss = bce(self.discriminator(self(noise(s))), ones)
            G_rule.zero_grad()
            self.manual_backward(G_loss)
            G_rule.step()
            self.untoggle_optimizer(G_rule)

        def on_train_batch_end(self, *_: object) -> None:
            self.ends.append(time.perf_counter())

        def configure_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
            return sgd(self.generator), sgd(self.discriminator)

    module, data = GAN(), loader(s, x)
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")

    def burst(n: int) -> float:
        module.ends.clear()
        steps = 2 * (WARM_UP + n)  # Lightning counts the steps of both optimisers
        trainer = pl.Trainer(
            accelerator="cpu", max_steps=steps, max_epochs=-1, **dict.fromkeys(off, False)
        )
        trainer.fit(module, data)
        return between(module.ends, n)

    return Rival(burst, count(module))


def ignite(s: Sizes, x: Tensor) -> Rival:
    """An Engine around a step with the shape of Ignite's DCGAN example (D backward twice).

    A burst is a `run` of its own, clocked as Lightning's is.
    """
    from ignite.engine import Engine, Events

    netG, netD = networks(s)
    optimizerG, optimizerD = sgd(netG), sgd(netD)
    ones, zeros, bce = *targets(s), F.binary_cross_entropy_with_logits
    ends: list[float] = []

    def step(engine: object, batch: list[Tensor]) -> dict[str, float]:
        (real,) = batch
        netD.zero_grad()
        errD_real = D_SCALE * bce(netD(real), ones)
        errD_real.backward()  # type: ignore[no-untyped-call]
        fake = netG(noise(s))
        errD_fake = D_SCALE * bce(netD(fake.detach()), zeros)
        errD_fake.backward()  # type: ignore[no-untyped-call]
        optimizerD.step()

        netG.zero_grad()
        errG = bce(netD(netG(noise(s))), ones)
        errG.backward()  # type: ignore[no-untyped-call]
        optimizerG.step()
        return {"errD": (errD_real + errD_fake).item(), "errG": errG.item()}

    trainer, data = Engine(step), loader(s, x)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: ends.append(time.perf_counter()))

    def burst(n: int) -> float:
        ends.clear()
        trainer.run(data, max_epochs=1, epoch_length=WARM_UP + n)
        return between(ends, n)

    return Rival(burst, count(netG, netD))


def between(ends: list[float], n: int) -> float:
    """The seconds of the last n updates, from the moments at which all of them ended."""
    assert len(ends) == WARM_UP + n, (len(ends), n)
    return ends[-1] - ends[WARM_UP - 1]


def installed(module: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None

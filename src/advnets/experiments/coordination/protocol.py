r"""PacGAN's protocol for rings and grids: its data, networks, rule, steps and measures.

Ring: 8 Gaussians of sd 0.01 on the unit circle; grid: 25 of sd 0.05 at {-4, -2, 0, 2, 4}^2; 100,000
points. G: z ~ N(0, I_2), four layers of 400 rectifiers with batch normalisation. D: three layers of
200 maxout units of 5 pieces on the packed input, no dropout. Weights from N(0, 0.02^2), Adam with
rate 1e-4 and beta1 0.8, minibatches of 100, 400 epochs. 2,500 samples are judged: one within three
standard deviations of its nearest mode is of high quality, and a mode is found where it has one.

Three details are not in their text and are chosen here: a minibatch of 100 examples is split into
100 / m packs of m; the players alternate; batch normalisation learns a scale and a shift.

The short protocol has the same data, family of D and measures. Its networks are narrower and have
He's initialisation, G has no batch normalisation, a minibatch has 512 examples, and the learning
rates anneal. It was chosen on seed 1,000, which no table uses (`methods` names an exception).

Reference: Lin et al. (2018), PacGAN, Section 4.1, and the configuration of its authors' code.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from advnets.base import rng
from advnets.data import GridConfig, RingConfig, toy
from advnets.data.toy import ToyConfig
from advnets.evaluation import modes
from advnets.networks import Discriminator

DATA: Mapping[str, ToyConfig] = {
    "ring": RingConfig(modes=8, radius=1.0, std=0.01),
    "grid": GridConfig(side=5, spacing=2.0, std=0.05),
}
"""The two sets of modes."""
POINTS, SAMPLES, LOOKS = 100_000, 2_500, 20
"""Training points, samples judged, and how often in a run."""
PER_EPOCH = 1_000
"""Updates in an epoch of PacGAN, whose minibatches have 100 of the 100,000 points."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Networks, optimizer and length of a game; data and measures are the same in all."""

    G_hidden: tuple[int, ...]
    D_units: tuple[int, ...]
    D_pieces: int
    lr: float
    betas: tuple[float, float]
    batch: int
    normalised: bool
    """Whether G has batch normalisation."""
    std: float | None
    """Standard deviation of the initial weights; None: He's, the square root of 2 / inputs."""
    anneals: bool
    """Whether both rates fall to 0 along half a cosine."""
    epochs: float
    published: bool = False
    """Whether it is PacGAN's, so that its published numbers can be compared."""


PROTOCOLS: Mapping[str, Protocol] = {
    "pacgan": Protocol(
        G_hidden=(400,) * 4,
        D_units=(200,) * 3,
        D_pieces=5,
        lr=1e-4,
        betas=(0.8, 0.999),
        batch=100,
        normalised=True,
        std=0.02,
        anneals=False,
        epochs=400,
        published=True,
    ),
    "short": Protocol(
        G_hidden=(128,) * 3,
        D_units=(128,) * 3,
        D_pieces=2,
        lr=2e-3,
        betas=(0.5, 0.99),
        batch=512,
        normalised=False,
        std=None,
        anneals=True,
        epochs=12,
    ),
}
"""PacGAN's, with games of CPU hours, and a short one, with games of CPU minutes."""


class PlaneG(nn.Module):
    """G from z in the plane to points in the plane."""

    def __init__(self, hidden: Sequence[int], *, normalised: bool) -> None:
        super().__init__()
        self.net = nn.Sequential()
        for i, o in pairwise((2, *hidden)):
            self.net.append(nn.Linear(i, o, bias=not normalised))
            self.net.extend([nn.BatchNorm1d(o), nn.ReLU()] if normalised else [nn.ReLU()])
        self.net.append(nn.Linear(hidden[-1], 2))

    def forward(self, z: Tensor) -> Tensor:
        """`(n, 2)` to `(n, 2)`."""
        x: Tensor = self.net(z)
        return x


def discriminator(of: Protocol, pack: int, *, spectral: bool) -> Discriminator:
    """D on packs of points."""
    return Discriminator(
        event_shape=(2 * pack,),
        units=of.D_units,
        pieces=of.D_pieces,
        dropout_input=0.0,
        dropout_hidden=0.0,
        spectral=spectral,
    )


@torch.no_grad()
def init_normal(network: nn.Module, *, std: float | None, rng: torch.Generator) -> None:
    """Draw every weight from N(0, std^2), with He's std where it is None; set every bias to 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.normal_(0, std or math.sqrt(2 / layer.in_features), generator=rng)
            if layer.bias is not None:
                layer.bias.zero_()


def points(name: str, seed: int) -> Tensor:
    """The training points of a seed, `(100,000, 2)`."""
    return toy.draw(DATA[name], POINTS, rng=rng.generator(seed, "points")).x[:]


@dataclass(frozen=True, kw_only=True)
class Look:
    """The measures of the samples at one update."""

    update: int
    found: int
    """Modes with a sample of high quality."""
    quality: float
    """The share of samples of high quality."""
    KL: float
    """Reverse Kullback-Leibler divergence of the modes of these samples, in nats."""


def look(name: str, x: Tensor, update: int) -> Look:
    """Judge samples `(n, 2)`."""
    data = DATA[name]
    shares = modes.shares(x, data.means(), std=data.std)
    return Look(
        update=update,
        found=modes.found(shares),
        quality=float(shares.sum()),
        KL=modes.reverse_KL(shares),
    )

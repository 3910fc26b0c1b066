"""The small network whose features are compared in place of pixels, and its training.

It is a classifier for labelled data and an autoencoder for unlabelled data. It is trained on the
training examples of the evaluated run, in less than a minute.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.base.rng import generator
from advnets.data.splits import Split
from advnets.sampling.samplers import evaluating

WIDTH = 64
"""Features of a network."""
SOME = 10_000
"""Number of examples where a subset suffices."""
_SIDE, _HIDDEN = 32, 256
_BATCH, _PASSES, _LEAST, _MOST = 128, 20, 200, 1_200
_CHUNK = 1_000


class Network(nn.Module):
    """A trunk that computes features, and a head that classifies or reconstructs.

    Images pass convolutions of stride 2 down to at most 8 x 8 positions; images above 32 x 32 are
    averaged down to that first. Vectors pass one hidden layer.

    Args:
        event_shape: Shape of one example.
        classes: Number of classes; 0 for an autoencoder.
    """

    origin: Tensor
    scale: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, event_shape: tuple[int, ...], *, classes: int) -> None:
        super().__init__()
        self.classes, image = classes, len(event_shape) == 3
        shape = (
            (event_shape[0], *(min(_SIDE, s) for s in event_shape[1:])) if image else event_shape
        )
        numbers = math.prod(shape)
        width = WIDTH if classes else min(WIDTH, numbers // 2)
        below = nn.Sequential(*(_convolutions(shape) if image else _hidden(numbers)))
        units = below(torch.zeros(1, *shape)).shape[1]
        self.see = nn.AdaptiveAvgPool2d(shape[1:]) if image else nn.Identity()
        self.trunk = below.append(nn.Linear(units, width))
        told = [nn.ReLU(), nn.Linear(width, classes)] if classes else _decoder(width, numbers)
        self.head = nn.Sequential(*told)
        for name in ("origin", "scale", "spread"):
            self.register_buffer(name, torch.ones(()))
        self.register_buffer("centre", torch.zeros(width))

    def preprocess(self, x: Tensor) -> Tensor:
        """Examples as network inputs: reduced, with mean 0 and variance 1 on training data."""
        seen: Tensor = (self.see(x) - self.origin) / self.scale
        return seen

    def features(self, x: Tensor) -> Tensor:
        """Features `(n, d)`, each of mean 0 and all of mean variance 1 on training data."""
        features: Tensor = (self.trunk(self.preprocess(x)) - self.centre) / self.spread
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes, or the reconstruction of the network inputs, flat."""
        answer: Tensor = self.head(self.trunk(self.preprocess(x)))
        return answer


def _hidden(numbers: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(numbers, _HIDDEN), nn.ReLU()]


def _decoder(width: int, numbers: int) -> list[nn.Module]:
    return [*_hidden(width), nn.Linear(_HIDDEN, numbers)]


def _convolutions(shape: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels, width, size, side = shape[0], 16, 5, max(shape[1:])
    while side > 8 or not layers:
        layers += [nn.Conv2d(channels, width, size, stride=2, padding=size // 2), nn.ReLU()]
        channels, width, size, side = width, 2 * width, 3, (side + 1) // 2
    return [*layers, nn.Flatten()]


def train(network: Network, data: Split, labels: Tensor | None, *, rng: torch.Generator) -> None:
    """Train a network: Adam, annealed to 0, over 20 epochs or 1,200 minibatches.

    Args:
        network: A new one.
        data: Training examples.
        labels: The number of each one's class; None for an autoencoder.
        rng: Draws the minibatches.
    """
    sample = subsample(data).x[:]
    seen = network.see(sample)
    network.origin.copy_(seen.mean())
    network.scale.copy_(seen.std(correction=0).clamp_min(1e-6))
    steps = min(_MOST, max(_LEAST, _PASSES * len(data) // _BATCH))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for _ in range(steps):
        rows = torch.randint(len(data), (_BATCH,), generator=rng)
        x = data.x[rows]
        if labels is None:
            loss = F.mse_loss(network(x), network.preprocess(x).flatten(1))
        else:
            loss = F.cross_entropy(network(x), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        falling.step()
    features = apply(network, network.features, sample)
    network.centre.copy_(features.mean(dim=0))
    network.spread.copy_(features.var(dim=0, correction=0).mean().sqrt().clamp_min(1e-6))


def subsample(data: Split) -> Split:
    """A random subset of ten thousand examples, or all: files may be sorted."""
    return data.take(torch.randperm(len(data), generator=generator(0, "some"))[:SOME])


def apply(network: Network, question: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The outputs of the network in evaluation mode, computed in blocks."""
    with evaluating(network):
        return torch.cat([question(part) for part in torch.split(x, _CHUNK)])

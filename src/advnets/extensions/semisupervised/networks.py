r"""The pair of feature matching: a D that is a classifier, a G that batch normalisation steadies.

Reference: Salimans et al. (2016), Improved techniques for training GANs, Section 5 and its MNIST
    networks: D 784-1000-500-250-250-250-10, G 100-500-500-784.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.nn.dropout import GaussianNoise
from advnets.nn.weight_norm import WeightNormAffine


class ClassLogits(nn.Module):
    r"""D with K class logits :math:`l_k`, of which its own is a function.

    .. math:: Z(x) = \log \sum_k e^{l_k(x)}, \qquad D(x) = \frac{e^{Z(x)}}{e^{Z(x)} + 1}

    It is the classifier of K + 1 classes, the samples being one, whose logit for these is 0. It
    returns the class logits and, behind them, the features of its last hidden layer,
    `(n, K + features)`.

    Args:
        event_shape: Shape of one example.
        classes: K.
        hidden: Rectified units of each hidden layer.
        input_noise: Standard deviation of noise on x, in training.
        hidden_noise: The same before every layer above.
        rng: Draws the weights.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        classes: int,
        *,
        hidden: Sequence[int],
        input_noise: float,
        hidden_noise: float,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.classes, self.hidden = classes, list(hidden)
        sizes = (torch.Size(event_shape).numel(), *hidden)
        self.layers = nn.ModuleList(WeightNormAffine(i, o, rng=rng) for i, o in pairwise(sizes))
        self.last = WeightNormAffine(sizes[-1], classes, learned_scale=True, rng=rng)
        widths = (input_noise, *[hidden_noise] * len(hidden))
        self.noises = nn.ModuleList(GaussianNoise(stdev) for stdev in widths)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, *event_shape)` to class logits and features, `(n, K + features)`."""
        h = x.flatten(1)
        for noise, layer in zip(self.noises, self.layers, strict=False):
            h = F.relu(layer(noise(h)))
        return torch.cat((self.last(self.noises[-1](h)), h), dim=1)

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """The same of data and then of samples: examples are treated one by one."""
        return self.forward(torch.cat((data[0], samples[0])))

    def class_logits(self, out: Tensor) -> Tensor:
        """The class logits among what it returned, `(n, K)`."""
        return out[:, : self.classes]

    def features(self, out: Tensor) -> Tensor:
        """The features among what it returned, `(n, features)`."""
        return out[:, self.classes :]

    def logit(self, out: Tensor) -> Tensor:
        """Z, the logit of D: `(n,)`."""
        return torch.logsumexp(self.class_logits(out), dim=1)

    @torch.no_grad()
    def begin_at(self, x: Tensor) -> None:
        """Let every unit have mean 0 and variance 1 on these examples, at the start."""
        h = x.flatten(1)
        for layer in self.layers:
            assert isinstance(layer, WeightNormAffine)
            h = F.relu(layer.begin_at(h))
        self.last.begin_at(h)


class NormalisedG(nn.Module):
    """G with softplus units and batch normalisation, and a sigmoid or linear output.

    Args:
        z_dim: Coordinates of z.
        event_shape: Shape of one example.
        hidden: Units of each hidden layer.
        squash: The last map.
        rng: Draws the weights.
    """

    def __init__(
        self,
        z_dim: int,
        event_shape: Sequence[int],
        *,
        hidden: Sequence[int],
        squash: nn.Module,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.event_shape, self.squash = tuple(event_shape), squash
        sizes = (z_dim, *hidden)
        self.layers = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(o) for o in hidden)
        size = torch.Size(event_shape).numel()
        self.last = WeightNormAffine(sizes[-1], size, learned_scale=True, rng=rng)
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.05, generator=rng)  # type: ignore[arg-type]

    def forward(self, z: Tensor) -> Tensor:
        """`(n, z_dim)` to `(n, *event_shape)`."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = F.softplus(norm(layer(z).float()))
        x: Tensor = self.squash(self.last(z))
        return x.view(-1, *self.event_shape)

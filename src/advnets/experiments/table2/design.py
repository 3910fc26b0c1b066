"""The last row of Table 2: the layers that a family can use without a new derivation, by trial.

Each layer is put into the network that the family leaves open: G; the decoder of a denoising
autoencoder; the map from h to the logits of x in a belief net. It passes where a few updates reduce
the loss and move the weights below the layer, whose gradient comes through the layer alone. A
Boltzmann machine has no such network: its conditionals are derived from the form of its energy, and
another form needs a new derivation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advnets.base.protocols import Batch
from advnets.base.rng import generator
from advnets.game import Game
from advnets.models.directed.belief_net import BeliefNet, log_bernoulli
from advnets.nn.maxout import Maxout
from advnets.sampling.priors import Uniform

WIDTH = 32
UPDATES = 60


class Flat(nn.Module):
    """A convolution over 4 x 4 pictures whose maps are laid out in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(WIDTH // 16, 4, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """`(n, WIDTH)` to `(n, 64)`."""
        return torch.relu(self.conv(h.view(len(h), WIDTH // 16, 4, 4))).flatten(1)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "maxout": lambda: Maxout(WIDTH, WIDTH, 2),
    "dropout": lambda: nn.Dropout(0.5),
    "batch norm": lambda: nn.BatchNorm1d(WIDTH),
    "convolution": Flat,
    "softmax head": lambda: nn.Softmax(dim=1),
}


@dataclass(frozen=True)
class Trial:
    """What a few updates did to a network with the layer in it."""

    before: float
    """The loss at the start."""
    after: float
    """The loss at the end."""
    moved: bool
    """Whether the weights below the layer are others than at the start."""

    @property
    def passed(self) -> bool:
        """Whether the layer trains."""
        return self.moved and self.after < self.before  # not a number is not below anything


class Body(nn.Sequential):
    """An affine map, the layer, an affine map."""

    def __init__(self, inputs: int, layer: nn.Module) -> None:
        width = 64 if isinstance(layer, Flat) else WIDTH
        super().__init__(nn.Linear(inputs, WIDTH), layer, nn.Linear(width, 16))
        self.start = self._below().detach().clone()

    def _below(self) -> Tensor:
        return torch.cat([p.flatten() for p in self[0].parameters()])

    def tried(self, before: float, after: float) -> Trial:
        """The losses, and whether the weights below the layer moved."""
        return Trial(before, after, not torch.equal(self._below(), self.start))


def directed(x: Tensor, layer: nn.Module) -> Trial:
    """Minus the bound of wake-sleep with this layer between h and the logits of x."""
    rng, net = generator(0, "draws"), BeliefNet((16, 8), stdev=0.1, rng=generator(0, "weights"))
    body = Body(8, layer)
    net.down[0] = body

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    def loss() -> Tensor:
        v = x.repeat(4, 1)
        wake = -net.log_joint(v, net.recognise(v, draw)).mean()
        return wake - net.log_q(*net.dream(len(v), draw)).mean()

    return body.tried(*descended(net, loss))


def autoencoder(x: Tensor, layer: nn.Module) -> Trial:
    """The denoising criterion with this layer in the decoder."""
    rng, encoder, body = generator(0, "draws"), nn.Linear(16, 16), Body(16, layer)
    net = nn.Sequential(encoder, nn.Tanh(), body)

    def loss() -> Tensor:
        v = x.repeat(4, 1)
        flipped = (torch.rand(v.shape, generator=rng) < 0.2).to(v)
        return -log_bernoulli(net((v - flipped).abs()), v).mean()

    return body.tried(*descended(net, loss))


def adversarial(x: Tensor, layer: nn.Module) -> Trial:
    """How far the mean of G's samples is from the data's, in the game itself."""
    body = Body(8, layer)
    head = body[-1]
    assert isinstance(head, nn.Linear)
    G = nn.Sequential(body, nn.Sigmoid())
    D = nn.Sequential(nn.Linear(16, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, 1))
    with torch.no_grad():
        head.bias.fill_(-2)  # far from the data, whose pixels are on in half of all
    game = Game(
        G,
        D,
        prior=Uniform(8),
        G_optimizer=torch.optim.Adam(G.parameters(), 1e-2, betas=(0.5, 0.999)),
        D_optimizer=torch.optim.Adam(D.parameters(), 1e-2, betas=(0.5, 0.999)),
    )
    rng = generator(0, "step")

    def away() -> float:
        off = game.sample(500, seed=0).mean(dim=0) - x.mean(dim=0)
        return float(torch.linalg.vector_norm(off))

    before = away()
    for _ in range(2 * UPDATES):
        game.step((Batch(x[torch.randint(len(x), (60,), generator=rng)]),), rng=rng)
    return body.tried(before, away())


def descended(net: nn.Module, loss: Callable[[], Tensor]) -> tuple[float, float]:
    """The loss before and after some updates of Adam."""
    rule, losses = torch.optim.Adam(net.parameters(), 1e-2), []
    for _ in range(UPDATES):
        rule.zero_grad()
        J = loss()
        J.backward()  # type: ignore[no-untyped-call]
        rule.step()
        losses.append(J.item())
    return losses[0], sum(losses[-5:]) / 5


TRIALS: dict[str, Callable[[Tensor, nn.Module], Trial]] = {
    "Deep directed graphical models": directed,
    "Generative autoencoders": autoencoder,
    "Adversarial models": adversarial,
}


def passed(column: str, x: Tensor) -> list[str] | None:
    """The layers that train in a column; None where the column has no place for a layer."""
    if column not in TRIALS:
        return None
    names = []
    for name, make in LAYERS.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            trial = TRIALS[column](x, make())
        if trial.passed:
            names.append(name)
    return names

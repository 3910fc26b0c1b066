"""What the examples share: points of a mixture, a game of two small networks, and a picture."""

from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

import advnets


def points(n: int = 2_000, seed: int = 0) -> Tensor:
    """Points of a mixture of two Gaussians, at (0, 0) and (2, 2)."""
    rng = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(n, 2, generator=rng)
    return x + 2 * torch.randint(2, (n, 1), generator=rng)


def adam(network: nn.Module) -> torch.optim.Adam:
    """The optimiser of most of today's GANs."""
    return torch.optim.Adam(network.parameters(), 1e-3, betas=(0.5, 0.999))


def make_game(D: nn.Module | None = None, **settings: Any) -> advnets.Game:
    """A game of two small networks, or with a D of your own; `settings`: those of `Game`."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
    D = D or nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))
    prior = advnets.Gaussian(4)
    return advnets.Game(G, D, prior=prior, G_optimizer=adam(G), D_optimizer=adam(D), **settings)


def show(**clouds: Tensor) -> None:
    """Draw clouds of points beside each other, in a window where there is one."""
    figure, axes = plt.subplots(
        1, len(clouds), figsize=(6, 3), sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, x) in zip(axes[0], clouds.items(), strict=True):
        axis.scatter(*x[:: -(-len(x) // 1_000)].T.cpu(), s=3, alpha=0.5)
        axis.set(title=name.replace("_", " "), xlim=(-1.5, 3.5), ylim=(-1.5, 3.5), aspect="equal")
    figure.tight_layout()
    if plt.get_backend().lower() != "agg":
        plt.show()

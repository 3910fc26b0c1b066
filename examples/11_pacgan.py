"""PacGAN: D judges two examples at once, so that it sees mode collapse (Lin et al., 2018)."""

from common import make_game, points, show
from torch import Tensor, nn

import advnets


class Pairs(nn.Module):
    """A D of two examples: one logit for each two, by the attribute `pack`."""

    pack = 2

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`(m, 2)` to `(m / 2, 1)`."""
        logits: Tensor = self.net(x.reshape(len(x) // 2, -1))
        return logits


x, samples = points(), {}
pairs = Pairs()
for name, D in {"one": None, "two": pairs}.items():
    game = make_game(D)
    advnets.fit(game, x, steps=600)
    samples[f"{name} at once"] = game.sample(1_000, seed=0)
    high = (samples[f"{name} at once"].mean(dim=1) > 1).float().mean()
    print(f"{name} at once: {high:.0%} of the samples are at the upper mode, of the data half")
show(data=x, **samples)

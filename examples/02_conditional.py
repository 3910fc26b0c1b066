"""A conditional game: G(z, c) and D(x, c) are told the class of each example."""

import torch
from common import adam, show
from torch import Tensor, nn

import advnets
from advnets.data.splits import Split


class Both(nn.Module):
    """A network of its input and the context beside it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, outputs))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """`(m, inputs - classes)` and contexts `(m, classes)` to `(m, outputs)`."""
        out: Tensor = self.net(torch.cat((x, c), dim=1))
        return out


rng = torch.Generator().manual_seed(0)
labels = torch.randint(2, (2_000,), generator=rng)
x = 2.0 * labels[:, None] + 0.3 * torch.randn(2_000, 2, generator=rng)
torch.manual_seed(0)
G, D = Both(4 + 2, 2), Both(2 + 2, 1)
context = advnets.Context.of(labels)
game = advnets.Game(
    G, D, prior=advnets.Gaussian(4), G_optimizer=adam(G), D_optimizer=adam(D), context=context
)
advnets.fit(game, advnets.Batches(Split(x, labels), size=100, seed=0), steps=600)
samples = {f"class_{c}": game.sample(500, seed=0, context=torch.tensor(c)) for c in range(2)}
for c, (name, x_c) in enumerate(samples.items()):
    print(f"{name}: the mean of its samples is {x_c.mean():.2f}, of its data {2.0 * c:.2f}")
show(data=x, **samples)

"""Train networks of your own with Adam on a mixture of two Gaussians."""

import torch
from common import show
from torch import nn

import advnets

rng = torch.Generator().manual_seed(0)
x = 0.3 * torch.randn(2_000, 2, generator=rng)
x[1_000:] += 2

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
D = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))
game = advnets.Game(
    G,
    D,
    prior=advnets.Gaussian(4),
    G_optimizer=torch.optim.Adam(G.parameters(), 1e-3, betas=(0.5, 0.999)),
    D_optimizer=torch.optim.Adam(D.parameters(), 1e-3, betas=(0.5, 0.999)),
)
history = advnets.fit(game, x, steps=500)
samples = game.sample(1_000, seed=0)
value = history[-1].metrics["V"]
print(f"V {value:.2f}; mean of samples {samples.mean():.2f}, data {x.mean():.2f}")
show(data=x, samples=samples)

"""A training loop of your own around `Game.step`."""

import torch
from common import make_game, points, show

import advnets

game, rng = make_game(), torch.Generator().manual_seed(0)
batches = advnets.Batches(points(), size=100, seed=0)
for i in range(500):
    info = game.step((batches[i],), rng=rng)
    if i % 100 == 99:
        print(f"update {i + 1}:", {name: round(value.item(), 3) for name, value in info.items()})
show(data=points(), samples=game.sample(1_000, seed=0))

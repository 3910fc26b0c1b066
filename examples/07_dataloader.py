"""Minibatches from a torch DataLoader; its shuffle is a function of fit's seed."""

from common import make_game, points, show
from torch.utils.data import DataLoader, TensorDataset

import advnets

loader = DataLoader(TensorDataset(points()), batch_size=64, shuffle=True, drop_last=True)
game = make_game()
history = advnets.fit(game, loader, steps=500, seed=1)
print("V, every 100 updates:", [round(v, 2) for v in history.to_dict()["V"]])
show(data=points(), samples=game.sample(1_000, seed=0))

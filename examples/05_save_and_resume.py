"""Save, load and resume a game of your own networks, bit for bit."""

import tempfile
from pathlib import Path

import torch
from common import make_game, points

import advnets

x, whole = points(), make_game()
advnets.fit(whole, x, steps=600)
with tempfile.TemporaryDirectory() as parent:
    folder = Path(parent) / "mine"
    advnets.fit(make_game(), x, steps=400, folder=folder)
    game = advnets.load(folder, into=make_game())  # in another process, on another day
    advnets.fit(game, x, steps=200, folder=folder)
same = torch.equal(game.sample(100, seed=0), whole.sample(100, seed=0))
print(f"400 updates, load, 200 more: the samples of 600 in one go, bit for bit: {same}")

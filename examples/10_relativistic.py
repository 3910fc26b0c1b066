"""Relativistic pairing: D says whether data is more real than the sample beside it."""

from common import make_game, points, show

import advnets

x, samples = points(), {}
for objective in ("non-saturating", "relativistic"):
    game = make_game(objective=objective)
    advnets.fit(game, x, steps=600)
    found = advnets.metrics(game.sample(500, seed=0), x)
    print(f"{objective}: Frechet distance {found['frechet']}, recall {found['recall']}")
    samples[objective] = game.sample(1_000, seed=0)
show(data=x, **samples)

"""Metrics and a Parzen score of two arrays, wherever they come from."""

import torch
from common import points, show

import advnets

test, validation = points(500, seed=1).numpy(), points(500, seed=2).numpy()
good = points(500, seed=3).numpy()
one = good[good.mean(axis=1) < 1]
for name, samples in {"all modes": good, "one mode": one}.items():
    print(f"{name}: Parzen {advnets.score(samples, test, validation=validation)}")
    print(advnets.metrics(samples, test), "\n")
show(**{"all modes": torch.from_numpy(good), "one mode": torch.from_numpy(one)})

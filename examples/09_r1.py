"""The R1 penalty keeps D flat on the data (Mescheder et al., 2018)."""

import torch
from common import make_game, points, show

import advnets
from advnets.game.r1 import R1

x, samples = points(), {}
for name, terms in {"without": [], "with R1": [R1(gamma=1.0)]}.items():
    game = make_game(terms=terms)
    advnets.fit(game, x, steps=500)
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(game.D(at).sum(), at)
    norm = gradient.norm(dim=1).mean()
    print(f"{name}: the gradient of D's logit on the data has norm {norm:.3f}")
    samples[name] = game.sample(1_000, seed=0)
show(data=x, **samples)

"""Mistakes of a library's user: one line that says what is needed, at most 200 characters."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import advnets
from advnets.base import errors
from advnets.game.r1 import R1

X = torch.linspace(-1, 1, 60).view(30, 2)
PICTURES = torch.linspace(0, 1, 20 * 16).view(20, 1, 4, 4)
BYTES = PICTURES.mul(255).byte()
PIXELS = BYTES.float()
RING = advnets.data.RingConfig(examples=20)


def pair(z=3, x=2, last=()):
    return nn.Linear(z, x), nn.Sequential(nn.Linear(x, 1), *last)


def game(z=3, x=2, D=None, prior=None, last=(), **settings):
    G, own = pair(z, x, last)
    D = D or own
    rules = {
        f"{name}_optimizer": torch.optim.SGD(net.parameters(), 0.1)
        for name, net in {"G": G, "D": D}.items()
    }
    prior = advnets.Gaussian(3) if prior is None else prior
    return advnets.Game(G, D, **{"prior": prior, **rules, **settings})


def fit(data=X, of=None, **settings):
    return advnets.fit(of or game(), data, **{"steps": 1, **settings})


def ring():
    return advnets.data.load(RING, seed=0)


CASES = {
    "two logits": (lambda: game(D=nn.Linear(2, 2)), "one logit an example"),
    "pixels": (lambda: fit(PIXELS, game(x=16)), r"\(x / 255\), got whole numbers up to 255"),
    "pixels of an array": (
        lambda: advnets.data.from_arrays(PIXELS.double().numpy()),
        r"\(x / 255\), got whole numbers up to 255",
    ),
    "pictures": (lambda: fit(PICTURES, game(x=16)), r"examples of shape .*reshape x"),
    "a number as prior": (lambda: game(prior=100), r"advnets.Gaussian\(100\), got 100"),
    "a class as prior": (lambda: game(prior=advnets.Gaussian), "got the class Gaussian"),
    "a law of torch": (lambda: game(prior=torch.distributions.Normal(0, 1)), "got a Normal"),
    "a function as D": (lambda: game(D=nn.Linear(2, 1), G_optimizer=0.1), "torch.optim.Adam"),
    "a loss of torch": (lambda: game(objective=nn.BCELoss()), "'objective'.*got a BCELoss"),
    "a term alone": (lambda: game(terms=R1(0.1)), r"a list: terms=\[\.\.\.\]"),
    "half a k": (lambda: game(k=1.5), "'k' must be a whole number"),
    "k in words": (lambda: game(k="2"), "'k' must be a number.*got a str"),
    "all splits": (lambda: fit(ring()), "here its .train"),
    "a configuration": (lambda: fit(RING), r"advnets\.data\.load"),
    "a path": (lambda: fit("x.npy"), "array that the file holds"),
    "words": (lambda: fit(np.array(["a", "b"])), "array of numbers"),
    "nothing": (lambda: fit(torch.zeros(0, 2)), "at least one example"),
    "a class": (lambda: fit(of=advnets.Game), r"advnets\.Game\(G, D, \.\.\.\).*class Game"),
    "G alone": (lambda: fit(of=pair()[0]), r"advnets\.Game\(G, D, \.\.\.\)"),
    "steps as config": (lambda: advnets.fit(game(), X, 100), r"steps=\.\.\., got 100"),
    "half a step": (lambda: fit(steps=1.5), "'steps' must be a whole number"),
    "steps in words": (lambda: fit(steps="9"), "'steps' must be a number"),
    "a callback alone": (lambda: fit(callbacks=print), r"callbacks=\[\.\.\.\]"),
    "n as a float": (lambda: game().sample(4.0), "'n' must be a whole number"),
    "z for n": (lambda: game().sample(torch.zeros(4, 3)), r"decode\(z\)"),
    "no seed": (lambda: game().sample(4, seed=None), "'seed' must be a number"),
    "a data set": (lambda: advnets.metrics(X, TensorDataset(X)), r"tensors\[0\]"),
    "a split": (lambda: advnets.score(X, ring().test), r"its \.x\[:\] is one"),
    "a game": (lambda: advnets.metrics(game(), X), r"its \.sample\(1_000\)"),
    "bytes to score": (lambda: advnets.score(PICTURES, BYTES), "scaled as the samples"),
    "bytes to measure": (lambda: advnets.metrics(PICTURES, BYTES), "scaled as the samples"),
    "other columns": (lambda: advnets.metrics(X[:, :1], X), "as test is"),
    "sigma in words": (lambda: advnets.score(X, X, sigma="1"), "'sigma' must be a number"),
    "a name": (lambda: advnets.train("mnist", "runs/x"), r"advnets\.recipes\.get"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_gets_one_line_that_says_what_is_needed(case):
    act, words = CASES[case]
    with pytest.raises(errors.UserError, match=words) as found:
        act()
    assert "\n" not in str(found.value)
    assert len(str(found.value)) <= 200


def test_pictures_may_go_to_a_D_that_flattens_them():
    D = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    assert fit(PICTURES, game(x=16, D=D))[-1].update == 1

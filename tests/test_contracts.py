"""Contracts that every part keeps: memory, masks, what the user froze, hooks, the process."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from advnets.base.errors import BadValue
from advnets.base.protocols import Batch
from advnets.nn.batch_norm import BatchNorm
from advnets.nn.convolution import CeilPool, MaxoutConv, TransposedConv
from advnets.nn.dropout import Dropout, GaussianNoise
from advnets.nn.linear import Affine, ProjectionHead
from advnets.nn.maxout import Maxout
from advnets.nn.spectral_norm import (
    SpectralAffine,
    SpectralConv,
    SpectralProjectionHead,
    init_vectors,
)
from advnets.optim.train_state import TrainState
from conftest import small_game


def train_state(network):
    return TrainState(network, torch.optim.SGD(network.parameters(), 0.1), None)


# Gradients


@pytest.fixture
def lent(monkeypatch):
    monkeypatch.setattr("advnets.optim.train_state._JUST_BELOW_32_MB", 0)
    network = nn.Sequential(Affine(5, 7), nn.Tanh(), Affine(7, 1))
    return train_state(network)


def gradient(state, x):
    return state.gradient([state.network(x)], [torch.ones(len(x), 1)])


def test_gradients_returned_twice_share_no_memory(lent, rng):
    x, y = torch.randn(2, 6, 5, generator=rng)
    first = gradient(lent, x)
    kept = [g.clone() for g in first]
    second, third = gradient(lent, y), gradient(lent, x)
    places = [g.data_ptr() for found in (first, second, third) for g in found]
    assert len({*places}) == len(places)
    for a, b, c in zip(first, kept, third, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a, c)  # products round by the alignment of their memory


def test_an_update_gives_the_memory_of_its_gradient_back(lent, rng):
    x = torch.randn(6, 5, generator=rng)
    first = gradient(lent, x)
    other = gradient(lent, x)
    lent.update(other, torch.tensor(0))
    third = gradient(lent, x)  # `first` has moved nothing yet
    assert not {g.data_ptr() for g in first} & {g.data_ptr() for g in third}
    lent.update(first, torch.tensor(0))
    assert gradient(lent, x)[0].data_ptr() == first[0].data_ptr()


def test_a_backward_pass_of_the_users_own_writes_into_no_memory_of_ours(lent, rng):
    x = torch.randn(6, 5, generator=rng)
    own = gradient(lent, x)
    kept = [g.clone() for g in own]
    lent.network(2 * x).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(own, kept, strict=True))


# What the user froze


def test_frozen_leaves_what_the_user_froze(lent, rng):
    one, other = lent.network[0], lent.network[2]
    one.requires_grad_(False)
    other.frozen = True
    with lent.frozen():
        assert not any(p.requires_grad for p in lent.network.parameters())
    assert [p.requires_grad for p in lent.network.parameters()] == [False, False, True, True]
    assert (one.frozen, other.frozen) == (False, True)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_weights_that_are_frozen_between_two_steps_stand_still(order, precision, rng):
    game = small_game(order=order, precision=precision)
    batch = (Batch(torch.rand(10, *game.event_shape, generator=rng)),)
    game.step(batch, rng=rng)
    frozen = next(game.D.parameters()).requires_grad_(False)
    before = [p.clone() for p in game.D.parameters()]
    game.step(batch, rng=rng)
    moved = [not torch.equal(a, b) for a, b in zip(before, game.D.parameters(), strict=True)]
    assert moved == [False] + [True] * (len(moved) - 1)
    assert not frozen.requires_grad
    assert frozen.grad is None


# Masks


def test_a_pass_of_D_that_no_masks_were_drawn_for_raises(rng):
    game = small_game()
    batch = (Batch(torch.rand(10, *game.event_shape, generator=rng)),)
    game.step(batch, rng=rng)
    before = torch.get_rng_state()
    real = game.passes.discriminate

    def once_more(masks, *parts):
        judged = real(masks, *parts)
        game.D(parts[0][0])
        return judged

    game.passes.discriminate = once_more
    with pytest.raises(BadValue, match="masks of 10 rows for this pass of"):
        game.step(batch, rng=rng)
    assert torch.equal(torch.get_rng_state(), before)
    del game.passes.discriminate
    assert game.D.training
    game.D(batch[0].x)  # outside a step layers draw their own
    game.step(batch, rng=rng)


# Hooks and parametrisations


class Doubled(nn.Module):
    def forward(self, w):
        return 2 * w


LAYERS = {
    "affine": (lambda: Affine(6, 4), (6,)),
    "head": (lambda: ProjectionHead(6), (6,)),
    "maxout of 2": (lambda: Maxout(6, 3, 2), (6,)),
    "maxout of 5": (lambda: Maxout(6, 3, 5), (6,)),
    "large maxout of 5": (lambda: Maxout(400, 240, 5), (400,)),
    "maxout conv": (lambda: MaxoutConv(2, 3, 2, size=3, padding=1), (2, 6, 6)),
    "pool": (lambda: CeilPool(2, 2), (2, 6, 6)),
    "deconv": (lambda: TransposedConv(2, (1, 6, 6), size=2, stride=2), (2, 3, 3)),
    "batch norm": (lambda: BatchNorm(2), (2, 6, 6)),
    "dropout": (lambda: Dropout(0.5), (6,)),
    "noise": (lambda: GaussianNoise(0.5), (6,)),
    "spectral affine": (lambda: SpectralAffine(6, 4), (6,)),
    "spectral conv": (lambda: SpectralConv(2, 3, 3), (2, 6, 6)),
    "spectral head": (lambda: SpectralProjectionHead(6), (6,)),
}
MODES = {
    "eager": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def built(kind):
    make, shape = LAYERS[kind]
    torch.manual_seed(0)
    layer = make().eval()
    init_vectors(layer, rng=torch.Generator().manual_seed(0))
    return layer, torch.randn(120, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", LAYERS)
def test_hooks_act_on_every_layer_and_on_every_path(kind, mode):
    layer, x = built(kind)
    with MODES[mode]():
        plain, of_half = layer(x), layer(0.5 * x)
        pre = layer.register_forward_pre_hook(lambda _, inputs: (0.5 * inputs[0],))
        torch.testing.assert_close(layer(x), of_half)
        pre.remove()
        after = layer.register_forward_hook(lambda _, __, y: y + 1)
        torch.testing.assert_close(layer(x), plain + 1)
        after.remove()
        torch.testing.assert_close(layer(x), plain)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", LAYERS)
def test_parametrisations_of_weights_and_biases_act_on_every_path(kind, mode):
    layer, x = built(kind)
    twin, _ = built(kind)
    names = [n for n, _ in layer.named_parameters()]
    for name in names:
        path, _, last = name.rpartition(".")
        parametrize.register_parametrization(layer.get_submodule(path), last, Doubled())
        with torch.no_grad():
            twin.get_parameter(name).mul_(2)
    with MODES[mode]():
        found, expected = layer(x), twin(x)
        torch.testing.assert_close(found, expected)
    if found.requires_grad:
        found.float().sum().backward()
        expected.float().sum().backward()
        for name in names:
            path, _, last = name.rpartition(".")
            one = layer.get_submodule(path).parametrizations[last].original.grad
            two = twin.get_parameter(name).grad
            torch.testing.assert_close(one, 2 * two, rtol=1e-3, atol=1e-3)


# The process

PROGRAM = """
import json, os, signal, sys, threading
import torch

def seen():
    signals = [s for s in signal.Signals if s not in (signal.SIGKILL, signal.SIGSTOP)]
    tiny = (torch.full((1,), 1e-39) * 0.5).view(torch.int32).any()
    return {
        "stream": torch.get_rng_state().tolist(),
        "subnormal": bool(tiny),
        "signals": [repr(signal.getsignal(s)) for s in signals],
        "dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "grad": torch.is_grad_enabled(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }

torch.manual_seed(5)
torch.rand(3)
found = {"before": seen()}
import advnets
from advnets import recipes
from advnets.runs.train import train
found["import"] = seen()
from conftest import small_game, small_run
game = small_game()
found["build"] = seen()
advnets.fit(game, torch.ones(60, *game.event_shape), advnets.TrainerConfig(steps=3))
found["fit"] = seen()
folder = sys.argv[1]
train(small_run(), folder)
found["train"] = seen()
run = advnets.load(folder)
run.sample(3, seed=0)
found["load"] = seen()
run.evaluate()
found["evaluate"] = seen()
print(json.dumps(found))
"""


def test_no_part_of_the_library_leaves_a_trace_in_the_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    before = found.pop("before")
    for moment, after in found.items():
        for name, value in before.items():
            assert after[name] == value, (moment, name)

"""A whole step is a function of tensors: it can be compiled, and nothing in it waits for a device."""

import copy
import dataclasses
import itertools
import shutil

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import advnets
from advnets.base import errors
from advnets.base.distributed import ALONE
from advnets.base.protocols import Batch
from advnets.nn import kernels
from advnets.optim import compile as capture
from conftest import small_game

ORDERS, PRECISIONS = ["alternating", "simultaneous"], ["float32", "bfloat16"]
TOLERANCE = {"float32": 1e-6, "bfloat16": 2e-3}  # a product that is rounded elsewhere


def batch(seed, m=10):
    return Batch(torch.rand(m, 2, generator=torch.Generator().manual_seed(seed)))


def step(game, i, rng):
    return game.step(tuple(batch(10 * i + j) for j in range(game.batches_per_step)), rng=rng)


def compiled(game):
    """The same game, whose step has to be one graph; no C++ is needed to find that out."""
    twin = copy.deepcopy(game)
    twin._whole = capture.compile_step(twin.play, backend="aot_eager")
    return twin


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("order", "precision", "k"), list(itertools.product(ORDERS, PRECISIONS, [1, 2]))
)
def test_the_whole_step_is_one_graph_and_equals_the_eager_one(compiler, order, precision, k):
    game = small_game(order=order, precision=precision, k=k)
    twin = compiled(game)
    play_both(game, twin, TOLERANCE[precision])


def play_both(game, twin, tolerance):
    """Three steps of both games, with the same draws: the same numbers, but for rounding."""
    streams = [torch.Generator().manual_seed(3) for _ in range(2)]
    for i in range(3):
        eager, whole = step(game, i, streams[0]), step(twin, i, streams[1])
        for name, value in eager.items():
            torch.testing.assert_close(whole[name], value, rtol=0, atol=tolerance)
        torch.testing.assert_close(
            twin.diagnostics(), game.diagnostics(), rtol=10 * tolerance, atol=tolerance
        )
    for name, tensor in game.state().items():
        found = twin.state()[name]
        torch.testing.assert_close(found, tensor, rtol=0, atol=tolerance, msg=name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", ORDERS)
def test_gathered_products_are_captured_too(compiler, order, monkeypatch):
    monkeypatch.setattr(kernels, "_LARGE", 1)
    monkeypatch.setattr(kernels, "BAGS", True)
    game = small_game(
        order=order, D=advnets.DiscriminatorConfig(units=(6, 5), pieces=5, irange=0.5)
    )
    h = game.D.maxouts[0](torch.rand(10, 2))
    assert type(h.grad_fn).__name__ == "_ThinMaxoutBackward"
    play_both(game, compiled(game), 1e-6)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_game_is_the_eager_one_and_goes_on_bit_for_bit(compiler):
    game, twin, heir = (small_game(compile=c) for c in (False, True, True))
    play_both(game, twin, 1e-6)
    heir.load_state(twin.state())
    for i in range(3, 5):
        for one in (twin, heir):
            step(one, i, torch.Generator().manual_seed(i))
    for name, tensor in twin.state().items():
        assert torch.equal(heir.state()[name], tensor), name


def test_what_cannot_be_compiled_is_refused_with_a_word(monkeypatch):
    need = "'model.compile' must be False but for the momentum rule in one process, got True with"
    with pytest.raises(errors.BadValue, match=f"{need} Momentum in 2"):
        small_game(compile=True, ranks=dataclasses.replace(ALONE, world=2))
    with pytest.raises(errors.BadValue, match=f"{need} Adam in 1"):
        small_game(compile=True, D_optimizer=advnets.OptimizerConfig(optimizer="adam"))
    monkeypatch.setattr(capture, "GRADIENTS", "what_no_torch_knows")
    with pytest.raises(errors.BadValue, match=r"'model.compile' must be False here \(torch .*"):
        small_game(compile=True)


@pytest.mark.filterwarnings("ignore")
def test_a_compiler_that_fails_is_named(compiler, monkeypatch):
    def broken(*_, **__):
        raise compiler_error("No working C++ compiler found")

    compiler_error = torch._dynamo.exc.TorchDynamoException
    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    game = small_game(compile=True)
    rng = torch.Generator().manual_seed(0)
    step(game, 0, rng)  # eager
    with pytest.raises(errors.BadValue, match="No working C"):
        step(game, 1, rng)


class HostReads(TorchDispatchMode):
    """Counts the places where a number leaves the device."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        if any(
            word in name for word in ("_local_scalar_dense", "is_nonzero", "aten.equal", "item")
        ):
            self.names.append(name)
        return function(*args, **(kwargs or {}))


def test_the_counter_counts():
    with HostReads() as reads:
        torch.ones(3).sum().item()
        bool(torch.ones(()) > 0)
    assert len(reads.names) == 2


@pytest.mark.parametrize("rule", ["momentum", "adam"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("order", ORDERS)
def test_no_step_reads_a_number_on_the_host(order, precision, rule):
    rules = {
        f"{p}_optimizer": advnets.OptimizerConfig(optimizer=rule, anneal="cosine", lr=0.01)
        for p in "GD"
    }
    game = small_game(order=order, precision=precision, k=2, ema_every=1, **rules)
    rng = torch.Generator().manual_seed(0)
    step(game, 0, rng)  # the optimisers make their memory at the first update
    with HostReads() as reads:
        for i in range(1, 4):
            step(game, i, rng)
    assert reads.names == []


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_step_can_be_played_where_there_are_no_numbers_at_all(order, precision):
    """On torch's meta device tensors have shapes and nothing else: whatever reads one raises."""
    game = small_game(order=order, precision=precision)
    noise = [game._noise(batch(0), parts, torch.Generator()) for parts in (2, 1)]
    away = small_game(order=order, precision=precision, device="meta")
    for network in (away.G, away.D):
        assert all(p.device.type == "meta" for p in network.parameters())
    there = [
        type(n)(n.z.to("meta"), [b.to("meta") for b in n.G], [b.to("meta") for b in n.D])
        for n in noise
    ]
    info = away.play((Batch(batch(0).x.to("meta")),), there[: 1 if order == "simultaneous" else 2])
    assert {value.device.type for value in info.values()} == {"meta"}

"""A whole step is a function of tensors: it can be compiled, and nothing in it waits for a device."""

import copy
import itertools

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import advnets
from advnets.protocols import Batch
from conftest import small_game

ORDERS, PRECISIONS = ["alternating", "simultaneous"], ["float32", "bfloat16"]
TOLERANCE = {"float32": 1e-6, "bfloat16": 2e-3}  # a product that is rounded elsewhere


def batch(seed, m=10):
    return Batch(torch.rand(m, 2, generator=torch.Generator().manual_seed(seed)))


def step(game, i, rng):
    return game.step(tuple(batch(10 * i + j) for j in range(game.batches_per_step)), rng=rng)


def compiled(game, backend):
    twin = copy.deepcopy(game)
    twin.play = torch.compile(twin.play, fullgraph=True, backend=backend)
    return twin


@pytest.fixture
def whole_graph(monkeypatch):
    """Let dynamo follow the game's own calls of autograd, and keep its notices to itself."""
    from torch._dynamo import config, reset

    if "trace_autograd_ops" not in config.get_config_copy():
        pytest.skip("this torch cannot compile a step with its gradients")
    monkeypatch.setattr(torch._logging._internal.log, "disabled", True)
    reset()
    with config.patch(trace_autograd_ops=True):
        yield
    reset()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("backend", "order", "precision", "k"),
    [("aot_eager", *case) for case in itertools.product(ORDERS, PRECISIONS, [1, 2])]
    + [("inductor", "simultaneous", "float32", 1)],
)
def test_the_whole_step_compiles_and_equals_the_eager_one(
    whole_graph, backend, order, precision, k
):
    game = small_game(order=order, precision=precision, k=k)
    twin = compiled(game, backend)
    streams = [torch.Generator().manual_seed(3) for _ in range(2)]
    for i in range(3):
        eager, whole = step(game, i, streams[0]), step(twin, i, streams[1])
        for name, value in eager.items():
            torch.testing.assert_close(whole[name], value, rtol=0, atol=TOLERANCE[precision])
    for name, tensor in game.state().items():
        found = twin.state()[name]
        torch.testing.assert_close(found, tensor, rtol=0, atol=TOLERANCE[precision], msg=name)


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
        f"{p}_optimizer": advnets.OptimizerConfig(rule=rule, anneal="cosine", lr=0.01) for p in "GD"
    }
    game = small_game(order=order, precision=precision, k=2, average_every=1, **rules)
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

"""In a torch without its private names the library gives the same results."""

import ast
import copy
import inspect
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from advnets.base import torch_private
from advnets.base.errors import BadValue
from advnets.base.protocols import Batch
from advnets.nn import kernels, spectral_norm
from advnets.optim.compile import compile_step
from advnets.optim.ema import EMA
from conftest import ROOT, small_game

HOME = ROOT / "src" / "advnets" / "base" / "torch_private.py"
SOURCES = [p for p in sorted((ROOT / "src" / "advnets").rglob("*.py")) if p != HOME]
NAMES = [  # what is looked up, and where
    (torch.distributed.distributed_c10d, "_set_pg_timeout"),
    (torch, "_foreach_copy_"),
    (torch, "_foreach_lerp_"),
    (nn.modules.batchnorm, "_BatchNorm"),
    (nn.modules.batchnorm, "_NormBase"),
    (nn.modules.dropout, "_DropoutNd"),
    (nn.utils.parametrizations, "_SpectralNorm"),
]
MODULES = ["torch._dynamo", "torch.distributed.nn", "torch.nn.utils.spectral_norm"]


@pytest.fixture
def bare_torch(monkeypatch):
    """A function that removes torch's private names until the end of the test."""

    def take_away():
        for owner, name in NAMES:
            monkeypatch.delattr(owner, name, raising=False)
        for name in MODULES:
            monkeypatch.setitem(sys.modules, name, None)  # importing it raises ImportError
        monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())

    return take_away


def private_names(path):
    """The private attributes of torch, and the private modules of it, that a file names."""
    roots = {"torch", "nn", "F", "distributed", "parametrizations", "parametrize"}
    text = path.read_text()
    if "torch" not in text or not re.search(r"[.\"]_[a-zA-Z]", text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if node.value.startswith("torch._") else []
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            names = [f".{n.name}" for n in node.names] + [f".{node.module}"]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            owner, name = ast.unparse(node.args[0]).split("."), ast.unparse(node.args[1])
            names = [f".{name[1:-1]}"] if owner[0] in roots else []
        elif isinstance(node, ast.Attribute):
            words = ast.unparse(node).split(".")
            names = [f".{node.attr}"] if words[0] in roots else []
        else:
            continue
        yield from (n for n in names if "._" in n and not n.endswith("__"))


def test_one_module_names_what_torch_keeps_private():
    assert not {str(path): found for path in SOURCES if (found := [*private_names(path)])}
    assert [*private_names(HOME)], "the scan finds the private names there"


def played(game, average):
    rng = torch.Generator().manual_seed(0)
    for i in range(3):
        x = torch.rand(10, 2, generator=torch.Generator().manual_seed(i))
        game.step((Batch(x),) * game.batches_per_step, rng=rng)
        average.update(game.G, i + 1)
    return {**game.state(), **average.network.state_dict()}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_game_and_its_average_are_the_same(precision, bare_torch):
    game = small_game(precision=precision)
    average = EMA(game.G, decay=0.5, every=1)
    twins = copy.deepcopy((game, average))
    expected = played(game, average)
    bare_torch()
    found = played(*twins)
    assert all(torch.equal(found[name], t) for name, t in expected.items())


def test_layers_are_known_by_their_public_names(bare_torch):
    norms = [nn.BatchNorm1d(2), nn.BatchNorm2d(2), nn.LazyBatchNorm3d(), nn.SyncBatchNorm(2)]
    dropouts = [nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(), nn.FeatureAlphaDropout()]
    for _ in range(2):
        assert all(isinstance(m, torch_private.batch_norms()) for m in norms)
        assert all(isinstance(m, torch_private.dropouts()) for m in dropouts)
        assert all(
            isinstance(m, torch_private.running_norms()) for m in (*norms, nn.InstanceNorm1d(2))
        )
        assert not isinstance(nn.LayerNorm(2), torch_private.running_norms())
        bare_torch()
    assert spectral_norm.vectors(nn.Sequential(nn.Linear(2, 2))) == set()


@pytest.mark.parametrize(
    "register",
    [
        nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_forward_pre_hook,
        nn.modules.module.register_module_full_backward_hook,
        nn.modules.module.register_module_full_backward_pre_hook,
    ],
)
def test_a_hook_of_all_modules_is_seen(register):
    assert not torch_private.has_global_hooks()
    handle = register(lambda *_: None)
    try:
        assert torch_private.has_global_hooks()
    finally:
        handle.remove()
    assert not torch_private.has_global_hooks()


@pytest.fixture
def wide(monkeypatch):
    """A processor that torch uses AVX-512 of, as far as the choice of a library goes."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


def test_the_library_of_products_follows_the_instructions(wide, monkeypatch):
    assert torch_private.onednn_linear() is not None
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert torch_private.onednn_linear() is None


def test_products_from_some_size_on_are_onednns(rng, wide, monkeypatch):
    taken, known = [], torch_private.onednn_linear()

    def counted(*arguments):
        taken.append(len(arguments[0]))
        return known(*arguments)

    monkeypatch.setattr(kernels, "ONEDNN", counted)
    for rows in (49, 50):  # of 10,000 multiplications each
        x, W, b = (torch.randn(*s, generator=rng) for s in ((rows, 100), (100, 100), (100,)))
        with torch.no_grad():
            y = kernels.product(x, W, b)
        torch.testing.assert_close(y, nn.functional.linear(x, W, b), rtol=1e-5, atol=1e-5)
    assert taken == [50]


def test_a_product_is_torchs_own_where_onednn_is_not_the_one_known(
    rng, wide, monkeypatch, bare_torch
):
    x, W, b = (torch.randn(*s, generator=rng) for s in ((600, 40), (30, 40), (30,)))
    expected = nn.functional.linear(x, W, b)
    with torch.no_grad():
        monkeypatch.setattr(torch_private, "ONEDNN_SCHEMA", "of another release")
        assert torch_private.onednn_linear() is None
        monkeypatch.undo()
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        bare_torch()
        monkeypatch.setattr(kernels, "ONEDNN", torch_private.onednn_linear())
        assert kernels.ONEDNN is None
        assert torch.equal(kernels.product(x, W, b), expected)
        assert torch.equal(torch.ops.advnets.product(x, W, b), expected)
    monkeypatch.setattr(torch.backends, "quantized", SimpleNamespace())
    assert not torch_private.fbgemm()


def test_without_a_compiler_only_compilation_is_refused(bare_torch):
    bare_torch()
    with pytest.raises(BadValue, match=r"'model\.compile' must be False here \(torch .*"):
        compile_step(lambda: None)
    assert torch_private.capture_error(None) is RuntimeError
    torch_private.import_before_joining()


def test_nothing_is_scripted_where_torch_cannot_script(monkeypatch):
    assert torch_private.script_modules()
    monkeypatch.delattr(torch.jit, "ScriptModule")
    assert torch_private.script_modules() == ()


def test_a_step_that_torch_wraps_in_nothing_is_taken_as_it_is():
    class Plain(torch.optim.Optimizer):
        def step(self):
            return "moved"

    plain = Plain([torch.zeros(1, requires_grad=True)], {})
    Plain.step = inspect.unwrap(Plain.step)
    assert torch_private.bare_step(plain)(plain) == "moved"

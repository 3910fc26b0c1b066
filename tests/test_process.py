"""A call of the library leaves the process as it was; `fit` goes on where it ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import advnets
from advnets import recipes
from advnets.base.process import settings_of_a_run, subnormals_are_zero
from advnets.runs import run_config, train
from advnets.storage import environment
from conftest import small_config, small_game, small_run

X = torch.randn(230, 2, generator=torch.Generator().manual_seed(0))


def steps(n):
    return advnets.TrainerConfig(steps=n)


def game():
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    return advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(4),
        G_optimizer=torch.optim.Adam(G.parameters(), 1e-2),
        D_optimizer=torch.optim.Adam(D.parameters(), 1e-2),
    )


def same(a, b):
    one, other = a.state(), b.state()
    return one.keys() == other.keys() and all(torch.equal(t, other[n]) for n, t in one.items())


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.numpy(),
        TensorDataset(X),
        DataLoader(TensorDataset(X), 50),
        DataLoader(X, 50, shuffle=True),
    ],
    ids=["tensor", "array", "dataset", "loader", "loader of rows"],
)
def test_fitting_twice_is_fitting_once_for_longer(data):
    if isinstance(data, TensorDataset):
        data = advnets.Batches(data, size=50, seed=0)
    whole, parts = game(), game()
    advnets.fit(whole, data, steps(13))
    for n in (4, 2, 7):
        advnets.fit(parts, data, steps(n))
    assert same(whole, parts)
    assert whole.updates == parts.updates == 13


def test_a_game_that_was_loaded_goes_on_with_noise_of_its_own():
    first, zs = game(), []
    advnets.fit(first, X, steps(4))
    twin = game()
    twin.load_state(first.state())
    real = twin.prior
    twin.prior = type(
        "Spy",
        (),
        {
            "dim": 4,
            "sample": lambda _, m, *, rng: (zs.append(rng.initial_seed()), real.sample(m, rng=rng))[
                1
            ],
        },
    )()
    advnets.fit(twin, X, steps(1))
    advnets.fit(twin, X, steps(1), seed=1)
    assert twin.updates == 6
    assert len(set(zs)) == 2
    assert advnets.base.rng.derive(0, "step") not in zs


def test_a_state_brings_back_rates_and_the_count_of_updates():
    a = game()
    plan = torch.optim.lr_scheduler.ExponentialLR(a.D_state.optimizer, 0.5)
    advnets.fit(a, X, steps(2))
    plan.step()
    a.step_D(advnets.base.protocols.Batch(X[:20]), rng=torch.Generator())
    b = game()
    old = {n: t for n, t in a.state().items() if ".group." not in n and n != "updates"}
    b.load_state(old)  # of a checkpoint that is older
    assert b.D_state.optimizer.param_groups[0]["lr"] == 1e-2
    b.load_state(a.state())
    assert b.updates == 2
    assert b.D_state.optimizer.param_groups[0]["lr"] == 5e-3
    assert b.D_state.optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_training_is_in_training_mode_but_for_what_is_frozen():
    own = game()
    own.D.insert(0, nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).requires_grad_(False))
    own.D.eval()
    own.G.eval()
    advnets.fit(own, X, steps(1))
    assert own.G.training
    assert own.D[3].training
    assert not any(m.training for m in own.D[0].modules())


def test_fit_under_no_grad_and_inference_mode_trains():
    whole, parts = game(), game()
    advnets.fit(whole, X, steps(2))
    with torch.no_grad():
        advnets.fit(parts, X, steps(1))
    with torch.inference_mode():
        advnets.fit(parts, X, steps(1))
    assert same(whole, parts)


def test_a_call_leaves_the_process_as_it_was(tmp_path):
    before = subnormals_are_zero(), torch.get_default_dtype()
    torch.set_flush_denormal(False)
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(5)
        stream = torch.get_rng_state()
        small_game()
        assert train.train(small_run(trainer=steps(2)), tmp_path / "run")
        assert train.resume(tmp_path / "run", small_run(trainer=steps(3)))
        assert torch.equal(torch.get_rng_state(), stream)
        assert torch.get_default_dtype() == torch.float64
        assert not subnormals_are_zero()
        with settings_of_a_run():
            assert subnormals_are_zero()
    finally:
        torch.set_flush_denormal(before[0])
        torch.set_default_dtype(before[1])


def test_every_recipe_plays_in_what_the_processor_has(monkeypatch):
    with_precision = [recipes.get(name).model for name in recipes.RECIPES]
    assert {m.precision for m in with_precision if hasattr(m, "precision")} == {"auto"}
    for has, chosen in ((True, "bfloat16"), (False, "float32"), (None, "float32")):
        monkeypatch.setattr(environment, "has_bfloat16", lambda device, has=has: has)
        assert environment.resolved("auto", (1, 4, 4), "cpu") == chosen
        assert environment.resolved("auto", (4,), "cpu") == "float32"
        assert environment.resolved("bfloat16", (4,), "cpu") == "bfloat16"


def test_a_run_keeps_the_precision_that_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16", lambda device: True)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((200, 6, 5), dtype=np.float32))
    data = advnets.data.ArrayConfig(path=str(tmp_path / "x.npy"))
    auto = small_config(precision="auto")
    config = small_run(data=data, trainer=steps(2), model=auto)
    said = []

    class Said(train.Silent):
        def say(self, text):
            said.append(text)

    assert train.train(config, tmp_path / "run", display=Said())
    assert any("in bfloat16" in text for text in said)
    monkeypatch.setattr(environment, "has_bfloat16", lambda device: False)
    assert run_config.config_of(tmp_path / "run").model.precision == "bfloat16"
    assert train.resume(tmp_path / "run", small_run(data=data, trainer=steps(3), model=auto))
    assert run_config.config_of(tmp_path / "run").model.precision == "bfloat16"


def test_a_processor_of_an_older_run_is_known_without_family_and_model():
    now = {"processor": "AMD EPYC, family 25 model 1", "threads": 2, "products": "oneDNN"}
    by_torch = now | {"products": "torch"}  # older runs, which did not record it, had oneDNN's
    old = {"processor": "AMD EPYC"}
    assert environment.differences_of_bits(old, by_torch) == "products oneDNN became torch"
    assert not environment.differences_of_bits(by_torch, by_torch)
    for before, words in (
        ({"processor": "AMD EPYC"}, ""),
        (
            {"processor": "AMD EPYC, family 25 model 17"},
            "processor AMD EPYC, family 25 model 17 became",
        ),
        ({"processor": "AMD", "threads": 2}, "processor AMD became"),
        ({"threads": 1}, "threads 1 became 2"),
    ):
        found = environment.differences_of_bits(before, now)
        assert found.startswith(words) and bool(found) == bool(words)


def test_a_run_that_goes_on_elsewhere_says_so_once(tmp_path, monkeypatch):
    folder, said = tmp_path / "run", []

    class Said(train.Silent):
        def say(self, text):
            said.append(text)

    def notices():
        return [text for text in said if "not bit for bit" in text]

    assert train.train(small_run(trainer=steps(2)), folder)
    assert train.resume(folder, small_run(trainer=steps(3)), display=Said())
    assert not notices()
    real = train.environment
    monkeypatch.setattr(train, "environment", lambda: {**real(), "processor": "another"})
    for n in (4, 5):
        assert train.resume(folder, small_run(trainer=steps(n)), display=Said())
    (notice,) = notices()
    assert notice.startswith("From update 3 on")
    assert "became another" in notice
    lines = [json.loads(line) for line in (folder / "environment.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == [0, 2, 3, 4]
    (folder / "environment.jsonl").unlink()  # of a run that is older
    assert train.resume(folder, small_run(trainer=steps(6)), display=Said())
    assert len(notices()) == 2


def test_a_line_of_a_start_that_a_kill_cut_off_is_replaced(tmp_path):
    folder = tmp_path / "run"
    assert train.train(small_run(trainer=steps(2)), folder)
    path = folder / "environment.jsonl"
    path.write_bytes(path.read_bytes() + b'{"update": 2, "comm')
    for n in (3, 4, 5):
        assert train.resume(folder, small_run(trainer=steps(n)))
    assert [json.loads(line)["update"] for line in path.read_text().splitlines()] == [0, 2, 3, 4]


def test_the_line_of_a_start_is_not_written_through_a_link(tmp_path):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    assert train.train(small_run(trainer=steps(2)), folder)
    outside.touch()
    (folder / "environment.jsonl").unlink()
    (folder / "environment.jsonl").symlink_to(outside)
    assert train.resume(folder, small_run(trainer=steps(3)))
    assert outside.read_bytes() == b""


POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from advnets.base.process import worker

def task(_):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=worker) as pool:
        list(pool.map(task, [0]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("killed_by", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_ends_in_its_task_when_its_parent_is_killed(tmp_path, killed_by):
    program = tmp_path / "pool.py"
    program.write_text(POOL)
    parent = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.send_signal(killed_by)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 30
    while running(worker) and time.monotonic() < until:
        time.sleep(0.05)
    still = running(worker)
    if still:
        os.kill(worker, signal.SIGKILL)
    assert not still


def running(pid):
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False

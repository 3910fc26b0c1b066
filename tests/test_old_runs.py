"""Run folders that an older version wrote (tests/old_runs/make.py) are read, sampled and resumed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import advnets
from advnets.base.protocols import LatentSampler
from advnets.runs.run_config import config_of, moved
from advnets.runs.train import resume
from advnets.storage.run_folder import RunDir

OLD = Path(__file__).parent / "old_runs"
KINDS = sorted(p.parent.name for p in OLD.glob("*/config.toml"))
NEAR = {"rtol": 1e-4, "atol": 1e-5}  # another processor rounds otherwise


def expected(kind):
    with np.load(OLD / kind / "expected.npz", allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def folder(kind, tmp_path):
    return shutil.copytree(OLD / kind, tmp_path / kind)


def test_there_is_a_run_of_each_sort():
    assert {"dae", "game", "game_adam", "gsn", "images", "rbm", "two_stage", "vae"} <= {*KINDS}


def test_old_settings_are_read_under_their_new_names():
    game = config_of(RunDir(OLD / "game")).model
    assert (game.D_loss_weight, game.ema_decay, game.ema_every) == (0.7, 0.9, 2)
    assert (game.D.dropout_input, game.D.dropout_hidden) == (0.2, 0.5)
    assert not game.compile


def test_what_a_run_makes_of_z_is_what_it_made(kind):
    old, run = expected(kind), advnets.load(OLD / kind, checkpoint="last")
    assert run.update == 6
    decoders = {n: s for n, s in run.samplers().items() if isinstance(s, LatentSampler)}
    assert {f"decode_{name}" for name in decoders} == {n for n in old if n.startswith("decode_")}
    for name, sampler in decoders.items():
        torch.testing.assert_close(sampler.decode(old["z"]), old[f"decode_{name}"], **NEAR)


def test_samples_are_drawn(kind):
    run = advnets.load(OLD / kind, checkpoint="last")
    for name in run.samplers():
        drawn = run.sample(5, seed=0, weights=name)
        assert drawn.shape == (5, *run.folder.data().event_shape)
        assert drawn.isfinite().all()
        again = run.sample(3, seed=0, start=2, weights=name)
        torch.testing.assert_close(again, drawn[2:], **NEAR)  # other sizes of pass round otherwise


def test_a_run_goes_on_to_the_end_that_it_would_have_had(kind, folder):
    run_folder, old = RunDir(folder), expected(kind)
    place = OLD / ("pictures" if kind == "images" else "data.npy")
    assert resume(folder, moved(config_of(run_folder), path=str(place)))
    last = run_folder.latest(print)
    ours = {f"end.{n}": t.float() for n, t in last.tensors.items() if n.startswith("learner.")}
    assert last.update == 12
    then = {name for name in old if name.startswith("end.")}
    assert then <= ours.keys()
    rebuilt = (".group.", "learner.updates")  # then not saved
    assert all(any(part in name for part in rebuilt) for name in ours.keys() - then)
    for name in then:
        torch.testing.assert_close(ours[name], old[name], **NEAR)

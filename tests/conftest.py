"""What every test may use: small games on small data, and the real MNIST where it is at hand."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import advnets
from advnets.base.conditioning import Context
from advnets.base.distributed import ALONE
from advnets.base.protocols import Problem
from advnets.data import ArrayConfig, MnistConfig, RingConfig, Splits, load
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim import compile as capture
from advnets.optim.schedules import OptimizerConfig

collect_ignore = ["old_runs/make.py"]  # a command that needs the package of an old commit

ROOT = Path(__file__).parents[1]
MNIST = ROOT.parent / "shared" / "data" / "mnist"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell's job in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(2)


@pytest.fixture(autouse=True)
def no_data_from_the_environment(monkeypatch):
    monkeypatch.delenv("ADVNETS_DATA", raising=False)


@pytest.fixture(autouse=True, scope="session")
def a_cache_of_our_own(tmp_path_factory):
    """Networks of features are kept for the session, and not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def compiler():
    """Torch's, as a fresh process finds it, where this torch can capture gradients."""
    from torch._dynamo import config, reset  # heavy

    if not hasattr(config, capture.GRADIENTS):
        pytest.skip("this torch cannot compile a step with its gradients")
    reset()
    yield
    reset()


@pytest.fixture(scope="session")
def mnist() -> Splits:
    """The real MNIST; CI has it, and runs these tests."""
    if not (MNIST / "train-images-idx3-ubyte.gz").exists():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have MNIST in {MNIST}")
        pytest.skip(f"no MNIST in {MNIST}")
    return load(MnistConfig(root=str(MNIST)), seed=0)


SMALL = {
    "z_dim": 3,
    "precision": "float32",
    "G": GeneratorConfig(hidden=(7,), output="linear", irange=0.5),
    "D": DiscriminatorConfig(units=(6,), pieces=3, irange=0.5),
}


def small_config(**settings) -> advnets.GameConfig:
    """A pair small enough to follow by hand, dropout and all."""
    return advnets.GameConfig(**(SMALL | settings))


def small_game(
    *, seed=0, steps=50, event_shape=(2,), ranks=ALONE, device="cpu", **settings
) -> advnets.Game:
    problem = Problem(
        event_shape=event_shape,
        low=0.0,
        high=1.0,
        mean=torch.full(event_shape, 0.5),
        batches_per_epoch=5,
        steps=steps,
        context=Context.of(torch.arange(3)),
        ranks=ranks,
        device=torch.device(device),
    )
    return advnets.Game.from_config(small_config(**settings), problem, seed=seed)


def small_run(**settings) -> advnets.RunConfig:
    """A run of the small pair on a small ring, through every part of the house."""
    trainer = {"steps": 40, "log_every": 5, "score_every": 10, "checkpoint_every": 4}
    rule = OptimizerConfig(lr=0.05)
    return advnets.RunConfig(
        **{
            "recipe": "small",
            "batch_size": 16,
            "data": RingConfig(examples=160),
            "model": small_config(G_optimizer=rule, D_optimizer=rule),
            "trainer": advnets.TrainerConfig(sample_every=20, **trainer),
            "evaluation": advnets.EvaluationConfig(samples=50, validation=16),
            **settings,
        }
    )


@pytest.fixture(scope="session")
def points(tmp_path_factory) -> Path:
    """The folder of a finished run on points in the plane; not to be written to."""
    folder = tmp_path_factory.mktemp("points") / "run"
    assert advnets.train(small_run(), folder)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> Path:
    """The folder of a finished run on 160 images of 6 x 5 pixels; not to be written to."""
    folder = tmp_path_factory.mktemp("images")
    x = np.random.default_rng(0).integers(0, 256, (200, 6, 5), dtype=np.uint8)
    np.save(folder / "x.npy", x)
    data = ArrayConfig(path=str(folder / "x.npy"))
    assert advnets.train(small_run(data=data, recipe="pictures"), folder / "run")
    return folder / "run"

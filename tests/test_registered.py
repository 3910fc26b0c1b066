"""Models and data sets of a user's own, registered beside those of the package."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

import advnets
from advnets.base.errors import BadFile, BadValue
from advnets.base.protocols import ModelConfig
from advnets.data import DataConfig, RingConfig, Split
from advnets.models.gradient_learner import GradientLearner
from advnets.runs import registry, train
from advnets.sampling.samplers import GeneratorSampler
from conftest import small_config, small_run


@dataclass(frozen=True, kw_only=True)
class ShiftConfig(ModelConfig):
    kind: ClassVar[str] = "shift"
    optimizer: advnets.OptimizerConfig = advnets.OptimizerConfig(lr=0.05)


class Shift(GradientLearner):
    """The simplest model: x = z + b, where b descends the squared distance to the data's mean."""

    def __init__(self, config, problem, *, seed):
        network = torch.nn.Linear(2, 2)
        torch.nn.init.eye_(network.weight).requires_grad_(False)
        rng = torch.Generator().manual_seed(seed)
        torch.nn.init.uniform_(network.bias, -1, 1, generator=rng)
        super().__init__(network, config.optimizer, problem)

    def objective(self, x, *, rng):
        z = self.normal(len(x), 2, rng=rng)
        return {"apart": (self.network(z) - x).mean(dim=0).square().sum()}

    def samplers(self):
        return {"raw": GeneratorSampler(self.network, advnets.Gaussian(2))}


@dataclass(frozen=True, kw_only=True)
class LineConfig(DataConfig):
    kind: ClassVar[str] = "line"
    at: float = 3.0


def line(config, *, seed):
    u = torch.rand(200, 2, generator=torch.Generator().manual_seed(seed))
    x = torch.stack([u[:, 0], torch.full_like(u[:, 0], config.at)], dim=1)
    return advnets.data.split(Split(x), validation=0.2, test=0.2, seed=seed)


@pytest.fixture(autouse=True)
def registered():
    """Both are registered, and forgotten after the test."""
    tables = (advnets.data.READERS, advnets.data.KINDS, registry.LEARNERS, registry.KINDS)
    before = [dict(table) for table in tables]
    advnets.register_model(ShiftConfig, Shift)
    advnets.register_data(LineConfig, line)
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


def own_run(**settings):
    return small_run(model=ShiftConfig(), data=LineConfig(), **settings)


def test_a_run_of_both_trains_loads_samples_and_scores(tmp_path):
    assert advnets.train(own_run(), tmp_path / "run")
    run = advnets.load(tmp_path / "run", checkpoint="last")
    assert isinstance(run.learner, Shift) and run.update == 40
    x = run.sample(500, seed=0)
    assert (x.mean(dim=0) - torch.tensor([0.5, 3.0])).norm() < 0.3
    assert torch.equal(x[3:9], run.sample(6, seed=0, start=3))
    scores = run.evaluate(quality=False).lines
    assert scores[0].name == "raw"


def test_it_resumes_bit_for_bit(tmp_path):
    assert advnets.train(own_run(), tmp_path / "whole")
    short = own_run()
    short = replace(short, trainer=replace(short.trainer, steps=20))
    assert advnets.train(short, tmp_path / "parts")
    assert advnets.resume(tmp_path / "parts", own_run())
    whole, parts = (
        advnets.load(tmp_path / name, checkpoint="last").learner.state()
        for name in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_its_configuration_comes_back_from_toml(tmp_path):
    config = replace(own_run(), data=LineConfig(at=1.5))
    (tmp_path / "own.toml").write_text(config.to_toml())
    assert advnets.read_config(tmp_path / "own.toml") == config
    assert 'kind = "line"' in config.to_toml()


def test_a_process_that_did_not_register_it_gets_one_line(tmp_path):
    assert advnets.train(own_run(), tmp_path / "run")
    del advnets.data.READERS[LineConfig], advnets.data.KINDS["line"]
    with pytest.raises(BadFile, match=r"Unknown kind of DataConfig, data\.kind = 'line'"):
        advnets.load(tmp_path / "run")
    with pytest.raises(BadValue, match=r"'data' must be .*register_data.*, got LineConfig\."):
        advnets.train(own_run(), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    del registry.LEARNERS[ShiftConfig]
    config = small_run(model=ShiftConfig(), data=RingConfig(examples=160))
    with pytest.raises(BadValue, match=r"'model' must be .*register_model.*, got ShiftConfig\."):
        train.train(config, tmp_path / "other")


def test_a_class_that_is_defined_again_replaces_the_first():
    again = dataclass(frozen=True, kw_only=True)(
        type("LineConfig", (DataConfig,), {"kind": "line", "__module__": __name__})
    )
    advnets.register_data(again, line)
    assert advnets.data.KINDS["line"] is again
    assert again in advnets.data.READERS and LineConfig not in advnets.data.READERS


class NoDataclass:
    kind = "none"


@dataclass(frozen=True, kw_only=True)
class Nameless(DataConfig):
    pass


@dataclass(frozen=True, kw_only=True)
class SecondRing(RingConfig):
    pass


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (NoDataclass, r"'NoDataclass' must be a frozen dataclass"),
        (Nameless, r"'Nameless\.kind' must be a name, got None\."),
        (SecondRing, r"'SecondRing\.kind' must be a name that 'RingConfig' does not have, got 'ring'"),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_refused(config, message):
    before = dict(advnets.data.READERS)
    with pytest.raises(BadValue, match=message):
        advnets.register_data(config, line)
    assert before == advnets.data.READERS


def test_the_package_goes_on_as_before(tmp_path):
    assert advnets.train(small_run(model=small_config()), tmp_path / "run")
    assert type(advnets.load(tmp_path / "run").learner) is advnets.Game

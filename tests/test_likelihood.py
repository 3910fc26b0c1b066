"""What `evaluate` says of log p(x): of which models, in which words, kept and read again."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import advnets
from advnets.cli import command
from advnets.data import ArrayConfig
from advnets.evaluation import ais
from advnets.evaluation.likelihood import LikelihoodConfig, measure
from advnets.evaluation.protocol import Kept
from advnets.models.energy.rbm import LearningConfig
from advnets.sampling.chains import ChainConfig
from conftest import SMALL, small_run

CHAIN = ChainConfig(chains=5, burn_in=3, thin=1)
SHORT = LikelihoodConfig(temperatures=30, chains=40, own_chains=6, draws=5, weighted=7)


def run_of(model, folder, log_p=SHORT):
    """A short run on binary rows."""
    rng = np.random.default_rng(0)
    np.save(folder / "x.npy", rng.integers(2, size=(120, 6)).astype("float32"))
    evaluation = advnets.EvaluationConfig(samples=50, validation=10, log_p=log_p)
    data = ArrayConfig(path=str(folder / "x.npy"))
    config = small_run(model=model, data=data, evaluation=evaluation)
    assert advnets.train(config, folder / "run")
    return advnets.load(folder / "run")


def test_evaluate_prints_keeps_and_reads_log_p(tmp_path, capsys):
    learning = LearningConfig(particles=5, stdev=0.2)
    run = run_of(advnets.RBMConfig(hidden=4, learning=learning, chain=CHAIN), tmp_path)
    capsys.readouterr()
    assert command.main(["evaluate", str(tmp_path / "run"), "--quality", "False"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    kept = Kept.read(tmp_path / "run" / "evaluation.json")
    (row,) = kept.log_p
    test = run.splits().test.x[:]
    assert row.n == len(test) and f"log p(x) of {len(test)} test examples by AIS" in printed
    assert "(40 chains, 30 temperatures)" in printed and "optimistic" in printed
    exact = run.learner.log_density(test).mean().item()
    assert row.mean == pytest.approx(exact, abs=4 * row.estimate_error + 1e-4)
    assert 1 < row.effective <= 40


@pytest.mark.parametrize(
    ("model", "examples", "by"),
    [
        (advnets.DBMConfig(hidden=(3, 2), updates=(), particles=5, chain=CHAIN), 0, ["AIS ("]),
        (advnets.SBNConfig(hidden=(3,)), 0, ["5 importance-weighted draws"]),
        (advnets.SBNConfig(hidden=(3,)), 4, ["for each x", "5 importance-weighted draws"]),
        (
            advnets.VAEConfig(z_dim=2, hidden=(4,)),
            3,
            ["for each x", "weighted", "AIS of means, sigma"],
        ),
        (advnets.GameConfig(**SMALL), 0, []),
        (advnets.GameConfig(**SMALL), 3, ["AIS of raw, sigma", "AIS of averaged, sigma"]),
        (advnets.DAEConfig(hidden=4, chain=CHAIN), 3, []),
    ],
)
def test_each_model_says_what_it_has(model, examples, by, tmp_path):
    run = run_of(model, tmp_path, log_p=LikelihoodConfig(**(vars(SHORT) | {"examples": examples})))
    rows = run.score(quality=False).log_p
    assert Kept.read(tmp_path / "run" / "evaluation.json").log_p == rows  # the report reads them
    assert len(rows) == len(by)
    for row, words in zip(rows, by, strict=True):
        assert words in row.by and math.isfinite(row.mean) and row.bound in str(row)
        assert row.n == (7 if "weighted" in words else examples or 12)
    off = LikelihoodConfig(temperatures=0, examples=3)
    assert measure(run.learner, run.splits(), off, seed=0) == ()


def test_the_published_schedule_is_taken_where_it_is_asked_for(tmp_path, monkeypatch):
    run = run_of(advnets.RBMConfig(hidden=2, chain=CHAIN), tmp_path)
    few = [0.0, 0.5, 1.0]
    monkeypatch.setattr(ais, "published", lambda: few)  # test_ais.py has its length
    config = LikelihoodConfig(**(vars(SHORT) | {"schedule": "published"}))
    (row,) = measure(run.learner, run.splits(), config, seed=0)
    assert "2 temperatures" in row.by
    with pytest.raises(ValueError, match="Unknown schedule 'slow'"):
        LikelihoodConfig(schedule="slow")


def test_one_example_has_no_standard_error():
    class One:
        def importance_weighted(self, x, *, k, rng):
            return torch.zeros(len(x))

    x = advnets.data.splits.Split(torch.zeros(1, 2), None)
    splits = type("Splits", (), {"test": x})()
    (row,) = measure(One(), splits, SHORT, seed=0)
    assert "0.00 +- unknown nats" in str(row)


@pytest.mark.filterwarnings("error")
def test_one_chain_has_no_standard_error(tmp_path):
    run = run_of(advnets.RBMConfig(hidden=2), tmp_path, replace(SHORT, chains=1))
    (row, *_) = measure(run.learner, run.splits(), run.config.evaluation.log_p, seed=0)
    assert "log Z +- unknown" in str(row)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="'chains' must be a number that is at least 1, got 0"):
        LikelihoodConfig(chains=0)
    with pytest.raises(ValueError, match="'temperatures' must be a number that is at least 0"):
        LikelihoodConfig(temperatures=-1)

"""The recipes of the autoencoders, cut short: trained, stopped, gone on with, sampled."""

import dataclasses

import numpy as np
import pytest
import torch

import advnets
from advnets import recipes
from advnets.data import ArrayConfig


@pytest.fixture
def digits(tmp_path):
    x = np.random.default_rng(0).random((200, 6, 5), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    return ArrayConfig(path=str(tmp_path / "x.npy"))


def small(name, digits, steps):
    config = recipes.get(name)
    sizes = {"hidden": (6, 5), "updates": (5,)} if name == "stacked-cae" else {"hidden": 6}
    chain = dataclasses.replace(config.model.chain, chains=4, burn_in=2, thin=1)
    return dataclasses.replace(
        config,
        batch_size=20,
        data=digits,
        model=dataclasses.replace(config.model, chain=chain, **sizes),
        trainer=advnets.TrainerConfig(
            steps=steps, score_every=4, checkpoint_every=3, sample_every=4
        ),
        evaluation=advnets.EvaluationConfig(samples=40, validation=10),
    )


@pytest.mark.parametrize("name", ["dae", "cae", "stacked-cae"])
def test_a_recipe_trains_samples_and_goes_on_where_it_was_stopped(
    name, digits, tmp_path, monkeypatch
):
    """A run killed at update 7, in the second stage of the stack, ends as the whole one."""
    config = small(name, digits, 10)
    assert advnets.train(config, tmp_path / "whole")
    real, steps = type(advnets.load(tmp_path / "whole").learner).step, []

    def killed(self, *arguments, **options):
        steps.append(1)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(advnets.load(tmp_path / "whole").learner), "step", killed)
        with pytest.raises(KeyboardInterrupt):
            advnets.train(config, tmp_path / "stopped")
    assert advnets.resume(tmp_path / "stopped")
    whole, stopped = (advnets.load(tmp_path / f, checkpoint="last") for f in ("whole", "stopped"))
    a, b = whole.learner.state(), stopped.learner.state()
    assert set(a) == set(b) and all(torch.equal(a[key], b[key]) for key in a)
    x = whole.sample(11, seed=3)
    assert x.shape == (11, 1, 6, 5) and torch.equal(x, stopped.sample(11, seed=3))
    assert whole.evaluate(quality=False).lines[0].name == "chain"

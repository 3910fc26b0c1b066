"""The two-stage game: the stage is a function of the step, and G is all that outlives the first."""

import pytest
import torch

import advnets
from advnets.base.protocols import Batch, Problem
from advnets.runs.registry import build
from conftest import SMALL

FIRST = 3


def make(seed=0, **settings):
    rule = advnets.OptimizerConfig(lr=0.05, lr_decay=1.5, anneal="cosine")
    rules = {"G_optimizer": rule, "D_optimizer": rule}
    config = advnets.TwoStageConfig(**(SMALL | rules | {"first": FIRST, "below": (4,)} | settings))
    mean = torch.full((2,), 0.5)
    problem = Problem(event_shape=(2,), low=0.0, high=1.0, mean=mean, batches_per_epoch=2, steps=10)
    return build(config, problem, seed=seed)


def play(game, steps, start=0):
    for i in range(start, start + steps):
        rng = torch.Generator().manual_seed(i)
        game.step((Batch(torch.rand(5, 2, generator=rng)),), rng=rng)


def weights(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def test_the_first_stage_is_the_plain_game():
    staged = make()
    plain = advnets.Game.from_config(
        advnets.GameConfig(
            **SMALL,
            G_optimizer=(rule := advnets.OptimizerConfig(lr=0.05, lr_decay=1.5, anneal="cosine")),
            D_optimizer=rule,
        ),
        Problem(
            event_shape=(2,),
            low=0.0,
            high=1.0,
            mean=torch.full((2,), 0.5),
            batches_per_epoch=2,
            steps=FIRST,  # a rate that anneals is at 0 at the end of its own stage
        ),
        seed=0,
    )
    play(staged, FIRST)
    play(plain, FIRST)
    for name, p in plain.G.named_parameters():
        torch.testing.assert_close(staged.G.G.get_parameter(name), p)
    for name, p in plain.D.named_parameters():
        torch.testing.assert_close(staged.D.get_parameter(name), p)
    before = weights(make().G.below)
    assert all(torch.equal(p, before[n]) for n, p in weights(staged.G.below).items())


def test_at_the_second_stage_new_layers_lie_below_the_trained_G(rng):
    game = make()
    play(game, FIRST)
    trained, D = weights(game.G.G), weights(game.D)
    assert game.stage == 1
    game.begin_second()
    assert game.stage == 2
    z = torch.randn(4, 3, generator=rng)
    torch.testing.assert_close(game.G(z), game.G.G(game.G.below(z)))
    assert all(torch.equal(p, trained[n]) for n, p in weights(game.G.G).items())  # G goes on
    assert any(not torch.equal(p, D[n]) for n, p in weights(game.D).items())  # D is a fresh one
    assert not game.D_state.optimizer.state and not game.G_state.optimizer.state
    assert int(game.minibatches) == 0
    for name, average in game.ema.network.named_parameters():
        assert torch.equal(average, game.G.get_parameter(name))


def test_everything_learns_in_the_second_stage():
    game = make()
    play(game, FIRST)
    before = weights(game.G)
    play(game, 2, start=FIRST)
    assert game.stage == 2
    assert all(not torch.equal(p, before[n]) for n, p in weights(game.G).items())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_stage_is_a_function_of_the_step_also_for_one_that_resumes(precision):
    whole = make(precision=precision)
    play(whole, 8)
    parts = make(precision=precision)
    for start in range(8):
        saved = {name: t.clone() for name, t in parts.state().items()}
        parts = make(seed=start, precision=precision)
        parts.load_state(saved)
        play(parts, 1, start=start)
        assert parts.stage == (1 if start < FIRST else 2)
    assert all(torch.equal(t, parts.state()[name]) for name, t in whole.state().items())


def test_samples_are_of_the_stage():
    game = make()
    first = game.samplers()["raw"].sample(3, seed=0)
    game.begin_second()
    sampler = game.samplers()["raw"]
    assert not torch.equal(first, sampler.sample(3, seed=0))
    z = sampler.latents(3, seed=0)
    torch.testing.assert_close(sampler.sample(3, seed=0), game.G.G(game.G.below(z)))
    averaged = game.samplers()["averaged"].sample(3, seed=0)
    torch.testing.assert_close(averaged, sampler.sample(3, seed=0))


def test_new_sigmoids_start_at_their_bias():
    below = make(below_bias=-1.5).G.below
    assert torch.equal(below[2].bias, torch.full((3,), -1.5))
    assert not below[0].bias.any()


def test_limits_on_norms_hold_below_too():
    limited = advnets.GeneratorConfig(hidden=(7,), output="linear", irange=0.5, max_col_norm=0.01)
    game = make(G=limited)
    play(game, FIRST + 1)
    for layer in game.G.modules():
        if isinstance(layer, torch.nn.Linear):
            assert layer.weight.norm(dim=1).max() <= 0.0101

"""The denoising autoencoder: what it is told, and the law of its chain."""

import itertools

import pytest
import torch
from test_autoencoder import EVENT, problem

from advnets.base.protocols import Batch
from advnets.models.autoencoders.chain import drawn
from advnets.models.autoencoders.dae import DAE, DAEConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig

N = 20_000


def build(event_shape=EVENT, seed=0, **settings):
    settings = {"hidden": 4, "precision": "float32"} | settings
    return DAE.from_config(DAEConfig(**settings), problem(event_shape), seed=seed)


def test_it_tells_the_whole_example_from_a_spoilt_one(rng):
    own = build(corruption="masking", level=1.0)  # nothing is left
    x = torch.rand(7, *EVENT, generator=rng)
    told = own.objective(x, rng=rng)["reconstruction"]
    coder = own.coder
    torch.testing.assert_close(told, coder.cost(x, coder.encode(torch.zeros_like(x))))


@pytest.mark.parametrize("kind", ["masking", "salt-and-pepper", "gaussian"])
def test_each_step_spoils_anew(kind, rng):
    own = build(corruption=kind, level=0.5)
    x = torch.rand(7, *EVENT, generator=rng)
    a, b = (own.objective(x, rng=rng)["reconstruction"].item() for _ in range(2))
    assert a != b


def exact_move(own, means, level):
    """The law of the next state from these means, over all x and all that becomes of them."""
    law = {}
    for x in itertools.product((0.0, 1.0), repeat=2):
        for spoilt in itertools.product((0.0, 1.0), repeat=2):
            p = 1.0
            for m, v, w in zip(means, x, spoilt, strict=True):
                p *= m if v else 1 - m
                p *= level / 2 + (1 - level) * (v == w)
            law[spoilt] = law.get(spoilt, 0.0) + p
    states = {s: own.reconstruct(torch.tensor([s])).flatten() for s in law}
    return [(p, states[s]) for s, p in law.items()]


def test_a_move_has_the_law_of_drawing_spoiling_and_reconstructing(rng):
    own = build((2,), level=0.3)
    means = [0.2, 0.9]
    after = own.kernel().step(torch.tensor([means]).expand(N, 2), rng=rng)
    law = exact_move(own, means, 0.3)
    assert sum(p for p, _ in law) == pytest.approx(1.0)
    for p, state in law:
        found = torch.isclose(after, state, atol=1e-6).all(dim=1).double().mean().item()
        assert abs(found - p) <= 4 * (p * (1 - p) / N) ** 0.5


def test_under_the_squared_error_x_is_gaussian_about_its_mean(rng):
    own = build((1,), loss="squared-error", deviation=0.4, corruption="gaussian", level=0.3)
    noise = own.kernel()._x(torch.full((N, 1), 2.0), rng) - 2.0
    assert abs(noise.mean().item()) <= 4 * 0.4 / N**0.5
    assert noise.std().item() == pytest.approx(0.4, rel=4 / (2 * N) ** 0.5)
    assert own.kernel().step(torch.zeros(3, 1), rng=rng).shape == (3, 1)


def test_its_chain_visits_what_it_was_trained_on_and_little_else(rng):
    patterns = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).float().view(2, *EVENT)
    rule = OptimizerConfig(lr=0.3, momentum=0.5)
    chain = ChainConfig(chains=50, burn_in=20, thin=1)
    own = build(hidden=8, level=0.5, optimizer=rule, chain=chain)
    x = patterns.repeat(16, 1, 1)
    for _ in range(300):
        own.step((Batch(x),), rng=rng)
    near = (own.samplers()["chain"].sample(1000, seed=0)[:, None] - patterns).abs().amax(
        dim=(2, 3)
    ) < 0.5
    assert near.any(dim=1).double().mean() > 0.8
    assert (near.double().mean(dim=0) > 0.25).all()  # both, though each chain begins at noise


def test_binary_values_are_drawn_from_the_means(rng):
    x = drawn(torch.full((N,), 0.3), rng=rng)
    assert set(x.tolist()) == {0.0, 1.0}
    assert abs(x.mean().item() - 0.3) <= 4 * (0.21 / N) ** 0.5
    chain = ChainConfig(chains=3, burn_in=0, thin=1, shown="binary")
    assert set(build(chain=chain).samplers()["chain"].sample(9, seed=0).unique().tolist()) <= {
        0.0,
        1.0,
    }


def test_a_chain_can_begin_at_the_first_examples_seen(rng):
    chain = ChainConfig(chains=5, burn_in=0, thin=1, init="data")
    own = build(chain=chain)
    first, second, third = (torch.rand(3, *EVENT, generator=rng) for _ in range(3))
    own.step((Batch(first),), rng=rng)
    seen = own.samplers()["chain"].sample(5, seed=0)
    assert torch.equal(seen, first[[0, 1, 2, 0, 1]])
    for x in (second, third):
        own.step((Batch(x),), rng=rng)
    seen = own.samplers()["chain"].sample(5, seed=0)
    assert torch.equal(seen, torch.cat([first, second])[:5])
    again = build(chain=chain, seed=1)
    again.load_state(own.state())
    assert torch.equal(
        again.samplers()["chain"].sample(12, seed=0), own.samplers()["chain"].sample(12, seed=0)
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"corruption": "pepper"}, "Unknown corruption 'pepper'"),
        ({"level": 0.0}, "'level' must be above 0 and at most 1, got 0"),
        ({"level": 1.5}, "'level' must be above 0 and at most 1, got 1.5"),
        ({"corruption": "gaussian", "level": -1.0}, "'level' must be a number above 0, got -1"),
        ({"deviation": -0.1}, "'deviation' must be a number that is at least 0, got -0.1"),
        (
            {"loss": "squared-error", "chain": ChainConfig(shown="binary")},
            "'shown' must be 'means' with the squared error, which has no binary units, got 'binary'",
        ),
    ],
)
def test_settings_outside_their_limits_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        DAEConfig(**settings)

"""The deep GSN: where its noise is, its updates against loops written out, its chains."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from advnets.base.protocols import Batch, Problem
from advnets.models.gsn import (
    AUTHORS_RULE,
    GSN,
    GSNChain,
    GSNConfig,
    Layers,
    Noise,
)
from advnets.optim.momentum import Momentum
from advnets.sampling.chains import ChainConfig, MarkovChain

D = 12


def layers(hidden=(9, 7), seed=0, **settings):
    config = GSNConfig(hidden=hidden, **settings)
    return Layers(config, D, rng=torch.Generator().manual_seed(seed))


def problem(event_shape=(D,), **settings):
    given = {"low": 0.0, "high": 1.0, "mean": torch.full(event_shape, 0.5)}
    given |= {"batches_per_epoch": 5, "steps": 100}
    return Problem(event_shape=event_shape, **given | settings)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def close_to_mean(draws, mean):
    """Whether independent draws have this mean, within 4 standard errors."""
    error = draws.std() / math.sqrt(draws.numel())
    return abs(draws.mean() - mean) < 4 * error


# Noise


class Ears:
    """Hears what every layer reads of its neighbours, and what goes into f and comes out."""

    def __init__(self, network):
        self.reads, self.acts = [], []
        affine, f = network.affine, network.f

        def listened(i, h, n):
            a = affine(i, h, n)
            below = h[i - 1] if i > 0 else None
            self.reads.append((i, below, h[i + 1] if i < network.K else None, a))
            return a

        def activated(a):
            self.acts.append((a, f(a)))
            return self.acts[-1][1]

        network.affine, network.f = listened, activated

    def of(self, i):
        return [read[1:] for read in self.reads if read[0] == i]


@torch.no_grad()
def heard(n=4000, updates=3, **settings):
    network = layers(**settings)
    ears = Ears(network)
    x = torch.rand(n, D, generator=generator(1))
    logits = network.walk(x, updates, Noise.of(generator(2)))
    return ears, x, logits


def test_layers_are_updated_odd_ones_first_from_their_current_neighbours():
    ears, _, logits = heard(hidden=(9, 8, 7))
    assert [i for i, *_ in ears.reads] == [1, 3, 0, 2, 1, 3, 0, 2, 1, 3, 0]
    assert len(logits) == 3
    assert ears.of(1)[0][1] is None and ears.of(3)[0][0] is None  # hidden layers begin at 0
    assert all(torch.equal(a, b[2]) for a, b in zip(logits, ears.of(0), strict=True))


def test_the_first_hidden_layer_has_no_noise_of_its_own():
    ears, *_ = heard()
    h1 = ears.acts[::2]  # acts go h1, h2, h1, h2, h1
    for (into, out), (_, _, a), (_, above, _) in zip(h1, ears.of(1), ears.of(0), strict=True):
        assert torch.equal(into, a)  # none before f
        assert torch.equal(above, out)  # none after: x reads it as it is ...
    for (_, out), (below, _, _) in zip(h1, ears.of(2), strict=False):
        assert torch.equal(below, out)  # ... and so does h2


def test_the_second_hidden_layer_has_noise_of_deviation_2_before_and_after_f():
    ears, *_ = heard()
    before = [into - a for (into, _), (_, _, a) in zip(ears.acts[1::2], ears.of(2), strict=True)]
    after = [
        above - out for (_, out), (_, above, _) in zip(ears.acts[1::2], ears.of(1)[1:], strict=True)
    ]
    noises = [*before, *after]
    for noise in noises:
        assert close_to_mean(noise, 0) and close_to_mean(noise.square(), 4)
        assert close_to_mean(noise**4, 3 * 4**2)  # a Gaussian's
    for i, a in enumerate(noises):
        assert all(close_to_mean(a * b, 0) for b in noises[:i])  # drawn anew each time


def test_noise_on_the_first_hidden_layer_is_an_option():
    ears, *_ = heard(noisy_h1=True)
    noise = ears.acts[0][0] - ears.of(1)[0][2]
    assert close_to_mean(noise.square(), 4)


def test_the_first_layer_reads_a_corrupted_x_then_corrupted_binary_draws_from_p():
    ears, x, logits = heard()
    first, *later = [below for below, _, _ in ears.of(1)]
    kept = first == x
    assert close_to_mean(kept.double(), 0.6)
    assert close_to_mean(first[~kept], 0.5) and set(first[~kept].unique().tolist()) == {0, 1}
    for seen, a in zip(later, logits, strict=False):
        assert set(seen.unique().tolist()) == {0, 1}
        assert close_to_mean(seen - (0.6 * a.sigmoid() + 0.2), 0)


def test_the_draw_from_p_comes_before_the_salt_and_pepper():
    ears, _, logits = heard(salt_and_pepper=0.0)
    for (seen, _, _), a in zip(ears.of(1)[1:], logits, strict=False):
        assert set(seen.unique().tolist()) == {0, 1}
        assert close_to_mean(seen - a.sigmoid(), 0)


# Updates


def written_out(network, x, updates, rng):
    """The reconstructions by plain sums over all neighbours, zeros where there is nothing yet."""
    c, n = network.config, len(x)
    W, b, K = list(network.weights), list(network.biases), network.K

    def corrupt(x):
        u = torch.rand(x.shape, generator=rng)
        x = torch.where(u < c.salt_and_pepper, torch.zeros_like(x), x)
        return torch.where(u < c.salt_and_pepper / 2, torch.ones_like(x), x)

    def blur(a, i):
        noisy = i > 1 or c.noisy_h1
        return a + c.hidden_noise * torch.randn(a.shape, generator=rng) if noisy else a

    def update(i):
        a = b[i].repeat(n, 1)
        if i > 0:
            a = a + h[i - 1] @ W[i - 1]
        if i < K:
            a = a + h[i + 1] @ W[i].T
        return a if i == 0 else blur(torch.tanh(blur(a, i)), i)

    h = [corrupt(x), *[torch.zeros(n, len(b[i])) for i in range(1, K + 1)]]
    seen = []
    for _ in range(updates):
        for i in range(1, K + 1, 2):
            h[i] = update(i)
        seen.append(update(0))
        p = seen[-1].sigmoid().detach()
        h[0] = corrupt((torch.rand(p.shape, generator=rng) < p).float())
        for i in range(2, K + 1, 2):
            h[i] = update(i)
    return seen


@pytest.mark.parametrize("hidden", [(9,), (9, 7), (9, 8, 7)])
@pytest.mark.parametrize("noisy_h1", [False, True])
def test_walkback_equals_the_updates_written_out(hidden, noisy_h1, rng):
    network = layers(hidden, noisy_h1=noisy_h1)
    x = torch.rand(6, D, generator=rng)
    ours = network.walk(x, 4, Noise.of(generator(3)))
    slow = written_out(network, x, 4, generator(3))
    torch.testing.assert_close(torch.stack(ours), torch.stack(slow))


def test_the_cost_is_the_authors_and_its_gradient_passes_through_h2(rng):
    model = GSN.from_config(GSNConfig(hidden=(9, 7)), problem(), seed=0)
    x = torch.rand(6, D, generator=rng)
    info = model.objective(x, rng=generator(3))
    walk = written_out(model.layers, x, 4, generator(3))
    cost = sum(F.binary_cross_entropy(a.sigmoid(), x) for a in walk)
    torch.testing.assert_close(info["cost"], cost)
    for ours, slow in zip(
        torch.autograd.grad(info["cost"], list(model.layers.parameters())),
        torch.autograd.grad(cost, list(model.layers.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(ours, slow)
    per_pixel = F.binary_cross_entropy(walk[-1].sigmoid(), x)
    torch.testing.assert_close(info["last"], D * per_pixel)


def test_weights_start_in_glorot_s_range_and_are_tied():
    network = layers(hidden=(300, 200))
    bound = math.sqrt(6 / (300 + 200))
    W = network.weights[1]
    assert W.abs().max() <= bound and close_to_mean(W.detach().square(), bound**2 / 3)
    assert all(not b.any() for b in network.biases)
    assert sum(p.numel() for p in network.parameters()) == D * 300 + 300 * 200 + D + 300 + 200


def test_our_momentum_is_the_authors_averaging_form():
    m, lr, decay = 0.5, 0.25, 0.995 ** (1 / 500)
    g = torch.randn(50, 3, dtype=torch.float64, generator=generator())
    theta, v = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    path = 0.0
    for t in range(50):
        v = m * v + (1 - m) * g[t]
        theta = theta - lr * decay**t * v
        path += (lr * v).abs().max().item()
    for momentum, tolerance in [(m * decay, 1e-12), (m, 1e-5)]:  # exactly; and as we take it
        p = torch.zeros(3, dtype=torch.float64)
        rate = torch.tensor(AUTHORS_RULE.lr, dtype=torch.float64)
        rule = Momentum([p], rate, momentum)
        for t in range(50):
            rate.fill_(AUTHORS_RULE.lr / AUTHORS_RULE.lr_decay**t)
            p.grad = g[t]
            rule.step()
        torch.testing.assert_close(p, theta, rtol=0, atol=tolerance * path)


# Chains


@pytest.mark.parametrize("hidden", [(9,), (9, 7), (9, 8, 7)])
def test_a_chain_is_walkback_run_on(hidden, rng):
    network, x = layers(hidden), torch.rand(6, D, generator=rng)
    kernel = GSNChain(network, (D,), start=x)
    noise, shown = generator(3), []
    state = kernel.init(6, rng=noise)
    for _ in range(5):
        shown.append(kernel.observe(state, rng=generator()))
        state = kernel.step(state, rng=noise)
    with torch.no_grad():
        walk = network.walk(x, 5, Noise.of(generator(3)))
    torch.testing.assert_close(torch.stack(shown), torch.stack(walk).sigmoid())


def test_the_published_chain_is_one_of_consecutive_steps_from_a_training_example(rng):
    model = GSN.from_config(GSNConfig(hidden=(9, 7)), problem(), seed=0)
    x = torch.rand(6, D, generator=rng)
    model.step((Batch(x),), rng=rng)
    model.step((Batch(torch.rand(6, D, generator=rng)),), rng=rng)
    chain = next(iter(model.samplers().values()))
    assert (chain.chains, chain.burn_in, chain.thin) == (1, 0, 1)
    assert torch.equal(chain.kernel.start[:6], x)
    assert list(model.samplers()) == ["published", "burnt-in"]
    assert chain.sample(5, seed=0).shape == (5, D)


def test_chains_from_noise_begin_at_even_binary_pixels():
    network = layers()
    ears = Ears(network)
    GSNChain(network, (D,), start=None).init(4000, rng=generator())
    (x, _, _) = ears.of(1)[0]
    assert set(x.unique().tolist()) == {0, 1} and close_to_mean(x, 0.5)


def test_binary_states_are_drawn_from_the_means():
    config = ChainConfig(chains=4000, burn_in=3, shown="binary")
    model = GSN.from_config(GSNConfig(hidden=(9, 7), burnt_in=config), problem(), seed=0)
    binary = model.samplers()["burnt-in"].sample(4000, seed=1)
    means = MarkovChain(GSNChain(model.layers, (D,), start=None), chains=4000, burn_in=3)
    assert set(binary.unique().tolist()) == {0, 1}
    assert close_to_mean(binary - means.sample(4000, seed=1), 0)


def test_rectifiers_run_away_in_the_feedback_loop_and_tanh_does_not():
    """With W_2 W_2^T of gain above 1, h_1 and h_2 raise each other without end."""
    for activation in ("tanh", "rectifier"):
        model = GSN.from_config(GSNConfig(hidden=(9, 7), activation=activation), problem(), seed=0)
        with torch.no_grad():
            model.layers.weights[1].abs_().mul_(3)
        chain = model.samplers()["burnt-in"]
        if activation == "tanh":
            assert chain.sample(100, seed=0).isfinite().all()
        else:
            words = r"The chain's state reaches \d\S+ at step \d+ \(bound 1e\+06\): the feedback"
            with pytest.raises(FloatingPointError, match=words):
                chain.sample(100, seed=0)


def test_it_learns_two_patterns_and_its_chain_visits_both():
    patterns = torch.tensor([[1.0] * 6 + [0.0] * 6, [0.0] * 6 + [1.0] * 6])
    chains = ChainConfig(chains=50, burn_in=50, thin=5)
    rule = replace(AUTHORS_RULE, lr=0.5, anneal="cosine")
    config = GSNConfig(hidden=(30, 30), optimizer=rule, hidden_noise=1.0, burnt_in=chains)
    model = GSN.from_config(config, problem(steps=300), seed=0)
    rng = generator()
    x = patterns[torch.randint(2, (300, 50), generator=rng)]
    costs = [model.step((Batch(rows),), rng=rng)["first"].item() for rows in x]
    assert sum(costs[-20:]) < 0.5 * sum(costs[:20])
    samples = model.samplers()["burnt-in"].sample(500, seed=0)
    nearest = torch.cdist(samples, patterns).min(dim=1)
    assert nearest.values.median() < 0.5
    assert 0.2 < nearest.indices.double().mean() < 0.8


# What is refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": ()}, "'hidden' must be at least one layer, got none"),
        ({"hidden": (3, 0)}, "'hidden' must be a number that is at least 1, got 0"),
        ({"salt_and_pepper": 1.2}, "'salt_and_pepper' must be from 0 to 1, got 1.2"),
        ({"hidden_noise": -1.0}, "'hidden_noise' must be a number that is at least 0, got -1"),
        ({"walkback": 0}, "'walkback' must be a number that is at least 1, got 0"),
        ({"activation": "relu"}, "Unknown activation 'relu'. Valid: tanh, rectifier."),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        GSNConfig(**settings)


def test_data_outside_the_unit_interval_is_refused():
    with pytest.raises(ValueError, match=r"'data' must"):
        GSN.from_config(GSNConfig(hidden=(3,)), problem(low=-1.0), seed=0)

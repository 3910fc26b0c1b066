"""Sums over every state, and what they say of a small Boltzmann machine and its learning."""

import re

import pytest
import torch

from advnets.base.protocols import Batch, Problem
from advnets.models.energy.energy import Energy
from advnets.models.energy.rbm import RBM, LearningConfig, RBMConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.theory import enumeration


def machine(n_v, n_h, *, seed=0, stdev=0.7):
    rng = torch.Generator().manual_seed(seed)
    e = Energy(n_v, n_h, stdev=stdev, rng=rng).double()
    for bias in (e.b, e.c):
        bias.data.copy_(torch.randn(bias.shape, generator=rng) / 2)
    return e.requires_grad_(False)


def joint(e):
    return lambda v, h: -e.energy(v, h)


def every(n):
    return torch.cat(list(enumeration.states(n))).double()


def log_likelihood(e, v):
    return (-e.free_energy(v) - enumeration.log_sum(lambda s: -e.free_energy(s), len(e.b))).mean()


def test_all_states_are_all_of_them_once():
    numbers = torch.cat(list(enumeration.states(16))) @ 2 ** torch.arange(16)
    assert torch.equal(numbers.sort().values, torch.arange(2**16))


@pytest.mark.parametrize("seed", range(5))
def test_log_Z_is_the_sum_over_either_side(seed):
    e = machine(12, 8, seed=seed)
    over_v = enumeration.log_sum(lambda v: -e.free_energy(v), 12)
    over_h = enumeration.log_sum(e.log_sum_visible, 8)
    assert abs(over_v - over_h) < 1e-10
    both = enumeration.log_marginal(joint(e), every(12)[:50], 8)
    torch.testing.assert_close(both, -e.free_energy(every(12)[:50]), rtol=0, atol=1e-10)


def test_the_posterior_is_bayes_rule():
    e = machine(5, 4)
    v, log_p = every(5), enumeration.posterior(joint(e), every(5), 4)
    assert log_p.shape == (32, 16)
    torch.testing.assert_close(log_p.exp() @ every(4), e.hidden(v).sigmoid())
    torch.testing.assert_close(log_p.exp().sum(dim=1), torch.ones(32, dtype=torch.float64))


def test_exact_samples_have_the_models_frequencies(rng):
    e = machine(4, 3)
    log_p = enumeration.distribution(lambda v: -e.free_energy(v), 4)
    v = enumeration.draw(log_p, 4, 40_000, rng=rng)
    numbers = (v @ torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)).long()
    p, found = log_p.exp(), numbers.bincount(minlength=16) / 40_000
    assert ((found - p).abs() < 4 * (p * (1 - p) / 40_000).sqrt()).all()


@pytest.mark.parametrize("n_v", [3, 6])
def test_gibbs_leaves_the_enumerated_law_invariant(n_v):
    """p T = p for the kernel v -> h -> v' written out as a table."""
    e = machine(n_v, 4)
    v, h = every(n_v), every(4)
    to_h = enumeration.posterior(joint(e), v, 4).exp()
    to_v = enumeration.posterior(lambda h, v: -e.energy(v, h), h, n_v).exp()
    p = enumeration.distribution(lambda s: -e.free_energy(s), n_v).exp()
    assert (p @ to_h @ to_v - p).abs().max() < 1e-12
    for given, means, table in ((v, e.hidden(v).sigmoid(), to_h), (h, e.visible(h), to_v)):
        torch.testing.assert_close(table @ every(means.shape[1]), means)  # what `gibbs` draws from
        assert len(given) == len(table)


def exact_gradient(e, x):
    """Of minus the log-likelihood, with the model's term summed over all states of v."""
    v = every(len(e.b))
    p = enumeration.distribution(lambda s: -e.free_energy(s), len(e.b)).exp()
    states, along = torch.cat((x, v)), torch.cat((torch.full_like(x[:, 0], 1 / len(x)), -p))
    return e.gradient(states, e.hidden(states), along)


def test_the_exact_gradient_is_that_of_the_exact_log_likelihood(rng):
    e, step = machine(6, 3), 1e-5
    x = torch.rand(7, 6, generator=rng).round().double()
    for found, parameter in zip(exact_gradient(e, x), (e.W, e.b, e.c), strict=True):
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            was = flat[i].item()
            flat[i] = was + step
            above = log_likelihood(e, x)
            flat[i] = was - step
            slope = -(above - log_likelihood(e, x)).item() / (2 * step)
            flat[i] = was
            assert found.view(-1)[i] == pytest.approx(slope, abs=1e-8)


def test_stochastic_maximum_likelihood_at_rate_0_averages_to_the_exact_gradient(rng):
    """Within 4 standard errors, by the means of 30 batches of sweeps."""
    still = OptimizerConfig(lr=1e-30, min_lr=0.0, momentum=0.0, final_momentum=0.0)
    config = RBMConfig(hidden=3, learning=LearningConfig(particles=20, optimizer=still))
    problem = Problem(
        event_shape=(5,), low=0, high=1, mean=torch.full((5,), 0.5), batches_per_epoch=1, steps=9
    )
    e, x = machine(5, 3), torch.rand(4, 5, generator=rng).round()
    rbm = RBM(e.float().requires_grad_(True), config, problem, seed=0)
    for _ in range(50):
        rbm.step((Batch(x),), rng=rng)
    means = []
    for _ in range(30):
        rows = [rbm.gradient(x, 1.0, rng=rng)[1] for _ in range(20)]
        flat = [torch.cat([g.flatten() for g in row]).double() for row in rows]
        means.append(torch.stack(flat).mean(dim=0))
    found = torch.stack(means)
    exact = torch.cat([g.detach().flatten() for g in exact_gradient(e.double(), x.double())])
    # No weight decay: what is averaged is the gradient of minus the log-likelihood.
    assert ((found.mean(dim=0) - exact).abs() < 4 * found.std(dim=0) / 30**0.5 + 1e-6).all()


def test_too_many_states_are_refused_with_their_number():
    words = (
        "'units' must be at most 25 to be summed over all states (advnets.evaluation.ais "
        "estimates), got 26, which have 2^26 = 67,108,864 states."
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        enumeration.states(26)
    with pytest.raises(ValueError, match=re.escape("got 784, which have 2^784 states")):
        enumeration.log_sum(lambda s: s.sum(dim=1), 784)
    with pytest.raises(ValueError, match="'units' must be a number that is at least 1, got 0"):
        enumeration.states(0)

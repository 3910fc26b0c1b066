"""Annealed importance sampling against sums over every state."""

import math
import re

import pytest
import torch

from advnets.base.protocols import HasAnnealing, Problem
from advnets.evaluation import ais
from advnets.models.energy.annealing import RBMPath, base_rates
from advnets.models.energy.energy import Energy, GaussianEnergy
from advnets.models.energy.rbm import RBM, RBMConfig
from advnets.theory import enumeration


def machine(n_v=20, n_h=8, *, seed=0, stdev=0.7, kind=Energy, **settings):
    rng = torch.Generator().manual_seed(seed)
    e = kind(n_v, n_h, stdev=stdev, rng=rng, **settings).double()
    for bias in (e.b, e.c):
        bias.data.copy_(torch.randn(bias.shape, generator=rng) / 2)
    return e.requires_grad_(False)


def exact_samples(e, n, *, rng):
    """Of p(v), by the table of h."""
    log_p = enumeration.distribution(e.log_sum_visible, len(e.c))
    means = e.visible(enumeration.draw(log_p, len(e.c), n, rng=rng))
    return e.draw_visible(means, torch.rand(means.shape, generator=rng, dtype=torch.float64))


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_below_4_standard_errors(seed, rng):
    e = machine(seed=seed)
    path = RBMPath(e, torch.zeros(20) if seed % 2 else None)
    found = ais.run(path, ais.linear(200), 100, rng=rng)
    assert found.standard_error < 0.06
    assert abs(found.log_Z - e.log_Z()) < 4 * found.standard_error
    assert 50 < found.effective <= 100


def test_the_mean_weight_is_Z_over_that_of_the_base_at_any_number_of_temperatures(rng):
    """E[w / Z] = 1 within 4 standard errors where the weights are wide, too."""
    e = machine(8, 4, stdev=0.5)
    for betas in ([0, 1], [0, 0.3, 1], ais.sigmoid(8)):
        path = RBMPath(e, torch.zeros(8))
        found = ais.run(path, betas, 20_000, rng=rng)
        ratio = (found.log_weights + found.base - e.log_Z()).exp()
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(20_000)


def test_the_way_down_has_the_inverse_mean(rng):
    e = machine(8, 4, stdev=0.5)
    path = RBMPath(e, torch.zeros(8))
    found = ais.run_down(path, [0, 0.3, 1], exact_samples(e, 20_000, rng=rng), rng=rng)
    ratio = (found.log_weights - found.base + e.log_Z()).exp()
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(20_000)


def test_weights_are_exactly_1_where_nothing_is_between_base_and_target(rng):
    e = Energy(20, 8, stdev=0.0).double()
    e.b.data.copy_(torch.randn(20, generator=rng))
    found = ais.run(RBMPath(e), ais.linear(50), 10, rng=rng)
    assert torch.equal(found.log_weights, torch.zeros(10, dtype=torch.float64))
    assert found.effective == pytest.approx(10) and found.standard_error == 0
    assert found.log_Z.item() == pytest.approx(e.log_Z().item(), abs=1e-12)


def test_the_sandwich_holds_in_20_of_20_seeds():
    """By the means of the log weights; the tighter estimates hold within 4 standard errors."""
    held = 0
    for seed in range(20):
        rng = torch.Generator().manual_seed(seed)
        e = machine(seed=seed)
        found = ais.sandwich(RBMPath(e), ais.linear(20), exact_samples(e, 100, rng=rng), rng=rng)
        exact = e.log_Z()
        held += bool(found.up.mean_bound <= exact <= found.down.mean_bound)
        assert found.up.log_Z - exact < 4 * found.up.standard_error
        assert exact - found.down.log_Z < 4 * found.down.standard_error
        assert found.down.mean_bound - found.up.mean_bound >= found.width
    assert held == 20


def test_gaussian_units(rng):
    e = machine(4, 3, kind=GaussianEnergy, sigma=0.6)
    found = ais.run(RBMPath(e), ais.linear(100), 400, rng=rng)
    assert abs(found.log_Z - e.log_Z()) < 4 * found.standard_error < 0.2


def test_schedules_rise_from_0_to_1():
    for betas in (ais.linear(7), ais.sigmoid(50), ais.published()):
        assert ais.rising(betas) == betas
    steps = torch.tensor(ais.sigmoid(50)).diff()
    assert steps[0] < steps[25] / 3 and steps[-1] < steps[25] / 3
    assert len(ais.published()) == 14_501
    assert ais.published()[500] == 0.5 and ais.published()[4_500] == 0.9


def test_base_rates_are_the_published_pseudo_counts():
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 1.0]]).repeat(50, 1)
    p = (x.sum(dim=0) + 5 * 2) / (200 + 5 * 2)  # two minibatches of 100
    torch.testing.assert_close(base_rates(x.mean(dim=0)).sigmoid().float(), p)


def learner(**settings):
    problem = Problem(
        event_shape=(2, 3),
        low=0,
        high=1,
        mean=torch.full((2, 3), 0.5),
        batches_per_epoch=1,
        steps=9,
    )
    return RBM.from_config(RBMConfig(hidden=4, **settings), problem, seed=0)


@pytest.mark.parametrize("settings", [{}, {"visible": "gaussian", "sigma": 0.5}])
def test_a_machines_log_p_is_its_numerator_less_log_Z(settings, rng):
    rbm = learner(**settings)
    rbm.network.W.data.normal_(generator=rng)
    x = torch.rand(5, 2, 3, generator=rng).round()
    assert isinstance(rbm, HasAnnealing)
    found = rbm.annealed(x, x.mean(dim=0), rng=rng)
    weights = ais.run(found.path, ais.linear(300), 200, rng=rng)
    error = found.log_numerator - weights.log_Z - rbm.log_density(x)
    assert error.abs().max() < 4 * weights.standard_error + 1e-5
    assert rbm.network.W.dtype == torch.float32


@pytest.mark.parametrize(
    ("betas", "got"),
    [
        ([0.0], "got 1"),
        ([0.1, 1.0], "got from 0.1 to 1"),
        ([0.0, 0.9], "got from 0 to 0.9"),
        ([0.0, 0.5, 0.5, 1.0], "got 0.5 after 0.5"),
        ([0.0, math.nan, 1.0], "got nan after 0"),
    ],
)
def test_temperatures_that_do_not_rise_from_0_to_1_are_refused(betas, got, rng):
    words = f"'temperatures' must be at least 2 numbers that rise from 0 to 1, {got}."
    with pytest.raises(ValueError, match=re.escape(words)):
        ais.run(RBMPath(machine(3, 2)), betas, 5, rng=rng)


def test_other_bad_input_is_refused(rng):
    path = RBMPath(machine(3, 2))
    with pytest.raises(ValueError, match="'chains' must be a number that is at least 1, got 0"):
        ais.run(path, ais.linear(3), 0, rng=rng)
    with pytest.raises(ValueError, match="'chains' must be a number that is at least 1, got 0"):
        ais.run_down(path, ais.linear(3), torch.zeros(0, 3), rng=rng)
    for schedule in (ais.linear, ais.sigmoid):
        with pytest.raises(ValueError, match="'temperatures' must be a number that is at least 1"):
            schedule(0)
    path.energy.c.data.fill_(math.nan)
    words = "'log_weights' must be numbers in nats, got nan at temperature 0.5"
    with pytest.raises(ValueError, match=words):
        ais.run(path, ais.linear(2), 5, rng=rng)
    x = torch.full((2, 2, 3), 0.3)
    with pytest.raises(ValueError, match="'x' must be 0 or 1 everywhere"):
        learner(binarise="refuse").annealed(x, x[0], rng=rng)

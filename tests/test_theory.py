"""Section 4 as laws, over random tables with zeros and tiny probabilities, and on grids."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from advnets.theory import distributions as tables_of
from advnets.theory import divergences, optimum
from advnets.theory.distributions import Density
from laws import ANY, law, table, tables

LOG_4 = math.log(4)
LOGITS = st.floats(-800, 800, allow_subnormal=False) | st.sampled_from([-math.inf, math.inf])


def close(a, b, within=1e-10):
    return abs(float(a) - float(b)) <= within or float(a) == float(b)


@law
@given(tables())
def test_the_optimal_D_is_the_share_of_the_data_and_free_where_nothing_is(pq):
    p, q = pq
    for a, b, D in zip(p.tolist(), q.tolist(), optimum.D_star(p, q).tolist(), strict=True):
        if a == b == 0:
            assert math.isnan(D)
        else:
            assert close(a / (a + b), D, 1e-15)


@law
@given(tables())
def test_a_search_that_only_compares_values_finds_the_formula(pq):
    found, formula = optimum.D_by_search(*pq), optimum.D_star(*pq)
    assert torch.equal(found.isnan(), formula.isnan())
    assert (found - formula).nan_to_num().abs().max() <= 1e-8


@law
@given(tables(), st.data())
def test_no_D_has_a_value_above_the_criterion_and_the_optimal_one_attains_it(pq, data):
    n, C = len(pq[0]), divergences.C(*pq)
    a = torch.tensor(data.draw(st.lists(LOGITS, min_size=n, max_size=n)), dtype=torch.float64)
    assert optimum.V(a, *pq) <= C + 1e-12
    assert close(optimum.V(optimum.D_star_logit(*pq), *pq), C)


@law
@given(tables(), st.data())
def test_the_value_is_the_written_out_sum(pq, data):
    p, q = pq
    a = data.draw(
        st.lists(st.floats(-30, 30, allow_subnormal=False), min_size=len(p), max_size=len(p))
    )
    D = [1 / (1 + math.exp(-v)) for v in a]
    not_D = [1 / (1 + math.exp(v)) for v in a]
    terms = zip(p.tolist(), q.tolist(), D, not_D, strict=True)
    expected = math.fsum(w * math.log(y) + v * math.log(x) for w, v, y, x in terms)
    assert close(optimum.V(torch.tensor(a, dtype=torch.float64), p, q), expected)


def test_a_D_that_is_sure_and_wrong_has_the_value_of_minus_infinity():
    p, q = table(1.0, 0.0), table(0.0, 1.0)
    right = table(math.inf, -math.inf)
    assert optimum.V(right, p, q) == 0
    assert optimum.V(-right, p, q) == -math.inf


@law
@given(tables(), st.data())
def test_half_the_value_is_the_mean_log_likelihood_of_where_x_comes_from(pq, data):
    n = len(pq[0])
    logits = st.lists(st.floats(-30, 30, allow_subnormal=False), min_size=n, max_size=n)
    a = torch.tensor(data.draw(logits), dtype=torch.float64)
    expected = 0.0
    for Y, p in ((1, pq[0]), (0, pq[1])):
        for x in range(n):
            P_of_Y = torch.sigmoid(a[x] if Y else -a[x]).item()
            expected += 0.5 * p[x].item() * math.log(P_of_Y)
    likelihood = divergences.conditional_log_likelihood(a, *pq)
    assert close(likelihood, expected)
    assert close(likelihood, optimum.V(a, *pq) / 2)
    assert close(divergences.labelled(*pq).sum(), 1)


@law
@given(tables())
def test_the_optimal_D_is_the_posterior_and_its_likelihood_half_the_criterion(pq):
    D, posterior = optimum.D_star(*pq), divergences.posterior(*pq)
    assert torch.equal(D.isnan(), posterior.isnan())
    assert (D - posterior).nan_to_num().abs().max() <= 1e-10
    best = divergences.conditional_log_likelihood(optimum.D_star_logit(*pq), *pq)
    assert close(best, divergences.C(*pq) / 2)


@law
@given(tables())
def test_theorem_1(pq):
    p, q = pq
    C, JSD = divergences.C(p, q), divergences.JSD(p, q)
    assert close(C, -LOG_4 + 2 * JSD)
    assert -LOG_4 - 1e-12 <= C <= 1e-12
    assert close(divergences.C(p, p), -LOG_4, 1e-12)
    TV = (p - q).abs().sum() / 2  # Pinsker: least at p_g = p_data alone
    assert C + LOG_4 >= TV**2 - 1e-12


@law
@given(tables())
def test_the_divergences_are_those_of_scipy_and_symmetric_where_they_should_be(pq):
    p, q = (mass.numpy() for mass in pq)
    assert close(divergences.KL(*pq), rel_entr(p, q).sum())
    m = (p + q) / 2
    assert close(divergences.JSD(*pq), (rel_entr(p, m).sum() + rel_entr(q, m).sum()) / 2)
    assert close(divergences.JSD(*pq), divergences.JSD(*pq[::-1]))
    assert close(divergences.C(*pq), divergences.C(*pq[::-1]))


@law
@given(tables())
def test_KL_is_infinite_where_it_is_and_never_negative(pq):
    p, q = pq
    lost = bool(((p > 0) & (q == 0)).any())
    assert divergences.KL(p, q).isinf() == lost
    assert divergences.KL(p, q) >= -1e-12
    assert close(divergences.KL(p, p), 0, 1e-12)


@law
@given(tables())
def test_disjoint_supports_are_as_far_as_can_be(pq):
    nothing = torch.zeros_like(pq[0])
    p, q = torch.cat((pq[0], nothing)), torch.cat((nothing, pq[1]))
    assert divergences.C(p, q) == 0
    assert close(divergences.JSD(p, q), math.log(2), 1e-12)
    assert divergences.KL(p, q) == math.inf


@law
@given(tables(ANY, ANY, ANY), st.floats(0, 1, allow_subnormal=False))
def test_the_criterion_is_convex_in_p_g(three, t):
    p, q, other = three
    chord = (1 - t) * divergences.C(p, q) + t * divergences.C(p, other)
    assert divergences.C(p, (1 - t) * q + t * other) <= chord + 1e-12


@law
@given(tables(ANY, ANY, ANY))
def test_the_gradient_at_the_optimal_D_is_a_subgradient(three):
    p, q, at = three
    g = divergences.subgradient(p, at)
    terms = torch.where(q == at, 0.0, g * (q - at))  # an outcome neither has is not moved along
    assert divergences.C(p, q) >= divergences.C(p, at) + terms.sum() - 1e-12


def test_the_subgradient_is_the_slope_though_D_moves_too():
    p, q = table(0.5, 0.2, 0.3, 0.0), table(0.1, 0.2, 0.3, 0.4)
    way = table(0.3, -0.1, -0.4, 0.2)
    h = 1e-5
    slope = (divergences.C(p, q + h * way) - divergences.C(p, q - h * way)) / (2 * h)
    assert close((divergences.subgradient(p, q) * way).sum(), slope, 1e-8)


def test_the_subgradient_where_p_g_is_zero():
    p, q = table(0.5, 0.5, 0.0), table(1.0, 0.0, 0.0)
    assert divergences.subgradient(p, q).tolist() == [
        pytest.approx(math.log(2 / 3)),
        -math.inf,
        0.0,
    ]


@law
@given(tables())
def test_nothing_better_can_be_reached_without_the_lost_outcomes(pq):
    p, q = pq
    best = divergences.reachable(p, q)
    assert not best[q == 0].any()
    assert divergences.C(p, best) <= divergences.C(p, q) + 1e-12
    P = p[q > 0].sum().item()
    limit = (P * math.log(P) if P else 0.0) - (1 + P) * math.log1p(P)
    assert close(divergences.C(p, best), limit)


def test_over_the_chord():
    t = torch.linspace(-1, 1, 21, dtype=torch.float64)
    assert divergences.over_chord(t**2).max() == 0
    assert close(divergences.over_chord(-(t**2)).max(), 1)
    assert divergences.over_chord(3 * t + 1).abs().max() < 1e-12


def gaussian(axis, mean, s):
    return torch.exp(-(((axis - mean) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))


AXIS = torch.linspace(-15, 15, 3001, dtype=torch.float64)


def on_line(mean, s):
    return Density(values=gaussian(AXIS, mean, s), axes=(AXIS,))


def in_plane(mean, s):
    x, y = torch.linspace(-9, 9, 301).double(), torch.linspace(-10, 10, 251).double()
    return Density(values=torch.outer(gaussian(x, mean, s), gaussian(y, 0, 1.0)), axes=(x, y))


@pytest.mark.parametrize("density", [on_line, in_plane])
def test_on_a_grid_KL_is_that_of_the_densities(density):
    m, s = 0.7, 1.3
    expected = math.log(s) + (1 + m**2) / (2 * s**2) - 0.5
    assert close(divergences.KL(density(0, 1.0), density(m, s)), expected, 1e-6)


@pytest.mark.parametrize("density", [on_line, in_plane])
def test_the_identities_hold_on_grids(density):
    p, q = density(0, 1.0), density(2.0, 0.5)
    assert close(divergences.C(p, q), -LOG_4 + 2 * divergences.JSD(p, q))
    assert close(optimum.V(optimum.D_star_logit(p, q), p, q), divergences.C(p, q))
    D = p.values / (p.values + q.values)
    assert (optimum.D_star(p, q) - D).nan_to_num().abs().max() <= 1e-6  # scaled to mass 1
    assert (optimum.D_by_search(p, q) - optimum.D_star(p, q)).nan_to_num().abs().max() <= 1e-8


def test_a_grid_is_the_table_of_its_masses():
    p, q = on_line(0, 1.0), on_line(1, 2.0)
    as_tables = [tables_of.masses("p", d) for d in (p, q)]
    assert p.cell == pytest.approx(0.01)
    assert close(divergences.JSD(p, q), divergences.JSD(*as_tables), 1e-15)


def test_a_sharper_grid_of_uniform_densities_gives_the_overlap():
    x = torch.arange(0.5, 400) / 100  # cells of 0.01 on [0, 4]
    p, q = (Density(values=((a < x) & (x < a + 2)) / 2.0, axes=(x,)) for a in (0, 1))
    half = math.log(2) / 2  # half of each is where the other is nothing
    assert close(divergences.JSD(p, q), half, 1e-6)
    assert divergences.KL(p, q) == math.inf
    assert set(np.unique(optimum.D_star(p, q).numpy())) >= {0.0, 0.5, 1.0}


def test_float32_is_taken_and_answered_in_float64():
    p, q = torch.rand(50), torch.rand(50)
    C = divergences.C(p / p.sum(), q / q.sum())
    assert C.dtype == torch.float64
    assert C >= -LOG_4


def test_tables_may_have_any_shape():
    p, q = torch.rand(3, 4, 5).double(), torch.rand(3, 4, 5).double()
    p, q = p / p.sum(), q / q.sum()
    assert optimum.D_star(p, q).shape == (3, 4, 5)
    assert close(divergences.C(p, q), divergences.C(p.flatten(), q.flatten()))

"""Proposition 2 as an algorithm: where the game on a table ends, and what that takes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advnets.theory import divergences, tabular_game
from laws import ANY, FULL, law, table, tables

STEP_SIZES = st.sampled_from([1.0, 0.7, 0.3])
STEPS = 300


@law
@given(tables(ANY, FULL), STEP_SIZES)
def test_from_any_full_start_it_ends_at_p_data_and_never_rises(pq, step_size):
    p, q = pq
    course = tabular_game.descend(p, q, steps=STEPS, step_size=step_size)
    assert (course.p_g[-1] - p).abs().max() <= 1e-6
    assert course.largest_rise <= 1e-12
    assert course.C[-1] == pytest.approx(-math.log(4), abs=1e-10)


@law
@given(tables(ANY, ANY, FULL))
def test_the_criterion_is_smooth_relative_to_the_entropy_with_constant_1(three):
    p, q, at = three
    bound = (
        divergences.C(p, at)
        + (divergences.subgradient(p, at) * (q - at)).sum()
        + divergences.KL(q, at)
    )
    assert divergences.C(p, q) <= bound + 1e-10


@law
@given(tables(FULL, FULL), STEP_SIZES)
def test_its_rate_is_that_of_the_docstring(pq, step_size):
    course = tabular_game.descend(*pq, steps=40, step_size=step_size)
    bound = divergences.KL(*pq) / (step_size * torch.arange(1, 41))
    assert (course.C[1:] + math.log(4) <= bound + 1e-12).all()


@law
@given(tables(FULL, FULL))
def test_at_step_1_half_of_the_error_is_gone_each_time(pq):
    p, q = pq
    course = tabular_game.descend(p, q, steps=5)
    for t in range(6):
        assert (course.p_g[t] - (p + (q - p) / 2**t)).abs().max() <= 1e-12


def test_a_step_is_the_exponentiated_gradient_written_out():
    p, q = table(0.5, 0.3, 0.2), table(0.1, 0.1, 0.8)
    g = divergences.subgradient(p, q)
    weights = [q[x].item() * math.exp(-0.3 * g[x].item()) for x in range(3)]
    moved = tabular_game.descend(p, q, steps=1, step_size=0.3).p_g[1]
    assert moved.tolist() == pytest.approx([w / sum(weights) for w in weights])


def test_a_longer_step_than_convexity_allows_can_rise():
    p, q = table(0.9, 0.1), table(1e-6, 1 - 1e-6)
    assert tabular_game.descend(p, q, steps=50, step_size=1.0).largest_rise <= 1e-12
    assert tabular_game.descend(p, q, steps=50, step_size=2.0).largest_rise > 1e-3


@law
@given(tables(), st.integers(0, 20))
def test_what_is_lost_stays_lost(pq, steps):
    p, q = pq
    course = tabular_game.descend(p, q, steps=steps)
    assert course.p_g.shape == (steps + 1, len(p))
    assert course.C.shape == (steps + 1,)
    assert not course.p_g[:, q == 0].any()
    assert course.C[-1] >= divergences.C(p, divergences.reachable(p, q)) - 1e-12


def test_without_an_outcome_it_ends_above_minus_log_4_at_the_limit_that_is_known():
    p, q = table(0.4, 0.3, 0.2, 0.1), table(0.2, 0.8, 0.0, 0.0)
    course = tabular_game.descend(p, q, steps=100)
    assert course.p_g[-1].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert course.C[-1].item() == pytest.approx(0.7 * math.log(0.7) - 1.7 * math.log(1.7))
    assert course.C[-1] > -math.log(4) + 0.2


def test_from_a_start_that_shares_nothing_with_the_data_nothing_moves():
    p, q = table(0.5, 0.5, 0, 0), table(0, 0, 0.1, 0.9)
    course = tabular_game.descend(p, q, steps=10)
    assert (course.p_g - q).abs().max() < 1e-12
    assert not course.C.any()


P, Q = table(0.5, 0.3, 0.2), table(0.1, 0.7, 0.2)


def test_with_k_steps_of_D_it_is_algorithm_1_written_out():
    course = tabular_game.play(P, Q, k=3, steps=4, step_size=0.5, lr=0.8)
    p, q, a = P.tolist(), Q.tolist(), [0.0] * 3
    for t in range(4):
        for _ in range(3):
            D = [1 / (1 + math.exp(-v)) for v in a]
            a = [a[x] + 0.8 * (p[x] * (1 - D[x]) - q[x] * D[x]) for x in range(3)]
        not_D = [1 / (1 + math.exp(v)) for v in a]
        weights = [q[x] * not_D[x] ** -0.5 for x in range(3)]
        q = [w / sum(weights) for w in weights]
        assert course.p_g[t + 1].tolist() == pytest.approx(q)


def test_with_a_D_that_lags_the_criterion_rises_and_with_many_steps_of_D_it_does_not():
    settings = {"steps": 300, "step_size": 0.25}
    few, many = (tabular_game.play(P, Q, k=k, lr=0.05, **settings) for k in (1, 100))
    assert (few.C.diff() > 1e-6).sum() > 50
    assert (few.p_g[:, 0] > 0.6).any()  # past p_data, which has 0.5
    assert many.largest_rise <= 1e-12
    assert (many.p_g[-1] - P).abs().max() <= 1e-6


def test_the_more_steps_of_D_the_nearer_to_the_game_against_the_optimal_one():
    exact = tabular_game.descend(P, Q, steps=60, step_size=0.25)
    off = []
    for k in (1, 10, 100, 300):
        played = tabular_game.play(P, Q, k=k, steps=60, step_size=0.25)
        off.append((played.C - exact.C).abs().max().item())
    assert off == sorted(off, reverse=True)
    assert off[0] > 0.05
    assert off[-1] < 1e-6


def test_the_tables_given_are_left_alone():
    p, q = P.clone(), Q.clone()
    tabular_game.play(p, q, k=2, steps=3)
    tabular_game.descend(p, q, steps=3)
    assert torch.equal(p, P)
    assert torch.equal(q, Q)

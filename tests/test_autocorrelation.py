"""Autocorrelation times against closed forms, and against a slow and obvious sum."""

import pytest
import torch
from scipy.signal import lfilter

from advnets.evaluation.autocorrelation import autocorrelation, integrated_time, slowest


def ar1(rho, steps, chains, rng):
    """A stationary AR(1) process of variance 1, `(steps, chains, 1)`."""
    noise = torch.randn(steps, chains, generator=rng, dtype=torch.float64)
    noise[1:] *= (1 - rho**2) ** 0.5
    return torch.from_numpy(lfilter([1.0], [1.0, -rho], noise.numpy(), axis=0))[..., None]


@pytest.mark.parametrize("rho", [-0.7, -0.3, 0.0, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("chains", [1, 8])
def test_ar1_has_its_closed_form(rho, chains, rng):
    x = ar1(rho, 400_000 // chains, chains, rng)
    # Four standard errors: Sokal (1997), eq. 3.19, with a window of ten times tau.
    tau = (1 + rho) / (1 - rho)
    four = 4 * (2 * (20 * max(tau, 1) + 1) / 400_000) ** 0.5
    assert integrated_time(x).item() == pytest.approx(tau, rel=four)


def test_correlations_are_the_obvious_sums(rng):
    x = torch.randn(7, 3, 2, generator=rng)
    T, d = len(x), (x - x.mean(dim=(0, 1))).double()
    slow = torch.stack([(d[: T - t] * d[t:]).sum(dim=(0, 1)) for t in range(T)])
    torch.testing.assert_close(autocorrelation(x), slow / slow[0], atol=1e-6, rtol=1e-6)


def test_tau_is_what_the_variance_of_a_mean_says(rng):
    steps, rho = 200, 0.8
    x = ar1(rho, steps, 4000, rng)
    expected = x.mean(dim=0).var().item() * steps  # sigma = 1
    assert integrated_time(x).item() == pytest.approx(expected, rel=0.1)


def test_chains_that_stay_apart_are_worth_one_draw_each(rng):
    apart = torch.randn(1, 50, 1, generator=rng) + 1e-3 * torch.randn(40, 50, 1, generator=rng)
    assert integrated_time(apart).item() == pytest.approx(40, rel=0.03)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_function_that_never_changes_is_stuck(steps):
    assert integrated_time(torch.full((steps, 3, 1), 0.1)).item() == pytest.approx(steps)


def test_one_state_a_chain_says_nothing_of_correlation(rng):
    assert integrated_time(torch.randn(1, 100, 1, generator=rng)).item() == 1


def test_the_slowest_direction_counts(rng):
    slow, fast = ar1(0.9, 20_000, 2, rng), torch.randn(20_000, 2, 3, generator=rng)
    x = torch.cat((2 * slow, fast), dim=2)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=rng, dtype=torch.float64)).Q
    assert slowest((x.double() @ turn).view(20_000, 2, 2, 2)).item() == pytest.approx(19, rel=0.15)
    assert slowest(x @ turn, directions=1) == pytest.approx(19, rel=0.15)
    assert slowest(fast[:, :, 0]).item() == pytest.approx(1, abs=0.15)


def test_bad_input():
    with pytest.raises(ValueError, match="'x' must be of shape"):
        integrated_time(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="'directions' must be a number that is at least 1, got 0"):
        slowest(torch.zeros(4, 2, 3), directions=0)

"""The energy's closed forms against sums over every state, written out."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM

from advnets.models.energy.energy import Energy, GaussianEnergy
from advnets.theory import enumeration


def small(n_v, n_h, *, kind=Energy, stdev=1.0, **settings):
    rng = torch.Generator().manual_seed(n_v * 10 + n_h)
    made = kind(n_v, n_h, stdev=stdev, rng=rng, **settings).double()
    for bias in (made.b, made.c):
        bias.data.copy_(torch.randn(bias.shape, generator=rng))
    return made


def every(n):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)), dtype=torch.float64)


def obvious_energy(e, v, h):
    return -(e.b @ v) - e.c @ h - h @ e.W @ v


@pytest.mark.parametrize(("n_v", "n_h"), [(1, 1), (5, 3), (3, 5), (4, 4)])
def test_log_Z_is_the_sum_over_both_sides(n_v, n_h, monkeypatch):
    e = small(n_v, n_h)
    pairs = [obvious_energy(e, v, h) for v in every(n_v) for h in every(n_h)]
    brute = torch.logsumexp(-torch.stack(pairs), dim=0).item()
    assert e.log_Z().item() == pytest.approx(brute, rel=1e-12)
    monkeypatch.setattr(enumeration, "_BLOCK", 1)  # a sum of many blocks is the same sum
    assert e.log_Z().item() == pytest.approx(brute, rel=1e-12)
    assert (-e.free_energy(every(n_v))).logsumexp(dim=0).item() == pytest.approx(brute)
    assert e.log_sum_visible(every(n_h)).logsumexp(dim=0).item() == pytest.approx(brute)


def test_log_Z_of_float32_weights_is_summed_in_float64():
    e = small(12, 9)
    assert e.float().log_Z().dtype == torch.float64
    assert e.log_Z().item() == pytest.approx(e.double().log_Z().item(), rel=1e-12)
    assert e.W.dtype == torch.float64


def test_energy_and_conditionals():
    e = small(4, 3)
    for v in every(4):
        energies = torch.stack([obvious_energy(e, v, h) for h in every(3)])
        ours = e.energy(v.expand(8, 4), every(3))
        torch.testing.assert_close(ours, energies)
        p = (-energies).softmax(dim=0) @ every(3)
        torch.testing.assert_close(e.hidden(v[None]).sigmoid()[0], p)
        assert e.free_energy(v[None]).item() == pytest.approx(-(-energies).logsumexp(dim=0).item())
    for h in every(3):
        energies = torch.stack([obvious_energy(e, v, h) for v in every(4)])
        torch.testing.assert_close(e.visible(h[None])[0], (-energies).softmax(dim=0) @ every(4))


@pytest.mark.parametrize("kind", [Energy, GaussianEnergy])
def test_the_slope_is_the_gradient_of_the_free_energy(kind, rng):
    e = small(6, 4, kind=kind, **({"sigma": 0.7} if kind is GaussianEnergy else {}))
    v = torch.randn(9, 6, generator=rng, dtype=torch.float64)
    along = torch.randn(9, generator=rng, dtype=torch.float64)
    J = (along * e.free_energy(v)).sum()
    expected = torch.autograd.grad(J, [e.W, e.b, e.c])
    for ours, autograd in zip(e.gradient(v, e.hidden(v), along), expected, strict=True):
        torch.testing.assert_close(ours, autograd)


def test_gaussian_units_integrate_to_their_closed_form():
    e = small(2, 3, kind=GaussianEnergy, sigma=0.6, stdev=0.8)
    axis = torch.linspace(-9, 9, 721, dtype=torch.float64)
    v = torch.cartesian_prod(axis, axis)
    cell = 2 * math.log(18 / 720)
    for h in every(3):
        on_grid = (-e.energy(v, h.expand(len(v), 3))).logsumexp(dim=0).item() + cell
        assert e.log_sum_visible(h[None]).item() == pytest.approx(on_grid, rel=1e-9)
    assert e.log_Z().item() == pytest.approx(
        (-e.free_energy(v)).logsumexp(dim=0).item() + cell, rel=1e-9
    )
    sums = torch.stack([-e.energy(v[:5], h.expand(5, 3)) for h in every(3)]).logsumexp(dim=0)
    torch.testing.assert_close(-e.free_energy(v[:5]), sums)


def test_gaussian_units_given_h_have_their_mean_and_variance(rng):
    e = small(2, 3, kind=GaussianEnergy, sigma=0.6)
    h = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64).expand(40_000, 3)
    v = e.draw_visible(e.visible(h), torch.rand(40_000, 2, generator=rng, dtype=torch.float64))
    assert ((v.mean(dim=0) - (e.b + 0.6 * h[0] @ e.W)).abs() < 4 * 0.6 / 200).all()
    assert v.std(dim=0).allclose(torch.tensor(0.6, dtype=torch.float64), rtol=4 / 283)
    edge = e.draw_visible(torch.zeros(1, 2), torch.tensor([[0.0, 1 - 2**-24]]))
    assert edge.isfinite().all()


def test_a_sum_that_is_too_long_is_refused():
    words = (
        "'log_Z' must be asked of a machine with at most 25 binary units on one side "
        "(advnets.evaluation.ais estimates it), got 26 visible and 40 hidden units: 2^26 states."
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        Energy(26, 40).log_Z()
    with pytest.raises(ValueError, match="got 3 visible and 26 hidden units"):
        GaussianEnergy(3, 26).log_Z()
    assert Energy(26, 2).log_Z().item() == pytest.approx(28 * math.log(2), rel=1e-2)


def test_free_energy_and_a_step_of_persistent_chains_are_scikit_learns():
    """At the same weights, chains and draws, in float64."""
    n_v, n_h, m, lr = 7, 5, 6, 0.1
    e, draws = small(n_v, n_h), np.random.RandomState(1)
    x = draws.binomial(1, 0.4, (m, n_v)).astype(float)
    h = torch.from_numpy(draws.binomial(1, 0.5, (m, n_h)).astype(float))
    theirs = BernoulliRBM(n_h, learning_rate=lr, batch_size=m, random_state=0)
    theirs.partial_fit(x)
    theirs.components_ = e.W.detach().numpy().copy()
    theirs.intercept_visible_ = e.b.detach().numpy().copy()
    theirs.intercept_hidden_ = e.c.detach().numpy().copy()
    theirs.h_samples_, theirs.random_state_ = h.numpy().copy(), np.random.RandomState(2)
    v = torch.from_numpy(x)
    np.testing.assert_allclose(e.free_energy(v).detach(), theirs._free_energy(x), rtol=1e-12)

    theirs.partial_fit(x)
    same = np.random.RandomState(2)
    v_model, a_model, h_next = e.gibbs(h, lambda *shape: torch.from_numpy(same.uniform(size=shape)))
    states, logits = torch.cat((v, v_model)), torch.cat((e.hidden(v), a_model))
    along = torch.tensor([1 / m] * m + [-1 / m] * m, dtype=torch.float64)
    fitted = theirs.components_, theirs.intercept_visible_, theirs.intercept_hidden_
    for own, slope, their in zip(
        (e.W, e.b, e.c), e.gradient(states, logits, along), fitted, strict=True
    ):
        np.testing.assert_allclose((own - lr * slope).detach(), their, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(h_next.detach(), theirs.h_samples_)

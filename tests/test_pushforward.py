"""p_g on the line: closed forms of affine, curved and folded G, and slow sums."""

import math

import pytest
import torch

from advnets.sampling.priors import Gaussian, Uniform
from advnets.theory import pushforward

N = 20_000
U = (torch.arange(N, dtype=torch.float64) + 0.5) / N
Z = torch.linspace(-6, 6, N, dtype=torch.float64)
Z_UNIFORM = torch.linspace(-math.sqrt(3), math.sqrt(3), N, dtype=torch.float64)
X = torch.linspace(-4, 4, 161, dtype=torch.float64)


@pytest.mark.parametrize("slope", [0.7, -0.7, 0.01, -1.3])
def test_an_affine_G_of_uniform_z_is_uniform(slope):
    G_z, F_z = slope * Z_UNIFORM + 0.5, Uniform(1).cdf(Z_UNIFORM)
    F = pushforward.by_change_of_variables(G_z, F_z, X)
    half = math.sqrt(3) * abs(slope)
    expected = ((X - 0.5 + half) / (2 * half)).clamp(0, 1)
    assert (F - expected).abs().max() < 1e-12


@pytest.mark.parametrize("slope", [0.7, -0.7, 0.01])
def test_an_affine_G_of_gaussian_z_is_gaussian(slope):
    F = pushforward.by_change_of_variables(slope * Z + 0.5, Gaussian(1).cdf(Z), X)
    assert (F - torch.special.ndtr((X - 0.5) / abs(slope))).abs().max() < 1e-7


def test_the_density_is_that_of_z_over_the_slope_of_G():
    z, F_z = Z_UNIFORM, Uniform(1).cdf(Z_UNIFORM)
    edges = torch.linspace(-3, 3, 601, dtype=torch.float64)
    middle = (edges[1:] + edges[:-1]) / 2
    p_g = pushforward.masses(pushforward.by_change_of_variables(z.sinh(), F_z, edges))[1:-1] / 0.01
    inside = middle.abs() < math.sinh(math.sqrt(3)) - 0.01
    p_z, slope = 1 / math.sqrt(12), middle.asinh().cosh()
    assert torch.allclose(p_g[inside], p_z / slope[inside], rtol=1e-3)
    assert p_g[middle.abs() > math.sinh(math.sqrt(3)) + 0.01].abs().max() == 0


def test_a_folded_G_by_kernels_is_near_the_sum_over_its_two_branches():
    # G(z) = z^2 for z uniform: P(G <= x) = sqrt(x / 3), and p_g is infinite at 0.
    F = pushforward.by_kernels(Uniform(1).quantile(U).square(), X, 0.01)
    exact = (X.clamp(0, 3) / 3).sqrt()
    away = (X.abs() > 0.05) & ((X - 3).abs() > 0.05)
    assert (F - exact)[away].abs().max() < 3e-4  # the blur is F'' h^2 / 2, at 0.1 it is 2.3e-4
    assert (F - exact).abs().max() < 0.05


def test_kernels_are_the_slow_sum_over_all_of_them():
    G_z = torch.randn(5_003, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slow = [
        sum(math.erfc((g - x) / 0.3 / math.sqrt(2)) for g in G_z.tolist()) / 2 / 5_003
        for x in (-1.0, 0.2)
    ]
    F = pushforward.by_kernels(G_z, torch.tensor([-1.0, 0.2], dtype=torch.float64), 0.3)
    assert F.tolist() == pytest.approx(slow, abs=1e-12)


def test_both_ways_agree_where_both_are_right():
    exact = pushforward.by_change_of_variables((0.5 * Z).exp(), Gaussian(1).cdf(Z), X)
    blurred = pushforward.by_kernels(Gaussian(1).quantile(U).mul(0.5).exp(), X, 0.01)
    assert (exact - blurred).abs().max() < 1e-3


def test_masses_are_all_of_the_probability():
    F = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
    assert pushforward.masses(F).tolist() == pytest.approx([0.1, 0.3, 0.5, 0.1])


@pytest.mark.parametrize(
    ("values", "is_monotone"),
    [([1, 2, 3], True), ([3, 2, 1], True), ([1, 2, 2], False), ([1, 3, 2], False), ([1, 1], False)],
)
def test_monotone_is_strictly_so(values, is_monotone):
    assert pushforward.monotone(torch.tensor(values, dtype=torch.float64)) is is_monotone


@pytest.mark.parametrize("prior", [Uniform(1), Gaussian(1)])
def test_quantiles_are_those_of_the_draws(prior):
    assert (prior.cdf(prior.quantile(U)) - U).abs().max() < 1e-12
    z = prior.sample(200_000, rng=torch.Generator().manual_seed(0))[:, 0]
    for u in (0.1, 0.5, 0.8):
        below = (z < prior.quantile(torch.tensor(u))).double().mean().item()
        assert abs(below - u) < 5 * math.sqrt(u * (1 - u) / len(z))

"""Score matching and noise-contrastive estimation: where their objectives are least, exactly."""

import math

import pytest
import torch

from advnets.models.energy import nce, score_matching
from advnets.models.energy.energy import Energy
from advnets.theory import enumeration
from advnets.theory.divergences import JSD, C

F64 = torch.float64


def covariance(rng, d=3):
    A = torch.randn(d, d, generator=rng, dtype=F64)
    return A @ A.T + torch.eye(d, dtype=F64) / 2


def rows_of_covariance(cov):
    """2 d points whose second moments are exactly `cov`, so that means over them are expectations."""
    d = len(cov)
    root = torch.linalg.cholesky(cov) * math.sqrt(d)
    return torch.cat((root.T, -root.T))


def gaussian(M):
    """log p~ = -x'Mx / 2, whose score is -Mx."""
    return lambda x: -(x @ M * x).sum(dim=1) / 2


def slope(J, M):
    (found,) = torch.autograd.grad(J, M)
    return found


def test_score_matching_is_least_at_the_inverse_covariance(rng):
    cov = covariance(rng)
    x, M = rows_of_covariance(cov), torch.linalg.inv(cov).requires_grad_(True)
    J = score_matching.exact(gaussian(M), x).mean()
    assert J.item() == pytest.approx((M @ cov @ M).trace().item() / 2 - M.trace().item())
    assert slope(J, M).abs().max() < 1e-12
    for _ in range(5):  # and higher around it
        other = M.detach() + 0.1 * covariance(rng)
        assert score_matching.exact(gaussian(other), x).mean() > J


def test_denoising_is_least_at_the_inverse_covariance_of_the_smoothed_law(rng):
    """Means over x and epsilon by exact designs: every pair of a point and a direction."""
    cov, sigma = covariance(rng), 0.7
    x, eps = rows_of_covariance(cov), rows_of_covariance(torch.eye(3, dtype=F64))
    pairs = x.repeat_interleave(6, dim=0), eps.repeat(6, 1)
    smoothed = torch.linalg.inv(cov + sigma**2 * torch.eye(3, dtype=F64))
    for at, least in ((smoothed, True), (torch.linalg.inv(cov), False)):
        M = at.clone().requires_grad_(True)
        J = score_matching.denoising(gaussian(M), *pairs, sigma=sigma).mean()
        assert (slope(J, M).abs().max() < 1e-12) == least


def test_sliced_is_exact_in_expectation_and_exactly_where_the_matrix_is_diagonal(rng):
    M = covariance(rng)
    x = rows_of_covariance(M)
    exact = score_matching.exact(gaussian(M), x)
    every = 2 * torch.cat(list(enumeration.states(3))).to(F64) - 1
    v = every[:, None].expand(-1, len(x), -1)  # all signs: the expectation itself
    torch.testing.assert_close(score_matching.sliced(gaussian(M), x, v), exact)
    one = score_matching.sliced(gaussian(M), x, v[:1])
    assert (one - exact).abs().max() > 0.1
    diagonal = torch.diag(M.diag())
    torch.testing.assert_close(
        score_matching.sliced(gaussian(diagonal), x, v[3:4]),
        score_matching.exact(gaussian(diagonal), x),
    )
    rows = x[:1].expand(4_000, -1)
    drawn = score_matching.signs(1, rows, rng=rng)
    assert drawn.unique().tolist() == [-1, 1]
    found = score_matching.sliced(gaussian(M), rows, drawn)
    assert abs(found.mean() - exact[0]) < 4 * found.std() / 4_000**0.5


def test_it_differs_from_the_distance_of_scores_by_a_constant():
    """A mixture in one dimension, by quadrature: J - (1/2) E|s - s_data|^2 is one number."""
    x = torch.linspace(-12, 12, 4_001, dtype=F64)[:, None]

    def log_data(x):
        parts = torch.stack([-((x - m) ** 2) / 2 for m in (-2.0, 1.5)])
        return parts.logsumexp(dim=0)[:, 0] - math.log(2 * math.sqrt(2 * math.pi))

    p = log_data(x).exp() * (24 / 4_000)
    leaf = x.clone().requires_grad_(True)
    s_data = score_matching.score(log_data, leaf).detach()
    constants = []
    for scale in (0.3, 1.0, 2.0):

        def log_p(x, scale=scale):
            return (-scale * (x - 0.3) ** 2 - 0.1 * x**4 / 4)[:, 0]

        s = score_matching.score(log_p, leaf).detach()
        distance = (p * (s - s_data).square()[:, 0]).sum() / 2
        constants.append(((p * score_matching.exact(log_p, x)).sum() - distance).item())
    assert constants == pytest.approx([constants[0]] * 3, abs=1e-8)


def test_parameters_of_a_network_get_a_gradient(rng):
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x = torch.randn(5, 2, generator=rng)
    J = score_matching.denoising(
        lambda x: net(x)[:, 0], x, torch.randn(5, 2, generator=rng), sigma=0.5
    )
    J.mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in list(net.parameters())[:-1])
    with pytest.raises(ValueError, match="'sigma' must be a number above 0, got 0"):
        score_matching.denoising(lambda x: net(x)[:, 0], x, x, sigma=0.0)


def machine(rng):
    e = Energy(5, 3, stdev=0.8, rng=rng).double()
    for bias in (e.b, e.c):
        bias.data.copy_(torch.randn(bias.shape, generator=rng) / 2)
    return e


def test_noise_contrast_at_the_truth_has_no_gradient_and_is_theorem_1(rng):
    """J over all states of a Boltzmann machine and of its noise: -log 4 + 2 JSD, and Theorem 1's C."""
    e, v = machine(rng), torch.cat(list(enumeration.states(5))).double()
    log_Z = e.log_Z().requires_grad_(True)
    noise = nce.marginals_noise(torch.linspace(0.2, 0.8, 5))
    p_d, p_n = (-e.free_energy(v) - log_Z).exp().detach(), noise.log_density(v).exp()
    assert p_n.sum().item() == pytest.approx(1)
    a = nce.logits(-e.free_energy(v) - log_Z, noise.log_density(v))
    J = (p_d * torch.nn.functional.logsigmoid(a)).sum() + (
        p_n * torch.nn.functional.logsigmoid(-a)
    ).sum()
    for gradient in torch.autograd.grad(J, [*e.parameters(), log_Z]):
        assert gradient.abs().max() < 1e-12
    assert J.item() == pytest.approx(-math.log(4) + 2 * JSD(p_d, p_n).item(), abs=1e-12)
    assert J.item() == pytest.approx(C(p_d, p_n).item(), abs=1e-12)


def test_the_objective_is_its_expectation_at_draws(rng):
    e, n = machine(rng).requires_grad_(False), 40_000
    noise, log_Z = nce.marginals_noise(torch.linspace(0.2, 0.8, 5)), e.log_Z()
    log_p = enumeration.distribution(lambda s: -e.free_energy(s), 5)
    x, y = enumeration.draw(log_p, 5, n, rng=rng), noise.draw(2 * n, rng=rng)
    a = [nce.logits(-e.free_energy(s) - log_Z, noise.log_density(s), nu=2) for s in (x, y)]
    v = torch.cat(list(enumeration.states(5))).double()
    at = nce.logits(-e.free_energy(v) - log_Z, noise.log_density(v), nu=2)
    D = torch.nn.functional.logsigmoid
    exact = (log_p.exp() * D(at)).sum() + 2 * (noise.log_density(v).exp() * D(-at)).sum()
    error = (D(a[0]).var() / n + 4 * D(-a[1]).var() / (2 * n)).sqrt()
    assert abs(nce.objective(*a, nu=2) - exact) < 4 * error
    with pytest.raises(ValueError, match="'nu' must be a number above 0, got 0"):
        nce.logits(*a[:1] * 2, nu=0)


def test_log_Z_is_learnt_as_one_number(rng):
    """Everything else at the truth, ascent of J in log Z alone ends at log Z."""
    e, v = machine(rng).requires_grad_(False), torch.cat(list(enumeration.states(5))).double()
    noise, log_Z = nce.marginals_noise(torch.full((5,), 0.5)), torch.zeros((), dtype=F64)
    p_d, p_n = (-e.free_energy(v) - e.log_Z()).exp(), noise.log_density(v).exp()
    for _ in range(300):
        log_Z.requires_grad_(True)
        a = nce.logits(-e.free_energy(v) - log_Z, noise.log_density(v))
        D = torch.nn.functional.logsigmoid
        (gradient,) = torch.autograd.grad((p_d * D(a)).sum() + (p_n * D(-a)).sum(), log_Z)
        log_Z = (log_Z + 4 * gradient).detach()
    assert log_Z.item() == pytest.approx(e.log_Z().item(), abs=1e-4)

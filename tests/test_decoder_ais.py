"""Annealing of decoders by HMC against integrals that are known."""

import math

import pytest
import torch
from torch import nn

from advnets.base.protocols import Problem
from advnets.evaluation import ais, decoders
from advnets.evaluation.parzen import score
from advnets.models.directed.vae import VAE, VAEConfig
from advnets.sampling.hmc import DecoderPath, gaussian_noise
from advnets.sampling.priors import Gaussian, Spherical, Uniform
from advnets.sampling.samplers import GeneratorSampler, TrainingSet

D, K, SIGMA = 20, 5, 0.025**0.5


def linear_decoder():
    rng = torch.Generator().manual_seed(0)
    G = nn.Linear(K, D)
    G.weight.data.copy_(torch.randn(D, K, generator=rng) / 2)
    G.bias.data.zero_()
    return G


def exact_log_p(G, x, sigma):
    A = G.weight.detach().double()
    law = torch.distributions.MultivariateNormal(
        torch.zeros(D, dtype=torch.float64), A @ A.T + sigma**2 * torch.eye(D, dtype=torch.float64)
    )
    return law.log_prob(x.double())


def simulated(G, n, sigma, *, rng):
    z = torch.randn(n, K, generator=rng)
    return z, (G(z) + sigma * torch.randn(n, D, generator=rng)).detach()


def test_a_linear_decoder_is_within_point_3_nats_where_the_parzen_window_is_off_by_5(rng):
    G = linear_decoder()
    _, x = simulated(G, 12, SIGMA, rng=rng)
    exact = exact_log_p(G, x, SIGMA)
    sampler = GeneratorSampler(G, Gaussian(K))
    path, betas = decoders.annealed(sampler, x, SIGMA).path, ais.sigmoid(400)
    found = ais.run(path.tune(betas, 8, rng=rng), betas, 32, rng=rng)
    window = score(x, sampler.sample(10_000, seed=0), SIGMA)
    assert (found.log_Z - exact).abs().mean() < 0.3
    assert abs(found.log_Z.mean() - exact.mean()) < 0.3
    assert exact.mean() - window.mean > 5


def test_the_sandwich_holds_at_data_that_the_decoder_made(rng):
    """BDMC: x with its own z, an exact sample of p(z | x)."""
    G = linear_decoder()
    z, x = simulated(G, 1, 0.5, rng=rng)
    x, exact = x.expand(200, -1), exact_log_p(G, x, 0.5)
    path, betas = DecoderPath(gaussian_noise(G, x, 0.5), 200, K, size=0.15), ais.sigmoid(25)
    # One exact sample of one x serves one chain; these are 200 runs of one chain each.
    A = G.weight.detach().double()
    precision = torch.eye(K, dtype=torch.float64) + A.T @ A / 0.25
    mean = torch.linalg.solve(precision, A.T @ x[0].double() / 0.25)
    law = torch.distributions.MultivariateNormal(mean, precision_matrix=precision)
    noise = torch.randn(1, 200, K, generator=rng, dtype=torch.float64)
    samples = mean + noise @ law.scale_tril.T
    both = ais.sandwich(path, betas, samples.float(), rng=rng)
    up, down = both.up.log_Z, both.down.log_Z  # of one chain each
    assert up.mean() < exact < down.mean()
    for ratio in ((up - exact).exp(), (exact - down).exp()):
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(200)
    assert z.shape == (1, K)


@pytest.mark.parametrize("prior", [Uniform(2), Gaussian(2)])
def test_a_nonlinear_generator_by_quadrature_over_its_prior(prior, rng):
    G = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    for p in G.parameters():
        p.data.normal_(generator=rng)
    x = G(prior.sample(4, rng=rng)).detach() + 0.2 * torch.randn(4, 3, generator=rng)
    u = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    z = prior.quantile(torch.cartesian_prod(u, u)).float()
    with torch.no_grad():
        table = gaussian_noise(G, x, 0.3)(z[:, None].expand(-1, 4, -1))
    exact = table.double().logsumexp(dim=0) - math.log(len(z))
    path, betas = decoders.annealed(GeneratorSampler(G, prior), x, 0.3).path, ais.sigmoid(50)
    found = ais.run(path.tune(betas, 10, rng=rng), betas, 80, rng=rng)
    assert ((found.log_Z - exact).abs() < 4 * found.standard_error + 1e-3).all()
    assert found.standard_error.max() < 0.2


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_vae_by_its_own_likelihood(likelihood, rng):
    problem = Problem(
        event_shape=(4,), low=0, high=1, mean=torch.full((4,), 0.5), batches_per_epoch=1, steps=9
    )
    config = VAEConfig(z_dim=1, hidden=(3,), likelihood=likelihood, precision="float32")
    vae, x = VAE(config, problem, seed=0), torch.rand(3, 4, generator=rng).round()
    for p in vae.autoencoder.decoder.parameters():
        p.data.normal_(generator=rng)
    z = torch.linspace(-8, 8, 4_001)[:, None, None].expand(-1, 3, 1)
    with torch.no_grad():
        table = vae.autoencoder.decoder.log_likelihood(x, z).double() - z[..., 0].square() / 2
    exact = table.logsumexp(dim=0) + math.log(16 / 4_000) - math.log(2 * math.pi) / 2
    annealed = vae.annealed(x, x.mean(dim=0), rng=rng)
    betas = ais.sigmoid(40)
    found = ais.run(annealed.path.tune(betas, 10, rng=rng), betas, 60, rng=rng)
    assert ((found.log_Z - exact).abs() < 4 * found.standard_error + 1e-3).all()


def test_what_has_no_density_is_refused(rng):
    words = "'sampler' must be an unconditional generator with a prior of independent coordinates"
    x = torch.rand(2, 3)
    for sampler in (TrainingSet(x), GeneratorSampler(nn.Linear(3, 3), Spherical(3))):
        with pytest.raises(ValueError, match=words):
            decoders.annealed(sampler, x, 0.1)
    with pytest.raises(ValueError, match="'sigma' must be a number above 0, got 0"):
        decoders.annealed(GeneratorSampler(nn.Linear(3, 3), Gaussian(3)), x, 0.0)
    sampler = GeneratorSampler(nn.Linear(3, 3), Gaussian(3))
    for numbers in (1, 5):  # of one number an example the difference would broadcast
        path = decoders.annealed(sampler, torch.rand(2, numbers), 0.1).path
        with pytest.raises(ValueError, match="'x' must be 3 numbers an example, as G's output has"):
            ais.run(path, ais.sigmoid(2), 2, rng=rng)

"""The variational autoencoder, against a linear-Gaussian model whose log p(x) is known."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from advnets.base.protocols import Batch, LatentSampler, Problem
from advnets.models.directed.vae import VAE, Posterior, VAEConfig
from advnets.optim.schedules import OptimizerConfig

D, Z = 5, 2


def build(event_shape=(D,), seed=0, low=0.0, **settings):
    problem = Problem(
        event_shape=event_shape,
        low=low,
        high=1.0,
        mean=torch.full(event_shape, 0.3),
        batches_per_epoch=5,
        steps=100,
    )
    config = VAEConfig(**({"z_dim": Z, "hidden": (6,)} | settings))
    return VAE.from_config(config, problem, seed=seed)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Linear:
    r"""p(x|z) = N(W z + b, s^2 I), so p(x) = N(b, W W^T + s^2 I).

    The columns of W are orthogonal, so the posterior N(M^-1 W^T (x - b) / s^2, M^-1), with
    M = I + W^T W / s^2, has a diagonal covariance, as q has.
    """

    def __init__(self, s=0.7):
        g = generator(7)
        Q, _ = torch.linalg.qr(torch.randn(D, Z, dtype=torch.float64, generator=g))
        self.W, self.s = Q * torch.tensor([1.5, 0.6]), s
        self.b = torch.randn(D, dtype=torch.float64, generator=g)
        self.M = torch.eye(Z) + self.W.T @ self.W / s**2

    def sample(self, n):
        z = torch.randn(n, Z, dtype=torch.float64, generator=generator(8))
        noise = torch.randn(n, D, dtype=torch.float64, generator=generator(9))
        return z @ self.W.T + self.b + self.s * noise

    def log_p(self, x):
        cov = self.W @ self.W.T + self.s**2 * torch.eye(D)
        return MultivariateNormal(self.b, cov).log_prob(x)

    def posterior(self, x):
        return (x - self.b) @ self.W @ torch.linalg.inv(self.M) / self.s**2, 1 / self.M.diagonal()

    def analytic_elbo(self, x, mean, var):
        """E_q[log p(x|z)] - KL(q || p), with the expectation of the square written out."""
        error = (x - mean @ self.W.T - self.b).square().sum(dim=1) + var @ (self.W**2).sum(dim=0)
        log_p = -error / (2 * self.s**2) - D * math.log(self.s * math.sqrt(2 * math.pi))
        prior = Normal(torch.zeros(Z).double(), 1.0)
        return log_p - kl_divergence(Normal(mean, var.sqrt()), prior).sum(dim=1)

    @torch.no_grad()
    def model(self, shift=0.0, wider=1.0):
        """A VAE of this very p(x|z), whose q is the posterior, moved and widened."""
        vae = build(hidden=(), likelihood="gaussian", min_stdev=1e-3)
        vae.autoencoder.double()
        (decoder,), (encoder,) = vae.autoencoder.decoder.net, vae.autoencoder.encoder.net
        decoder.weight.zero_()[:D] = self.W
        decoder.bias[:D], decoder.bias[D:] = self.b, math.log(self.s**2 - 1e-3**2)
        gain = torch.linalg.inv(self.M) @ self.W.T / self.s**2
        encoder.weight.zero_()[:Z] = gain
        encoder.bias[:Z] = shift - gain @ self.b
        encoder.bias[Z:] = (wider / self.M.diagonal()).log()
        return vae


def test_the_analytic_elbo_is_log_p_at_the_posterior_and_below_it_elsewhere():
    true, x = Linear(), Linear().sample(20)
    mean, var = true.posterior(x)
    torch.testing.assert_close(true.analytic_elbo(x, mean, var), true.log_p(x))
    for shift, wider in [(0.3, 1.0), (0.0, 2.0), (-0.5, 0.4)]:
        q = Normal(mean + shift, (wider * var).sqrt())
        gap = kl_divergence(q, Normal(mean, var.sqrt())).sum(dim=1)
        elbo = true.analytic_elbo(x, q.mean, wider * var)
        assert (elbo < true.log_p(x)).all()
        torch.testing.assert_close(true.log_p(x) - elbo, gap)


@pytest.mark.parametrize(("shift", "wider"), [(0.0, 1.0), (0.3, 1.0), (-0.5, 0.4)])
def test_the_model_s_elbo_estimates_the_analytic_one(shift, wider):
    true, x = Linear(), Linear().sample(10)
    mean, var = true.posterior(x)
    vae = true.model(shift, wider)
    draws = torch.stack([vae.elbo(x, rng=generator(i)) for i in range(400)])
    error = draws.std(dim=0) / math.sqrt(len(draws))
    assert (
        (draws.mean(dim=0) - true.analytic_elbo(x, mean + shift, wider * var)).abs() < 4 * error
    ).all()


def test_at_the_true_posterior_every_importance_weight_is_p_of_x():
    true, x = Linear(), Linear().sample(10)
    epsilon = torch.randn(7, 10, Z, dtype=torch.float64, generator=generator())
    with torch.no_grad():
        weights = true.model().autoencoder.log_weights(x, epsilon)
    torch.testing.assert_close(weights, true.log_p(x).expand(7, 10))


def test_the_importance_weighted_bound_rises_to_log_p():
    true, x = Linear(), Linear().sample(40)
    vae, log_p = true.model(shift=0.6, wider=1.5), Linear().log_p(x)
    means, errors = [], []
    for k in (1, 4, 16, 64, 1024):
        draws = torch.stack(
            [vae.importance_weighted(x, k=k, rng=generator(i)).mean() for i in range(60)]
        )
        means.append(draws.mean() - log_p.mean())
        errors.append(draws.std() / math.sqrt(len(draws)))
    mean, var = true.posterior(x)
    elbo = true.analytic_elbo(x, mean + 0.6, 1.5 * var).mean() - log_p.mean()
    assert abs(means[0] - elbo) < 4 * errors[0]  # at k = 1 it is the ELBO
    for before, after, error in zip(means, means[1:], errors, strict=False):
        assert before < after + 4 * error
    assert means[0] < -0.3 and abs(means[-1]) < 4 * errors[-1]


def test_draws_are_taken_in_blocks_without_changing_the_bound():
    vae, x = build(), torch.rand(3, D, generator=generator()).round()
    whole = vae.importance_weighted(x, k=250, rng=generator(1))
    g = generator(1)
    torch.rand(3, D, generator=g)  # of the binary values
    blocks = [torch.randn(n, 3, Z, generator=g) for n in (100, 100, 50)]
    with torch.no_grad():
        weights = vae.autoencoder.log_weights(x, torch.cat(blocks))
    torch.testing.assert_close(whole, weights.double().exp().mean(dim=0).log().float())


# Parts


def test_the_kl_is_that_of_two_gaussians(rng):
    q = Posterior(torch.randn(4, Z, generator=rng), torch.randn(4, Z, generator=rng))
    normal = Normal(q.mu, (q.log_var / 2).exp())
    slow = kl_divergence(normal, Normal(torch.zeros(Z), 1.0)).sum(dim=1)
    torch.testing.assert_close(q.kl_to_prior(), slow)


def test_the_bernoulli_log_likelihood_is_that_of_its_means(rng):
    decoder = build().autoencoder.decoder
    x, z = torch.rand(4, D, generator=rng).round(), torch.randn(3, 4, Z, generator=rng)
    p = torch.stack([decoder(rows) for rows in z])
    torch.testing.assert_close(decoder.log_likelihood(x, z), Bernoulli(p).log_prob(x).sum(dim=-1))


def test_the_gaussian_log_likelihood_has_a_variance_from_z(rng):
    decoder = build(likelihood="gaussian", min_stdev=0.2).autoencoder.decoder
    x, z = torch.randn(4, D, generator=rng), torch.randn(3, 4, Z, generator=rng)
    out = decoder.net(z.flatten(0, 1)).view(3, 4, 2 * D)
    mu, stdev = out[..., :D], (out[..., D:].exp() + 0.2**2).sqrt()
    slow = Normal(mu, stdev).log_prob(x).sum(dim=-1)
    torch.testing.assert_close(decoder.log_likelihood(x, z), slow)
    assert stdev.std(dim=1).min() > 0 and stdev.min() > 0.2
    torch.testing.assert_close(decoder(z[0]), mu[0])


def test_a_gradient_reaches_the_encoder_through_the_draw(rng):
    vae = build()
    info = vae.objective(torch.rand(6, D, generator=rng), rng=rng)
    assert info["minus_elbo"].item() == pytest.approx((info["reconstruction"] + info["kl"]).item())
    for name, p in vae.autoencoder.named_parameters():
        (g,) = torch.autograd.grad(info["reconstruction"], p, retain_graph=True)
        assert g.abs().max() > 0, name


def test_means_start_at_the_training_mean():
    for likelihood in ("bernoulli", "gaussian"):
        vae = build(hidden=(), likelihood=likelihood)
        torch.testing.assert_close(
            vae.autoencoder.decoder(torch.zeros(1, Z)), torch.full((1, D), 0.3)
        )


def test_samples_are_means_of_chosen_z():
    sampler = build((2, 3)).samplers()["means"]
    assert isinstance(sampler, LatentSampler)
    z = sampler.latents(9, seed=1)
    torch.testing.assert_close(sampler.decode(z), sampler.sample(9, seed=1))
    assert z.shape == (9, Z) and sampler.sample(9, seed=1).shape == (9, 2, 3)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_it_learns_two_patterns(likelihood):
    patterns = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, 1.0]])
    rule = OptimizerConfig(optimizer="adam", lr=0.02, lr_decay=1.0, beta1=0.9)
    vae = build(hidden=(20,), likelihood=likelihood, optimizer=rule, min_stdev=0.1)
    rng = generator()
    x = patterns[torch.randint(2, (300, 50), generator=rng)]
    for rows in x:
        vae.step((Batch(rows),), rng=rng)
    nearest = torch.cdist(vae.samplers()["means"].sample(300, seed=0), patterns).min(dim=1)
    assert nearest.values.median() < 0.3
    assert 0.2 < nearest.indices.double().mean() < 0.8
    if likelihood == "bernoulli":  # p(x) is 1/2 at each
        bound = vae.importance_weighted(patterns, k=500, rng=rng)
        torch.testing.assert_close(bound, torch.full((2,), math.log(0.5)), atol=0.35, rtol=0)


# What is refused


def test_real_values_are_drawn_from_or_refused(rng):
    x = torch.rand(6, D, generator=rng)
    a, b = (build().objective(x, rng=generator(i))["reconstruction"] for i in (0, 1))
    assert a != b
    refusing = build(binarise="refuse")
    refusing.objective(x.round(), rng=rng)
    with pytest.raises(ValueError, match="'x' must be 0 or 1 everywhere"):
        refusing.objective(x, rng=rng)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"z_dim": 0}, "'z_dim' must be a number that is at least 1, got 0"),
        ({"min_stdev": 0.0}, "'min_stdev' must be a number above 0, got 0"),
        ({"likelihood": "poisson"}, "Unknown likelihood 'poisson'. Valid: bernoulli, gaussian."),
        ({"binarise": "round"}, "Unknown binarise 'round'. Valid: sample, refuse."),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        VAEConfig(**settings)


def test_bernoulli_takes_the_unit_interval_and_gaussian_any_data(rng):
    with pytest.raises(ValueError, match="'data' must"):
        build(low=-3.0)
    vae = build(low=-3.0, likelihood="gaussian")
    assert vae.objective(3 * torch.randn(6, D, generator=rng), rng=rng)["minus_elbo"].isfinite()


def test_a_bound_needs_a_draw():
    with pytest.raises(ValueError, match="'k' must be a number that is at least 1, got 0"):
        build().importance_weighted(torch.zeros(1, D), k=0, rng=generator())

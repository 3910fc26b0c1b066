"""The noise: exact ranges and moments, drawn from the generator that is given."""

import pytest
import torch
from scipy import stats

from advnets.base.errors import BadValue
from advnets.sampling.priors import PRIORS, Gaussian, Spherical, Uniform

N = 50_000


def test_uniform_noise_spans_minus_to_plus_root_3(rng):
    z = Uniform(4).sample(N, rng=rng)
    assert 3**0.5 - 1e-3 < z.max() <= 3**0.5
    assert -(3**0.5) <= z.min() < -(3**0.5) + 1e-3
    cdf = stats.uniform(-(3**0.5), 2 * 3**0.5).cdf
    assert stats.kstest(z.flatten().double().numpy(), cdf).pvalue > 1e-4


def test_gaussian_noise_is_standard_normal(rng):
    z = Gaussian(4).sample(N, rng=rng)
    assert stats.kstest(z.flatten().double().numpy(), "norm").pvalue > 1e-4


@pytest.mark.parametrize("dim", [1, 2, 3, 100])
def test_spherical_noise_has_norm_1(dim, rng):
    z = Spherical(dim).sample(1000, rng=rng).double()
    assert (z.square().sum(dim=1).sqrt() - 1).abs().max() < 1e-6


def test_spherical_noise_favours_no_direction(rng):
    z = Spherical(3).sample(N, rng=rng).double().numpy()
    for axis in range(3):  # on the sphere each coordinate is uniform (Archimedes)
        assert stats.kstest(z[:, axis], stats.uniform(-1, 2).cdf).pvalue > 1e-4


@pytest.mark.parametrize(("prior", "variance"), [(Uniform, 1), (Gaussian, 1), (Spherical, 1 / 4)])
def test_mean_0_and_uncorrelated_coordinates_of_known_variance(prior, variance, rng):
    z = prior(4).sample(N, rng=rng).double()
    tolerance = 5 * (3 / N) ** 0.5  # 5 standard errors; no fourth moment here is above 3
    assert z.mean(dim=0).abs().max() < tolerance
    assert (z.T @ z / N - variance * torch.eye(4)).abs().max() < tolerance


@pytest.mark.parametrize("prior", PRIORS.values())
def test_draws_are_a_function_of_the_generator(prior, rng):
    state = rng.get_state()
    z = prior(5).sample(7, rng=rng)
    more = prior(5).sample(7, rng=rng)
    rng.set_state(state)
    assert z.shape == (7, 5)
    assert z.dtype == torch.float32
    assert torch.equal(z, prior(5).sample(7, rng=rng))
    assert not torch.equal(z, more)


@pytest.mark.parametrize("prior", PRIORS.values())
def test_noise_without_coordinates_is_refused(prior):
    with pytest.raises(BadValue, match=r"'dim' must be a number that is at least 1, got 0\."):
        prior(0)


def test_every_prior_goes_by_its_name():
    assert {"uniform": Uniform, "gaussian": Gaussian, "spherical": Spherical} == PRIORS

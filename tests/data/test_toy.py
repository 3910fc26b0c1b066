"""Toy sets: their modes in closed form, and samples with the moments these say."""

import math

import pytest
import torch

from advnets.base.errors import BadValue
from advnets.data import GridConfig, MixtureConfig, RingConfig, load
from advnets.data.toy import ToyConfig, draw

N = 40_000
TOYS = [
    RingConfig(std=0.01),
    RingConfig(modes=3, radius=2.5, std=0.2),
    GridConfig(std=0.02),
    GridConfig(side=2, spacing=3.0, std=0.5),
    MixtureConfig(std=0.1),
    MixtureConfig(centres=(-2.0, 0.0, 5.0), std=0.3),
]


def test_a_ring_has_its_modes_evenly_on_the_circle():
    means = RingConfig(modes=6, radius=2.0).means()
    expected = [[2 * math.cos(math.pi * i / 3), 2 * math.sin(math.pi * i / 3)] for i in range(6)]
    assert torch.allclose(means, torch.tensor(expected), atol=1e-6)


def test_a_grid_is_square_and_centred():
    means = GridConfig(side=3, spacing=0.5).means()
    expected = [[0.5 * i, 0.5 * j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert means.tolist() == expected
    assert GridConfig(side=4).means().mean(dim=0).tolist() == [0, 0]


def test_a_mixture_has_its_centres_on_the_line():
    assert MixtureConfig(centres=(-2.0, 3.0)).means().tolist() == [[-2.0], [3.0]]
    assert draw(MixtureConfig(centres=(0, 1)), 5, rng=torch.Generator()).x.dtype == torch.float32


@pytest.mark.parametrize("config", [c for c in TOYS if isinstance(c, MixtureConfig)])
def test_the_cdf_of_a_mixture_is_that_of_its_draws(config, rng):
    x = draw(config, N, rng=rng).x[:, 0].double().sort().values
    share = (torch.arange(N) + 0.5) / N
    assert (config.cdf(x) - share).abs().max() < 2 / N**0.5  # Kolmogorov: p below 1e-3
    assert config.cdf(torch.tensor([-math.inf, math.inf])).tolist() == [0, 1]


@pytest.mark.parametrize("config", TOYS)
def test_every_mode_has_equal_weight_its_mean_and_its_deviation(config, rng):
    split = draw(config, N, rng=rng)
    means = config.means()
    k, d = means.shape
    assert split.x.shape == (N, d)
    counts = split.context.bincount(minlength=k)
    expected = N / k
    chi2 = ((counts - expected) ** 2 / expected).sum().item()
    assert chi2 < (k - 1) + 5 * math.sqrt(2 * (k - 1))
    for mode in range(k):
        own = split.x[split.context == mode].double()
        error = 5 * config.std / len(own) ** 0.5
        assert (own.mean(dim=0) - means[mode]).abs().max() < error
        assert (own.std(dim=0) - config.std).abs().max() < error


@pytest.mark.parametrize("config", TOYS)
def test_a_set_is_three_independent_draws_and_a_function_of_the_seed(config):
    splits, again, other = load(config, seed=0), load(config, seed=0), load(config, seed=1)
    sizes = [len(p) for p in (splits.train, splits.validation, splits.test)]
    assert sizes == [10_000, 1_000, 1_000]
    assert splits.event_shape == (config.means().shape[1],)
    for name in ("train", "validation", "test"):
        a, b, c = (getattr(s, name) for s in (splits, again, other))
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.context, b.context)
        assert not torch.equal(a.x, c.x)
    assert not torch.equal(splits.validation.x, splits.test.x)
    assert not torch.equal(splits.validation.x, splits.train.x[:1000])


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (RingConfig, {"examples": 9}, r"'examples' must be a number that is at least 10, got 9\."),
        (RingConfig, {"std": 0}, r"'std' must be a number above 0, got 0\."),
        (RingConfig, {"modes": 0}, r"'modes' must be a number that is at least 1, got 0\."),
        (RingConfig, {"radius": -1}, r"'radius' must be a number above 0, got -1\."),
        (GridConfig, {"std": math.nan}, r"'std' must be a number above 0, got nan\."),
        (GridConfig, {"side": 0}, r"'side' must be a number that is at least 1, got 0\."),
        (GridConfig, {"spacing": 0}, r"'spacing' must be a number above 0, got 0\."),
        (MixtureConfig, {"examples": 0}, r"'examples' must be a number that is at least 10"),
        (MixtureConfig, {"centres": ()}, r"'centres' must be at least one number, got \(\)\."),
        (MixtureConfig, {"centres": (0.0, math.nan)}, r"'centres' must be .*nan"),
    ],
)
def test_limits_are_checked_on_construction(cls, settings, message):
    with pytest.raises(BadValue, match=message):
        cls(**settings)


def test_the_base_of_all_toys_has_no_modes():
    with pytest.raises(NotImplementedError):
        ToyConfig().means()

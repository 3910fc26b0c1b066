"""Intervals: how often they hold the truth, and what they say where nothing varies."""

import pytest
import torch

from advnets.evaluation import bootstrap


def hits(estimates, truth):
    return sum(e.low <= truth <= e.high for e in estimates)


def test_the_interval_of_a_mean_holds_the_truth_about_95_times_of_100(rng):
    found = [bootstrap.mean(torch.rand(60, generator=rng), rng=rng) for _ in range(100)]
    assert 88 <= hits(found, 0.5) <= 100


def test_the_interval_of_a_mean_is_the_normal_one():
    x = torch.randn(2_000, generator=torch.Generator().manual_seed(1))
    e = bootstrap.mean(x, rng=torch.Generator().manual_seed(0))
    assert e.value == pytest.approx(x.double().mean().item())
    wide = 1.96 * x.std().item() / 2_000**0.5
    assert e.high - e.value == pytest.approx(wide, rel=0.1)
    assert e.value - e.low == pytest.approx(wide, rel=0.1)
    assert e.n == 2_000


def test_a_share_of_all_or_none_has_an_interval_too(rng):
    everything = bootstrap.share(torch.ones(50, dtype=torch.bool), rng=rng)
    nothing = bootstrap.share(torch.zeros(50, dtype=torch.bool), rng=rng)
    assert (everything.value, everything.low, everything.high) == (1.0, 0.94, 1.0)
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.06)


def test_a_centred_interval_lies_around_the_value_whatever_the_resamples_mean():
    e = bootstrap.centred(1.0, [9.0, 10.0, 11.0], n=7)
    assert (e.value, e.low, e.high) == pytest.approx((1.0, -0.96, 2.96))
    assert bootstrap.centred(1.0, [9.0, 10.0, 11.0], n=7, low=0.0).low == 0.0


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.8534, 0.846, 0.860), "0.853 [0.846, 0.860]"),
        ((12.34, 11.8, 12.9), "12.3 [11.8, 12.9]"),
        ((1234.0, 1000.0, 1400.0), "1234 [1000, 1400]"),
        ((10.0, 10.0, 10.0), "10 [10, 10]"),
        ((-0.00001, -0.00002, 0.00001), "-0.000 [-0.000, 0.000]"),
    ],
)
def test_a_number_is_written_to_the_digits_that_its_interval_allows(numbers, words):
    value, low, high = numbers
    assert str(bootstrap.Estimate(value=value, low=low, high=high, n=5)) == words


def test_the_same_generator_gives_the_same_interval():
    x = torch.arange(30.0)
    a, b = (bootstrap.mean(x, rng=torch.Generator().manual_seed(4)) for _ in range(2))
    assert a == b

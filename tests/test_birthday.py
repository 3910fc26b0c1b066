"""The birthday paradox: on supports that are known, and against every pair looked at by hand."""

import math

import pytest
import torch

from advnets.base.errors import BadValue
from advnets.evaluation.birthday import birthday, close_pairs, first_duplicate, support_size


@pytest.mark.parametrize("N", [10, 365, 2_000])
def test_the_size_of_a_known_support_is_found(N, rng):
    sizes = [
        birthday(torch.randint(N, (3_000, 1), generator=rng).float(), radius=0, rng=rng).support
        for _ in range(5)
    ]
    assert sum(sizes) / 5 == pytest.approx(N, rel=0.15)


def test_things_of_unequal_probability_count_as_often_as_they_collide(rng):
    """1 / sum p^2 of them: half of the draws from 10 things, half from 1,000."""
    few = torch.rand(4_000, generator=rng) < 0.5
    x = torch.where(few, *(torch.randint(n, (4_000,), generator=rng) for n in (10, 1_000)))
    x = x + 5_000 * few
    N = 1 / (10 * 0.05**2 + 1_000 * 0.0005**2)
    found = birthday(x[:, None].float(), radius=0, rng=rng).support
    assert found == pytest.approx(N, rel=0.2)


def test_the_relation_is_that_of_the_exact_product():
    for s in (5, 23, 118):
        N = support_size(s)
        different = math.prod(1 - i / N for i in range(s))
        assert different == pytest.approx(0.5, abs=0.06 if s == 5 else 0.02)


def test_continuous_samples_have_the_support_of_their_density(rng):
    """Two points on a long line are within r with probability about 2 r / length."""
    x = 1_000 * torch.rand(3_000, 1, generator=rng)
    assert birthday(x, radius=0.5, rng=rng).support == pytest.approx(1_000, rel=0.2)


@pytest.mark.parametrize("radius", [0, 0.05, 0.3, 3.0])
def test_close_pairs_are_those_of_every_pair_by_hand(radius, rng):
    x = torch.rand(520, 3, generator=rng)  # more rows than one block of distances holds
    x[7], x[515] = x[3], x[3]
    apart = (x.double()[:, None] - x.double()[None]).norm(dim=2)
    by_hand = (apart <= radius).triu(1).nonzero()
    found = close_pairs(x, radius=radius)
    assert sorted(found.tolist()) == by_hand.tolist()


def test_duplicates_far_from_the_origin_are_still_told_from_neighbours():
    x = 1e4 + torch.arange(50.0, dtype=torch.float64)[:, None] * 1e-3
    assert len(close_pairs(x, radius=0)) == 0
    assert len(close_pairs(x, radius=1.5e-3)) == 49


def test_the_first_duplicate_of_an_order_is_where_its_pair_is_complete(rng):
    """One pair among n: the later of two places, k with probability 2 (k - 1) / n (n - 1)."""
    firsts = first_duplicate(torch.tensor([[1, 4]]), 6, rng=rng)
    expected = sum(k * 2 * (k - 1) / 30 for k in range(2, 7))
    assert firsts.mean().item() == pytest.approx(expected, abs=0.15)
    assert set(firsts.tolist()) == {2, 3, 4, 5, 6}


def test_too_few_duplicates_give_a_bound_and_not_a_number(rng):
    found = birthday(torch.arange(100.0)[:, None], radius=0.1, rng=rng)
    assert found.support == math.inf
    assert str(found) == f"more than {support_size(100):,.0f}"


def test_one_sample_over_and_over_has_a_support_of_one_thing(rng):
    found = birthday(torch.zeros(2_000, 4), radius=0, rng=rng)
    assert found.support < 2
    assert found.n < 2_000  # not all need to be looked at


@pytest.mark.parametrize(
    ("n", "radius", "message"),
    [
        (1, 0, r"'samples' must be a number that is at least 2, got 1\."),
        (5, -1, r"'radius' must be a number that is at least 0, got -1\."),
    ],
)
def test_what_tells_nothing_is_refused(n, radius, message, rng):
    with pytest.raises(BadValue, match=message):
        birthday(torch.zeros(n, 2), radius=radius, rng=rng)

"""Modes covered: the rule on samples made by hand."""

import torch

from advnets.data import RingConfig
from advnets.data.toy import draw
from advnets.evaluation import modes

MEANS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_a_sample_is_near_a_mode_up_to_three_standard_deviations():
    at = torch.tensor([[2.99, 0.0], [3.01, 0.0], [10.0, -2.9], [5.0, 5.0]])
    assert modes.shares(at, MEANS, std=1.0).tolist() == [0.25, 0.25, 0.0]


def test_a_sample_near_two_modes_belongs_to_the_nearer():
    means = torch.tensor([[0.0], [1.0]])
    assert modes.shares(torch.tensor([[0.4], [0.6], [0.7]]), means, std=1.0).tolist() == [
        1 / 3,
        2 / 3,
    ]


def test_a_tenth_of_the_fair_share_covers_a_mode_and_less_does_not():
    """Of 300 samples a fair share of three modes is 100, a tenth of it 10."""
    counts = {0: 280, 1: 10, 2: 9}
    x = torch.cat([MEANS[i].expand(n, 2) for i, n in counts.items()] + [torch.full((1, 2), 50.0)])
    shares = modes.shares(x, MEANS, std=0.1)
    assert shares.mul(300).round().tolist() == [280, 10, 9]
    assert modes.covered(shares) == 2


def test_the_data_covers_all_of_its_own_modes(rng):
    ring = RingConfig()
    x = draw(ring, 2_000, rng=rng).x
    shares = modes.shares(x, ring.means(), std=ring.std)
    assert modes.covered(shares) == 8
    assert abs(shares.sum() - (1 - 2.718281828 ** (-4.5))) < 0.01  # of a Gaussian in the plane


def test_samples_far_away_cover_nothing():
    shares = modes.shares(torch.full((5, 2), 1e30), MEANS, std=1.0)
    assert modes.covered(shares) == 0
    assert shares.sum() == 0

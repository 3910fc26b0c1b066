"""Lloyd's steps against loops written out, and the reference sampler made of them."""

import pytest
import torch

from advnets.base import blocks
from advnets.evaluation.kmeans import KMeans, kmeans, lloyd, spread
from advnets.evaluation.pairwise import squared_distances


def clouds(n=60, d=3, *, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, d, generator=rng, dtype=torch.float64) + 2.0 * torch.randint(
        3, (n, 1), generator=rng
    )


def written_out(x, centres, steps):
    """Lloyd's algorithm, one example and one centre at a time, for clusters that stay filled."""
    centres, inertia = list(centres), []
    for _ in range(steps):
        members = [[] for _ in centres]
        total = 0.0
        for row in x:
            distances = [float(((row - c) ** 2).sum()) for c in centres]
            best = min(range(len(centres)), key=distances.__getitem__)
            members[best].append(row)
            total += distances[best]
        centres = [sum(rows) / len(rows) for rows in members]
        inertia.append(total)
    return torch.stack(centres), torch.tensor(inertia, dtype=torch.float64)


@pytest.mark.parametrize("whole", [True, False])
def test_the_steps_are_the_loops(whole, monkeypatch):
    if not whole:  # blocks of a few examples
        monkeypatch.setattr(blocks, "_BYTES", 7 * 3 * 4)
    x = clouds()
    rng = torch.Generator().manual_seed(1)
    first = x[torch.randperm(len(x), generator=rng)[:5]]
    found = kmeans(x, 5, steps=4, rng=torch.Generator().manual_seed(1))
    centres, inertia = written_out(x, first, len(found.inertia))
    torch.testing.assert_close(found.centres, centres, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.inertia, inertia, rtol=1e-12, atol=0)


def test_every_step_lowers_the_inertia_until_nothing_moves(rng):
    found = kmeans(clouds(200), 12, steps=100, rng=rng)
    assert len(found.inertia) < 100
    assert (found.inertia.diff() <= 1e-9).all()
    moved, total = lloyd(clouds(200), found.centres)
    assert torch.equal(moved, found.centres) and total == found.inertia[-1]


def test_a_centre_without_examples_goes_to_the_farthest_one():
    x = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
    moved, _ = lloyd(x, torch.tensor([[1.0], [100.0]]))
    assert moved.flatten().tolist() == [3.0, 9.0]


def test_as_many_centres_as_examples_are_the_examples(rng):
    x = clouds(20)
    for init in ("random", "k-means++"):
        found = kmeans(x, 20, steps=3, init=init, rng=rng)
        assert torch.equal(found.centres.sort(dim=0).values, x.sort(dim=0).values)


def test_the_start_of_k_means_plus_plus_has_its_probabilities():
    """Two of three points on a line: first each alike, then by squared distance."""
    x = torch.tensor([[0.0], [1.0], [3.0]])
    weights = [[0, 1, 9], [1, 0, 4], [9, 4, 0]]
    n, counts = 6_000, torch.zeros(3, 3)
    rng = torch.Generator().manual_seed(0)
    for _ in range(n):
        i, j = spread(x, 2, rng).tolist()
        counts[i, j] += 1
    for i in range(3):
        for j in range(3):
            p = weights[i][j] / sum(weights[i]) / 3
            assert abs(counts[i, j] / n - p) <= 4 * (p * (1 - p) / n) ** 0.5 + 1e-12


def test_the_generator_decides_and_the_data_is_left_alone(rng):
    x = clouds()
    before = x.clone()
    a, b, c = (kmeans(x, 4, rng=torch.Generator().manual_seed(s)).centres for s in (0, 0, 5))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(x, before)


def test_the_sampler_gives_each_centre_once_before_it_begins_again():
    x = clouds(90).view(90, 1, 3, 1)
    line = KMeans(x, 7, steps=5)
    drawn = line.sample(14, seed=3)
    assert drawn.shape == (14, 1, 3, 1) and line.event_shape == (1, 3, 1)
    assert torch.equal(drawn[:7], drawn[7:])
    assert len(drawn[:7].flatten(1).unique(dim=0)) == 7
    inertia = torch.cat(
        [d.min(dim=1).values for d in squared_distances(x.flatten(1), line.x.flatten(1))]
    )
    assert inertia.sum() <= line.inertia[-1] * (1 + 1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"k": 0}, "'k' must be from 1 to the number of examples, 60, got 0"),
        ({"k": 61}, "'k' must be from 1 to the number of examples, 60, got 61"),
        ({"k": 2, "steps": 0}, "'steps' must be a number that is at least 1, got 0"),
        ({"k": 2, "init": "kmeans++"}, r"Unknown init 'kmeans\+\+'. Did you mean 'k-means\+\+'"),
    ],
)
def test_what_cannot_be_clustered_is_refused(settings, words, rng):
    with pytest.raises(ValueError, match=words):
        kmeans(clouds(), rng=rng, **settings)


def test_on_mnist_centres_beat_as_many_examples(mnist):
    x = mnist.train.x[:2000]
    line = KMeans(x, 50, steps=5)
    real = x[:50].flatten(1)
    own = torch.cat([d.min(dim=1).values for d in squared_distances(x.flatten(1), real)]).sum()
    assert line.inertia[-1] < 0.8 * own
    assert line.sample(1, seed=0).shape == (1, 1, 28, 28)

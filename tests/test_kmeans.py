"""K-means against loops written out, and the reference sampler made of them."""

from itertools import pairwise

import pytest
import torch

from advnets.base import blocks
from advnets.evaluation.kmeans import KMeans, kmeans
from advnets.evaluation.pairwise import squared_distances


def clouds(n=60, d=3, *, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(n, d, generator=rng, dtype=torch.float64) + 2.0 * torch.randint(
        3, (n, 1), generator=rng
    )


def inertia_of(x, centres):
    return sum(min(float(((row - c) ** 2).sum()) for c in centres) for row in x)


def written_out(x, centres, steps):
    """Lloyd's algorithm, one example and one centre at a time, for clusters that stay filled."""
    centres = list(centres)
    for _ in range(steps):
        members = [[] for _ in centres]
        for row in x:
            distances = [float(((row - c) ** 2).sum()) for c in centres]
            members[min(range(len(centres)), key=distances.__getitem__)].append(row)
        centres = [sum(rows) / len(rows) for rows in members]
    return torch.stack(centres)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e4, 0.0), (1e4, 1e6), (1e-3, 1e3)])
@pytest.mark.parametrize("whole", [True, False])
def test_the_steps_are_the_loops_at_every_scale(whole, scale, shift, monkeypatch):
    if not whole:  # blocks of a few examples
        monkeypatch.setattr(blocks, "_BYTES", 7 * 3 * 4)
    x = scale * clouds() + shift
    rng = torch.Generator().manual_seed(1)
    first = x[torch.randperm(len(x), generator=rng)[:5]]
    found = kmeans(x, 5, steps=4, rng=torch.Generator().manual_seed(1))
    centres = written_out(x, first, 4)
    torch.testing.assert_close(found.centres, centres, rtol=1e-12, atol=1e-12 * scale)
    assert found.inertia.item() == pytest.approx(inertia_of(x, centres), rel=1e-9)


def test_more_steps_lower_the_inertia_until_nothing_moves():
    ends = [
        kmeans(clouds(200), 12, steps=steps, rng=torch.Generator().manual_seed(0)).inertia
        for steps in (1, 2, 4, 100, 200)
    ]
    assert all(b <= a + 1e-9 for a, b in pairwise(ends))
    assert ends[-1] == ends[-2]


def test_equal_examples_are_clustered_without_a_warning(rng, recwarn):
    found = kmeans(torch.ones(9, 2), 3, rng=rng)
    assert torch.equal(found.centres, torch.ones(3, 2)) and found.inertia == 0
    assert not recwarn.list


def test_as_many_centres_as_examples_are_the_examples(rng):
    x = clouds(20)
    for init in ("random", "k-means++"):
        found = kmeans(x, 20, steps=3, init=init, rng=rng)
        ours, examples = (t.sort(dim=0).values for t in (found.centres, x))
        torch.testing.assert_close(ours, examples, rtol=1e-14, atol=0)


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
    assert inertia.sum() <= line.inertia * (1 + 1e-6)


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
    assert line.inertia < 0.8 * own
    assert line.sample(1, seed=0).shape == (1, 1, 28, 28)

"""Distances by products, settled by differences: against loops in float64 and exact fractions."""

from fractions import Fraction

import pytest
import torch

from advnets.base.errors import BadValue
from advnets.evaluation import pairwise
from advnets.evaluation.birthday import close_pairs
from advnets.evaluation.distances import frechet_distance, kernel_distance
from advnets.evaluation.kmeans import kmeans
from advnets.evaluation.neighbours import distances_to_others, neighbourhoods
from advnets.evaluation.pairwise import about, error_bound, inside, nearest, squared_distances


def normals(n, d, seed=0, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64).to(dtype)


def data(case, n=60, seed=0):
    x = normals(n, 5, seed)
    far = 1e4 * normals(6, 5, 9).repeat(n // 6, 1)
    return {
        "scale 1": x,
        "scale 1e3": 1e3 * x,
        "scale 1e4": 1e4 * x,
        "offset 1e4": 1e4 + x,
        "modes 1e4 apart": far + 0.3 * x,
        "mixed": torch.cat([x[:-2], 1e7 * x[-2:]]),
        "copies": x[:5].repeat(n // 5, 1) + 1e4,
        "integers": (2 * x).round(),
    }[case]


CASES = [
    "scale 1",
    "scale 1e3",
    "scale 1e4",
    "offset 1e4",
    "modes 1e4 apart",
    "mixed",
    "copies",
    "integers",
]
every_case = pytest.mark.parametrize("case", CASES)


def loops(x, y):
    """One pair at a time, by differences in float64."""
    return torch.stack([torch.stack([(a - b).norm() for b in y.double()]) for a in x.double()])


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_is_within_its_error_bound(case, dtype):
    x, y = data(case), data(case, seed=1)
    origin = y.double().mean(dim=0)
    a, b = (about(t, origin, dtype) for t in (x, y))
    (found,) = squared_distances(a, b)
    lengths = a.double().norm(dim=1)[:, None] + b.double().norm(dim=1)
    off = (found.double() - loops(x, y).square()).abs()
    assert (off <= error_bound(a, lengths)).all()


@every_case
@pytest.mark.parametrize("part", [3, 10_000])
def test_the_nearest_are_those_of_the_loops(case, part, monkeypatch):
    monkeypatch.setattr(pairwise, "_PART", part)
    x, y = data(case), data(case, seed=1)
    expected, order = loops(x, y).sort(dim=1, stable=True)
    found = nearest(x, y, k=3)
    torch.testing.assert_close(found.distance, expected[:, :3], rtol=1e-12, atol=1e-12)
    assert torch.equal(found.number, order[:, :3])


@every_case
def test_k_means_counts_the_squared_distances_of_the_loops(case):
    x = data(case)
    found = kmeans(x.double(), 4, steps=1, rng=torch.Generator().manual_seed(1))
    assert found.inertia.item() == pytest.approx(
        loops(x.double(), found.centres).min(dim=1)[0].square().sum().item()
    )


@every_case
def test_mean_distances_are_those_of_the_loops(case):
    x = data(case)
    expected = loops(x, x).sum(dim=1) / (len(x) - 1)
    torch.testing.assert_close(distances_to_others(x), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("shift", [0, 10_000, 1_000_000])
def test_a_distance_that_equals_the_radius_is_inside(shift):
    """Whole numbers, where exact arithmetic tells."""
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randint(4, (n, 3), generator=rng) + shift for n in (50, 60))

    def square(a, b):
        return sum(Fraction(int(p) - int(q)) ** 2 for p, q in zip(a, b, strict=True))

    def ball(points, i, k):
        return sorted(square(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    wide = [ball(y, i, 5) for i in range(60)]
    inner = [[square(a, y[i]) <= wide[i] for i in range(60)] for a in x]
    around_y, around_x = [ball(y, i, 3) for i in range(60)], [ball(x, j, 3) for j in range(50)]
    expected = (
        sum(any(square(a, y[i]) <= around_y[i] for i in range(60)) for a in x) / 50,
        sum(any(square(a, b) <= r for a, r in zip(x, around_x, strict=True)) for b in y) / 60,
        sum(map(sum, inner)) / (5 * 50),
        sum(any(column) for column in zip(*inner, strict=True)) / 60,
    )
    scale = torch.tensor([1.0, 0.1]).double()  # a tie stays one where decimals are rounded
    for s in scale:
        found = neighbourhoods(s * x.double(), s * y.double(), rng=torch.Generator())
        assert [e.value for e in found] == pytest.approx(expected, abs=1e-12)


def test_a_radius_of_0_holds_copies_alone():
    x = torch.tensor([[1.0], [1.0 + 2**-52], [1.0]], dtype=torch.float64)
    (balls,) = next(inside(x, x, torch.zeros(3, dtype=torch.float64)))
    assert balls.tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    assert close_pairs(x, radius=0).tolist() == [[0, 2]]


def test_features_whose_powers_are_infinite_are_refused():
    x = torch.randn(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1e26
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(BadValue, match=r"distance' must be of features of at most 1e\+25, got"):
            distance(x, x, rng=torch.Generator())
        distance(x * 1e-3, x * 1e-3, rng=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [1e-140, 1e-30, 1e-20, 1e20, 1e30, 1e140])
def test_the_nearest_of_large_numbers_is_that_of_small_ones(scale):
    x, y = normals(40, 3, 0, torch.float64), normals(60, 3, 1, torch.float64)
    near, far = nearest(x, y, k=2), nearest(x * scale, y * scale, k=2)
    assert torch.equal(near.number, far.number)
    torch.testing.assert_close(far.distance / scale, near.distance, rtol=1e-12, atol=0)
    with pytest.raises(BadValue, match=r"'x' must be numbers of at most 1e\+150"):
        nearest(x * 1e151, y)

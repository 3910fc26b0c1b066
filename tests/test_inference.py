"""Inference after training: laws of the regression on a linear-Gaussian G, and of the search."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import advnets
from advnets.base.errors import BadFile, BadValue
from advnets.cli import command
from advnets.extensions.inference import regression
from advnets.extensions.inference.regression import RegressionConfig
from advnets.extensions.inference.search import nearest_within, redrawn_within, search
from advnets.networks.encoder import EncoderConfig

A = torch.tensor([[1.0, 0.6, 0.0, -0.4], [0.3, -0.8, 0.0, 1.2]])
"""x = A z: of four coordinates two numbers are seen, and of the third nothing."""
QUICK = RegressionConfig(hidden=(), steps=800, batch_size=200, lr=3e-2)


def linear_G():
    G = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        G.weight.copy_(A)
    return G


@pytest.fixture(scope="module")
def fitted():
    return regression.fit(linear_G(), advnets.Gaussian(4), QUICK)


def test_the_best_E_is_the_posterior_mean(fitted):
    """Of z ~ N(0, I) and x = A z it is the pseudo-inverse of A."""
    with torch.no_grad():
        weight = fitted(torch.eye(2)) - fitted(torch.zeros(1, 2))
    torch.testing.assert_close(weight, torch.linalg.pinv(A).T, atol=0.02, rtol=0)


def test_the_variance_of_E_and_its_error_add_up_to_that_of_z(fitted):
    n = 20_000
    fit = regression.assess(fitted, linear_G(), advnets.Gaussian(4), n)
    z = advnets.Gaussian(4).sample(n, rng=torch.Generator().manual_seed(0)).double()
    se = z.square().std(dim=0) / math.sqrt(n)
    assert ((fit.variance + fit.mse - 1).abs() < 3 * se + 0.005).all()  # and what 800 updates leave
    known = torch.linalg.pinv(A) @ A
    torch.testing.assert_close(fit.r2, known.diagonal().double(), atol=0.04, rtol=0)
    assert abs(fit.r2[2]) < 0.01, "nothing can be read off of what G ignores"


def test_fitting_leaves_G_and_the_global_stream_as_they_are():
    G = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2)).train()
    before = {name: t.clone() for name, t in G.state_dict().items()}
    stream = torch.get_rng_state()
    config = RegressionConfig(hidden=(5,), steps=5, target="0")
    E = regression.fit(G, advnets.Uniform(4), config)
    again = regression.fit(G, advnets.Uniform(4), config)
    assert E.z_dim == 6 and G.training
    assert all(torch.equal(t, before[name]) for name, t in G.state_dict().items())
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(p, q) for p, q in zip(E.parameters(), again.parameters(), strict=True))


def test_a_hidden_layer_is_fitted_as_it_was_before_the_next_one_changed_it():
    G = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 2))
    source = regression.Source(G, advnets.Gaussian(4), "0")
    x, h = source.draw(9, rng=torch.Generator().manual_seed(3))
    z = advnets.Gaussian(4).sample(9, rng=torch.Generator().manual_seed(3))
    torch.testing.assert_close(h, G[0](z))
    torch.testing.assert_close(x, G(z))
    with pytest.raises(BadValue, match=r"Unknown target '7'\. Valid: z, 0, 1, 2\."):
        regression.Source(G, advnets.Gaussian(4), "7")


def test_a_stochastic_encoder_gives_a_law(rng):
    config = EncoderConfig(hidden=(8,), stochastic=True)
    E = config.build(event_shape=(1, 3, 3), z_dim=2, rng=rng)
    x, epsilon = torch.rand(5, 1, 3, 3, generator=rng), torch.randn(5, 2, generator=rng)
    mu, log_s = E.last(E.features(x)).chunk(2, dim=1)
    torch.testing.assert_close(E(x, epsilon), mu + log_s.exp() * epsilon)
    assert torch.equal(E(x), mu)


# Search


def bent_G(dim=6, d=20):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(dim, 64), nn.Tanh(), nn.Linear(64, d))


PRIORS = [advnets.Uniform(6), advnets.Gaussian(6), advnets.Spherical(6)]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_search_ends_no_higher_than_it_began_and_within_the_support(prior, rng):
    G = bent_G()
    x = torch.randn(12, 20, generator=rng)
    starts = 2 * torch.randn(3, 12, 6, generator=rng)
    for steps in (0, 1, 40):
        found = search(G, prior, x, starts, steps=steps, lr=0.3)
        assert (found.ended <= found.began).all()
        assert torch.equal(found.error, found.ended.min(dim=0).values)
        with torch.no_grad():
            at = (G(found.z) - x).square().sum(dim=1)
            began = (G(nearest_within(prior, starts[1])) - x).square().sum(dim=1)
        torch.testing.assert_close(found.error, at)
        torch.testing.assert_close(found.began[1], began)
        torch.testing.assert_close(nearest_within(prior, found.z), found.z, atol=1e-6, rtol=0)


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_search_comes_back_to_what_made_a_sample(prior, rng):
    G = bent_G()
    z = prior.sample(20, rng=rng)
    x = G(z).detach()
    starts = torch.stack([prior.sample(20, rng=rng) for _ in range(4)])
    found = search(G, prior, x, starts, steps=400, lr=0.05)
    far = x.square().sum(dim=1)
    succeeded = found.ended < 1e-3 * far
    assert succeeded.any(dim=0).double().mean() >= 0.9
    good = found.error < 1e-4 * far
    torch.testing.assert_close(found.z[good], z[good], atol=0.1, rtol=0)


def test_an_example_is_searched_alone(rng):
    G, prior = bent_G(), advnets.Gaussian(6)
    x = torch.randn(5, 20, generator=rng)
    starts = torch.randn(2, 5, 6, generator=rng)
    whole = search(G, prior, x, starts, steps=20)
    part = search(G, prior, x[2:4], starts[:, 2:4], steps=20)
    torch.testing.assert_close(part.z, whole.z[2:4])


def test_a_coordinate_that_leaves_the_box_is_drawn_anew(rng):
    z = torch.tensor([[0.5, 5.0, -5.0], [1.0, 1.0, 1.0]])
    inside = redrawn_within(advnets.Uniform(3), z, rng)
    assert inside.abs().max() <= math.sqrt(3)
    assert torch.equal(inside[z.abs() < 2], z[z.abs() < 2])
    assert inside[0, 1] != math.sqrt(3)


def test_starts_of_another_shape_are_refused(rng):
    with pytest.raises(BadValue, match=r"'starts' must be of shape \(starts, 5, 6\), got"):
        search(bent_G(), advnets.Gaussian(6), torch.zeros(5, 20), torch.zeros(2, 4, 6))


# A run


@pytest.fixture(scope="module")
def encoded(images, tmp_path_factory):
    """A copy of a finished run on images of 6 x 5, with an encoder beside it."""
    import shutil

    folder = tmp_path_factory.mktemp("encoded") / "run"
    shutil.copytree(images, folder)
    advnets.load(folder).fit_encoder(RegressionConfig(hidden=(9,), steps=20))
    return folder


def test_an_encoder_stands_beside_the_run_and_changes_nothing_of_it(images, encoded):
    def files(folder):
        return {
            p.relative_to(folder): p.read_bytes()
            for p in folder.rglob("*")
            if p.is_file() and "tensorboard" not in str(p)
        }

    before, after = files(images), files(encoded)
    assert {str(p) for p in after.keys() - before.keys()} == {"encoder.safetensors"}
    assert all(after[p] == before[p] for p in before)


def test_codes_and_reconstructions_of_a_run(encoded, rng):
    run = advnets.load(encoded)
    x = torch.rand(4, 1, 6, 5, generator=rng)
    z = run.encode(x)
    assert z.shape == (4, 3)
    found = run.reconstruct(x, steps=30, starts=2)
    torch.testing.assert_close(found.z, z)
    torch.testing.assert_close(found.decoded, run.sampler().decode(z))

    def error(of):
        return (of - x).flatten(1).square().sum(dim=1)

    assert (error(found.searched) <= error(found.decoded) + 1e-6).all()
    torch.testing.assert_close(found.searched, run.sampler().decode(found.z_search))
    line = run.between(found, 5)
    assert line.shape == (3, 5, 1, 6, 5)
    torch.testing.assert_close(line[:, 0], found.searched[:-1])
    torch.testing.assert_close(line[:, -1], found.searched[1:])


def test_an_encoder_of_other_weights_is_refused(encoded):
    run = advnets.load(encoded, checkpoint="last")
    with pytest.raises(BadFile, match=r"must be fitted to the weights of G that are asked, got"):
        run.encode(torch.rand(2, 1, 6, 5), weights="averaged")


def test_a_run_without_an_encoder_is_told_how_to_fit_one(images):
    with pytest.raises(BadFile, match=r"has no encoder yet; fit one with: advnets encode .* --fit"):
        advnets.load(images).encode(torch.rand(2, 1, 6, 5))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.rand(2, 1, 5, 6), r"'x' must be of shape \(N, 1, 6, 5\), got shape \(2, 1, 5, 6\)"),
        (torch.full((1, 1, 6, 5), 2.0), r"'x' must be in \[0, 1\], as the run's pictures, got 2"),
        (torch.full((1, 1, 6, 5), math.nan), r"'x' .*finite"),
    ],
)
def test_examples_that_cannot_be_encoded_are_refused(x, words, encoded):
    with pytest.raises(BadValue, match=words):
        advnets.load(encoded).encode(x)


def test_an_encoder_of_what_G_does_not_have_is_unknown(encoded):
    with pytest.raises(BadValue, match=r"Unknown target 'bogus'\. .*Valid: z, "):
        advnets.load(encoded).encode(torch.rand(2, 1, 6, 5), target="bogus")


# The commands


def test_the_commands_write_codes_and_pictures(encoded, tmp_path, capsys):
    r = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", r.integers(0, 256, (3, 6, 5), dtype=np.uint8))
    x, z, out = (str(tmp_path / name) for name in ("x.npy", "z.npy", "r.png"))
    run = str(encoded)
    assert command.main(["encode", run, "--images", x, "--out", z]) == 0
    assert np.load(z).shape == (3, 3)
    more = ["--images", x, "--steps", "5", "--out"]
    assert command.main(["reconstruct", run, *more, out]) == 0
    assert command.main(["reconstruct", run, *more, str(tmp_path / "b.png"), "--between", "4"]) == 0
    assert command.main(["reconstruct", run, *more, str(tmp_path / "s.npy")]) == 0
    assert np.load(tmp_path / "s.npy").shape == (3, 3)
    assert "root mean square error" in capsys.readouterr().out
    array = [str(tmp_path / "b.npy"), "--between", "4"]
    assert command.main(["reconstruct", run, *more, *array]) == 0
    line, z = np.load(tmp_path / "b.npy"), torch.from_numpy(np.load(tmp_path / "s.npy"))
    assert line.shape == (2, 4, 1, 6, 5)
    ends = advnets.load(encoded).sampler().decode(z).numpy()
    np.testing.assert_allclose(line[:, 0], ends[:-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(line[:, -1], ends[1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("words", [["reconstruct"], ["encode"], ["encode", "--target", "net"]])
def test_the_command_that_an_error_gives_mends_it(words, encoded, tmp_path, capsys):
    """Of the weights, the checkpoint and the module that were asked."""
    import shlex
    import shutil

    run, x = tmp_path / "a run", str(tmp_path / "x.npy")
    shutil.copytree(encoded, run)
    np.save(x, np.random.default_rng(1).random((3, 6, 5), dtype=np.float32))
    name = next(n for n, _ in advnets.load(run).sampler().G.named_modules() if n)
    which = [name if word == "net" else word for word in words[1:]]
    asked = ["--weights", "averaged", "--checkpoint", "last"]
    words = [words[0], str(run), *which, *asked, "--images", x, "--out", str(tmp_path / "z.npy")]
    assert command.main(words) == 2
    error = capsys.readouterr().err
    advised = shlex.split(error.partition("with: ")[2].strip().removesuffix("."))
    assert advised == ["advnets", "encode", str(run), "--fit", *which, *asked]
    assert command.main([*advised[1:], "--steps", "2"]) == 0
    assert command.main(words) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("encode RUN", r"'images' must be given, or --fit, got nothing"),
        ("encode RUN --images x.npy --out z.png", r"'out' must be NAME\.npy, got z\.png"),
        ("encode RUN --images x.npy --out RUN/encoder.safetensors", r"'out' must be"),
        ("encode RUN --images nowhere", r"'images' must be a folder or zip of pictures, or a \.npy file, got nowhere"),
        ("encode RUN --fit --steps 0", r"'steps' must be a number that is at least 1, got 0"),
        ("encode RUN --fit --target nothing", r"Unknown target 'nothing'\. .*Valid: z, "),
        ("encode RUN --images wide.npy", r"wide\.npy' must be of shape \(N, 1, 6, 5\), as the run's examples, got shape \(3, 6, 6\)"),
        ("reconstruct RUN", r"'images' must be given: pictures, or a \.npy file, got nothing"),
        ("reconstruct RUN --images x.npy --steps -1", r"'steps' must be a number that is at least 0, got -1"),
        ("reconstruct RUN --images x.npy --between 1", r"'between' must be 0 or at least 2, got 1\."),
        ("reconstruct RUN --images x.npy --between -2", r"'between' must be 0 or at least 2, got -2\."),
        ("encode RUN --images x.npy --target bogus", r"Unknown target 'bogus'\. .*Valid: z, "),
        ("reconstruct RUN --images one.npy --between 4 --steps 1", r"'images' must be at least two"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(
    words, expected, encoded, tmp_path, monkeypatch, capsys
):
    import re

    r = np.random.default_rng(1)
    for name, shape in (("x", (3, 6, 5)), ("wide", (3, 6, 6)), ("one", (1, 6, 5))):
        np.save(tmp_path / f"{name}.npy", r.integers(0, 256, shape, dtype=np.uint8))
    monkeypatch.chdir(tmp_path)
    before = {*encoded.rglob("*"), *tmp_path.rglob("*")}
    assert command.main(words.replace("RUN", str(encoded)).split()) == 2
    out, err = capsys.readouterr()
    assert re.search(expected, err), err
    assert err.count("\n") == 1 and "Traceback" not in out + err
    assert {*encoded.rglob("*"), *tmp_path.rglob("*")} == before

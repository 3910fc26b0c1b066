"""Figure 1, from small runs on the line: what is played again, what is drawn, what is refused."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor, ImageSequence

import advnets
from advnets.base.errors import BadFile, BadValue
from advnets.cli import command
from advnets.data import ArrayConfig, MixtureConfig
from advnets.experiments import figure1
from advnets.networks import GeneratorConfig
from advnets.plotting import gan1d
from advnets.sampling.samplers import evaluating
from conftest import small_config, small_run


def a_line(folder, *, data=None, hidden=(7,), **settings):
    """A run on data in one dimension."""
    G = GeneratorConfig(hidden=hidden, output="linear", irange=0.5)
    model = small_config(**{"z_dim": 1, "G": G, "order": "alternating", **settings})
    data = data or MixtureConfig(centres=(-2.0, 2.0), std=0.5, examples=160)
    assert advnets.train(small_run(data=data, model=model), folder)
    return folder


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    return a_line(tmp_path_factory.mktemp("line") / "run")


@pytest.fixture
def run(line):
    return advnets.load(line, checkpoint="last")


@pytest.fixture
def scene(run):
    return figure1.Scene.of(run, None)


@pytest.fixture
def short(monkeypatch):
    """Few pictures and few updates."""
    monkeypatch.setattr(figure1, "FRAMES", 5)
    monkeypatch.setattr(figure1, "UPDATES_OF_D", 30)
    monkeypatch.setattr(figure1, "UPDATES_OF_G", 20)


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_a_run_played_again_is_the_run(line, checkpoint):
    run = advnets.load(line, checkpoint=checkpoint)
    moments = list(figure1.replay(run, run.splits()))
    assert [update for update, _ in moments] == sorted({update for update, _ in moments})
    assert moments[0][0] == 0
    assert moments[-1][0] == run.update
    stored = run.learner.state()
    assert all(torch.equal(t, stored[name]) for name, t in moments[-1][1].items())
    assert not torch.equal(
        moments[0][1]["G.network.net.0.weight"], stored["G.network.net.0.weight"]
    )


def test_a_run_that_is_another_when_played_again_is_not_drawn(run):
    with torch.no_grad():
        next(run.learner.D.parameters())[0, 0] += 1e-6
    need = r"run: must end in its own weights when it is played again, for Figure 1, got others at"
    with pytest.raises(BadFile, match=need):
        figure1.draw(run)


def test_only_the_player_whose_turn_it_is_moves_and_it_moves_as_algorithm_1_says(run, scene):
    state = figure1.copied(run.learner.state())

    def of(state, player):
        return {n: t for n, t in state.items() if n.startswith(f"{player}.network.")}

    def same(one, other, player):
        one, other = of(one, player), of(other, player)
        return all(torch.equal(one[n], other[n]) for n in one)

    def D(state):  # with its expected value on data and on samples
        scene.game.load_state(state)
        with evaluating(scene.game.G), evaluating(scene.game.D):
            z = scene.prior.quantile((torch.arange(2_000) + 0.5) / 2_000)[:, None]
            return scene.game.D(scene.splits.train.x), scene.game.D(scene.game.G(z))

    *_, b = scene.played(state, k=200, moving="D", rng=torch.Generator().manual_seed(0))
    assert same(state, b, "G")
    assert not same(state, b, "D")
    assert advnets.value(*D(b)) > advnets.value(*D(state)) + 0.01
    *_, c = scene.played(b, k=200, moving="G", rng=torch.Generator().manual_seed(0))
    assert same(b, c, "D")
    assert not same(b, c, "G")
    assert D(c)[1].sigmoid().mean() > D(b)[1].sigmoid().mean() + 1e-4


@pytest.mark.parametrize("prior", ["uniform", "gaussian"])
def test_p_g_of_an_affine_G_is_its_closed_form(prior, tmp_path):
    run = advnets.load(a_line(tmp_path / "run", hidden=(), prior=prior))
    scene = figure1.Scene.of(run, None)
    state = run.learner.state()
    a, b = (state[f"G.network.net.0.{name}"].item() for name in ("weight", "bias"))
    p_g, monotone = scene.p_g(state)
    assert monotone
    t = (scene.edges - b) / abs(a)
    if prior == "uniform":
        F = ((t + math.sqrt(3)) / math.sqrt(12)).clamp(0, 1)
    else:
        F = torch.special.ndtr(t)
    assert (p_g.cumsum(0)[:-1] - F).abs().max() < 1e-4
    assert scene.snapshot(state, "x").of_p_g == "change of variables"


def test_p_g_of_a_folded_G_is_a_kernel_density_near_the_sum_over_its_branches(run, scene):
    state = {name: t.clone() for name, t in run.learner.state().items()}
    names = [f"G.network.net.{n}" for n in ("0.weight", "0.bias", "2.weight", "2.bias")]
    for name in names:
        state[name].zero_()
    state[names[0]][:2, 0] = torch.tensor([1.0, -1.0])  # |z|: uniform on (0, sqrt 3)
    state[names[2]][0, :2] = 1.0
    p_g, monotone = scene.p_g(state)
    assert not monotone
    F = (scene.edges / math.sqrt(3)).clamp(0, 1)
    assert (p_g.cumsum(0)[:-1] - F).abs().max() < 0.01
    shown = scene.snapshot(state, "x")
    assert shown.of_p_g.startswith("kernel density of width 0.0")
    density = shown.p_g[(scene.edges[1:] > 0.1) & (scene.edges[1:] < 1.6)]
    assert density == pytest.approx(1 / math.sqrt(3), rel=1e-3)


def test_a_snapshot_is_of_the_very_pair(run, scene):
    state = run.learner.state()
    shown = scene.snapshot(state, "now")
    middle = torch.tensor((shown.edges[1:] + shown.edges[:-1]) / 2).float()[:, None]
    D = copy.deepcopy(run.learner.D).eval()
    assert pytest.approx(D(middle).sigmoid()[:, 0].detach().numpy(), abs=1e-6) == shown.D
    assert shown.p_data.sum() * np.diff(shown.edges)[0] == pytest.approx(1, abs=1e-3)
    z = torch.tensor(shown.z * 2 - 1).float()[:, None] * math.sqrt(3) * (1 - 1 / figure1.ARROWS)
    G_z = copy.deepcopy(run.learner.G).eval()(z)[:, 0].detach().numpy()
    assert shown.G_z == pytest.approx(G_z, abs=1e-5)
    ratio = shown.p_data / (shown.p_data + shown.p_g)
    assert shown.zoom is None
    assert shown.D_star == pytest.approx(ratio, abs=1e-9, nan_ok=True)


def test_the_picture_has_the_papers_lines_and_is_a_function_of_run_and_seed(run, short):
    picture = figure1.draw(run)
    assert picture.shape[1] >= 800
    for colour in (gan1d.GREEN, gan1d.BLUE, gan1d.ORANGE, "black"):
        drawn = (picture == ImageColor.getrgb(colour)).all(axis=2)
        assert drawn.sum() > 100, colour
    assert np.array_equal(picture, figure1.draw(run, seed=0, weights="raw"))
    assert (picture != figure1.draw(run, seed=1)).any()


def test_the_legend_says_how_each_panel_was_made(scene, run):
    one = scene.snapshot(run.learner.state(), "(a) x")
    two = dataclasses.replace(one, title="(b) y", of_p_g="some other way", of_p_data="blurred")
    assert gan1d._names([one])[:2] == ["$p_{data}$", f"$p_g$ ({one.of_p_g})"]
    assert gan1d._names([one, two])[1] == f"$p_g$ ((a) {one.of_p_g}; (b) some other way)"
    assert gan1d._names([two])[0] == "$p_{data}$ (blurred)"


def test_a_sharp_mode_is_magnified(tmp_path):
    data = MixtureConfig(centres=(-2.0, 2.0), std=0.02, examples=160)
    run = advnets.load(a_line(tmp_path / "run", data=data))
    shown = figure1.Scene.of(run, None).snapshot(run.learner.state(), "x")
    assert shown.zoom == pytest.approx((-2.1, -1.9))
    plain = gan1d.frame(dataclasses.replace(shown, zoom=None))
    assert (gan1d.frame(shown) != plain).any(axis=2).mean() > 0.02


def test_data_of_unknown_density_is_drawn_by_kernels(tmp_path, rng):
    np.save(tmp_path / "x.npy", 3 + torch.randn(400, 1, generator=rng).numpy())
    run = advnets.load(a_line(tmp_path / "run", data=ArrayConfig(path=str(tmp_path / "x.npy"))))
    scene = figure1.Scene.of(run, None)
    assert scene.snapshot(run.learner.state(), "x").of_p_data.startswith("kernel density of width")
    x = run.splits().train.x[:, 0]
    share = [(x <= edge).double().mean().item() for edge in scene.edges]
    assert scene.p_data.cumsum(0)[:-1].tolist() == pytest.approx(share, abs=0.02)


def test_the_command_writes_a_picture_and_a_film(line, short, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["figure", "1", str(line), "--out", "a.png", "--checkpoint", "last"]) == 0
    assert capsys.readouterr().out == "Figure 1, raw weights of update 40: a.png\n"
    with Image.open("a.png") as picture:
        assert picture.width >= 800
    assert command.main(["figure", "1", str(line), "--out", "a.gif", "--checkpoint", "last"]) == 0
    with Image.open("a.gif") as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(film)] == [100] * 4 + [
            2000
        ]


def test_what_is_no_pair_in_one_dimension_is_refused(points, images, run, tmp_path):
    need = (
        r"run: must be a run on data in one dimension, \(1\), for Figure 1, got examples of shape"
    )
    with pytest.raises(BadFile, match=need + r" \(2\)\."):
        figure1.draw(advnets.load(points))
    with pytest.raises(BadFile, match=need + r" \(1, 6, 5\)\."):
        figure1.film(advnets.load(images))
    need = r"must be a game whose z is one uniform or gaussian coordinate, for Figure 1, got"
    many = advnets.load(a_line(tmp_path / "many", z_dim=3))
    with pytest.raises(BadFile, match=rf"many: {need} uniform z of 3\."):
        figure1.draw(many)
    two_points = advnets.load(a_line(tmp_path / "two", prior="spherical"))
    with pytest.raises(BadFile, match=rf"two: {need} spherical z of 1\."):
        figure1.draw(two_points)
    with pytest.raises(BadValue, match=r"'weights' must be raw for Figure 1: .*, got averaged\."):
        figure1.draw(run, weights="averaged")


def test_what_is_no_game_is_refused(run):
    class Memory:
        def samplers(self):
            return {"raw": run.sampler()}

    other = dataclasses.replace(run, learner=Memory())
    with pytest.raises(
        BadFile, match=r"must be a game whose z is .*, for Figure 1, got a Memory\."
    ):
        figure1.draw(other)

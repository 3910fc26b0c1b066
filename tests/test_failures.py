"""Failure modes: what is measured, against slow references, and all of it played in small."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import advnets
from advnets import recipes
from advnets.cli import command
from advnets.experiments import failures
from advnets.experiments.failures import (
    collapse_of_digits,
    equilibrium,
    helvetica,
    saturation,
    support,
    synchronisation,
)
from advnets.experiments.failures.failure_report import (
    Chart,
    FailureReport,
    Picture,
    Table,
    markdown,
    section,
    short,
)
from advnets.experiments.failures.helvetica import FROZEN
from advnets.experiments.failures.play import Play, digits, steady, unequally
from advnets.game.value import OBJECTIVES
from conftest import small_game, small_run


def small_play(**settings):
    return Play(small_run(**settings))


# A game at hand


def test_rounds_at_hand_are_those_of_a_training_run(points):
    """The same weights, bit for bit, as `advnets train` gives."""
    run = advnets.load(points, checkpoint="last")
    play = Play(run.config)
    for _ in range(run.update):
        play.round()
    ours, theirs = play.game.state(), run.learner.state()
    assert all(torch.equal(t, theirs[name]) for name, t in ours.items())


@pytest.mark.parametrize(
    ("ratio", "of_D"), [(1 / 5, 50), (1 / 2, 20), (1, 10), (2, 5), (3, 3), (10, 1), (FROZEN, 0)]
)
def test_ten_updates_of_G_come_with_as_many_of_D_as_the_ratio_says(ratio, of_D, monkeypatch):
    play, moves = small_play(), []
    monkeypatch.setattr(play, "D", lambda: moves.append("D"))
    monkeypatch.setattr(play, "G", lambda: moves.append("G"))
    for g in range(1, 11):
        unequally(play, ratio, g)
    assert (moves.count("D"), moves.count("G")) == (of_D, 10)
    assert moves[-1] == "G"


def test_a_frozen_D_stays_as_it_was_bit_for_bit_while_G_moves():
    play = small_play()
    play.round()
    D, G = play.state(), play.decode(play.latents(5))
    for g in range(1, 20):
        unequally(play, FROZEN, g)
    after = play.state()
    assert all(torch.equal(t, after[n]) for n, t in D.items() if n.startswith("D."))
    assert not torch.equal(G, play.decode(play.latents(5)))


def test_coming_back_is_coming_back_to_the_bit():
    play = small_play()
    play.round()
    state, seen = play.state(), []
    for _ in range(2):
        play.back(state, name="again")
        for g in range(1, 9):
            unequally(play, 2, g)
        seen.append(play.state())
    assert all(torch.equal(t, seen[1][name]) for name, t in seen[0].items())
    assert not all(torch.equal(t, seen[0][name]) for name, t in state.items())


def test_steady_rates_neither_anneal_nor_change_else():
    run = steady(recipes.ring(), seed=3, G=0.5)
    assert (run.seed, run.model.G_optimizer.lr, run.model.D_optimizer.lr) == (3, 0.5, 1e-3)
    assert {run.model.G_optimizer.anneal, run.model.D_optimizer.anneal} == {"none"}
    assert replace(run.model, G_optimizer=None, D_optimizer=None) == replace(
        recipes.ring().model, G_optimizer=None, D_optimizer=None
    )


# Saturation


@pytest.mark.parametrize("objective", ["minimax", "non-saturating"])
def test_the_closed_form_is_the_gradient_of_the_objective_one_sample_at_a_time(objective):
    a = torch.linspace(-30, 30, 41, dtype=torch.float64, requires_grad=True)
    by_hand = [torch.autograd.grad(OBJECTIVES[objective](one), one)[0] for one in a.split(1)]
    torch.testing.assert_close(
        saturation.closed_form(a.detach(), objective), torch.cat(by_hand), rtol=1e-12, atol=0
    )


def test_the_pulls_in_closed_form_are_D_and_1_minus_D():
    a = torch.linspace(-20, 20, 9, dtype=torch.float64)
    D = 1 / (1 + torch.exp(-a))
    torch.testing.assert_close(saturation.closed_form(a, "minimax"), -D)
    ratio = saturation.closed_form(a, "non-saturating") / saturation.closed_form(a, "minimax")
    torch.testing.assert_close(ratio, torch.exp(-a))


def test_a_moment_is_what_autograd_says_of_the_written_out_pair_and_moves_nothing():
    game = small_game()
    z, x = torch.randn(6, 3), torch.randn(9, 2)
    before = {name: t.clone() for name, t in game.state().items()}
    seen = saturation.moment(game, z, x)
    assert all(torch.equal(t, before[name]) for name, t in game.state().items())
    assert game.D.training

    game.G.eval(), game.D.eval()
    for objective, found in (("minimax", seen.minimax), ("non-saturating", seen.non_saturating)):
        D = torch.sigmoid(game.D(game.G(z)))
        loss = (1 - D).log().mean() if objective == "minimax" else -D.log().mean()
        gradient = torch.autograd.grad(loss, list(game.G.parameters()))
        flat = torch.cat([g.flatten() for g in gradient])
        assert found == pytest.approx(flat.norm().item(), rel=1e-4)
    x_g = game.G(z).detach().requires_grad_()
    pull = torch.autograd.grad((-torch.sigmoid(game.D(x_g)).log()).sum(), x_g)[0]
    rows = pull.norm(dim=1).square().mean().sqrt().item()
    assert seen.at_x == pytest.approx(rows, rel=1e-4)
    assert seen.before_output == pytest.approx(seen.at_x)  # a linear output passes all of it
    assert seen.D_x == pytest.approx(torch.sigmoid(game.D(x)).mean().item(), rel=1e-5)


def test_outputs_that_are_black_or_white_pass_nothing():
    play = Play(digits(failures.digits(None), seed=0), tiny_digits())
    z, x = play.latents(8), play.splits.validation.x[:8]
    alive = saturation.moment(play.game, z, x)
    play.game.G.net[-1].bias.data.copy_(40.0 * torch.randn(784).sign())
    dead = saturation.moment(play.game, z, x)
    assert dead.saturated == 1
    assert alive.saturated < 1
    assert dead.at_x > 0
    assert dead.before_output < 1e-9
    assert dead.non_saturating < 1e-9


def tiny_digits():
    """Stand-ins of the shape of digits, of ten classes."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 10
    x = torch.rand(400, 1, 28, 28, generator=rng) / 4
    x[torch.arange(400), 0, 2 * labels] = 1.0
    split = advnets.data.Split(x, labels)
    return advnets.data.Splits(split, split, split)


# The rest


def test_the_modes_are_looked_at_where_the_game_stands():
    plan = helvetica.Plan(seeds=(0, 4), warm_up=3, updates=7, ratios=(1, FROZEN), every=3)
    played = helvetica.measure(recipes.ring(), replace(plan, samples=300))
    assert [(c.seed, c.ratio) for c in played.courses] == [(0, 1), (0, FROZEN), (4, 1), (4, FROZEN)]
    for course in played.courses:
        assert course.at.tolist() == [0, 3, 6, 7]
    one, frozen = played.courses[:2]
    assert (one.modes[0], one.other[0]) == (frozen.modes[0], frozen.other[0])
    assert not torch.equal(one.x, frozen.x)
    again = helvetica.measure(recipes.ring(), replace(plan, samples=300, seeds=(4,)))
    assert torch.equal(again.courses[1].x, played.courses[3].x)


class Perfect(torch.nn.Module):
    """The ring itself, as a function of eight normal numbers."""

    def __init__(self):
        super().__init__()
        self.means = torch.nn.Parameter(recipes.ring().data.means())

    def forward(self, z):
        mode = ((z[:, 2:5] > 0) * torch.tensor([1, 2, 4])).sum(dim=1)
        return self.means[mode] + recipes.ring().data.std * z[:, :2]


def test_a_fresh_D_tells_a_good_G_from_a_bad_one_and_moves_neither():
    plan, play = equilibrium.Plan(judged=150), Play(recipes.ring())
    before = [p.clone() for p in play.game.G.parameters()]
    assert equilibrium.judged(play, plan) > equilibrium.AT + 0.5  # it has not been trained
    assert all(map(torch.equal, before, play.game.G.parameters()))
    play.game.G = Perfect()
    assert abs(equilibrium.judged(play, plan) - equilibrium.AT) < 0.1


def test_the_least_divergence_is_what_theorem_1_makes_of_V():
    rest = equilibrium.FinalState(
        V=0, D_x=0, D_Gz=0, modes=0, near=0, judged=equilibrium.AT, x=torch.zeros(1)
    )
    assert rest.JSD == 0
    assert math.isclose(replace(rest, judged=0.0).JSD, math.log(2))


def test_a_linear_D_is_content_with_any_G_of_the_right_mean():
    """V is -log 4 at most, whatever the weights, where the means of data and samples agree."""
    case = equilibrium.cases(equilibrium.Plan())["a linear D"]
    D = Play(case).game.D
    data = Play(case).splits.train.x[:]
    wrong = torch.cat([data, -data]).mul(0.5)
    right = torch.cat([data, -data])
    for scale in (0.1, 1.0, 10.0):
        D.last.weight.data.mul_(scale)
        assert advnets.value(D(right), D(wrong)) <= -math.log(4) + 1e-4


def test_duplicates_by_our_criterion_are_rare_among_real_examples(rng):
    x = torch.randn(400, 2, generator=rng)
    radius = support.duplicate_radius(x)
    apart = torch.cdist(x, x).fill_diagonal_(torch.inf).min(dim=1).values
    assert (apart <= radius).double().mean().item() == pytest.approx(support.NEAR, abs=0.006)


def test_every_setting_of_the_table_is_the_run_that_it_says():
    run = synchronisation.config(synchronisation.Setting(k=2, G=5), seed=1)
    assert (run.seed, run.model.k) == (1, 2)
    assert run.model.G_optimizer.lr == pytest.approx(5e-3)
    assert run.model.D_optimizer.lr == pytest.approx(1e-3)


# All of it


@pytest.fixture(scope="module")
def measured():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failures.data, "load", loading(failures.data.load))
        return failures.measure(quick=True, say=lambda line: None)


def loading(load):
    def instead(config, *, seed):
        return tiny_digits() if config.kind == "mnist-5k" else load(config, seed=seed)

    return instead


def test_all_of_it_is_played_in_small_and_said(measured, tmp_path):
    sections = failures.sections(measured)
    page = failures.page(measured)
    assert page.count("<section") == len(sections) == 5
    ids = [part.split('"')[0] for part in page.split('id="')[1:]]
    assert len(set(ids)) == len(ids)
    text = failures.write(measured, tmp_path)
    assert not re.search(r"\b(nan|inf)\b", text)
    shown = {line.split("](")[1].rstrip(")") for line in text.splitlines() if line[:2] == "!["}
    assert shown == {path.name for path in tmp_path.iterdir()}
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    for table in (t for found in failures.told(measured) for t in found.tables):
        assert {len(row) for row in table.rows} == {len(table.headings)}, table.caption


def test_what_was_measured_is_what_the_tables_say(measured):
    ring = measured.collapse.ring
    shown = failures.told(measured)[1].tables[0]
    for row, ratio in zip(shown.rows, ring.plan.ratios, strict=True):
        assert row[0] == helvetica.named(ratio)
        assert row[1].split() == [f"{c.modes[-1]:.0f}" for c in ring.at(ratio)]
    held = measured.saturation.held[0][-1]
    assert short(held.minimax) in failures.told(measured)[0].tables[0].rows[-1]


@pytest.mark.parametrize("name", ["f.html", "f.md"])
def test_the_command_writes_a_page_or_a_text_with_its_pictures(
    name, measured, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(failures, "measure", lambda **kwargs: measured)
    out = tmp_path / name
    assert command.main(["theory", "--failures", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"Failures: {out}\n"
    pictures = {path.name for path in tmp_path.glob("*.png")}
    shown = set(re.findall(r"\]\(([^)]*\.png)\)", out.read_text()))
    assert shown == pictures
    assert bool(pictures) == (out.suffix == ".md")
    assert "Failure modes" in out.read_text()
    assert measured.environment["processor"] in out.read_text()


def test_the_digits_are_those_of_the_folder_that_is_known(monkeypatch, tmp_path):
    assert failures.digits(None).kind == "mnist-5k"
    assert failures.digits(tmp_path) == advnets.data.MnistConfig(root=str(tmp_path))
    monkeypatch.setenv("ADVNETS_DATA", "/elsewhere")
    assert failures.digits(None) == advnets.data.MnistConfig(root="/elsewhere")


def test_classes_of_samples_are_counted_by_the_classifier():
    class Space:
        classes = 3

        def labels(self, x):
            return x.long()

    assert collapse_of_digits.classes(Space(), torch.tensor([0, 0, 2, 0])).tolist() == [
        0.75,
        0,
        0.25,
    ]


def test_a_finding_says_the_same_in_both_forms_and_escapes():
    line = advnets.plotting.curves.Curve(label="c", x=np.arange(3.0), y=np.arange(3.0))
    found = FailureReport(
        name="one",
        title="A",
        says="Words & words, A < B.",
        measured=("First.", "Second."),
        charts=(Chart(title="Chart", meaning="It rises.", lines=(line,)),),
        pictures=(
            Picture(title="Pixels", meaning="Grey.", pixels=np.zeros((4, 5, 3), dtype=np.uint8)),
        ),
        tables=(Table(caption="Numbers", headings=("a", "b"), rows=[("1", "2")]),),
        helps="Help.",
    )
    html, text = section(found), markdown(found)
    assert "Words &amp; words, A &lt; B." in html
    assert 'width="5" height="4"' in html
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in text
    for words in ("First.", "Second.", "It rises.", "Help.", "Numbers"):
        assert words in html
        assert words in text

"""Table 2: its data, its measures where the answer is known, and how it is written."""

import csv
import dataclasses
import io
import math

import pytest
import torch

from advnets.base.protocols import Problem
from advnets.evaluation.parzen import log_densities
from advnets.experiments import table2
from advnets.experiments.table2 import design, measures
from advnets.experiments.table2.data import Data, bars_and_stripes, digits
from advnets.experiments.table2.families import FAMILIES, on_grid, read_as_bernoulli
from advnets.experiments.table2.table import PAPER, Cell, Column, Table
from advnets.models.directed.sigmoid_belief_net import SBN, SBNConfig
from advnets.theory import enumeration
from conftest import ROOT

BARS, DIGITS = bars_and_stripes(), digits()
X = BARS.examples


def test_bars_and_stripes_are_30_pictures_of_equal_lines():
    assert X.shape == (30, 16) and len(X.unique(dim=0)) == 30
    pictures = X.view(30, 4, 4)
    bars = (pictures == pictures[:, :, :1]).all(dim=2).all(dim=1)
    stripes = (pictures == pictures[:, :1]).all(dim=2).all(dim=1)
    assert (bars | stripes).all() and (bars & stripes).sum() == 2  # all off, all on


def test_the_digits_have_the_law_of_their_shares():
    x = DIGITS.examples
    assert x.shape == (1797, 16) and len(DIGITS.pictures) == 905
    number = (x.long() << torch.arange(16)).sum(dim=1)
    whole = torch.bincount(number, minlength=2**16).double() / 1797  # of all 65,536 pictures
    own = (DIGITS.pictures.long() << torch.arange(16)).sum(dim=1)
    torch.testing.assert_close(whole[own], DIGITS.p)
    assert whole.sum() == pytest.approx(1) and (whole > 0).sum() == 905
    assert DIGITS.entropy == pytest.approx(torch.special.entr(whole).sum().item())
    assert DIGITS.kl(DIGITS.p.log()) == pytest.approx(0, abs=1e-12)
    assert DIGITS.expectation(DIGITS.pictures[:, 5]) == pytest.approx(x[:, 5].mean().item())


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.full((3, 16), 0.5), "'examples' must be 0 or 1, got other values"),
        (torch.zeros(3, 4, 4), r"'examples' must be \(n, 16\), got \(3, 4, 4\)"),
    ],
)
def test_other_data_are_refused(x, words):
    with pytest.raises(ValueError, match=words):
        Data(name="own", about="", examples=x)


def test_means_are_read_as_a_law_over_all_pictures(rng):
    every = torch.cat(list(enumeration.states(16)))
    means = torch.rand(5, 16, generator=rng)
    log_p = read_as_bernoulli(means, every)
    assert log_p.exp().sum().item() == pytest.approx(1)
    torch.testing.assert_close((log_p.exp() @ every.double()).float(), means.mean(dim=0))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.column)
def test_every_column_begins_far_from_the_data_and_measures(family):
    learner = family.build(BARS, 100, 0)
    kl = family.kl(learner, BARS)
    # Nothing is learnt: about independent coins, 16 log 2 - log 30 = 7.69.
    assert 5 < kl < 12
    found = measures.sampling(family, learner, BARS, n=200, seed=0)
    assert found.tau >= 1 and found.valid < 0.1
    assert found.tau == 1 or "chain" in family.sampler


def one_unit(shift=0.0):
    """A belief net of one hidden unit, with the exact posterior as its q (moved by `shift`)."""
    sbn = SBN.from_config(SBNConfig(hidden=(1,)), sbn_problem(), seed=0)
    net, rng = sbn.network, torch.Generator().manual_seed(0)
    for p in net.parameters():
        p.data.copy_(torch.randn(p.shape, generator=rng) / 2)
    W, a = net.down[0].weight.data[:, 0], net.down[0].bias.data
    net.up[0].weight.data.copy_(W[None])
    softplus = torch.nn.functional.softplus
    evidence = net.top.data + (softplus(a) - softplus(a + W)).sum()
    net.up[0].bias.data.copy_(evidence + shift)
    return sbn


def sbn_problem():
    facts = {"low": 0.0, "high": 1.0, "batches_per_epoch": 1, "steps": 100}
    return Problem(event_shape=(16,), mean=X.mean(dim=0), **facts)


def test_waking_has_no_bias_exactly_where_q_is_the_posterior():
    right, wrong = one_unit(), one_unit(shift=3.0)
    assert measures.inference(right, BARS).gap == pytest.approx(0, abs=1e-6)
    assert measures.inference(wrong, BARS).gap > 0.05
    fair = measures.gradient_error(right, BARS, draws=150, seed=0)
    off = measures.gradient_error(wrong, BARS, draws=150, seed=0)
    assert fair.bias < 2 * fair.bias_error
    assert off.bias > 4 * off.bias_error


def test_estimates_of_a_belief_net_have_no_error_where_q_is_the_posterior():
    for found in measures.density(one_unit(), BARS, temperatures=20, seed=0):
        assert abs(found.error) < 1e-4 and found.scatter < 1e-4
    wrong = {e.by: e for e in measures.density(one_unit(shift=3.0), BARS, temperatures=20, seed=0)}
    assert wrong["AIS"].error < 0.05


def test_the_cost_of_an_estimate_is_that_of_the_least_effort_that_is_close(monkeypatch):
    ticks, asked = iter(range(1_000)), []
    monkeypatch.setattr(measures.time, "process_time", lambda: next(ticks))

    def estimate(n):
        asked.append(n)
        for _ in range(n):
            next(ticks)
        return torch.full((30,), 2.0 + 1 / n)

    found = measures.density_error("a", estimate, 64, torch.full((30,), 2.0), BARS)
    assert asked == [1, 4, 16, 64]  # off by 1, 1/4, 1/16
    assert (found.close, found.seconds) == (17, 65) and found.error == pytest.approx(1 / 64)
    never = measures.density_error("a", estimate, 2, torch.full((30,), 2.0), BARS)
    assert never.close is None and never.error == pytest.approx(0.5)


def test_the_grid_of_z_is_the_generators_density():
    """AIS and a window on samples, which know nothing of the grid, agree with it."""
    game = FAMILIES[3].build(BARS, 100, 0)
    z, means = on_grid(game)
    drawn = game.samplers()["raw"].latents(100_000, seed=0)
    assert z.std() == pytest.approx(drawn.std().item(), rel=0.02)
    decoded = game.samplers()["raw"].decode(drawn)
    torch.testing.assert_close(means.mean(dim=0), decoded.mean(dim=0), rtol=0, atol=0.01)
    by_grid, by_samples = (
        log_densities(BARS.pictures, centres, [measures.SIGMA])[0] for centres in (means, decoded)
    )
    torch.testing.assert_close(by_grid, by_samples, rtol=0, atol=0.2)
    _, annealed = measures.density(game, BARS, temperatures=300, seed=0)
    assert -1 < annealed.error < 0.1  # from below: it is the logarithm of an unbiased estimate
    early, late = (measures.inversion(game, BARS, steps=n).gap for n in (1, 100))
    assert 0 <= late <= early


def test_a_layer_passes_only_where_it_trains():
    assert design.passed("Deep undirected graphical models", X) is None
    for trial in design.TRIALS.values():
        assert trial(X, torch.nn.ReLU()).passed
        assert not trial(X, Nothing()).passed
        assert not trial(X, Steps()).passed
    assert not design.autoencoder(X, NotNumbers()).passed


class NotNumbers(torch.nn.Module):
    def forward(self, h):
        return h * math.nan


class Nothing(torch.nn.Module):
    """Says nothing of its input; what follows can still learn a constant."""

    def forward(self, h):
        return torch.zeros_like(h)


class Steps(torch.nn.Module):
    """Has a derivative nowhere; what follows can still learn from it."""

    def forward(self, h):
        return (h.detach() > 0).float()


def test_a_course_stops_where_it_has_arrived(monkeypatch):
    kls = iter([3.0, 1.0, 0.04, 9.0])
    family = dataclasses.replace(
        FAMILIES[0], log_p=lambda _, x: torch.full((30,), -math.log(30) - next(kls))
    )
    found = measures.play(family, BARS, seconds=100.0, every=2, seed=0)
    assert found.kl == pytest.approx((3.0, 1.0, 0.04)) and found.arrived == found.seconds[2] > 0
    kls = iter([3.0] * 50)
    short = measures.play(family, BARS, seconds=1e-9, every=2, seed=0)
    assert short.arrived is None and len(short.kl) == 2


def test_a_look_is_not_taken_before_as_much_was_learnt(monkeypatch):
    ticks = iter(range(1_000))
    monkeypatch.setattr(measures.time, "process_time", lambda: next(ticks))

    def slow(learner, x):
        for _ in range(4):
            next(ticks)
        return torch.zeros(len(x)) - 20

    family = dataclasses.replace(FAMILIES[0], log_p=slow)
    found = measures.play(family, BARS, seconds=12, every=1, seed=0)
    # The first look is free, later ones take 5 ticks beside 1 of an update.
    assert found.seconds == (0, 1, 6, 11, 12)


def made(**settings):
    rows = {row: [Cell("KL(q || p)", 1.25, "nats")] for row in PAPER}
    column = Column(rows=rows, seconds=(0.0, 1.0), kl=(7.0, 2.0))
    facts = {
        "columns": {d.name: {f.column: column for f in FAMILIES} for d in (BARS, DIGITS)},
        "about": {d.name: d.about for d in (BARS, DIGITS)},
        "models": {f.column: f.model for f in FAMILIES},
        "machine": {"commit": "abc"},
        "command": "advnets table 2",
        "plan": table2.QUICK,
    }
    return Table(**(facts | settings))


def test_it_is_written_in_four_forms(tmp_path):
    paths = table2.write(made(quick=True), tmp_path / "new" / "out")
    html, md, lines, png = (p.read_bytes() for p in paths)
    assert png.startswith(b"\x89PNG")
    page = html.decode()
    assert page.count("1.25 nats KL(q || p)") == 40 and "<svg" in page and "No number says" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert page.count("<svg") == 2 and BARS.about in page and DIGITS.about in page
    rows = [
        line for line in md.decode().splitlines() if line.startswith(("| **", "| bars", "| dig"))
    ]
    assert len(rows) == 15 and all(r.replace("\\|", "").count("|") == 6 for r in rows)
    table = list(csv.DictReader(io.StringIO(lines.decode())))
    assert len(table) == 40 and {float(r["value"]) for r in table} == {1.25}
    assert {r["data"] for r in table} == {BARS.name, DIGITS.name}
    assert "No number says" not in table2.markdown(made())


def test_columns_go_to_their_data_whatever_measures_them(monkeypatch):
    """Data are a value: anything of 16 binary pixels is measured, name by name."""
    own = Data(name="own", about="two pictures", examples=X[:2])

    def column(data, family, plan):
        cell = Cell(f"{data.name}, {family.model}", 1, "")
        return Column(rows={row: [cell] for row in PAPER}, seconds=(0.0, 1.0), kl=(7.0, 2.0))

    monkeypatch.setattr(table2, "column", column)
    said = []
    found = table2.make(table2.QUICK, command="", data=[own, DIGITS], say=said.append)
    assert list(found.columns) == ["own", DIGITS.name] and len(said) == 8
    for name, columns in found.columns.items():
        for family in FAMILIES:
            assert columns[family.column].rows["Training"][0].what == f"{name}, {family.model}"
    with pytest.raises(ValueError, match="'data' must be of different names"):
        table2.make(table2.QUICK, command="", data=[own, own])


def test_bad_plans_are_refused():
    with pytest.raises(ValueError, match="'runs' must be a number that is at least 5, got 3"):
        table2.Plan(runs=3)
    with pytest.raises(ValueError, match="'seconds' must be a number above 0, got 0"):
        table2.Plan(seconds=0)


def test_ci_plays_it_in_small():
    assert "advnets table 2 --quick" in (ROOT / ".ci" / "run").read_text()

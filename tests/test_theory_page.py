"""`advnets theory`: every claim with its numbers beside their bounds, and what a failed one does."""

import math
import re

import pytest

from advnets.cli import command
from advnets.experiments import claims, theorems
from advnets.experiments.claims import Claim, at_least, at_most
from advnets.experiments.theorems import examples
from advnets.html import equation
from test_report import Page


@pytest.fixture(scope="module")
def measured():
    """The claims, on fewer random tables than the command takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "PAIRS", 30)
        patch.setattr(examples, "PLANE", 161)
        return [measure() for measure in theorems.CLAIMS]


@pytest.fixture(scope="module")
def page(measured):
    return theorems.page(measured)


def test_every_claim_holds(measured):
    failed = [(m.what, m.value) for claim in measured for m in claim.measured if not m.holds]
    assert not failed
    assert len({claim.title for claim in measured}) == len(theorems.CLAIMS)


def test_the_page_shows_of_each_claim_statement_equation_number_bound_and_plot(measured, page):
    sections = re.findall(r'<section id="([^"]*)".*?</section>', page, re.DOTALL)
    bodies = re.findall(r"<section .*?</section>", page, re.DOTALL)
    assert len(sections) == len(measured)
    for claim, body in zip(measured, bodies, strict=True):
        text = Page(body).text
        assert claim.source.split(",")[0] in text
        for m in claim.measured:
            assert f"{claims.number(m.value)} {m.relation} {claims.number(m.bound)}" in text
        assert body.count("\N{CHECK MARK} holds") == len(claim.measured) > 0
        assert {*claim.equations.values()} <= {*Page(body).drawings}
        assert not re.search(r"[\\^_{}]", " ".join(claim.equations.values()))
        assert body.count('class="equation"') == len(claim.equations) > 0
        assert body.count('<figure class="chart">') == len(claim.charts) > 0
    assert f"All {len(measured)} claims hold" in page
    assert "fails</span>" not in page


def test_the_page_refers_to_nothing_outside_itself(page):
    parsed = Page(page)
    ids = [a["id"] for a in parsed.attributes if "id" in a]
    assert len(ids) == len(set(ids))
    for attributes in parsed.attributes:
        for name in ("src", "href", "xlink:href"):
            if name in attributes:
                target = attributes[name]
                assert target.startswith("data:") or target[1:] in ids, target
    assert "script" not in parsed.tags
    assert "//" not in page
    assert len(parsed.drawings) == parsed.tags.count("svg") > 0
    assert all(parsed.drawings)


def test_the_same_claim_is_measured_and_drawn_the_same_every_time(measured):
    again = theorems.CLAIMS[1]()
    assert claims.section(again, "e1").split("Measured")[0] in theorems.page(measured)
    assert theorems.CLAIMS[7]() == measured[7]


def invented(*measured):
    return Claim(
        title="Pigs fly", source="Nowhere.", statement=("They do.",), equations={"p = 1": "p equals 1"},
        measured=measured, charts=(),
    )  # fmt: skip


def test_the_command_writes_the_page_and_prints_a_line_for_each_claim(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(theorems, "CLAIMS", [lambda: invented(at_most(1.0, "height", 0.5))])
    assert command.main(["theory"]) == 0
    assert capsys.readouterr().out == "holds Pigs fly\nTheory: theory.html\n"
    assert "All 1 claims hold" in (tmp_path / "theory.html").read_text()


@pytest.mark.parametrize(
    "number",
    [at_most(0.25, "height", 0.5), at_least(1.0, "height", 0.5), at_most(1.0, "height", math.nan)],
)
def test_a_claim_that_fails_says_so_and_the_command_exits_with_1(
    number, tmp_path, capsys, monkeypatch
):
    sound = at_most(1.0, "width", 0.0)
    monkeypatch.setattr(theorems, "CLAIMS", [lambda: invented(sound, number)])
    out = tmp_path / "page.html"
    assert command.main(["theory", "--out", str(out)]) == 1
    assert capsys.readouterr().out == f"FAILS Pigs fly\nTheory: {out}\n"
    page = out.read_text()
    assert "1 of 1 claims failed: Pigs fly." in page
    assert page.count("\N{BALLOT X} fails") == 1
    assert page.count("\N{CHECK MARK} holds") == 1


def test_an_option_that_there_is_not_is_one_line(capsys):
    assert command.main(["theory", "--ot", "x"]) == 2
    assert "Unknown option '--ot'. Did you mean '--out'?" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(theorems, "CLAIMS", [])
    assert command.main(["theory", "--out", str(tmp_path / "no" / "x.html")]) == 2
    assert "could not be saved" in capsys.readouterr().err


def test_an_equation_is_a_drawing_in_the_colour_of_the_page_with_ids_of_its_own():
    drawn = [
        equation.equation(r"\frac{a}{b} < 1", "a over b", name=name) for name in ("one", "two")
    ]
    one, two = (each.svg for each in drawn)
    assert "currentColor" in one
    assert not re.findall(r"#[0-9a-f]{6}\b", one)
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert not re.findall(r"https?:|<style|<metadata", one)
    assert drawn[0].words == "a over b"
    assert float(drawn[0].width) > 1
    assert 1 < float(drawn[0].height) < 4

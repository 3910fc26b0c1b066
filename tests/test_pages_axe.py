"""Every page that the library writes, in a real browser: axe, a phone, the dark, and paper."""

import shutil

import numpy as np
import pytest

import advnets
import chromium
from advnets import report
from advnets.experiments import claims, failures
from advnets.experiments.coordination import table as coordination
from advnets.experiments.coordination.cells import Cell
from advnets.experiments.coordination.methods import METHODS
from advnets.experiments.coordination.on_digits import Score
from advnets.experiments.coordination.protocol import Look
from advnets.experiments.failures.failure_report import Chart, FailureReport, Picture, Table
from advnets.experiments.label_curve import table as label_curve
from advnets.experiments.label_curve.table import LabelCurve, Point
from advnets.experiments.table2 import table as table2
from advnets.experiments.theorems import criterion, discriminator, examples
from advnets.plotting.curves import Curve, HLine
from advnets.report import compare
from advnets.storage.environment import environment
from test_table2 import made
from test_theory_page import invented


def quiet(words):
    pass


def scored(run, folder):
    """The report of a copy of a run, with its metrics."""
    loaded = advnets.load(shutil.copytree(run, folder))
    loaded.score()
    return report.page(loaded, say=quiet)


def compared(*folders):
    return compare.page(compare.opened(folders), say=quiet)


def theory():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "PAIRS", 30)
        patch.setattr(examples, "PLANE", 161)
        measured = [discriminator.proposition_1(), criterion.theorem_1()]
    failed = invented(claims.at_most(1.0, "height of p_g", 2.0))
    return claims.page("The theorems, measured", "advnets theory", "Words.", [*measured, failed])


def of_failures():
    x = np.arange(9.0)
    told = FailureReport(
        name="one",
        title="A failure",
        says="Words.",
        measured=["More words of p_g."],
        charts=[Chart(title="A chart", meaning="of it", lines=[Curve(label="a", x=x, y=x)],
                      levels=(HLine(label="half", y=0.5),))],
        pictures=[Picture(title="A picture", meaning="of it", pixels=np.zeros((60, 800, 3), np.uint8))],
        tables=[Table(caption="A table", headings=("a", *"bcdefgh"), rows=[["row", *["123.45 +- 6.78"] * 7]])],
        helps="Nothing.",
    )  # fmt: skip
    played = type("Played", (), {"quick": True, "environment": environment()})()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failures, "told", lambda played: [told])
        return failures.page(played)


def of_coordination():
    looks = [Look(update=10, found=8, quality=0.9, KL=0.1)]
    facts = {"epochs": 1.0, "looks": looks, "seconds": 3.0, "machine": "a", "commit": "b"}
    cells = {
        data: {m: [Cell(data=data, method=m, seed=s, **facts) for s in (0, 1)] for m in METHODS}
        for data in ("ring", "grid")
    }
    digits = Score(title="plain", updates=10, seconds=1.0, nats=-1.0, standard_error=0.1, precision=0.5, recall=0.5, machine="m", commit="c")  # fmt: skip
    found = coordination.Results(
        cells=cells, digits=[digits], protocol="short", epochs=1.0, samples=100,
        command="advnets coordination --quick --out x", machine=environment(), quick=True,
    )  # fmt: skip
    return coordination.page(found)


def of_labels():
    names = ("1-NN on pixels", "D fine-tuned", "D frozen + logistic regression")
    points = [
        Point(method=name, labels=n, draw=d, error=0.1 * i + 1 / n + 0.01 * d)
        for i, name in enumerate(names, 1)
        for n in (20, 40, 100)
        for d in (0, 1)
    ]
    at = {"points": points, "test": 100, "run": "runs/a", "command": "advnets label-curve runs/a"}
    return label_curve.page(LabelCurve(**at, machine=environment()))


NAMES = (
    "pictures",
    "points",
    "comparison",
    "theory",
    "failures",
    "table2",
    "coordination",
    "label-curve",
)


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as started:
        yield started


@pytest.fixture(scope="module")
def pages(browser, images, points, tmp_path_factory):
    """The file of every page, written once."""
    folder = tmp_path_factory.mktemp("pages")
    written = {
        "pictures": scored(images, folder / "images"),
        "points": scored(points, folder / "ring"),
        "comparison": compared(folder / "images", shutil.copytree(images, folder / "other")),
        "theory": theory(),
        "failures": of_failures(),
        "table2": table2.page(made(quick=True)),
        "coordination": of_coordination(),
        "label-curve": of_labels(),
    }
    for name, text in written.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in written}


def opened(browser, path, width, **settings):
    context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
    page = context.new_page()
    page.set_default_timeout(chromium.PATIENCE)
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_no_violation_in_the_light_and_in_the_dark(browser, pages, name, width):
    page = opened(browser, pages[name], width, color_scheme="light")
    assert chromium.axe(page) == []
    page.emulate_media(color_scheme="dark")  # which changes colours alone
    assert chromium.axe(page, rules=["color-contrast"]) == []
    page.context.close()


CUT_OFF = """
() => [...document.querySelectorAll("main *")].filter((e) => {
  const scroller = e.closest(".wide, .equation, pre");
  const box = (scroller ?? e).getBoundingClientRect();
  const alone = scroller && scroller !== e && scroller.tabIndex < 0 && scroller.tagName !== "PRE";
  return box.width && (box.right > innerWidth + 1 || box.left < -1 ||
    (alone && e.getBoundingClientRect().right > box.right + 1));
}).map((e) => e.outerHTML.slice(0, 120))
"""
SMALLEST = """
() => Math.min(99, ...[...document.querySelectorAll(".chart svg")].flatMap((svg) => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll("text")].map((t) => parseFloat(getComputedStyle(t).fontSize) * scale);
}))
"""
# Each clipped curve is followed in 200 steps.
ON_A_CURVE = """
() => [...document.querySelectorAll(".chart svg")].flatMap((svg) => {
  const words = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
  const lines = [...svg.querySelectorAll("path[clip-path]")].filter((p) => p.style.stroke.includes("--curve"));
  return lines.flatMap((path) => {
    const clip = svg.querySelector(path.getAttribute("clip-path").slice(4, -1) + " rect").getBBox();
    const at = path.getScreenCTM(), length = path.getTotalLength();
    return [...Array(200).keys()].flatMap((i) => {
      const own = path.getPointAtLength(length * i / 199), p = own.matrixTransform(at);
      if (own.y < clip.y || own.y > clip.y + clip.height) return [];  // clipped
      return words.filter(([_, b]) => p.x > b.left && p.x < b.right && p.y > b.top && p.y < b.bottom)
        .map(([word]) => word);
    });
  });
})
"""


@pytest.mark.parametrize("name", NAMES)
def test_on_a_phone_nothing_is_cut_off_and_charts_are_read(browser, pages, name):
    page = opened(browser, pages[name], 360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(SMALLEST) >= 11
    assert page.evaluate(ON_A_CURVE) == []
    page.context.close()


PAPER = (673, 1001)  # A4 less the margins, in pixels
BROKEN = """
([width, height]) => [...document.querySelectorAll("table")].filter((t) => {
  const box = t.getBoundingClientRect();
  return box.right > width + 1 || box.height > height || getComputedStyle(t).breakInside !== "avoid";
}).map((t) => t.caption.textContent)
"""


@pytest.mark.parametrize("name", NAMES)
def test_on_paper_a_table_is_whole_on_a_page(browser, pages, name):
    page = opened(browser, pages[name], PAPER[0])
    page.emulate_media(media="print")
    assert page.evaluate(BROKEN, [*PAPER]) == []
    page.context.close()


def test_the_report_opens_with_its_pictures_and_then_the_score(browser, pages):
    """Samples beside real ones, both on the first screen, before any number."""
    page = opened(browser, pages["pictures"], 1440)
    tops = page.evaluate(
        "[...document.querySelectorAll('.sheet img')].map((e) => e.getBoundingClientRect().bottom)"
    )
    assert len(tops) == 2
    assert max(tops) < 900
    first = page.evaluate("document.querySelector('.headline').getBoundingClientRect().top")
    assert max(tops) <= first < 1200
    page.context.close()

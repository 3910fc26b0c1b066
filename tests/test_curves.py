"""Curves: what is left of a long log, and the drawing that a page takes in."""

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from advnets.plotting import curves
from advnets.plotting.curves import Curve, HLine, XAxis


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("n", [0, 1, 20, 21, 1_000, 12_345])
def test_a_thinned_log_keeps_every_extreme_and_invents_nothing(n):
    x, y = np.arange(n) * 250.0, noise(n)
    few_x, few_y = curves.thinned(x, y, points=10)
    assert len(few_x) == len(few_y) <= max(20, 0)
    assert set(zip(few_x, few_y, strict=True)) <= set(zip(x, y, strict=True))
    assert (np.diff(few_x) > 0).all()
    if n:
        assert (few_y.min(), few_y.max()) == (y.min(), y.max())
    if n <= 20:
        assert np.array_equal(few_y, y)


@pytest.mark.parametrize("window", [1, 2, 3, 8, 500])
def test_a_running_mean_is_the_written_out_one(window):
    y = noise(60)
    expected = []
    for i in range(60):
        around = y[max(0, i - window // 2) : min(60, i + (window + 1) // 2)]
        expected.append(sum(around) / len(around))
    assert curves.running_mean(y, window) == pytest.approx(expected)


def test_a_running_mean_of_a_constant_is_that_constant():
    assert curves.running_mean(np.full(30, 7.0), 9) == pytest.approx(np.full(30, 7.0))


def test_a_short_log_is_drawn_as_it_is_and_a_long_one_as_a_mean_on_its_noise():
    x, y = np.arange(5_000.0), noise(5_000)
    short = curves.smoothed("V", x[:9], y[:9], 0)
    assert short.noise is None
    assert np.array_equal(short.y, y[:9])
    long = curves.smoothed("V", x, y, 125)
    assert len(long.x) == curves.POINTS
    assert long.y == pytest.approx(curves.running_mean(y, 125)[long.x.astype(int)])
    assert len(long.noise[0]) <= 2 * curves.POINTS


def two_curves(n=40):
    x = np.arange(n) * 100.0
    return [
        curves.smoothed("D(x) < & >", x, noise(n), 4),
        Curve(label="averaged", x=x, y=noise(n, 1), error=np.full(n, 0.2)),
    ]


def drawing(name="one", **settings):
    settings = {"end": 4_000, "levels": [HLine(label="1/2", y=0.5)]} | settings
    return curves.draw(two_curves(), name=name, **settings)


def test_a_drawing_is_one_element_with_its_labels_as_text_and_the_same_every_time():
    svg = drawing()
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    texts = ["".join(t.itertext()) for t in root.iter("text")]
    for label in ("D(x) < & >", "averaged", "1/2", "updates", "0", "1k", "4k"):
        assert label in texts
    assert svg == drawing()


def test_the_ids_of_a_drawing_are_its_own_and_its_references_stay_inside():
    one, two = drawing("one"), drawing("two")
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, two), ids, strict=True):
        assert len(re.findall(r'\bid="', svg)) == len(own)
        assert set(re.findall(r'(?:href="|url\()#([^")]*)', svg)) <= own
        assert not re.findall(r'href="(?!#)|https?:|<style|<metadata|font-family', svg)


def test_text_is_eleven_pixels_high_on_a_telephone():
    """360 pixels wide, 32 of them the page's margins."""
    svg = drawing()
    width = float(re.search(r'viewBox="0 0 ([\d.]+) ', svg)[1])
    sizes = re.findall(r"font(?:-size)?: (?:[a-z]+ )*([\d.]+)px", svg)
    assert len(sizes) >= svg.count("<text") > 0
    assert min(map(float, sizes)) * (360 - 32) / width >= 11


def test_long_names_stand_one_under_another():
    def height(label):
        both = [Curve(label=label * n, x=np.arange(3.0), y=np.arange(3.0)) for n in (1, 2)]
        svg = curves.draw(both, name="c", end=2)
        texts = re.findall(r"<text[^>]*y=\"([\d.]+)\"[^>]*>([^<]*)</text>", svg)
        return {y for y, words in texts if words.startswith(label)}

    assert len(height("short")) == 1
    assert len(height("one of the longer names")) == 2


def test_colours_are_left_to_the_page():
    svg = drawing()
    for colour in ("var(--curve-0)", "var(--curve-1)", "var(--rule)", "currentColor"):
        assert colour in svg
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)


def test_curves_differ_by_colour_by_dashes_and_by_markers():
    many = [Curve(label=str(i), x=np.arange(9.0), y=np.arange(9.0) + i) for i in range(4)]
    svg = curves.draw(many, name="c", end=8)
    lines = re.findall(r'<path d="[^"]*"[^>]*style="(fill: none;[^"]*var\(--curve[^"]*)"', svg)
    dashes = {re.sub(r"var\(--curve-\d\)", "", line) for line in lines}
    assert len(dashes) == 4
    markers = set(re.findall(r'<path id="[^"]*" d="([^"]*)"[^>]*var\(--curve', svg))
    assert len(markers) == 4


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-9, 1e9])
@pytest.mark.parametrize("log", [False, True])
def test_one_value_zeros_and_extremes_are_drawn(value, log):
    curve = Curve(label="V", x=np.array([100.0]), y=np.array([value]))
    assert curves.draw([curve], name="c", end=100, log=log, at=100).startswith("<svg viewBox=")
    flat = Curve(label="V", x=np.arange(3.0), y=np.array([value, 1.0, value]))
    limits = None if log else (0.0, None)
    assert curves.draw([flat], name="c", end=2, log=log, limits=limits).endswith("</svg>")


def words_of(svg):
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    return ["".join(t.itertext()) for t in root.iter("text")]


def test_the_horizontal_axis_may_hold_something_else():
    x = np.linspace(-2.0, 2.0, 5)
    curve = Curve(label="p", x=x, y=x**2)
    words = words_of(curves.draw([curve], name="c", across=XAxis(label="x")))
    assert {"x", "\N{MINUS SIGN}2", "0", "2"} <= {*words}
    assert "updates" not in words
    wide = words_of(curves.draw([curve], name="c", across=XAxis(label="x", limits=(-9, 9))))
    assert "\N{MINUS SIGN}5" in wide
    steps = Curve(label="C", x=np.array([1.0, 10.0, 1000.0]), y=np.ones(3))
    log = words_of(curves.draw([steps], name="c", across=XAxis(label="steps", log=True)))
    assert [w for w in log if w[0] == "1"][:4] == ["1", "10", "100", "1k"]
    assert curves.draw([steps], name="c") == curves.draw([steps], name="c", end=1000)


def test_a_narrow_logarithmic_axis_has_numbers_alone_though_a_decade_lies_in_it():
    curve = Curve(label="KL", x=np.arange(2.0), y=np.array([0.5, 2.4]))
    words = words_of(curves.draw([curve], name="c", across=XAxis(label="seconds"), log=True))
    assert not [w for w in words if "$" in w] and "1.2" in words


def test_points_that_are_not_joined_have_a_marker_each_and_no_line():
    x = np.linspace(0, 1, 50)
    both = [Curve(label=str(j), x=x, y=x, joined=j) for j in (True, False)]
    markers = [curves.draw([curve], name="c", end=1).count("<use") for curve in both]
    assert markers[1] - markers[0] >= 40
    dots = curves.draw([both[1]], name="c", end=1)
    assert not re.findall(
        r'<path d="[^"]*" clip-path="[^"]*" style="fill: none; stroke: var\(--curve', dots
    )


def test_a_drawing_for_where_no_page_is_has_the_palette_on_white_and_is_the_same_every_time():
    x = np.arange(5.0)
    lines = [Curve(label=label, x=x, y=x * slope) for label, slope in (("up", 1), ("down", -1))]
    level = HLine(label="half", y=0.5)
    data = curves.png(lines, across=XAxis(label="steps"), levels=[level], limits=(-5, 5))
    assert data == curves.png(lines, across=XAxis(label="steps"), levels=[level], limits=(-5, 5))
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert pixels.shape[1] == 800
    assert (pixels[0, 0] == 255).all()
    for colour in curves.PALETTE[:2]:
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (abs(pixels.astype(int) - rgb).max(axis=2) <= 2).any(), colour

"""The report: one page that needs nothing outside itself, of whatever a run folder holds."""

import ast
import base64
import io
import json
import math
import re
import shutil
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
from PIL import Image

import advnets
from advnets import report
from advnets.cli import command
from advnets.evaluation import protocol
from advnets.evaluation.parzen import LogLikelihood
from advnets.html import markup
from advnets.plotting import images as plots
from advnets.report import embedded, opening, panels, pictures, scores
from conftest import ROOT, small_run

TAG = re.compile(r"</?[a-z]+[1-6]?[ >]|<[a-z]+$")
VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """What a page holds, and whether its elements are nested as they should be."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.words = [], [], [], []
        self.drawings = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        if tag == "svg":
            around = self.attributes[-1]
            self.drawings.append(around["aria-label"] if around.get("role") == "img" else None)
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & {*self.open}:
            self.words.append(data)

    def all(self, tag):
        return [a for t, a in zip(self.tags, self.attributes, strict=True) if t == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def page_of(folder, checkpoint="best", say=lambda line: None):
    return report.page(advnets.load(folder, checkpoint=checkpoint), say=say)


def copy_of(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "run")


@pytest.fixture(scope="module")
def folders(images, points, tmp_path_factory):
    """Copies of the runs, with their scores."""
    here = tmp_path_factory.mktemp("reports")
    runs = {"images": images, "points": points}
    copies = {name: shutil.copytree(run, here / name) for name, run in runs.items()}
    for copied in copies.values():
        advnets.load(copied).score()
    return copies


@pytest.fixture(scope="module")
def pages(folders):
    return {name: page_of(folder) for name, folder in folders.items()}


@pytest.fixture(scope="module", params=["images", "points"])
def written(request, pages):
    return pages[request.param]


def test_the_page_refers_to_nothing_outside_itself(written):
    page = Page(written)
    ids = [a["id"] for a in page.attributes if "id" in a]
    assert len(ids) == len(set(ids))
    for attributes in page.attributes:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            if name in attributes:
                target = attributes[name]
                assert target.startswith("data:") or target[1:] in ids, target
    assert "script" not in page.tags
    style = re.search(r"<style>(.*?)</style>", written, re.DOTALL)[1]
    assert "@import" not in written
    assert "url(" not in style
    assert "//" not in re.sub(r"base64,[\w+/=]*", "", written)


def test_its_pictures_open_and_say_what_they_show(written):
    for image in Page(written).all("img"):
        kind, _, data = image["src"].partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
            opened.load()
            assert kind == f"data:{Image.MIME[opened.format]}"
            assert opened.size == (int(image["width"]), int(image["height"]))
        assert image["alt"]


def test_it_can_be_read_on_a_phone_in_the_dark_on_paper_and_aloud(written):
    page = Page(written)
    assert written.startswith("<!doctype html>")
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    assert re.search(r"<title>\w+ · advnets</title>", written)
    assert page.tags.count("h1") == 1
    for words in ("prefers-color-scheme: dark", "@media print", "max-width: 34rem"):
        assert words in written
    assert {a["scope"] for a in page.all("th")} == {"col", "row"}
    assert page.tags.count("caption") == page.tags.count("table") > 0
    assert len(page.drawings) == page.tags.count("svg") > 0
    assert all(page.drawings)


def contrast(one, other):
    """Of two colours, by WCAG 2.2."""
    light = []
    for colour in (one, other):
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(light) / min(light)


def test_words_stand_out_from_the_paper_in_the_light_and_in_the_dark(pages):
    schemes = re.findall(r":root \{(.*?)\}", pages["images"], re.DOTALL)[:2]
    for scheme in schemes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", scheme))
        for name in ("ink", "soft", "accent", "good", "bad"):
            for ground in ("paper", "wash"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def test_the_same_run_gives_the_same_bytes(folders, pages):
    for name, folder in folders.items():
        assert page_of(folder) == pages[name]


def test_sections_are_those_that_the_run_has_and_links_lead_to_them(pages):
    page = pages["images"]
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    everything = [
        "Scores",
        "Samples over time",
        "Figures",
        "Curves",
        "Configuration",
        "Environment",
    ]
    assert titles == everything
    assert re.findall(r'<a href="#[^"]*">(.*?)</a>', page) == everything


def test_the_number_that_matters_stands_beside_real_examples_and_its_caveat(folders, pages):
    text = Page(pages["images"]).text
    record = json.loads((folders["images"] / "evaluation.json").read_text())
    for line in record["lines"]:
        score = str(LogLikelihood(**line["test"])).removesuffix(" nats")
        assert score.replace("+-", "±").replace("-", "\N{MINUS SIGN}") in text
        assert line["name"] in text
    head = text[: text.index("Scores")]
    for words in (
        "pictures",
        "game on array",
        "160 of 1 \N{MULTIPLICATION SIGN} 6 \N{MULTIPLICATION SIGN} 5",
        "Seed 0",
        "40 of 16",
    ):
        assert words in text, words
    assert "real training examples" in head
    assert record["caveat"] in text
    assert "standard error over the test examples" in text


def test_the_page_opens_with_samples_beside_real_examples_none_picked(folders, pages):
    page = str(pages["images"])
    above = page[page.index('<div class="sheet">') : page.index('<dl class="headline">')]
    shown = Page(above).all("img")
    assert [i["alt"] for i in shown] == ["Samples (raw)", "Real test examples"]
    assert "<table" not in page[: page.index('<dl class="headline">')]
    run = advnets.load(folders["images"])
    pixels = plots.grid(run.sample(opening.COLUMNS * opening.ROWS), columns=opening.COLUMNS)
    with Image.open(io.BytesIO(base64.b64decode(shown[0]["src"].partition(",")[2]))) as picture:
        enlarged = plots.enlarged(pixels, width=embedded.SIDE)[:, :, 0]
        assert np.array_equal(np.asarray(picture), enlarged)


def test_points_open_with_a_plot_of_each_and_numbers_with_histograms(pages, tmp_path):
    assert Page(pages["points"]).drawings[:2] == ["Samples (raw)", "Real test examples"]
    rng = np.random.default_rng(0)
    for d, titles in (
        (1, ["Samples (raw) and real test examples"]),
        (5, ["Samples (raw)", "Real test examples"]),
    ):
        np.save(tmp_path / f"{d}.npy", rng.random((200, d)))
        data = advnets.data.ArrayConfig(path=str(tmp_path / f"{d}.npy"))
        trainer = advnets.TrainerConfig(steps=2, score_every=0, sample_every=0)
        assert advnets.train(small_run(data=data, trainer=trainer), tmp_path / f"run{d}")
        run = advnets.load(tmp_path / f"run{d}", checkpoint="last")
        sheet = opening.sheet(run)
        assert Page(sheet).drawings == titles
        assert ("principal direction" in sheet) == (d == 5)
        (tmp_path / f"{d}.npy").unlink()
        alone = opening.sheet(run)
        assert len(Page(alone).drawings) == 1
        assert f"Real examples are not shown: {tmp_path / f'{d}.npy'}: no such file" in alone


def test_tensorboards_logs_are_named_where_there_are_some(folders, tmp_path):
    folder = copy_of(folders["points"], tmp_path)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    assert "pip install 'advnets[tensorboard]'" in Page(page_of(folder)).text
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1").write_bytes(b"")
    assert "tensorboard --logdir run/tensorboard" in Page(page_of(folder)).text


def test_the_data_is_read_once_for_a_page(folders, monkeypatch):
    reads, read = [], advnets.runs.run.read_again
    monkeypatch.setattr(advnets.runs.run, "read_again", lambda *a: reads.append(a) or read(*a))
    page_of(folders["images"])
    assert len(reads) == 1


def test_every_curve_is_there_with_what_it_is_read_against(pages):
    page = pages["images"]
    assert Page(page).drawings == [
        "Validation score",
        "The value of the game, V(D, G)",
        "D on data and samples",
        "The loss of G, J",
        "Gradient norms",
        "Spread of the samples",
        "Speed",
    ]
    text = Page(page).text
    for words in (
        "\N{MINUS SIGN}log 4",
        "½",
        "real training examples",
        "averaged",
        "D(G(z)), samples",
    ):
        assert words in text


def test_figures_are_those_of_the_command(folders, pages, tmp_path):
    page = Page(pages["images"])
    found = [base64.b64decode(i["src"].partition(",")[2]) for i in page.all("img")][-2:]
    for number, data in zip("23", found, strict=True):
        out = tmp_path / f"{number}.png"
        words = ["figure", number, str(folders["images"]), "--out", str(out)]
        assert command.main(words) == 0
        assert out.read_bytes() == data


def test_points_get_their_last_picture_for_figures(folders, pages):
    page = Page(pages["points"])
    last = (folders["points"] / "samples" / "00000040.png").read_bytes()
    found = [base64.b64decode(i["src"].partition(",")[2]) for i in page.all("img")]
    assert found[-1] == last
    assert "Figures 2 and 3 show images only" in page.text


# What a run may lack


def test_a_run_that_is_not_scored_is_scored_as_the_command_does_and_it_says_so(images, tmp_path):
    folder, said = copy_of(images, tmp_path), []
    first = page_of(folder, say=said.append)
    assert re.search(r"no scores of update \d+ are kept here; scoring it first\.", said[0])
    kept = (folder / "evaluation.json").read_bytes()
    assert command.main(["evaluate", str(folder)]) == 0
    assert (folder / "evaluation.json").read_bytes() == kept
    assert page_of(folder, say=said.append) == first
    assert len(said) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"update": 40}', '{"lines": 3, "update": 40}'])
def test_damaged_scores_are_no_scores(tmp_path, text):
    said = []
    (tmp_path / "evaluation.json").write_text(text)
    assert scores.kept(tmp_path / "evaluation.json", 40, said.append) is None
    assert re.search(r"evaluation\.json: missing or damaged \(.*\)\. It is scored anew\.", said[0])
    assert scores.kept(tmp_path / "none.json", 40, said.append) is None
    assert len(said) == 1


def test_scores_of_another_update_are_made_anew(folders):
    path = folders["images"] / "evaluation.json"
    before = path.read_text()
    update = json.loads(before)["update"]
    path.write_text(json.dumps({**json.loads(before), "update": update + 1}))
    assert scores.kept(path, update, print) is None
    made = scores.at_hand(advnets.load(folders["images"]), print).result
    assert made.lines == scores.kept(path, update, print).lines
    assert path.read_text() == before


def test_a_run_whose_data_is_gone_gets_a_page_that_says_so(images, tmp_path):
    folder, said = copy_of(images, tmp_path), []
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(re.sub(r'path = ".*"', 'path = "gone.npy"', config))
    text = Page(page_of(folder, say=said.append)).text
    assert "Not scored: gone.npy: no such file" in text
    assert "Figure 2 is left out: gone.npy: no such file" in text
    assert "Figure 3. From one z to another" in text
    assert len(said) == 3


def test_a_run_with_nothing_but_a_checkpoint_gets_a_page(images, tmp_path):
    folder = copy_of(images, tmp_path)
    for path in [*(folder / "samples").iterdir(), *folder.glob("*.jsonl")]:
        path.unlink()
    (folder / "environment.json").unlink()
    page = page_of(folder)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles == ["Scores", "Figures", "Configuration"]
    assert "This run is not finished" in page


def test_an_unfinished_run_says_where_it_stands(points, tmp_path):
    folder = copy_of(points, tmp_path)
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config.replace("steps = 40", "steps = 4000"))
    assert "This run is not finished: it stands at update 40 of 4,000." in page_of(folder)


def test_damaged_lines_and_pictures_are_passed_over(images, tmp_path):
    folder = copy_of(images, tmp_path)
    whole = page_of(folder)
    metrics = folder / "metrics.jsonl"
    lines = metrics.read_text()
    broken = (
        'not JSON\n[1]\n{"update": "x"}\n{"V": 1.0}\n{"update": 7, "V": NaN}\n{"update": 9, "V"'
    )
    metrics.write_text(lines + broken)
    assert page_of(folder) == whole
    (folder / "samples" / "00000030.png").write_bytes(b"not a PNG")
    assert page_of(folder) == whole


def test_whatever_a_learner_logs_gets_a_curve_of_its_own():
    metrics = [{"update": u, "free energy": -u, "layer": {"1": u}} for u in range(5)]
    charts = panels.drawn(metrics, [], None, used=4)
    assert [chart.title for chart in charts] == ["free energy", "layer.1"]
    assert Page(panels.section(metrics, [], None, used=4)).drawings == ["free energy", "layer.1"]
    assert panels.section([], [], None, used=0) == ""


def test_a_log_of_a_million_updates_stays_a_small_page():
    noise = np.random.default_rng(0).normal(size=(4_000, 6)).tolist()
    names = ["V", "J", "D_x", "D_Gz", "G_gradient", "D_gradient"]
    metrics = [
        {"update": 250 * (i + 1), **dict(zip(names, values, strict=True))}
        for i, values in enumerate(noise)
    ]
    figures = panels.section(metrics, [], None, used=1_000_000)
    assert len(figures) < 400_000
    assert "Bold: mean over 25,000 updates; faint: the range of what was logged." in figures


EVIL = """</style><script>alert(1)</script> & "it's" $\\x$ {{ 7 * 7 }}"""


WORDS = {"better", "against", "features"}
"""What a record says in words of ours alone; others make it a damaged one."""


def spoiled(value):
    """Every text in a record replaced, its keys as they are."""
    if isinstance(value, dict):
        return {k: inner if k in WORDS else spoiled(inner) for k, inner in value.items()}
    if isinstance(value, list):
        return [spoiled(inner) for inner in value]
    return f"{value} {EVIL}" if isinstance(value, str) else value


def corrupt(path, **more):
    record = spoiled(json.loads(path.read_text()) | more)
    path.write_text(json.dumps(record))


def test_what_comes_from_a_run_is_escaped(folders, tmp_path):
    """Recipe, names of samples, notices, classes, warnings, measures, environment, metrics."""
    folder = shutil.copytree(folders["images"], tmp_path / "<b>&'\"")
    config = (folder / "config.toml").read_text()
    recipe = f"recipe = {json.dumps(EVIL)}"
    (folder / "config.toml").write_text(config.replace('recipe = "pictures"', recipe))
    corrupt(
        folder / "evaluation.json", notice="not MNIST.", quality=QUALITY | {"left_out": ["No."]}
    )
    corrupt(folder / "data.json", notice="not MNIST.", classes=["cat"])
    (folder / "environment.json").write_text(json.dumps({EVIL: [EVIL], "none": None}))
    with (folder / "metrics.jsonl").open("a") as lines:
        lines.write(json.dumps({"update": 40, EVIL: 1.0, "sentence": EVIL}) + "\n")
    written = page_of(folder)
    page = Page(written)
    assert not {"script", "b&'"} & {*page.tags}
    assert re.search(r"<title>(.*?)</title>", written)[1].startswith("&lt;b&gt;&amp;&#39;&#34;")
    assert page.text.count("alert(1)") > 20
    assert "<script" not in written
    for words in (
        f"Recipe {EVIL}",
        f"samples (raw {EVIL})",
        f"The data is not MNIST. {EVIL}",
        f"Update 40. {EVIL}",
        f"Recall {EVIL}",
        f"How much. {EVIL}",
        f"No. {EVIL}",
        f"A small network <of 3 layers>. {EVIL}",
    ):
        assert words in page.text, words
    assert EVIL in page.drawings


def test_tags_stand_in_templates_alone():
    """Nothing escapes what Python joins; tags are named to cut matplotlib's SVG to size, and where
    the studio's page gets a script for each run, by number."""
    found = set()
    for path in (ROOT / "src" / "advnets").rglob("*.py"):
        nodes = [*ast.walk(ast.parse(path.read_text()))]
        docstrings = {n.value for n in nodes if isinstance(n, ast.Expr)}
        strings = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        if any(TAG.search(s.value) for s in strings if s not in docstrings):
            found.add(path.name)
    assert found == {"curves.py", "export.py"}


# The other measures

QUALITY = {
    "features": "classifier",
    "describe": "A small network <of 3 layers>.",
    "accuracy": 0.98,
    "measures": [
        {"name": "frechet", "title": "Frechet distance", "better": "lower", "meaning": "How far."},
        {"name": "recall", "title": "Recall", "better": "higher", "meaning": "How much."},
    ],
    "rows": [
        {
            "name": "raw",
            "values": {"frechet": {"value": 12.34, "low": -0.5, "high": 13.0, "n": 50}},
        },
        {
            "name": "real training examples",
            "values": {
                "frechet": {"value": 0.00012, "low": 0.0, "high": 0.5, "n": 50},
                "recall": {"value": 0.987654, "low": 0.9, "high": 1.0, "n": 50},
            },
        },
    ],
}


def with_quality(folder, quality):
    """The text of a page whose scores hold these measures."""
    path = folder / "evaluation.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"quality": quality}))
    text = Page(page_of(folder)).text
    path.write_text(json.dumps(record))
    return text


def test_the_other_measures_stand_with_their_intervals_where_they_were_taken(folders):
    text = with_quality(folders["images"], QUALITY)
    for words in (
        "95% bootstrap intervals, 50 samples each",
        "Frechet distance lower is better 12.3 \N{MINUS SIGN}0.500 to 13 0.0001 0 to 0.500",
        "Recall higher is better \N{EN DASH} 0.988 0.900 to 1",
        "A small network <of 3 layers>.",
        "How far.",
    ):
        assert words in text, words


def test_for_pictures_the_metrics_lead_and_for_points_parzen(folders):
    text = with_quality(folders["images"], QUALITY)
    head = text[: text.index("Scores Samples")]
    assert re.search(
        r"Frechet distance lower is better 12\.3 .*real examples: 0\.0001.*Parzen", head
    )
    assert text.index("Metrics against held-out") < text.index("Parzen log-likelihood, nats")
    other = with_quality(folders["points"], QUALITY)
    assert "Frechet" not in other[: other.index("Scores Samples")]
    assert "Parzen log-likelihood nats per example" in other[: other.index("Scores Samples")]


def test_unlike_counts_stand_with_every_value(folders):
    unlike = json.loads(json.dumps(QUALITY))
    unlike["rows"][0]["values"]["frechet"]["n"] = 4_000
    text = with_quality(folders["images"], unlike)
    assert "n 4,000" in text
    assert "n 50" in text
    assert "samples each" not in text


def test_a_measure_that_could_not_be_had_says_why(folders):
    why = "'spread' must be measured on at least 20 samples, got 3."
    page = with_quality(folders["images"], QUALITY | {"left_out": [why]})
    assert why in page
    none = QUALITY | {"measures": [], "rows": [], "left_out": [why]}
    page = with_quality(folders["images"], none)
    assert why in page and "95% bootstrap" not in page


@pytest.mark.parametrize("quality", [None, {}])
def test_measures_that_were_not_taken_are_not_spoken_of(folders, quality):
    assert "95% bootstrap" not in with_quality(folders["images"], quality)


def test_scores_come_back_from_their_record(points):
    result = advnets.load(points).evaluate(quality=False)
    assert protocol.from_dict(json.loads(json.dumps(result.to_dict()))) == result


# Its parts


def test_chains_stand_with_what_their_samples_are_worth(tmp_path, capsys):
    model = advnets.RBMConfig(hidden=5, chain=advnets.ChainConfig(chains=4, burn_in=3, thin=2))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((100, 6, 5)))
    data = advnets.data.ArrayConfig(path=str(tmp_path / "x.npy"))
    assert advnets.train(small_run(model=model, data=data), tmp_path / "run")
    assert command.main(["evaluate", str(tmp_path / "run"), "--quality", "False"]) == 0
    said = capsys.readouterr().out
    assert "Samples from chain: 4 chains, burn-in 3, every 2. state: autocorrelation time" in said
    worth = json.loads((tmp_path / "run" / "evaluation.json").read_text())["lines"][0]["mixing"]
    assert f"{worth['effective']:,.0f} effective samples" in said
    page = report.page(advnets.load(tmp_path / "run"), say=print)
    assert "<caption>Markov chains</caption>" in page
    assert f"{worth['tau']:,.1f}" in page and f"{worth['per_second']:,.1f}" in page
    assert "Samples of the same random numbers" in page and "Samples of the same z" not in page


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 18, 200, 1_000])
def test_pictures_are_spread_with_the_early_ones_closer_together(n):
    chosen = pictures.spread(list(range(n)), 8)
    assert len(chosen) == min(n, 8)
    assert chosen == sorted(set(chosen))
    if n:
        assert (chosen[0], chosen[-1]) == (0, n - 1)
    steps = np.diff(chosen)
    assert (np.diff(steps) >= 0).all() or n < 18


def test_heavy_pictures_are_made_smaller_and_light_ones_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    plots.save_png(tmp_path / "heavy.png", pixels)
    plots.save_png(tmp_path / "light.png", pixels[:50, :50])
    data, size, kind = pictures.reduced(tmp_path / "heavy.png")
    assert (size, kind) == ((640, 640), "image/jpeg")
    assert len(data) < (tmp_path / "heavy.png").stat().st_size / 3
    light = (tmp_path / "light.png").read_bytes()
    assert pictures.reduced(tmp_path / "light.png") == (light, (50, 50), "image/png")


def test_a_series_holds_finite_numbers_in_the_order_of_updates():
    records = [
        {"update": 20, "V": 1},
        {"update": 10, "V": math.nan, "J": 2.0},
        {"update": 10, "V": 0.5, "words": "no", "flag": None},
    ]
    found = panels.series(records)
    assert found.keys() == {"V", "J"}
    assert [xy.tolist() for xy in found["V"]] == [[10.0, 20.0], [0.5, 1.0]]


def facts(**settings):
    return markup.render("configuration.html", {"settings": settings, "toml": "<&\"'>"})


def test_a_template_escapes_and_leaves_out_what_is_not_known():
    assert "<code>&lt;&amp;&#34;&#39;&gt;</code>" in facts()
    assert "<dt>" not in facts(a=None, b="")
    assert "<dd>0</dd>" in facts(a=0)


def test_a_template_that_lacks_a_value_is_an_error_and_no_gap():
    with pytest.raises(jinja2.UndefinedError, match="toml"):
        markup.render("configuration.html", {"settings": {}})


def test_numbers_are_written_short():
    assert scores.short(1234567.0) == "1,234,567"

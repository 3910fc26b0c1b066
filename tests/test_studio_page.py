"""The page in a real browser: headless Chromium by Playwright, with nothing but this machine."""

import json
import shutil
import threading
import time

import pytest
import torch

import chromium
from advnets.studio import export, runs
from advnets.studio.server import Studio
from chromium import PATIENCE, axe

SMALL = "m=16&G=8&D=8"
quiet = lambda _: None  # noqa: E731


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    export.write(folder, say=quiet)
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def watched(images, tmp_path_factory):
    """The folder of a run whose name is markup, and its page from a server."""
    folder = tmp_path_factory.mktemp("named") / "<img src=x onerror=alert(1)>"
    shutil.copytree(images, folder)
    with Studio([runs.opened(folder)], how="float16", port=0, say=quiet) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield folder, served.url
        served.shutdown()
        thread.join()


class Opened:
    """A page with all that it asked for and complained of."""

    def __init__(self, browser, url, *, wait=True, script="", **settings):
        self.context = browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}} | settings
        )
        self.context.add_init_script(script)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.asked, self.said = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(url)
        if wait:
            self.until("window.__state !== undefined")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def state(self):
        return json.loads(self.page.evaluate("JSON.stringify(window.__state)"))

    def until(self, condition):
        """The page's state once a condition holds; the page's policy forbids to wait inside it."""
        end = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, (condition, self.said)
            self.page.wait_for_timeout(30)
        return self.state()

    def clean(self):
        local = ("file://", "http://127.0.0.1:", "blob:", "data:")
        assert all(url.startswith(local) for url in self.asked), self.asked
        assert self.said == []


def test_the_game_plays_from_the_disk_with_nothing_but_its_own_files(browser, site):
    with Opened(browser, f"{site}#{SMALL}") as it:
        it.page.click("#transport >> text=Play")
        it.until("__state.t > 60 && __state.playing")
        it.page.click("#transport >> text=Pause")
        end = it.until("!__state.playing")
        assert "Step" in it.page.inner_text("#summary")
        colours = "new Set(document.querySelector('#canvas').getContext('2d').getImageData(0, 0, 300, 300).data).size"
        assert it.page.evaluate(colours) > 20
        assert f"moves=r{end['t']}" in it.page.url
        it.clean()
        names = {url.split("#")[0].rsplit("/", 1)[1] for url in it.asked if url.startswith("file:")}
        assert names == {"index.html", "studio.css", "studio.js"}


def test_the_url_brings_back_the_same_game_to_the_bit(browser, site):
    settings = f"{SMALL}&data=grid&objective=relativistic&r1=0.5&seed=7&k=2&rule=momentum&G_lr=0.01"
    with Opened(browser, f"{site}#{settings}") as it:
        for name, n in (("Step", 3), ("D only", 2), ("G only", 1)):
            for _ in range(n):
                before = it.state()["t"]
                it.page.click(f"#transport >> text={name}")
                it.until(f"__state.t > {before}")
        first, url = it.state(), it.page.url
        assert first["moves"] == "r3D2G1"
        it.page.click("#transport >> text=Back")
        it.until("__state.t === 5")
        it.page.click("#transport >> text=G only")
        assert it.until("__state.t === 6")["fingerprint"] == first["fingerprint"]
    with Opened(browser, url) as again:
        assert again.state()["fingerprint"] == first["fingerprint"]
        assert again.page.input_value("#field-k") == "2"
        again.page.click("text=All defaults")
        again.until("__state.moves === ''")
        assert "#" not in again.page.url.rstrip("#")


# Every message in its turn, and a moment after each new game before its first picture.
LATE = """
const Started = Worker;
window.Worker = class extends Started {
  turn = Promise.resolve();
  set onmessage(receive) {
    super.onmessage = (event) => {
      const rest = event.data.kind === "frame" ? 150 : 0;
      this.turn = this.turn.then(() => receive(event)).then(() => new Promise((then) => setTimeout(then, rest)));
    };
  }
};
"""


def test_a_redraw_between_a_new_game_and_its_first_picture_draws_nothing_of_the_last(browser, site):
    with Opened(browser, f"{site}#{SMALL}", script=LATE) as it:
        for data in ("bimodal", "ring", "sharp"):
            it.page.evaluate(
                f"window.__state = null; location.hash = '{SMALL}&data={data}&lines=1'"
            )
            for width in (301, 302, 303, 304):  # each is a redraw
                it.page.evaluate(f"document.getElementById('canvas').style.width = '{width}px'")
                it.page.wait_for_timeout(30)
            it.until("window.__state")
        it.clean()


@pytest.mark.parametrize("width", [360, 720, 768, 1440])  # 720 is 1440 at 200 % zoom
def test_nothing_is_cut_off_at_any_width(browser, site, width):
    with Opened(
        browser,
        f"{site}#{SMALL}",
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    ) as it:
        assert it.page.evaluate("document.documentElement.scrollWidth") <= width
        wide = "[...document.querySelectorAll('button, select, input, canvas, svg.chart')].filter((e) => e.offsetParent !== null && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.id || e.textContent)"
        assert it.page.evaluate(wide) == []
        it.clean()


def focusable(page):
    return page.evaluate(
        "[...document.querySelectorAll('a[href], button, select, input, textarea, summary, [tabindex]')]"
        ".filter((e) => e.checkVisibility() && !e.disabled && e.tabIndex >= 0).length"
    )


def test_every_control_is_reached_and_worked_by_keyboard_alone(browser, site):
    with Opened(browser, f"{site}#{SMALL}") as it:
        seen = set()
        expected = focusable(it.page)
        for _ in range(expected + 3):
            it.page.keyboard.press("Tab")
            tag = "((e) => [...document.querySelectorAll('*')].indexOf(e) + ':' + (e.id || e.textContent.slice(0, 20)))(document.activeElement)"
            seen.add(it.page.evaluate(tag))
        assert len({name for name in seen if not name.endswith(":BODY")}) >= expected
        it.page.focus("#transport button")
        it.page.keyboard.press("Enter")
        it.until("__state.playing")
        it.page.keyboard.press("Space")
        it.until("!__state.playing")
        before = it.state()["t"]
        it.page.focus("#timeline")
        it.page.keyboard.press("Home")
        it.until("__state.t === 0")
        it.page.focus("#field-objective")
        it.page.keyboard.press("m")
        it.until("location.hash.includes('objective=minimax')")
        assert before > 0
        it.clean()


def test_data_is_drawn_by_keyboard_by_touch_and_pasted(browser, site):
    phone = {"viewport": {"width": 360, "height": 800}, "has_touch": True, "is_mobile": True}
    with Opened(browser, f"{site}#{SMALL}", **phone) as it:
        it.page.tap("text=Draw on the picture")
        box = it.page.locator("#canvas").bounding_box()
        it.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        it.until("location.hash.includes('points=2:')")
        x, y = map(
            float, it.page.evaluate("location.hash.match(/points=2:([-\\d.,]+)/)[1]").split(",")
        )
        assert abs(x) < 0.05
        assert abs(y) < 0.05
        it.page.focus("#canvas")
        for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Space"):
            it.page.keyboard.press(key)
        it.until("location.hash.includes(',0.2,0.1')")
        it.page.keyboard.press("Backspace")
        it.until("!location.hash.includes(',0.2,0.1')")
        it.page.click("text=Paste numbers (CSV)")
        for text, said in (
            ("1,2\n<b>cat</b>,3", "must hold numbers, got '<b>cat</b>'"),
            ("1,2\n3,4\n5,1", "3 points"),
        ):
            it.page.fill("#csv", text)
            it.page.click("text=Use these numbers")
            it.until(f"document.body.innerText.includes({json.dumps(said)})")
        assert it.page.locator("#pad-place b").count() == 0
        it.clean()


def test_slow_motion_names_each_line_and_the_tour_and_failures_play(browser, site):
    with Opened(browser, f"{site}#{SMALL}") as it:
        lines = "[...document.querySelectorAll('#algorithm li')]"
        for i, word in enumerate(["Sample", "Sample", "Update", "Sample", "Update"]):
            it.page.click("text=Next line")
            it.until(f"{lines}.findIndex((line) => line.hasAttribute('aria-current')) === {i}")
            assert it.page.inner_text("#algorithm [aria-current]").startswith(word)
        it.until("__state.t === 1")
        it.page.click("text=Begin the tour")
        it.until("__state.t === 0")
        it.page.click("#lessons >> text=Next")
        it.until("__state.moves === 'D200'")
        assert "D learns first" in it.page.inner_text("#lessons")
        it.clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_the_game_or_a_run(browser, watched, scheme):
    with Opened(
        browser, f"{watched[1]}#{SMALL}&moves=r60", color_scheme=scheme, bypass_csp=True
    ) as it:
        assert axe(it.page) == []
        it.page.click("nav >> text=onerror")
        it.page.wait_for_selector("#run-view .sheet canvas")
        it.page.wait_for_selector("#run-view figure canvas")
        assert axe(it.page) == []


def test_a_run_is_looked_at_and_its_name_is_text(browser, watched):
    folder, url = watched
    with Opened(browser, f"{url}#{SMALL}") as it:
        it.page.click("nav >> text=onerror")
        it.until('document.body.innerText.includes("torch\'s differ by at most")')
        assert folder.name in it.page.inner_text("#run-view h2")
        assert it.page.locator("img[src=x]").count() == 0
        differ = it.page.evaluate(
            "document.body.innerText.match(/differ by at most ([\\d.e-]+)/)[1]"
        )
        assert float(differ) < 1e-3
        it.page.fill("#run-seed", "5")
        it.page.keyboard.press("Enter")
        it.until("document.body.innerText.includes('Samples of seed 5')")
        it.until("document.body.innerText.includes('of all 160')")
        assert it.page.locator("[aria-label='The plane'] canvas").count() == 25
        it.until("document.body.innerText.includes('Watched: update 40')")
        with (folder / "metrics.jsonl").open("a") as log:
            log.write('{"update": 45, "V": -1.0, "J": 0.5, "D_x": 0.6, "D_Gz": 0.4}\n')
        it.until("document.body.innerText.includes('Watched: update 45')")
        it.clean()


def test_a_late_answer_does_not_replace_a_newer_one(browser, watched):
    held = []
    near = "document.querySelector('section[aria-label=\"One sample\"] .pair > :last-child canvas')"

    def kept_back(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    with Opened(browser, f"{watched[1]}#{SMALL}") as it:
        it.page.route("**/near", kept_back)
        it.page.click("nav >> text=onerror")
        end = time.monotonic() + PATIENCE / 1000
        while not held:
            assert time.monotonic() < end
            it.page.wait_for_timeout(30)
        it.page.click("[aria-label='Sample 3']")
        it.until(f"{near} !== null")
        newest = it.page.evaluate(f"{near}.toDataURL()")
        with it.page.expect_response("**/near") as late:
            answer = json.loads(held[0].fetch().text()) | {"x": runs.floats(torch.ones(30))}
            held[0].fulfill(json=answer)
        assert late.value.ok
        it.page.wait_for_timeout(200)
        assert it.page.evaluate(f"{near}.toDataURL()") == newest
        it.clean()


def test_the_first_picture_is_there_soon(browser, site):
    began = time.monotonic()
    with Opened(browser, f"{site}#{SMALL}") as it:
        assert time.monotonic() - began < PATIENCE / 1000
        painted = it.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
        )
        print(f"first paint {painted} ms")
        it.clean()

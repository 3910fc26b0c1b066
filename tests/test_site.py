"""The documentation site in a browser, where `make docs` has built it; CI builds it before."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import ROOT
from test_studio_page import Opened, axe, browser  # noqa: F401 -- a fixture

SITE = ROOT / "docs" / "_build" / "html"
PAGES = {
    "the index": "index.html",
    "a tutorial": "tutorial/paper.html",
    "a page of the interface": "reference/api/advnets.game.html",
    "the command": "reference/command.html",
    "the examples": "gallery/index.html",
    "an example": "gallery/01_own_networks.html",
}
pytestmark = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not run")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE)) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_is_accessible_and_asks_no_other_site(browser, site, page, scheme):  # noqa: F811
    with Opened(browser, f"{site}/{page}", wait=False, color_scheme=scheme) as it:
        assert axe(it.page) == []
        assert {url.split("/")[2] for url in it.asked if url.startswith("http")} == {site[7:]}
        assert it.said == []


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_fits_a_phone(browser, site, page):  # noqa: F811
    small = {"viewport": {"width": 360, "height": 740}}
    with Opened(browser, f"{site}/{page}", wait=False, **small) as it:
        assert it.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_search_finds_a_function(browser, site):  # noqa: F811
    with Opened(browser, f"{site}/search.html?q=D_star", wait=False) as it:
        it.page.wait_for_selector("#search-results li a")
        assert "theory" in it.page.inner_text("#search-results")


def test_every_page_has_its_title_and_the_machine_readable_files_are_there(site):
    pages = [p for p in SITE.rglob("*.html") if "_static" not in p.parts]
    assert all("<title>" in p.read_text() for p in pages)
    assert (SITE / "404.html").exists()
    assert "reference/api/advnets.game.html" in (SITE / "sitemap.xml").read_text()
    for line in (SITE / "llms.txt").read_text().splitlines():
        if line.startswith("- ["):
            name = line.partition("_sources/")[2].partition(")")[0]
            assert (SITE / "_sources" / name).exists(), name

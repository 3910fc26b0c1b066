"""Headless Chromium by Playwright, and axe-core, for the tests of pages."""

import contextlib
import os
import shutil

import pytest

from conftest import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 120_000  # milliseconds: machines of CI are busy


@contextlib.contextmanager
def launched():
    """A browser; skips by name where there is none, but not in CI unless ADVNETS_NO_BROWSER."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if sync_playwright is None or CHROMIUM is None:
        missing = "playwright" if sync_playwright is None else "chromium"
        if os.environ.get("CI") and not os.environ.get("ADVNETS_NO_BROWSER"):
            pytest.fail(f"CI must have {missing}")
        pytest.skip(f"no {missing}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def axe(page, *, rules=None):
    """The violations that axe-core finds on a page, of all rules or of those named."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate((ROOT / "tests" / "studio" / "axe.min.js").read_text())
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0].get("failureSummary", "")[:300])
        for v in found
    ]

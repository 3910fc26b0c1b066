"""Speed and memory of the studio's page in headless Chromium, and of one sample in node.

    taskset --cpu-list 0 python benchmarks/studio.py       (one core)
    python benchmarks/studio.py --memory-minutes 10
    python benchmarks/studio.py --quick                    (CI)

The game is the page's default, at full speed. A picture counts when the page has drawn it. Memory
is the JavaScript heap after a garbage collection, and the resident memory of Chromium's processes.
A sample of a G of 100-1200-1200-784 is computed in node by the page's own module.
Needs Playwright, Chromium and node.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import advnets
from advnets.base.choices import Format
from advnets.studio import export, runs, weights

COUNTED = """
let state;
window.__pictures = 0;
Object.defineProperty(window, "__state", {
  get: () => state,
  set: (value) => { state = value; window.__pictures += 1; },
});
"""
"""Counts the pictures: the page notes its state after each."""
FORMATS: tuple[Format, ...] = ("float32", "float16", "int8")
TIMED = """
import { readFileSync } from "node:fs";
const { Generator, floats_of } = await import(process.argv[2]);
const { layers, z, n } = JSON.parse(readFileSync(process.argv[3], "utf8"));
const G = new Generator(layers), given = floats_of(z), ms = [];
for (let i = 0; i < n; i++) {
  const begun = performance.now();
  G.rows(given);
  ms.push(performance.now() - begun);
}
console.log(JSON.stringify(ms));
"""
PATIENCE = 120
"""Seconds that the page has for its first state."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info", "--js-flags=--expose-gc"]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of the game that is timed")
    parser.add_argument("--memory-minutes", type=float, default=0.0, help="of play, for the memory")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.seconds = 1.0
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if os.environ.get("ADVNETS_NO_BROWSER"):
        print("not run: ADVNETS_NO_BROWSER is set")
        return
    if browser is None or shutil.which("node") is None:
        missing = "chromium" if browser is None else "node"
        sys.exit(f"programs: need chromium and node, got no {missing}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        export.write(folder / "site", say=lambda _: None)
        played(folder / "site" / "index.html", browser, options)
        sampled(folder, 3 if options.quick else 100)


def played(index: Path, browser: str, options: argparse.Namespace) -> None:
    """Play the default game, and print its speed and memory."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = started.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(COUNTED)
        page.goto(index.as_uri())
        until(page, "window.__state !== undefined")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        print(f"first contentful paint {paint / 1000:.2f} s")
        page.click("#transport >> text=Play")
        until(page, "__state.t > 100")
        steps, pictures, seconds = rates(page, options.seconds)
        print(f"{steps / seconds:,.0f} steps and {pictures / seconds:.1f} pictures a second")
        for minute in range(int(options.memory_minutes)):
            page.wait_for_timeout(60_000)
            heap = page.evaluate("(gc(), performance.memory.usedJSHeapSize)") / 2**20
            print(f"minute {minute + 1}: heap {heap:.1f} MiB, processes {resident():.0f} MiB")
        started.close()


def until(page: Any, condition: str) -> None:
    """Wait for a condition. The page's policy forbids Playwright to do so inside it."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        if time.monotonic() > end:
            sys.exit(f"page: need {condition} within {PATIENCE} s, got a page without it")
        page.wait_for_timeout(20)


def rates(page: Any, seconds: float) -> tuple[int, int, float]:
    """Steps, pictures and seconds of a part of the game."""
    now = "[__state.t, __pictures, performance.now()]"
    before = page.evaluate(now)
    page.wait_for_timeout(1000 * seconds)
    steps, pictures, ms = (b - a for a, b in zip(before, page.evaluate(now), strict=True))
    return steps, pictures, ms / 1000


def resident() -> float:
    """MiB of resident memory of our Chromium; what its processes share counts in each."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,rss=,comm="], capture_output=True, text=True, check=False
    ).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    ours = {os.getpid()}
    while more := {int(p) for p, parent, *_ in rows if int(parent) in ours} - ours:
        ours |= more
    return sum(int(rss) for p, _, rss, name in rows if int(p) in ours and "chrom" in name) / 2**10


def sampled(folder: Path, n: int) -> None:
    """Print the time of one sample of a G of the paper's sizes."""
    rng = torch.Generator().manual_seed(0)
    G = advnets.Generator(z_dim=100, event_shape=(1, 28, 28), hidden=(1200, 1200), rng=rng)
    z, rows = torch.rand(1, 100, generator=rng), torch.rand(4_096, 100, generator=rng)
    layers, _ = weights.packed(G, "float16", z)
    sizes = {
        how: sum(
            len(str(value)) for layer in weights.packed(G, how, rows)[0] for value in layer.values()
        )
        for how in FORMATS
    }
    print(", ".join(f"{how} {size / 1e6:.1f} MB" for how, size in sizes.items()) + " in the page")
    given, program = folder / "given.json", folder / "timed.mjs"
    given.write_text(json.dumps({"layers": layers, "z": runs.floats(z), "n": n}))
    program.write_text(TIMED)
    module = Path(weights.__file__).parent / "static" / "generator.mjs"
    said = subprocess.run(
        ["node", program, module, given], capture_output=True, text=True, check=True
    ).stdout
    ms = sorted(json.loads(said))
    high = ms[int(0.95 * len(ms))]
    print(f"a sample of 100-1200-1200-784: {statistics.median(ms):.1f} ms (95%: {high:.1f} ms)")


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.0f} s")

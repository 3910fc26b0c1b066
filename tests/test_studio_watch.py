"""`advnets train --watch`: the page of a run that is training, and how it learns of the end."""

import http.client
import json
import shutil
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest

import advnets
from advnets.base import files
from advnets.cli import main, training
from advnets.studio import live, runs
from advnets.studio.server import Studio
from advnets.studio.watch import Watched
from test_studio_page import SMALL, Opened, browser  # noqa: F401
from test_studio_server import asked, told_of

quiet = lambda _: None  # noqa: E731
ROW = '{"update": %d, "V": -1.0, "J": 0.5, "D_x": 0.6, "D_Gz": 0.4}\n'


@pytest.fixture
def run(images, tmp_path):
    shutil.copytree(images, tmp_path / "run")
    return tmp_path / "run"


def seen(url):
    """The events of a page's first run, until its server ends them."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=100)
    connection.request("GET", "/run-0/events")
    for line in connection.getresponse():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])
    connection.close()


def first_line(said):
    end = time.monotonic() + 100
    while not said:
        assert time.monotonic() < end
        time.sleep(0.02)
    return said[0].removeprefix("Watch: ")


def test_a_page_is_told_how_the_training_ended_and_touches_nothing(run):
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    said = []
    with Watched(run, say=said.append) as page:
        events = seen(first_line(said))
        told = next(events)
        assert told["rows"][-1][0] == 40
        assert told["checkpoint"] == 40
        assert "finished: 40 updates" in told["state"]
        page.sentence = "Stopped <b>, and saved."
    assert [event["ended"] for event in events if "ended" in event] == ["Stopped <b>, and saved."]
    assert page.process.poll() is not None
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_a_training_that_is_killed_is_said_to_be(run):
    script = (
        "import sys, time; from pathlib import Path; from advnets.studio.watch import Watched\n"
        "with Watched(Path(sys.argv[1]), say=lambda line: print(line, flush=True)): time.sleep(200)"
    )
    command = [sys.executable, "-c", script, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        events = seen(first_line([training.stdout.readline().strip()]))
        next(events)
        training.kill()
        (ended,) = [event["ended"] for event in events if "ended" in event]
    assert ended.startswith("The training was killed. It goes on with: advnets train --resume ")


def test_the_end_of_a_run_without_a_folder_ends_its_page(tmp_path):
    began = time.monotonic()
    with Watched(tmp_path / "never", say=quiet) as page:
        pass
    assert page.process.poll() is not None
    assert time.monotonic() - began < 60


def test_the_state_of_a_run_is_read_without_taking_its_lock(run):
    folder = runs.opened(run).folder
    assert live.state(folder, 40) == "Training has finished: 40 updates."
    with folder.lock():
        assert files.held(folder.path / ".lock") in (True, None)
        assert live.state(folder, 20) == ""
    assert files.held(folder.path / ".lock") in (False, None)
    if files.LOCKS.exists():
        assert "stopped or killed. It goes on with" in live.state(folder, 20)


def test_a_page_that_is_loaded_again_has_the_newest_checkpoint(run, tmp_path):
    (run / "checkpoints").rename(tmp_path / "aside")
    with Studio([runs.opened(run)], port=0, watch=True, say=quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            assert b"data-watch" in asked(server, "/")[1]
            assert "sheet" not in told_of(asked(server, "/run-0.js")[1].decode())
            (tmp_path / "aside").rename(run / "checkpoints")
            told = told_of(asked(server, "/run-0.js")[1].decode())
            assert (told["newest"], told["update"]) == (40, 40)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("ends", "words", "code"),
    [(True, "Finished", 0), (False, "Stopped, and saved", 75), (None, "is nan", 2)],
)
def test_the_option_of_train(monkeypatch, tmp_path, capsys, ends, words, code):
    pages = []

    class Page(Watched):
        def __enter__(self):
            pages.append(self)
            return self

        def __exit__(self, kind, error, trace):
            self.sentence = self.sentence or str(error)

    def train(*_, **__):
        if ends is None:
            raise advnets.errors.Diverged("V is nan at update 8.")
        return ends

    monkeypatch.setattr(training, "Watched", Page)
    monkeypatch.setattr(training.run, "train", train)
    folder = tmp_path / "r"
    assert main(["train", "ring", "--folder", str(folder), "--watch"]) == code
    (page,) = pages
    assert page.folder == folder
    assert words in page.sentence
    assert main(["train", "ring", "--folder", str(folder)]) == code
    assert len(pages) == 1


def test_a_live_run_is_watched_stopped_and_resumed_in_a_browser(browser, run):  # noqa: F811
    def page(port, then):
        with Studio([runs.opened(run)], port=port, watch=True, say=quiet) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                then(server)
                server.end("Stopped, and saved.")
            finally:
                server.shutdown()
                thread.join()

    def begun(server):
        nonlocal it, port
        port = server.server_port
        it = Opened(browser, f"{server.url}#{SMALL}")
        it.until("document.body.innerText.includes('Watched: update 40')")  # its tab is the first
        with (run / "metrics.jsonl").open("a") as log:
            log.write(ROW % 45)
        it.until("document.body.innerText.includes('Watched: update 45')")

    def resumed(server):
        assert server.server_port == port
        (run / "metrics.jsonl").write_text(ROW % 20 + ROW % 25)
        it.page.click("text=Watch again")
        it.until("document.body.innerText.includes('Watched: update 25')")

    it = port = None
    page(0, begun)
    it.until("document.body.innerText.includes('Stopped, and saved.')")
    page(port, resumed)
    it.until("document.body.innerText.includes('Watch again')")
    it.clean()
    it.context.close()

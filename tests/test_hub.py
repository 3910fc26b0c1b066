"""Upload to the Hub and back, against a server of our own that speaks the part of its protocol that is used."""

import base64
import hashlib
import importlib.util
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

import advnets
from advnets import errors
from advnets.cli import main
from advnets.export import export
from exported import game
from test_shared import FILES

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None,
    reason="the extra 'hub' is not installed",
)
TOKEN = "hf_" + "secret" * 6
COMMIT = "0" * 40


class Hub(ThreadingHTTPServer):
    """Repositories in memory; every request is kept."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories, self.seen = {}, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _send(self, body=b"", status=200, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self):
        body, hub = self._body(), self.server
        hub.seen.append((self.path, self.headers.get("Authorization")))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send({"error": f"who are you, {TOKEN}?"}, 401)
        if self.path == "/api/repos/create":
            told = json.loads(body)
            name = (
                f"{told['organization']}/{told['name']}"
                if told.get("organization")
                else told["name"]
            )
            private = told.get("private", told.get("visibility") == "private")
            hub.repositories.setdefault(name, {"private": private, "files": {}})
            return self._send({"url": f"{hub.address}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._send({"errors": [], "warnings": []})
        name = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for f in json.loads(body)["files"]
            ]
            return self._send({"files": files})
        for line in body.splitlines():
            told = json.loads(line)
            if told["key"] == "file":
                raw = base64.b64decode(told["value"]["content"])
                hub.repositories[name]["files"][told["value"]["path"]] = raw
        return self._send(
            {"commitUrl": f"https://huggingface.co/{name}/commit/{COMMIT}", "commitOid": COMMIT}
        )

    def do_HEAD(self):
        self._file()

    def do_GET(self):
        kind, _, *rest = self.path.split("?")[0].strip("/").split("/")
        if kind == "api" and (name := "/".join(rest[:2])) in self.server.repositories:
            # version 1.3 and earlier ask how the repository keeps large files
            return self._send({"id": name, "xetEnabled": False})
        return self._file()

    def _file(self):
        user, own, *_, name = self.path.strip("/").split("?")[0].split("/")
        files = self.server.repositories.get(f"{user}/{own}", {"files": {}})["files"]
        if name not in files:
            return self._send({"error": "not found"}, 404, X_Error_Code="EntryNotFound")
        raw = files[name]
        tag = hashlib.sha1(raw).hexdigest()
        return self._send(raw, ETag=f'"{tag}"', X_Repo_Commit=COMMIT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A shared folder."""
    return export(game(tmp_path_factory.mktemp("finished")), to="hub-folder").path


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_run_is_uploaded_and_loaded_bit_for_bit(hub, tmp_path, capsys):
    run = game(tmp_path)
    path = str(tmp_path / "run")
    assert main(["push", path, "--repo", "me/rings", "--private", "--license", "mit"]) == 0
    told = capsys.readouterr()
    assert f"Uploaded: {hub.address}/me/rings" in told.out and TOKEN not in told.out + told.err
    assert hub.repositories["me/rings"]["private"]
    assert sorted(hub.repositories["me/rings"]["files"]) == FILES
    shared = advnets.load("hf://me/rings")
    assert torch.equal(shared.sample(9, seed=3), run.sample(9, seed=3))
    assert shared.facts.license == "mit"


def test_a_folder_is_uploaded_as_it_is_and_nothing_else_of_it(hub, tmp_path):
    folder = export(game(tmp_path), to="hub-folder").path
    (folder / "README.md").write_text("my own card")
    (folder / "private.txt").write_text("mine")
    assert main(["push", str(folder), "--repo", "me/b"]) == 0
    files = hub.repositories["me/b"]["files"]
    assert files == {name: (folder / name).read_bytes() for name in FILES}
    assert not hub.repositories["me/b"]["private"]


def test_a_dry_run_sends_nothing(hub, tmp_path, capsys):
    game(tmp_path)
    assert main(["push", str(tmp_path / "run"), "--repo", "me/c", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "model.safetensors" in out and f"It would go to {hub.address}/me/c, public." in out
    assert not hub.seen and not hub.repositories


def test_what_the_hub_refuses_is_one_line_without_the_token(hub, tmp_path, monkeypatch, capsys):
    folder = export(game(tmp_path), to="hub-folder").path
    monkeypatch.setenv("HF_TOKEN", "hf_" + "wrong" * 6)
    assert main(["push", str(folder), "--repo", "me/d"]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("advnets: hf://me/d:") and "401" in line
    assert "hf_wrong" not in line and len(line) < 400
    with pytest.raises(errors.BadFile, match=r"hf://me/none: .* refused it or cannot be reached"):
        advnets.load("hf://me/none")


def test_a_damaged_repository_is_refused_by_name(hub):
    hub.repositories["me/e"] = {"files": {"config.json": b"{}", "model.safetensors": b"x"}}
    with pytest.raises(errors.BadFile, match=r"config\.json: missing or damaged"):
        advnets.load("hf://me/e")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"'repo' must be given: --repo user/name, got nothing\."),
        (["--repo", "name"], r"'repo' must be user/name, got name\."),
        (["--repo", "a/b/c"], r"'repo' must be user/name, got a/b/c\."),
        (["--repo", "a/..b"], r"'repo' must be user/name, got a/\.\.b\."),
        (
            ["--repo", "a/b", "--license", "x"],
            r"'license' must be left out for a finished folder .*",
        ),
    ],
)
def test_a_mistake_is_one_line(words, message, finished, capsys):
    assert main(["push", str(finished), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(f"advnets: {message}", line), line


def test_the_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'advnets\[hub\]'"):
        advnets.load("hf://a/b")

"""`advnets studio`: what is written, what is served, and what is refused."""

import http.client
import json
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import advnets
from advnets import errors
from advnets.cli import main
from advnets.studio import bundle, export, live, runs, weights
from advnets.studio.server import MOST_BODY, Studio

quiet = lambda _: None  # noqa: E731


@pytest.fixture(scope="module")
def server(images, points):
    shown = [runs.opened(images), runs.opened(points)]
    with Studio(shown, how="int8", port=0, say=quiet) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def asked(server, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers
    finally:
        connection.close()


def posted(server, path, **body):
    status, told, _ = asked(server, path, json.dumps(body))
    return status, json.loads(told)


def told_of(script):
    """The run that a script tells of."""
    return json.loads(
        re.fullmatch(r"\(globalThis\.studio_runs \?\?= \[\]\)\.push\((.*)\);\n", script, re.DOTALL)[
            1
        ]
    )


def floats(text):
    return torch.frombuffer(bytearray(__import__("base64").b64decode(text)), dtype=torch.float32)


def test_the_page_is_one_folder_under_250_kB_that_names_nothing_outside_itself():
    texts = export.page(0, served=False)
    assert {*texts} == {"index.html", "studio.css", "studio.js"}
    assert sum(len(text.encode()) for text in texts.values()) < 250_000
    for name, text in texts.items():
        found = re.findall(r"https?://[^\s\"'`]*", text)
        assert {*found} <= {"http://www.w3.org/2000/svg"}, name


def test_modules_become_one_script_in_their_own_order():
    modules = {
        "a.mjs": "export const ONE = 1;\nexport async function two() {}\n",
        "main.mjs": 'import { ONE } from "./a.mjs";\nexport function main() { return ONE; }\n',
    }
    script = bundle.bundled(modules)
    assert "const { ONE } = modules['a.mjs'];" in script
    assert "return { ONE, two };" in script
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    for bad in ('import x from "./a.mjs";\n', "export default 1;\n", "export { x };\n"):
        with pytest.raises(errors.BadValue, match="plain imports"):
            bundle.bundled({"main.mjs": bad})


def test_a_served_page_is_the_written_one_with_its_runs(server):
    status, html, headers = asked(server, "/")
    assert status == 200
    assert b'<script src="run-1.js" defer>' in html
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert asked(server, "/studio.js")[1].decode() == bundle.script()


def test_a_run_is_told_with_what_its_weights_cost(server, images):
    told = told_of(asked(server, "/run-0.js")[1].decode())
    run = advnets.load(images)
    assert told["shape"] == [1, 6, 5]
    assert torch.equal(floats(told["sheet"]["x"]), run.sample(told["sheet"]["n"], seed=0).flatten())
    assert 0 <= told["error"]["mean"] <= told["error"]["largest"] < 2 / 255
    assert told["near"]["of"] == len(run.splits().train.x)
    assert told["pictures"] == [1, 20, 40]


@pytest.mark.parametrize("name", ["studio.js", "index.html", "run-0.js"])
def test_the_written_folder_holds_the_page(tmp_path, images, name, capsys):
    assert main(["studio", str(images), "--out", str(tmp_path / "site")]) == 0
    assert (tmp_path / "site" / name).read_text()
    assert (tmp_path / "site" / "run-0" / "40.png").read_bytes() == (
        images / "samples" / "00000040.png"
    ).read_bytes()
    assert main(["studio", "--out", str(tmp_path / "site")]) == 0  # over its own earlier page


def test_what_is_no_run_or_no_place_ends_in_one_line(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    for words in (
        ["studio", str(tmp_path)],
        ["studio", "--out", str(tmp_path)],
        ["studio", "--port", "99999"],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"notes.txt"}


# Refusals


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/server.py",
        "/run-0/../config.toml",
        "/run-9/40.png",
        "/run-0/41.png",
        "/run-0/config.toml",
        "/run-0/events/x",
        "/run--1/40.png",
    ],
)
def test_no_path_leads_anywhere_else(server, path):
    assert asked(server, path)[0] == 404


def test_other_hosts_and_origins_are_refused(server):
    port = server.server_port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{port}",
    ):
        assert asked(server, "/", Host=host)[0] == 403, host
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{port + 1}"):
        assert asked(server, "/run-0/sample", "{}", Origin=origin)[0] == 403, origin
    assert asked(server, "/", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_long_and_strange_requests_are_refused_and_the_server_lives(server):
    assert asked(server, "/" + "a" * 5000)[0] == 414
    assert asked(server, "/run-0/sample", b"", **{"Content-Length": str(MOST_BODY + 1)})[0] == 413
    assert asked(server, "/run-0/sample", b"", **{"Content-Length": "-5"})[0] in (400, 413)
    for body in (
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"n": 1e9}',
        b'{"n": true}',
        b'{"class": "<b>"}',
        b"\xff",
    ):
        status, told, _ = asked(server, "/run-0/sample", body)
        assert status == 400, body[:20]
        assert json.loads(told)["problem"].count("\n") == 0
    assert posted(server, "/run-0/decode", z="!!")[0] == 400
    assert posted(server, "/run-0/decode", z=runs.floats(torch.zeros(2)))[0] == 400
    assert posted(server, "/run-0/decode", z=runs.floats(torch.full((3,), torch.inf)))[0] == 400
    assert asked(server, "/")[0] == 200


def test_a_taken_port_is_the_next_one_and_said():
    said = []
    with (
        Studio(port=0, say=said.append) as first,
        Studio(port=first.server_port, say=said.append) as second,
    ):
        assert second.server_port > first.server_port
        assert said == [f"Port {first.server_port} is taken; this is {second.server_port}."]
        assert first.server_address[0] == "127.0.0.1"


# What the server computes


def test_the_server_samples_decodes_and_finds_neighbours(server, images):
    run = advnets.load(images)
    assert torch.equal(
        floats(posted(server, "/run-0/sample", seed=3, n=4)[1]["x"]),
        run.sample(4, seed=3).flatten(),
    )
    z = run.sampler().latents(2, seed=5)
    x = run.sample(2, seed=5)
    assert torch.equal(
        floats(posted(server, "/run-0/decode", z=runs.floats(z))[1]["x"]), x.flatten()
    )
    found = posted(server, "/run-0/near", x=runs.floats(x[:1]))[1]
    train = run.splits().train.x
    apart = (train.double() - x[0].double()).flatten(1).norm(dim=1)
    assert found["row"] == int(apart.argmin())
    assert torch.equal(floats(found["x"]), train[found["row"]].flatten())


def test_weights_arrive_as_they_were_sent():
    rng = torch.Generator().manual_seed(0)
    G = advnets.Generator(z_dim=6, event_shape=(1, 100), hidden=(300,), rng=rng)
    z = torch.randn(500, 6, generator=rng)
    own = [layer.affine.weight for layer in weights.layers(G)]
    arrived = {
        how: [layer.affine.weight for layer in weights.layers(weights.packed(G, how, z)[1])]
        for how in ("float32", "float16", "int8")
    }
    assert all(map(torch.equal, own, arrived["float32"]))
    assert all(map(torch.equal, [W.half().float() for W in own], arrived["float16"]))
    assert torch.equal(own[0], arrived["int8"][0])  # of few inputs
    assert [layer["format"] for layer in weights.packed(G, "int8", z)[0]] == ["float32", "int8"]
    with pytest.raises(errors.BadValue, match="weights"):
        weights.packed(G, "int4", z)


# Live


def test_a_run_is_watched_line_by_line_and_not_touched(tmp_path, images):
    copy = tmp_path / "run"
    shutil.copytree(images, copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*")}
    log = copy / "metrics.jsonl"
    events = live.events(runs.opened(copy).folder)
    first = next(events)
    assert [row[0] for row in first["rows"]] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert first["picture"] == 40
    assert next(events) is None
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*")} == before
    line = '{"update": 45, "V": -1.0, "J": 0.5, "D_x": 0.6, "D_Gz": 0.4}\n'
    with log.open("a") as file:
        file.write(line[:20])
    assert next(events) is None  # half a line is none
    with log.open("a") as file:
        file.write(
            line[20:]
            + '{"update": 45, "warning": "D dominates", "sentence": "<b>D dominates</b>"}\n'
        )
    told = next(events)
    assert told["rows"] == [[45, -1.0, 0.5, 0.6, 0.4]]
    assert told["warnings"] == ["<b>D dominates</b>"]
    log.write_text(line)  # resumed from an earlier checkpoint
    assert next(events)["again"]
    log.unlink()
    assert next(events) is None


def test_events_reach_the_page_as_they_come(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET", "/run-1/events")
    reply = connection.getresponse()
    assert reply.headers["Content-Type"] == "text/event-stream"
    told = json.loads(reply.readline().removeprefix(b"data: "))
    assert len(told["rows"]) == 8
    connection.close()


def test_a_run_without_a_checkpoint_is_shown_as_it_goes(tmp_path, images):
    copy = tmp_path / "begun"
    shutil.copytree(images, copy)
    shutil.rmtree(copy / "checkpoints")
    shown = runs.opened(copy)
    told = runs.described(shown, how="int8", say=quiet)
    assert "no checkpoint yet" in told["why"]
    assert len(told["curves"]) == 8
    assert "sheet" not in told


def test_a_run_whose_data_is_gone_is_shown_without_neighbours(tmp_path, images):
    copy = tmp_path / "run"
    shutil.copytree(images, copy)
    config = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(
        config.replace(str(Path(images).parent / "x.npy"), str(tmp_path / "gone.npy"))
    )
    said = []
    told = runs.described(runs.opened(copy), how="float16", say=said.append)
    assert told["near"] is None
    assert len(said) == 1
    assert np.isfinite(told["error"]["largest"])


def test_names_with_markup_stay_text_in_the_script():
    script = runs.as_script({"name": "</script><img src=x onerror=alert(1)>"})
    assert "<" not in script
    assert told_of(script)["name"].startswith("</script>")

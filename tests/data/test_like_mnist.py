"""Sets in MNIST's format, by name: their files, downloads from this machine, EMNIST's transposition."""

import gzip
import hashlib
import http.server
import io
import shutil
import threading
import zipfile

import numpy as np
import pytest
import torch
from test_mnist import images, write_part

from advnets.base.errors import BadFile
from advnets.data import MnistConfig, like_mnist, load, mnist
from advnets.data.like_mnist import SETS, download
from conftest import MNIST

SIZES = (40, 10)
NAMES = [*SETS]


def small(name, folder):
    """The files of a set of few images; x and labels as the files hold them."""
    folder.mkdir(parents=True, exist_ok=True)
    known, arrays = SETS[name], []
    for part, n in zip(known.parts, SIZES, strict=True):
        x, k = images(n), len(known.classes)
        y = (np.arange(n) % k + known.first).astype(np.uint8)
        write_part(folder, part, x, y)
        arrays.append((x, y))
    return arrays


@pytest.fixture(autouse=True)
def few(monkeypatch):
    for name, known in SETS.items():
        monkeypatch.setitem(SETS, name, known._replace(sizes=SIZES))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("below", [0, 1, None])
def test_a_set_is_read_from_its_usual_folders_with_its_names(name, below, tmp_path):
    known = SETS[name]
    (x, y), (x_test, y_test) = small(
        name, tmp_path / (known.folders[below] if below is not None else "")
    )
    splits = load(MnistConfig(name=name, root=str(tmp_path)), seed=0, order="file")
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [30, 10, 10]
    assert splits.classes == known.classes
    turned = (lambda a: a.transpose(0, 2, 1)) if name.startswith("emnist") else (lambda a: a)
    whole = torch.cat([splits.train.x, splits.validation.x])
    assert torch.equal(whole, torch.from_numpy(turned(x) / np.float32(255))[:, None])
    assert torch.equal(splits.test.x, torch.from_numpy(turned(x_test) / np.float32(255))[:, None])
    assert splits.train.context.tolist() == (y[:30].astype(int) - known.first).tolist()
    assert splits.test.context.tolist() == (y_test.astype(int) - known.first).tolist()


def test_the_published_sets_have_as_many_classes_and_images_as_their_papers_say(monkeypatch):
    monkeypatch.undo()
    about = {name: (*known.sizes, len(known.classes)) for name, known in SETS.items()}
    assert about == {
        "fashion-mnist": (60_000, 10_000, 10),
        "kmnist": (60_000, 10_000, 10),
        "emnist-digits": (240_000, 40_000, 10),
        "emnist-letters": (124_800, 20_800, 26),
        "emnist-balanced": (112_800, 18_800, 47),
    }
    assert all(len(md5) == 32 for known in SETS.values() for md5 in known.md5.values())


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("fashion-mnist", lambda f: (f / "t10k-labels-idx1-ubyte.gz").unlink(), r"t10k-labels-idx1-ubyte\.gz: no such file; --data\.root"),
        ("fashion-mnist", lambda f: shutil.rmtree(f), r"train-images-idx3-ubyte\.gz: no such file; --data\.root"),
        ("kmnist", lambda f: write_part(f, "train", images(7), np.zeros(7, np.uint8)), r"must hold 40 images of 28 x 28, got shape \(7, 28, 28\)"),
        ("emnist-letters", lambda f: write_part(f, "emnist-letters-test", images(10), np.zeros(10, np.uint8)), r"must hold labels from 1 to 26, got 0, first of image 0\."),
        ("emnist-digits", lambda f: write_part(f, "emnist-digits-train", images(40), np.full(40, 10, np.uint8)), r"must hold labels from 0 to 9, got 10"),
    ],
)  # fmt: skip
def test_damage_is_named(name, spoil, words, tmp_path):
    small(name, tmp_path)
    spoil(tmp_path)
    with pytest.raises(BadFile, match=words):
        load(MnistConfig(name=name, root=str(tmp_path)), seed=0)


def test_an_unknown_name_is_refused():
    with pytest.raises(
        ValueError, match=r"Unknown name 'mnist2'.*Valid: mnist, fashion-mnist, kmnist"
    ):
        MnistConfig(name="mnist2")


# Downloads


@pytest.fixture
def served(monkeypatch):
    """A mirror on this machine."""
    files, asked = {}, []

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/", files, asked
    server.shutdown()
    thread.join()
    server.server_close()


def offered(name, folder, files, monkeypatch):
    """A set at the mirror, with its checksums in place of the published ones."""
    small(name, folder)
    raw = {p.name: p.read_bytes() for p in folder.iterdir()}
    if name.startswith("emnist"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file, content in raw.items():
                archive.writestr(f"gzip/{file}", content)
        raw = {"gzip.zip": packed.getvalue()}
    files |= {f"/{file}": content for file, content in raw.items()}
    md5 = {file: hashlib.md5(content).hexdigest() for file, content in raw.items()}
    monkeypatch.setitem(SETS, name, SETS[name]._replace(md5=md5))


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist", "emnist-letters"])
def test_a_download_is_verified_kept_and_asked_for_once(name, served, tmp_path, monkeypatch):
    mirror, files, asked = served
    offered(name, tmp_path / "source", files, monkeypatch)
    monkeypatch.setitem(SETS, name, SETS[name]._replace(mirrors=(mirror,)))
    monkeypatch.setattr(like_mnist.pooch, "os_cache", lambda folder: tmp_path / "cache" / folder)
    found = load(MnistConfig(name=name), seed=0)
    own = load(MnistConfig(name=name, root=str(tmp_path / "source")), seed=0)
    assert torch.equal(found.train.x, own.train.x)
    load(MnistConfig(name=name), seed=0)
    assert sorted(asked) == sorted(files)
    damaged = tmp_path / "cache" / "advnets" / SETS[name].folders[0] / next(iter(SETS[name].md5))
    damaged.write_bytes(b"half a fi")
    load(MnistConfig(name=name), seed=0)
    assert len(asked) == len(files) + 1


def test_a_wrong_checksum_is_refused(served, tmp_path, monkeypatch):
    mirror, files, _ = served
    offered("kmnist", tmp_path / "source", files, monkeypatch)
    files["/train-labels-idx1-ubyte.gz"] = b"another"
    with pytest.raises(BadFile, match=r"checksum is not md5:[0-9a-f]{32}; nothing was kept"):
        download("kmnist", (mirror,), tmp_path / "cache")
    files.clear()
    with pytest.raises(
        BadFile, match=r"could not be downloaded .*; give the files with --data\.root"
    ):
        download("fashion-mnist", (mirror,), tmp_path / "other")
    assert not [*(tmp_path / "other").rglob("*.gz")]


def test_a_zip_without_the_set_is_named(served, tmp_path, monkeypatch):
    mirror, files, _ = served
    offered("emnist-digits", tmp_path / "source", files, monkeypatch)
    monkeypatch.setitem(
        SETS, "emnist-letters", SETS["emnist-letters"]._replace(md5=SETS["emnist-digits"].md5)
    )
    with pytest.raises(BadFile, match=r"has no emnist-letters-train-images-idx3-ubyte\.gz in it"):
        download("emnist-letters", (mirror,), tmp_path / "cache")


# Keras's file


@pytest.mark.parametrize("place", ["", "mnist.npz"])
def test_keras_file_holds_what_the_idx_files_hold(place, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "PARTS", dict(zip(("train", "t10k"), SIZES, strict=True)))
    (tmp_path / "idx").mkdir()
    arrays = {}
    for part, end, n in zip(("train", "t10k"), ("train", "test"), SIZES, strict=True):
        x, y = images(n), (np.arange(n) % 10).astype(np.uint8)
        write_part(tmp_path / "idx", part, x, y, suffix="")
        arrays |= {f"x_{end}": x, f"y_{end}": y}
    np.savez(tmp_path / "mnist.npz", **arrays)
    own = load(MnistConfig(root=str(tmp_path / place)), seed=0)
    other = load(MnistConfig(root=str(tmp_path / "idx")), seed=0)
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(own, part).x, getattr(other, part).x)
        assert torch.equal(getattr(own, part).context, getattr(other, part).context)
    assert own.notice.startswith("not MNIST: in mnist.npz, the train-images, ")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": np.zeros(3)}, r"an archive with an array named 'y_train', got \['x_train'\]"),
        ({n: np.zeros(3) for n in ("x_train", "y_train", "x_test", "y_test")}, r"must hold x_train, whole numbers of shape \(60000, 28, 28\), got float64 of shape \(3,\)"),
    ],
)  # fmt: skip
def test_another_archive_is_refused(arrays, words, tmp_path):
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(BadFile, match=words):
        load(MnistConfig(root=str(tmp_path)), seed=0)
    (tmp_path / "other.npz").write_bytes(gzip.compress(b"no zip"))
    with pytest.raises(
        BadFile, match=r"other\.npz: must be the folder of the IDX files, or mnist\.npz\."
    ):
        load(MnistConfig(root=str(tmp_path / "other.npz")), seed=0)


def test_mnist_under_another_name_is_refused(monkeypatch):
    if not (MNIST / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"no MNIST in {MNIST}")
    monkeypatch.undo()
    with pytest.raises(BadFile, match=r"must hold kmnist, got MNIST itself"):
        load(MnistConfig(name="kmnist", root=str(MNIST)), seed=0)

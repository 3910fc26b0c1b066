"""The CIFAR-10 reader: tiny files of the published format, packed and unpacked, and every damage."""

import hashlib
import http.server
import io
import re
import tarfile
import threading

import numpy as np
import pytest
import torch

from advnets.base.errors import BadFile
from advnets.data import Cifar10Config, cifar10, load
from advnets.runs import same_run
from pictures import classes, pixels, write, zipped

FILES = (*cifar10.TRAIN, *cifar10.VALIDATION, *cifar10.TEST)
N = 7


@pytest.fixture(autouse=True)
def seven_images_a_file(monkeypatch):
    monkeypatch.setattr(cifar10, "IMAGES", N)


def content(i, n=N):
    """File i as published, and what is in it: labels `(n,)`, pixels `(n, 3, 32, 32)`."""
    dice = np.random.default_rng(i)
    labels = dice.integers(0, 10, n, dtype=np.uint8)
    x = dice.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    # The format written out: a label, then red, green and blue, each row by row.
    raw = b"".join(
        bytes([labels[j]]) + x[j, 0].tobytes() + x[j, 1].tobytes() + x[j, 2].tobytes()
        for j in range(n)
    )
    return raw, labels, x


def unpacked(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(FILES):
        (folder / name).write_bytes(content(i)[0])
    (folder / "batches.meta.txt").write_text("\n".join(cifar10.CLASSES))
    return folder


def packed(path, leave_out=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for i, name in reversed(list(enumerate(FILES))):  # in another order than they are read
            if name not in leave_out:
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                raw = content(i)[0]
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
    return path


def from_root(root, seed=0):
    return load(Cifar10Config(root=str(root)), seed=seed, order="file")


@pytest.mark.parametrize("make", [unpacked, lambda f: packed(f / cifar10.ARCHIVE)])
def test_four_files_train_one_validates_one_tests(make, tmp_path):
    splits = from_root(make(tmp_path))
    for name, files in (("train", range(4)), ("validation", [4]), ("test", [5])):
        part = getattr(splits, name)
        labels = np.concatenate([content(i)[1] for i in files])
        x = np.concatenate([content(i)[2] for i in files])
        assert part.x.shape == (N * len(files), 3, 32, 32)
        assert part.x.dtype == torch.float32
        assert np.array_equal(part.x.numpy(), x.astype(np.float32) / np.float32(255))
        assert part.context.dtype == torch.int64
        assert part.context.tolist() == labels.tolist()
    assert splits.event_shape == (3, 32, 32)


def test_the_seed_plays_no_part(tmp_path):
    a, b = (from_root(unpacked(tmp_path), seed) for seed in (0, 1))
    assert torch.equal(a.train.x, b.train.x)


def test_the_names_of_the_classes_are_kept_among_the_facts(tmp_path):
    facts = same_run.describe(from_root(unpacked(tmp_path)))
    assert facts["classes"][3] == "cat"
    assert len(facts["classes"]) == 10


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin", "cifar10"])
@pytest.mark.parametrize("make", [unpacked, lambda f: packed(f / cifar10.ARCHIVE)])
def test_the_files_are_found_at_the_root_and_in_the_usual_places_below(
    below, make, tmp_path, monkeypatch
):
    place = make(tmp_path / below)
    assert cifar10.find(str(tmp_path)) == place
    monkeypatch.setenv("ADVNETS_DATA", str(tmp_path))
    assert len(load(Cifar10Config(), seed=0).train) == 4 * N


# Pictures


def as_pictures(names=cifar10.CLASSES):
    """Ten training pictures and two test pictures of each class."""
    train, test = classes(10, names, side=32), classes(12, names, side=32)
    files = {f"train/{name}": raw for name, raw in train.items()}
    return files | {f"test/{name}": raw for name, raw in test.items() if name not in train}


@pytest.mark.parametrize(
    "make",
    [
        lambda f: write(f, as_pictures()),
        lambda f: write(f / "cifar10", as_pictures()).parent,
        lambda f: zipped(f / "c.zip", as_pictures()),
    ],
    ids=["a folder", "below the root", "a zip"],
)
def test_a_copy_as_pictures_is_read_and_every_score_says_so(make, tmp_path):
    splits = from_root(make(tmp_path))
    for part, of_each in ((splits.train, 8), (splits.validation, 2), (splits.test, 2)):
        assert torch.bincount(part.context).tolist() == [of_each] * 10
        assert isinstance(part.x, torch.Tensor)
    first = torch.from_numpy(pixels(10, 32)).movedim(2, 0).float() / 255  # test/airplane/010.png
    assert any(torch.equal(x, first) for x in splits.test.x)
    assert splits.classes == cifar10.CLASSES
    assert splits.notice.startswith("not CIFAR-10 as published")


def test_pictures_are_normalised_as_the_official_images_are(tmp_path):
    root = write(tmp_path, as_pictures())
    splits = load(Cifar10Config(root=str(root), contrast=55.0), seed=0)
    x = splits.train.x
    torch.testing.assert_close(x.flatten(1).norm(dim=1), torch.full((80,), 55.0))
    torch.testing.assert_close(x.flatten(1).mean(dim=1), torch.zeros(80), atol=1e-4, rtol=0)
    black, white = splits.span
    pixels_of = (x - black) / (white - black)  # of average brightness and contrast
    own = from_root(root).train.x
    assert pixels_of.mean().item() == pytest.approx(own.mean().item(), abs=1e-3)
    assert pixels_of.std().item() == pytest.approx(own.std().item(), rel=0.05)
    assert same_run.describe(splits)["span"] == [black, white]
    assert from_root(root).span is None


def test_the_seed_does_not_draw_the_validation_pictures(tmp_path):
    a, b = (from_root(write(tmp_path, as_pictures()), seed) for seed in (0, 1))
    assert torch.equal(a.validation.x, b.validation.x)


def test_pictures_of_other_classes_are_named(tmp_path):
    names = ("airplane", "plum", "pear")
    words = r"must hold pictures of the classes airplane, .*truck, got airplane, pear, plum\."
    with pytest.raises(BadFile, match=words):
        from_root(write(tmp_path, as_pictures(names)))


# Damage


def test_a_root_without_the_files_is_named(tmp_path):
    with pytest.raises(
        BadFile,
        match=r"data_batch_1\.bin: no such file; --data\.root .* must be cifar-10-binary\.tar\.gz, or a folder",
    ):
        from_root(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    (unpacked(tmp_path) / "data_batch_4.bin").unlink()
    with pytest.raises(BadFile, match=r"/data_batch_4\.bin: no such file; "):
        from_root(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw[:-1], r"truncated: must be 7 images of 3073 bytes each, 21511, got 21510\."),
        (lambda raw: b"", r"truncated: must be 7 images of 3073 bytes each, 21511, got 0\."),
        (lambda raw: raw + b"\x00", r"too long: must be 7 images of 3073 bytes each, 21511, got at least 21512\."),
        (
            lambda raw: raw[: 2 * 3073] + b"\x0a" + raw[2 * 3073 + 1 :],
            r"must hold labels from 0 to 9, got 10, first in image 2\.",
        ),
    ],
    ids=["a byte short", "empty", "a byte long", "label 10"],
)  # fmt: skip
def test_a_damaged_file_is_named_packed_or_not(change, words, tmp_path, monkeypatch):
    path = unpacked(tmp_path / "a") / "test_batch.bin"
    damaged = change(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(BadFile, match=rf"/test_batch\.bin: {words}"):
        from_root(tmp_path / "a")
    real = content
    monkeypatch.setitem(
        globals(), "content", lambda i: (damaged, None, None) if i == 5 else real(i)
    )
    archive = packed(tmp_path / "b" / cifar10.ARCHIVE)
    with pytest.raises(BadFile, match=rf"tar\.gz/test_batch\.bin: {words}"):
        from_root(archive)


def test_an_archive_that_lacks_a_file_is_named(tmp_path):
    path = packed(tmp_path / "c.tar.gz", leave_out=["data_batch_3.bin"])
    with pytest.raises(BadFile, match=r"c\.tar\.gz: has no data_batch_3\.bin in it; --data\.root"):
        from_root(path)


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-2000], lambda raw: raw[:40], lambda raw: b"not an archive", lambda raw: b""],
    ids=["cut", "cut near the start", "text", "empty"],
)
def test_a_damaged_archive_is_named(damage, tmp_path):
    path = packed(tmp_path / "c.tar.gz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadFile, match=r"c\.tar\.gz: truncated or damaged gzip file \("):
        from_root(path)


# Downloads


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A mirror on this machine that serves a tiny archive and counts the requests."""
    files = {f"/{cifar10.ARCHIVE}": packed(tmp_path / "served" / "c.tar.gz").read_bytes()}
    asked = []

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = files.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    archive = files[f"/{cifar10.ARCHIVE}"]
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(archive).hexdigest())
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(archive).hexdigest())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/", files, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_read_and_asked_for_once(served, tmp_path, monkeypatch):
    mirror, _, asked = served
    monkeypatch.setattr(cifar10.pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(cifar10.download, "__defaults__", ((mirror,), None))
    for _ in range(2):
        splits = load(Cifar10Config(), seed=0, order="file")
    assert splits.train.context.tolist() == [c for i in range(4) for c in content(i)[1]]
    assert asked == [f"/{cifar10.ARCHIVE}"]
    assert (tmp_path / "advnets" / "cifar10" / cifar10.ARCHIVE).exists()


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(served, tmp_path):
    mirror, files, _ = served
    files[f"/{cifar10.ARCHIVE}"] = b"something else"
    words = r"the download's checksum is not sha256:[0-9a-f]{64}; nothing was kept"
    with pytest.raises(BadFile, match=words):
        cifar10.download((mirror,), tmp_path / "kept")
    assert not any(p.is_file() for p in (tmp_path / "kept").rglob("*"))


def test_a_download_that_fails_says_where_to_give_the_files(served, tmp_path):
    mirror, _, _ = served
    with pytest.raises(BadFile, match=re.escape("give the files with --data.root.")):
        cifar10.download((mirror + "none/",), tmp_path / "kept")

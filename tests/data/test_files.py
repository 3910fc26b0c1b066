"""What is given for a file and is none, or is one that lies: one line, at once, in little memory."""

import gzip
import io
import os
import socket
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from advnets.base import config, files
from advnets.base.errors import BadFile, BadValue
from advnets.data import (
    ArrayConfig,
    Cifar10Config,
    ImagesConfig,
    MnistConfig,
    TfdConfig,
    arrays,
    load,
    mnist,
)
from advnets.data.tfd import read as read_tfd

X = np.random.default_rng(0).normal(size=(20, 3))


def npy(x=X):
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def header(text):
    raw = text.encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(raw)) + raw + bytes(640)


def no_files(folder):
    """A named pipe, a socket and a device, with the words for each."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(folder / "socket"))
    (folder / "zero").symlink_to("/dev/zero")
    return {"pipe": "a named pipe", "socket": "a socket", "zero": "a device"}


@pytest.mark.parametrize("name", ["pipe", "socket", "zero"])
def test_no_reader_waits_for_what_is_no_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    word = no_files(tmp_path)[name]
    path = tmp_path / name
    link = tmp_path / "train-images-idx3-ubyte"
    link.symlink_to(path)
    for read in (
        lambda: load(ArrayConfig(path=str(path)), seed=0),
        lambda: load(ArrayConfig(path=str(path), resident=False), seed=0),
        lambda: load(TfdConfig(path=str(path)), seed=0),
        lambda: load(Cifar10Config(root=str(path)), seed=0),
        lambda: load(ImagesConfig(path=str(path), cache=str(tmp_path / "cache")), seed=0),
        lambda: load(MnistConfig(root=str(tmp_path)), seed=0),
        lambda: config.read_toml(path),
    ):
        with pytest.raises(BadFile, match=rf"must be a regular file, got {word}\."):
            read()


def test_a_name_that_no_file_can_have_is_one_line(tmp_path):
    with pytest.raises(BadFile, match=r"cannot be read \("):
        files.open_regular(tmp_path / "a\0b", missing="look again")
    with pytest.raises(BadFile, match=r"none: no such file; look again\."):
        files.open_regular(tmp_path / "none", missing="look again")


# Arrays


def archive(*members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        for name, raw in members:
            out.writestr(name, raw)
    return file.getvalue()


def doubled():
    with pytest.warns(UserWarning, match="Duplicate"):
        return archive(("x.npy", npy()), ("x.npy", npy(X + 1)))


def encrypted():
    raw = bytearray(archive(("x.npy", npy())))
    raw[raw.index(b"PK\1\2") + 8] |= 1
    raw[6] |= 1
    return bytes(raw)


BAD = {
    "member is text": (lambda: archive(("x.npy", b"hello")), "a file of another kind"),
    "member is truncated": (lambda: archive(("x.npy", npy()[:-9])), r"where its header asks for \d+"),
    "member twice": (doubled, "two arrays named 'x'"),
    "with and without suffix": (lambda: archive(("x.npy", npy()), ("x", npy())), "two arrays named"),
    "encrypted": (encrypted, "not be encrypted, got 'x.npy'"),
    "lzma": (lambda: archive(("x.npy", npy()), method=zipfile.ZIP_LZMA), "compressed by method 14"),
    "brackets": (lambda: header("[" * 9000), r"a damaged header \("),
    "minus signs": (lambda: header("-" * 9000 + "1"), r"a damaged header \("),
    "truth values": (
        lambda: header("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 4)}"),
        r"a damaged header \(shape \(True, 4\)\)",
    ),
    "below nothing": (
        lambda: header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}"),
        r"a damaged header \(shape \(-1, 4\)\)",
    ),
    "without end": (
        lambda: header("{'descr': '<f4', 'fortran_order': False, 'shape': (2**62, 4)}"),
        r"a damaged header \(",
    ),
    "more than there is": (
        lambda: header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 4)}"),
        r"bytes, where its header asks for 16000000\d+|truncated, .*asks for 16000000\d+",
    ),
    "pickle": (lambda: b"\x80\x04]\x94(K\x01K\x02e.", r"another kind \(numpy\.save writes such files\)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD)
def test_an_array_that_is_none_is_one_line(make, words, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(make())
    with pytest.raises(BadFile, match=rf"^.*bad\.npz: .*({words})") as caught:
        load(ArrayConfig(path=str(path)), seed=0)
    assert "\n" not in str(caught.value)
    assert "allow_pickle" not in str(caught.value)


def test_an_archive_is_read_no_further_than_its_header_asks(tmp_path):
    start = npy(np.zeros((20, 3)))
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("x.npy", start + bytes(2**26))
    tracemalloc.start()
    assert len(arrays.read(path)[0]) == 20
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


# Labels


@pytest.mark.parametrize("kind", ["?", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">u2", ">f8", "i1"])
@pytest.mark.parametrize("shape", [(20,), (20, 1)])
def test_whole_numbers_are_classes_however_they_are_stored(kind, shape):
    labels = (np.arange(20) % 2).astype(kind).reshape(shape)
    context = arrays.from_arrays(X, labels).context
    assert context.shape == (20,) and not context.is_floating_point()
    assert context.long().tolist() == (np.arange(20) % 2).tolist()
    assert context.unique().long().tolist() == [0, 1]


@pytest.mark.parametrize("labels", [X, X[:, :1], np.eye(20), np.arange(20) / 2, np.full(20, 1e300)])
def test_other_labels_stay_vectors(labels):
    context = arrays.from_arrays(X, labels).context
    assert context.is_floating_point() and tuple(context.shape) == labels.shape


def test_labels_that_do_not_fit_say_their_shape():
    with pytest.raises(
        BadValue, match=r"'labels' must be of shape \(20\), .*, got shape \(1, 20\)\."
    ):
        arrays.from_arrays(X, np.zeros((1, 20)))
    with pytest.raises(BadValue, match=r"'labels' must be finite .* first in row 3\."):
        arrays.from_arrays(X, np.where(np.arange(20) == 3, np.nan, 0))
    with pytest.raises(BadValue, match=r"'labels' must be whole numbers below 2\^63, got 1844"):
        arrays.from_arrays(X, np.full(20, 2**64 - 1, dtype="u8"))


@pytest.mark.parametrize("shape", [(20, 5, 6, 4), (20, 5, 6, 2), (20, 4, 5, 6), (20, 2, 2, 2)])
@pytest.mark.parametrize("resident", [False, True])
def test_images_of_other_channels_are_refused(shape, resident, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(shape))
    with pytest.raises(
        BadValue, match=r"'data' must be images of 1 or 3 channels, .* drop the alpha"
    ):
        load(ArrayConfig(path=str(tmp_path / "x.npy"), resident=resident), seed=0)


# IDX and MATLAB files


def test_an_idx_file_of_too_many_axes_is_named(tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 8, 65]) + bytes([0, 0, 0, 1]) * 65 + b"1")
    with pytest.raises(BadFile, match=r"must be an IDX file of unsigned bytes"):
        mnist.read_idx(tmp_path / "x")


def test_an_idx_file_is_unpacked_no_further_than_its_header_asks(tmp_path):
    start = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 28, 28)
    (tmp_path / "x.gz").write_bytes(gzip.compress(start + bytes(2**26)))
    start = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**16, 28, 28)
    (tmp_path / "y.gz").write_bytes(gzip.compress(start + bytes(2**16 * 784)))
    tracemalloc.start()
    with pytest.raises(BadFile, match=r"too long: its header asks for 1568 bytes .* at least 1569"):
        mnist.read_idx(tmp_path / "x.gz")
    with pytest.raises(
        BadFile, match=r"must hold 3 images of 28 x 28, got shape \(65536, 28, 28\)"
    ):
        mnist.read_idx(tmp_path / "y.gz", (3, 28, 28))
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_label_that_is_no_digit_is_named(tmp_path):
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", 4, 28, 28)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(head + bytes(4 * 784))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(
        bytes([0, 0, 8, 1, 0, 0, 0, 4, 1, 9, 10, 77])
    )
    with pytest.raises(BadFile, match=r"must hold labels from 0 to 9, got 10, first of image 2\."):
        mnist._read(tmp_path, "train", 4)


def test_files_in_folders_of_their_own_names_are_found(tmp_path):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"x")
        assert mnist._path(tmp_path, name) == tmp_path / name / name
    assert mnist.find(str(tmp_path)) == tmp_path
    (tmp_path / "train-images.idx3-ubyte").write_bytes(b"x")
    assert mnist._path(tmp_path, "train-images-idx3-ubyte").name == "train-images.idx3-ubyte"


def element(kind, raw):
    return struct.pack("<II", kind, len(raw)) + raw + b"\0" * (-len(raw) % 8)


def nested_cells(depth):
    """A MATLAB file whose 'images' is a cell in a cell in a cell ..."""

    def cell(number, name, content):
        flags = element(6, struct.pack("<II", number, 0))
        return element(
            14, flags + element(5, struct.pack("<ii", 1, 1)) + element(1, name) + content
        )

    x = cell(6, b"", element(9, struct.pack("<d", 1.0)))
    for _ in range(depth):
        x = cell(1, b"images", x)
    return b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + struct.pack("<H", 0x100) + b"IM" + x


def test_nested_cells_are_refused_before_they_are_read(tmp_path):
    (tmp_path / "f.mat").write_bytes(nested_cells(3_000))
    with pytest.raises(
        BadFile, match=r"f\.mat: must be a MATLAB file with an array 'images', got .*cell"
    ):
        read_tfd(tmp_path / "f.mat")

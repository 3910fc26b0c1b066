"""The reader of the Toronto Face Database: tiny files of its layout, and every damage."""

import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import advnets
from advnets.base.errors import BadFile, BadValue
from advnets.cli import command
from advnets.data import TfdConfig, load, tfd
from advnets.data.tfd import Faces
from conftest import ROOT, small_run
from faces import N, arrays, write

PARTS = {"unlabelled": 0, "train": 1, "validation": 2, "test": 3}


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "faces.mat")


@pytest.mark.parametrize("fold", range(5))
@pytest.mark.parametrize("train", ["unlabelled", "labelled"])
def test_each_part_is_the_rows_that_its_fold_says_divided_by_255(file, fold, train):
    held, found = (
        arrays(),
        load(TfdConfig(path=str(file), fold=fold, train=train), seed=7, order="file"),
    )
    of_train = PARTS["unlabelled" if train == "unlabelled" else "train"]
    for part, number in (("train", of_train), ("validation", 2), ("test", 3)):
        rows = held["folds"][:, fold] == number
        own = getattr(found, part)
        assert own.x.dtype == torch.float32 and own.x.shape == (rows.sum(), 1, 48, 48)
        assert np.array_equal(own.x[:, 0].numpy() * np.float32(255), held["images"][rows])
        if train == "labelled":
            assert np.array_equal(own.context.numpy(), held["labs_ex"][rows, 0] - 1)
        else:
            assert own.context is None
    assert found.train.x.min() >= 0 and found.train.x.max() <= 1


def test_the_folds_of_one_file_differ_in_what_they_hold_out_and_not_in_what_is_unlabelled(file):
    found = [load(TfdConfig(path=str(file), fold=f), seed=0) for f in range(5)]
    assert all(torch.equal(s.train.x, found[0].train.x) for s in found)
    assert any(not torch.equal(s.test.x, found[0].test.x) for s in found[1:])


def test_an_image_that_is_trained_on_and_held_out_is_refused(tmp_path):
    folds = arrays()["folds"]
    tfd.read(write(tmp_path / "clean.mat")).refuse_leaks(3)
    folds[[0, 5], 3] = 3
    leaky = tfd.read(write(tmp_path / "leaky.mat", folds=folds))
    leaky.refuse_leaks(2)
    need = (
        r"leaky\.mat: must be a file whose fold 3 holds out no image .* in fold 0, got 2 of them\."
    )
    with pytest.raises(BadFile, match=need):
        leaky.refuse_leaks(3)


@pytest.mark.parametrize(
    ("n", "real"), [(112_234, True), (105_000, True), (400, False), (90_000, False), (0, False)]
)
def test_what_is_not_the_database_says_so(n, real):
    one = torch.zeros(1, dtype=torch.uint8)
    faces = Faces(Path("x.mat"), one.expand(n, 48, 48), one.expand(n, 5), one.expand(n))
    assert (faces.notice == "") == real
    if not real:
        assert faces.notice.startswith(f"not TFD: x.mat holds {n:,} images, ")


def test_scores_on_what_is_not_the_database_are_printed_with_a_notice(file, tmp_path, capsys):
    config = small_run(data=TfdConfig(path=str(file)), batch_size=10)
    config = replace(config, trainer=replace(config.trainer, steps=4))
    advnets.train(config, tmp_path / "run")
    notice = f"not TFD: {file.name} holds {N} images"
    assert notice in (tmp_path / "run" / "data.json").read_text()
    assert command.main(["evaluate", str(tmp_path / "run")]) == 0
    assert notice in " ".join(capsys.readouterr().out.split())
    assert command.main(["report", str(tmp_path / "run")]) == 0
    assert f"The data is {notice}" in (tmp_path / "run" / "report.html").read_text()


# Damage

LAYOUT = r"must be a file with '{}', {}, got {} of shape {}\."


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"images": None}, r"must be a MATLAB file with an array 'images', got none\."),
        ({"folds": None}, r"must be a MATLAB file with an array 'folds', got none\."),
        ({"labs_ex": None}, r"must be a MATLAB file with an array 'labs_ex', got none\."),
        (
            {"images": np.zeros((N, 32, 32), np.uint8)},
            LAYOUT.format("images", r"bytes of shape \(N, 48, 48\)", "uint8", r"\(40, 32, 32\)"),
        ),
        (
            {"images": np.zeros((N, 2304), np.uint8)},
            LAYOUT.format("images", r"bytes of shape \(N, 48, 48\)", "uint8", r"\(40, 2304\)"),
        ),
        (
            {"images": np.zeros((N, 48, 48))},
            LAYOUT.format("images", r"bytes of shape \(N, 48, 48\)", "float64", r"\(40, 48, 48\)"),
        ),
        (
            {"folds": np.zeros((N - 1, 5), np.uint8)},
            LAYOUT.format("folds", r"integers of shape \(40, 5\)", "uint8", r"\(39, 5\)"),
        ),
        (
            {"labs_ex": np.zeros(N - 1, np.int16)},
            LAYOUT.format("labs_ex", r"integers of shape \(40, 1\)", "int16", r"\(39,\)"),
        ),
        (
            {"folds": np.full((N, 5), 4, np.uint8)},
            r"must be a file with 'folds' from 0 to 3, got values from 4 to 4\.",
        ),
        (
            {"folds": arrays()["folds"][:, :2]},
            r"must be a file with fold 2, got 'folds' of shape \(40, 2\)\.",
        ),
        (
            {"folds": np.where(arrays()["folds"] == 3, 2, arrays()["folds"])},
            r"must be a file with test images \(3 in 'folds'\) in fold 2, got none\.",
        ),
        (
            {"folds": np.where(arrays()["folds"] == 0, 1, arrays()["folds"])},
            r"must be a file with unlabelled images \(0 in 'folds'\) in fold 2, got none\.",
        ),
    ],
)
def test_a_file_of_another_layout_is_named(tmp_path, others, words):
    path = write(tmp_path / "x.mat", **others)
    with pytest.raises(BadFile, match=rf"x\.mat: {words}"):
        load(TfdConfig(path=str(path), fold=2), seed=0)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", r"a MATLAB file with 'images', 'folds' and 'labs_ex', got one that cannot be read"),
        (b"not a MATLAB file, but a text of some length" * 9, r"got one that cannot be read \("),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", r"\(in MATLAB: save -v7\), got version 7\.3, which is HDF5\."),
        (b"\x89HDF\r\n\x1a\n", r"got version 7\.3, which is HDF5\."),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_named(tmp_path, head, words):
    (tmp_path / "x.mat").write_bytes(head)
    with pytest.raises(BadFile, match=words):
        tfd.read(tmp_path / "x.mat")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_file_that_is_cut_short_is_named(file, share):
    raw = file.read_bytes()
    file.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(BadFile, match=r"faces\.mat: must be a MATLAB file with "):
        tfd.read(file)


def packed(*, shape=(1, 48, 48), name=b"images", flags=9, numbers=0, order="<"):
    """An element of a MATLAB file, packed; its numbers are as many zeros as are asked for."""

    def tagged(kind, data):
        return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)

    head = tagged(6, struct.pack(f"{order}II", flags, 0))
    head += tagged(5, struct.pack(f"{order}{len(shape)}i", *shape)) + tagged(1, name)
    body = tagged(14, head + tagged(2, bytes(numbers)))
    raw = zlib.compress(body)
    text = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}HH", 0x0100, 0x4D49)
    return text + struct.pack(f"{order}II", 15, len(raw)) + raw


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"numbers": 2**27}, r"134,217,728 bytes for an array of shape \(1, 48, 48\), which has"),
        ({"name": b"images" * 2**20}, r"a name of 6,291,456 bytes"),
        ({"shape": (1,) * 2**18}, r"an array of 262144 axes"),
        ({"flags": 9 | 0x0800, "numbers": 2304}, r"an array of complex numbers"),
    ],
)
def test_what_unpacks_to_more_than_its_header_says_is_not_unpacked(tmp_path, lie, words, order):
    path = tmp_path / "x.mat"
    path.write_bytes(packed(**lie, order=order))
    tracemalloc.start()
    try:
        with pytest.raises(BadFile, match=rf"x\.mat: must be a MATLAB file .*\({words}"):
            tfd.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_bytes_that_a_header_asks_for_are_read(tmp_path, order):
    path = tmp_path / "x.mat"
    path.write_bytes(packed(numbers=2304, order=order))
    with pytest.raises(BadFile, match=r"with an array 'folds', got none"):
        tfd.read(path)


def test_what_is_asked_for_is_checked(tmp_path):
    with pytest.raises(
        BadValue, match=r"'data\.path' must be the file TFD_48x48\.mat, got nothing"
    ):
        load(TfdConfig(), seed=0)
    with pytest.raises(BadFile, match=r"x\.mat: no such file; give the file TFD_48x48\.mat\."):
        load(TfdConfig(path=str(tmp_path / "x.mat")), seed=0)
    with pytest.raises(BadFile, match=r"cannot be read \(Is a directory\)"):
        load(TfdConfig(path=str(tmp_path)), seed=0)
    with pytest.raises(BadValue, match=r"'fold' must be from 0 to 4, got 5\."):
        TfdConfig(fold=5)
    with pytest.raises(BadValue, match=r"Unknown train 'all'\. Valid: unlabelled, labelled\."):
        TfdConfig(train="all")


def test_the_stand_in_is_read_and_is_not_the_database():
    path = ROOT.parent / "shared" / "data" / "orl_faces_tfd_layout.mat"
    if not path.exists():
        pytest.skip(f"no {path}")
    found = load(TfdConfig(path=str(path), fold=4), seed=0)
    assert [len(p) for p in (found.train, found.validation, found.test)] == [200, 40, 40]
    assert found.notice.startswith("not TFD: ")

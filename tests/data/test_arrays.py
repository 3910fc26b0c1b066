"""A user's own array: what is read, how it is scaled and laid out, and every refusal."""

import io
import math
import pickle

import numpy as np
import pytest
import torch

from advnets.base.errors import BadFile, BadValue
from advnets.data import ArrayConfig, from_arrays, load
from advnets.data.arrays import read

N = 20
X = np.random.default_rng(0).normal(size=(N, 3))
LABELS = np.arange(N) % 2


def written(path, **arrays):
    np.savez(path, **arrays)
    return path


# Files


def test_a_npy_file_holds_the_examples(tmp_path):
    np.save(tmp_path / "a.npy", X)
    x, labels = read(tmp_path / "a.npy")
    assert np.array_equal(x, X)
    assert labels is None


@pytest.mark.parametrize(
    ("arrays", "labelled"),
    [({"x": X}, False), ({"x": X, "y": LABELS}, True), ({"pictures": X}, False)],
)
def test_a_npz_archive_holds_x_and_perhaps_y(arrays, labelled, tmp_path):
    x, labels = read(written(tmp_path / "a.npz", **arrays))
    assert np.array_equal(x, X)
    assert np.array_equal(labels, LABELS) if labelled else labels is None


def test_a_file_is_split_by_the_seed_and_nothing_is_lost(tmp_path):
    path = str(written(tmp_path / "a.npz", x=X, y=LABELS))
    config = ArrayConfig(path=path, validation=0.2, test=0.3)
    splits = load(config, seed=1)
    parts = (splits.train, splits.validation, splits.test)
    assert [len(p) for p in parts] == [10, 4, 6]
    together = torch.cat([p.x for p in parts])
    assert sorted(together.tolist()) == sorted(torch.from_numpy(X).float().tolist())
    assert torch.equal(load(config, seed=1).train.x, splits.train.x)
    assert not torch.equal(load(config, seed=2).train.x, splits.train.x)


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", X)
    assert len(load(ArrayConfig(path="~/a.npy"), seed=0).train) == 16


def test_a_missing_file_is_named(tmp_path):
    message = r"none\.npy: no such file; give a \.npy, \.npz or \.csv file with --data\.path\."
    with pytest.raises(BadFile, match=message):
        read(tmp_path / "none.npy")


def test_no_path_is_refused():
    with pytest.raises(BadValue, match=r"'data\.path' must be the \.npy, \.npz or \.csv file"):
        load(ArrayConfig(), seed=0)


def test_an_archive_must_say_which_array_is_meant(tmp_path):
    path = written(tmp_path / "a.npz", a=X, b=X)
    message = r"a\.npz: must be an archive with an array named 'x', got \['a', 'b'\]\."
    with pytest.raises(BadFile, match=message):
        read(path)


OBJECTS = np.array([[{}, 1]] * N, dtype=object)


def npy(x):
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def flipped(raw):
    """With one byte in the middle inverted."""
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :]


DAMAGED = {
    "empty": b"",
    "text": b"1,2\n3,4\n",
    "pickle": pickle.dumps([1, 2]),
    "truncated npy": npy(X)[:-9],
    "objects in npy": npy(OBJECTS),
    "objects in npz": npz(x=OBJECTS),
    "object labels": npz(x=X, y=OBJECTS[:, 0]),
    "truncated npz": npz(x=X)[:-30],
    "flipped npz": flipped(npz(x=X)),
}


@pytest.mark.parametrize("raw", DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_no_array_of_numbers_is_named(raw, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(raw)
    with pytest.raises(BadFile, match=r"bad\.npz: must be a \.npy or \.npz file of numbers, got "):
        read(path)


def test_a_folder_is_no_array(tmp_path):
    with pytest.raises(BadFile, match=r"must be a \.npy or \.npz file of numbers, got "):
        read(tmp_path)


# Scale and layout


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int8, np.bool_])
def test_numbers_that_are_no_bytes_are_taken_as_they_are(dtype):
    x = (X * 10).astype(dtype)
    split = from_arrays(x)
    assert split.x.dtype == torch.float32
    assert torch.equal(split.x, torch.from_numpy(x.astype(np.float32)))
    assert split.context is None


def test_bytes_are_divided_by_255():
    x = np.arange(256, dtype=np.uint8).reshape(64, 4)
    expected = torch.arange(256).view(64, 4) / 255
    assert from_arrays(x).x.max() == 1
    assert torch.equal(from_arrays(x).x, expected)


def test_any_byte_order_and_layout_in_memory_is_read():
    for x in (X.astype(">f4"), np.asfortranarray(X), X[:, ::-1]):
        assert torch.equal(from_arrays(x).x, torch.tensor(x.tolist(), dtype=torch.float32))


@pytest.mark.parametrize(
    ("shape", "event_shape"),
    [
        ((N, 7), (7,)),
        ((N, 5, 6), (1, 5, 6)),
        ((N, 1, 5, 6), (1, 5, 6)),
        ((N, 3, 5, 6), (3, 5, 6)),
        ((N, 5, 6, 1), (1, 5, 6)),
        ((N, 5, 6, 3), (3, 5, 6)),
        ((N, 3, 6, 3), (3, 6, 3)),
    ],
)
def test_vectors_and_images_get_their_shape(shape, event_shape):
    assert from_arrays(np.zeros(shape)).x.shape == (N, *event_shape)


def test_channels_last_becomes_channels_first_pixel_by_pixel():
    x = np.random.default_rng(0).random((N, 4, 5, 3))
    moved = from_arrays(x).x
    assert moved.is_contiguous()
    for n, i, j, c in ((0, 0, 0, 0), (3, 2, 4, 1), (19, 3, 1, 2)):
        assert moved[n, c, i, j] == np.float32(x[n, i, j, c])


def test_the_split_does_not_share_the_users_memory():
    x, labels = X.astype(np.float32), LABELS.copy()
    split = from_arrays(x, labels)
    x[:], labels[:] = 7, 7
    assert not (split.x == 7).any()
    assert not (split.context == 7).any()


def test_a_read_only_array_is_read_without_a_warning():
    x, labels = X.astype(np.float32), LABELS.copy()
    x.flags.writeable = labels.flags.writeable = False
    assert len(from_arrays(x, labels)) == N


@pytest.mark.parametrize(
    "dtype", [np.int64, np.uint8, np.int16, np.bool_, np.float32, ">i4", ">i8"]
)
def test_labels_come_along(dtype):
    assert from_arrays(X, LABELS.astype(dtype)).context.tolist() == LABELS.tolist()


# Refusals

NAN, INF = X.copy(), X.copy()
NAN[4, 1] = math.nan
INF[7, 0] = INF[9, 0] = math.inf
NOT_FINITE = r"'data' must be finite everywhere, got NaN or infinity, first in row "
SHAPES = r"'data' must be of shape \(n, d\), \(n, H, W\), .*, got shape "


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([["a"]] * N), r"'data' must be an array of real numbers, got <U1\."),
        (np.array([[{}]] * N), r"'data' must be an array of real numbers, got object\."),
        (X + 1j, r"'data' must be an array of real numbers, got complex128\."),
        (np.zeros((N, 2), "m8[s]"), r"'data' must be an array of real numbers, got timedelta64"),
        (np.zeros((N, 2), "M8[s]"), r"'data' must be an array of real numbers, got datetime64"),
        (X[:, 0], SHAPES + r"\(20\)\."),
        (np.float64(3), SHAPES + r"\(\)\."),
        (np.zeros((N, 1, 1, 1, 1)), SHAPES + r"\(20, 1, 1, 1, 1\)\."),
        (X[:, :0], SHAPES + r"\(20, 0\)\."),
        (X[:9], r"'data' must be an array of at least 10 rows \(examples\), got 9\."),
        (NAN, NOT_FINITE + r"4\."),
        (INF, NOT_FINITE + r"7\."),
        (X * 1e300, r"'data' must be finite"),
        (
            1e9 + X.astype(np.float64),
            r"'data' must be numbers that float32 tells apart \(subtract .*, got number 0 of",
        ),
        (
            10**9 + np.arange(2 * N).reshape(N, 2),
            r"got number 0 of an example, which spans 38 and is rounded by 32",
        ),
    ],
)
def test_what_is_no_data_is_refused(x, message):
    with pytest.raises(BadValue, match=message):
        from_arrays(x)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:-1], r"'labels' must be as many as the examples, 20, got 19\."),
        (
            np.array([*map(str, range(N))]),
            r"'labels' must be classes that .* share, got 20 names of as many",
        ),
        (
            np.array(["a", ""] * (N // 2)),
            r"'labels' must be a name for each example, got an empty one in row 1",
        ),
        (
            np.array([["a", "b"]] * N),
            r"'labels' must be of shape .*a name each, got shape \(20, 2\)",
        ),
        (
            np.array(["a", 3] * (N // 2), dtype=object),
            r"'labels' must be numbers or names, got a int",
        ),
        (np.zeros(N, "M8[D]"), r"'labels' must be .*, got datetime64"),
        (np.int64(3), r"'labels' must be "),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(BadValue, match=message):
        from_arrays(X, labels)


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize("share", [0, 1, -0.1, math.nan])
def test_a_share_outside_0_to_1_is_refused(name, share):
    message = rf"'{name}' must be above 0 and below 1, got {share}\."
    with pytest.raises(BadValue, match=message):
        ArrayConfig(**{name: share})


def test_numbers_that_float32_tells_apart_or_that_are_all_the_same_are_read(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 3))
    for good in (x + 1e3, x * [1, 1, 0] + [0, 0, 1e9]):
        assert from_arrays(good).x.shape == (N, 3)
    np.save(tmp_path / "far.npy", x + 1e9)
    for resident in (True, False):
        with pytest.raises(BadValue, match="that float32 tells apart"):
            load(ArrayConfig(path=str(tmp_path / "far.npy"), resident=resident), seed=0)

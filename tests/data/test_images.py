"""A user's own pictures: the same from a folder and its zip, classes and splits by the stated rules, a
cache that is built once, goes on where it stopped, and one line for everything that is wrong."""

import json
import os
import re
import unicodedata
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import advnets
from advnets.base import errors
from advnets.base.errors import BadFile, BadValue, CannotWrite
from advnets.data import Batches, ImagesConfig, Mapped, given, images, load
from advnets.data.images import building, cached, decoding, sources
from advnets.runs import same_run, train
from conftest import small_run
from pictures import UNUSABLE, bomb, classes, encoded, pixels, png, write, zipped


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


@pytest.fixture
def read(tmp_path):
    def read(path, *, seed=0, **settings):
        settings = {"size": 8, "cache": str(tmp_path / "cache")} | settings
        return load(ImagesConfig(path=str(path), **settings), seed=seed)

    return read


@pytest.fixture
def without_heic(monkeypatch):
    """As if the extra `heic` were not installed."""
    monkeypatch.setattr(decoding, "reads_heic", lambda: False)
    for found in (decoding.formats, decoding.suffixes):
        found.cache_clear()
    yield
    for found in (decoding.formats, decoding.suffixes):
        found.cache_clear()


@pytest.fixture
def decoded(monkeypatch):
    """Counts what is decoded."""
    counted = []
    real = building.decoded
    monkeypatch.setattr(
        building, "decoded", lambda raw, *a, **k: counted.append(raw) or real(raw, *a, **k)
    )
    return counted


def parts(splits):
    return splits.train, splits.validation, splits.test


def shown(part):
    """Each picture's bytes with its label."""
    labels = part.context.tolist() if part.context is not None else [None] * len(part)
    return [
        (x.mul(255).round().byte().numpy().tobytes(), c)
        for x, c in zip(part.x[:], labels, strict=True)
    ]


def as_shown(i, side=8):
    return pixels(i, side).transpose(2, 0, 1).tobytes()


def kept(folder):
    return sorted(p.name for p in folder.iterdir())


# The same from a folder and its zip


def test_a_folder_and_its_zip_give_the_same_bytes_splits_and_batches(folder, read, tmp_path):
    files = classes(12) | {"README.txt": "hello", "cat/notes.md": "x"}
    a = read(write(folder, files))
    b = read(zipped(tmp_path / "z.zip", dict(reversed(files.items()))))
    c = read(zipped(tmp_path / "w.zip", {f"wrapped/{n}": raw for n, raw in files.items()}))
    whole = [(d / "images.npy").read_bytes() for d in (tmp_path / "cache").iterdir()]
    assert len(whole) == 3
    assert len(set(whole)) == 1
    for other in (b, c):
        assert same_run.describe(a) == same_run.describe(other)
        for p, q in zip(parts(a), parts(other), strict=True):
            assert torch.equal(p.x[:], q.x[:])
            assert torch.equal(p.context, q.context)
        ours, theirs = (Batches(s.train, size=5, seed=3) for s in (a, other))
        assert all(torch.equal(ours[i].x, theirs[i].x) for i in range(9))


def test_every_picture_is_there_once_with_its_class(folder, read):
    splits = read(write(folder, classes(10)))
    assert splits.classes == ("cat", "dog")
    assert splits.event_shape == (3, 8, 8)
    everything = [pair for part in parts(splits) for pair in shown(part)]
    assert sorted(everything) == sorted(
        (as_shown(100 * c + i), c) for c in (0, 1) for i in range(10)
    )
    assert [len(p) for p in parts(splits)] == [16, 2, 2]
    assert all(p.context.bincount().tolist() == [len(p) // 2] * 2 for p in parts(splits))
    assert isinstance(splits.train.x, Mapped)


def test_the_first_that_are_scored_are_a_fair_draw(folder, read):
    files = {f"{s}/{n}": raw for s in ("train", "val", "test") for n, raw in classes(60).items()}
    splits = read(write(folder, files))
    for part in (splits.validation, splits.test):
        first = part.context[: len(part) // 3].double()
        assert 0.2 < first.mean() < 0.8


def test_the_values_are_pixels_over_255(folder, read):
    splits = read(write(folder, classes(6)))
    x = splits.train.x[:]
    assert x.dtype == torch.float32
    assert torch.equal(x, x.mul(255).round().div(255))
    assert (x.min(), x.max()) == (0, 1)


@pytest.mark.parametrize("grey", [False, True])
def test_a_run_on_them_is_trained_sampled_and_resumed(folder, read, grey, tmp_path):
    write(folder, classes(20))
    data = ImagesConfig(path=str(folder), size=8, grey=grey, cache=str(tmp_path / "cache"))
    assert advnets.train(small_run(data=data, batch_size=8), tmp_path / "run")
    trained = advnets.load(tmp_path / "run")
    assert trained.sample(3).shape == (3, 1 if grey else 3, 8, 8)
    assert trained.folder.facts("data")["classes"] == ["cat", "dog"]
    assert trained.splits().classes == ("cat", "dog")
    assert advnets.resume(tmp_path / "run")


def test_a_run_on_pictures_that_are_not_square(folder, tmp_path):
    """From a folder, resumed on its zip; what is drawn and what is given have the same sides."""
    files = classes(20)
    data = {"size": "8x12", "cache": str(tmp_path / "cache")}
    config = small_run(data=ImagesConfig(path=str(write(folder, files)), **data), batch_size=8)
    assert advnets.train(config, tmp_path / "run")
    run = advnets.load(tmp_path / "run")
    assert run.sample(3).shape == (3, 3, 8, 12)
    other = small_run(data=ImagesConfig(path=str(zipped(tmp_path / "z.zip", files)), **data))
    assert same_run.describe(load(other.data, seed=0)) == run.folder.facts("data")
    x = given.read(folder, (3, 8, 12), resize=True).x
    assert x.shape == (40, 3, 8, 12)
    with pytest.raises(
        errors.BadFile, match=r"must be 8 x 12 pixels, .*got 8 x 8 \(height x width"
    ):
        given.read(folder, (3, 8, 12))
    wrong = ImagesConfig(path=str(folder), size=8, cache=data["cache"])
    with pytest.raises(errors.BadValue, match=r"'data\.size' must be '8x12' to resume"):
        same_run.refuse_changes(run.folder, config, replace(config, data=wrong))


def test_a_run_begun_on_a_folder_goes_on_on_its_zip(folder, tmp_path):
    files = classes(20)
    data = {"size": 8, "cache": str(tmp_path / "cache")}
    config = small_run(data=ImagesConfig(path=str(write(folder, files)), **data), batch_size=8)
    assert advnets.train(config, tmp_path / "run")
    path = zipped(tmp_path / "z.zip", files)
    other = small_run(data=ImagesConfig(path=str(path), **data), batch_size=8)
    assert advnets.resume(tmp_path / "run", other)


# Classes and splits


def names(splits):
    return splits.classes, [
        None if p.context is None else sorted({*p.context.tolist()}) for p in parts(splits)
    ]


def pictures(*names):
    """Twelve pictures in each place."""
    return {
        f"{name}{i:02d}.png": png(100 * k + i) for k, name in enumerate(names) for i in range(12)
    }


@pytest.mark.parametrize(
    ("places", "expected", "sizes"),
    [
        (["a/", "b/"], ("a", "b"), (20, 2, 2)),
        (["x/a/", "x/b/"], ("a", "b"), (20, 2, 2)),
        (["a/deep/er/", "b/"], ("a", "b"), (20, 2, 2)),
        (["", "a/"], (), (19, 3, 2)),
        (["", "a/", "b/"], (), (29, 3, 4)),
        (["a/"], (), (10, 1, 1)),
        ([""], (), (10, 1, 1)),
        (["10/", "9/", "2/"], ("2", "9", "10"), (30, 3, 3)),
        (["10/", "9/", "b/"], ("10", "9", "b"), (30, 3, 3)),
        (["train/a/", "train/b/", "test/a/"], ("a", "b"), (22, 2, 12)),
        (["Train/a/", "Train/b/", "TEST/a/"], ("a", "b"), (22, 2, 12)),
        (["train/a/", "train/b/", "val/a/"], ("a", "b"), (22, 12, 2)),
        (["train/", "validation/", "test/"], (), (12, 12, 12)),
        (["train/", "valid/", "test/"], (), (12, 12, 12)),
        (["p/train/a/", "p/train/b/", "p/test/b/"], ("a", "b"), (22, 2, 12)),
        (["training/", "testing/"], (), (11, 1, 12)),
        (["train/", "dev/", "testing/"], (), (12, 12, 12)),
        (["train/", "test/", "extra/"], (), (11, 1, 12)),
        (["p/train/", "p/training/", "p/val/"], (), (22, 12, 2)),
        (["train/a/", "train/b/", "test/"], ("a", "b"), (22, 2, 12)),
        (["train/a/", "train/b/"], ("a", "b"), (20, 2, 2)),
        (["contest/", "trainer/"], ("contest", "trainer"), (20, 2, 2)),
        (["test_tube/", "bus/"], ("bus", "test_tube"), (20, 2, 2)),
    ],
)  # fmt: skip
def test_sub_folders_are_classes_and_train_and_test_are_splits(
    places, expected, sizes, folder, read
):
    splits = read(write(folder, pictures(*places)))
    assert splits.classes == expected
    assert tuple(len(p) for p in parts(splits)) == sizes
    assert (splits.train.context is not None) == bool(expected)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (["val/", "test/"], r"must hold train/ and test/ or validation/ to have splits, got test/; if it is a class, choose --data\.splits none"),
        (["bus/", "train/"], r"got train/ beside bus; "),
        (["", "test/"], r"got test/ beside pictures; "),
        (["x/a/", "x/Dev/"], r"got x/Dev/ beside a; "),
        (["training_set/a/", "training_set/b/", "test_set/a/"], r"got test_set/ beside training_set; "),
        (["train2017/", "val2017/"], r"got val2017/ beside train2017; "),
        (["trainA/", "trainB/", "testA/", "testB/"], r"got testA/ beside trainA, trainB; "),
        (["seg_train/a/", "seg_test/a/"], r"got seg_test/ beside seg_train; "),
        (["TestSet/", "TrainSet/"], r"got TestSet/ beside TrainSet; "),
        (["a/train/", "a/test/", "b/train/", "b/test/"], r"must hold its splits at the top \(train/CLASS/\), got them in a/; "),
    ],
)  # fmt: skip
def test_a_folder_that_may_be_a_split_or_a_class_is_refused_unless_chosen(
    places, words, folder, read
):
    write(folder, pictures(*places))
    with pytest.raises(BadFile, match=rf"photos: .*{words}"):
        read(folder)
    assert sum(len(p) for p in parts(read(folder, splits="none"))) == 12 * len(places)


STRAY = {"preview.png": png(999)}


@pytest.mark.parametrize(
    ("files", "sizes", "classes_", "left"),
    [
        (pictures("train/", "test/") | STRAY, (11, 1, 12), (), "1 beside the splits (first preview.png)"),
        (pictures("train/", "test/", "extra/"), (11, 1, 12), (), "12 in a folder that is no split (first extra/00.png)"),
        (pictures("a/", "b/") | STRAY, (20, 2, 2), ("a", "b"), "1 beside the class folders (first preview.png)"),
        (pictures("train/a/", "train/b/", "test/a/") | {"test/x.png": png(9)}, (22, 2, 12), ("a", "b"), "1 beside the class folders (first test/x.png)"),
        (pictures("x/train/", "x/test/") | STRAY, (11, 1, 12), (), "1 outside x/ (first preview.png)"),
        (pictures("x/train/", "x/test/") | {"docs/a.txt": "x"}, (11, 1, 12), (), ""),
        (pictures("x/a/", "x/b/") | STRAY, (20, 2, 2), ("a", "b"), "1 outside x/ (first preview.png)"),
    ],
)  # fmt: skip
def test_strays_are_left_out_and_the_rest_is_read(
    files, sizes, classes_, left, folder, read, tmp_path
):
    for path in (write(folder, files), zipped(tmp_path / "z.zip", files)):
        splits = read(path)
        assert tuple(len(p) for p in parts(splits)) == sizes
        assert splits.classes == classes_
        assert (f"left out: {left}" if left else "1 other files") in splits.reading
        assert "\n" not in splits.reading
    if left:
        with pytest.raises(BadFile, match=r"take it out, or choose --data\.unreadable skip\."):
            read(folder, unreadable="refuse")


def test_a_test_set_without_classes_costs_the_others_none(folder, read):
    splits = read(write(folder, pictures("train/a/", "train/b/", "test/")))
    assert [p.context is None for p in parts(splits)] == [False, False, True]
    assert "12 test (test/, without classes)" in splits.reading


def test_the_header_says_what_was_read_and_a_conditional_run_why_it_has_no_classes(folder, read):
    splits = read(write(folder, pictures("", "a/", "b/")))
    reading = "no classes (12 of 36 training pictures lie in no sub-folder)"
    assert reading in splits.reading
    assert splits.reading.startswith(f"Read {folder}: 29 training (drawn at random), ")
    config = small_run(data=ImagesConfig(path=str(folder)), batch_size=8)
    assert splits.reading in train.header(
        SimpleNamespace(path=folder), config, splits, samples=True
    )
    assert reading in str(errors.no_labels(splits.reading))


def test_pictures_that_pillow_does_not_read_and_links_are_counted_and_named(
    folder, read, capsys, tmp_path, without_heic
):
    heic = b"\0\0\0\x18ftypheic" + bytes(64)
    files = pictures("a/", "b/") | {f"a/IMG_{i}.HEIC": heic for i in range(3)} | {"b/live": heic}
    write(folder, files | {"LICENSE": "text", "a/scan": png(77), "b/photo.1": png(78)})
    (folder / "c").symlink_to(tmp_path)
    (folder / "a" / "round").symlink_to(folder)
    (folder / "a" / "self.png").symlink_to("self.png")
    os.mkfifo(folder / "b" / "pipe.png")
    splits = read(folder)
    assert sum(len(p) for p in parts(splits)) == 26  # those without an ending are read
    assert (
        "4 of the format HEIC, which needs: pip install 'advnets[heic]' (first a/IMG_0.HEIC)"
        in splits.reading
    )
    assert "3 a symbolic link, which is not followed (first a/round)" in splits.reading
    assert "1 no regular file (first b/pipe.png)" in splits.reading
    assert splits.reading.endswith("; 1 other files.")
    assert "Pictures left out: 8, first a/IMG_0.HEIC: of the format HEIC" in capsys.readouterr().err


@pytest.fixture
def heic_of():
    """Pictures as HEIC."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic`")
    pillow_heif.register_heif_opener()
    return lambda i, side=16, **settings: encoded(
        pixels(i, side), "HEIF", quality=-1, chroma=444, **settings
    )


def test_heic_is_read_as_the_same_pictures_in_png(folder, read, heic_of):
    for c in "ab":
        write(folder, {f"{c}/{i}.heic": heic_of(i) for i in range(8)} | {f"{c}/x": heic_of(9)})
    png_too = write(folder.parent / "png", {n: png(i, 16) for c in "ab" for i, n in [(i, f"{c}/{i}.png") for i in range(8)] + [(9, f"{c}/x")]})  # fmt: skip
    heic, plain = read(folder, size=16), read(png_too, size=16)
    assert heic.classes == plain.classes == ("a", "b")
    for p, q in zip(parts(heic), parts(plain), strict=True):
        assert (p.x[:] - q.x[:]).abs().max() < 0.02  # YCbCr of 8 bits
    assert "left out" not in heic.reading


def test_a_cache_without_heic_is_not_used_once_it_can_be_read(folder, read, heic_of, monkeypatch):
    write(folder, pictures("a/", "b/") | {f"a/IMG_{i}.HEIC": heic_of(i) for i in range(3)})
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "reads_heic", lambda: False)
        for found in (decoding.formats, decoding.suffixes):
            found.cache_clear()
        before = sum(map(len, parts(read(folder))))
    for found in (decoding.formats, decoding.suffixes):
        found.cache_clear()
    assert sum(map(len, parts(read(folder)))) == before + 3


def test_damaged_heic_is_left_out_and_named(folder, read, heic_of):
    write(folder, classes(12) | {"cat/bad.heic": heic_of(1)[:200]})
    assert "1 that cannot be used (first cat/bad.heic)" in read(folder).reading


def test_class_folders_that_are_no_utf8_or_spelled_in_two_ways_have_printable_names(folder, read):
    composed, apart = "caf\xe9", "cafe\u0301"
    write(folder, pictures(f"train/{composed}/", "train/b\x1b[31m/", f"test/{apart}/"))
    (folder / "train" / "x").mkdir()
    (folder / "train" / "x").rename(folder / "train" / os.fsdecode(b"\xff"))
    for i in range(12):
        (folder / "train" / os.fsdecode(b"\xff") / f"{i}.png").write_bytes(png(i))
    splits = read(folder)
    assert splits.classes == (r"\xff", r"b\x1b[31m", composed)
    assert set(splits.test.context.tolist()) == {2}


def test_a_class_is_that_of_its_folder_in_every_split(folder, read):
    splits = read(write(folder, pictures("train/a/", "train/b/", "test/b/", "test/a/")))
    assert sorted(shown(splits.test)) == sorted(
        (as_shown(100 * k + i), c) for k, c in ((2, 1), (3, 0)) for i in range(12)
    )


def test_the_seed_draws_the_splits_that_are_not_given_and_no_other(folder, read):
    write(folder, pictures("train/a/", "train/b/", "test/a/", "test/b/"))
    a, b, c = (read(folder, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.validation.x[:], b.validation.x[:])
    assert not torch.equal(a.validation.x[:], c.validation.x[:])
    assert torch.equal(a.test.x[:], c.test.x[:])


def test_labels_none_leaves_the_classes_out(folder, read):
    splits = read(write(folder, pictures("a/", "b/")), labels="none")
    assert names(splits) == ((), [None] * 3)


TABLE = "file,class\n" + "".join(f"{i:02d}.png,{'odd' if i % 2 else 'even'}\n" for i in range(12))


@pytest.mark.parametrize(
    ("place", "table", "at"),
    [
        ("", TABLE, "labels.csv"),
        ("", "\ufeff" + TABLE.partition("\n")[2], "labels.csv"),
        ("", TABLE.replace(",", ",  ").replace("\n", "\r\n"), "labels.csv"),
        ("", re.sub(r"(\d\d\.png)", r'"./\1"', TABLE), "labels.csv"),
        ("in/", re.sub(r"(\d\d\.png)", r"in/\1", TABLE), "labels.csv"),
        ("in/", re.sub(r"(\d\d\.png)", r"in\\\1", TABLE), "labels.csv"),
        ("in/", TABLE, "in/labels.csv"),
    ],
)
def test_a_table_names_the_classes(place, table, at, folder, read, tmp_path):
    files = pictures(place) | {at: table}
    for path in (write(folder, files), zipped(tmp_path / "z.zip", files)):
        splits = read(path)
        assert splits.classes == ("even", "odd")
        assert sorted(pair for p in parts(splits) for pair in shown(p)) == sorted(
            (as_shown(i), i % 2) for i in range(12)
        )


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TABLE + "99.png,odd\n77.png,odd\n", r"must hold names of pictures that are there, got 2 not there, first '77\.png'\."),
        (TABLE.replace("03.png,odd\n", ""), r"must hold the class of every picture \(or choose --data\.labels none\), got 1 without one, first '03\.png'\."),
        (TABLE + "03.png,odd\n", r"must hold each file once, got '03\.png' twice\."),
        (TABLE.replace("05.png,odd", "05.png,"), r"must hold a file and its class in each line, got \['05\.png', ''\]\."),
        (TABLE.replace("05.png,odd", "05.png"), r"must hold a file and its class in each line, got \['05\.png'\]\."),
        (TABLE.encode().replace(b"odd", b"\xff"), r"must hold UTF-8 text, got "),
        ("", r"must hold the class of every picture"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_named(table, words, folder, read):
    with pytest.raises(BadFile, match=rf"photos/labels\.csv: {words}"):
        read(write(folder, pictures("") | {"labels.csv": table}))
    assert len(read(folder, labels="none").train) == 10


@pytest.mark.parametrize(
    "heading", ["file,width,label", "label,width,file", "Width,Class,Filename", "class,image"]
)
def test_the_heading_says_which_column_is_the_class(heading, folder, read):
    columns = [c.lower() for c in heading.split(",")]
    said = {"width": "16", "label": "odd", "class": "odd"}
    rows = [
        ",".join(
            said.get(c, f"{i:02d}.png").replace("odd", ("even", "odd")[i % 2]) for c in columns
        )
        for i in range(12)
    ]
    splits = read(write(folder, pictures("") | {"labels.csv": "\n".join([heading, *rows])}))
    assert splits.classes == ("even", "odd")


@pytest.mark.parametrize(
    ("heading", "words"),
    [("file,a,b", "must hold one column for the class, called one of class, label, .*, got file, a, b"),
     ("file,class,label", "must hold one column for the class"),
     ("", "must hold two columns, or a heading that names one 'class' or 'label', got 3 columns without")],
)  # fmt: skip
def test_more_than_two_columns_need_a_heading_that_names_the_class(heading, words, folder, read):
    rows = [f"{i:02d}.png,16,{'ab'[i % 2]}" for i in range(12)]
    table = "\n".join([heading, *rows] if heading else rows)
    with pytest.raises(BadFile, match=words):
        read(write(folder, pictures("") | {"labels.csv": table}))


def test_a_table_matches_however_accents_are_coded_and_hints_at_case(folder, read):
    names = [f"\xe9{i:02}.png" for i in range(12)]
    files = {unicodedata.normalize("NFD", n): png(i) for i, n in enumerate(names)}
    table = "\n".join(f"{n},{'ab'[i % 2]}" for i, n in enumerate(names))
    assert read(write(folder, files | {"labels.csv": table})).classes == ("a", "b")
    (folder / "labels.csv").write_text(table.replace("\xe900.png", "\xe900.PNG"))
    with pytest.raises(
        BadFile, match=r"first '\xe900\.PNG' \(there is 'e\u030100\.png': upper and lower"
    ):
        read(folder)


def test_each_split_may_have_its_table_and_the_test_none(folder, read):
    splits = read(write(folder, pictures("train/", "test/") | {"train/labels.csv": TABLE}))
    assert splits.classes == ("even", "odd")
    assert splits.test.context is None
    assert "2 classes by train/labels.csv" in splits.reading
    (folder / "train" / "labels.csv").unlink()
    top = re.sub(r"(\d\d\.png)", r"train/\1", TABLE)
    assert read(write(folder, {"labels.csv": top})).test.context is None


# Depth


@pytest.mark.parametrize(("bits", "expected"), [(8, 8), (9, 10), (12, 12), (13, 14), (16, 16)])
def test_sixteen_bit_files_are_scaled_by_the_bits_that_the_set_uses(
    bits, expected, folder, read, monkeypatch
):
    monkeypatch.setattr(building, "BLOCK", 5)
    deep = [
        np.random.default_rng(i).integers(0, 2 ** (bits if i == 7 else 7), (8, 8), dtype=np.uint16)
        for i in range(12)
    ]
    deep[7][0, 0] = 2**bits - 1  # one picture decides for all
    splits = read(write(folder, {f"{i}.png": encoded(x) for i, x in enumerate(deep)}), grey=True)
    seen = sorted(x for p in parts(splits) for x, _ in shown(p))
    assert seen == sorted((x >> (expected - 8)).astype(np.uint8).tobytes() for x in deep)
    assert (f"scaled by the {expected} bits" in splits.reading) == (expected < 16)


def test_a_nearly_black_set_is_said(folder, read, capsys):
    read(write(folder, {f"{i}.png": encoded(pixels(i) // 32) for i in range(12)}))
    assert (
        "photos: nearly black: the brightest value of all pictures is 7 of 255."
        in capsys.readouterr().err
    )


# The cache


def test_the_second_time_nothing_is_decoded(folder, read, decoded):
    write(folder, classes(8))
    first = read(folder)
    assert len(decoded) == 16
    second = read(folder)
    assert len(decoded) == 16
    assert same_run.describe(first) == same_run.describe(second)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "cat" / "000.png").write_bytes(png(77)),
        lambda f: (f / "cat" / "000.png").rename(f / "cat" / "new.png"),
        lambda f: (f / "cat" / "000.png").rename(f / "dog" / "new.png"),
        lambda f: (f / "cat" / "000.png").unlink(),
        lambda f: (f / "cat" / "new.png").write_bytes(png(77)),
        lambda f: os.utime(f / "cat" / "000.png", ns=(1, 1)),
        lambda f: (f / "labels.csv").write_text("".join(f"{n},x{i % 2}\n" for i, n in enumerate(classes(8)))),
    ],
)  # fmt: skip
def test_a_changed_source_is_decoded_anew(change, folder, read, decoded):
    write(folder, classes(8))
    read(folder)
    change(folder)
    read(folder)
    assert len(decoded) > 16 + 14


@pytest.mark.parametrize(
    "settings", [{"size": 9}, {"grey": True}, {"smallest": 4}, {"labels": "none"}]
)
def test_another_look_has_a_cache_of_its_own(settings, folder, read, decoded):
    write(folder, classes(8))
    read(folder)
    read(folder, **settings)
    assert len(decoded) == 32
    read(folder)
    read(folder, validation=0.2, unreadable="refuse", seed=4)
    assert len(decoded) == 32


def test_what_does_not_matter_changes_no_cache(folder, read, decoded):
    write(folder, classes(8))
    read(folder)
    write(folder, {"notes.txt": "x", ".hidden.png": png(3), "cat/more.docx": "y"})
    read(folder)
    assert len(decoded) == 16


def test_the_cache_lies_in_the_users_folder_unless_another_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(images.pooch, "os_cache", lambda name: tmp_path / name)
    write(folder, classes(8))
    load(ImagesConfig(path=str(folder), size=8), seed=0)
    (place,) = (tmp_path / "advnets" / "images").iterdir()
    assert place.name.startswith("photos-")
    assert kept(place) == ["facts.json", "images.npy", "labels.npy", "skipped.txt"]
    x = np.load(place / "images.npy", mmap_mode="r")
    assert (x.dtype, x.shape) == (np.uint8, (16, 3, 8, 8))


@pytest.mark.parametrize("stop", [0, 1, 5, 11, 23])
def test_interrupted_it_goes_on_where_it_stopped(stop, folder, read, tmp_path, monkeypatch):
    files = classes(12) | {"cat/bad.png": b"hello"}
    write(folder, files)
    whole = read(folder, cache=str(tmp_path / "whole"))
    monkeypatch.setattr(building, "BLOCK", 3)
    monkeypatch.setattr(building, "CHUNK", 1)
    real, tried = building.decoded, []

    def until(raw, look, *, depth):
        tried.append(raw)
        if len(tried) == stop + 1:
            raise KeyboardInterrupt
        return real(raw, look, depth=depth)

    monkeypatch.setattr(building, "decoded", until)
    with pytest.raises(KeyboardInterrupt):
        read(folder)
    assert [n for n in kept(tmp_path / "cache") if not n.startswith(".")] == []
    tried.clear()
    monkeypatch.setattr(
        building, "decoded", lambda raw, *a, **k: tried.append(raw) or real(raw, *a, **k)
    )
    after = read(folder)
    assert len(tried) <= 25 - 3 * (stop // 3)
    assert same_run.describe(after) == same_run.describe(whole)
    (a,), (b,) = ([p for p in (tmp_path / n).iterdir() if p.is_dir()] for n in ("whole", "cache"))
    assert kept(a) == kept(b)
    for name in kept(a):
        assert (a / name).read_bytes() == (b / name).read_bytes()


def test_what_was_written_beyond_the_last_look_at_the_disk_is_dropped(
    folder, read, tmp_path, monkeypatch
):
    write(folder, classes(12))
    whole = read(folder, cache=str(tmp_path / "whole"))
    monkeypatch.setattr(building, "BLOCK", 5)
    real = building.decoded
    count = iter(range(99))
    monkeypatch.setattr(
        building, "decoded", lambda *a, **k: 1 / 0 if next(count) == 12 else real(*a, **k)
    )
    with pytest.raises(ZeroDivisionError):
        read(folder)
    (aside,) = (tmp_path / "cache").glob(".part.*")
    with (aside / "images.npy").open("ab") as file:
        file.write(b"x" * 500)
    monkeypatch.setattr(building, "decoded", real)
    assert same_run.describe(read(folder)) == same_run.describe(whole)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "facts.json").write_text("{"),
        lambda f: (f / "facts.json").unlink(),
        lambda f: (f / "facts.json").write_text(json.dumps({"classes": [], "examples": [9, 9, 9], "skipped": 0})),
        lambda f: os.truncate(f / "images.npy", 500),
        lambda f: os.truncate(f / "images.npy", 5),
        lambda f: (f / "images.npy").unlink(),
        lambda f: (f / "labels.npy").write_bytes(b"x"),
        lambda f: (f / "labels.npy").unlink(),
    ],
)  # fmt: skip
def test_a_damaged_cache_is_made_anew(damage, folder, read, tmp_path):
    before = same_run.describe(read(write(folder, classes(8))))
    (place,) = (tmp_path / "cache").iterdir()
    damage(place)
    assert same_run.describe(read(folder)) == before
    assert kept(place) == ["facts.json", "images.npy", "labels.npy", "skipped.txt"]


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_changed_bytes_in_a_cache_are_noticed_said_and_mended(name, folder, read, tmp_path, capsys):
    before = same_run.describe(read(write(folder, classes(8))))
    (place,) = (tmp_path / "cache").iterdir()
    raw = bytearray((place / name).read_bytes())
    raw[-3] ^= 1
    (place / name).write_bytes(raw)
    capsys.readouterr()
    assert same_run.describe(read(folder)) == before
    said = capsys.readouterr().err
    assert (
        f"{place}: this cache is damaged (a checksum is wrong); the pictures are decoded again."
        in said
    )
    read(folder)
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "facts", ["[]", "3", "{}", "[" * 99_999, '{"examples": "abc"}', '{"examples": [1, 2]}', "\0"]
)
def test_facts_of_another_shape_are_damage(facts, folder, read, tmp_path):
    before = same_run.describe(read(write(folder, classes(8))))
    (place,) = (tmp_path / "cache").iterdir()
    (place / "facts.json").write_text(facts)
    assert same_run.describe(read(folder)) == before


def test_a_half_built_cache_that_was_damaged_is_begun_anew(folder, read, tmp_path, monkeypatch):
    write(folder, classes(12))
    whole = same_run.describe(read(folder, cache=str(tmp_path / "whole")))
    monkeypatch.setattr(building, "BLOCK", 5)
    real = building.decoded
    for damage in ("images.npy", "listing"):
        count = iter(range(99))
        monkeypatch.setattr(
            building, "decoded", lambda *a, c=count, **k: 1 / 0 if next(c) == 12 else real(*a, **k)
        )
        with pytest.raises(ZeroDivisionError):
            read(folder, cache=str(tmp_path / damage))
        monkeypatch.setattr(building, "decoded", real)
        (aside,) = (tmp_path / damage).glob(".part.*")
        raw = bytearray((aside / damage).read_bytes())
        raw[150 if damage == "images.npy" else 0] ^= 1
        (aside / damage).write_bytes(raw)
        assert same_run.describe(read(folder, cache=str(tmp_path / damage))) == whole


@pytest.mark.parametrize("planted", ["folder", "file"])
def test_a_half_built_cache_is_not_built_through_a_link(planted, folder, read, tmp_path):
    before = train.describe(read(write(folder, classes(8))))
    (place,) = (tmp_path / "cache").iterdir()
    place.rename(tmp_path / "gone")
    aside, outside = place.with_name(f".part.{place.name}"), tmp_path / "outside"
    outside.mkdir()
    (outside / "images.npy").write_text("not yours")
    if planted == "folder":
        aside.symlink_to(outside)
    else:
        aside.mkdir()
        (aside / "images.npy").symlink_to(outside / "images.npy")
    assert train.describe(read(folder)) == before
    assert kept(outside) == ["images.npy"]
    assert (outside / "images.npy").read_text() == "not yours"


@pytest.mark.parametrize("name", ["facts.json", "images.npy", "labels.npy"])
def test_a_pipe_in_a_cache_is_damage_and_no_wait(name, folder, read, tmp_path):
    before = train.describe(read(write(folder, classes(8))))
    (place,) = (tmp_path / "cache").iterdir()
    (place / name).unlink()
    os.mkfifo(place / name)
    assert train.describe(read(folder)) == before


def test_a_picture_of_the_same_size_and_time_is_decoded_anew(folder, read, decoded):
    write(folder, {n: encoded(pixels(i), "BMP") for i, n in enumerate(classes(8))})
    before = read(folder)
    path = folder / "cat" / "000.png"
    facts = path.stat()
    path.write_bytes(encoded(pixels(99), "BMP"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size
    assert same_run.describe(read(folder))["crc32"] != same_run.describe(before)["crc32"]


def test_a_cache_that_cannot_be_written_is_named(folder, read, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"cache: could not be saved \("):
        read(write(folder, classes(8)))


def test_a_full_disk_keeps_what_was_decoded(folder, read, tmp_path, monkeypatch):
    import errno

    write(folder, classes(12))
    whole = read(folder, cache=str(tmp_path / "whole"))
    monkeypatch.setattr(building, "BLOCK", 5)
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(building.os, "fsync", full)
    with pytest.raises(CannotWrite, match=r"could not be saved \(No space left on device\)"):
        read(folder)
    seen = []
    decode = building.decoded
    monkeypatch.setattr(
        building, "decoded", lambda raw, *a, **k: seen.append(raw) or decode(raw, *a, **k)
    )
    assert same_run.describe(read(folder)) == same_run.describe(whole)
    assert len(seen) == 24 - 10


# What is wrong with some of many


@pytest.mark.parametrize(("name", "raw", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_one_bad_picture_among_many_is_named_and_left_out_or_refused(
    name, raw, words, folder, read, tmp_path, capsys
):
    write(folder, classes(10) | {f"dog/{name}": raw})
    whole = read(folder)
    said = capsys.readouterr().err
    place = next((tmp_path / "cache").iterdir())
    assert re.search(
        rf"^Pictures left out: 1, first dog/{name}: .*({words}).*; all are named in {place}/skipped\.txt\.$",
        said,
        re.MULTILINE,
    )
    assert (place / "skipped.txt").read_text().startswith(f"dog/{name}\t")
    assert sum(len(p) for p in parts(whole)) == 20
    for settings in (
        {},
        {"cache": str(tmp_path / "other")},
    ):  # from the cache, and while one is built
        with pytest.raises(
            BadFile,
            match=rf"photos: dog/{name}: .*({words}).*; take it out, or choose --data\.unreadable skip\.",
        ):
            read(folder, unreadable="refuse", **settings)
    assert same_run.describe(read(folder, cache=str(tmp_path / "other"))) == same_run.describe(
        whole
    )


def test_all_that_is_left_out_is_counted_each_time(folder, read, capsys):
    write(
        folder, classes(10) | {f"dog/z{i}.png": b"x" * i for i in range(7)} | {"cat/a\nb.png": b""}
    )
    for _ in range(2):
        read(folder)
        said = capsys.readouterr().err
        assert "Pictures left out: 8, first " in said


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_one_picture_of_too_many_pixels_is_left_out_or_refused(folder, read, capsys):
    write(folder, classes(10) | {"dog/bomb.png": bomb(40_000, 40_000)})
    assert sum(len(p) for p in parts(read(folder))) == 20
    words = (
        r"dog/bomb\.png: must have at most 134,217,728 pixels, got .*\(a decompression bomb\?\); "
    )
    assert re.search(rf"left out: 1, first {words}", capsys.readouterr().err)
    with pytest.raises(BadFile, match=rf"photos: {words}take it out, or choose"):
        read(folder, unreadable="refuse")


def test_a_file_too_long_to_be_a_picture_is_not_read(folder, read, monkeypatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 3_000)
    write(folder, classes(10) | {"dog/long.png": bytes(3_001)})
    with pytest.raises(
        BadFile,
        match=r"dog/long\.png: must have at most 3,000 bytes, got 3,001 \(a decompression bomb\?\)",
    ):
        read(folder, unreadable="refuse")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, r"must hold pictures, got an empty one\."),
        ({"a.txt": "x", "b/c.pdf": "y"}, r"must hold pictures, got none among 2 other files\."),
        (pictures("a/")| {"c/notes.txt": "x"}, r"class 'c' must have at least one picture, got none \(or choose --data\.labels none\)\."),
        (pictures("a/", "b/") | {"c/z.png": b""}, r"class 'c' must have at least one training picture that can be used, got none, first c/z\.png: zero bytes \("),
        (pictures("train/a/", "train/b/", "test/c/"), r"class 'c' must have at least one training picture that can be used, got none"),
        (pictures("test/") | {f"train/{i}.png": b"x" for i in range(12)}, r"must hold training pictures, got none and 12 that cannot be used, first train/0\.png: in no format"),
        ({f"{i}.png": png(i) for i in range(9)}, r"must hold at least 10 pictures, got 9\."),
        ({f"{i}.png": b"x" for i in range(30)}, r"must hold at least 10 pictures, got 0 and 30 that cannot be used, first 0\.png: in no format of pictures that Pillow reads\."),
    ],
)  # fmt: skip
def test_a_source_that_is_not_as_it_must_be_is_named(files, words, folder, read, tmp_path):
    folder.mkdir()
    with pytest.raises(BadFile, match=rf"photos: {words}"):
        read(write(folder, files))
    if not any("notes" in name for name in files):
        with pytest.raises(BadFile, match=rf"z\.zip: {words}"):
            read(zipped(tmp_path / "z.zip", files))


def test_a_source_that_cannot_be_listed_leaves_nothing_behind(folder, read, tmp_path):
    with pytest.raises(BadFile):
        read(write(folder, pictures("a/") | {"c/notes.txt": "x"}))
    assert [n for n in kept(tmp_path / "cache") if not n.startswith(".lock.")] == []


def test_a_folder_of_links_says_that_they_are_not_followed(folder, read, tmp_path):
    write(tmp_path / "other", pictures(""))
    folder.mkdir()
    (folder / "all").symlink_to(tmp_path / "other")
    with pytest.raises(
        BadFile,
        match=r"got none among 0 other files and 1 left out, first all: a symbolic link, which is not followed\.",
    ):
        read(folder)
    assert len(read(folder / "all").train) == 10  # a link that is named is meant


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0}, r"'size' must be a number that is at least 1, got 0\."),
        ({"smallest": 0}, r"'smallest' must be a number that is at least 1, got 0\."),
        ({"validation": 1.0}, r"'validation' must be above 0 and below 1, got 1\.0\."),
        (
            {"path": ""},
            r"'data\.path' must be the folder or zip of pictures to train on, got nothing\.",
        ),
    ],
)
def test_a_setting_out_of_range_is_named(settings, words, read, folder):
    with pytest.raises(BadValue, match=words):
        read(settings.pop("path", folder), **settings)


def test_names_that_are_no_utf8_are_read_and_said(folder, read, capsys):
    write(folder, classes(10))
    (folder / "cat" / os.fsdecode(b"\xff\xfe.png")).write_bytes(png(5))
    (folder / "cat" / os.fsdecode(b"bad\xff.png")).write_bytes(b"x")
    assert sum(len(p) for p in parts(read(folder))) == 21
    assert r"cat/bad\xff.png" in capsys.readouterr().err


def test_two_processes_build_one_cache(folder, tmp_path):
    import multiprocessing

    write(folder, classes(40))
    config = ImagesConfig(path=str(folder), size=8, cache=str(tmp_path / "cache"))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        a, b = pool.map(cached, [config, config])
    assert a == b
    assert kept(tmp_path / "cache") == [a.folder.name]
    assert a.examples == (80, 0, 0)


def test_the_smallest_jpegs_of_a_camera_and_a_screenshot_live_side_by_side(folder, read):
    big = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    files = classes(10) | {
        "cat/big.jpg": encoded(big, "JPEG"),
        "dog/wide.webp": encoded(big[:, :90], "WEBP"),
    }
    splits = read(write(folder, files), size=16)
    assert splits.event_shape == (3, 16, 16)
    assert sum(len(p) for p in parts(splits)) == 22


def test_decoding_needs_no_look_at_other_pictures(folder, read, monkeypatch):
    """What a picture becomes does not depend on how many threads there are or where blocks end."""
    write(folder, classes(12))
    a = read(folder)
    monkeypatch.setattr(building, "BLOCK", 5)
    monkeypatch.setattr(building, "CHUNK", 2)
    monkeypatch.setattr(building, "_processors", lambda: 4)
    b = read(folder, cache=str(folder.parent / "other"))
    assert same_run.describe(a) == same_run.describe(b)
    assert decoding.Look(size=8, grey=False, smallest=8).shape == (3, 8, 8)

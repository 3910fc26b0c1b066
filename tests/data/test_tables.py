"""Tables of numbers and of classes as people have them: one content, however it is written down."""

import codecs
import csv
import io
import itertools

import numpy as np
import pytest
import torch

import advnets
from advnets.base.errors import BadFile, BadValue
from advnets.data import ArrayConfig, ImagesConfig, csv_file, from_arrays, load
from advnets.runs import same_run
from conftest import small_config, small_run
from pictures import png, write

FEW = advnets.TrainerConfig(steps=4, score_every=0, sample_every=0)
N, D = 30, 3
X = np.random.default_rng(0).normal(size=(N, D)).round(4)
NAMES = np.array(["ox", "ant", "Bee"])[np.arange(N) % 3]


def table(rows, delimiter=",", comma=False, heading=None, ids=None, labels=None, quoted=False):
    """A CSV file as some program writes it."""
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)
    if heading:
        writer.writerow(
            [*([""] if ids else []), *heading, *(["label"] if labels is not None else [])]
        )
    for i, row in enumerate(rows):
        cells = [f"{v}".replace(".", ",") if comma else f"{v}" for v in row]
        more = [] if labels is None else [labels[i]]
        writer.writerow([*([i] if ids else []), *cells, *more])
    return out.getvalue()


def read(path, text, encoding="utf-8", **settings):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return csv_file.read(path, **settings)


def forms():
    for delimiter, comma, heading, ids, labelled, quoted, encoding in itertools.product(
        ",;\t", (False, True), (None, ("a", "b b", "c")), (False, True), (False, True), (False, True),
        ("utf-8", "utf-8-sig", "utf-16"),
    ):  # fmt: skip
        if (delimiter == "," and comma) or (ids and not heading):
            continue
        yield (
            {
                "delimiter": delimiter,
                "comma": comma,
                "heading": heading,
                "ids": ids,
                "quoted": quoted,
            },
            labelled,
            encoding,
        )


def test_all_ways_to_write_a_table_are_one_table(tmp_path):
    for form, labelled, encoding in forms():
        text = table(X, labels=NAMES if labelled else None, **form)
        found = read(tmp_path / "a.csv", text, encoding)
        assert np.array_equal(found.x, X), (form, encoding)
        if labelled:
            assert found.labels.tolist() == NAMES.tolist()
        else:
            assert found.labels is None
        assert ("left out" in found.reading) == bool(form["ids"])


def test_empty_cells_are_missing_and_their_rows_can_be_left_out(tmp_path):
    text = table([["", 1, 2], [1, "NA", 2], *X.tolist()])
    assert np.isnan(read(tmp_path / "a.csv", text).x).sum() == 2
    config = ArrayConfig(path=str(tmp_path / "a.csv"))
    with pytest.raises(BadValue, match=r"'data' must be finite.*row 0|data.*finite"):
        load(config, seed=0)
    splits = load(ArrayConfig(path=config.path, missing="leave-out"), seed=0)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == N
    assert "2 of 32 rows have missing values and are left out" in splits.reading


def test_the_numbers_that_pandas_gives_to_unnamed_columns_are_a_heading(tmp_path):
    without_index = "0,1,2\n" + table(X)
    with_index = ",0,1,2\n" + "".join(
        f"{i},{line}\n" for i, line in enumerate(table(X).splitlines())
    )
    for text in (without_index, with_index):
        assert np.array_equal(read(tmp_path / "a.csv", text).x, X)
    other = read(tmp_path / "a.csv", "0,1,3\n" + table(X))
    assert other.x.shape == (N + 1, D), "numbers of another order are an example"
    bits = read(tmp_path / "a.csv", "0,1\n1,0\n1,1\n")
    assert bits.x.tolist() == [[0, 1], [1, 0], [1, 1]], "few whole numbers are an example"


@pytest.mark.parametrize("gone", ["", "NA", "nan"])
@pytest.mark.parametrize("labels", [NAMES, np.arange(N) % 2])
def test_a_row_without_a_label_is_refused_or_left_out(tmp_path, gone, labels):
    cells = [gone, *map(str, labels[1:])]
    text = table(X, heading="abc", labels=cells)
    (tmp_path / "a.csv").write_text(text)
    config = ArrayConfig(path=str(tmp_path / "a.csv"))
    with pytest.raises(BadValue, match=r"'labels' must be .* row 0"):
        load(config, seed=0)
    splits = load(ArrayConfig(path=config.path, missing="leave-out"), seed=0)
    assert "1 of 30 rows have missing values and are left out." in splits.reading
    assert len({int(c) for c in splits.train.context}) == len({*labels.tolist()})
    assert not splits.train.context.is_floating_point()


def test_none_is_a_name_of_a_class(tmp_path):
    cells = ["none", "some"] * (N // 2)
    assert read(tmp_path / "a.csv", table(X, labels=cells)).labels.tolist() == cells


def test_underscores_in_numbers_are_refused_whatever_stands_beside_them(tmp_path):
    for rows in ([["1_000", 2]] * 3, [["1_000", "NA"]] * 3):
        with pytest.raises(BadFile, match=r"numbers in column '1'.*got '1_000' in line 1"):
            read(tmp_path / "a.csv", table(rows))


def test_a_column_of_labels_whose_name_others_share_is_asked_for_by_number(tmp_path):
    text = table([[1, "x", 2], [3, "y", 4]], heading=("a", "a", "b"))
    with pytest.raises(BadValue, match=r"number of a column of .*, 1, 2, got a, a name of several"):
        read(tmp_path / "a.csv", text, label_column="a")
    assert read(tmp_path / "a.csv", text, label_column="2").labels.tolist() == ["x", "y"]


def test_a_csv_an_npz_and_two_npy_files_give_the_same_splits_and_class_names(tmp_path):
    (tmp_path / "a.csv").write_text(table(X, delimiter=";", comma=True, labels=NAMES))
    np.savez(tmp_path / "a.npz", x=X, y=NAMES)
    np.savez(tmp_path / "bytes.npz", x=X, y=NAMES.astype("S"))
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", NAMES[:, None])
    beside = {"labels_path": str(tmp_path / "y.npy")}
    configs = [
        ArrayConfig(path=str(tmp_path / "a.csv")),
        ArrayConfig(path=str(tmp_path / "a.npz")),
        ArrayConfig(path=str(tmp_path / "bytes.npz")),
        ArrayConfig(path=str(tmp_path / "x.npy"), **beside),
        ArrayConfig(path=str(tmp_path / "x.npy"), resident=False, **beside),
    ]
    facts = [same_run.describe(load(config, seed=3)) for config in configs]
    assert facts[0]["classes"] == ["Bee", "ant", "ox"]
    for other in facts[1:]:
        assert other == facts[0]
    splits = load(configs[0], seed=3)
    by_hand = {
        tuple(row.tolist()): name for row, name in zip(torch.tensor(X).float(), NAMES, strict=True)
    }
    for x, label in zip(splits.train.x, splits.train.context, strict=True):
        assert splits.classes[label] == by_hand[tuple(x.tolist())]
    of_objects = from_arrays(X, NAMES.astype(object))
    assert torch.equal(of_objects.context, from_arrays(X, NAMES).context)
    assert [*map(int, np.unique(NAMES, return_inverse=True)[1])] == of_objects.context.tolist()


def test_a_run_on_a_table_is_sampled_by_the_name_of_a_class(tmp_path):
    (tmp_path / "a.csv").write_text(table(X, heading="abc", labels=NAMES))
    model = small_config(order="alternating", context="labels")
    data = ArrayConfig(path=str(tmp_path / "a.csv"))
    config = small_run(data=data, model=model, batch_size=8, trainer=FEW)
    assert advnets.train(config, tmp_path / "run")
    run = advnets.load(tmp_path / "run")
    assert run.sampler().context.names == ("Bee", "ant", "ox")
    assert run.of_classes(["ox"], 4).shape == (4, D)
    with pytest.raises(BadValue, match=r"cow"):
        run.of_classes(["cow"], 4)
    assert advnets.resume(tmp_path / "run")


def test_labels_are_the_column_that_is_named_or_the_only_one_of_words(tmp_path):
    path, word = tmp_path / "a.csv", [["1.5", "x", "7"], ["2.5", "y", "8"]] * 6
    assert read(path, table(word)).labels.tolist() == ["x", "y"] * 6
    headed = table(word, heading=("size", "kind", "target"))
    with pytest.raises(BadFile, match=r"must hold numbers in column 'kind' .*got 'x' in line 2\."):
        read(path, headed)
    assert read(path, table(word), label_column="2").x.shape == (12, 2)
    numbers = read(path, table(X, heading=("a", "Class", "c")))
    assert np.array_equal(numbers.labels, X[:, 1])
    whole = read(path, table([[i, i % 3] for i in range(12)], heading=("a", "label")))
    assert whole.labels.dtype == np.int64
    unnamed = read(
        path, table([[*row, "z"] for row in X])
    )  # no heading, though words end its lines
    assert len(unnamed.x) == N
    pandas = "0,1,label\n" + table(X[:, :2], labels=NAMES)
    assert np.array_equal(read(path, pandas).x, X[:, :2])


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        ("a;b\n1,234;5\n6,789;7\n", {}, r"no thousands separators, got '1,234', which may be thousands"),
        ("a;b\n1,25;5\n6.5;7\n", {}, r"with one decimal sign .*got '1,25' and '6\.5'"),
        ("a;b\n1.234,5;5\n6;7\n", {}, r"numbers in column 'a' .*got '1\.234,5' in line 2"),
        ("a,b\n1,2\n1,2,3\n", {}, r"as many cells in each line as in the first, 2, got 3 in line 3\."),
        ("My table\nx,y,label\n1,2,a\n", {}, r"as in the first, 1, got 3 in line 2\."),
        ("a,b\n1,2\n1,x\n", {}, r"numbers in column 'b' .*got 'x' in line 3"),
        ("1,2\n", {}, r"a table of at least 2 lines, got 1"),
        ("", {}, r"a table of at least 2 lines, got 0"),
        (b"a,b\n1,\xff\n", {}, r"must hold UTF-8 text"),
        ('a,b\n1,"2\n3,4\n', {}, r"must hold UTF-8 text, got unexpected end of data"),
        ("label\nx\ny\n", {}, r"a column of numbers, got none beside the labels"),
        ("a,b\n1,2\n1,3\n", {"label_column": "c"}, r"'data\.label_column' must be one of a, b, .*got c"),
        ("label,class\n1,2\n1,3\n", {}, r"'data\.label_column' must be given: .*label and class"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_clear_is_refused_by_line_and_column(text, settings, words, tmp_path):
    with pytest.raises((BadFile, BadValue), match=words):
        read(tmp_path / "a.csv", text, **settings)


def test_decimal_commas_of_three_digits_are_read_where_another_number_says_so(tmp_path):
    found = read(tmp_path / "a.csv", "a;b\n1,234;5,5\n6,789;7,25\n")
    assert found.x.tolist() == [[1.234, 5.5], [6.789, 7.25]]


def test_options_that_do_not_fit_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=NAMES)
    np.save(tmp_path / "y.npy", NAMES)
    with pytest.raises(
        BadValue, match=r"'label_column' must be left out but for a CSV file, got 2"
    ):
        ArrayConfig(path="a.npy", label_column="2")
    both = ArrayConfig(path=str(tmp_path / "a.npz"), labels_path=str(tmp_path / "y.npy"))
    with pytest.raises(
        BadValue, match=r"'data\.labels_path' must be left out: .*a\.npz has labels"
    ):
        load(both, seed=0)


# Tables of classes beside pictures


KINDS = ["cat", "dog"]


def flat(n=24, folder=""):
    return {f"{folder}{i:03d}.png": png(i) for i in range(n)}


def labelled(names, delimiter=",", heading="id,label"):
    lines = [heading] if heading else []
    lines += [f"{name},{KINDS[i % 2]}" for i, name in enumerate(names)]
    return "".join(f"{line}\n" for line in lines).replace(",", delimiter)


def described(tmp_path, files):
    folder = write(tmp_path / f"photos{len([*tmp_path.iterdir()])}", files)
    config = ImagesConfig(path=str(folder), size=8, cache=str(tmp_path / "cache"))
    return load(config, seed=0)


def test_ids_without_ending_semicolons_and_headings_are_the_same_classes(tmp_path):
    names = [*flat()]
    ids = [name.removesuffix(".png") for name in names]
    expected = same_run.describe(described(tmp_path, flat() | {"labels.csv": labelled(names)}))
    for these, delimiter, heading in itertools.product(
        (names, ids), ",;\t", ("id,label", "image_id,breed", "file,class", "")
    ):
        text = labelled(these, delimiter, heading)
        if delimiter == ";":  # as Excel writes it
            text = codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode()
        found = described(tmp_path, flat() | {"labels.csv": text})
        assert same_run.describe(found) == expected, (these[0], delimiter, heading)


def test_ids_may_be_relative_to_the_folder_of_all_pictures(tmp_path):
    ids = [name.removesuffix(".png") for name in flat()]
    inside = described(tmp_path, flat(folder="train/") | {"labels.csv": labelled(ids)})
    assert inside.classes == ("cat", "dog")
    assert sum(len(p) for p in (inside.train, inside.validation, inside.test)) == 24


def test_ids_that_two_splits_share_are_those_of_the_training_set(tmp_path):
    """Kaggle's CIFAR-10: train/1.png and test/1.png, and a table of the training pictures."""
    files = flat(folder="train/") | flat(12, folder="test/")
    ids = [name.removesuffix(".png") for name in flat()]
    splits = described(tmp_path, files | {"labels.csv": labelled(ids)})
    assert splits.train.context is not None
    assert splits.test.context is None
    assert len(splits.test) == 12
    apart = {f"test/t{name.removeprefix('test/')}": raw for name, raw in flat(12, "test/").items()}
    both = [*ids, *(n.removeprefix("test/").removesuffix(".png") for n in apart)]
    known = described(tmp_path, flat(folder="train/") | apart | {"labels.csv": labelled(both)})
    assert known.test.context is not None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (flat() | {"000.jpg": png(3)}, r"a name for each picture, got '000' for 000\.(jpg|png) and 000\.(jpg|png)"),
        ({**flat(), "x.png": png(3)}, r"the class of every picture .*got 1 without one, first 'x\.png'"),
        ({n: raw for n, raw in flat().items() if n != "003.png"}, r"names of pictures that are there, got 1 not there, first '003'"),
    ],
)  # fmt: skip
def test_ids_that_do_not_fit_are_refused(files, words, tmp_path):
    ids = [name.removesuffix(".png") for name in flat()]
    with pytest.raises(BadFile, match=words):
        described(tmp_path, files | {"labels.csv": labelled(ids)})

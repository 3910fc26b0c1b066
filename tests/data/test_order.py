"""The order of rows: fixed, fair, the same for every reader, and that of old runs where a run is old."""

import json

import numpy as np
import pytest
import torch

import advnets
from advnets import data
from advnets.base.errors import BadFile
from advnets.data import ArrayConfig, Mapped, RingConfig, Split, Splits, load
from advnets.runs import train
from conftest import small_run

N = 400
LABELS = np.arange(N) // 40


def sorted_file(folder, name="x.npz"):
    """Examples whose only number is their row, sorted by class."""
    x = np.stack([np.arange(N), LABELS], axis=1).astype(np.float32) / 10
    np.savez(folder / name, x=x, y=LABELS) if name.endswith("z") else np.save(folder / name, x)
    return str(folder / name)


def parts(splits):
    return splits.train, splits.validation, splits.test


def rows(part):
    return (part.x[:][:, 0] * 10).round().long().tolist()


@pytest.mark.parametrize("resident", [False, True])
def test_the_same_examples_are_in_each_split_in_another_order(resident, tmp_path):
    config = ArrayConfig(path=sorted_file(tmp_path, "x.npy"), resident=resident)
    in_file, shuffled = load(config, seed=3, order="file"), load(config, seed=3)
    assert isinstance(shuffled.train.x, torch.Tensor if resident else Mapped)
    for own, other in zip(parts(in_file), parts(shuffled), strict=True):
        assert rows(own) == sorted(rows(other)) != rows(other)
    assert in_file.fingerprint == shuffled.fingerprint
    assert in_file.statistics.low == shuffled.statistics.low
    again = load(config, seed=3)
    assert [rows(p) for p in parts(again)] == [rows(p) for p in parts(shuffled)]


def test_labels_follow_their_rows_and_the_first_are_of_all_classes(tmp_path):
    splits = load(ArrayConfig(path=sorted_file(tmp_path)), seed=0)
    for part in parts(splits):
        assert part.context.tolist() == [LABELS[row] for row in rows(part)]
    assert len(set(splits.validation.context[:20].tolist())) >= 7
    assert len(set(splits.train.context[:50].tolist())) == 10


def test_every_reader_is_shuffled_in_the_one_place_where_data_is_read(monkeypatch):
    x = torch.arange(50.0)[:, None]
    for config in data.READERS:
        monkeypatch.setitem(data.READERS, config, lambda *_, **__: Splits(*[Split(x, x[:, 0])] * 3))
        splits = load(object.__new__(config), seed=0)
        assert splits.order == "shuffled"
        orders = [part.x[:, 0].tolist() for part in parts(splits)]
        assert all(sorted(order) == x[:, 0].tolist() for order in orders)
        assert len(set(map(tuple, orders))) == 3
        assert all(torch.equal(part.x[:, 0], part.context) for part in parts(splits))


def test_splits_of_ones_own_are_shuffled_too():
    x = torch.arange(200.0)[:, None]
    splits = data.split(Split(x, (x[:, 0] // 20).long()), validation=0.3, test=0.2, seed=0)
    assert splits.order == "shuffled"
    assert len(splits.validation.context[:20].unique()) >= 7


def as_if_begun_before(folder):
    path = folder / "data.json"
    facts = json.loads(path.read_text())
    assert facts.pop("order") == "shuffled"
    path.write_text(json.dumps(facts))


def test_a_run_from_before_goes_on_bit_for_bit_and_says_so(tmp_path, monkeypatch, capsys):
    config = small_run(data=RingConfig(examples=160))
    reader = data.load
    in_file = lambda config, *, seed, order="file": reader(config, seed=seed, order="file")  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(train.data, "load", in_file)
        advnets.train(config, tmp_path / "whole")
        half = small_run(data=config.data, trainer=advnets.TrainerConfig(
            steps=20, log_every=5, score_every=10, checkpoint_every=4, sample_every=20))  # fmt: skip
        advnets.train(half, tmp_path / "half")
    for name in ("whole", "half"):
        assert "order" not in json.loads((tmp_path / name / "data.json").read_text())
    assert train.resume(tmp_path / "half", config)
    whole, half = (
        max((tmp_path / name / "checkpoints").glob("0*")).read_bytes() for name in ("whole", "half")
    )
    assert whole == half
    splits = advnets.load(tmp_path / "half").splits()
    assert splits.order == "file"
    assert "began before advnets shuffled the rows" in " ".join(capsys.readouterr().err.split())


def test_a_run_of_today_is_read_as_it_was(points):
    found = advnets.load(points).splits()
    assert found.order == json.loads((points / "data.json").read_text())["order"] == "shuffled"


def test_an_order_that_is_none_is_named(tmp_path):
    advnets.train(small_run(), tmp_path / "run")
    path = tmp_path / "run" / "data.json"
    for order in ("sideways", [1], None):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"order": order}))
        with pytest.raises(BadFile, match=r"data\.json: missing or damaged \('order' must be one"):
            advnets.load(tmp_path / "run").splits()

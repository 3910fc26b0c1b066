"""The feature spaces: which one a data set gets, what it has learnt, and the cache."""

import pytest
import torch
from torch import nn

from advnets.data import MixtureConfig, RingConfig, Split, Splits, load, split
from advnets.evaluation import feature_network, features
from advnets.evaluation.features import class_labels, learn
from advnets.storage import checkpoints


def pictures(n=300, shape=(1, 9, 8), *, labels=True, seed=0):
    """Bright left halves are class 3, bright right halves class 7."""
    rng = torch.Generator().manual_seed(seed)
    right = torch.randint(2, (n,), generator=rng).bool()
    x = torch.rand(n, *shape, generator=rng) / 2
    half = shape[-1] // 2
    x[right, ..., half:] += 0.5
    x[~right, ..., :half] += 0.5
    whole = Split(x, torch.where(right, 7, 3) if labels else None)
    return split(whole, validation=0.2, test=0.2, seed=0)


@pytest.fixture(autouse=True)
def fewer_minibatches(monkeypatch):
    monkeypatch.setattr(feature_network, "_BATCH", 16)
    monkeypatch.setattr(feature_network, "_PASSES", 5)
    monkeypatch.setattr(feature_network, "_LEAST", 30)


@pytest.fixture
def said():
    return []


@pytest.mark.parametrize("shape", [(1, 9, 8), (3, 6, 40), (1, 1, 20), (20,)])
def test_labelled_examples_get_a_classifier_that_tells_their_classes(shape, tmp_path, said):
    data = pictures(shape=shape)
    space = learn(data, cache=tmp_path, say=said.append)
    assert (space.kind, space.classes) == ("classifier", 2)
    assert space.accuracy > 0.95
    told = space.labels(data.test.x)
    assert (torch.tensor([3, 7])[told] == data.test.context).double().mean() > 0.95
    assert said == [
        "Training a small classifier on the 180 training examples, to compare features with ..."
    ]
    assert "64 inner numbers of a small classifier" in space.describe
    assert f"{space.accuracy:.1%} of 60 validation examples right" in space.describe


@pytest.mark.parametrize("shape", [(1, 9, 8), (20,)])
def test_examples_without_labels_get_an_autoencoder(shape, tmp_path):
    data = pictures(shape=shape, labels=False)
    space = learn(data, cache=tmp_path)
    assert (space.kind, space.classes, space.accuracy) == ("autoencoder", 0, None)
    assert space.features(data.test.x).shape == (60, min(64, data.test.x[0].numel() // 2))
    assert 0.1 < space.score <= 1
    assert "of the variance of 60 validation examples" in space.describe


def test_features_have_mean_0_and_variance_1_on_training_data(tmp_path):
    data = pictures()
    found = learn(data, cache=tmp_path).features(data.train.x)
    assert found.mean(dim=0).abs().max() < 1e-4
    assert found.var(dim=0, correction=0).mean().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("config", [RingConfig(examples=500), MixtureConfig(examples=500)])
def test_few_numbers_are_compared_as_they_are(config, tmp_path, said):
    data = load(config, seed=0)
    space = learn(data, cache=tmp_path, say=said.append)
    assert (space.kind, space.classes) == ("data", len(config.means()))
    assert space.accuracy > 0.9
    expected = (data.test.x - data.train.x.mean(0)) / data.train.x.var(dim=0).mean().sqrt()
    torch.testing.assert_close(space.features(data.test.x).float(), expected)
    nearest = [(data.train.x - x).norm(dim=1).argmin() for x in data.test.x]
    assert torch.equal(space.labels(data.test.x), data.train.context[nearest])
    assert said == [] and list(tmp_path.iterdir()) == []
    assert "the data itself" in space.describe


def test_points_without_labels_have_no_classes(tmp_path):
    data = load(RingConfig(examples=100), seed=0)
    bare = Splits(*(Split(part.x) for part in (data.train, data.validation, data.test)))
    space = learn(bare, cache=tmp_path)
    assert (space.classes, space.accuracy) == (0, None)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (torch.arange(40) % 4, [0, 1, 2, 3]),
        (torch.arange(40) % 2 == 0, [0, 1]),
        (torch.arange(40) % 3 * 5 - 7, [-7, -2, 3]),
        (torch.arange(40) % 5, None),  # fewer than ten of each
        (torch.zeros(40), None),  # no whole numbers
        (torch.zeros(40).long(), None),  # one class
        (torch.zeros(40, 2).long(), None),  # several an example
        (None, None),
    ],
)
def test_what_counts_as_classes(labels, classes):
    found = class_labels(Split(torch.rand(40, 2), labels))
    assert (None if found is None else found[0].tolist()) == classes


# The cache


def test_a_network_is_trained_once_for_the_same_data(tmp_path, said):
    data = pictures()
    first = learn(data, cache=tmp_path, say=said.append)
    again = learn(pictures(), cache=tmp_path, say=said.append)
    assert len(said) == 1
    assert torch.equal(first.features(data.test.x), again.features(data.test.x))
    assert (first.accuracy, first.describe) == (again.accuracy, again.describe)
    learn(pictures(seed=1), cache=tmp_path, say=said.append)
    assert len(said) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_data_gives_the_same_network_and_nothing_else_moves(tmp_path):
    before = torch.get_rng_state()
    a, b = (learn(pictures(), cache=tmp_path / name).network for name in "ab")
    for name, t in a.state_dict().items():
        assert torch.equal(t, b.state_dict()[name]), name
    assert torch.equal(before, torch.get_rng_state())


def test_the_test_set_plays_no_part(tmp_path, said):
    data = pictures()
    learn(data, cache=tmp_path, say=said.append)
    other = Splits(data.train, data.validation, Split(data.test.x + 1, data.test.context))
    learn(other, cache=tmp_path, say=said.append)
    assert len(said) == 1


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setattr(features.pooch, "os_cache", lambda name: tmp_path / name)
    learn(pictures())
    (kept,) = (tmp_path / "advnets" / "features").iterdir()
    assert kept.name.startswith("classifier-") and kept.suffix == ".safetensors"


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def another(path):
    checkpoints.write_checkpoint([path], 0, nn.Linear(3, 4).state_dict(), {"score": 1.0})


def of_other_data(path):
    saved = checkpoints.read_checkpoint(path)
    checkpoints.write_checkpoint([path], 0, saved.tensors, saved.facts | {"data": 1})


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut, "damaged checkpoint ("),
        (lambda path: path.write_bytes(b"hello"), "damaged checkpoint ("),
        (another, "damaged checkpoint (it is of another network)"),
        (of_other_data, "damaged checkpoint (it is of another network)"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_and_trained_anew(harm, words, tmp_path, said):
    whole = learn(pictures(), cache=tmp_path, say=said.append).network.state_dict()
    (path,) = tmp_path.iterdir()
    harm(path)
    again = learn(pictures(), cache=tmp_path, say=said.append).network.state_dict()
    assert said[1].startswith(f"{path}: {words}")
    assert said[1].endswith("It is trained anew.")
    assert said[2].startswith("Training a small classifier")
    assert all(torch.equal(t, again[name]) for name, t in whole.items())
    learn(pictures(), cache=tmp_path, say=said.append)
    assert len(said) == 3


def test_a_cache_that_takes_nothing_is_no_failure(tmp_path, said):
    (tmp_path / "file").write_text("in the way")
    space = learn(pictures(), cache=tmp_path / "file" / "features", say=said.append)
    assert space.accuracy > 0.9
    assert "could not be saved (Not a directory)" in said[1]
    assert said[1].endswith("The next evaluation will train it again.")


def test_an_unreadable_cache_is_trained_anew(tmp_path, said, monkeypatch):
    learn(pictures(), cache=tmp_path, say=said.append)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    assert learn(pictures(), cache=tmp_path, say=said.append).accuracy > 0.9
    assert "cannot be read (Is a directory)" in said[1]
    assert not any(path.iterdir())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_network_is_trained_whatever_the_callers_mode(mode, tmp_path):
    x = torch.rand(40, 20, generator=torch.Generator().manual_seed(0))
    parts = [Split(x[:30]), Split(x[30:31]), Split(x[31:])]
    with mode():
        space = features.learn(Splits(*parts), cache=tmp_path, say=lambda _: None)
        assert space.features(x).isfinite().all()
    # One validation example does not vary, and that is what is said.
    assert "on 1 validation example it cannot be told how good it is" in space.describe
    again = features.learn(Splits(*parts), cache=tmp_path, say=lambda _: None)
    assert again.describe == space.describe

"""Few labels (Section 7.4): draws, feature matching, fine-tuning, frozen features, the curve."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import advnets
from advnets.base.protocols import Batch, Problem
from advnets.cli import command
from advnets.data import ArrayConfig, Split, Splits, few_labels
from advnets.evaluation import modes
from advnets.evaluation.protocol import Kept
from advnets.experiments import label_curve
from advnets.extensions.inference.bigan import BiGANConfig
from advnets.extensions.semisupervised import Classifier, SemiSupervised, SemiSupervisedConfig
from advnets.extensions.semisupervised.feature_matching import LabelCrossEntropy
from advnets.extensions.semisupervised.fine_tune import FineTuneConfig, fine_tune, fresh
from advnets.extensions.semisupervised.frozen import (
    encoder_features,
    features,
    logistic_regression,
    nearest,
    on_frozen,
)
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.networks.encoder import EncoderConfig
from advnets.nn.weight_norm import WeightNormAffine
from advnets.optim.schedules import OptimizerConfig
from conftest import small_config, small_run

K, M = 3, 6
D_CONFIG = DiscriminatorConfig(units=(16, 12), pieces=2, irange=0.3)
BLOBS = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])


def blobs(n, seed=0):
    """Three Gaussians that hardly overlap, and which one each point is of."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % K
    return Split(BLOBS[y] + 0.6 * torch.randn(n, 2, generator=rng), y)


# Draws of labels


def test_a_draw_has_as_many_of_each_class_and_is_a_function_of_its_seed():
    labels = torch.randint(4, (1_000,), generator=torch.Generator().manual_seed(0)) + 3
    rows = few_labels.draw(labels, 42, seed=5)
    counts = torch.bincount(labels[rows])[3:]
    assert sorted(counts.tolist()) == [10, 10, 11, 11]
    assert len(rows.unique()) == 42
    assert torch.equal(rows, few_labels.draw(labels, 42, seed=5))
    assert not torch.equal(rows, few_labels.draw(labels, 42, seed=6))


def test_every_example_of_a_class_is_drawn_as_often():
    labels = torch.arange(20) % 2
    counts = torch.zeros(20)
    for seed in range(2_000):
        counts[few_labels.draw(labels, 4, seed=seed)] += 1
    assert (counts / 2_000 - 0.2).abs().max() < 5 * (0.2 * 0.8 / 2_000) ** 0.5


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, r"'labels' must be at least 2, one of each class, got 0\."),
        (1, r"'labels' must be at least 2, one of each class, got 1\."),
        (31, r"'labels' must be at most 30, all examples, got 31\."),
        (26, r"'labels' must be at most 10 of class 7, all that there are, got 13\."),
    ],
)
def test_a_draw_that_cannot_be_made_is_refused(n, words):
    labels = torch.tensor([3] * 20 + [7] * 10)
    with pytest.raises(ValueError, match=words):
        few_labels.draw(labels, n, seed=0)


def test_data_without_classes_has_no_few_labels():
    with pytest.raises(ValueError, match="'labels' must be of data with classes"):
        few_labels.choose(Split(torch.zeros(5, 2)), 2, seed=0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.zeros(0, dtype=torch.long), r"'labels' must be of shape \(N\), .* got shape \(0\)"),
        (torch.zeros(3, 1).long(), r"'labels' must be of shape \(N\), .* got shape \(3, 1\)"),
        (torch.tensor([0.0, 1.0]), r"'labels' must be whole numbers, .* got float32\."),
    ],
)
def test_what_are_no_labels_is_refused(labels, words):
    for refusing in (
        lambda: few_labels.draw(labels, 2, seed=0),
        lambda: few_labels.draw_at_most(labels, 2, classes=torch.arange(2), seed=0, name="labels"),
        lambda: few_labels.refuse_absent(labels, 2),
    ):
        with pytest.raises(ValueError, match=words):
            refusing()


def test_a_label_far_beyond_the_classes_takes_no_memory():
    with pytest.raises(ValueError, match=r"from 0 to 2, got -1 to 4611686018427387904\."):
        few_labels.refuse_absent(torch.tensor([0, 2**62, -1]), 3)


def test_a_class_with_fewer_validation_examples_gives_all_of_them():
    labels = torch.tensor([3] * 20 + [5] * 4 + [7] * 2)
    classes = torch.tensor([3, 7])
    rows = few_labels.draw_at_most(labels, 12, classes=classes, seed=0)
    assert torch.bincount(labels[rows], minlength=8).tolist() == [0, 0, 0, 6, 0, 0, 0, 2]
    enough = few_labels.draw_at_most(labels, 4, classes=classes, seed=5)
    known = labels[labels != 5]
    assert torch.equal(labels[enough], known[few_labels.draw(known, 4, seed=5)])
    with pytest.raises(ValueError, match="'validation labels' must be of at least one class that"):
        few_labels.draw_at_most(labels, 4, classes=torch.tensor([1, 2]), seed=0)


# Weight normalisation


def test_weight_norm_forgets_the_length_of_its_rows_and_begins_standardised(rng):
    layer = WeightNormAffine(5, 4, learned_scale=True, rng=rng)
    x = 3 + 2 * torch.randn(500, 5, generator=rng)
    y = layer.begin_at(x)
    torch.testing.assert_close(layer(x), y, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(dim=0), torch.ones(4))
    with torch.no_grad():
        layer.direction *= torch.tensor([[2.0], [0.1], [5.0], [1.0]])
    torch.testing.assert_close(layer(x), y, rtol=1e-4, atol=1e-5)
    (g,) = torch.autograd.grad(layer(x).square().sum(), layer.direction)
    along = (g * layer.direction).sum(dim=1)
    assert (along.abs() < 1e-3 * g.norm(dim=1) * layer.direction.norm(dim=1)).all()


# Feature matching


def semi(*, labels=6, noise=0.0, seed=0, **settings):
    """A small game of feature matching in which nothing is random but z and the labels' order."""
    rule = OptimizerConfig(lr=0.05, lr_decay=1.0, momentum=0.0, final_momentum=0.0)
    config = SemiSupervisedConfig(
        **{
            "classes": K,
            "labels": labels,
            "z_dim": 2,
            "D_hidden": (8, 5),
            "G_hidden": (6,),
            "output": "linear",
            "input_noise": noise,
            "hidden_noise": noise,
            "G_optimizer": rule,
            "D_optimizer": rule,
            "precision": "float32",
            **settings,
        }
    )
    told = few_labels.choose(blobs(90, seed=1), labels, seed=0)
    problem = Problem(
        event_shape=(2,),
        low=-3.0,
        high=7.0,
        mean=torch.zeros(2),
        batches_per_epoch=5,
        steps=50,
        labelled=Batch(told.x, told.context),
    )
    return SemiSupervised.from_config(config, problem, seed=seed), told


def test_D_is_the_classifier_of_one_class_more_whose_logit_is_0(rng):
    game, _ = semi()
    out = game.D(torch.randn(50, 2, generator=rng))
    more = torch.cat((game.D.class_logits(out), torch.zeros(50, 1)), dim=1).log_softmax(dim=1)
    a = game.D.logit(out)
    torch.testing.assert_close(F.softplus(a), -more[:, -1])  # -log P(sample)
    torch.testing.assert_close(F.softplus(-a), -torch.log1p(-more[:, -1].exp()))
    torch.testing.assert_close(
        torch.logsumexp(out[:, :K], dim=1) - out[:, 1], -out[:, :K].log_softmax(dim=1)[:, 1]
    )


def test_a_step_of_feature_matching_is_its_equations_written_out(rng):
    game, told = semi()
    x = blobs(M, seed=3).x
    slow_D, slow_G = copy.deepcopy(game.D), copy.deepcopy(game.G)
    slow_D.begin_at(x)
    stream = torch.Generator().manual_seed(4)
    z = game.prior.sample(M, rng=stream)
    rows = torch.randperm(len(told), generator=stream)
    z_of_G = game.prior.sample(M, rng=stream)
    game.step((Batch(x),), rng=torch.Generator().manual_seed(4))

    out, out_l = slow_D(x), slow_D(told.x[rows])
    out_g = slow_D(slow_G(z).detach())
    nats = F.cross_entropy(out_l[:, :K], told.context[rows])
    Z, Z_g = (torch.logsumexp(o[:, :K], dim=1) for o in (out, out_g))
    loss = nats + 0.5 * F.softplus(-Z).mean() + 0.5 * F.softplus(Z_g).mean()
    grads = torch.autograd.grad(loss, list(slow_D.parameters()))
    with torch.no_grad():
        for p, g in zip(slow_D.parameters(), grads, strict=True):
            p -= 0.05 * g
    for p, q in zip(game.D.parameters(), slow_D.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)

    apart = slow_D(x)[:, K:].mean(dim=0) - slow_D(slow_G(z_of_G))[:, K:].mean(dim=0)
    grads = torch.autograd.grad(apart.square().mean(), list(slow_G.parameters()))
    with torch.no_grad():
        for p, g in zip(slow_G.parameters(), grads, strict=True):
            p -= 0.05 * g
    for p, q in zip(game.G.parameters(), slow_G.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 15), (30, 12)])
def test_every_label_is_seen_as_often_in_an_update(n, m, rng):
    game, told = semi()
    term = LabelCrossEntropy(game.D, told.x.repeat(n // 6, 1), told.context.repeat(n // 6))
    counts = torch.bincount(term.draw(m, rng=rng), minlength=n)
    assert counts.sum() == m
    assert counts.max() - counts.min() <= 1


def test_few_labels_are_enough_where_the_examples_fall_into_clusters():
    """Two labels a class; the classifier is told all the rest without theirs."""
    game, _ = semi(noise=0.1, D_hidden=(32, 32), G_hidden=(16,), D_ema_decay=0.9)
    data, rng = (
        advnets.Batches(blobs(600, seed=1), size=60, seed=0),
        torch.Generator().manual_seed(0),
    )
    for i in range(150):
        info = game.step(data.of_step(i, 1), rng=rng)
    assert info["label_nats"] < 0.2
    test = blobs(600, seed=9)
    assert game.classifier().error(test.x, test.context) < 0.03


def test_a_label_of_another_class_or_a_class_without_one_is_refused():
    game, told = semi()
    with pytest.raises(
        ValueError, match=r"'labels' must be of all 3 classes, got none of class 2\."
    ):
        LabelCrossEntropy(game.D, told.x[:2], torch.tensor([0, 1]))
    with pytest.raises(
        ValueError, match=r"'labels' must be whole numbers from 0 to 2, got 0 to 3\."
    ):
        LabelCrossEntropy(game.D, told.x[:4], torch.tensor([0, 1, 2, 3]))


# Fine-tuning and frozen features


def test_fine_tuning_learns_from_few_labels_and_leaves_D_as_it_was():
    D = fresh(D_CONFIG, (2,), seed=0)
    before = copy.deepcopy(D.state_dict())
    told, test = few_labels.choose(blobs(300), 15, seed=0), blobs(600, seed=9)
    config = FineTuneConfig(updates=120, batch_size=5)
    tuned = [fine_tune(D, D_CONFIG, told, classes=K, seed=1, config=config) for _ in range(2)]
    assert tuned[0].error(test.x, test.context) < 0.05
    assert torch.equal(tuned[0].logits(test.x), tuned[1].logits(test.x))
    for name, p in D.state_dict().items():
        assert torch.equal(p, before[name])
    rows = tuned[0].network.maxouts[0].affine.weight.norm(dim=1)
    assert rows.max() <= config.max_col_norm + 1e-4


def test_labels_that_say_nothing_teach_nothing():
    told, test = few_labels.choose(blobs(300), 60, seed=0), blobs(600, seed=9)
    shuffled = told.context[torch.randperm(60, generator=torch.Generator().manual_seed(2))]
    D = fresh(D_CONFIG, (2,), seed=0)
    config = FineTuneConfig(updates=50)
    tuned = fine_tune(D, D_CONFIG, Split(told.x, shuffled), classes=K, seed=1, config=config)
    assert abs(tuned.error(test.x, test.context) - 2 / 3) < 0.2


def test_the_update_is_chosen_on_validation_labels_and_not_on_more_than_training_has():
    told, validation = blobs(12), blobs(12, seed=4)
    D = fresh(D_CONFIG, (2,), seed=0)
    config = FineTuneConfig(updates=40, looks=40)
    tuned = fine_tune(D, D_CONFIG, told, validation, classes=K, seed=0, config=config)
    last = fine_tune(D, D_CONFIG, told, classes=K, seed=0, config=config)
    assert tuned.error(validation.x, validation.context) <= last.error(
        validation.x, validation.context
    )
    with pytest.raises(ValueError, match=r"'validation labels' must be at most .* 12, got 15"):
        fine_tune(D, D_CONFIG, told, blobs(15), classes=K, seed=0, config=config)
    with pytest.raises(
        ValueError, match=r"'labels' must be of all 4 classes, got none of class 3\."
    ):
        on_frozen(D, D_CONFIG, told, classes=4)


def test_one_class_is_nothing_to_tell_apart():
    told, D = Split(torch.zeros(4, 2), torch.zeros(4).long()), fresh(D_CONFIG, (2,), seed=0)
    with pytest.raises(ValueError, match=r"'classes' must be at least 2, got 1\."):
        on_frozen(D, D_CONFIG, told, classes=1)
    with pytest.raises(ValueError, match=r"'classes' must be at least 2, got 1\."):
        fine_tune(D, D_CONFIG, told, classes=1, seed=0)
    with pytest.raises(ValueError, match=r"'y' must be of at least 2 classes, got 1\."):
        logistic_regression(told.x, told.context)


def test_logistic_regression_is_scikit_learns_on_standardised_features(rng):
    h, y = torch.randn(60, 4, generator=rng) * 5 + 2, torch.arange(60) % K
    h[:, 0] += 3 * y
    scaler = StandardScaler().fit(h.double().numpy())
    theirs = LogisticRegression(C=0.1, max_iter=500).fit(scaler.transform(h.double()), y)
    at = torch.randn(500, 4, generator=rng) * 5 + 2
    ours = logistic_regression(h, y).predict(at)
    assert (ours.numpy() == theirs.predict(scaler.transform(at.double()))).all()
    two = logistic_regression(h, (y > 0).long()).predict(at)
    theirs.fit(scaler.transform(h.double()), y > 0)
    assert (two.numpy() == theirs.predict(scaler.transform(at.double()))).all()


def test_a_classifier_on_frozen_features_is_logistic_regression_on_them():
    told, test = blobs(30), blobs(400, seed=9)
    D = fresh(D_CONFIG, (2,), seed=0)
    classifier = on_frozen(D, D_CONFIG, told, classes=K)
    found = logistic_regression(features(D, told.x), told.context)
    assert torch.equal(classifier.predict(test.x), found.predict(features(D, test.x)))
    torch.testing.assert_close(
        D.eval()(test.x)[:, 0], D.last(features(D, test.x))[:, 0]
    )  # what D's own last layer reads


def test_the_nearest_example_is_found_by_looking_at_all(rng):
    x, y, at = torch.randn(40, 2, 3, generator=rng), torch.arange(40) % K, torch.randn(30, 2, 3)
    slow = [y[(x - one).square().sum(dim=(1, 2)).argmin()] for one in at]
    assert torch.equal(nearest(x, y, at), torch.stack(slow))


def test_a_classifier_is_saved_and_loaded(tmp_path):
    game, told = semi()
    tuned = fine_tune(
        fresh(D_CONFIG, (2,), seed=0),
        D_CONFIG,
        told,
        classes=K,
        seed=0,
        config=FineTuneConfig(updates=5),
    )
    x = blobs(50, seed=9).x
    for classifier in (game.classifier(), tuned):
        classifier.save(tmp_path / "c.safetensors")
        loaded = Classifier.load(tmp_path / "c.safetensors")
        assert torch.equal(loaded.logits(x), classifier.logits(x))
        assert loaded.classes == ("0", "1", "2")
        torch.testing.assert_close(loaded.predict_proba(x).sum(dim=1), torch.ones(50))
        with pytest.raises(ValueError, match=r"'x' must be of shape \(n, 2\)"):
            loaded.predict(torch.zeros(4, 3))
    (tmp_path / "other").write_bytes(b"no classifier")
    with pytest.raises(ValueError, match="no classifier that advnets saved"):
        Classifier.load(tmp_path / "other")


def test_a_classifier_refuses_what_it_cannot_tell():
    classifier, x = semi()[0].classifier(), blobs(3).x
    with pytest.raises(ValueError, match=r"'x' must be finite everywhere, .* first in row 1\."):
        classifier.predict(torch.tensor([[0.0, 1.0], [np.nan, 0.0]]))
    with pytest.raises(ValueError, match=r"'x' must be a dense tensor of real numbers, got"):
        classifier.predict(x + 0j)
    with pytest.raises(ValueError, match=r"'y' must be of shape \(3\), .* got shape \(2\)\."):
        classifier.error(x, torch.zeros(2))
    with pytest.raises(ValueError, match=r"'y' must be of shape \(3\), .* got shape \(3, 1\)\."):
        classifier.error(x, torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"'x' must be at least one example, got none\."):
        classifier.error(x[:0], torch.zeros(0))
    D = fresh(D_CONFIG, (1, 4, 4), seed=0)
    pixels = torch.arange(6 * 16).reshape(6, 1, 4, 4).float()
    told = Split(pixels / 255, torch.arange(6) % 2)
    with pytest.raises(ValueError, match=r"'x' must be scaled to about .* whole numbers up to 95"):
        on_frozen(D, D_CONFIG, told, classes=2).predict(pixels)


# Modes


def test_modes_found_and_how_uneven_they_are():
    shares = torch.tensor([0.5, 0.25, 0.0004, 0.0], dtype=torch.float64)
    assert modes.found(shares) == 3
    q = shares / shares.sum()
    expected = sum(float(p) * np.log(4 * float(p)) for p in q if p > 0)
    assert modes.reverse_KL(shares) == pytest.approx(expected)
    assert modes.reverse_KL(torch.ones(5).double() / 5) == pytest.approx(0)
    assert modes.reverse_KL(torch.zeros(5).double()) == pytest.approx(np.log(5))


# The commands


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The folder of a small game on labelled points in an array."""
    folder = tmp_path_factory.mktemp("labelled")
    data = blobs(400)
    np.savez(folder / "x.npz", x=data.x.numpy(), y=data.context.numpy())
    config = small_run(data=ArrayConfig(path=str(folder / "x.npz")), model=small_config())
    assert advnets.train(config, folder / "run")
    return folder / "run"


def test_a_label_curve_has_all_methods_on_the_same_draws_and_goes_on(labelled, tmp_path, capsys):
    words = ["label-curve", str(labelled), "--labels", "9", "30", "--quick", "--out", str(tmp_path)]
    assert command.main(words) == 0
    text = (tmp_path / "labels.md").read_text()
    for method in ("1-NN on pixels", "D fine-tuned", "same net from scratch", "D frozen"):
        assert method in text
    points = sorted((tmp_path / "points").glob("*.json"))
    assert len(points) == 12
    point = json.loads(points[0].read_text())
    assert 0 <= point["error"] <= 1
    points[0].write_text(json.dumps(point | {"error": 0.123}))
    assert command.main(words) == 0  # what is kept is not measured again
    assert "12.30" in (tmp_path / "labels.md").read_text()
    assert "<svg" in (tmp_path / "labels.html").read_text()


def curve_of(run, out, **plan):
    """How many points of a label curve, of 9 labels by default, are measured anew."""
    plan = label_curve.Plan(**{"labels": (9,), "draws": 1, "long_draws": 1, "updates": 3, **plan})
    before = {p: p.stat().st_mtime_ns for p in out.glob("*.json")}
    label_curve.measure(run, plan, out=out, command="", say=lambda _: None)
    return sum(before.get(p) != p.stat().st_mtime_ns for p in out.glob("*.json"))


def test_points_of_another_run_or_of_other_test_examples_are_not_believed(labelled, tmp_path):
    out, run = tmp_path / "points", advnets.load(labelled)
    assert curve_of(run, out) == 6
    assert curve_of(run, out) == 0
    assert curve_of(run, out, test=7) == 6
    assert curve_of(run, out) == 0, "what is quick takes nothing away"
    config = dataclasses.replace(run.config, seed=1)
    assert advnets.train(config, tmp_path / "other")
    assert curve_of(advnets.load(tmp_path / "other"), out) == 6
    with torch.no_grad():
        next(run.learner.D.parameters()).add_(0.1)  # as if trained anew in the same folder
    assert curve_of(run, out) == 6


def test_a_point_says_what_it_was_measured_on(labelled, tmp_path):
    run = advnets.load(labelled)
    curve_of(run, tmp_path)
    path = next(tmp_path.glob("*.json"))
    point = json.loads(path.read_text())
    assert point["measured_on"]["test"] == len(run.splits().test)
    other = point["measured_on"] | {"crc32": point["measured_on"]["crc32"] ^ 1}
    path.write_text(json.dumps(point | {"measured_on": other, "error": 0.123}))
    assert curve_of(run, tmp_path) == 1
    assert json.loads(path.read_text()) == point


def test_a_label_curve_wants_different_numbers_of_labels(labelled, tmp_path, capsys):
    words = ["label-curve", str(labelled), "--labels", "9", "30", "9", "--out", str(tmp_path / "a")]
    assert command.main(words) == 2
    said = capsys.readouterr().err
    assert "'labels' must be different numbers, got 9, 30, 9." in said and said.count("\n") == 1


def test_the_validation_set_may_have_fewer_labels_than_are_asked(tmp_path):
    """Of the first class training has 80 examples and validation 10; 50 are asked of each."""
    data = blobs(600)
    rows = torch.cat([(data.context == k).nonzero()[: 100 * min(k + 1, 2), 0] for k in range(K)])
    np.savez(tmp_path / "x.npz", x=data.x[rows].numpy(), y=data.context[rows].numpy())
    config = small_run(data=ArrayConfig(path=str(tmp_path / "x.npz")), model=small_config())
    assert advnets.train(config, tmp_path / "run")
    words = ["label-curve", str(tmp_path / "run"), "--labels", "150", "--quick"]
    assert command.main(words) == 0
    text = (tmp_path / "run-labels" / "labels.md").read_text()
    assert "at most as many validation labels as there are training labels" in text


def test_every_draw_is_tried_before_anything_is_trained(tmp_path):
    """Of 4 labels of 3 classes one class has two, which the seed chooses; the last has one."""
    y = torch.tensor([0] * 20 + [1] * 20 + [2])
    splits = Splits(*[Split(torch.zeros(41, 2), y)] * 3)
    plan = label_curve.Plan(labels=(4,), draws=9)
    with pytest.raises(ValueError, match=r"'labels' must be at most 1 of class 2, all that there"):
        label_curve._refuse(splits, plan)


def test_a_label_curve_of_one_class_is_refused_before_it_begins(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", x=blobs(60).x.numpy(), y=np.zeros(60, dtype=int))
    config = small_run(data=ArrayConfig(path=str(tmp_path / "x.npz")), model=small_config())
    assert advnets.train(config, tmp_path / "run")
    capsys.readouterr()
    words = ["label-curve", str(tmp_path / "run"), "--labels", "9", "--quick"]
    assert command.main(words) == 2
    said = capsys.readouterr().err
    assert "'labels' must be of at least 2 classes, got 1." in said and said.count("\n") == 1
    assert not (tmp_path / "run-labels").exists()


def test_a_label_curve_of_the_folder_one_stands_in(labelled, monkeypatch, capsys):
    monkeypatch.chdir(labelled)
    assert command.main(["label-curve", ".", "--labels", "9", "--quick"]) == 0
    assert (labelled.parent / "run-labels" / "labels.md").exists()
    monkeypatch.chdir(labelled / "checkpoints")
    assert command.main(["label-curve", "..", "--labels", "9", "--quick"]) == 0
    assert not (labelled / "..-labels").exists()


@pytest.mark.parametrize("settings", [{"test": 0}, {"draws": 0}, {"updates": 1.5}])
def test_a_plan_that_cannot_be_measured_is_refused(settings):
    with pytest.raises(ValueError, match=f"'{next(iter(settings))}' must be a "):
        label_curve.Plan(**settings)


def test_the_label_curve_of_a_bigan_has_the_features_of_its_encoder(tmp_path):
    data = blobs(400)
    np.savez(tmp_path / "x.npz", x=data.x.numpy(), y=data.context.numpy())
    model = BiGANConfig(
        z_dim=2,
        G=GeneratorConfig(hidden=(6,), output="linear"),
        D=DiscriminatorConfig(units=(4,), pieces=2),
        E=EncoderConfig(hidden=(7, 5)),
    )
    config = small_run(data=ArrayConfig(path=str(tmp_path / "x.npz")), model=model)
    assert advnets.train(config, tmp_path / "run")
    words = ["label-curve", str(tmp_path / "run"), "--labels", "9", "--quick"]
    assert command.main([*words, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "labels.md").read_text()
    assert "E frozen" in text and "untrained E" in text and "D frozen" not in text
    E, x = advnets.load(tmp_path / "run").learner.E, data.x[:7]
    h = encoder_features(E, x)
    assert h.shape == (7, 5)
    assert torch.equal(E.last(h), E(x))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("0", "'labels' must be at least 3, one of each class, got 0."),
        ("4000", "all examples, got 4000."),
    ],
)
def test_numbers_of_labels_that_cannot_be_drawn_are_refused(
    labelled, tmp_path, capsys, labels, words
):
    out = tmp_path / "out"
    code = command.main(["label-curve", str(labelled), "--labels", labels, "--out", str(out)])
    said = capsys.readouterr().err
    assert code == 2
    assert words in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_a_run_of_few_labels_predicts_and_its_curve_has_its_own_row(labelled, tmp_path, capsys):
    data = ArrayConfig(path=str(labelled.parent / "x.npz"))
    model = SemiSupervisedConfig(
        classes=K, labels=6, z_dim=2, D_hidden=(8, 8), G_hidden=(8,), output="linear"
    )
    run = tmp_path / "run"
    config = small_run(
        data=data, model=model, trainer=advnets.TrainerConfig(steps=20, score_every=0)
    )
    assert advnets.train(config, run)
    words = ["label-curve", str(run), "--labels", "6", "--quick", "--checkpoint", "last"]
    assert command.main(words) == 0
    assert "feature matching (this run)" in capsys.readouterr().out
    loaded = advnets.load(run, checkpoint="last")
    assert loaded.learner.classifier().predict(blobs(5).x).shape == (5,)
    words = ["evaluate", str(run), "--checkpoint", "last", "--samples", "20", "--quality", "False"]
    assert command.main(words) == 0
    test = loaded.splits().test
    wrong = (loaded.learner.classifier().predict(test.x[:]) != test.context).double()
    said = f"{100 * wrong.mean():.2f} +- {100 * (wrong.var(correction=0) / len(wrong)).sqrt():.2f}%"
    assert f"The classifier gets {said} of {len(wrong)} test examples wrong." in " ".join(
        capsys.readouterr().out.split()
    )
    kept = Kept.read(run / "evaluation.json").classification
    assert kept.error == wrong.mean() and kept.n == len(wrong)


def test_coordination_goes_on_where_it_was_stopped(tmp_path, capsys):
    words = ["coordination", "--quick", "--protocol", "short", "--data", "ring"]
    words += ["--only", "plain", "rejection", "pac2", "--out", str(tmp_path)]
    assert command.main(words) == 0
    cells = sorted((tmp_path / "cells").glob("*.json"))
    assert [c.name.split("-")[0] for c in cells] == ["metropolis", "pac2", "plain", "rejection"]
    cell = json.loads(cells[1].read_text())
    assert cell["method"] == "pac2" and cell["looks"][-1]["update"] == 6
    cells[1].write_text(json.dumps(cell | {"seconds": 4321.0}))
    assert command.main(words) == 0
    assert "4321" in (tmp_path / "coordination.md").read_text()
    page = (tmp_path / "coordination.html").read_text()
    assert "PacGAN2" in page
    assert "published" not in (tmp_path / "coordination.csv").read_text()
    assert command.main(["coordination", "--only", "pac9", "--out", str(tmp_path)]) == 2
    assert "pac2" in capsys.readouterr().err

"""What a conditional model is told: classes and vectors, how often, and by which names."""

import math

import pytest
import torch
from torch import nn

from advnets.base.conditioning import MOST, Context
from advnets.base.errors import BadValue
from advnets.sampling.priors import Gaussian
from advnets.sampling.samplers import GeneratorSampler, class_by_class, class_rows, draw

LABELS = torch.tensor([7, -2, 7, 7, 40, 7, -2, 7, 7, 7])
CLASSES = Context.of(LABELS)
VECTORS = Context.of(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))


class Telling(nn.Module):
    """G(z, c) that shows its z and its c."""

    def forward(self, z, c):
        return torch.cat((z, c), dim=1)


def sampler(context):
    return GeneratorSampler(Telling(), Gaussian(3), context)


def test_classes_are_the_labels_that_occur_in_their_order():
    assert CLASSES.names == ("-2", "7", "40")
    assert CLASSES.rows.tolist() == [-2, 7, 40]
    assert CLASSES.weights.tolist() == [2, 7, 1]
    assert CLASSES.size == 3


def test_names_are_those_of_the_data():
    named = Context.of(torch.tensor([2, 0, 2]), ("cat", "dog", "owl"))
    assert named.names == ("cat", "owl")
    assert named.named("owl").item() == 2


def test_a_class_is_told_as_root_K_in_its_place():
    assert torch.equal(CLASSES.encode(torch.tensor([40, -2])), math.sqrt(3) * torch.eye(3)[[2, 0]])
    told = Context.of(torch.arange(10)).encode(torch.arange(10))
    assert told.square().mean().item() == pytest.approx(1)


def test_a_vector_is_told_as_it_is():
    x = torch.rand(4, 2)
    assert torch.equal(VECTORS.encode(x), x)
    assert VECTORS.size == 2
    alone = Context.of(torch.tensor([0.5, 2.5]))  # one number an example
    assert (alone.size, alone.rows.shape) == (1, (2, 1))
    assert Context.of(torch.tensor([[1, 0], [0, 1]])).names == ()  # several labels an example


@pytest.mark.parametrize("context", [CLASSES, VECTORS], ids=["classes", "vectors"])
def test_they_are_drawn_as_often_as_the_training_set_has_them(context, rng):
    drawn = context.draw(40_000, rng=rng)
    for row, weight in zip(context.rows, context.weights, strict=True):
        share = (drawn == row).view(40_000, -1).all(dim=1).double().mean().item()
        assert share == pytest.approx(weight.item() / context.weights.sum().item(), abs=0.01)


def test_at_is_the_inverse_of_the_cumulative_shares():
    u = torch.tensor([0.0, 0.199, 0.2, 0.899, 0.9, 1.0], dtype=torch.float64)
    assert CLASSES.at(u).tolist() == [-2, -2, 7, 7, 40, 40]


def test_at_most_ten_thousand_vectors_are_kept():
    many = torch.arange(MOST + 5.0)[:, None]
    kept = Context.of(many, seed=1).rows
    assert len(kept) == len(kept.unique()) == MOST
    assert torch.equal(kept, Context.of(many, seed=1).rows)
    assert not torch.equal(kept, Context.of(many, seed=2).rows)


@pytest.mark.parametrize("context", [CLASSES, VECTORS], ids=["classes", "vectors"])
def test_facts_and_state_are_all_of_it(context):
    again = Context.like(context.facts())
    again.load_state(context.state())
    assert torch.equal(again.rows, context.rows)
    assert torch.equal(again.weights, context.weights)
    assert again.names == context.names
    with pytest.raises(BadValue, match=r"'context\.rows' must be of shape"):
        again.load_state({"rows": torch.zeros(1), "weights": torch.zeros(1)})


NAMED = Context.of(torch.arange(4), ("Cat", "dog", "Elk", "elk"))


def test_a_class_is_named_without_regard_to_case_where_that_is_one_class():
    for name, label in (("Cat", 0), ("CAT", 0), ("cat", 0), ("DOG", 1), ("Elk", 2), ("elk", 3)):
        assert NAMED.named(name) == label
    assert [NAMED.spelled(name) for name in ("cAt", "elk")] == ["Cat", "elk"]
    with pytest.raises(BadValue, match=r"Unknown class 'ELK'\. .*Valid: Elk, elk\."):
        NAMED.named("ELK")


def test_an_unknown_class_of_very_many_is_a_short_line():
    many = Context.of(torch.arange(900), [f"class number {i}" for i in range(900)])
    with pytest.raises(BadValue, match=r"Did you mean 'class number 12'\? .*data\.json") as error:
        many.named("class numbr 12")
    assert len(str(error.value)) <= 200


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CLASSES.named("8"), r"Unknown class '8'.* Valid: -2, 7, 40\."),
        (lambda: VECTORS.named("8"), r"'class' must be left out: .* vectors of 2 numbers, got 8\."),
        (lambda: CLASSES.given(torch.tensor([7, 8]), 2), r"Unknown class '8'"),
        (
            lambda: CLASSES.given(torch.tensor([7]), 2),
            r"'context' must be of shape \(\) or \(2,\), got",
        ),
        (
            lambda: VECTORS.given(torch.zeros(3), 2),
            r"'context' must be of shape \(2,\) or \(2, 2\)",
        ),
        (lambda: Context.of(torch.zeros(2, 2, 2)), r"'labels' must be of shape \(n,\) or \(n, d\)"),
        (
            lambda: Context.of(torch.tensor([0.0, math.nan])),
            r"'labels' must be finite .* in row 1\.",
        ),
    ],
)
def test_what_is_no_context_is_refused(make, message):
    with pytest.raises(BadValue, match=message):
        make()


# Samplers


@pytest.mark.parametrize("context", [CLASSES, VECTORS], ids=["classes", "vectors"])
def test_sample_i_has_its_own_z_and_its_own_context(context):
    own = sampler(context)
    whole = own.sample(20, seed=4)
    assert whole.shape == (20, 3 + context.size)
    for start, n in [(0, 1), (7, 9), (19, 1)]:
        assert torch.equal(own.sample(n, seed=4, start=start), whole[start : start + n])
        contexts = own.contexts(n, seed=4, start=start)
        assert torch.equal(context.encode(contexts), whole[start : start + n, 3:])
    asked = own.sample(20, seed=4, context=context.rows[0])
    assert torch.equal(asked[:, :3], whole[:, :3])  # the same z whatever is asked
    assert torch.equal(asked[:, 3:], context.encode(context.rows[:1]).expand(20, -1))


def test_without_a_context_classes_come_at_the_training_frequencies():
    drawn = sampler(CLASSES).contexts(4000, seed=0)
    shares = [(drawn == label).double().mean().item() for label in CLASSES.rows]
    assert shares == pytest.approx([0.2, 0.7, 0.1], abs=0.03)


def test_each_sample_can_be_asked_for_its_own():
    x = sampler(CLASSES).sample(3, seed=0, context=torch.tensor([40, 7, -2]))
    assert torch.equal(x[:, 3:], math.sqrt(3) * torch.eye(3).flip(0))
    assert torch.equal(draw(sampler(CLASSES), 3, seed=0, context=torch.tensor([40, 7, -2])), x)


def test_a_z_needs_its_context_said():
    with pytest.raises(BadValue, match="'context' must be given: this model is conditional"):
        sampler(CLASSES).decode(torch.zeros(2, 3))


def test_class_by_class_has_one_z_a_column():
    x = class_by_class(sampler(CLASSES), 4, seed=1, start=2, classes=["7", "-2"])
    z = sampler(CLASSES).latents(4, seed=1, start=2)
    assert torch.equal(x[:, :3], torch.cat((z, z)))
    assert torch.equal(x[:, 3:].argmax(dim=1), torch.tensor([1] * 4 + [0] * 4))
    with pytest.raises(BadValue, match="'class' must be left out: the run is not conditional"):
        class_by_class(GeneratorSampler(nn.Identity(), Gaussian(3)), 4, seed=1, classes=["7"])


def test_a_picture_has_a_row_for_up_to_ten_classes():
    assert class_rows(sampler(CLASSES)) == ["-2", "7", "40"]
    assert class_rows(sampler(VECTORS)) == []
    many = class_rows(sampler(Context.of(torch.arange(25))))
    assert many == ["0", "2", "5", "7", "10", "12", "15", "17", "20", "22"]

"""The rule that cuts a set in three: disjoint, exhaustive, class by class, by the seed alone."""

import math

import pytest
import torch

from advnets.base.errors import BadValue
from advnets.data import Split, Splits, split
from advnets.data.splits import hold_out


def numbered(n, context=None):
    """A set whose example i is the number i."""
    return Split(torch.arange(float(n))[:, None], context)


def parts(splits):
    return splits.train, splits.validation, splits.test


def numbers(part):
    return part.x[:, 0].long().tolist()


@pytest.mark.parametrize("n", [10, 101, 1000])
@pytest.mark.parametrize("classes", [0, 1, 7])
def test_the_parts_are_disjoint_exhaustive_and_of_the_stated_size(n, classes):
    context = torch.arange(n) % classes if classes else None
    splits = split(numbered(n, context), validation=0.2, test=0.1, seed=0)
    together = [i for part in parts(splits) for i in numbers(part)]
    assert sorted(together) == list(range(n))
    sizes = [len(p) for p in parts(splits)]
    assert sizes == pytest.approx([0.7 * n, 0.2 * n, 0.1 * n], abs=max(1, classes))


def test_every_class_is_cut_in_the_same_proportion():
    counts = [500, 100, 20, 10]
    labels = torch.cat([torch.full((c,), 3 * i) for i, c in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    splits = split(numbered(len(labels), labels), validation=0.1, test=0.2, seed=0)
    for part, share in zip(parts(splits), (0.7, 0.1, 0.2), strict=True):
        got = [(part.context == 3 * i).sum().item() for i in range(4)]
        assert got == [round(share * c) for c in counts]


def test_labels_stay_with_their_examples():
    labels = torch.arange(200) // 50
    for part in parts(split(numbered(200, labels), validation=0.3, test=0.3, seed=5)):
        assert part.context.tolist() == [i // 50 for i in numbers(part)]


@pytest.mark.parametrize(
    "context",
    [
        None,
        torch.arange(100),  # a number for each: no classes
        torch.linspace(0, 1, 100),
        torch.eye(2)[torch.arange(100) % 2].long(),
    ],
    ids=["none", "too many", "real", "one-hot"],
)
def test_where_there_are_no_classes_all_rows_are_shuffled_at_once(context):
    splits = split(numbered(100, context), validation=0.1, test=0.1, seed=0)
    assert [len(p) for p in parts(splits)] == [80, 10, 10]
    plain = split(numbered(100), validation=0.1, test=0.1, seed=0)
    assert numbers(splits.test) == numbers(plain.test)
    if context is not None:
        assert torch.equal(splits.test.context, context[numbers(splits.test)])


def test_a_split_is_a_function_of_the_seed_and_a_real_shuffle():
    first, again, other = (
        split(numbered(1000), validation=0.25, test=0.25, seed=s) for s in (0, 0, 1)
    )
    assert [numbers(p) for p in parts(first)] == [numbers(p) for p in parts(again)]
    assert numbers(first.test) != numbers(other.test)
    for part in parts(first):  # spread evenly over the set
        mean = sum(numbers(part)) / len(part)
        assert mean == pytest.approx(499.5, abs=5 * 1000 / math.sqrt(12 * len(part)))


def test_a_split_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    split(numbered(50), validation=0.1, test=0.1, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("n", "validation", "test", "message"),
    [
        (20, 0, 0.1, r"'validation' must be above 0 and below 1, got 0\."),
        (20, 0.1, 1, r"'test' must be above 0 and below 1, got 1\."),
        (20, math.nan, 0.1, r"'validation' must be above 0 and below 1, got nan\."),
        (20, 0.5, 0.5, r"'validation \+ test' must be below 1, got 1\.0\."),
        (9, 0.1, 0.1, r"'data' must be an array of at least 10 rows \(examples\), got 9\."),
    ],
)
def test_shares_and_sets_that_cannot_be_cut_are_refused(n, validation, test, message):
    with pytest.raises(BadValue, match=message):
        split(numbered(n), validation=validation, test=test, seed=0)


@pytest.mark.parametrize(("validation", "test"), [(0.49, 0.5), (0.01, 0.5), (0.5, 0.01)])
def test_shares_that_leave_a_part_empty_are_refused(validation, test):
    with pytest.raises(BadValue):
        split(numbered(10), validation=validation, test=test, seed=0)


def test_take_keeps_labels_beside_their_rows():
    data = numbered(5, torch.arange(5) * 10)
    assert len(data) == 5
    assert data.take(slice(1, 3)).context.tolist() == [10, 20]
    assert numbers(data.take(torch.tensor([4, 0]))) == [4, 0]
    assert numbered(5).take(slice(0, 2)).context is None


def test_the_event_shape_is_that_of_one_example():
    part = Split(torch.zeros(2, 3, 4, 5))
    assert Splits(part, part, part).event_shape == (3, 4, 5)


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_a_share_is_held_out_class_by_class_by_the_seed(share):
    labels = torch.arange(200) % 4
    rest, out = hold_out(numbered(200, labels), share, seed=3)
    assert sorted(numbers(rest) + numbers(out)) == list(range(200))
    assert out.context.bincount().tolist() == [round(50 * share)] * 4
    again = hold_out(numbered(200, labels), share, seed=3)[1]
    other = hold_out(numbered(200, labels), share, seed=4)[1]
    assert numbers(out) == numbers(again) != numbers(other)


@pytest.mark.parametrize(
    ("n", "share", "words"),
    [
        (100, 0.0, r"'share' must be above 0 and below 1, got 0\.0\."),
        (100, 1.0, r"'share' must be above 0 and below 1, got 1\.0\."),
        (3, 0.1, r"'set held out' must be of at least one example, got 0\."),
        (1, 0.9, r"'training set' must be of at least one example, got 0\."),
    ],
)
def test_a_share_that_leaves_nothing_is_refused(n, share, words):
    with pytest.raises(BadValue, match=words):
        hold_out(numbered(n), share, seed=0)

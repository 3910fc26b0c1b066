"""Minibatches: batch i is a pure function of (seed, i), every epoch a permutation."""

import pytest
import torch

from advnets.base import errors
from advnets.base.distributed import Ranks
from advnets.base.errors import BadValue
from advnets.data import Batches, Split
from advnets.data.batches import minibatches

N = 23


def make(size=5, seed=0, n=N, **settings):
    return Batches(torch.arange(float(n))[:, None], size=size, seed=seed, **settings)


def numbers(batch):
    return batch.x[:, 0].long().tolist()


@pytest.mark.parametrize("size", [1, 5, 22, 23])
def test_every_epoch_is_a_permutation_and_a_fresh_one(size):
    batches = make(size)
    epochs = []
    for epoch in range(3):
        first = epoch * batches.per_epoch
        epochs.append([i for j in range(batches.per_epoch) for i in numbers(batches[first + j])])
        assert sorted(epochs[-1]) == list(range(N))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert list(range(N)) not in epochs


def test_the_last_batch_of_an_epoch_is_short():
    batches = make(5)
    assert batches.per_epoch == 5
    assert [len(batches[i].x) for i in range(10)] == [5, 5, 5, 5, 3] * 2
    assert [len(make(23)[i].x) for i in range(2)] == [23, 23]


def test_any_order_of_access_gives_the_same_batches():
    straight = [numbers(batch) for _, batch in zip(range(40), make(), strict=False)]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()
    batches = make()
    assert all(numbers(batches[i]) == straight[i] for i in [*order, *reversed(order)])
    assert all(numbers(make()[i]) == straight[i] for i in order)


def test_the_order_is_a_function_of_the_seed_and_of_nothing_else():
    torch.manual_seed(1)
    first = numbers(make(seed=4)[7])
    before = torch.get_rng_state()
    torch.manual_seed(2)
    assert numbers(make(seed=4)[7]) == first
    torch.set_rng_state(before)
    make(seed=4)[7]
    assert torch.equal(torch.get_rng_state(), before)
    assert numbers(make(seed=5)[7]) != first


def test_a_number_below_0_is_refused():
    with pytest.raises((BadValue, IndexError)):
        make()[-1]


def test_labels_stay_with_their_examples():
    data = Split(torch.arange(float(N))[:, None], torch.arange(N) * 10)
    batches = Batches(data, size=4, seed=0)
    for i in range(12):
        x, context, _ = batches[i]
        assert context.tolist() == [10 * int(v) for v in x[:, 0]]
    assert make()[0].context is None


def test_a_batch_keeps_the_shape_of_an_example():
    assert Batches(torch.zeros(6, 3, 4, 5), size=4, seed=0)[0].x.shape == (4, 3, 4, 5)


def test_writing_into_a_batch_leaves_the_data_alone():
    data = torch.zeros(6, 2)
    Batches(data, size=6, seed=0)[0].x.fill_(1)
    assert not data.any()


@pytest.mark.parametrize("k", [1, 3])
def test_step_t_takes_the_next_k_batches(k):
    batches = make()
    for t in range(6):
        taken = batches.of_step(t, k)
        assert [numbers(b) for b in taken] == [numbers(batches[t * k + j]) for j in range(k)]


def test_a_size_below_1_is_refused():
    with pytest.raises(BadValue, match=r"'batch_size' must be a number that is at least 1, got 0"):
        make(size=0)


def test_a_batch_larger_than_the_set_is_refused():
    message = r"'batch_size' must be at most the number of training examples, 23, got 24\."
    with pytest.raises(BadValue, match=message):
        make(size=24)


# Several processes


@pytest.mark.parametrize(("size", "n"), [(6, 23), (12, 12), (6, 33), (12, 100)])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_rows_of_all_ranks_together_are_the_batch_of_one_process(world, size, n):
    """In order, the last batch of an epoch included; each knows how many rows there are in all."""
    alone = make(size, n=n)
    ranks = [make(size, n=n, ranks=Ranks(rank, world)) for rank in range(world)]
    for i in range(3 * alone.per_epoch):
        own = [batches[i] for batches in ranks]
        whole = numbers(alone[i])
        assert [v for batch in own for v in numbers(batch)] == whole
        assert [batch.whole for batch in own] == [len(whole)] * world
        assert all(len(batch.x) for batch in own)
    assert {batches.per_epoch for batches in ranks} == {alone.per_epoch}


def test_labels_stay_with_their_examples_in_every_process():
    data = Split(torch.arange(float(N))[:, None], torch.arange(N) * 10)
    for rank in range(2):
        x, context, _ = Batches(data, size=4, seed=0, ranks=Ranks(rank, 2))[3]
        assert context.tolist() == [10 * int(v) for v in x[:, 0]]


def test_a_batch_says_how_many_rows_it_has():
    batches = make(5)
    assert [batches[i].whole for i in range(5)] == [5, 5, 5, 5, 3]


def test_batches_are_made_where_it_is_asked_for():
    """On the CPU by either name; where there is no other place, this is all that can be seen."""
    for device in ("cpu", torch.device("cpu")):
        batches = make(device=device)
        assert batches[0].x.device.type == "cpu"
        assert numbers(batches[3]) == numbers(make()[3])


@pytest.mark.parametrize(("size", "world"), [(5, 2), (1, 2), (20, 3)])
def test_a_batch_that_cannot_be_shared_out_evenly_is_refused(size, world):
    message = rf"'batch_size' must be a multiple of the number of processes, {world}, got {size}\."
    with pytest.raises(BadValue, match=message):
        make(size, ranks=Ranks(0, world))


@pytest.mark.parametrize(("size", "world", "left"), [(21, 3, 2)])
def test_a_last_batch_without_an_example_for_each_process_is_refused(size, world, left):
    message = (
        r"'batch_size' must be such that the last one of an epoch has an example for each of "
        rf"{world} processes, got {left} left for it\."
    )
    with pytest.raises(BadValue, match=message):
        make(size, ranks=Ranks(0, world))
    make(size, n=N + world - left, ranks=Ranks(0, world))


def test_bad_numbers_in_ones_own_data_are_named_by_their_row():
    x = torch.zeros(20, 3, 2)
    x[7, 1, 1], x[9, 0, 0] = float("nan"), float("inf")
    for data in (x, Split(x), x.double()):
        with pytest.raises(BadValue, match=r"'x' must be finite everywhere, .* first in row 7\."):
            Batches(data, size=5, seed=0)
    assert len(Batches(torch.arange(20)[:, None], size=5, seed=0)[0].x) == 5


def test_data_far_from_one_is_named_where_a_game_diverges():
    said = [str(errors.diverged("V", float("nan"), 3, largest=v)) for v in (1.0, 255.0)]
    assert "learning rate" in said[0]
    assert "learning rate" not in said[1] and "The data reaches 255: scale it" in said[1]


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (torch.ones(N, 2, dtype=torch.complex64), "complex numbers"),
        (torch.ones(N, 2).to_sparse(), r"a tensor of layout torch\.sparse_coo"),
        (torch.ones(N, 2, device="meta"), r"a tensor without values \(device 'meta'\)"),
    ],
)
def test_tensors_that_hold_no_real_numbers_are_refused(x, got):
    with pytest.raises(BadValue, match=f"'data' must be a dense tensor of real numbers, got {got}"):
        Batches(x, size=5, seed=0)
    loader = torch.utils.data.DataLoader(x, batch_size=None, sampler=[torch.arange(N)])
    if x.is_complex():
        with pytest.raises(BadValue, match=f"got {got}"):
            minibatches(loader, seed=0).of_step(0, 1)

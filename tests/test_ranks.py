"""Several processes, each seen alone: whose rows are whose. The processes themselves are another file's."""

import os

import pytest
import torch
from torch import nn

from advnets import parzen, sampling
from advnets.layers import Affine
from advnets.priors import Uniform
from advnets.ranks import ALONE, Ranks, cores, here, joined
from advnets.sampling import GeneratorSampler, TrainingSet


class Recording(Ranks):
    """A process that keeps what it would share, and gives it back as if it were alone."""

    def gather(self, own, n):
        rows = self.rows(n)
        assert len(own) == rows.stop - rows.start
        return own


@pytest.mark.parametrize("world", range(1, 6))
def test_rows_are_a_partition_in_order_and_as_even_as_can_be(world):
    for n in range(21):
        own = [list(range(n))[Ranks(rank, world).rows(n)] for rank in range(world)]
        assert [i for rows in own for i in rows] == list(range(n))
        sizes = [len(rows) for rows in own]
        assert max(sizes) - min(sizes) <= 1
        if n % world == 0:
            assert len(set(sizes)) == 1


def test_the_first_is_the_one_that_writes():
    assert [Ranks(rank, 3).first for rank in range(3)] == [True, False, False]


def test_a_process_alone_shares_nothing_and_holds_everything():
    x = torch.randn(5, 2)
    assert ALONE.first
    assert ALONE.rows(7) == slice(0, 7)
    assert ALONE.add_up(x) is x
    assert ALONE.gather(x, 5) is x
    assert [ALONE.any(flag) for flag in (True, False)] == [True, False]
    assert Ranks() == ALONE


@pytest.mark.parametrize("rank", [0, 2])
def test_a_process_is_the_one_that_torchrun_says(rank, monkeypatch):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert here() == Ranks(rank, 3)


def test_without_torchrun_a_process_is_alone_and_joins_nobody(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert here() == ALONE
    with joined() as own:
        assert own is ALONE
        assert not torch.distributed.is_initialized()


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= cores() <= os.cpu_count()


def make_sampler():
    torch.manual_seed(0)
    return GeneratorSampler(nn.Sequential(Affine(3, 8), nn.ReLU(), Affine(8, 2)), Uniform(3))


@pytest.mark.parametrize("n", [1, 4, 23])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "make", [make_sampler, lambda: TrainingSet(torch.rand(9, 2))], ids=["G", "training set"]
)
def test_the_samples_of_all_processes_are_those_of_one(make, world, n):
    sampler = make()
    whole = sampler.sample(n, seed=4, start=3)
    own = [
        sampling.draw(sampler, n, seed=4, start=3, ranks=Recording(rank, world))
        for rank in range(world)
    ]
    if n < world:  # too few to be shared out: everybody draws them all
        assert all((x - whole).abs().max() < 1e-6 for x in own)
    else:
        assert (torch.cat(own) - whole).abs().max() < 1e-6


def test_a_chain_is_drawn_whole_by_everybody():
    class Walk:
        event_shape, burn_in, thin = (1,), 0, 1

        def sample(self, n, *, seed, start=0, context=None):
            return torch.arange(float(n))[:, None]

    drawn = sampling.draw(Walk(), 6, seed=0, ranks=Recording(1, 3))
    assert drawn.flatten().tolist() == list(range(6))


@pytest.mark.parametrize("n", [2, 7, 12])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_the_log_densities_of_all_processes_are_those_of_one(world, n, rng):
    x, centres = (torch.rand(m, 3, generator=rng).double() for m in (n, 40))
    whole = parzen.log_densities(x, centres, [0.2, 0.5])
    own = [parzen._shared(x, centres, [0.2, 0.5], Recording(r, world)) for r in range(world)]
    assert all(part.dtype == torch.float64 for part in own)
    torch.testing.assert_close(torch.cat(own, dim=1), whole)

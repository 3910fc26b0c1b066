"""Sample i depends on (seed, i) alone, and drawing leaves no trace on the generator."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from advnets.base.errors import BadValue, Diverged
from advnets.base.protocols import LatentSampler, Sampler
from advnets.nn import dropout
from advnets.sampling import samplers
from advnets.sampling.interpolation import interpolate
from advnets.sampling.priors import PRIORS, Gaussian, Uniform
from advnets.sampling.samplers import GeneratorSampler, TrainingSet, evaluating, save_array

NOT_CONDITIONAL = r"'context' must be None: this model is not conditional, got a context\."


def make_G(dim=20):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(dim, 50), nn.BatchNorm1d(50), dropout.Dropout(0.5), nn.ReLU())
    body[1].running_mean.normal_()
    return nn.Sequential(body, nn.Linear(50, 12), nn.Sigmoid(), nn.Unflatten(1, (3, 2, 2)))


def make(prior="uniform", dim=20):
    return GeneratorSampler(make_G(dim), PRIORS[prior](dim))


def in_pieces(draw, cuts):
    """`draw(n, start=)` for the pieces between consecutive cuts, put together."""
    return torch.cat([draw(b - a, start=a) for a, b in pairwise(cuts)])


CUTS = [[0, 1, 2, 40], [0, 17, 40], [0, 39, 40], list(range(41))]


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("dim", [2, 20])
@pytest.mark.parametrize("cuts", CUTS, ids=len)
def test_sample_i_does_not_depend_on_how_many_or_where_one_begins(prior, dim, cuts):
    sampler = make(prior, dim)
    z = in_pieces(lambda n, start: sampler.latents(n, seed=3, start=start), cuts)
    x = in_pieces(lambda n, start: sampler.sample(n, seed=3, start=start), cuts)
    assert torch.equal(z, sampler.latents(40, seed=3))
    assert (x - sampler.sample(40, seed=3)).abs().max() < 1e-5


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_sample_i_does_not_depend_on_the_chunk(chunk, monkeypatch):
    whole = make().sample(40, seed=3)
    monkeypatch.setattr(samplers, "CHUNK", chunk)
    assert (make().sample(40, seed=3) - whole).abs().max() < 1e-5


def test_many_samples_are_drawn_part_by_part_and_counted(monkeypatch):
    monkeypatch.setattr(samplers, "CHUNK", 7)
    sampler, heard = make(), []
    whole = samplers.draw(sampler, 17, seed=3, start=2)
    assert torch.equal(samplers.draw(sampler, 17, seed=3, start=2, show=heard.append), whole)
    assert heard == [7, 14, 17]


def test_every_seed_and_every_number_gives_another_sample():
    sampler = make()
    z = torch.cat([sampler.latents(50, seed=seed) for seed in range(4)])
    assert len(torch.unique(z, dim=0)) == 200


@pytest.mark.parametrize("prior", PRIORS)
def test_the_latents_have_the_law_of_the_prior(prior):
    z = make(prior, dim=4).latents(4000, seed=0).double()
    variance = 1 / 4 if prior == "spherical" else 1
    assert z.mean(dim=0).abs().max() < 5 * (variance / 4000) ** 0.5
    assert (z.T @ z / 4000 - variance * torch.eye(4)).abs().max() < 0.12


def test_a_sample_is_G_of_its_latents_in_evaluation_mode():
    sampler = make()
    z = sampler.latents(9, seed=1)
    expected = copy.deepcopy(sampler.G).eval()(z).detach()
    assert torch.equal(sampler.decode(z), expected)
    assert torch.equal(sampler.sample(9, seed=1), expected)
    assert not sampler.sample(9, seed=1).requires_grad


def test_the_samplers_keep_their_promise():
    assert isinstance(make(), LatentSampler)
    assert isinstance(TrainingSet(torch.zeros(3, 2)), Sampler)
    assert make().event_shape == (3, 2, 2)
    assert TrainingSet(torch.zeros(3, 1, 4, 4)).event_shape == (1, 4, 4)


def test_drawing_leaves_no_trace():
    G = make_G().train()
    state = {name: t.clone() for name, t in G.state_dict().items()}
    before = torch.get_rng_state()
    sampler = GeneratorSampler(G, Uniform(20))
    sampler.sample(5, seed=0)
    assert all(torch.equal(t, state[name]) for name, t in G.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in G.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("frozen", [None, "0.1", "0", ""])
def test_every_part_of_a_network_is_left_in_its_own_mode(frozen):
    G = make_G().train()
    if frozen is not None:
        G.get_submodule(frozen).eval()
    modes = {name: m.training for name, m in G.named_modules()}
    with evaluating(G):
        assert not any(m.training for m in G.modules())
        assert not torch.is_grad_enabled()
    assert {name: m.training for name, m in G.named_modules()} == modes
    with pytest.raises(ZeroDivisionError), evaluating(G):
        raise ZeroDivisionError
    assert {name: m.training for name, m in G.named_modules()} == modes
    assert torch.is_grad_enabled()


def test_a_generator_without_parameters_can_be_sampled():
    sampler = GeneratorSampler(nn.Unflatten(1, (2, 2)), Gaussian(4))
    assert torch.equal(sampler.sample(3, seed=0).flatten(1), sampler.latents(3, seed=0))


def test_a_generator_in_double_precision_can_be_sampled():
    single = make().sample(5, seed=0)
    double = GeneratorSampler(make_G().double(), Uniform(20)).sample(5, seed=0)
    assert (single - double).abs().max() < 1e-5


@pytest.mark.parametrize(
    "draw",
    [
        lambda context: make().sample(2, seed=0, context=context),
        lambda context: make().decode(torch.zeros(2, 20), context=context),
        lambda context: TrainingSet(torch.zeros(3, 2)).sample(2, seed=0, context=context),
    ],
    ids=["sample", "decode", "training set"],
)
def test_a_context_is_refused_where_there_is_no_condition(draw):
    with pytest.raises(BadValue, match=NOT_CONDITIONAL):
        draw(torch.zeros(2))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"n": 0, "seed": 0}, "n"), ({"n": 1, "seed": -1}, "seed")],
)
def test_what_has_no_number_is_refused(arguments, name):
    with pytest.raises(BadValue, match=rf"'{name}' must be a number that is at least"):
        make().sample(**arguments)
    with pytest.raises(BadValue, match=r"'start' must be a number that is at least 0, got -2\."):
        make().latents(1, seed=0, start=-2)


def test_the_training_set_is_a_permutation_that_begins_again():
    data = TrainingSet(torch.arange(10.0)[:, None])
    x = data.sample(25, seed=0)[:, 0].tolist()
    assert sorted(x[:10]) == list(range(10))
    assert x[10:20] == x[:10]
    assert x[20:] == x[:5]
    assert x[:10] != data.sample(10, seed=1)[:, 0].tolist()


@pytest.mark.parametrize("cuts", CUTS, ids=len)
def test_an_example_depends_on_its_number_alone(cuts):
    data = TrainingSet(torch.rand(30, 2, generator=torch.Generator().manual_seed(0)))
    pieces = in_pieces(lambda n, start: data.sample(n, seed=5, start=start), cuts)
    assert torch.equal(pieces, data.sample(40, seed=5))


def test_a_saved_array_is_the_samples(tmp_path):
    x = make().sample(4, seed=0)
    save_array(tmp_path / "x.npy", x)
    assert np.array_equal(np.load(tmp_path / "x.npy"), x.numpy())


@pytest.mark.parametrize("steps", [2, 3, 16])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5)])
def test_a_line_between_two_points_is_the_written_out_one_and_holds_both_ends(steps, shape, rng):
    z0, z1 = torch.randn(2, *shape, generator=rng)
    line = interpolate(z0, z1, steps)
    assert line.shape == (*shape[:-1], steps, 5)
    assert torch.equal(line[..., 0, :], z0)
    assert torch.equal(line[..., -1, :], z1)
    for s in range(steps):
        expected = z0.double() + s / (steps - 1) * (z1.double() - z0.double())
        assert (line[..., s, :] - expected).abs().max() < 1e-6


def test_a_line_is_the_same_from_either_end(rng):
    z0, z1 = torch.randn(2, 3, 5, generator=rng)
    assert torch.allclose(interpolate(z0, z1, 7), interpolate(z1, z0, 7).flip(-2), atol=1e-6)


@pytest.mark.parametrize("prior", ["uniform", "gaussian"])
def test_the_middle_of_a_line_is_shorter_than_what_the_prior_draws(prior, rng):
    z0, z1 = (PRIORS[prior](100).sample(2000, rng=rng) for _ in range(2))
    norms = interpolate(z0, z1, 3).square().sum(dim=-1).mean(dim=0).sqrt()
    assert norms[1] / norms[0] == pytest.approx(2**-0.5, abs=0.01)


def test_a_line_of_one_point_and_between_unlike_points_is_refused():
    with pytest.raises(BadValue, match=r"'steps' must be a number that is at least 2, got 1\."):
        interpolate(torch.zeros(3), torch.ones(3), 1)
    with pytest.raises(BadValue, match=r"'z1' must be of shape \(3\), as z0 is, got shape \(4\)\."):
        interpolate(torch.zeros(3), torch.ones(4), 2)


# What is drawn while a network trains, and what is no number


def test_sampling_never_touches_the_mode_of_a_network_that_trains():
    """What another thread would see, asked while G is at work."""
    sampler = make()
    sampler.G.train()
    expected = copy.deepcopy(sampler.G).eval()(sampler.latents(6, seed=0))
    seen = []
    hook = sampler.G.register_forward_hook(lambda *_: seen.append(sampler.G[0][1].training))
    x = sampler.sample(6, seed=0)
    hook.remove()
    assert seen == [True] and all(m.training for m in sampler.G.modules())
    torch.testing.assert_close(x, expected.detach())


class Refuses(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("not to be copied")


def test_a_network_that_cannot_be_copied_is_put_back_as_it_was():
    sampler = GeneratorSampler(nn.Sequential(Refuses(3, 2), nn.Dropout(0.5)).train(), Gaussian(3))
    assert torch.equal(sampler.sample(4, seed=0), sampler.sample(4, seed=0))
    assert all(m.training for m in sampler.G.modules())


def test_a_copy_shares_the_weights_the_moments_and_the_hooks():
    G = make_G().train()
    G.register_forward_hook(lambda *_: None)
    with samplers.untouched(G) as twin:
        assert twin is not G and not twin[0][2].training
        pairs = zip(
            [*twin.parameters(), *twin.buffers()], [*G.parameters(), *G.buffers()], strict=True
        )
        assert all(a is b for a, b in pairs)
        assert list(twin._forward_hooks.values()) == list(G._forward_hooks.values())


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    sampler, words = make(), "samples must be finite, got NaN or infinity, first in sample 0"
    with torch.no_grad():
        sampler.G[1].bias[3] = torch.nan
    with pytest.raises(Diverged, match=words):
        sampler.sample(4, seed=0)
    with pytest.raises(Diverged, match=words):
        save_array(tmp_path / "x.npy", torch.full((2, 3), torch.inf))
    assert not (tmp_path / "x.npy").exists()

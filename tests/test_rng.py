"""One seed, named streams: pure functions of their names, kept apart, saved and restored."""

import hashlib

import numpy as np
import pytest
import torch

from advnets.base.errors import BadValue
from advnets.base.rng import Generators, derive, for_samples, generator, per_sample
from advnets.sampling.priors import PRIORS


def draw(rng, n=8):
    return torch.rand(n, generator=rng)


def first_draws(seed, start, n):
    return [draw(rng).tolist() for rng in per_sample(seed, start, n)]


def test_a_seed_is_derived_from_the_seed_the_name_and_the_index():
    seeds = [derive(s, name, i) for s in range(3) for name in ("a", "b", "1/a") for i in range(3)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= s < 2**63 for s in seeds)
    assert derive(0, "step") == 1373431530665165896  # a run of today is the same run tomorrow


def test_a_generator_is_a_pure_function_of_its_name():
    assert torch.equal(draw(generator(1, "a", 2)), draw(generator(1, "a", 2)))
    others = [generator(1, "a", 3), generator(1, "b", 2), generator(2, "a", 2)]
    assert not any(torch.equal(draw(generator(1, "a", 2)), draw(rng)) for rng in others)


def test_generators_leave_the_global_stream_alone():
    before = torch.get_rng_state()
    draw(generator(0, "a"))
    first_draws(0, 0, 3)
    Generators(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_sample_i_depends_on_seed_and_i_alone():
    whole = first_draws(5, 0, 20)
    assert first_draws(5, 7, 6) == whole[7:13]
    assert [first_draws(5, i, 1)[0] for i in range(20)] == whole
    assert not {tuple(z) for z in whole} & {tuple(z) for z in first_draws(6, 0, 20)}


def test_drawing_more_for_one_sample_does_not_move_the_next():
    greedy = [draw(rng, 8 + 5 * i)[:8].tolist() for i, rng in enumerate(per_sample(5, 0, 6))]
    assert greedy == first_draws(5, 0, 6)


def test_neighbouring_samples_are_independent_uniforms():
    z = torch.tensor(first_draws(0, 0, 4000), dtype=torch.float64)
    assert z.mean().item() == pytest.approx(0.5, abs=5 / (12 * z.numel()) ** 0.5)
    centred = (z - 0.5) * 12**0.5
    for lag in (1, 2):
        correlation = (centred[lag:] * centred[:-lag]).mean(dim=0)
        assert correlation.abs().max() < 5 / len(z) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 1), r"'seed' must be a number that is at least 0, got -1\."),
        ((0, -1, 1), r"'start' must be a number that is at least 0, got -1\."),
        ((0, 0, 0), r"'n' must be a number that is at least 1, got 0\."),
    ],
)
def test_per_sample_refuses_what_has_no_number(arguments, message):
    with pytest.raises(BadValue, match=message):
        next(per_sample(*arguments))


def test_a_negative_seed_is_refused():
    with pytest.raises(BadValue, match=r"'seed' must be a number that is at least 0, got -3\."):
        Generators(-3)


def test_streams_go_on_from_a_saved_state_as_if_never_stopped():
    generators = Generators(3)
    generators.seed_global()
    draw(generators["step"]), torch.rand(5)
    state = {name: t.clone() for name, t in generators.state().items()}
    expected = draw(generators["step"]), torch.rand(8)
    again = Generators(99)
    again.load_state(state)
    assert torch.equal(draw(again["step"]), expected[0])
    assert torch.equal(torch.rand(8), expected[1])


def test_a_saved_state_does_not_move_with_the_stream():
    generators = Generators(0)
    state = generators.state()
    before = {name: t.clone() for name, t in state.items()}
    draw(generators["step"]), torch.rand(5)
    assert all(torch.equal(state[name], t) for name, t in before.items())


def test_the_global_stream_is_seeded_from_the_run_and_apart_from_its_own():
    generators = Generators(4)
    generators.seed_global()
    first = torch.rand(8)
    generators.seed_global()
    assert torch.equal(torch.rand(8), first)
    assert not torch.equal(draw(generators["step"]), first)


@pytest.mark.parametrize("missing", ["step", "global"])
def test_a_state_without_one_of_the_streams_is_refused_and_nothing_moves(missing):
    generators = Generators(0)
    state = {name: t for name, t in Generators(1).state().items() if name != missing}
    with pytest.raises(BadValue, match=rf"'rng\.{missing}' must be in the saved state"):
        generators.load_state(state)
    assert torch.equal(draw(generators["step"]), draw(Generators(0)["step"]))


def test_a_stream_lives_where_it_is_asked_for():
    """On the CPU, named or not, its numbers are those of every other machine's CPU."""
    for device in ("cpu", torch.device("cpu")):
        rng = generator(1, "a", 2, device=device)
        assert rng.device == torch.device("cpu")
        assert torch.equal(draw(rng), draw(generator(1, "a", 2)))
        generators = Generators(3, device=device)
        assert generators["step"].device == torch.device("cpu")
        assert torch.equal(draw(generators["step"]), draw(Generators(3)["step"]))
    # A run of today is the same run tomorrow, on whichever machine.
    assert draw(Generators(0)["step"], 2).tolist() == pytest.approx(
        [0.21612298488616943, 0.5740669965744019]
    )


@pytest.mark.parametrize("prior", PRIORS)
def test_a_prior_draws_where_its_generator_lives(prior):
    z = PRIORS[prior](4).sample(3, rng=generator(0, "z", device="cpu"))
    assert z.device == torch.device("cpu")
    assert torch.equal(z, PRIORS[prior](4).sample(3, rng=generator(0, "z")))


def colliding_seeds(name):
    """Two seeds whose streams of this name torch's CPU generator would seed alike."""
    seen = {}
    for seed in range(300_000):
        low = derive(seed, name) % 2**32
        if low in seen:
            return seen[low], seed
        seen[low] = seed
    raise AssertionError("no two of so many seeds agree in 32 bits")


def test_seeds_that_agree_in_32_bits_share_no_sample():
    """torch keeps 32 bits of a seed; counted up from there, two seeds had samples in common."""
    a, b = colliding_seeds("sample")
    assert torch.equal(draw(generator(a, "sample")), draw(generator(b, "sample")))
    assert not {tuple(z) for z in first_draws(a, 0, 50)} & {tuple(z) for z in first_draws(b, 0, 50)}


def test_what_chains_draw_comes_from_whole_states_too():
    a, b = colliding_seeds("moves of the chains")
    generators = [for_samples(seed, "moves of the chains") for seed in (a, b)]
    assert not torch.equal(*map(draw, generators))


@pytest.mark.parametrize(("seed", "i"), [(0, 0), (3, 255), (3, 256), (2**62, 10**12)])
def test_the_stream_of_a_sample_is_numpys_twister_on_philoxs_words(seed, i):
    """The same on every platform: both are integer arithmetic, and numpy's are another's."""
    digest = hashlib.blake2b(f"{seed}/sample".encode(), digest_size=16, person=b"advnets").digest()
    words = np.random.Philox(key=np.frombuffer(digest, "<u8"), counter=78 * i).random_raw(312)
    twister = np.random.MT19937()
    key = np.stack([words & 0xFFFFFFFF, words >> 32], axis=1).flatten().astype(np.uint32)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    expected = (twister.random_raw(700) & 0xFFFFFF) / 2**24
    (found,) = first_draws_of(seed, i, 700)
    assert found == expected.tolist()


def first_draws_of(seed, start, n):
    return [draw(rng, n).tolist() for rng in per_sample(seed, start, 1)]


def test_a_sample_of_today_is_the_same_tomorrow():
    assert first_draws_of(0, 0, 2)[0] == pytest.approx([0.45779818296432495, 0.5654716491699219])

"""Each corruption does what its name says, and nothing else."""

import pytest
import torch

from advnets.models.autoencoders.corruption import CORRUPTIONS

N = 40_000


def spoilt(name, x, level, *, seed=0):
    rng = torch.Generator().manual_seed(seed)
    draw = torch.randn if CORRUPTIONS[name].normal else torch.rand
    return CORRUPTIONS[name].corrupt(x, level, draw(x.shape, generator=rng, dtype=x.dtype))


def within(condition, p):
    assert abs(condition.double().mean().item() - p) <= 4 * (p * (1 - p) / N) ** 0.5


@pytest.mark.parametrize("level", [0.1, 0.4])
def test_masking_puts_out_a_share_of_the_elements(level, rng):
    x = torch.rand(N, generator=rng) + 0.5
    found = spoilt("masking", x, level)
    within(found == 0, level)
    assert torch.equal(found[found != 0], x[found != 0])


@pytest.mark.parametrize("level", [0.1, 0.4])
def test_salt_and_pepper_replaces_a_share_by_a_fair_coin(level):
    found = spoilt("salt-and-pepper", torch.full((N,), 0.5), level)
    within(found == 0, level / 2)
    within(found == 1, level / 2)
    within(found == 0.5, 1 - level)


def test_gaussian_adds_noise_of_its_deviation():
    noise = spoilt("gaussian", torch.full((N,), 3.0), 0.5) - 3.0
    assert abs(noise.mean().item()) <= 4 * 0.5 / N**0.5
    assert abs(noise.var().item() - 0.25) <= 4 * 0.25 * (2 / N) ** 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_level_0_changes_nothing_and_the_examples_are_left_alone(name, dtype, rng):
    x = torch.rand(4, 1, 3, 2, generator=rng).to(dtype)
    before = x.clone()
    assert torch.equal(spoilt(name, x, 0.0), x)
    found = spoilt(name, x, 0.9)
    assert found.dtype == dtype and found.shape == x.shape and not torch.equal(found, x)
    assert torch.equal(x, before)

"""Spectral normalisation against the singular values that LAPACK finds."""

import copy

import pytest
import torch
from torch import nn

from advnets.nn import init, spectral_norm
from advnets.nn.spectral_norm import SpectralAffine, SpectralConv
from advnets.optim.train_state import in_bfloat16


def make(kind, rng, dtype=torch.float64):
    layer = SpectralConv(3, 5, 4, stride=2, padding=1) if kind == "conv" else SpectralAffine(7, 5)
    init.init_he(layer, rng=rng)
    layer.to(dtype)
    spectral_norm.init_vectors(layer, rng=rng)
    return layer


def largest(W):
    return torch.linalg.matrix_norm(W.flatten(1).double(), 2).item()


KINDS = ["conv", "affine"]


@pytest.mark.parametrize("kind", KINDS)
def test_after_some_passes_the_largest_singular_value_is_1(kind, rng):
    layer = make(kind, rng)
    for _ in range(200):
        layer.normalised()
    assert largest(layer.normalised().detach()) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(
        layer.normalised() * largest(layer.weight.detach()), layer.weight, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_pass_is_near_it_already(kind, rng):
    assert largest(make(kind, rng).normalised().detach()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_only_training_goes_on_with_the_iteration(kind, rng):
    layer = make(kind, rng)
    u = layer.u.clone()
    layer.eval().normalised()
    assert torch.equal(layer.u, u)
    layer.train().normalised()
    assert not torch.equal(layer.u, u)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_of_the_iteration_is_that_of_the_paper(kind, rng):
    layer = make(kind, rng)
    W, u = layer.weight.detach().flatten(1), layer.u.clone()
    v = W.T @ u
    v = v / v.norm()
    u = W @ v
    u = u / u.norm()
    v = W.T @ u
    v = v / v.norm()
    expected = layer.weight.detach() / (u @ W @ v)
    torch.testing.assert_close(layer.normalised().detach(), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(layer.u, u, rtol=1e-12, atol=1e-14)


def test_the_gradient_passes_through_sigma(rng):
    """u and v stand still in it: at singular vectors that is the whole derivative of sigma."""
    layer = make("affine", rng)
    for _ in range(500):
        layer.normalised()
    layer.eval()
    W = layer.weight.detach().clone().requires_grad_()
    d = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    expected = torch.autograd.grad((W / torch.linalg.matrix_norm(W, 2) * d).sum(), W)[0]
    found = torch.autograd.grad((layer.normalised() * d).sum(), layer.weight)[0]
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_two_passes_before_one_backward_are_allowed(kind, rng):
    layer = make(kind, rng)
    (layer.normalised() + layer.normalised()).sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_the_vector_is_in_the_state_and_comes_from_the_generator():
    a, b, c = (make("conv", torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert "u" in a.state_dict()
    assert torch.equal(a.u, b.u)
    assert not torch.equal(a.u, c.u)
    again = copy.deepcopy(c)
    again.load_state_dict(a.state_dict())
    assert torch.equal(again.normalised(), a.normalised())


def test_a_bfloat16_copy_normalises_in_float32(rng):
    layer = make("conv", rng, torch.float32)
    twin = in_bfloat16(nn.Sequential(layer))[0]
    assert twin.weight.dtype == twin.u.dtype == torch.float32
    x = torch.randn(2, 3, 8, 8, generator=rng)
    y = twin(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x), rtol=0.05, atol=0.05)


def test_the_reading_of_a_class_is_the_plain_one_and_its_own(rng):
    reading = spectral_norm.SpectralProjectionHead(6, 3)
    init.init_he(reading, rng=rng)
    spectral_norm.init_vectors(reading, rng=rng)
    reading.eval()
    h, c = torch.randn(4, 6, generator=rng), torch.eye(3)[[0, 2, 2, 1]]
    w, V = reading.plain.normalised()[0], reading.context.normalised()
    for i, k in enumerate((0, 2, 2, 1)):
        assert reading(h, c)[i].item() == pytest.approx((h[i] @ (w + V[k])).item(), abs=1e-5)
    torch.testing.assert_close(reading(h), reading.plain(h))

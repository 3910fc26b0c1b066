"""Convolutional layers against written-out loops over single numbers, in float64."""

import itertools
import math

import pytest
import torch
from torch import nn

from advnets.base.errors import BadValue
from advnets.nn import constraints, init
from advnets.nn.batch_norm import BatchNorm
from advnets.nn.convolution import CeilPool, MaxoutConv, TransposedConv


def drawn(*shape, rng):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def conv_loops(x, W, b, padding):
    """Every number of every map by itself."""
    n, inputs, height, width = x.shape
    outputs, _, size, _ = W.shape
    H, S = (side + 2 * padding - size + 1 for side in (height, width))
    y = torch.zeros(n, outputs, H, S, dtype=torch.float64)
    for i, o, s, t in itertools.product(range(n), range(outputs), range(H), range(S)):
        total = b[o].item()
        for c, u, v in itertools.product(range(inputs), range(size), range(size)):
            row, column = s + u - padding, t + v - padding
            if 0 <= row < height and 0 <= column < width:
                total += W[o, c, u, v].item() * x[i, c, row, column].item()
        y[i, o, s, t] = total
    return y


@pytest.mark.parametrize(("size", "padding"), [(1, 0), (3, 1), (4, 2), (3, 3)])
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_maxout_convolution_is_the_largest_of_its_maps(pieces, size, padding, rng):
    layer = MaxoutConv(2, 3, pieces, size=size, padding=padding).double()
    init.init_uniform(layer, 1.0, rng=rng)
    nn.init.uniform_(layer.conv.bias, generator=rng)
    x = drawn(2, 2, 5, 4, rng=rng)
    maps = conv_loops(x, layer.conv.weight.detach(), layer.conv.bias.detach(), padding)
    expected = torch.stack([maps[:, 3 * j : 3 * j + 3] for j in range(pieces)]).amax(dim=0)
    h = layer(x)
    assert h.shape == expected.shape
    assert (h - expected).abs().max() < 1e-12


def test_the_gradient_of_a_maxout_convolution_is_that_of_finite_differences(rng):
    layer = MaxoutConv(2, 2, 2, size=3, padding=1).double()
    init.init_uniform(layer, 1.0, rng=rng)
    assert torch.autograd.gradcheck(layer, drawn(2, 2, 4, 3, rng=rng).requires_grad_())


@pytest.mark.parametrize(("side", "size", "stride"), [(33, 4, 2), (15, 4, 2), (9, 2, 2), (7, 3, 3)])
def test_ceiling_pooling_sees_every_pixel_and_hangs_over_the_edge(side, size, stride, rng):
    x = drawn(1, 2, side, side - 1, rng=rng)
    y = CeilPool(size, stride)(x)
    rows, columns = (math.ceil((s - size) / stride) + 1 for s in (side, side - 1))
    assert y.shape == (1, 2, rows, columns)
    for c, i, j in itertools.product(range(2), range(rows), range(columns)):
        window = x[0, c, i * stride : i * stride + size, j * stride : j * stride + size]
        assert y[0, c, i, j] == window.max()
    assert rows * stride + size - stride >= side


@pytest.mark.parametrize(
    ("size", "stride", "places"), [(5, 3, (2, 3)), (4, 2, (3, 2)), (2, 4, (2, 2))]
)
def test_a_transposed_convolution_puts_kernels_down_and_adds_them_up(size, stride, places, rng):
    shape = (2, *(stride * (p - 1) + size for p in places))
    layer = TransposedConv(3, shape, size=size, stride=stride).double()
    init.init_uniform(layer, 1.0, rng=rng)
    nn.init.uniform_(layer.bias, generator=rng)
    x = drawn(2, 3, *places, rng=rng)
    W = layer.conv.weight.detach()
    y = layer.bias.detach().expand(2, *shape).clone()
    for n, c, i, j in itertools.product(range(2), range(3), range(places[0]), range(places[1])):
        for o, a, b in itertools.product(range(2), range(size), range(size)):
            y[n, o, i * stride + a, j * stride + b] += x[n, c, i, j] * W[c, o, a, b]
    assert layer.places == places
    assert (layer(x) - y).abs().max() < 1e-12


def test_the_bias_of_a_transposed_convolution_is_untied():
    layer = TransposedConv(80, (3, 32, 32), size=5, stride=3)
    assert layer.bias.shape == (3, 32, 32)
    assert layer.places == (10, 10)


@pytest.mark.parametrize(("side", "near"), [(31, "29 or 32"), (4, "5 or 8")])
def test_kernels_that_do_not_end_at_the_edge_are_refused(side, near):
    need = rf"'side of an image' must be 5 and a multiple .* \(such as {near}\), got {side}\."
    with pytest.raises(BadValue, match=need):
        TransposedConv(1, (1, side, side), size=5, stride=3)


def test_batch_norm_is_over_all_examples_and_places_of_a_channel(rng):
    layer, h = BatchNorm(3).double(), drawn(4, 3, 2, 2, rng=rng)
    y = layer(h)
    for c in range(3):
        numbers = h[:, c].flatten().tolist()
        mean = sum(numbers) / 16
        variance = sum((v - mean) ** 2 for v in numbers) / 16
        expected = (h[:, c] - mean) / (variance + 1e-5) ** 0.5
        assert (y[:, c] - expected).abs().max() < 1e-12
        assert layer.mean[c] == pytest.approx(0.1 * mean)
        assert layer.variance[c] == pytest.approx(0.9 + 0.1 * variance * 16 / 15)


def test_batch_norm_out_of_training_treats_examples_one_by_one(rng):
    layer, h = BatchNorm(3).double(), drawn(4, 3, 2, 2, rng=rng)
    layer(h)
    kept = {name: t.clone() for name, t in layer.state_dict().items()}
    layer.eval()
    apart = torch.cat([layer(h[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(layer(h), apart, rtol=0, atol=1e-14)
    spread = (kept["variance"] + 1e-5).sqrt()[:, None, None]
    torch.testing.assert_close(apart, (h - kept["mean"][:, None, None]) / spread)
    assert all(torch.equal(t, kept[name]) for name, t in layer.state_dict().items())


def test_kernels_and_columns_have_limits_of_their_own(rng):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(3, 2, 3), nn.Linear(4, 5))
    for p in net.parameters():
        nn.init.uniform_(p, -2, 2, generator=rng)
    before = [layer.weight.detach().clone() for layer in net]
    constraints.limit_kernel_norms(net, 0.5)
    for layer, W in zip(net[:2], before, strict=False):
        for kernel, old in zip(layer.weight, W, strict=True):
            assert kernel.norm().item() == pytest.approx(min(0.5, old.norm().item()), rel=1e-5)
            torch.testing.assert_close(kernel / kernel.norm(), old / old.norm())
    assert torch.equal(net[2].weight, before[2])
    kernels = [layer.weight.detach().clone() for layer in net[:2]]
    constraints.limit_column_norms(net, 0.25)
    assert net[2].weight.norm(dim=1).max().item() <= 0.25
    assert all(torch.equal(layer.weight, W) for layer, W in zip(net, kernels, strict=False))


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (nn.Linear(400, 300), 400),
        (nn.Conv2d(30, 40, 3), 270),
        (nn.ConvTranspose2d(60, 50, 4, 2), 240),
    ],
    ids=["affine", "convolution", "transposed"],
)
def test_he_weights_have_variance_2_over_inputs(layer, inputs, rng):
    init.init_he(layer, rng=rng)
    assert layer.weight.var().item() == pytest.approx(2 / inputs, rel=0.03)
    assert not layer.bias.any()

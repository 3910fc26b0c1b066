"""The layers and what is done to their weights, against loops over single numbers."""

import math

import pytest
import torch
from torch import nn

from advnets import layers
from advnets.checks import BadValue
from advnets.layers import Dropout, Maxout


def rows(t):
    return t.detach().double().tolist()


@pytest.mark.parametrize(("units", "pieces"), [(4, 5), (3, 1), (1, 2)])
def test_maxout_is_the_largest_of_consecutive_pieces(units, pieces, rng):
    layer = Maxout(6, units, pieces).double()
    x = torch.randn(7, 6, dtype=torch.float64, generator=rng)
    W, b = rows(layer.affine.weight), rows(layer.affine.bias)
    expected = [
        [
            max(
                sum(w * v for w, v in zip(W[i * pieces + j], row, strict=True)) + b[i * pieces + j]
                for j in range(pieces)
            )
            for i in range(units)
        ]
        for row in rows(x)
    ]
    assert layer(x).shape == (7, units)
    assert (layer(x) - torch.tensor(expected, dtype=torch.float64)).abs().max() < 1e-12


def test_maxout_has_no_rectifier():
    layer = Maxout(2, 1, 3)
    layer.affine.weight.data.zero_()
    layer.affine.bias.data.copy_(torch.tensor([-3.0, -2.0, -4.0]))
    assert layer(torch.ones(1, 2)).item() == -2


def test_the_gradient_of_maxout_reaches_the_winning_piece_alone(rng):
    layer = Maxout(4, 3, 5)
    x = torch.randn(1, 4, generator=rng)
    layer(x).sum().backward()
    winners = layer.affine(x).view(3, 5).argmax(dim=1)
    expected = torch.zeros(3, 5).scatter_(1, winners[:, None], 1.0)
    assert torch.equal(layer.affine.bias.grad.view(3, 5), expected)


@pytest.mark.parametrize("sizes", [(0, 5), (4, 0)])
def test_maxout_needs_a_unit_and_a_piece(sizes):
    with pytest.raises(BadValue, match=r"'(units|pieces)' must be a number that is at least 1"):
        Maxout(3, *sizes)


@pytest.mark.parametrize("include", [0.8, 0.5, 0.1, 0.99])
def test_dropout_keeps_the_stated_share_and_scales_by_its_inverse(include, rng):
    layer = Dropout(include)
    layers.bind([layer], rng)
    x = torch.rand(400, 501, generator=rng, dtype=torch.float64) + 1
    out = layer(x)
    kept = out != 0
    assert torch.equal(out[kept], (x * (1 / torch.tensor(include, dtype=torch.float64)))[kept])
    n = x.numel()
    error = 5 * (include * (1 - include) / n) ** 0.5 + 1e-5
    assert kept.sum().item() / n == pytest.approx(include, abs=error)


def test_dropout_drops_each_element_of_each_example_on_its_own(rng):
    layer = Dropout(0.5)
    layers.bind([layer], rng)
    kept = (layer(torch.ones(4000, 12)) != 0).double()
    deviation = 5 * 0.5 / 4000**0.5
    assert (kept.mean(dim=0) - 0.5).abs().max() < deviation
    pairs = (kept - 0.5).T @ (kept - 0.5) / 4000
    assert (pairs - 0.25 * torch.eye(12)).abs().max() < deviation / 2
    assert (kept[1:] * kept[:-1]).mean().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("include", [1e-4, 0.999, 0.99999, 0.999999, 1.0])
def test_the_share_is_right_to_1e_5_up_to_the_ends(include, rng):
    layer = Dropout(include)
    layers.bind([layer], rng)
    kept = layer(torch.ones(1000, 1000)).count_nonzero().item() / 1e6
    assert kept == pytest.approx(include, abs=1e-5 + 5 * (include * (1 - include) / 1e6) ** 0.5)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 4, 5), (0, 7)])
def test_dropout_keeps_shape_and_type(shape, rng):
    layer = Dropout(0.5)
    layers.bind([layer], rng)
    for dtype in (torch.float32, torch.float64):
        out = layer(torch.ones(shape, dtype=dtype))
        assert (out.shape, out.dtype) == (shape, dtype)


def test_the_same_state_of_the_generator_gives_the_same_mask(rng):
    layer, x = Dropout(0.5), torch.ones(9, 11)
    layers.bind([layer], rng)
    state = rng.get_state()
    first, second = layer(x), layer(x)
    rng.set_state(state)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_a_layer_that_nobody_bound_draws_from_the_global_stream():
    layer, x = Dropout(0.5), torch.ones(9, 11)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)


def test_a_bound_layer_leaves_the_global_stream_alone(rng):
    layer = Dropout(0.5)
    layers.bind([layer], rng)
    before = torch.get_rng_state()
    layer(torch.ones(9, 11))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("include", "training"), [(0.5, False), (1.0, True)])
def test_dropout_is_the_identity_in_evaluation_and_at_include_1(include, training, rng):
    layer = Dropout(include).train(training)
    layers.bind([layer], rng)
    x, state = torch.randn(5, 3), rng.get_state()
    assert torch.equal(layer(x), x)
    assert torch.equal(rng.get_state(), state)


def test_the_gradient_of_dropout_is_its_mask(rng):
    layer = Dropout(0.8)
    layers.bind([layer], rng)
    x = torch.full((6, 7), 2.0, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach() / 2)


@pytest.mark.parametrize("include", [0, -0.1, 1.1, math.nan])
def test_a_share_outside_0_to_1_is_refused(include):
    with pytest.raises(BadValue, match=r"'include' must be above 0 and at most 1, got "):
        Dropout(include)


def test_a_dropout_layer_shows_its_share():
    assert repr(Dropout(0.8)) == "Dropout(include=0.8)"


def test_dropouts_finds_ours_in_every_network_and_bind_binds_them(rng):
    first, second = nn.Sequential(nn.Sequential(Dropout(0.5)), nn.Dropout(0.5)), Dropout(0.8)
    found = layers.dropouts(first, second)
    assert found == [first[0][0], second]
    layers.bind(found, rng)
    assert all(layer.rng is rng for layer in found)


def test_uniform_initialisation_spans_its_range_and_zeroes_biases(rng):
    network = nn.Sequential(nn.Linear(100, 300), nn.ReLU(), Maxout(300, 20, 5))
    layers.init_uniform(network, 0.05, rng=rng)
    for layer in (network[0], network[2].affine):
        W = layer.weight.detach().double()
        assert not layer.bias.any()
        assert 0.0499 < W.abs().max() <= 0.05 + 1e-9
        assert W.mean().item() == pytest.approx(0, abs=5 * 0.05 / (3 * W.numel()) ** 0.5)
        assert W.var().item() == pytest.approx(0.05**2 / 3, rel=0.03)


def test_initialisation_is_a_function_of_the_generator():
    def drawn(seed):
        network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        layers.init_uniform(network, 1.0, rng=torch.Generator().manual_seed(seed))
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@pytest.mark.parametrize("nonzero", [1, 7, 30])
def test_sparse_initialisation_leaves_exactly_n_inputs_a_unit(nonzero, rng):
    layer = nn.Linear(30, 500)
    layers.init_sparse(layer, nonzero, stdev=2.0, rng=rng)
    used = layer.weight.detach() != 0
    assert used.sum(dim=1).tolist() == [nonzero] * 500
    assert not layer.bias.any()
    drawn = layer.weight.detach()[used].double()
    error = 5 * 2 / len(drawn) ** 0.5
    assert drawn.mean().item() == pytest.approx(0, abs=error)
    assert drawn.std().item() == pytest.approx(2, abs=error)
    share = nonzero / 30
    spread = 5 * (share * (1 - share) / 500) ** 0.5 + 1e-9
    assert (used.double().mean(dim=0) - share).abs().max() < spread  # every input as often


@pytest.mark.parametrize("nonzero", [0, 4])
def test_sparse_initialisation_needs_1_to_all_inputs(nonzero, rng):
    message = rf"'nonzero' must be from 1 to the number of inputs, 3, got {nonzero}\."
    with pytest.raises(BadValue, match=message):
        layers.init_sparse(nn.Linear(3, 2), nonzero, rng=rng)


def test_the_sigmoid_of_the_logit_of_marginals_is_the_mean():
    mean = torch.tensor([0.0, 1e-3, 0.1307, 0.5, 0.9, 1.0])
    bias = layers.logit_of_marginals(mean)
    clipped = [min(max(m, 1e-7), 1 - 1e-7) for m in mean.double().tolist()]
    expected = torch.tensor([math.log(p / (1 - p)) for p in clipped])
    assert (bias - expected).abs().max() < 1e-5
    assert bias[0].item() == pytest.approx(-16.118, abs=1e-3)
    assert (bias.sigmoid() - mean).abs().max() < 1e-6


def test_column_norms_follow_the_formula_weight_by_weight(rng):
    network = nn.Sequential(nn.Linear(5, 4), Maxout(4, 3, 2)).double()
    before = [(m.weight.detach().clone(), m.bias.detach().clone()) for m in linears(network)]
    layers.limit_column_norms(network, 1.0)
    for layer, (W, b) in zip(linears(network), before, strict=True):
        for row, new in zip(rows(W), rows(layer.weight), strict=True):
            norm = math.sqrt(sum(w * w for w in row))
            factor = min(max(norm, 0.0), 1.0) / (1e-7 + norm)
            assert new == pytest.approx([factor * w for w in row], abs=1e-15)
        assert torch.equal(layer.bias, b)


def test_column_norms_end_within_the_limit_and_zero_stays_zero(rng):
    layer = nn.Linear(50, 6)
    layer.weight.data.normal_(std=3, generator=rng)
    layer.weight.data[0] = 0
    layers.limit_column_norms(layer, 1.9365)
    assert layer.weight.norm(dim=1).max() <= 1.9365 * (1 + 1e-6)
    assert not layer.weight[0].any()


def linears(network):
    return [m for m in network.modules() if isinstance(m, nn.Linear)]

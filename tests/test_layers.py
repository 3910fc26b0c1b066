"""The layers and what is done to their weights, against loops over single numbers."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import advnets
from advnets import layers
from advnets.checks import BadValue
from advnets.layers import Affine, Dropout, Maxout


def rows(t):
    return t.detach().double().tolist()


def masked(layer, x, rng):
    """The layer's output under a mask whose bits come from `rng`, as a game hands them over."""
    layer.eval()(x)  # it sees the shape
    layers.hand_out([layer], [layer.train().draw(len(x), rng=rng)])
    return layer(x)


# Affine


def twins(dtype=torch.float32, inputs=5, outputs=4):
    """One of ours and nn.Linear with the same weights."""
    torch.manual_seed(0)
    ours, theirs = Affine(inputs, outputs).to(dtype), nn.Linear(inputs, outputs).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def gradients(layer, x, cotangent):
    x = x.clone().requires_grad_()
    y = layer(x)
    return [y.detach(), *torch.autograd.grad(y, [x, layer.weight, layer.bias], cotangent)]


PRECISIONS = [(torch.float64, 1e-14), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)]


@pytest.mark.parametrize(("dtype", "error"), PRECISIONS, ids=str)
@pytest.mark.parametrize("n", [1, 7, 64])
def test_an_affine_layer_is_nn_linear_in_value_and_gradients(n, dtype, error, rng):
    ours, theirs = twins(dtype)
    x, d = (torch.randn(n, w, generator=rng).to(dtype) for w in (5, 4))
    for cotangent in (d, d[:1].expand(n, 4), d.T.contiguous().T):  # with any strides
        results = gradients(ours, x, cotangent), gradients(theirs, x, cotangent)
        for a, b in zip(*results, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert (a - b).abs().max() <= error * (1 + b.abs().max())
    with torch.no_grad():
        assert (ours(x) - theirs(x)).abs().max() <= error * (1 + theirs(x).abs().max())


def test_an_affine_layer_takes_x_with_any_strides(rng):
    ours, theirs = twins()
    for x in (torch.randn(5, 7, generator=rng).T, torch.randn(7, 10, generator=rng)[:, ::2]):
        for a, b in zip(*(gradients(m, x, torch.ones(7, 4)) for m in (ours, theirs)), strict=True):
            torch.testing.assert_close(a, b)


def test_an_affine_layer_shares_names_and_states_with_nn_linear():
    ours, theirs = twins()
    assert isinstance(ours, nn.Linear)
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight", "bias"]


def test_gradcheck_of_an_affine_layer(rng):
    layer = twins(torch.float64)[0]

    def f(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, x)

    x = torch.randn(3, 5, dtype=torch.float64, generator=rng, requires_grad=True)
    assert torch.autograd.gradcheck(f, (x, layer.weight, layer.bias))


@pytest.mark.parametrize("make", [lambda: Affine(5, 4), lambda: Maxout(5, 4, 3)])
@pytest.mark.parametrize("a", [1, 6])
def test_rows_put_before_x_come_first_and_get_no_gradient(make, a, rng):
    torch.manual_seed(0)
    layer = make().double()
    before = torch.randn(a, 5, generator=rng).double().requires_grad_()
    x = torch.randn(6, 5, generator=rng).double().requires_grad_()
    d = torch.randn(a + 6, 4, generator=rng).double()
    y = layer(x, before=before)
    expected = layer(torch.cat((before.detach(), x)))
    assert (y - expected).abs().max() < 1e-14
    inputs = [x, *layer.parameters()]
    whole = torch.autograd.grad(expected, inputs, d)
    for g, e in zip(torch.autograd.grad(y, inputs, d, retain_graph=True), whole, strict=True):
        assert (g - e).abs().max() < 1e-13
    assert torch.autograd.grad(y, [before], d, allow_unused=True) == (None,)


def test_a_layer_that_is_frozen_passes_the_gradient_on(rng):
    ours, theirs = (m.requires_grad_(False) for m in twins())
    x = torch.randn(6, 5, generator=rng)
    a, b = (
        torch.autograd.grad(m(y).sum(), y)[0]
        for m in (ours, theirs)
        for y in [x.clone().requires_grad_()]
    )
    torch.testing.assert_close(a, b)
    assert not ours(x).requires_grad


def test_two_uses_in_one_graph_add_up(rng):
    ours, theirs = twins(torch.float64, 5, 5)
    x = torch.randn(6, 5, generator=rng).double()
    a, b = (m(m(x).tanh()).square().sum() for m in (ours, theirs))
    results = (torch.autograd.grad(y, list(m.parameters())) for y, m in ((a, ours), (b, theirs)))
    for g, e in zip(*results, strict=True):
        assert (g - e).abs().max() < 1e-12


def test_a_second_derivative_is_right_or_refused(rng):
    """A gradient penalty through an affine layer must not come out as silence."""
    ours, theirs = twins(torch.float64)
    penalties = []
    for layer in (ours, theirs):
        x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
        try:
            (g,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
            # The layer has a part in g beside its weights' own, so that the graph is not empty.
            penalty = g.square().sum() + 0 * layer.weight.sum()
            penalties.append(torch.autograd.grad(penalty, layer.weight)[0])
        except RuntimeError:
            assert layer is ours
            return
    torch.testing.assert_close(*penalties)


# Maxout


@pytest.mark.parametrize(("units", "pieces"), [(4, 5), (3, 1), (1, 2)])
def test_maxout_is_the_largest_of_its_pieces_which_lie_side_by_side(units, pieces, rng):
    """h_i = max_j y_{jq + i}."""
    layer = Maxout(6, units, pieces).double()
    x = torch.randn(7, 6, dtype=torch.float64, generator=rng)
    W, b = rows(layer.affine.weight), rows(layer.affine.bias)
    expected = [
        [
            max(
                sum(w * v for w, v in zip(W[j * units + i], row, strict=True)) + b[j * units + i]
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
    winners = layer.affine(x).view(5, 3).argmax(dim=0)
    expected = torch.zeros(5, 3).scatter_(0, winners[None], 1.0)
    assert torch.equal(layer.affine.bias.grad.view(5, 3), expected)


def test_equal_pieces_share_the_gradient_evenly():
    layer = Maxout(2, 2, 4)
    with torch.no_grad():
        layer.affine.weight.zero_()
        layer.affine.bias.view(4, 2).copy_(
            torch.tensor([[1.0, 5.0], [3.0, 2.0], [3.0, 5.0], [3.0, 5.0]])
        )
    layer(torch.ones(1, 2)).sum().backward()
    third = torch.tensor(1 / 3)
    expected = torch.tensor([[0, third], [third, 0], [third, third], [third, third]])
    torch.testing.assert_close(layer.affine.bias.grad.view(4, 2), expected)
    assert torch.equal(layer.affine.weight.grad, layer.affine.bias.grad[:, None].expand(8, 2))


@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("tied", [False, True])
def test_gradcheck_of_maxout(pieces, tied, rng):
    """At a tie of two, the slope that a central difference sees is half of each."""
    layer = Maxout(4, 3, pieces).double()
    if tied and pieces > 1:
        with torch.no_grad():  # the first two pieces equal, and above the others
            layer.affine.weight.view(pieces, 3, 4)[1] = layer.affine.weight.view(pieces, 3, 4)[0]
            layer.affine.bias.view(pieces, 3)[:2] = 9.0

    def f(x, weight, bias):
        names = {"affine.weight": weight, "affine.bias": bias}
        return torch.func.functional_call(layer, names, x)

    x = torch.randn(5, 4, dtype=torch.float64, generator=rng, requires_grad=True)
    assert torch.autograd.gradcheck(f, (x, layer.affine.weight, layer.affine.bias))


def test_maxout_of_no_examples_is_no_examples():
    assert Maxout(4, 3, 2)(torch.zeros(0, 4)).shape == (0, 3)


@pytest.mark.parametrize("sizes", [(0, 5), (4, 0)])
def test_maxout_needs_a_unit_and_a_piece(sizes):
    with pytest.raises(BadValue, match=r"'(units|pieces)' must be a number that is at least 1"):
        Maxout(3, *sizes)


# Dropout


@pytest.mark.parametrize("include", [0.8, 0.5, 0.1, 0.99])
def test_dropout_keeps_the_stated_share_and_scales_by_its_inverse(include, rng):
    x = torch.rand(400, 501, generator=rng, dtype=torch.float64) + 1
    out = masked(Dropout(include), x, rng)
    kept = out != 0
    assert torch.equal(out[kept], (x * (1 / torch.tensor(include, dtype=torch.float64)))[kept])
    n = x.numel()
    error = 5 * (include * (1 - include) / n) ** 0.5 + 1e-5
    assert kept.sum().item() / n == pytest.approx(include, abs=error)


def test_dropout_drops_each_element_of_each_example_on_its_own(rng):
    kept = (masked(Dropout(0.5), torch.ones(4000, 12), rng) != 0).double()
    deviation = 5 * 0.5 / 4000**0.5
    assert (kept.mean(dim=0) - 0.5).abs().max() < deviation
    pairs = (kept - 0.5).T @ (kept - 0.5) / 4000
    assert (pairs - 0.25 * torch.eye(12)).abs().max() < deviation / 2
    assert (kept[1:] * kept[:-1]).mean().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("include", [1e-6, 5e-6, 1e-4, 0.999, 0.99999, 0.999999, 1.0])
def test_the_share_is_right_to_1e_5_up_to_the_ends(include, rng):
    kept = masked(Dropout(include), torch.ones(1000, 1000), rng).count_nonzero().item() / 1e6
    assert kept == pytest.approx(include, abs=1e-5 + 5 * (include * (1 - include) / 1e6) ** 0.5)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 4, 5), (0, 7)])
def test_dropout_keeps_shape_and_type(shape, rng):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        out = masked(Dropout(0.5), torch.ones(shape, dtype=dtype), rng)
        assert (out.shape, out.dtype) == (shape, dtype)


def test_the_same_bits_give_the_same_mask(rng):
    layer, x = Dropout(0.5), torch.ones(9, 11)
    state = rng.get_state()
    first, second = masked(layer, x, rng), masked(layer, x, rng)
    rng.set_state(state)
    assert torch.equal(masked(layer, x, rng), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_same_bits_give_the_same_mask_in_every_precision(dtype):
    masks = []
    for kind in (torch.float32, dtype):
        rng = torch.Generator().manual_seed(1)
        masks.append(masked(Dropout(0.8), torch.ones(50, 40, dtype=kind), rng) != 0)
    assert torch.equal(*masks)


@pytest.mark.parametrize("include", [0.8, 0.75, 1e-6])
def test_a_mask_is_of_the_last_shape_seen(include, rng):
    layer = Dropout(include)
    assert layer.draw(5, rng=rng).shape == (5,)
    for shape in [(7,), (1, 3, 2), (9,)]:
        layer(torch.ones(4, *shape))
        assert layer.draw(6, rng=rng).shape == (6, *shape)
    assert layer.draw(0, rng=rng).shape == (0, 9)


@pytest.mark.parametrize(("include", "kind", "per_word"), [(0.8, "<i2", 4), (0.75, "i1", 8)])
def test_a_mask_is_a_threshold_on_the_words_that_the_generator_gives(include, kind, per_word):
    """Integers of 16 bits, or of 8 where that is exact, below their `include`-quantile."""
    layer = Dropout(include)
    layer(torch.ones(2, 9))
    mask = layer.draw(8, rng=torch.Generator().manual_seed(5))
    words = torch.empty(72 // per_word, dtype=torch.int64)
    words.random_(-(2**63), None, generator=torch.Generator().manual_seed(5))
    drawn = np.frombuffer(words.numpy().tobytes(), dtype=kind).reshape(8, 9).astype(float)
    numbers = 2 ** (64 // per_word)
    kept = drawn + numbers / 2 < round(include * numbers)
    assert mask.tolist() == kept.astype(int).tolist()


def test_a_mask_is_a_function_of_the_generator():
    layer = Dropout(0.5)
    layer(torch.ones(2, 5))
    before = torch.get_rng_state()
    a, b, c = (layer.draw(8, rng=torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_pass_takes_the_next_rows_of_the_mask(rng):
    """Passes over 3 and 4 examples have the masks of one pass over 7."""
    layer, x = Dropout(0.5), torch.ones(7, 11)
    layer(x)
    mask, before = layer.draw(7, rng=rng), torch.get_rng_state()
    layers.hand_out([layer], [mask])
    whole = layer(x)
    layers.hand_out([layer], [mask])
    assert torch.equal(torch.cat([layer(x[:3]), layer(x[3:])]), whole)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(whole, 2.0 * mask)


def test_with_too_few_rows_left_it_draws_from_the_global_stream(rng):
    layer, x = Dropout(0.5), torch.ones(7, 11)
    layer(x)
    layers.hand_out([layer], [layer.draw(10, rng=rng)])
    layer(x)  # three rows are left
    torch.manual_seed(3)
    drawn = layer(x)
    torch.manual_seed(3)
    assert torch.equal(drawn, masked(Dropout(0.5), x, None))


def test_a_layer_that_was_handed_nothing_draws_from_the_global_stream():
    layer, x = Dropout(0.5), torch.ones(9, 11)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)


@pytest.mark.parametrize(("include", "training"), [(0.5, False), (1.0, True)])
def test_dropout_is_the_identity_in_evaluation_and_at_include_1(include, training, rng):
    layer = Dropout(include).train(training)
    x = torch.randn(5, 3)
    layers.hand_out([layer], [layer.draw(5, rng=rng)])
    state, bits = torch.get_rng_state(), layer.drawn
    assert torch.equal(layer(x), x)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.drawn is bits


def test_the_gradient_of_dropout_is_its_mask(rng):
    x = torch.full((6, 7), 2.0, requires_grad=True)
    out = masked(Dropout(0.8), x, rng)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach() / 2)


@pytest.mark.parametrize("include", [0, -0.1, 1.1, math.nan])
def test_a_share_outside_0_to_1_is_refused(include):
    with pytest.raises(BadValue, match=r"'include' must be above 0 and at most 1, got "):
        Dropout(include)


def test_a_dropout_layer_shows_its_share():
    assert repr(Dropout(0.8)) == "Dropout(include=0.8)"


def test_random_layers_of_ours_that_do_anything_are_found_in_order(rng):
    network = nn.Sequential(
        nn.Sequential(Dropout(0.5), nn.Dropout(0.5)), Dropout(1.0), nn.ReLU(), Dropout(0.8)
    )
    found = layers.stochastic(network)
    assert found == [network[0][0], network[3]]
    bits = [torch.zeros(2, dtype=torch.int16), torch.ones(3, dtype=torch.int16)]
    layers.hand_out(found, bits)
    assert all(layer.drawn is own for layer, own in zip(found, bits, strict=True))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        layers.hand_out(found, bits[:1])


# Noise


def test_gaussian_noise_adds_what_was_handed_out_in_training_only(rng):
    layer, x = layers.GaussianNoise(0.3), torch.rand(6, 2, 3, generator=rng)
    assert torch.equal(layer.eval()(x), x)
    layer.train()
    drawn = layer.draw(6, rng=torch.Generator().manual_seed(3))
    layers.hand_out([layer], [drawn])
    both = torch.cat([layer(x[:4]), layer(x[4:])])
    torch.testing.assert_close(both, x + 0.3 * drawn, rtol=0, atol=1e-6)
    assert drawn.shape == x.shape
    assert torch.equal(drawn, layer.draw(6, rng=torch.Generator().manual_seed(3)))


def test_gaussian_noise_is_standard_normal_times_its_deviation():
    layer = layers.GaussianNoise(2.0).train()
    y = layer(torch.zeros(1000, 100)) / 2
    assert abs(y.mean()) < 5 / 1e5**0.5
    assert abs(y.square().mean() - 1) < 5 * (2 / 1e5) ** 0.5
    assert abs(y.pow(4).mean() - 3) < 5 * (96 / 1e5) ** 0.5


def test_no_gaussian_noise_draws_nothing():
    layer, x = layers.GaussianNoise(0.0).train(), torch.rand(4, 3)
    state = torch.get_rng_state()
    assert layer(x) is x
    assert torch.equal(torch.get_rng_state(), state)
    assert layers.stochastic(layer) == []


# Weights


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


def test_a_frozen_weight_leaves_its_bias_a_gradient():
    layer, x = layers.Affine(3, 2), torch.randn(5, 3)
    layer.weight.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert torch.equal(layer.bias.grad, torch.full((2,), 5.0))


def test_autocast_reaches_an_affine_layer():
    layer, x = layers.Affine(3, 2), torch.randn(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_second_derivatives_through_both_are_those_of_two_passes():
    rng = torch.Generator().manual_seed(0)
    config = advnets.DiscriminatorConfig(
        units=(6,), pieces=3, irange=0.5, include_input=1.0, include_hidden=1.0
    )
    D = advnets.Discriminator(config, event_shape=(4,), rng=rng).double()
    x, x_g = (torch.rand(5, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    found = []
    for judge in (D.both, lambda x, x_g: torch.cat((D(x), D(x_g)))):
        z = x_g.clone().requires_grad_()
        of_W = torch.autograd.grad(
            judge(x, z).sigmoid().sum(), list(D.parameters()), create_graph=True
        )
        found.append(torch.autograd.grad(sum(g.square().sum() for g in of_W), z)[0])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)

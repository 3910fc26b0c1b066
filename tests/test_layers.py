"""The layers and what is done to their weights, against loops over single numbers."""

import math

import pytest
import torch
from torch import nn

import advnets
from advnets.base.errors import BadValue
from advnets.nn import constraints, init, linear
from advnets.nn.linear import Affine
from advnets.nn.maxout import Maxout


def rows(t):
    return t.detach().double().tolist()


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


def test_the_gradient_in_W_is_written_into_the_memory_that_was_lent_once(rng):
    ours, theirs = twins()
    x, memory = torch.randn(6, 5, generator=rng), torch.full((4, 5), 7.0)
    ours.grad_buffer = memory
    first = torch.autograd.grad(ours(x).sum(), ours.weight)[0]
    assert first.data_ptr() == memory.data_ptr()
    assert ours.grad_buffer is None
    kept = first.clone()
    torch.testing.assert_close(kept, torch.autograd.grad(theirs(x).sum(), theirs.weight)[0])
    second = torch.autograd.grad(ours(2 * x).sum(), ours.weight)[0]
    assert second.data_ptr() != memory.data_ptr()
    assert torch.equal(memory, kept)
    assert ours.borrow() is None


@pytest.mark.parametrize("grad_buffer", [False, True])
def test_two_uses_in_one_graph_add_up_whatever_was_lent(grad_buffer, rng):
    ours, theirs = twins(torch.float64, 5, 5)
    x = torch.randn(6, 5, generator=rng).double()
    a, b = (m(m(x).tanh()).square().sum() for m in (ours, theirs))
    ours.grad_buffer = torch.full((5, 5), 7.0, dtype=torch.float64) if grad_buffer else None
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


# Weights


def test_uniform_initialisation_spans_its_range_and_zeroes_biases(rng):
    network = nn.Sequential(nn.Linear(100, 300), nn.ReLU(), Maxout(300, 20, 5))
    init.init_uniform(network, 0.05, rng=rng)
    for layer in (network[0], network[2].affine):
        W = layer.weight.detach().double()
        assert not layer.bias.any()
        assert 0.0499 < W.abs().max() <= 0.05 + 1e-9
        assert W.mean().item() == pytest.approx(0, abs=5 * 0.05 / (3 * W.numel()) ** 0.5)
        assert W.var().item() == pytest.approx(0.05**2 / 3, rel=0.03)


def test_initialisation_is_a_function_of_the_generator():
    def drawn(seed):
        network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        init.init_uniform(network, 1.0, rng=torch.Generator().manual_seed(seed))
        return torch.cat([p.flatten() for p in network.parameters()])

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@pytest.mark.parametrize("nonzero", [1, 7, 30])
def test_sparse_initialisation_leaves_exactly_n_inputs_a_unit(nonzero, rng):
    layer = nn.Linear(30, 500)
    init.init_sparse(layer, nonzero, stdev=2.0, rng=rng)
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
        init.init_sparse(nn.Linear(3, 2), nonzero, rng=rng)


def test_the_sigmoid_of_the_logit_of_marginals_is_the_mean():
    mean = torch.tensor([0.0, 1e-3, 0.1307, 0.5, 0.9, 1.0])
    bias = init.logit_of_marginals(mean)
    clipped = [min(max(m, 1e-7), 1 - 1e-7) for m in mean.double().tolist()]
    expected = torch.tensor([math.log(p / (1 - p)) for p in clipped])
    assert (bias - expected).abs().max() < 1e-5
    assert bias[0].item() == pytest.approx(-16.118, abs=1e-3)
    assert (bias.sigmoid() - mean).abs().max() < 1e-6


def test_column_norms_follow_the_formula_weight_by_weight(rng):
    network = nn.Sequential(nn.Linear(5, 4), Maxout(4, 3, 2)).double()
    before = [(m.weight.detach().clone(), m.bias.detach().clone()) for m in linears(network)]
    constraints.limit_column_norms(network, 1.0)
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
    constraints.limit_column_norms(layer, 1.9365)
    assert layer.weight.norm(dim=1).max() <= 1.9365 * (1 + 1e-6)
    assert not layer.weight[0].any()


def linears(network):
    return [m for m in network.modules() if isinstance(m, nn.Linear)]


def test_a_frozen_weight_leaves_its_bias_a_gradient():
    layer, x = linear.Affine(3, 2), torch.randn(5, 3)
    layer.weight.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert torch.equal(layer.bias.grad, torch.full((2,), 5.0))


def test_autocast_reaches_an_affine_layer():
    layer, x = linear.Affine(3, 2), torch.randn(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_second_derivatives_through_both_are_those_of_two_passes():
    rng = torch.Generator().manual_seed(0)
    config = advnets.DiscriminatorConfig(
        units=(6,), pieces=3, irange=0.5, dropout_input=0.0, dropout_hidden=0.0
    )
    D = advnets.Discriminator(config, event_shape=(4,), rng=rng).double()
    x, x_g = (torch.rand(5, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    found = []
    for judge in (
        lambda x, x_g: D.forward_pair((x,), (x_g,)),
        lambda x, x_g: torch.cat((D(x), D(x_g))),
    ):
        z = x_g.clone().requires_grad_()
        of_W = torch.autograd.grad(
            judge(x, z).sigmoid().sum(), list(D.parameters()), create_graph=True
        )
        found.append(torch.autograd.grad(sum(g.square().sum() for g in of_W), z)[0])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)

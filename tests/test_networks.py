"""G and D: their maps against loops over layers, their first weights, and what they refuse."""

import math

import pytest
import torch
from torch import nn

from advnets.base.errors import BadValue
from advnets.base.protocols import Problem
from advnets.networks import Discriminator, DiscriminatorConfig, GeneratorConfig
from advnets.nn.dropout import Dropout, set_masks, stochastic

MEAN = torch.tensor([[0.1, 0.5, 0.999], [0.0, 0.25, 1.0]])


def problem(mean=MEAN, low=0.0, high=1.0):
    shape = tuple(mean.shape)
    return Problem(event_shape=shape, low=low, high=high, mean=mean, batches_per_epoch=1, steps=1)


def make_G(seed=0, data=None, **config):
    config = GeneratorConfig(**({"hidden": (7, 5)} | config))
    rng = torch.Generator().manual_seed(seed)
    return config.build(z_dim=4, problem=data or problem(), rng=rng)


def make_D(seed=0, event_shape=(2, 3), **config):
    config = DiscriminatorConfig(**({"units": (4, 3), "pieces": 2, "irange": 0.5} | config))
    return Discriminator(config, event_shape=event_shape, rng=torch.Generator().manual_seed(seed))


def linears(network):
    return [m for m in network.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_G_is_rectified_layers_and_its_output(hidden, output, rng):
    G = make_G(hidden=hidden, output=output, irange=1.0).double()
    z = torch.randn(6, 4, generator=rng, dtype=torch.float64)
    *below, last = [(m.weight, m.bias) for m in linears(G)]
    h = z
    for W, b in below:
        h = (h @ W.T + b).clamp(min=0)
    x = h @ last[0].T + last[1]
    x = 1 / (1 + (-x).exp()) if output == "sigmoid" else x
    assert [W.shape[0] for W, _ in below] == list(hidden)
    assert (G(z) - x.view(6, 2, 3)).abs().max() < 1e-12


def test_D_is_maxout_layers_and_one_logit(rng):
    D = make_D().double().eval()
    x = torch.randn(6, 2, 3, generator=rng, dtype=torch.float64)
    first, second, last = [(m.weight, m.bias) for m in linears(D)]
    h = x.reshape(6, 6)
    for W, b in (first, second):
        y = h @ W.T + b
        q = len(b) // 2
        h = torch.stack([torch.maximum(y[:, i], y[:, q + i]) for i in range(q)], dim=1)
    assert D(x).shape == (6, 1)
    assert (D(x) - (h @ last[0].T + last[1])).abs().max() < 1e-12


@pytest.mark.parametrize("event_shape", [(5,), (1, 4, 4), (3, 2, 2)])
def test_shapes_are_those_of_the_data(event_shape):
    data = problem(torch.full(event_shape, 0.5))
    x = make_G(data=data)(torch.zeros(3, 4))
    assert x.shape == (3, *event_shape)
    assert make_D(event_shape=event_shape)(x).shape == (3, 1)


def test_the_published_sizes():
    D = make_D(event_shape=(1, 28, 28), units=(240, 240), pieces=5)
    shapes = [tuple(m.weight.shape) for m in linears(D)]
    assert shapes == [(1200, 784), (1200, 240), (1, 240)]
    G = GeneratorConfig(), DiscriminatorConfig()
    assert (G[0].hidden, G[0].irange, G[0].max_col_norm) == ((1200, 1200), 0.05, None)
    assert (G[1].units, G[1].pieces, G[1].irange) == ((240, 240), 5, 0.005)


def test_dropout_keeps_8_tenths_of_x_and_half_of_every_hidden_layer():
    """Layers in the order in which an example passes through them."""
    D, kinds = make_D(), []
    for layer in D.modules():
        if isinstance(layer, Dropout | nn.Linear):
            kind = f"drop {layer.p}" if isinstance(layer, Dropout) else "affine"
            layer.register_forward_hook(lambda m, x, y, kind=kind: kinds.append(kind))
    passed = ["drop 0.2", "affine", "drop 0.5", "affine", "drop 0.5", "affine"]
    D(torch.ones(3, 2, 3))
    assert kinds == passed
    kinds.clear()
    D.forward_pair((torch.ones(3, 2, 3),), (torch.ones(3, 2, 3),))
    assert kinds == ["drop 0.2", *passed]  # data and samples, then everything once


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("units", [(), (4,), (4, 3)])
def test_forward_pair_is_D_on_data_and_then_on_samples(units, noise, training, rng):
    """Same logits and same gradients from one pass, in the data too where they are asked for."""
    D = make_D(units=units, input_noise=noise).double().train(training)
    x, x_g = (torch.randn(m, 2, 3, generator=rng).double().requires_grad_() for m in (5, 5))
    D.eval()(x)
    drawn = [layer.draw(10, rng=rng) for layer in stochastic(D.train(training))]
    set_masks(stochastic(D), drawn)
    once = D.forward_pair((x,), (x_g,))
    set_masks(stochastic(D), drawn)
    constant = D.forward_pair((x.detach(),), (x_g,))
    set_masks(stochastic(D), drawn)
    twice = torch.cat([D(x), D(x_g)])
    assert once.shape == (10, 1)
    assert (once - twice).abs().max() < 1e-13
    d = torch.randn(10, 1, generator=rng).double()
    inputs = [x_g, *D.parameters()]
    results = (
        torch.autograd.grad(y, inputs, d, retain_graph=True) for y in (constant, once, twice)
    )
    for a, b, c in zip(*results, strict=True):
        assert (a - c).abs().max() < 1e-13
        assert (b - c).abs().max() < 1e-13
    of_data = (torch.autograd.grad(y, [x], d)[0] for y in (once, twice))
    torch.testing.assert_close(*of_data)


@pytest.mark.parametrize("network", [make_G, make_D])
def test_an_example_of_another_size_is_refused_in_words_of_shapes(network):
    with pytest.raises((ValueError, RuntimeError), match=r"shape|size"):
        network()(torch.zeros(3, 11))


def test_G_has_no_dropout():
    G = make_G()
    assert torch.equal(G(torch.ones(3, 4)), G.eval()(torch.ones(3, 4)))


@pytest.mark.parametrize("network", [make_G, make_D])
def test_examples_are_treated_one_by_one(network, rng):
    net = network().double().eval()
    x = torch.randn(5, *((4,) if network is make_G else (2, 3)), generator=rng).double()
    alone = torch.cat([net(row[None]) for row in x])
    assert (net(x) - alone).abs().max() < 1e-14


def test_under_a_sigmoid_G_starts_at_the_training_mean():
    assert (make_G()(torch.zeros(1, 4))[0] - MEAN).abs().max() < 1e-6


def test_with_a_linear_output_G_starts_at_the_training_mean():
    data = problem(MEAN * 100 - 7, low=-7.0, high=93.0)
    assert torch.equal(make_G(output="linear", data=data)(torch.zeros(1, 4))[0], data.mean)


def test_without_marginals_every_bias_starts_at_0():
    G = make_G(bias_from_marginals=False)
    assert not any(m.bias.any() for m in [*linears(G), *linears(make_D())])


@pytest.mark.parametrize(("network", "irange"), [(make_G, 0.2), (make_D, 0.01)])
def test_the_first_weights_span_irange_and_come_from_the_generator(network, irange):
    first, again, other = (network(seed, irange=irange) for seed in (0, 0, 1))
    for a, b, c in zip(linears(first), linears(again), linears(other), strict=True):
        assert a.weight.abs().max() <= irange
        assert torch.equal(a.weight, b.weight)
        assert not torch.equal(a.weight, c.weight)
    assert max(m.weight.abs().max().item() for m in linears(first)) > 0.9 * irange


@pytest.mark.parametrize("network", [make_G, make_D])
def test_the_gradient_reaches_every_parameter(network, rng):
    net = network(irange=1.0).eval()
    net(torch.randn(64, *((4,) if network is make_G else (2, 3)), generator=rng)).sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.any(), name


@pytest.mark.parametrize("network", [make_G, make_D])
def test_constrain_keeps_every_unit_within_the_limit_if_there_is_one(network):
    free, bound = network(irange=5.0), network(irange=5.0, max_col_norm=0.5)
    before = [m.weight.detach().clone() for m in linears(free)]
    free.constrain()
    bound.constrain()
    for a, b, W in zip(linears(free), linears(bound), before, strict=True):
        assert torch.equal(a.weight, W)
        norms = W.norm(dim=1, keepdim=True)
        assert torch.allclose(b.weight, W * norms.clamp(max=0.5) / (norms + 1e-7))


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (0.0, 1.01), (-1.0, 1.0), (0.0, math.nan)])
def test_a_sigmoid_refuses_data_outside_0_to_1(low, high):
    message = rf"'data' must lie in \[0, 1\] for a sigmoid output, got values from {low:g} to "
    with pytest.raises(BadValue, match=message):
        make_G(data=problem(low=low, high=high))


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (GeneratorConfig, {"irange": 0}, r"'irange' must be a number above 0, got 0\."),
        (GeneratorConfig, {"hidden": (3, 0)}, r"'hidden' must be a number that is at least 1"),
        (GeneratorConfig, {"max_col_norm": -1}, r"'max_col_norm' must be a number above 0"),
        (GeneratorConfig, {"output": "tanh"}, "'?output'?.*tanh"),
        (DiscriminatorConfig, {"irange": math.inf}, r"'irange' must be a number above 0, got inf"),
        (DiscriminatorConfig, {"pieces": 0}, r"'pieces' must be a number that is at least 1"),
        (DiscriminatorConfig, {"units": (0,)}, r"'units' must be a number that is at least 1"),
        (
            DiscriminatorConfig,
            {"dropout_input": 1},
            r"'dropout_input' must be at least 0 and below 1",
        ),
        (
            DiscriminatorConfig,
            {"dropout_hidden": -1},
            r"'dropout_hidden' must be at least 0 and bel",
        ),
        (
            DiscriminatorConfig,
            {"input_noise": -0.1},
            r"'input_noise' must be a number that is at least 0",
        ),
        (DiscriminatorConfig, {"max_col_norm": 0}, r"'max_col_norm' must be a number above 0"),
    ],
)
def test_limits_are_checked_on_construction(cls, settings, message):
    with pytest.raises(BadValue, match=message):
        cls(**settings)

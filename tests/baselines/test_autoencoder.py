"""The autoencoder against its equations written out, element by element."""

import math

import pytest
import torch

from advnets.base.protocols import Batch, Problem
from advnets.models.autoencoders.autoencoder import Autoencoder, AutoencoderConfig, Coder
from advnets.optim.schedules import OptimizerConfig

EVENT = (2, 3)


def problem(event_shape=EVENT, low=0.0, high=1.0, steps=100):
    return Problem(
        event_shape=event_shape,
        low=low,
        high=high,
        mean=torch.full(event_shape, 0.5),
        batches_per_epoch=5,
        steps=steps,
    )


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def coder(*, double=True, seed=0, hidden=4, **settings):
    rng = torch.Generator().manual_seed(seed)
    own = Coder(EVENT, hidden, rng=rng, **settings)
    with torch.no_grad():
        own.b.uniform_(-1, 1, generator=rng)
        own.c.uniform_(-1, 1, generator=rng)
    return own.double() if double else own


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
def test_code_reconstruction_and_loss_are_the_equations(tied, loss, rng):
    own = coder(tied=tied, loss=loss)
    x = torch.rand(5, *EVENT, generator=rng, dtype=torch.float64)
    W, b, c = own.W.tolist(), own.b.tolist(), own.c.tolist()
    back = [list(row) for row in zip(*W, strict=True)] if tied else own.W_back.tolist()
    total = 0.0
    for row, g in zip(x, own.decode(own.encode(x)), strict=True):
        row = row.flatten().tolist()
        h = [sigmoid(sum(w * v for w, v in zip(W[j], row, strict=True)) + b[j]) for j in range(4)]
        a = [sum(w * v for w, v in zip(back[i], h, strict=True)) + c[i] for i in range(6)]
        means = [sigmoid(v) for v in a] if loss == "cross-entropy" else a
        assert g.shape == EVENT
        assert g.flatten().tolist() == pytest.approx(means, abs=1e-12)
        for v, p in zip(row, means, strict=True):
            if loss == "cross-entropy":
                total -= v * math.log(p) + (1 - v) * math.log(1 - p)
            else:
                total += (v - p) ** 2 / 2
    assert own.cost(x, own.encode(x)).item() == pytest.approx(total / 5, rel=1e-12)


def test_the_loss_stays_finite_where_the_sigmoid_is_full():
    own = coder(double=False)
    with torch.no_grad():
        own.c.fill_(-500.0)
    assert own.cost(torch.ones(2, *EVENT), torch.zeros(2, 4)).item() == pytest.approx(3000.0)


def test_initial_weights_are_uniform_in_their_reach():
    own = Coder((28, 28), 500, tied=False, rng=torch.Generator().manual_seed(0))
    reach = 4 * math.sqrt(6 / (784 + 500))
    for W in (own.W, own.W_back):
        assert W.abs().max() <= reach and W.abs().mean().item() == pytest.approx(
            reach / 2, rel=0.01
        )
    assert not own.b.any() and not own.c.any()
    assert Coder(EVENT, 4, rng=torch.Generator()).W_back is None


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_goes_down_the_gradient_of_the_loss(tied, precision, rng):
    rule = OptimizerConfig(lr=0.01, momentum=0.0, final_momentum=0.0)
    config = AutoencoderConfig(hidden=5, tied=tied, optimizer=rule, precision=precision)
    own = Autoencoder.from_config(config, problem(), seed=0)
    x = torch.rand(8, *EVENT, generator=rng)
    before = {name: p.detach().clone() for name, p in own.coder.named_parameters()}
    gradient = torch.autograd.grad(own.coder.cost(x, own.coder.encode(x)), own.coder.parameters())
    info = own.step((Batch(x),), rng=rng)
    assert len(before) == (3 if tied else 4)
    near = {"rtol": 1e-5, "atol": 1e-6} if precision == "float32" else {"rtol": 0.1, "atol": 2e-3}
    for (name, old), g in zip(before.items(), gradient, strict=True):
        assert g.abs().max() > 0, name
        torch.testing.assert_close(own.coder.state_dict()[name], old - 0.01 * g, **near)
    assert set(info) == {"reconstruction"}


def test_it_learns_to_tell_its_examples_again(rng):
    x = torch.eye(6).view(6, *EVENT)
    rule = OptimizerConfig(lr=0.5, momentum=0.5)
    own = Autoencoder.from_config(AutoencoderConfig(hidden=4, optimizer=rule), problem(), seed=0)
    for _ in range(400):
        own.step((Batch(x),), rng=rng)
    assert torch.equal(own.reconstruct(x).round(), x)
    assert own.encode(x).shape == (6, 4)
    assert torch.equal(own.decode(own.encode(x)), own.reconstruct(x))
    assert torch.equal(own.up(x), own.encode(x)) and not own.up(x).requires_grad


def test_it_has_no_sampler():
    assert Autoencoder.from_config(AutoencoderConfig(hidden=3), problem(), seed=0).samplers() == {}


def test_the_cross_entropy_of_other_data_is_refused():
    words = "must lie in .0, 1. for a sigmoid output, got values from -2 to 1; .* squared-error"
    with pytest.raises(ValueError, match=words):
        Autoencoder.from_config(AutoencoderConfig(), problem(low=-2.0), seed=0)
    config = AutoencoderConfig(hidden=3, loss="squared-error")
    assert Autoencoder.from_config(config, problem(low=-2.0), seed=0).reconstruct(
        torch.zeros(1, *EVENT)
    ).shape == (1, *EVENT)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": 0}, "'hidden' must be a number that is at least 1, got 0"),
        ({"loss": "hinge"}, "Unknown loss 'hinge'"),
        ({"precision": "float16"}, "Unknown precision 'float16'"),
    ],
)
def test_settings_outside_their_limits_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        AutoencoderConfig(**settings)

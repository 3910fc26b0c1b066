"""The layers that are random in training, and how what they draw is handed out."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from advnets.base.errors import BadValue
from advnets.nn import dropout
from advnets.nn.dropout import Dropout


def masked(layer, x, rng):
    """The layer's output under a mask whose bits come from `rng`, as a game hands them over."""
    layer.eval()(x)  # it sees the shape
    dropout.set_masks([layer], [layer.train().draw(len(x), rng=rng)])
    return layer(x)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9, 0.01])
def test_dropout_drops_the_stated_share_and_scales_by_the_inverse_of_the_rest(p, rng):
    include = 1 - p
    x = torch.rand(400, 501, generator=rng, dtype=torch.float64) + 1
    out = masked(Dropout(p), x, rng)
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
    kept = masked(Dropout(1 - include), torch.ones(1000, 1000), rng).count_nonzero().item() / 1e6
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
        masks.append(masked(Dropout(0.2), torch.ones(50, 40, dtype=kind), rng) != 0)
    assert torch.equal(*masks)


@pytest.mark.parametrize("include", [0.8, 0.75, 1e-6])
def test_a_mask_is_of_the_last_shape_seen(include, rng):
    layer = Dropout(1 - include)
    assert layer.draw(5, rng=rng).shape == (5,)
    for shape in [(7,), (1, 3, 2), (9,)]:
        layer(torch.ones(4, *shape))
        assert layer.draw(6, rng=rng).shape == (6, *shape)
    assert layer.draw(0, rng=rng).shape == (0, 9)


@pytest.mark.parametrize(("include", "kind", "per_word"), [(0.8, "<i2", 4), (0.75, "i1", 8)])
def test_a_mask_is_a_threshold_on_the_words_that_the_generator_gives(include, kind, per_word):
    """Integers of 16 bits, or of 8 where that is exact, below their `include`-quantile."""
    layer = Dropout(1 - include)
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
    dropout.set_masks([layer], [mask])
    whole = layer(x)
    dropout.set_masks([layer], [mask])
    assert torch.equal(torch.cat([layer(x[:3]), layer(x[3:])]), whole)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(whole, 2.0 * mask)


def test_with_too_few_rows_left_it_raises_until_they_are_cleared(rng):
    layer, x = Dropout(0.5), torch.ones(7, 11)
    layer(x)
    dropout.set_masks([layer], [layer.draw(10, rng=rng)])
    layer(x)  # three rows are left
    with pytest.raises(BadValue, match=r"masks of 7 rows for this pass of Dropout .*got 3"):
        layer(x)
    dropout.clear_masks([layer])
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
    layer = Dropout(1 - include).train(training)
    x = torch.randn(5, 3)
    dropout.set_masks([layer], [layer.draw(5, rng=rng)])
    state, bits = torch.get_rng_state(), layer.drawn
    assert torch.equal(layer(x), x)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.drawn is bits


def test_the_gradient_of_dropout_is_its_mask(rng):
    x = torch.full((6, 7), 2.0, requires_grad=True)
    out = masked(Dropout(0.2), x, rng)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach() / 2)


@pytest.mark.parametrize("p", [1, -0.1, 1.1, math.nan])
def test_a_probability_outside_0_to_1_is_refused(p):
    with pytest.raises(BadValue, match=r"'p' must be at least 0 and below 1, got "):
        Dropout(p)


def test_a_dropout_layer_shows_its_share():
    assert repr(Dropout(0.2)) == "Dropout(p=0.2)"


def test_random_layers_of_ours_that_do_anything_are_found_in_order(rng):
    network = nn.Sequential(
        nn.Sequential(Dropout(0.5), nn.Dropout(0.5)), Dropout(0.0), nn.ReLU(), Dropout(0.2)
    )
    found = dropout.stochastic(network)
    assert found == [network[0][0], network[3]]
    bits = [torch.zeros(2, dtype=torch.int16), torch.ones(3, dtype=torch.int16)]
    dropout.set_masks(found, bits)
    assert all(layer.drawn is own for layer, own in zip(found, bits, strict=True))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        dropout.set_masks(found, bits[:1])


# Noise


def test_gaussian_noise_adds_what_was_handed_out_in_training_only(rng):
    layer, x = dropout.GaussianNoise(0.3), torch.rand(6, 2, 3, generator=rng)
    assert torch.equal(layer.eval()(x), x)
    layer.train()
    drawn = layer.draw(6, rng=torch.Generator().manual_seed(3))
    dropout.set_masks([layer], [drawn])
    both = torch.cat([layer(x[:4]), layer(x[4:])])
    torch.testing.assert_close(both, x + 0.3 * drawn, rtol=0, atol=1e-6)
    assert drawn.shape == x.shape
    assert torch.equal(drawn, layer.draw(6, rng=torch.Generator().manual_seed(3)))


def test_gaussian_noise_is_standard_normal_times_its_deviation():
    layer = dropout.GaussianNoise(2.0).train()
    y = layer(torch.zeros(1000, 100)) / 2
    assert abs(y.mean()) < 5 / 1e5**0.5
    assert abs(y.square().mean() - 1) < 5 * (2 / 1e5) ** 0.5
    assert abs(y.pow(4).mean() - 3) < 5 * (96 / 1e5) ** 0.5


def test_no_gaussian_noise_draws_nothing():
    layer, x = dropout.GaussianNoise(0.0).train(), torch.rand(4, 3)
    state = torch.get_rng_state()
    assert layer(x) is x
    assert torch.equal(torch.get_rng_state(), state)
    assert dropout.stochastic(layer) == []

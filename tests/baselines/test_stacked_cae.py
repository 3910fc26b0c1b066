"""The stack: which layer moves when, what it learns from, and what its chain shows."""

import pytest
import torch
from test_autoencoder import EVENT, problem

from advnets.base.protocols import Batch
from advnets.models.autoencoders.cae import CAE, CAEConfig
from advnets.models.autoencoders.stacked_cae import StackedCAE, StackedCAEConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig

RULE = OptimizerConfig(lr=0.05, lr_decay=1.0, momentum=0.0, final_momentum=0.0)


def build(seed=0, **settings):
    settings = {
        "hidden": (5, 4),
        "updates": (3,),
        "optimizer": RULE,
        "precision": "float32",
    } | settings
    return StackedCAE.from_config(StackedCAEConfig(**settings), problem(), seed=seed)


def batches(n, rng):
    return [Batch(torch.rand(6, *EVENT, generator=rng)) for _ in range(n)]


def weights(layer):
    return {name: p.clone() for name, p in layer.coder.state_dict().items()}


def test_layers_are_trained_one_after_the_other_on_finished_codes(rng):
    """The stack's steps are those of two learners trained by hand."""
    own, data = build(contraction=(0.1, 0.2)), batches(7, rng)
    parts = [
        CAE(config, problem(shape), rng=torch.Generator())
        for config, shape in zip(own_configs(contraction=(0.1, 0.2)), [EVENT, (5,)], strict=True)
    ]
    for part, layer in zip(parts, own.layers, strict=True):
        part.coder.load_state_dict(layer.coder.state_dict())
    for batch in data[:3]:
        parts[0].step((batch,), rng=rng)
    for batch in data[3:]:
        parts[1].step((Batch(parts[0].encode(batch.x)),), rng=rng)
    top = weights(own.layers[1])
    for i, batch in enumerate(data):
        own.step((batch,), rng=rng)
        if i < 3:  # the top layer waits
            assert all(torch.equal(t, top[name]) for name, t in weights(own.layers[1]).items())
    for part, layer in zip(parts, own.layers, strict=True):
        for name, tensor in weights(part).items():
            torch.testing.assert_close(weights(layer)[name], tensor)


def own_configs(**settings):
    settings = {"optimizer": RULE, "precision": "float32"} | settings
    return StackedCAEConfig(hidden=(5, 4), updates=(3,), **settings).layers()


def test_the_walk_is_in_the_top_layer_and_is_decoded_down_by_means():
    chain = ChainConfig(chains=3, burn_in=2, thin=2)
    own = build(chain=chain)
    kernel, (low, top) = own.samplers()["chain"].kernel, own.layers
    state = torch.rand(3, 5)
    moved = kernel.step(state, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        moved, top.kernel().step(state, rng=torch.Generator().manual_seed(1))
    )
    torch.testing.assert_close(
        kernel.observe(state, rng=torch.Generator()), low.coder.decode(state)
    )
    assert own.samplers()["chain"].sample(7, seed=0).shape == (7, *EVENT)
    assert kernel.init(4, rng=torch.Generator()).shape == (4, 5)


def test_a_stack_of_one_layer_walks_like_that_layer(rng):
    chain = ChainConfig(chains=3, burn_in=2, thin=1)
    own = build(hidden=(5,), updates=(), contraction=(0.1,), chain=chain)
    single = CAE(CAEConfig(hidden=5, chain=chain, optimizer=RULE), problem(), rng=rng)
    single.coder.load_state_dict(own.layers[0].coder.state_dict())
    a, b = (learner.samplers()["chain"].sample(9, seed=2) for learner in (own, single))
    assert torch.equal(a, b)


def test_a_chain_from_data_begins_at_codes_of_the_first_minibatch_of_its_stage(rng):
    chain = ChainConfig(chains=6, burn_in=0, thin=1, init="data")
    own, data = build(chain=chain), batches(5, rng)
    for batch in data:
        own.step((batch,), rng=rng)
    low = own.layers[0]
    expected = low.decode(low.encode(data[3].x))
    torch.testing.assert_close(own.samplers()["chain"].sample(6, seed=0), expected)
    assert "first" not in low.kept


def test_the_first_layer_alone_may_tell_other_data(rng):
    own = build(loss="squared-error")
    assert [layer.coder.loss for layer in own.layers] == ["squared-error", "cross-entropy"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": ()}, "'layers' must be a number that is at least 1, got 0"),
        ({"updates": (2, 3)}, "'updates' must be as many numbers as 2 layers need, 1, got 2"),
        (
            {"contraction": (0.1,)},
            "'contraction' must be as many numbers as 2 layers need, 2, got 1",
        ),
        ({"contraction": (0.1, -1.0)}, "'contraction' must be a number that is at least 0, got -1"),
        ({"hidden": (5, 0)}, "'hidden' must be a number that is at least 1, got 0"),
        ({"walk": 0.0}, "'walk' must be a number above 0, got 0"),
        (
            {"loss": "squared-error", "chain": ChainConfig(shown="binary")},
            "'shown' must be 'means' with the squared error",
        ),
    ],
)
def test_settings_outside_their_limits_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        StackedCAEConfig(**settings)

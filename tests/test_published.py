"""The shape of every layer that the authors published, against FACTS.md, sections 1.1 to 1.4.

The pairs are those of the recipes, and their layers are made on torch's meta device: shapes, no
numbers.
"""

import pytest
import torch
from torch import nn

from advnets import recipes
from advnets.base.protocols import Problem
from advnets.nn import init

FACES, CIFAR = (1, 48, 48), (3, 32, 32)
MLP_8000 = {"net.0": (8000, 100), "net.2": (8000, 8000)}
PUBLISHED = {  # weights by the name of their layer, outputs first; parameters with all biases
    ("mnist", "G"): (
        {"net.0": (1200, 100), "net.2": (1200, 1200), "net.4": (784, 1200)},
        100 * 1200 + 1200 * 1200 + 1200 * 784 + 1200 + 1200 + 784,
    ),
    ("mnist", "D"): (
        {"maxouts.0.affine": (1200, 784), "maxouts.1.affine": (1200, 240), "last": (1, 240)},
        784 * 240 * 5 + 240 * 240 * 5 + 240 + 2 * 240 * 5 + 1,
    ),
    ("tfd", "G"): (
        {
            "below.0": (8000, 100),
            "below.2": (100, 8000),
            "G.net.0": (8000, 100),
            "G.net.2": (8000, 8000),
            "G.net.4": (2304, 8000),
        },
        100 * 8000 + 8000 * 100 + 8100 + 100 * 8000 + 8000 * 8000 + 8000 * 2304 + 18304,
    ),
    ("tfd", "D"): (
        {"maxouts.0.affine": (6000, 2304), "maxouts.1.affine": (6000, 1200), "last": (1, 1200)},
        2304 * 6000 + 1200 * 6000 + 12000 + 1201,
    ),
    ("cifar10", "G"): (
        MLP_8000 | {"net.4": (3072, 8000)},
        100 * 8000 + 8000 * 8000 + 8000 * 3072 + 16000 + 3072,
    ),
    ("cifar10", "D"): (
        {"maxouts.0.affine": (8000, 3072), "maxouts.1.affine": (8000, 1600), "last": (1, 1600)},
        3072 * 8000 + 1600 * 8000 + 16000 + 1601,
    ),
    ("cifar10-conv", "G"): (
        {"below.0": (8000, 100), "below.2": (8000, 8000), "last.conv": (80, 3, 5, 5)},
        100 * 8000 + 8000 * 8000 + 16000 + 80 * 3 * 25 + 3072,
    ),
    ("cifar10-conv", "D"): (
        {
            "convs.0.conv": (64, 3, 8, 8),
            "convs.1.conv": (64, 32, 8, 8),
            "convs.2.conv": (384, 32, 5, 5),
            "maxouts.0.affine": (2500, 4800),
            "last": (1, 500),
        },
        64 * 192 + 64 + 64 * 2048 + 64 + 384 * 800 + 384 + 4800 * 2500 + 2500 + 501,
    ),
}
EVENTS = {"mnist": (1, 28, 28), "tfd": FACES, "cifar10": CIFAR, "cifar10-conv": CIFAR}


@pytest.fixture(scope="module")
def pairs():
    """Each recipe's G and D, without numbers."""
    found = {}
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        for name in ("init_uniform", "init_sparse"):
            patch.setattr(init, name, lambda *args, **settings: None)
        for name, event in EVENTS.items():
            config = recipes.get(name).model
            mean = torch.full(event, 0.5)
            problem = Problem(
                event_shape=event, low=0.0, high=1.0, mean=mean, batches_per_epoch=1, steps=1
            )
            learner = recipe_class(config)
            found[name, "G"], found[name, "D"] = learner.networks(config, problem, 0, seed=0)
    return found


def recipe_class(config):
    from advnets.runs.registry import LEARNERS

    return LEARNERS[type(config)].__self__


@pytest.mark.parametrize(("recipe", "player"), list(PUBLISHED))
def test_every_published_layer_has_its_shape(pairs, recipe, player):
    shapes, parameters = PUBLISHED[recipe, player]
    net = pairs[recipe, player]
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    found = {n: tuple(m.weight.shape) for n, m in net.named_modules() if isinstance(m, kinds)}
    assert found == shapes
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_the_maps_between_convolutions_are_33_16_15_7_9_5_pixels_wide(pairs):
    D, sides = pairs["cifar10-conv", "D"], []
    for layer in [*D.convs, *D.pools]:
        layer.register_forward_hook(lambda m, x, y: sides.append(y.shape[-1]))
    assert D.features(CIFAR) == 4800
    assert sides == [33, 16, 15, 7, 9, 5]


def test_the_untied_bias_and_the_maps_it_stands_on(pairs):
    G = pairs["cifar10-conv", "G"]
    assert G.maps == (80, 10, 10)
    assert tuple(G.last.bias.shape) == CIFAR


SETTINGS = {
    "mnist": {"lr": 0.1, "batch": 100, "prior": "uniform", "G": 0.05, "D": 0.005, "norm": None},
    "tfd": {"lr": 0.05, "batch": 100, "prior": "gaussian", "G": 0.05, "D": 0.005, "norm": 1.9365},
    "cifar10": {
        "lr": 0.025,
        "batch": 100,
        "prior": "gaussian",
        "G": 0.05,
        "D": 0.005,
        "norm": None,
    },
    "cifar10-conv": {
        "lr": 0.004,
        "batch": 128,
        "prior": "gaussian",
        "G": 0.05,
        "D": 0.005,
        "norm": None,
    },
}


@pytest.mark.parametrize("recipe", list(SETTINGS))
def test_the_published_settings(recipe):
    config, need = recipes.get(recipe), SETTINGS[recipe]
    model = config.model
    assert config.batch_size == need["batch"]
    assert (model.prior, model.z_dim, model.order, model.D_loss_weight) == (
        need["prior"],
        100,
        "simultaneous",
        0.5,
    )
    assert model.objective == "non-saturating"
    for rule in (model.G_optimizer, model.D_optimizer):
        assert (rule.optimizer, rule.lr, rule.lr_decay) == ("momentum", need["lr"], 1.000004)
        assert (rule.momentum, rule.final_momentum, rule.saturate_epochs) == (0.5, 0.7, 250)
    assert (model.G.irange, model.D.irange) == (need["G"], need["D"])
    assert model.G.max_col_norm == model.D.max_col_norm == need["norm"]
    assert (model.D.dropout_input, model.D.dropout_hidden) == (0.2, 0.5)


def test_what_only_one_of_them_has():
    faces, cifar = recipes.get("tfd").model, recipes.get("cifar10").model
    assert faces.G.units == cifar.G.units == ("relu", "sigmoid")
    assert (faces.G.sigmoid_bias, faces.below_bias, cifar.G.sigmoid_bias) == (-2, -2, 0)
    assert (faces.G.output, faces.G.output_inputs, faces.G.bias_from_marginals) == (
        "sigmoid",
        100,
        True,
    )
    assert (cifar.G.output, cifar.G.output_irange, cifar.G.bias_from_marginals) == (
        "linear",
        0.5,
        False,
    )
    assert faces.below_units == ("relu", "sigmoid")

"""Sizes that cannot fit in memory: every one of every model is refused before it is made."""

import dataclasses
import math

import pytest
import torch

import advnets
from advnets import networks
from advnets.base import errors, memory
from advnets.base.config import fields_of
from advnets.base.protocols import Problem
from advnets.extensions.conditionals import ConditionalsConfig
from advnets.networks.unet import UNetConfig
from advnets.runs import registry

HUGE = 10**12
NO_SIZE = {  # whole numbers that say when, how often or where, and not how much
    "k", "r1_every", "ema_every", "saturate_epochs", "warmup", "first", "updates", "burn_in", "thin",
    "padding", "stride", "size", "sizes", "pools", "pool_strides", "unroll", "instance_noise_batches",
    "labels", "draw", "mean_field",
}  # fmt: skip
MODELS = [
    *(kind() for kind in registry.LEARNERS),
    *(
        advnets.GameConfig(G=kind())
        for kind in networks.GENERATORS.values()
        if kind is not UNetConfig
    ),
    ConditionalsConfig(G=UNetConfig()),
    *(advnets.GameConfig(D=kind()) for kind in networks.DISCRIMINATORS.values()),
]


PROBLEM = Problem(
    event_shape=(3, 32, 32),
    low=0.0,
    high=1.0,
    mean=torch.full((3, 32, 32), 0.5),
    batches_per_epoch=3,
    steps=20,
)


def put(config, name, value):
    head, _, rest = name.partition(".")
    value = put(getattr(config, head), rest, value) if rest else value
    return dataclasses.replace(config, **{head: value})


def sizes():
    """(model, option, its value made huge) for every whole number of every model."""
    for model in MODELS:
        for name, (value, _, _) in fields_of(model).items():
            parts = value if isinstance(value, tuple) else (value,)
            if name.rpartition(".")[2] in NO_SIZE or not parts:
                continue
            if all(type(part) is int for part in parts):
                huge = (HUGE, *parts[1:]) if isinstance(value, tuple) else HUGE
                yield pytest.param(model, name, huge, id=f"{model.kind}-{name}")


@pytest.mark.parametrize(("model", "name", "value"), [*sizes()])
def test_a_size_beyond_memory_is_refused_by_its_name(model, name, value):
    with pytest.raises(errors.BadValue, match=rf"'model\.{name}' must .* GiB of memory here, got "):
        registry.build(put(model, name, value), PROBLEM, seed=0)


@pytest.mark.parametrize("name", ["sizes", "padding", "pools", "pool_strides"])
def test_windows_that_no_picture_holds_are_refused(name):
    D = networks.ConvolutionalDConfig()
    value = (HUGE, *getattr(D, name)[1:])
    with pytest.raises(errors.BadValue):
        registry.build(advnets.GameConfig(D=put(D, name, value)), PROBLEM, seed=0)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_the_same_model_is_built_where_it_fits(model, monkeypatch):
    """Three numbers a weight are enough, and with those of its weights alone it is refused."""
    built = registry.build(model, PROBLEM, seed=0)
    weights = sum(
        t.numel()
        for name, t in built.state().items()
        if t.is_floating_point() and not name.startswith("average.")
    )
    monkeypatch.setattr(memory, "memory", lambda: 4 * 8 * weights)
    again = registry.build(model, PROBLEM, seed=0)
    for name, t in built.state().items():
        torch.testing.assert_close(t, again.state()[name], rtol=0, atol=0)
    monkeypatch.setattr(memory, "memory", lambda: 4 * math.prod(PROBLEM.event_shape))
    with pytest.raises(errors.BadValue, match="of memory here"):
        registry.build(model, PROBLEM, seed=0)


def test_layers_that_fit_one_by_one_and_not_together_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 2**26)
    deep = advnets.GameConfig(G=networks.GeneratorConfig(hidden=(1000,) * 20))
    with pytest.raises(errors.BadValue, match=r"'model\.G\.hidden' must"):
        registry.build(deep, PROBLEM, seed=0)

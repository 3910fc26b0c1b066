"""Runs with random weights, made without training, for the tests of export."""

import torch

import advnets
from advnets.base.conditioning import Context
from advnets.base.protocols import Problem
from advnets.extensions.conditionals import ConditionalsConfig
from advnets.networks import ConvolutionalGConfig, SpectralGConfig, UNetConfig
from advnets.runs import registry
from advnets.runs.run import Run
from advnets.runs.run_config import RunConfig, reproducibility_settings
from advnets.sampling.samplers import GeneratorSampler
from advnets.storage.run_folder import RunDir
from conftest import SMALL, small_config
from test_contract import CASES, two_stage

SMALLEST, PICTURE = (1, 4, 3), (3, 8, 8)
NAMES = [*["?"] * 3, "cat", "", "", "", "a|b", "", "<i>"]
CLASSES = Context.of(torch.tensor([3, 7, 7, 9]), NAMES)
VECTORS = Context.of(torch.rand(5, 2, generator=torch.Generator().manual_seed(0)))


def made(folder, config, shape=SMALLEST, context=None, *, updates=(7,)):
    """A run of a model with random weights, and checkpoints of these updates."""
    problem = Problem(
        event_shape=shape,
        low=0.0,
        high=1.0,
        mean=torch.full(shape, 0.5),
        batches_per_epoch=3,
        steps=20,
        context=context,
    )
    learner = registry.build(config, problem, seed=1)
    whole = RunConfig(recipe="tiny", data=advnets.data.RingConfig(), model=config)
    data = {"event_shape": list(shape), "low": 0.0, "high": 1.0}
    data |= {} if context is None else {"context": context.facts()}
    run_folder = RunDir.create(
        folder / "run", config=whole.to_toml(), data=data, environment={"advnets": "0.1.0"}
    )
    for update in updates:
        randomise(learner, update)
        facts = {"best": {}, "score": "", "settings": reproducibility_settings(whole)}
        state = {f"learner.{name}": t for name, t in learner.state().items()}
        run_folder.save(update, state, facts, best=update == updates[0])
    return Run(run_folder, whole, learner, updates[-1], f"{updates[-1]:08d}.safetensors")


def randomise(learner, seed):
    rng = torch.Generator().manual_seed(seed)
    for sampler in learner.samplers().values():
        if isinstance(sampler, GeneratorSampler):
            floating = (t for t in sampler.G.state_dict().values() if t.is_floating_point())
            for t in floating:
                t.add_(torch.rand(t.shape, generator=rng) * 0.3)


def game(folder, **settings):
    return made(folder, small_config(), **settings)


def second_stage(folder):
    run = made(folder, two_stage(first=2))
    run.learner.enter(2)
    return run


def picture(folder, G, context=None):
    config = small_config(G=G, context="none" if context is None else "labels")
    return made(folder, config, PICTURE, context)


GENERATORS = ("game", "two-stage", "conditionals", "bigan", "coordinated", "semi-supervised", "vae")
KINDS = {
    **{
        f"{name}-{i}": lambda folder, c=config: made(folder, c)
        for name in GENERATORS
        for i, config in enumerate(CASES[name])
    },
    "second stage": second_stage,
    "classes": lambda f: made(f, small_config(context="labels"), context=CLASSES),
    "vectors": lambda f: made(f, small_config(context="labels"), context=VECTORS),
    "conv": lambda f: picture(f, SpectralGConfig(width=2)),
    "conv of classes": lambda f: picture(f, SpectralGConfig(width=2), CLASSES),
    "transposed conv": lambda f: picture(
        f, ConvolutionalGConfig(hidden=(5, 8), size=5, output="sigmoid")
    ),
    "unet": lambda f: made(f, ConditionalsConfig(**SMALL | {"G": UNetConfig(width=2)}), PICTURE),
}

"""What every public learner and sampler keeps, whichever model it is."""

import dataclasses
import inspect

import pytest
import torch

import advnets
from advnets.base.protocols import (
    Batch,
    Chain,
    LatentSampler,
    Learner,
    ModelConfig,
    Problem,
    Sampler,
)
from advnets.extensions.conditionals import ConditionalsConfig
from advnets.extensions.coordination import CoordinatedConfig
from advnets.extensions.inference.bigan import BiGANConfig
from advnets.extensions.semisupervised import SemiSupervisedConfig
from advnets.models.directed.sigmoid_belief_net import SBNConfig
from advnets.models.energy.dbm import DBMConfig
from advnets.models.energy.dbn import DBNConfig
from advnets.models.energy.energy_net import EnergyNetConfig
from advnets.models.energy.mp_dbm import MPDBMConfig
from advnets.models.energy.rbm import LearningConfig, RBMConfig
from advnets.networks.encoder import EncoderConfig
from advnets.runs import registry
from advnets.sampling.chains import ChainConfig
from advnets.sampling.samplers import TrainingSet
from conftest import SMALL, small_config

EVENT = (2, 3)
CHAIN = ChainConfig(chains=3, burn_in=2, thin=2)
FROM_DATA = ChainConfig(chains=4, burn_in=1, thin=1, init="data", shown="binary")


def two_stage(**settings):
    new = {"below": (4,), "below_units": ("relu", "sigmoid")}
    return advnets.TwoStageConfig(**(SMALL | new | settings))


def coordinated(**settings):
    return CoordinatedConfig(**(SMALL | {"order": "alternating"} | settings))


CASES = {  # every public learner, by the name that TOML calls it
    "game": [
        small_config(order="alternating", k=2),
        small_config(order="simultaneous", objective="minimax"),
    ],
    "two-stage": [
        two_stage(first=2),
        two_stage(first=6, order="alternating", precision="bfloat16"),
    ],
    "conditionals": [
        ConditionalsConfig(**SMALL),
        ConditionalsConfig(
            **(SMALL | {"precision": "bfloat16"}),
            order="alternating",
            k=2,
            pack=2,
            objective="relativistic",
        ),
    ],
    "bigan": [
        BiGANConfig(**SMALL, E=EncoderConfig(hidden=(5,))),
        BiGANConfig(
            **(SMALL | {"precision": "bfloat16"}),
            E=EncoderConfig(hidden=(5,), stochastic=True),
            order="alternating",
            k=2,
            pack=2,
        ),
    ],
    "coordinated": [
        coordinated(advantage_low=0.01, advantage_high=0.2, k=2, learned_prior="mixture"),
        coordinated(latent_step=0.5, instance_noise=0.1, learned_prior="diagonal", unroll=2),
    ],
    "semi-supervised": [
        SemiSupervisedConfig(D_hidden=(5, 4), G_hidden=(4,), classes=3, labels=6, z_dim=2),
        SemiSupervisedConfig(
            D_hidden=(5,), G_hidden=(4,), classes=2, labels=2, z_dim=2, precision="bfloat16"
        ),
    ],
    "rbm": [
        RBMConfig(hidden=5, learning=LearningConfig(particles=7), chain=CHAIN),
        RBMConfig(
            hidden=5,
            visible="gaussian",
            sigma=0.3,
            learning=LearningConfig(negative="cd", k=2),
            chain=FROM_DATA,
        ),
    ],
    "dbn": [
        DBNConfig(hidden=(5, 4), updates=(6,), chain=CHAIN),
        DBNConfig(hidden=(5, 4, 3), updates=(2, 3), down="means", chain=CHAIN),
    ],
    "autoencoder": [
        advnets.AutoencoderConfig(hidden=4),
        advnets.AutoencoderConfig(hidden=3, loss="squared-error", tied=False),
    ],
    "dae": [
        advnets.DAEConfig(hidden=4, chain=CHAIN),
        advnets.DAEConfig(hidden=4, loss="squared-error", corruption="gaussian", chain=CHAIN),
        advnets.DAEConfig(hidden=4, corruption="masking", precision="bfloat16", chain=FROM_DATA),
    ],
    "cae": [
        advnets.CAEConfig(hidden=4, chain=CHAIN),
        advnets.CAEConfig(hidden=3, tied=False, chain=FROM_DATA),
    ],
    "stacked-cae": [
        advnets.StackedCAEConfig(hidden=(4, 3), updates=(3,), chain=CHAIN),
        advnets.StackedCAEConfig(hidden=(4, 3), updates=(6,), chain=FROM_DATA),
    ],
    "gsn": [
        advnets.GSNConfig(hidden=(4, 3), burnt_in=CHAIN),
        advnets.GSNConfig(
            hidden=(4, 3, 2), precision="bfloat16", published=FROM_DATA, burnt_in=CHAIN
        ),
    ],
    "vae": [
        advnets.VAEConfig(z_dim=2, hidden=(4,)),
        advnets.VAEConfig(z_dim=2, hidden=(4, 3), likelihood="gaussian", precision="bfloat16"),
    ],
    "dbm": [
        DBMConfig(
            hidden=(5, 4), updates=(2, 4), particles=7, chain=CHAIN
        ),  # the stage changes at 6
        DBMConfig(hidden=(5, 4), updates=(), particles=7, k=1, chain=FROM_DATA),
    ],
    "energy-net": [
        EnergyNetConfig(hidden=(4,), chain=CHAIN),
        EnergyNetConfig(hidden=(4, 3), criterion="sliced", chain=FROM_DATA),
        EnergyNetConfig(hidden=(4,), criterion="exact", chain=CHAIN),
        EnergyNetConfig(hidden=(4,), criterion="nce", chain=CHAIN),
    ],
    "mp-dbm": [
        MPDBMConfig(hidden=(5, 4), mean_field=3, chain=CHAIN),
        MPDBMConfig(hidden=(5, 4), hide=1.0, chain=FROM_DATA),
    ],
    "sbn": [
        SBNConfig(hidden=(4,)),
        SBNConfig(hidden=(4, 3), k=3, phases="both"),
    ],
}
ALL = [
    pytest.param(c, id=f"{name}-{i}") for name, cases in CASES.items() for i, c in enumerate(cases)
]


def labelled(config):
    """What a model of few labels is told."""
    if config.told is None:
        return None
    y = torch.arange(config.told[0]) % config.classes
    return Batch(torch.rand(len(y), *EVENT, generator=torch.Generator().manual_seed(0)), y)


def build(config, seed=0):
    problem = Problem(
        event_shape=EVENT,
        low=0.0,
        high=1.0,
        mean=torch.full(EVENT, 0.5),
        batches_per_epoch=3,
        steps=20,
        labelled=labelled(config),
    )
    return registry.build(config, problem, seed=seed)


def play(learner, steps, *, rng):
    infos = []
    for _ in range(steps):
        x = [Batch(torch.rand(6, *EVENT, generator=rng)) for _ in range(learner.batches_per_step)]
        infos.append({k: v.item() for k, v in learner.step(tuple(x), rng=rng).items()})
    return infos


def test_no_learner_escapes_this_contract():
    assert set(CASES) == set(registry.KINDS)
    public = [c for c in vars(advnets).values() if inspect.isclass(c) and c is not Learner]
    classes = {type(build(cases[0])) for cases in CASES.values()}
    assert {c for c in public if hasattr(c, "step") and hasattr(c, "batches_per_step")} <= classes
    configs = {
        c for c in vars(advnets).values() if inspect.isclass(c) and issubclass(c, ModelConfig)
    }
    assert configs <= set(registry.LEARNERS)


@pytest.mark.parametrize("config", ALL)
def test_it_is_a_learner(config):
    assert isinstance(build(config), Learner)
    assert dataclasses.is_dataclass(config)


@pytest.mark.parametrize("config", ALL)
def test_a_step_gives_detached_finite_numbers(config, rng):
    learner = build(config)
    x = Batch(torch.rand(6, *EVENT, generator=rng))
    info = learner.step((x,) * learner.batches_per_step, rng=rng)
    assert info
    for name, number in info.items():
        assert number.shape == () and not number.requires_grad and number.isfinite(), name


@pytest.mark.parametrize("config", ALL)
def test_a_step_leaves_its_batches_alone(config, rng):
    learner = build(config)
    x = torch.rand(6, *EVENT, generator=rng)
    before = x.clone()
    learner.step((Batch(x),) * learner.batches_per_step, rng=rng)
    assert torch.equal(x, before)


@pytest.mark.parametrize("config", ALL)
def test_the_seed_decides_the_first_weights(config):
    a, b, c = (build(config, seed=s).state() for s in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


@pytest.mark.parametrize("config", ALL)
def test_a_state_is_all_that_the_next_steps_need(config):
    whole = build(config)
    rng = torch.Generator().manual_seed(5)
    play(whole, 4, rng=rng)
    saved = {name: t.clone() for name, t in whole.state().items()}
    noise = rng.get_state()
    expected = play(whole, 4, rng=rng)

    again = build(config, seed=9)
    again.load_state(saved)
    rng = torch.Generator()
    rng.set_state(noise)
    assert play(again, 4, rng=rng) == expected
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, again.state()[name]), name


@pytest.mark.parametrize("config", ALL)
def test_a_state_is_named_tensors(config, rng):
    learner = build(config)
    play(learner, 1, rng=rng)
    assert all(
        isinstance(n, str) and isinstance(t, torch.Tensor) for n, t in learner.state().items()
    )


@pytest.mark.parametrize("config", ALL)
def test_a_foreign_state_is_refused(config):
    with pytest.raises(ValueError, match="must be"):
        build(config).load_state({"foreign": torch.zeros(1)})


def samplers():
    for name, cases in CASES.items():
        for i in range(len(cases)):
            for weights in build(cases[i]).samplers():
                yield pytest.param(
                    lambda c=cases[i], w=weights: build(c).samplers()[w], id=f"{name}-{i}-{weights}"
                )
    yield pytest.param(lambda: TrainingSet(torch.rand(40, *EVENT)), id="training set")


@pytest.mark.parametrize("make", list(samplers()))
def test_sample_i_depends_on_the_seed_and_i_alone(make):
    sampler = make()
    assert isinstance(sampler, Sampler)
    whole = sampler.sample(23, seed=4)
    assert whole.shape == (23, *EVENT) and sampler.event_shape == EVENT
    for start, n in [(0, 1), (0, 22), (7, 9), (22, 1)]:
        part = sampler.sample(n, seed=4, start=start)
        torch.testing.assert_close(part, whole[start : start + n], atol=1e-5, rtol=0)
        assert not isinstance(sampler, Chain) or torch.equal(part, whole[start : start + n])
        if isinstance(sampler, LatentSampler):
            z = sampler.latents(23, seed=4)[start : start + n]
            assert torch.equal(sampler.latents(n, seed=4, start=start), z)
            torch.testing.assert_close(sampler.decode(z), part, atol=1e-5, rtol=0)
    assert not torch.equal(sampler.sample(23, seed=5), whole)


@pytest.mark.parametrize("make", list(samplers()))
def test_an_unconditional_sampler_takes_no_context(make):
    with pytest.raises(ValueError, match="'context' must be None: this model is not conditional"):
        make().sample(2, seed=0, context=torch.zeros(2))


@pytest.mark.parametrize("make", list(samplers()))
def test_sampling_needs_at_least_one_sample(make):
    with pytest.raises(ValueError, match="'n' must be a number that is at least 1, got 0"):
        make().sample(0, seed=0)

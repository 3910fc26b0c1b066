"""Tiny configurations of all kinds of runs, for `campaign.py`: 16 updates, 8 checkpoints."""

from pathlib import Path
from typing import Any

import advnets
from advnets.data import ArrayConfig, ImagesConfig, RingConfig
from advnets.extensions.conditionals import ConditionalsConfig
from advnets.extensions.coordination.config import CoordinatedConfig
from advnets.extensions.inference.bigan import BiGANConfig
from advnets.extensions.semisupervised.feature_matching import SemiSupervisedConfig
from advnets.game.two_stage import TwoStageConfig
from advnets.models.energy.dbm import DBMConfig
from advnets.models.energy.dbn import DBNConfig
from advnets.models.energy.energy_net import EnergyNetConfig
from advnets.models.energy.mp_dbm import MPDBMConfig
from advnets.models.energy.rbm import RBMConfig
from advnets.models.gsn import GSNConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.networks.encoder import EncoderConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig
from advnets.training.trackers import Name

RULE = OptimizerConfig(lr=0.05)
ADAM = OptimizerConfig(optimizer="adam", lr=0.01, anneal="cosine")
CHAIN = ChainConfig(chains=3, burn_in=2, thin=2)
FROM_DATA = ChainConfig(chains=4, burn_in=1, thin=1, init="data", shown="binary")
STEPS = 16


def nets(**settings: Any) -> dict[str, Any]:
    """Settings of a game on vectors, dropout and all."""
    small: dict[str, Any] = {
        "z_dim": 3,
        "precision": "float32",
        "G": GeneratorConfig(hidden=(7,), output="linear", irange=0.5),
        "D": DiscriminatorConfig(units=(6,), pieces=3, irange=0.5),
        "G_optimizer": RULE,
        "D_optimizer": RULE,
    }
    return small | settings


def on_arrays() -> dict[str, dict[str, Any]]:
    """Models by the kind of run, and by name."""
    ema: dict[str, Any] = {"ema_decay": 0.9}
    games: dict[str, Any] = {
        "simultaneous": advnets.GameConfig(**nets(order="simultaneous")),
        "alternating-k2-adam": advnets.GameConfig(
            **nets(order="alternating", k=2, G_optimizer=ADAM, D_optimizer=ADAM)
        ),
        "conditional": advnets.GameConfig(**nets(context="labels", **ema)),
        "bfloat16-packed-r1": advnets.GameConfig(
            **nets(precision="bfloat16", order="simultaneous", r1=0.5, r1_every=2)
        ),
        "conditionals": ConditionalsConfig(**nets()),
        "bigan": BiGANConfig(**nets(), E=EncoderConfig(hidden=(5,))),
        "coordinated": CoordinatedConfig(
            **nets(order="alternating", k=2, unroll=2, learned_prior="mixture")
        ),
        "semi-supervised": SemiSupervisedConfig(
            D_hidden=(5, 4), G_hidden=(4,), classes=3, labels=6, z_dim=2
        ),
    }
    stages: dict[str, Any] = {
        "two-stage": TwoStageConfig(
            **nets(below=(4,), below_units=("relu", "sigmoid"), first=STEPS // 2)
        ),
        "dbn": DBNConfig(hidden=(5, 4, 3), updates=(8, 8), chain=CHAIN),
        "stacked-cae": advnets.StackedCAEConfig(hidden=(4, 3), updates=(12,), chain=FROM_DATA),
        "dbm": DBMConfig(hidden=(5, 4), updates=(6, 8), particles=7, chain=CHAIN),
    }
    chains: dict[str, Any] = {
        "rbm": RBMConfig(hidden=5, chain=CHAIN),
        "dae": advnets.DAEConfig(hidden=4, corruption="masking", chain=FROM_DATA),
        "gsn": GSNConfig(hidden=(4, 3), burnt_in=CHAIN),
        "energy-net": EnergyNetConfig(hidden=(4,), chain=CHAIN),
        "mp-dbm": MPDBMConfig(hidden=(5, 4), mean_field=3, chain=CHAIN),
    }
    directed: dict[str, Any] = {
        "vae": advnets.VAEConfig(z_dim=2, hidden=(4,)),
        "autoencoder": advnets.AutoencoderConfig(hidden=4),
    }
    return {"game": games, "stages": stages, "chains": chains, "directed": directed}


def trainer(*, track: tuple[Name, ...] = (), steps: int = STEPS) -> advnets.TrainerConfig:
    """A trainer that saves at every second update, and writes every other file of a run too."""
    return advnets.TrainerConfig(
        steps=steps,
        log_every=2,
        score_every=8,
        sample_every=8,
        first_samples=(1,),
        checkpoint_every=2,
        track=track,
    )


def run_config(data: Any, model: Any, **settings: Any) -> advnets.RunConfig:
    """A tiny run."""
    fields: dict[str, Any] = {
        "recipe": "tiny",
        "batch_size": 6,
        "data": data,
        "model": model,
        "trainer": trainer(),
        "evaluation": advnets.EvaluationConfig(samples=24, validation=8),
    }
    return advnets.RunConfig(**(fields | settings))


def configurations(real: Path) -> dict[str, dict[str, advnets.RunConfig]]:
    """Configurations by the kind of run, and by name; `real` holds x.npz and pics."""
    array = ArrayConfig(path=str(real / "x.npz"))
    found = {
        kind: {name: run_config(array, model) for name, model in models.items()}
        for kind, models in on_arrays().items()
    }
    ring = RingConfig(examples=100)
    plain = advnets.GameConfig(**nets())
    found["game"]["ring-tensorboard"] = run_config(
        ring, plain, trainer=trainer(track=("tensorboard",))
    )
    pictures = ImagesConfig(path=str(real / "pics"), size=8, cache="cache")
    found["images"] = {"pictures": run_config(pictures, advnets.GameConfig(**nets()))}
    return found

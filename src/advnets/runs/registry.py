"""The list of all models: the class of a configuration, and how to build what it describes."""

from collections.abc import Callable
from typing import Any

from advnets.base import errors
from advnets.base.config import add_kind, settings
from advnets.base.memory import Budget, refuse_larger
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Learner, ModelConfig, Problem
from advnets.extensions.conditionals import Conditionals, ConditionalsConfig
from advnets.extensions.coordination.config import Coordinated, CoordinatedConfig
from advnets.extensions.inference.bigan import BiGAN, BiGANConfig
from advnets.extensions.semisupervised.feature_matching import (
    SemiSupervised,
    SemiSupervisedConfig,
)
from advnets.game import Game, GameConfig
from advnets.game.two_stage import TwoStage, TwoStageConfig
from advnets.models.autoencoders.autoencoder import Autoencoder, AutoencoderConfig
from advnets.models.autoencoders.cae import CAE, CAEConfig
from advnets.models.autoencoders.dae import DAE, DAEConfig
from advnets.models.autoencoders.stacked_cae import StackedCAE, StackedCAEConfig
from advnets.models.directed.sigmoid_belief_net import SBN, SBNConfig
from advnets.models.directed.vae import VAE, VAEConfig
from advnets.models.energy.dbm import DBM, DBMConfig
from advnets.models.energy.dbn import DBN, DBNConfig
from advnets.models.energy.energy_net import EnergyNet, EnergyNetConfig
from advnets.models.energy.mp_dbm import MPDBM, MPDBMConfig
from advnets.models.energy.rbm import RBM, RBMConfig
from advnets.models.gsn import GSN, GSNConfig

LEARNERS: dict[type[ModelConfig], Callable[..., Learner]] = {
    GameConfig: Game.from_config,
    TwoStageConfig: TwoStage.from_config,
    ConditionalsConfig: Conditionals.from_config,
    BiGANConfig: BiGAN.from_config,
    CoordinatedConfig: Coordinated.from_config,
    SemiSupervisedConfig: SemiSupervised.from_config,
    RBMConfig: RBM.from_config,
    DBNConfig: DBN.from_config,
    AutoencoderConfig: Autoencoder.from_config,
    DAEConfig: DAE.from_config,
    CAEConfig: CAE.from_config,
    StackedCAEConfig: StackedCAE.from_config,
    GSNConfig: GSN.from_config,
    VAEConfig: VAE.from_config,
    DBMConfig: DBM.from_config,
    MPDBMConfig: MPDBM.from_config,
    EnergyNetConfig: EnergyNet.from_config,
    SBNConfig: SBN.from_config,
}
KINDS: dict[str, Any] = {config.kind: config for config in LEARNERS}
SIDE_BY_SIDE = ("chains", "particles", "walkback")
"""Settings that give the number of example-sized tensors in memory at once."""
NUMBERS = ("z_dim", "components")
"""Settings that are at least as many numbers in memory."""


def register(config: type[ModelConfig], build: Callable[..., Learner]) -> None:
    """Add a model of your own: `RunConfig`, TOML files and run folders then know its `kind`.

    Register it in every process that trains, loads or scores such a run.

    Args:
        config: A frozen dataclass below `ModelConfig` with a `kind` of its own.
        build: Called as `build(config, problem, seed=seed)`; usually the class of the learner. It
            creates all parameters at once, by a generator of that seed.

    Raises:
        BadValue: Where the class is no dataclass, has no `kind`, or has that of another one.
    """
    add_kind(LEARNERS, KINDS, config, build)


def build(
    config: ModelConfig, problem: Problem, *, seed: int, room: float | None = None
) -> Learner:
    """The learner of a configuration, with initial weights drawn from the seed.

    Args:
        config: The model.
        problem: What is known of the data and the run.
        seed: Seed of the initial weights.
        room: Bytes that it may take, where that is less than the memory of this machine.

    Raises:
        BadValue: For a model that is not registered, for layers that cannot fit in memory, before
            they are made, and as the model itself.
    """
    need, got = "of a kind that `advnets.register_model` knows", type(config).__name__
    errors.require(type(config) in LEARNERS, "model", need, got)
    sizes = {f"model.{name}": value for name, value in settings(config).items()}
    for name, value in sizes.items():
        if name.rpartition(".")[2] in SIDE_BY_SIDE:
            refuse_larger(name, value, numbers=value * problem.mean.numel(), room=room)
        elif name.rpartition(".")[2] in NUMBERS:
            refuse_larger(name, value, numbers=value, room=room)
    with global_stream_kept(), Budget(sizes, room):
        return LEARNERS[type(config)](config, problem, seed=seed)

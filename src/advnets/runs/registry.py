"""The only list of all models: a configuration's class and how to build what it describes."""

from collections.abc import Callable
from typing import Any

from advnets.base.process import global_stream_kept
from advnets.base.protocols import Learner, ModelConfig, Problem
from advnets.game import Game, GameConfig
from advnets.game.two_stage import TwoStage, TwoStageConfig
from advnets.models.autoencoders.autoencoder import Autoencoder, AutoencoderConfig
from advnets.models.autoencoders.cae import CAE, CAEConfig
from advnets.models.autoencoders.dae import DAE, DAEConfig
from advnets.models.autoencoders.stacked_cae import StackedCAE, StackedCAEConfig
from advnets.models.directed.vae import VAE, VAEConfig
from advnets.models.energy.dbn import DBN, DBNConfig
from advnets.models.energy.rbm import RBM, RBMConfig
from advnets.models.gsn import GSN, GSNConfig

LEARNERS: dict[type[ModelConfig], Callable[..., Learner]] = {
    GameConfig: Game.from_config,
    TwoStageConfig: TwoStage.from_config,
    RBMConfig: RBM.from_config,
    DBNConfig: DBN.from_config,
    AutoencoderConfig: Autoencoder.from_config,
    DAEConfig: DAE.from_config,
    CAEConfig: CAE.from_config,
    StackedCAEConfig: StackedCAE.from_config,
    GSNConfig: GSN.from_config,
    VAEConfig: VAE.from_config,
}
KINDS: dict[str, Any] = {config.kind: config for config in LEARNERS}


def build(config: ModelConfig, problem: Problem, *, seed: int) -> Learner:
    """The learner that a configuration describes, its first weights drawn from the seed."""
    with global_stream_kept():
        return LEARNERS[type(config)](config, problem, seed=seed)

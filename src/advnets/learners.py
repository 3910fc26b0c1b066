"""The only list of all models: a configuration's class and how to build what it describes."""

from collections.abc import Callable
from typing import Any

from advnets.baselines.autoencoder import Autoencoder, AutoencoderConfig
from advnets.baselines.cae import CAE, CAEConfig
from advnets.baselines.dae import DAE, DAEConfig
from advnets.baselines.dbn import DBN, DBNConfig
from advnets.baselines.gsn import GSN, GSNConfig
from advnets.baselines.rbm import RBM, RBMConfig
from advnets.baselines.stacked_cae import StackedCAE, StackedCAEConfig
from advnets.baselines.vae import VAE, VAEConfig
from advnets.game import Game, GameConfig
from advnets.process import global_stream_kept
from advnets.protocols import Learner, ModelConfig, Problem
from advnets.two_stage import TwoStage, TwoStageConfig

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

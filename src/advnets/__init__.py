"""Generative Adversarial Nets (Goodfellow et al., 2014): train, sample and score a generator.

A name is imported from its module when it is first asked for.
"""

import importlib
import importlib.machinery
from typing import TYPE_CHECKING, Any

from advnets.base import renamed as _renamed

if TYPE_CHECKING:
    from advnets import data as data
    from advnets import theory as theory
    from advnets.base import errors as errors
    from advnets.base.conditioning import Context as Context
    from advnets.base.protocols import Batch as Batch
    from advnets.data import Batches as Batches
    from advnets.data import register as register_data
    from advnets.evaluation.kmeans import KMeans as KMeans
    from advnets.evaluation.of_arrays import Metrics as Metrics
    from advnets.evaluation.of_arrays import metrics as metrics
    from advnets.evaluation.of_arrays import score as score
    from advnets.evaluation.parzen import LogLikelihood as LogLikelihood
    from advnets.evaluation.protocol import EvaluationConfig as EvaluationConfig
    from advnets.evaluation.protocol import evaluate as evaluate
    from advnets.extensions.coordination.config import CoordinatedConfig as CoordinatedConfig
    from advnets.extensions.semisupervised.classifier import Classifier as Classifier
    from advnets.extensions.semisupervised.feature_matching import (
        SemiSupervisedConfig as SemiSupervisedConfig,
    )
    from advnets.game import Game as Game
    from advnets.game import GameConfig as GameConfig
    from advnets.game.two_stage import TwoStage as TwoStage
    from advnets.game.two_stage import TwoStageConfig as TwoStageConfig
    from advnets.game.value import minimax as minimax
    from advnets.game.value import non_saturating as non_saturating
    from advnets.game.value import value as value
    from advnets.models.autoencoders.autoencoder import Autoencoder as Autoencoder
    from advnets.models.autoencoders.autoencoder import AutoencoderConfig as AutoencoderConfig
    from advnets.models.autoencoders.cae import CAE as CAE
    from advnets.models.autoencoders.cae import CAEConfig as CAEConfig
    from advnets.models.autoencoders.dae import DAE as DAE
    from advnets.models.autoencoders.dae import DAEConfig as DAEConfig
    from advnets.models.autoencoders.stacked_cae import StackedCAE as StackedCAE
    from advnets.models.autoencoders.stacked_cae import StackedCAEConfig as StackedCAEConfig
    from advnets.models.directed.sigmoid_belief_net import SBN as SBN
    from advnets.models.directed.sigmoid_belief_net import SBNConfig as SBNConfig
    from advnets.models.directed.vae import VAE as VAE
    from advnets.models.directed.vae import VAEConfig as VAEConfig
    from advnets.models.energy.dbm import DBM as DBM
    from advnets.models.energy.dbm import DBMConfig as DBMConfig
    from advnets.models.energy.dbn import DBN as DBN
    from advnets.models.energy.dbn import DBNConfig as DBNConfig
    from advnets.models.energy.mp_dbm import MPDBM as MPDBM
    from advnets.models.energy.mp_dbm import MPDBMConfig as MPDBMConfig
    from advnets.models.energy.rbm import RBM as RBM
    from advnets.models.energy.rbm import RBMConfig as RBMConfig
    from advnets.models.gsn import GSN as GSN
    from advnets.models.gsn import GSNConfig as GSNConfig
    from advnets.networks import ConvolutionalDConfig as ConvolutionalDConfig
    from advnets.networks import ConvolutionalGConfig as ConvolutionalGConfig
    from advnets.networks import Discriminator as Discriminator
    from advnets.networks import DiscriminatorConfig as DiscriminatorConfig
    from advnets.networks import Generator as Generator
    from advnets.networks import GeneratorConfig as GeneratorConfig
    from advnets.networks import SpectralDConfig as SpectralDConfig
    from advnets.networks import SpectralGConfig as SpectralGConfig
    from advnets.optim.momentum import Momentum as Momentum
    from advnets.optim.schedules import OptimizerConfig as OptimizerConfig
    from advnets.runs.loaded import load as load
    from advnets.runs.registry import register as register_model
    from advnets.runs.run import Run as Run
    from advnets.runs.run_config import RunConfig as RunConfig
    from advnets.runs.run_config import read_config as read_config
    from advnets.runs.train import resume as resume
    from advnets.runs.train import train as train
    from advnets.sampling.chains import ChainConfig as ChainConfig
    from advnets.sampling.chains import MarkovChain as MarkovChain
    from advnets.sampling.priors import Gaussian as Gaussian
    from advnets.sampling.priors import Spherical as Spherical
    from advnets.sampling.priors import Uniform as Uniform
    from advnets.theory.distributions import Density as Density
    from advnets.training.callbacks import Moment as Moment
    from advnets.training.config import TrainerConfig as TrainerConfig
    from advnets.training.fitting import fit as fit
    from advnets.training.history import History as History

__all__ = [
    "CAE",
    "DAE",
    "DBM",
    "DBN",
    "GSN",
    "MPDBM",
    "RBM",
    "SBN",
    "VAE",
    "Autoencoder",
    "AutoencoderConfig",
    "Batch",
    "Batches",
    "CAEConfig",
    "ChainConfig",
    "Classifier",
    "Context",
    "ConvolutionalDConfig",
    "ConvolutionalGConfig",
    "CoordinatedConfig",
    "DAEConfig",
    "DBMConfig",
    "DBNConfig",
    "Density",
    "Discriminator",
    "DiscriminatorConfig",
    "EvaluationConfig",
    "GSNConfig",
    "Game",
    "GameConfig",
    "Gaussian",
    "Generator",
    "GeneratorConfig",
    "History",
    "KMeans",
    "LogLikelihood",
    "MPDBMConfig",
    "MarkovChain",
    "Metrics",
    "Moment",
    "Momentum",
    "OptimizerConfig",
    "RBMConfig",
    "Run",
    "RunConfig",
    "SBNConfig",
    "SemiSupervisedConfig",
    "SpectralDConfig",
    "SpectralGConfig",
    "Spherical",
    "StackedCAE",
    "StackedCAEConfig",
    "TrainerConfig",
    "TwoStage",
    "TwoStageConfig",
    "Uniform",
    "VAEConfig",
    "data",
    "errors",
    "evaluate",
    "fit",
    "load",
    "metrics",
    "minimax",
    "non_saturating",
    "read_config",
    "register_data",
    "register_model",
    "resume",
    "score",
    "theory",
    "train",
    "value",
]

_NAMES = {
    "base.conditioning": "Context",
    "base.protocols": "Batch",
    "data": "Batches register:register_data",
    "evaluation.kmeans": "KMeans",
    "evaluation.of_arrays": "Metrics metrics score",
    "evaluation.parzen": "LogLikelihood",
    "evaluation.protocol": "EvaluationConfig evaluate",
    "extensions.coordination.config": "CoordinatedConfig",
    "extensions.semisupervised.classifier": "Classifier",
    "extensions.semisupervised.feature_matching": "SemiSupervisedConfig",
    "game": "Game GameConfig",
    "game.two_stage": "TwoStage TwoStageConfig",
    "game.value": "minimax non_saturating value",
    "models.autoencoders.autoencoder": "Autoencoder AutoencoderConfig",
    "models.autoencoders.cae": "CAE CAEConfig",
    "models.autoencoders.dae": "DAE DAEConfig",
    "models.autoencoders.stacked_cae": "StackedCAE StackedCAEConfig",
    "models.directed.sigmoid_belief_net": "SBN SBNConfig",
    "models.energy.dbm": "DBM DBMConfig",
    "models.energy.mp_dbm": "MPDBM MPDBMConfig",
    "models.directed.vae": "VAE VAEConfig",
    "models.energy.dbn": "DBN DBNConfig",
    "models.energy.rbm": "RBM RBMConfig",
    "models.gsn": "GSN GSNConfig",
    "networks": (
        "ConvolutionalDConfig ConvolutionalGConfig Discriminator "
        "DiscriminatorConfig Generator GeneratorConfig SpectralDConfig SpectralGConfig"
    ),
    "optim.momentum": "Momentum",
    "optim.schedules": "OptimizerConfig",
    "runs.loaded": "load",
    "runs.registry": "register:register_model",
    "runs.run": "Run",
    "runs.run_config": "RunConfig read_config",
    "runs.train": "resume train",
    "sampling.chains": "ChainConfig MarkovChain",
    "sampling.priors": "Gaussian Spherical Uniform",
    "theory.distributions": "Density",
    "training.callbacks": "Moment",
    "training.fitting": "fit",
    "training.history": "History",
    "training.config": "TrainerConfig",
}
"""The public names by the module that has them; `a:b` is its `a`, here called `b`."""
_WHERE = {
    there.rpartition(":")[2]: (f"advnets.{module}", there.partition(":")[0])
    for module, names in _NAMES.items()
    for there in names.split()
}
_SUBMODULES = {"data": "advnets.data", "errors": "advnets.base.errors", "theory": "advnets.theory"}


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__doc__", "__name__"]


def _found(name: str) -> Any:
    """What a name stands for. Raises `AttributeError` for no name of this package."""
    if name in _SUBMODULES:
        return importlib.import_module(_SUBMODULES[name])
    if name in _WHERE:
        module, there = _WHERE[name]
        return getattr(importlib.import_module(module), there)
    if name.startswith("_") or not importlib.machinery.PathFinder.find_spec(
        f"advnets.{name}", __path__
    ):
        raise AttributeError(f"module 'advnets' has no attribute {name!r}")
    return importlib.import_module(f"advnets.{name}")


if not TYPE_CHECKING:  # for a type checker every name would be one

    def __getattr__(name: str) -> Any:
        """A public name or a package of this one."""
        globals()[name] = found = _found(name)
        return found


_renamed.install()

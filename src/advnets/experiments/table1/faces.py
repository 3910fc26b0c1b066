"""The recipes for faces of 48 x 48: those for digits, adapted to grey pixels.

The paper's runs on TFD are known only for the adversarial nets (two stages of training, a G of five
layers), and the database is not public, so these are untuned: MNIST's recipes with another shape.

- DBN and RBM have Gaussian visible units in place of binary ones, of the deviation `SIGMA`, and a
  hundredth of the learning rate where those are learnt: gradients grow with 1 / sigma.
- The VAE's decoder is Gaussian, mean and variance.
- The GSN has three layers of 1,500, as its authors' folder for TFD is named; its pixels stay
  Bernoulli, as the autoencoders' do, which takes values in [0, 1] as they are.
- The DBM and the belief net have no visible units but binary ones, and are left out.
- The adversarial nets take Gaussian z and column norms of at most 1.9365, as the authors' did.
"""

from dataclasses import replace

from advnets.base.protocols import ModelConfig
from advnets.data import TfdConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.models.directed.sigmoid_belief_net import SBNConfig
from advnets.models.directed.vae import VAEConfig
from advnets.models.energy.dbm import DBMConfig
from advnets.models.energy.dbn import DBNConfig
from advnets.models.energy.rbm import LearningConfig, RBMConfig
from advnets.models.gsn import GSNConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.runs.run_config import RunConfig

SIGMA = 0.2
"""Standard deviation of a pixel given the hidden units."""
COL_NORM = 1.9365


def for_faces(config: RunConfig, path: str) -> RunConfig:
    """A recipe for digits, converted to the unlabelled faces in this file."""
    return replace(
        config,
        recipe=f"{config.recipe}-tfd",
        data=TfdConfig(path=path),
        model=of_faces(config.model),
        evaluation=EvaluationConfig(),
    )


def of_faces(model: ModelConfig) -> ModelConfig:
    """The same model for real-valued pixels."""
    if isinstance(model, RBMConfig):
        return replace(model, visible="gaussian", sigma=SIGMA, learning=slower(model.learning))
    if isinstance(model, DBNConfig):
        return replace(model, visible="gaussian", sigma=SIGMA, lower=slower(model.lower))
    if isinstance(model, VAEConfig):
        return replace(model, likelihood="gaussian")
    if isinstance(model, GSNConfig):
        return replace(model, hidden=(1500, 1500, 1500))
    if isinstance(model, GameConfig):
        G, D = model.G, model.D
        assert isinstance(G, GeneratorConfig)
        assert isinstance(D, DiscriminatorConfig)
        return replace(
            model,
            prior="gaussian",
            G=replace(G, max_col_norm=COL_NORM),
            D=replace(D, max_col_norm=COL_NORM),
        )
    return model


def binary(model: ModelConfig) -> str:
    """The reason why a model cannot have grey pixels; empty where it can."""
    alone = isinstance(model, DBMConfig | SBNConfig)
    return "its visible units are binary, and pixels of faces are grey." if alone else ""


def slower(learning: LearningConfig) -> LearningConfig:
    """A hundredth of the learning rate."""
    rule = learning.optimizer
    return replace(learning, optimizer=replace(rule, lr=rule.lr / 100))

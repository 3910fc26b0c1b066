"""Tiny versions of all recipes for `--quick`, which tests the whole table in a minute.

Their scores are meaningless.
"""

from dataclasses import replace
from typing import Any

from advnets.base.protocols import ModelConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.models.autoencoders.stacked_cae import StackedCAEConfig
from advnets.models.directed.sigmoid_belief_net import SBNConfig
from advnets.models.directed.vae import VAEConfig
from advnets.models.energy.dbm import DBMConfig
from advnets.models.energy.dbn import DBNConfig
from advnets.models.gsn import GSNConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.runs.run_config import RunConfig
from advnets.sampling.chains import ChainConfig
from advnets.training.config import TrainerConfig

PROTOCOL = EvaluationConfig(samples=100, validation=100)
STEPS, FIRST_STAGE = 40, 20
_CHAIN = ChainConfig(chains=10, burn_in=5, thin=2)
_UNITS = 32


def in_tiny(config: RunConfig) -> RunConfig:
    """A recipe with few units, forty updates and short chains."""
    return replace(
        config,
        recipe=f"quick-{config.recipe}",
        batch_size=20,
        model=small(config.model),
        trainer=TrainerConfig(
            steps=STEPS, log_every=10, score_every=0, sample_every=0, checkpoint_every=10
        ),
        evaluation=PROTOCOL,
    )


def small(model: ModelConfig) -> ModelConfig:
    """The same model with few units; chains are short."""
    sizes: dict[str, Any] = {}
    if isinstance(model, GameConfig):
        assert isinstance(model.G, GeneratorConfig)
        assert isinstance(model.D, DiscriminatorConfig)
        sizes["G"] = replace(model.G, hidden=(_UNITS,))
        sizes["D"] = replace(model.D, units=(_UNITS // 2,), pieces=2)
    elif isinstance(model, DBNConfig | StackedCAEConfig):
        sizes = {"hidden": (_UNITS, _UNITS), "updates": (FIRST_STAGE,), "chain": _CHAIN}
    elif isinstance(model, DBMConfig):
        sizes = {"hidden": (_UNITS, _UNITS), "updates": (FIRST_STAGE // 2,) * 2, "chain": _CHAIN}
    elif isinstance(model, SBNConfig):
        sizes = {"hidden": (_UNITS,)}
    elif isinstance(model, GSNConfig):
        sizes = {"hidden": tuple(_UNITS for _ in model.hidden), "burnt_in": _CHAIN}
    elif isinstance(model, VAEConfig):
        sizes = {"hidden": (_UNITS,), "z_dim": 4}
    else:  # one layer and a chain
        sizes = {"hidden": _UNITS, "chain": _CHAIN}
    return replace(model, **sizes)

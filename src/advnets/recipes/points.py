"""Models of points of known distributions."""

from dataclasses import replace

from advnets.data import MixtureConfig, RingConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.models.energy.energy_net import EnergyNetConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs.run_config import RunConfig
from advnets.training.config import TrainerConfig


def ring() -> RunConfig:
    """Eight Gaussians on a circle, the usual test of mode collapse.

    Command: advnets train ring
    Time: 6,000 updates in 31 seconds on one core.
    Score: 0.96 +- 0.03 nats raw, 1.01 +- 0.03 averaged (2,000 samples, sigma 0.0464, 1,000 tests);
    2,000 real training examples: 1.08 +- 0.03 (sigma 0.0215).
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, anneal="cosine")
    return RunConfig(
        recipe="ring",
        data=RingConfig(),
        model=GameConfig(
            order="alternating",
            D_loss_weight=1.0,
            prior="gaussian",
            z_dim=8,
            G=GeneratorConfig(hidden=(128, 128), output="linear", irange=0.1),
            D=DiscriminatorConfig(
                units=(64, 64), irange=0.1, dropout_input=0.0, dropout_hidden=0.0
            ),
            G_optimizer=rule,
            D_optimizer=rule,
        ),
        trainer=TrainerConfig(steps=6_000, score_every=1_000),
        evaluation=EvaluationConfig(samples=2_000, sigma_low=0.01, sigma_count=13),
    )


def mixture() -> RunConfig:
    """Two Gaussians in one dimension and one z, for Figure 1 (`advnets figure 1 RUN`).

    D's learning rate is eight times G's, so that D stays near its optimum. z is Gaussian: from
    uniform z, a G of rectifiers gives sharp edges where p_data has tails.

    Command: advnets train mixture
    Time: 3,000 updates in 13 to 19 CPU seconds of one core of a busy machine (14 to 67 by the
    clock).
    Score: JSD of histograms (200 bins, 1,000,000 samples each) 0.0055 to 0.0061 nats over seeds 0
    to 4, raw weights; of two draws of p_data 0.00005 (benchmarks/mixture.py). A seed can lose one
    of the two Gaussians: 2 of 27 did (docs/results/figure1.md).
    """
    rule = OptimizerConfig(optimizer="adam", lr=4e-3, anneal="cosine")
    return RunConfig(
        recipe="mixture",
        batch_size=256,
        data=MixtureConfig(centres=(-2.0, 2.0), std=0.5, examples=100_000),
        model=GameConfig(
            order="alternating",
            D_loss_weight=1.0,
            prior="gaussian",
            z_dim=1,
            G=GeneratorConfig(hidden=(64, 64), output="linear", irange=0.2),
            D=DiscriminatorConfig(
                units=(32, 32, 32), pieces=2, irange=0.2, dropout_input=0.0, dropout_hidden=0.0
            ),
            G_optimizer=replace(rule, lr=5e-4),
            D_optimizer=rule,
        ),
        trainer=TrainerConfig(steps=3_000, score_every=3_000),
        evaluation=EvaluationConfig(samples=2_000, sigma_low=0.01, sigma_count=13),
    )


def energy_net() -> RunConfig:
    """An energy that is a network on the ring, by denoising score matching and Langevin moves.

    Command: advnets train energy-net
    Time: 2,188 updates in 19 CPU seconds of a crowded core, start and all; the recipe has 6,000.
    Score: none yet: the one run was stopped after those 2,188 updates.
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, beta1=0.9, anneal="cosine")
    return RunConfig(
        recipe="energy-net",
        data=RingConfig(),
        model=EnergyNetConfig(optimizer=rule),
        trainer=TrainerConfig(steps=6_000, score_every=6_000),
        evaluation=EvaluationConfig(samples=2_000, sigma_low=0.01, sigma_count=13),
    )

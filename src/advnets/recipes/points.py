"""Games on points, of which everything is known."""

from dataclasses import replace

from advnets.data import MixtureConfig, RingConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim.momentum import OptimizerConfig
from advnets.runs.train import RunConfig
from advnets.training.trainer import TrainerConfig


def ring() -> RunConfig:
    """Eight Gaussians on a circle: a game whose modes can be counted by eye.

    Command: advnets train ring
    Time: 6,000 updates in 31 seconds on one core.
    Score: 1.01 +- 0.03 nats raw, 1.04 +- 0.03 averaged (2,000 samples, sigma 0.0464, 1,000 tests);
    2,000 real training examples: 1.06 +- 0.03 (sigma 0.0215).
    """
    rule = OptimizerConfig(rule="adam", lr=1e-3, anneal="cosine")
    return RunConfig(
        recipe="ring",
        data=RingConfig(),
        model=GameConfig(
            order="alternating",
            D_scale=1.0,
            prior="gaussian",
            z_dim=8,
            G=GeneratorConfig(hidden=(128, 128), output="linear", irange=0.1),
            D=DiscriminatorConfig(
                units=(64, 64), irange=0.1, include_input=1.0, include_hidden=1.0
            ),
            G_optimizer=rule,
            D_optimizer=rule,
        ),
        trainer=TrainerConfig(steps=6_000, score_every=1_000),
        evaluation=EvaluationConfig(samples=2_000, sigma_low=0.01, sigma_count=13),
    )


def mixture() -> RunConfig:
    """Two Gaussians on the line and one z: the pair of Figure 1 (`advnets figure 1 RUN`).

    D moves eight times as fast as G, so that it is near the best one for the G that it meets. z is
    Gaussian: of uniform z a G of rectifiers makes walls where p_data has tails.

    Command: advnets train mixture
    Time: 3,000 updates in 13 to 19 CPU seconds of one core of a busy machine (14 to 67 by the
    clock).
    Score: JSD of histograms (200 bins, 1,000,000 samples each) 0.0053 to 0.0063 nats over seeds 0
    to 4, raw weights; of two draws of p_data 0.00005 (benchmarks/mixture.py). A seed can lose one
    of the two Gaussians: 2 of 27 did (docs/figure1.md).
    """
    rule = OptimizerConfig(rule="adam", lr=4e-3, anneal="cosine")
    return RunConfig(
        recipe="mixture",
        batch_size=256,
        data=MixtureConfig(centres=(-2.0, 2.0), std=0.5, examples=100_000),
        model=GameConfig(
            order="alternating",
            D_scale=1.0,
            prior="gaussian",
            z_dim=1,
            G=GeneratorConfig(hidden=(64, 64), output="linear", irange=0.2),
            D=DiscriminatorConfig(
                units=(32, 32, 32), pieces=2, irange=0.2, include_input=1.0, include_hidden=1.0
            ),
            G_optimizer=replace(rule, lr=5e-4),
            D_optimizer=rule,
        ),
        trainer=TrainerConfig(steps=3_000, score_every=3_000),
        evaluation=EvaluationConfig(samples=2_000, sigma_low=0.01, sigma_count=13),
    )

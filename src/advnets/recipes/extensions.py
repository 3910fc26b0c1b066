"""Games of the paper's Section 7: all conditionals, and inference as a part of the game."""

from dataclasses import replace

from advnets.data import ArrayConfig, MnistConfig, RingConfig
from advnets.data.masks import MaskLaw
from advnets.evaluation.protocol import EvaluationConfig
from advnets.extensions.conditionals import ConditionalsConfig
from advnets.extensions.inference.bigan import BiGANConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig, SpectralDConfig, UNetConfig
from advnets.networks.encoder import EncoderConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.recipes.pictures import images
from advnets.runs.run_config import RunConfig
from advnets.training.config import TrainerConfig

_ALL: tuple[MaskLaw, ...] = ("pixels", "rectangle", "halves", "quadrants", "strokes", "nothing")
_ADAM = OptimizerConfig(optimizer="adam", lr=4e-4, lr_decay=1.0, beta1=0.0)

_TABLE = OptimizerConfig(optimizer="adam", lr=1e-3, anneal="cosine")


def mnist_inpainting() -> RunConfig:
    """The paper's extension 3 on its pair: G fills in what a mask hides, D is told the mask.

    `advnets complete RUN --images FOLDER --erase x,y,w,h` fills in pictures of one's own, and
    `benchmarks/inpainting.py RUN` measures it.

    Command: advnets train mnist-inpainting --data.root FOLDER
    Time: 20,000 updates in 21 minutes of one thread beside other work; the recipe has 40,000.
    Score: with `--trainer.steps 20000`, 150.1 +- 1.5 nats raw where all pixels are hidden (10,000
    samples, sigma 0.2154). All 40,000 updates have not been run yet.
    """
    return RunConfig(
        recipe="mnist-inpainting",
        data=MnistConfig(),
        model=ConditionalsConfig(
            masks=_ALL,
            G_optimizer=OptimizerConfig(lr=0.3, anneal="cosine"),
        ),
        trainer=TrainerConfig(steps=40_000, score_every=20_000, sample_every=5_000),
    )


def images_inpainting() -> RunConfig:
    """The same on your own pictures, with the small convolutional D and a G that sees what is left.

    Command: advnets train images-inpainting --data.path FOLDER
    Time: 100 updates of 64 in about 50 CPU seconds (bfloat16); the recipe has 10,000.
    Score: not measured (docs/results/inpainting.md).
    """
    return replace(
        images(),
        recipe="images-inpainting",
        model=ConditionalsConfig(
            masks=_ALL,
            prior="gaussian",
            z_dim=64,
            D_loss_weight=1.0,
            G=UNetConfig(),
            D=SpectralDConfig(),
            G_optimizer=_ADAM,
            D_optimizer=_ADAM,
        ),
    )


def table_imputation() -> RunConfig:
    """An array of numbers, any of which may be missing later: multiple imputation.

    Rows with NaN are left out of training; `advnets complete RUN --images FILE.npy` then fills them
    in. Scale the columns to mean 0 and variance 1 before.

    Command: advnets train table-imputation --data.path FILE.npy
    Time: 3,000 updates on 5,000 rows of 4 numbers in 29 CPU seconds; the recipe has 6,000.
    Score: after those, on correlated Gaussians with 40% missing, the mean square error of one
    completion is 1.18 +- 0.02 and that of the mean of 8 is 0.70, where V (1 + 1/K) is 1.24 and 0.70
    (docs/results/inpainting.md).
    """
    return RunConfig(
        recipe="table-imputation",
        data=ArrayConfig(missing="leave-out"),
        model=ConditionalsConfig(
            masks=("pixels",),
            order="alternating",
            D_loss_weight=1.0,
            prior="gaussian",
            z_dim=16,
            G=GeneratorConfig(hidden=(128, 128), output="linear", irange=0.1),
            D=DiscriminatorConfig(
                units=(64, 64), irange=0.1, dropout_input=0.0, dropout_hidden=0.0
            ),
            G_optimizer=_TABLE,
            D_optimizer=_TABLE,
        ),
        trainer=TrainerConfig(steps=6_000, score_every=2_000),
        evaluation=EvaluationConfig(samples=2_000),
    )


def mnist_bigan() -> RunConfig:
    """Inference as a part of the game (BiGAN): D sees pairs (x, E(x)) and (G(z), z).

    Sizes are those of the published MNIST run, except for D, which is the paper's. R1 regularises
    D: without it D tells all pairs apart within 1,000 updates. With `--model.E.stochastic True` it
    is ALI. `benchmarks/inference.py RUN` measures it.

    Command: advnets train mnist-bigan --data.root FOLDER
    Time: 15,000 updates of 128 in 35 minutes of a crowded core (bfloat16); the recipe has 20,000.
    Score: after `--trainer.steps 15000`, ||x - G(E(x))|| is 0.758 +- 0.004 of a random pair's on
    2,000 test digits, and the reconstruction of 50.2% keeps its class.
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.5, anneal="cosine")
    return RunConfig(
        recipe="mnist-bigan",
        batch_size=128,
        data=MnistConfig(),
        model=BiGANConfig(
            z_dim=50,
            D_loss_weight=1.0,
            G=GeneratorConfig(hidden=(1024, 1024)),
            D=DiscriminatorConfig(irange=0.02, dropout_input=0.0, dropout_hidden=0.0),
            E=EncoderConfig(hidden=(1024, 1024)),
            G_optimizer=rule,
            D_optimizer=replace(rule, lr=2e-4),
            E_optimizer=rule,
            r1=10.0,
        ),
        trainer=TrainerConfig(steps=20_000, score_every=20_000, sample_every=5_000),
    )


def ring_bigan() -> RunConfig:
    """BiGAN on eight wide Gaussians on a circle, with a z of two dimensions, so that E is visible.

    Command: advnets train ring-bigan
    Time: 4,000 updates in 32 CPU seconds of a core that others used too.
    Score: boosted trees tell E(x) from z with an AUC of 0.66, and samples from data with 0.61
    (2,000 each; 0.5 is chance); ||x - G(E(x))|| is 0.29 root mean square, of a random pair 1.54.
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.5, anneal="cosine")
    return RunConfig(
        recipe="ring-bigan",
        batch_size=200,
        data=RingConfig(std=0.3),
        model=BiGANConfig(
            D_loss_weight=1.0,
            prior="gaussian",
            z_dim=2,
            G=GeneratorConfig(hidden=(64, 64), output="linear", irange=0.2),
            D=DiscriminatorConfig(
                units=(64, 64), pieces=2, irange=0.2, dropout_input=0.0, dropout_hidden=0.0
            ),
            E=EncoderConfig(hidden=(64, 64)),
            G_optimizer=rule,
            D_optimizer=replace(rule, lr=2e-3),
            E_optimizer=rule,
        ),
        trainer=TrainerConfig(steps=4_000, score_every=4_000),
        evaluation=EvaluationConfig(samples=2_000, sigma_low=0.01, sigma_count=13),
    )

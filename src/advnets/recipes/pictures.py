"""GANs on pictures: the paper's faces and CIFAR-10, your own pictures, and arrays."""

from dataclasses import replace

from advnets.data import ArrayConfig, Cifar10Config, ImagesConfig, TfdConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.game.two_stage import TwoStageConfig
from advnets.networks import (
    ConvolutionalDConfig,
    ConvolutionalGConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    SpectralDConfig,
    SpectralGConfig,
)
from advnets.optim.schedules import OptimizerConfig
from advnets.runs.run_config import RunConfig
from advnets.training.config import TrainerConfig

_WIDE = GeneratorConfig(hidden=(8000, 8000), units=("relu", "sigmoid"))
_LONG = TrainerConfig(steps=20_000, score_every=0, sample_every=500, checkpoint_every=1_000)
"""A Parzen score of 10,000 such images is slow and says little, so it is computed at the end."""
_SMALL_CONV = GameConfig(
    prior="gaussian",
    z_dim=64,
    D_loss_weight=1.0,
    G=SpectralGConfig(),
    D=SpectralDConfig(),
    G_optimizer=OptimizerConfig(optimizer="adam", lr=4e-4, lr_decay=1.0, beta1=0.0),
    D_optimizer=OptimizerConfig(optimizer="adam", lr=4e-4, lr_decay=1.0, beta1=0.0),
)


def array() -> RunConfig:
    """Your own `.npy` or `.npz`: the paper's networks, sized to the data, for values in [0, 1].

    For other values add `--model.G.output linear`; for few examples choose `--batch-size` and
    `--evaluation.samples`. Ten per cent of the examples are for validation and ten per cent for the
    test.

    Command: advnets train array --data.path FILE.npy
    Time: 5,000 updates on 1,438 images of 8 x 8 (scikit-learn's digits as uint8 in `x`, classes in
    `y`) in 130 CPU seconds of one core.
    Score: there, --trainer.steps 5000 --trainer.score-every 1000 --evaluation.samples 1000
    --evaluation.validation 179, 7.0 +- 0.7 nats raw (sigma 0.215), 14.1 +- 1.2 averaged (0.167);
    1,000 real training examples: 27.0 +- 1.5.
    """
    return RunConfig(recipe="array", data=ArrayConfig(), model=GameConfig())


def tfd() -> RunConfig:
    """The authors' two stages on faces: G of three layers, then two more below it and a new D.

    Stage 1 is as long as the authors' 50 epochs of 98,000 images, stage 2 as their 22; for another
    file give `--model.first` and `--trainer.steps`.

    Command: advnets train tfd --data.path TFD_48x48.mat
    Time: 400 updates (250 of stage 1) in 4.9 minutes of a core, --model.precision bfloat16.
    Score: after those, on 200 other faces, 934.2 +- 43.7 nats raw; the mean face has 1009.0 +- 37.7
    (10,000 samples, sigma 0.1668, 40 tests; docs/results/images.md). The database is not public.
    """
    rule = OptimizerConfig(lr=0.05)
    return RunConfig(
        recipe="tfd",
        data=TfdConfig(),
        model=TwoStageConfig(
            first=49_000,
            prior="gaussian",
            G=replace(_WIDE, sigmoid_bias=-2.0, output_inputs=100, max_col_norm=1.9365),
            D=DiscriminatorConfig(units=(1200, 1200), max_col_norm=1.9365),
            G_optimizer=rule,
            D_optimizer=rule,
        ),
        trainer=replace(_LONG, steps=70_600),
    )


def cifar10() -> RunConfig:
    """The authors' fully connected CIFAR-10 run, on images of norm 55 and mean 0.

    Command: advnets train cifar10 --data.root FOLDER
    Time: 3,000 updates (7.5 epochs) in 40 minutes of a busy core, --model.precision bfloat16.
    Score: after those, on a JPEG copy, mode collapse to one picture: Frechet distance 99 raw, 117
    averaged, 82 and 60 at update 1,000 (docs/results/images.md). Longer runs were not tried.
    """
    rule = OptimizerConfig(lr=0.025)
    return RunConfig(
        recipe="cifar10",
        data=Cifar10Config(contrast=55.0),
        model=GameConfig(
            prior="gaussian",
            G=replace(_WIDE, output="linear", output_irange=0.5, bias_from_marginals=False),
            D=DiscriminatorConfig(units=(1600, 1600)),
            G_optimizer=rule,
            D_optimizer=rule,
        ),
        trainer=_LONG,
    )


def cifar10_conv() -> RunConfig:
    """The authors' convolutional CIFAR-10 run: G with a transposed convolution, D with maxout ones.

    Command: advnets train cifar10-conv --data.root FOLDER
    Time: 1,560 updates (5 epochs) in 38 minutes of a busy core, --model.precision bfloat16.
    Score: D starts with weights in (-.005, .005) and stays at chance for 1,700 updates. At update
    2,400 the Frechet distance on a JPEG copy is 136 raw, from 145 (docs/results/images.md). Longer
    runs were not tried.
    """
    rule = OptimizerConfig(lr=0.004)
    return RunConfig(
        recipe="cifar10-conv",
        batch_size=128,
        data=Cifar10Config(contrast=55.0),
        model=GameConfig(
            prior="gaussian",
            G=ConvolutionalGConfig(),
            D=ConvolutionalDConfig(),
            G_optimizer=rule,
            D_optimizer=rule,
        ),
        trainer=_LONG,
    )


def images() -> RunConfig:
    """Your own pictures: a small convolutional GAN on a folder or a zip, cropped to 32 x 32.

    Sub-folders are classes, or a labels.csv names them; train/ and test/ at the top are splits.
    `--data.size`, `--data.grey` and `--data.labels none` change the decoded pictures; the networks
    follow the size: 32 is `conv32`, 64 is `conv64`. examples/own_images.py has other networks for
    pictures of 8 x 8.

    Command: advnets train images --data.path FOLDER
    Time: 4,000 updates of 64 pictures of 3 x 32 x 32 in 15 minutes of one core (bfloat16), another
    run on the other; the recipe has 10,000.
    Score: after 4,000 updates on 45,000 such pictures, Frechet distance 3.0, 2.5 and 2.4 (seeds 0
    to 2; 5,000 raw samples, validation pictures, the features of docs/results/images.md), from 82,
    107 and 84 at the start; real training pictures have 0.15.
    """
    return RunConfig(
        recipe="images",
        batch_size=64,
        data=ImagesConfig(),
        model=_SMALL_CONV,
        trainer=replace(_LONG, steps=10_000),
    )


def images_quick() -> RunConfig:
    """`images` with 1,700 updates, for processors without bfloat16: both rates anneal to 0.

    Command: advnets train images-quick --data.path FOLDER
    Time: 1,700 updates of 64 pictures of 3 x 32 x 32 in 14 CPU minutes of one thread (float32).
    Score: after those, on 45,000 such pictures, Frechet distance 7.9 (seed 0; 5,000 raw samples,
    validation pictures), and 0.13 of real training pictures. The samples show skies, ground and
    foliage, and no object (docs/results/images.md).
    """
    rule = replace(_SMALL_CONV.G_optimizer, anneal="cosine")
    model = replace(_SMALL_CONV, G_optimizer=rule, D_optimizer=rule)
    trainer = replace(_LONG, steps=1_700, sample_every=425)
    return replace(images(), recipe="images-quick", model=model, trainer=trainer)


def images_small() -> RunConfig:
    """Your own few hundred pictures: a fully connected pair on 32 x 32, for blurred likenesses.

    For thousands of pictures take `images` or `images-quick`, whose convolutional pair has not been
    measured on so few. Half of the photographs are mirrored each time that D sees them; for text,
    or anything else with a left and a right, add `--model.augment translate`. A tenth is held out
    for validation and a tenth for the test: of 300, 30 each, too few for a Frechet distance. Look
    at RUN/samples.

    Command: advnets train images-small --data.path FOLDER
    Time: 4,000 updates on 240 of 300 photographs (horses of CIFAR-10, enlarged) in 230 CPU seconds
    of one core.
    Score: there 567.0 +- 157.4 nats raw, 557.2 +- 165.5 averaged (1,000 samples, sigma 0.2154, only
    30 tests; blur raises it), 240 real photographs 517.9 +- 102.9; precision 1.00, recall 0.00: the
    samples are typical and less varied than the data (docs/results/first-ten-minutes.md).
    """
    rule = OptimizerConfig(optimizer="adam", lr=2e-4, lr_decay=1.0, beta1=0.5)
    small = GameConfig(
        order="alternating",
        prior="gaussian",
        z_dim=64,
        D_loss_weight=1.0,
        augment=("flip-data",),
        G=GeneratorConfig(hidden=(256, 512), units=("relu", "relu")),
        D=DiscriminatorConfig(units=(160, 160)),
        G_optimizer=replace(rule, anneal="cosine"),
        D_optimizer=rule,
    )
    return RunConfig(
        recipe="images-small",
        batch_size=32,
        data=ImagesConfig(),
        model=small,
        trainer=replace(_LONG, steps=4_000, sample_every=250, checkpoint_every=250),
        evaluation=EvaluationConfig(samples=1_000, validation=100),
    )


def images_conditional() -> RunConfig:
    """The class-conditional `images`: `advnets sample RUN --class NAME` draws one class.

    Command: advnets train images-conditional --data.path FOLDER
    Time: 1,800 updates in 6.6 minutes of one core (bfloat16); the recipe has 10,000.
    Score: after those, on 45,000 such pictures, Frechet distance 3.1 (5,000 raw samples, validation
    pictures, the features of docs/results/images.md), from 95 at the start.
    """
    told = replace(_SMALL_CONV, context="labels")
    return replace(images(), recipe="images-conditional", model=told)

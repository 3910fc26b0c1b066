"""Games on pictures: the paper's faces and CIFAR-10, your own, and arrays."""

from dataclasses import replace

from advnets.data import ArrayConfig, Cifar10Config, ImagesConfig, TfdConfig
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
from advnets.optim.momentum import OptimizerConfig
from advnets.runs.train import RunConfig
from advnets.training.trainer import TrainerConfig

_WIDE = GeneratorConfig(hidden=(8000, 8000), units=("relu", "sigmoid"))
_LONG = TrainerConfig(steps=20_000, score_every=0, picture_every=500, checkpoint_every=1_000)
"""A Parzen score of 10,000 such images says little and takes long: the protocol is for the end."""
_SMALL_CONV = GameConfig(
    prior="gaussian",
    z_dim=64,
    D_scale=1.0,
    G=SpectralGConfig(),
    D=SpectralDConfig(),
    G_optimizer=OptimizerConfig(rule="adam", lr=4e-4, lr_decay=1.0, beta1=0.0),
    D_optimizer=OptimizerConfig(rule="adam", lr=4e-4, lr_decay=1.0, beta1=0.0),
)


def array() -> RunConfig:
    """Your own `.npy` or `.npz`: the paper's pair, sized to the data, for values in [0, 1].

    For other values add `--model.G.output linear`; for few examples choose `--batch_size` and
    `--evaluation.samples`. Ten per cent of the examples validate and ten per cent test.

    Command: advnets train array --data.path FILE.npy
    Time: 5,000 updates on 1,438 images of 8 x 8 in 145 seconds on one core, another run beside it
    (examples/own_images.py of commit 341a533).
    Score: there, 8.7 +- 1.3 nats raw, 13.9 +- 1.3 averaged (1,000 samples, sigma 0.167);
    1,000 real training examples: 27.5 +- 1.4.
    """
    return RunConfig(recipe="array", data=ArrayConfig(), model=GameConfig())


def tfd() -> RunConfig:
    """The authors' two stages on faces: G of three layers, then two more below it and a fresh D.

    Stage 1 is as long as the authors' 50 epochs of 98,000 images, stage 2 as their 22; for another
    file give `--model.first` and `--trainer.steps`.

    Command: advnets train tfd --data.path TFD_48x48.mat
    Time: 400 updates (250 of stage 1) in 4.9 minutes of a core, --model.precision bfloat16.
    Score: of those on 200 other faces (docs/images.md) 934.2 +- 43.7 nats raw, the mean face's
    being 1009.0 +- 37.7 (10,000 samples, sigma 0.1668, 40 tests). The database is not to be had.
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
    Score: after those, on a JPEG copy, all samples are one picture: Frechet distance 99 raw, 117
    averaged, 82 and 60 at update 1,000 (docs/images.md). The whole length was not played.
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
    """The authors' convolutional CIFAR-10 run: a transposed convolution against maxout ones.

    Command: advnets train cifar10-conv --data.root FOLDER
    Time: 1,560 updates (5 epochs) in 38 minutes of a busy core, --model.precision bfloat16.
    Score: D, whose weights start in (-.005, .005), tells nothing for 1,700 updates; at 2,400 the
    Frechet distance on a JPEG copy is 136 raw, from 145 (docs/images.md). The whole was not played.
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
    """Your own pictures: a small convolutional pair on a folder or a zip, cut square, 32 x 32.

    Sub-folders are classes, or a labels.csv names them; train/ and test/ at the top are splits.
    `--data.size`, `--data.grey` and `--data.labels none` change what the pictures become; the
    networks follow the size: 32 is `conv32`, 64 is `conv64`.

    Command: advnets train images --data.path FOLDER
    Time: 4,000 updates of 64 pictures of 3 x 32 x 32 in 15 minutes of one core (bfloat16), another
    run on the other; the recipe has 10,000.
    Score: after 4,000 updates on 45,000 such pictures, Frechet distance 3.0, 2.5 and 2.4 (seeds 0
    to 2; 5,000 raw samples, validation pictures, the features of docs/images.md), from 82, 107 and
    84 at the start; real training pictures 0.15.
    """
    return RunConfig(
        recipe="images",
        batch_size=64,
        data=ImagesConfig(),
        model=_SMALL_CONV,
        trainer=replace(_LONG, steps=10_000),
    )


def images_conditional() -> RunConfig:
    """The same, told the class of each picture: `advnets sample RUN --class NAME` asks for one.

    Command: advnets train images-conditional --data.path FOLDER
    Time: 1,800 updates in 6.6 minutes of one core (bfloat16); the recipe has 10,000.
    Score: after those, on 45,000 such pictures, Frechet distance 3.1 (5,000 raw samples, validation
    pictures, the features of docs/images.md), from 95 at the start.
    """
    told = replace(_SMALL_CONV, context="labels")
    return replace(images(), recipe="images-conditional", model=told)

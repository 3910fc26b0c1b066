r"""The data of Table 2: sixteen binary pixels, whose every probability is known.

The law of the data is the empirical one: each of :math:`2^{16}` pictures has the probability of its
share of the examples.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.protocols import Batch
from advnets.theory import enumeration

SIDE = 4
PIXELS = SIDE**2
INK = 8.0
"""Of 16 grey levels: a pixel of a digit is on where it has at least so much."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Examples, all alike in probability.

    Raises:
        BadValue: For rows that are not 16 pixels of 0 and 1.
    """

    name: str
    """In a few words, as the table prints it."""
    about: str
    """One sentence: what they are and where they are from."""
    examples: Tensor
    """`(n, 16)`."""

    def __post_init__(self) -> None:
        x = self.examples
        shaped = x.ndim == 2 and x.shape[1] == PIXELS and len(x) > 0
        errors.require(shaped, "examples", f"(n, {PIXELS})", tuple(x.shape))
        errors.require(bool(((x == 0) | (x == 1)).all()), "examples", "0 or 1", "other values")

    @cached_property
    def _distinct(self) -> tuple[Tensor, Tensor]:
        pictures, counts = torch.unique(self.examples, dim=0, return_counts=True)
        return pictures, counts.double() / len(self.examples)

    @property
    def pictures(self) -> Tensor:
        """The pictures that have a probability, each once, `(k, 16)`."""
        return self._distinct[0]

    @property
    def p(self) -> Tensor:
        """The probability of each, `(k,)`, float64."""
        return self._distinct[1]

    @property
    def entropy(self) -> float:
        """In nats."""
        return float(torch.special.entr(self.p).sum())

    def expectation(self, values: Tensor) -> float:
        """The mean over the data of one value a picture, `(k,)`."""
        return float(self.p @ values.detach().double())

    def kl(self, log_p: Tensor) -> float:
        """KL(data || model) in nats, by the model's log p(x) of each picture, `(k,)`."""
        return -self.entropy - self.expectation(log_p)

    def batch(self, rng: torch.Generator, m: int = 100) -> Batch:
        """A minibatch, drawn with replacement."""
        return Batch(self.examples[torch.randint(len(self.examples), (m,), generator=rng)])


def bars_and_stripes() -> Data:
    """The 30 pictures in which each row, or each column, is on or off; all alike in probability.

    Reference: MacKay (2003), Information Theory, Inference, and Learning Algorithms.
    """
    lines = torch.cat(list(enumeration.states(SIDE))).float()
    bars = lines[:, :, None].expand(-1, SIDE, SIDE).flatten(1)
    stripes = lines[:, None, :].expand(-1, SIDE, SIDE).flatten(1)
    x = torch.unique(torch.cat((bars, stripes)), dim=0)
    about = f"{len(x)} pictures in which each row, or each column, is on or off; all alike."
    return Data(name="bars and stripes", about=about, examples=x)


def digits() -> Data:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, as 4 x 4 binary ones.

    Of the six columns in the middle, as the outer two are nearly empty, each pixel is the mean of a
    window of 2 x 2, and on where that is at least half of the darkest ink. Windows that share a
    column of the six make four of them.
    """
    from sklearn.datasets import load_digits

    grey = torch.from_numpy(load_digits().images[:, :, 1:7]).float()
    small = nn.functional.adaptive_avg_pool2d(grey[:, None], SIDE)
    x = (small >= INK).float().flatten(1)
    occur = len({tuple(row) for row in x.tolist()})
    about = (
        f"{len(x):,} handwritten digits of scikit-learn; of the six columns in the middle, each "
        f"pixel is the mean of 2 x 2, on at {INK:g} of 16 or more. "
        f"{occur:,} pictures occur, with their own shares."
    )
    return Data(name="digits of 16 pixels", about=about, examples=x)


DATA: dict[str, Callable[[], Data]] = {"bars": bars_and_stripes, "digits": digits}
"""What the table is measured on."""

r"""The data of Table 2: pictures of sixteen binary pixels, whose distribution is known exactly.

p_data is the empirical distribution: the probability of each of the :math:`2^{16}` pictures is its
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
"""A pixel of a digit is on where its grey level, 0 to 16, is at least this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A data set of examples with equal probabilities.

    Raises:
        BadValue: For rows that are not 16 pixels of 0 and 1.
    """

    name: str
    """The name in the table, of a few words."""
    about: str
    """One sentence: what the examples are, and their source."""
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
        """The different pictures among the examples, `(k, 16)`."""
        return self._distinct[0]

    @property
    def p(self) -> Tensor:
        """The probability of each of `pictures`, `(k,)`, float64."""
        return self._distinct[1]

    @property
    def entropy(self) -> float:
        """The entropy of p_data, in nats."""
        return float(torch.special.entr(self.p).sum())

    def expectation(self, values: Tensor) -> float:
        """The expectation under p_data of one value for each of `pictures`, `(k,)`."""
        return float(self.p @ values.detach().double())

    def kl(self, log_p: Tensor) -> float:
        """KL(p_data || model) in nats, from the model's log p(x) of each of `pictures`, `(k,)`."""
        return -self.entropy - self.expectation(log_p)

    def batch(self, rng: torch.Generator, m: int = 100) -> Batch:
        """A minibatch, drawn with replacement."""
        return Batch(self.examples[torch.randint(len(self.examples), (m,), generator=rng)])


def bars_and_stripes() -> Data:
    """The 30 pictures in which each row, or each column, is on or off, with equal probabilities.

    Reference: MacKay (2003), Information Theory, Inference, and Learning Algorithms.
    """
    lines = torch.cat(list(enumeration.states(SIDE))).float()
    bars = lines[:, :, None].expand(-1, SIDE, SIDE).flatten(1)
    stripes = lines[:, None, :].expand(-1, SIDE, SIDE).flatten(1)
    x = torch.unique(torch.cat((bars, stripes)), dim=0)
    about = f"{len(x)} pictures in which each row, or each column, is on or off; all alike."
    return Data(name="bars and stripes", about=about, examples=x)


def digits() -> Data:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, reduced to 4 x 4 binary pixels.

    The first and the last column are nearly empty and are left out. Each new pixel is the mean of a
    window of 2 x 2, and on where that is at least half of the darkest ink. Four windows cover the
    six columns, so that they overlap.
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
"""The data sets of the table."""

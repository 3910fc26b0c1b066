"""The test error of a model that also predicts classes (Section 7, extension 4)."""

import math
from dataclasses import dataclass

from advnets.base.protocols import Classifies
from advnets.data.splits import Split


@dataclass(frozen=True, kw_only=True)
class ClassificationError:
    """The share of test examples that a classifier gets wrong.

    Attributes:
        error: The share.
        standard_error: Over the examples, sqrt(p (1 - p) / n).
        n: How many examples.
    """

    error: float
    standard_error: float
    n: int

    def __str__(self) -> str:
        """One sentence."""
        share = f"{100 * self.error:.2f} +- {100 * self.standard_error:.2f}%"
        return f"The classifier gets {share} of {self.n:,} test examples wrong."


def measure(model: Classifies, test: Split) -> ClassificationError | None:
    """The error on labelled test examples; None where they have no classes."""
    if test.context is None or test.context.ndim != 1 or not len(test.x):
        return None
    n = len(test.x)
    p = model.classifier().error(test.x[:], test.context)
    return ClassificationError(error=p, standard_error=math.sqrt(p * (1 - p) / n), n=n)

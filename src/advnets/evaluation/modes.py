r"""Which modes of a known mixture a set of samples has found.

A sample is near a mode when it lies within three standard deviations of it; a mode is covered when
at least a tenth of its fair share of all samples is near it, as `quality.classes_covered` has it
for classes. The share that is near any mode says how many samples are good ones at all.
"""

import torch
from torch import Tensor

from advnets.evaluation.pairwise import all_apart

NEAR = 3.0
"""Standard deviations within which a sample is near a mode ..."""
ENOUGH = 0.1
"""... and the part of a mode's fair share that covers it."""


def shares(x: Tensor, means: Tensor, *, std: float) -> Tensor:
    """The share of all samples near each mode; a sample near two belongs to the nearest.

    Args:
        x: Samples, of shape `(n, d)`.
        means: The modes, all of one weight, of shape `(modes, d)`.
        std: The standard deviation of each in every direction.

    Returns:
        Of shape `(modes,)`, float64. Its sum is the share that is near any mode.

    Example:
        >>> means = torch.tensor([[-1.0], [1.0]])
        >>> shares(torch.tensor([[-1.0], [-0.8], [0.0], [1.1]]), means, std=0.1)
        tensor([0.5000, 0.2500], dtype=torch.float64)
    """
    distance, mode = all_apart(x, means).min(dim=1)
    counts = torch.bincount(mode[distance <= NEAR * std], minlength=len(means))
    return counts.double() / len(x)


def covered(shares: Tensor) -> int:
    """How many modes have at least a tenth of their fair share of the samples."""
    return int((shares >= ENOUGH / len(shares)).sum())

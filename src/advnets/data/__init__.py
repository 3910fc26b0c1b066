"""Data sets, one file each: a configuration and a function `load(config, seed=) -> Splits`."""

from collections.abc import Callable
from typing import Any

from advnets.base import errors
from advnets.base.config import add_kind
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


def register(config: type[DataConfig], load: Callable[..., Splits]) -> None:
    """Add a data set of your own: `RunConfig`, TOML files and run folders then know its `kind`.

    Register it in every process that trains, loads or scores such a run.

    Args:
        config: A frozen dataclass below `DataConfig` with a `kind` of its own.
        load: Called as `load(config, seed=seed)`; a function of these two alone.

    Raises:
        BadValue: Where the class is no dataclass, has no `kind`, or has that of another one.
    """
    add_kind(READERS, KINDS, config, load)


def load(config: DataConfig, *, seed: int, order: Order = "shuffled") -> Splits:
    """Read the data that a configuration describes.

    Args:
        config: One of `READERS`.
        seed: Seed of toy sets and random splits.
        order: Order of the rows of each split: 'shuffled', or 'file' for runs from before rows were
            shuffled.

    Raises:
        BadFile: When the data cannot be read.
        BadValue: For data that is not registered.
    """
    need, got = "of a kind that `advnets.register_data` knows", type(config).__name__
    errors.require(type(config) in READERS, "data", need, got)
    # Runs whose rows were not shuffled took whole numbers that are stored as floats for vectors.
    more = {"classes": order == "shuffled"} if isinstance(config, ArrayConfig) else {}
    splits = READERS[type(config)](config, seed=seed, **more)
    return splits.shuffled() if order == "shuffled" else splits

"""Minibatches without a state: batch i is a pure function of (seed, i)."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from advnets.base import errors, rng
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Batch
from advnets.data.mapped import Mapped
from advnets.data.splits import Split, refuse_non_finite

Array = np.ndarray[Any, np.dtype[Any]]
SIZE = 100
"""Examples in a minibatch of data that are given to `fit` without one."""


class Batches:
    """All minibatches of a training set, in the order of a run: `batches[i]` for any i.

    An epoch is a fresh permutation, without replacement; its last batch is short where the size
    does not divide the set, and where it would be of one example, of which batch normalisation
    knows no variance, that example joins the batch before. There is nothing to save but i.

    Reference: pylearn2, `shuffled_sequential`.

    Args:
        data: Training examples: a `Split`, or `x` alone as a tensor or numpy array `(n, ...)`, or
            a `TensorDataset` of x, or of x and its context.
        size: Examples in a batch.
        seed: Seed of the permutations.
        ranks: The processes that share out each batch; each holds its own rows.
        device: Where the data is kept and the batches are made. What is in a file still is brought
            there batch by batch.

    Raises:
        BadValue: For data of another kind, or when a batch would be larger than the data, or cannot
            be shared out; for NaN or infinity in the data, with the first row that has it.

    Example:
        >>> batches = Batches(torch.arange(10.0)[:, None], size=4, seed=0)
        >>> [len(batches[i].x) for i in range(4)]
        [4, 4, 2, 4]
    """

    def __init__(
        self,
        data: Split | Tensor | Mapped | Array | TensorDataset,
        *,
        size: int,
        seed: int,
        ranks: Ranks = ALONE,
        device: torch.device | str = "cpu",
    ) -> None:
        data = _split(data)
        if isinstance(data.x, Tensor):  # what is in a file has been looked through
            refuse_non_finite("x", data.x)
        self.data, self.device = data.to(device), device
        errors.at_least(1, batch_size=size)
        if size > len(data):
            raise errors.batch_too_large(size, len(data))
        if size % ranks.world:
            raise errors.uneven_batch(size, ranks.world)
        rest = len(data) % size
        if 1 < rest < ranks.world:
            raise errors.last_batch_too_short(rest, ranks.world)
        self.size, self.seed, self.ranks = size, seed, ranks
        self.per_epoch = len(data) // size + (rest > 1)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def sizes(self) -> set[int]:
        """The sizes that a minibatch may have: `size`, and that of the last one of an epoch."""
        last = len(self.data) - (self.per_epoch - 1) * self.size
        return {last} if self.per_epoch == 1 else {self.size, last}

    def __getitem__(self, i: int) -> Batch:
        errors.at_least(0, batch=i)
        epoch, place = divmod(i, self.per_epoch)
        if epoch != self._epoch:
            draw = rng.generator(self.seed, "epoch", epoch)
            order = torch.randperm(len(self.data), generator=draw)
            resident = isinstance(self.data.x, Tensor)
            self._epoch, self._order = epoch, order.to(self.device) if resident else order
        last = place == self.per_epoch - 1
        end = len(self._order) if last else (place + 1) * self.size
        whole = self._order[place * self.size : end]
        rows = whole[self.ranks.rows(len(whole))]
        chosen = self.data.take(rows)
        x = chosen.x if isinstance(chosen.x, Tensor) else chosen.x[:].to(self.device)
        return Batch(x, chosen.context, len(whole))

    def of_step(self, step: int, k: int) -> tuple[Batch, ...]:
        """The k batches of step number 0, 1, ..."""
        return tuple(self[step * k + j] for j in range(k))


class Loaded:
    """The minibatches of a torch `DataLoader`, one pass after the other.

    They come in the loader's own order. Where it shuffles by torch's global stream, the order of
    each pass is a function of the seed and the pass.

    Args:
        loader: Gives `x`, or `(x, labels)`.
        seed: Seed of its shuffles.

    Raises:
        BadValue: For a loader without a length, or that gives something else.
    """

    def __init__(self, loader: DataLoader[Any], *, seed: int = 0) -> None:
        self.seed = seed
        try:
            self.per_epoch = len(loader)
        except TypeError:
            raise errors.not_minibatches(loader) from None
        errors.require(self.per_epoch > 0, "data", "a DataLoader of at least one minibatch", 0)
        self.loader, self._coming, self._next = loader, iter(()), 0

    def of_step(self, step: int, k: int) -> tuple[Batch, ...]:
        """The k batches of step number 0, 1, ..., which are asked for in this order."""
        return tuple(self._at(step * k + j) for j in range(k))

    def _at(self, i: int) -> Batch:
        if i != self._next or i == 0:  # a training that goes on in the middle of a pass
            self._coming = self._from(i)
        self._next = i + 1
        item: Any = next(self._coming)
        x, context = (item[0], item[1]) if _is_pair(item) else (item, None)
        x = x[0] if isinstance(x, tuple | list) and len(x) == 1 else x
        if not isinstance(x, Tensor) or not (context is None or isinstance(context, Tensor)):
            raise errors.not_minibatches(x)
        return Batch(x, context)

    def _from(self, i: int) -> Iterator[Any]:
        turn, place = divmod(i, self.per_epoch)
        while True:
            with global_stream_kept():
                torch.manual_seed(rng.derive(self.seed, "loader", turn))
                coming = iter(self.loader)
                first = next(coming)  # here a loader chooses its order
            yield from islice(chain([first], coming), place, None)
            turn, place = turn + 1, 0


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple | list) and len(item) == 2


def minibatches(
    data: Batches | Loaded | Tensor | Array | DataLoader[Any], *, seed: int
) -> Batches | Loaded:
    """The minibatches of what `fit` was given. Raises `BadValue` for data of another kind."""
    if isinstance(data, DataLoader):
        return Loaded(data, seed=seed)
    if hasattr(data, "of_step"):
        return data  # type: ignore[return-value]
    split = _split(data)
    return Batches(split, size=min(SIZE, len(split)), seed=seed)


def _split(data: object) -> Split:
    """Training examples as a `Split`."""
    if isinstance(data, TensorDataset):
        data = Split(*data.tensors) if len(data.tensors) < 3 else data
    if isinstance(data, np.ndarray):
        try:
            data = torch.from_numpy(np.ascontiguousarray(data))
        except TypeError as error:
            raise errors.not_numbers("data", error) from None
    if isinstance(data, Tensor | Mapped):
        data = Split(data)
    if not isinstance(data, Split):
        raise errors.not_minibatches(data)
    if len(data.x.shape) < 2:
        raise errors.wrong_shape("data", "(n, ...)", data.x.shape)
    return data

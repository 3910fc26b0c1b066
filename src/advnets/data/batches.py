"""Stateless minibatches: batch i is a pure function of (seed, i)."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from advnets.base import errors, rng
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Batch
from advnets.data import items
from advnets.data.mapped import Mapped
from advnets.data.splits import (
    DataConfig,
    Split,
    Splits,
    refuse_non_finite,
    refuse_other_tensors,
    refuse_unscaled,
)

Array = np.ndarray[Any, np.dtype[Any]]
SIZE = 100
"""Default size of a minibatch in `fit`."""


class Batches:
    """The minibatches of a training set, in the order of a run: `batches[i]` for any i.

    Each epoch is a new permutation. Its last batch is short where the size does not divide the set.
    A single left-over example joins the batch before, because batch normalisation needs two. A
    checkpoint needs to save only i.

    Reference: pylearn2, `shuffled_sequential`.

    Args:
        data: Training examples: a `Split`, or `x` alone as a tensor or numpy array `(n, ...)`, or
            a `TensorDataset` of x, or of x and its context.
        size: Examples in a batch.
        seed: Seed of the permutations.
        ranks: The processes that divide each batch; each has its own rows.
        device: Where the data is kept and the batches are made. Data in a file is copied there
            batch by batch.

    Raises:
        BadValue: For data of another kind, or when a batch would be larger than the data, or cannot
            be divided; for NaN or infinity in the data, with the first row that has it.

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
            raise errors.bad_value(
                "batch_size", f"at most the number of training examples, {len(data)}", size
            )
        if size % ranks.world:
            raise errors.bad_value(
                "batch_size", f"a multiple of the number of processes, {ranks.world}", size
            )
        rest = len(data) % size
        if 1 < rest < ranks.world:
            raise errors.bad_value(
                "batch_size",
                (
                    f"such that the last one of an epoch has an example for each of {ranks.world} "
                    "processes"
                ),
                f"{rest} left for it",
            )
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

    They have the loader's order. Where it shuffles by torch's global stream, the order of each pass
    is a function of the seed and the pass. With several processes, each loads every minibatch and
    keeps its own rows.

    Args:
        loader: Yields `x`, or `(x, labels)`.
        seed: Seed of its shuffles.
        ranks: The processes that divide each minibatch.

    Raises:
        BadValue: For a loader without a length, one that yields something else, or one that divides
            the data among processes.
    """

    def __init__(self, loader: DataLoader[Any], *, seed: int = 0, ranks: Ranks = ALONE) -> None:
        self.seed, self.ranks = seed, ranks
        need = "a DataLoader without a DistributedSampler: each process takes its rows itself"
        shared = isinstance(loader.sampler, DistributedSampler)
        errors.require(not shared, "data", need, "one with it")
        try:
            self.per_epoch = len(loader)
        except TypeError:
            raise _not_minibatches(loader) from None
        errors.require(self.per_epoch > 0, "data", "a DataLoader of at least one minibatch", 0)
        self.loader, self._coming, self._next = loader, iter(()), 0

    def of_step(self, step: int, k: int) -> tuple[Batch, ...]:
        """The k batches of step number 0, 1, ..., requested in this order."""
        return tuple(self._at(step * k + j) for j in range(k))

    def _at(self, i: int) -> Batch:
        if i != self._next or i == 0:  # a training that goes on in the middle of a pass
            self._coming = self._from(i)
        self._next = i + 1
        item: Any = next(self._coming)
        x, context = (item[0], item[1]) if _is_pair(item) else (item, None)
        x = x[0] if isinstance(x, tuple | list) and len(x) == 1 else x
        if isinstance(x, Tensor):
            refuse_other_tensors("data", x)
            refuse_non_finite(f"data (minibatch {i})", x)
            refuse_unscaled("data", x)
        if not isinstance(x, Tensor) or not (context is None or isinstance(context, Tensor)):
            raise _not_minibatches(x)
        world = self.ranks.world
        errors.require(len(x) >= world, "batch_size", f"at least {world}, a row each", len(x))
        own = self.ranks.rows(len(x))
        return Batch(x[own], None if context is None else context[own], len(x))

    def _from(self, i: int) -> Iterator[Any]:
        turn, place = divmod(i, self.per_epoch)
        while True:
            with global_stream_kept():
                # Not torch.manual_seed: that seeds GPUs too, once they are begun to be used.
                torch.default_generator.manual_seed(rng.derive(self.seed, "loader", turn))
                coming = iter(self.loader)
                first = next(coming)  # here a loader chooses its order
            yield from islice(chain([first], coming), place, None)
            turn, place = turn + 1, 0


def _is_pair(item: object) -> bool:
    return isinstance(item, tuple | list) and len(item) == 2


def minibatches(
    data: Batches | Loaded | Tensor | Array | Dataset[Any] | DataLoader[Any],
    *,
    seed: int,
    ranks: Ranks = ALONE,
) -> Batches | Loaded:
    """The minibatches of the data of `fit`. Raises `BadValue` for data of another kind."""
    if isinstance(data, DataLoader):
        return Loaded(data, seed=seed, ranks=ranks)
    if hasattr(data, "of_step"):
        return data  # type: ignore[return-value]
    known = isinstance(data, Tensor | np.ndarray | Split | Mapped | TensorDataset)
    if not known and items.is_map_style(data):
        own: Any = data
        try:
            n = len(own)
        except TypeError:
            raise _not_minibatches(data) from None
        errors.at_least(1, items=n)
        size = min(SIZE, n)
        alone = n % size == 1  # batch normalisation needs two
        loader = DataLoader(
            own, batch_size=size, shuffle=True, collate_fn=items.collate, drop_last=alone
        )
        return Loaded(loader, seed=seed, ranks=ranks)
    split = _split(data)
    return Batches(split, size=min(SIZE, len(split)), seed=seed, ranks=ranks)


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
        raise _not_minibatches(data)
    if isinstance(data.x, Tensor):
        refuse_other_tensors("data", data.x)
        refuse_unscaled("data", data.x)
    if len(data.x.shape) < 2:
        raise errors.wrong_shape("data", "(n, ...)", data.x.shape)
    errors.require(len(data.x) > 0, "data", "at least one example", "none")
    return data


def _not_minibatches(got: object) -> errors.BadValue:
    """The error for training data of an unknown kind."""
    need = "Batches, a tensor or array (n, ...), a TensorDataset, or a DataLoader with a length"
    instead: dict[type | tuple[type, ...], str] = {
        Splits: "its .train",
        DataConfig: "advnets.data.load(config, seed=0).train",
        tuple: "TensorDataset(x, labels)",
        list: "torch.tensor(x)",
        (str, Path): "the array that the file holds",
        Dataset: "DataLoader(dataset, ...) with a length",
    }
    hint = next((f"; here {words}" for kind, words in instead.items() if isinstance(got, kind)), "")
    return errors.bad_value("data", need + hint, f"a {type(got).__name__}")

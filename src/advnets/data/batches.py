"""Minibatches without a state: batch i is a pure function of (seed, i)."""

import torch
from torch import Tensor

from advnets import checks, rng
from advnets.data.mapped import Mapped
from advnets.data.splits import Split
from advnets.protocols import Batch


class Batches:
    """All minibatches of a training set, in the order of a run: `batches[i]` for any i.

    An epoch is a fresh permutation, without replacement; its last batch is short where the size
    does not divide the set. There is nothing to save but i.

    Reference: pylearn2, `shuffled_sequential`.

    Args:
        data: Training examples: a `Split`, or `x` alone.
        size: Examples in a batch.
        seed: Seed of the permutations.

    Raises:
        BadValue: When a batch would be larger than the data.

    Example:
        >>> batches = Batches(torch.arange(10.0)[:, None], size=4, seed=0)
        >>> [len(batches[i].x) for i in range(4)]
        [4, 4, 2, 4]
    """

    def __init__(self, data: Split | Tensor | Mapped, *, size: int, seed: int) -> None:
        self.data = data if isinstance(data, Split) else Split(data)
        checks.at_least(1, batch_size=size)
        if size > len(self.data):
            raise checks.batch_too_large(size, len(self.data))
        self.size, self.seed = size, seed
        self.per_epoch = -(-len(self.data) // size)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, i: int) -> Batch:
        checks.at_least(0, batch=i)
        epoch, place = divmod(i, self.per_epoch)
        if epoch != self._epoch:
            draw = rng.generator(self.seed, "epoch", epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.data), generator=draw)
        rows = self._order[place * self.size : (place + 1) * self.size]
        context = self.data.context
        return Batch(self.data.x[rows], None if context is None else context[rows])

    def of_step(self, step: int, k: int) -> tuple[Batch, ...]:
        """The k batches of step number 0, 1, ..."""
        return tuple(self[step * k + j] for j in range(k))

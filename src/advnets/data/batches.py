"""Minibatches without a state: batch i is a pure function of (seed, i)."""

import torch
from torch import Tensor

from advnets import checks, rng
from advnets.data.mapped import Mapped
from advnets.data.splits import Split, refuse_non_finite
from advnets.protocols import Batch
from advnets.ranks import ALONE, Ranks


class Batches:
    """All minibatches of a training set, in the order of a run: `batches[i]` for any i.

    An epoch is a fresh permutation, without replacement; its last batch is short where the size
    does not divide the set. There is nothing to save but i.

    Reference: pylearn2, `shuffled_sequential`.

    Args:
        data: Training examples: a `Split`, or `x` alone.
        size: Examples in a batch.
        seed: Seed of the permutations.
        ranks: The processes that share out each batch; each holds its own rows.
        device: Where the data is kept and the batches are made. What is in a file still is brought
            there batch by batch.

    Raises:
        BadValue: When a batch would be larger than the data, or cannot be shared out; for NaN or
            infinity in the data, with the first row that has it.

    Example:
        >>> batches = Batches(torch.arange(10.0)[:, None], size=4, seed=0)
        >>> [len(batches[i].x) for i in range(4)]
        [4, 4, 2, 4]
    """

    def __init__(
        self,
        data: Split | Tensor | Mapped,
        *,
        size: int,
        seed: int,
        ranks: Ranks = ALONE,
        device: torch.device | str = "cpu",
    ) -> None:
        data = data if isinstance(data, Split) else Split(data)
        if isinstance(data.x, Tensor):  # what is in a file has been looked through
            refuse_non_finite("x", data.x)
        self.data, self.device = data.to(device), device
        checks.at_least(1, batch_size=size)
        if size > len(data):
            raise checks.batch_too_large(size, len(data))
        if size % ranks.world:
            raise checks.uneven_batch(size, ranks.world)
        if 0 < len(data) % size < ranks.world:
            raise checks.last_batch_too_short(len(data) % size, ranks.world)
        self.size, self.seed, self.ranks = size, seed, ranks
        self.per_epoch = -(-len(data) // size)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, i: int) -> Batch:
        checks.at_least(0, batch=i)
        epoch, place = divmod(i, self.per_epoch)
        if epoch != self._epoch:
            draw = rng.generator(self.seed, "epoch", epoch)
            order = torch.randperm(len(self.data), generator=draw)
            resident = isinstance(self.data.x, Tensor)
            self._epoch, self._order = epoch, order.to(self.device) if resident else order
        whole = self._order[place * self.size : (place + 1) * self.size]
        rows = whole[self.ranks.rows(len(whole))]
        chosen = self.data.take(rows)
        x = chosen.x if isinstance(chosen.x, Tensor) else chosen.x[:].to(self.device)
        return Batch(x, chosen.context, len(whole))

    def of_step(self, step: int, k: int) -> tuple[Batch, ...]:
        """The k batches of step number 0, 1, ..."""
        return tuple(self[step * k + j] for j in range(k))

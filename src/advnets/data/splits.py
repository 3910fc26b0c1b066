"""Training, validation and test sets, and random splits of data without them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from advnets.base import errors, rng
from advnets.base.blocks import Statistics, blocks, statistics
from advnets.base.config import TaggedConfig
from advnets.base.protocols import Examples
from advnets.data.mapped import Mapped
from advnets.storage.checkpoints import checksum

Order = Literal["file", "shuffled"]
"""Order of the rows of a split: as in the file, or shuffled by a fixed seed."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(TaggedConfig):
    """Base of every data set's configuration."""


@dataclass(frozen=True)
class Split:
    """Examples `x` of shape `(n, *event_shape)`, float32, and their `context` (labels or None).

    `x[rows]` and `x[:]` are tensors; `x` itself may be memory-mapped.
    """

    x: Tensor | Mapped
    context: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor | slice) -> "Split":
        """The examples in these rows."""
        x = self.x.take(rows) if isinstance(self.x, Mapped) else _rows(self.x, rows)
        return Split(x, None if self.context is None else _rows(self.context, rows))

    def shuffled(self, name: str) -> "Split":
        """The same examples in an order that depends only on their number and this name."""
        return self.take(torch.randperm(len(self), generator=rng.generator(0, f"order of {name}")))

    def to(self, device: torch.device | str) -> "Split":
        """The same on another device; memory-mapped examples stay in their file."""
        x = self.x if isinstance(self.x, Mapped) else self.x.to(device)
        return Split(x, None if self.context is None else self.context.to(device))


def refuse_non_finite(name: str, x: Examples) -> None:
    """Raise, with the first bad row, for NaN, infinity and values beyond float32."""
    start = 0
    for block in blocks(x):
        finite = block.isfinite().reshape(len(block), -1).all(dim=1)
        if not finite.all():
            raise errors.array_not_finite(name, start + int(finite.logical_not().nonzero()[0]))
        start += len(block)


def refuse_other_tensors(name: str, x: Tensor) -> None:
    """Raise for a tensor that does not hold a real number at each of its places."""
    kinds = {
        "complex numbers": x.is_complex(),
        "a tensor without values (device 'meta')": x.is_meta,
        f"a tensor of layout {x.layout}": x.layout != torch.strided,
    }
    got = next((words for words, is_one in kinds.items() if is_one), "")
    errors.require(not got, name, "a dense tensor of real numbers", got)


def refuse_unscaled(name: str, x: Examples) -> None:
    """Raise for pixels from 0 to 255 that are not scaled, on which a game does not converge.

    Bytes above 1 count as pixels. Numbers of other types do where the first 64 examples are
    pictures, `(n, H, W)` or `(n, C, H, W)`, with whole numbers from 0 to 255 only.
    """
    first = x[:64]
    if not first.numel() or first.is_meta or first.is_complex():
        return
    most = first.max().item()
    pictures = first.ndim in (3, 4) and 2 <= most <= 255 and first.min().item() >= 0
    whole = pictures and torch.equal(first, first.round())
    if (first.dtype == torch.uint8 and most > 1) or whole:
        need = "scaled to about [0, 1] or [-1, 1] (x / 255)"
        kind = "bytes (uint8)" if first.dtype == torch.uint8 else "whole numbers"
        raise errors.bad_value(name, need, f"{kind} up to {most:g}")


def _rows(x: Tensor, rows: Tensor | slice) -> Tensor:
    return x[rows] if isinstance(rows, slice) else x.index_select(0, rows.to(x.device))


@dataclass(frozen=True)
class Splits:
    """A data set in three parts. Nothing may be chosen on `test`."""

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...] = field(default=(), kw_only=True)
    """Names of the classes, by label; empty where they have none."""
    notice: str = field(default="", kw_only=True)
    """A notice that is printed with every score on this data."""
    reading: str = field(default="", kw_only=True)
    """One line on what was read, for a source without a fixed layout."""
    span: tuple[float, float] | None = field(default=None, kw_only=True)
    """The values that pictures draw black and white; by default 0 and 1, or the data's range."""

    order: Order = field(default="file", kw_only=True)
    """Order of the rows: as in the file, or shuffled, so that the first n are a random sample."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example: `(C, H, W)` for images, `(d,)` for vectors."""
        return tuple(self.train.x.shape[1:])

    @cached_property
    def statistics(self) -> Statistics:
        """Range and mean of the training examples, computed once."""
        return statistics(self.train.x)

    @cached_property
    def fingerprint(self) -> int:
        """CRC-32 of all examples and labels, in the order of the file; computed once."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        everything: dict[str, Examples] = {}
        for name, part in ((name, part.to("cpu")) for name, part in parts.items()):
            everything[f"{name}.x"] = part.x
            if part.context is not None:
                everything[f"{name}.context"] = part.context
        return checksum(everything, {})

    def shuffled(self) -> "Splits":
        """The same three parts, each shuffled by a fixed seed.

        Files are often sorted by class; the first n rows of a part would then hold the first
        classes only.
        """
        if self.order == "shuffled":
            return self
        result = replace(
            self,
            train=self.train.shuffled("train"),
            validation=self.validation.shuffled("validation"),
            test=self.test.shuffled("test"),
            order="shuffled",
        )
        # Both read all examples, which is quick in the order of the file alone, where they are in
        # one. The fingerprint is thereby that of runs from before the rows were shuffled.
        vars(result).update(statistics=self.statistics, fingerprint=self.fingerprint)
        return result


def split(
    data: Split, *, validation: float, test: float, seed: int, order: Order = "shuffled"
) -> Splits:
    """Split a data set in three at random, class by class where it has integer labels.

    Args:
        data: All examples, in any order.
        validation: Share that goes to validation, in (0, 1).
        test: Share that goes to test, in (0, 1).
        seed: Chooses which examples go where.
        order: Order of the rows of each part: 'shuffled', or 'file' for the order of `data`.

    Raises:
        BadValue: For shares that leave no training set, or fewer than 10 rows.
    """
    errors.require(0 < validation < 1, "validation", "above 0 and below 1", validation)
    errors.require(0 < test < 1, "test", "above 0 and below 1", test)
    total = validation + test
    errors.require(total < 1, "validation + test", "below 1", total)
    if len(data) < 10:
        raise errors.array_too_short("data", 10, len(data))
    in_test, in_validation, in_train = _cut(data, [test, test + validation], seed)
    for name, rows in (("training", in_train), ("validation", in_validation), ("test", in_test)):
        errors.require(len(rows) > 0, f"{name} set", "of at least one example", 0)
    splits = Splits(data.take(in_train), data.take(in_validation), data.take(in_test))
    return splits.shuffled() if order == "shuffled" else splits


def hold_out(data: Split, share: float, *, seed: int) -> tuple[Split, Split]:
    """Hold out a share of a data set at random, class by class where it has integer labels.

    Returns:
        The rest and the share.

    Raises:
        BadValue: For a share that leaves one of them empty.
    """
    errors.require(0 < share < 1, "share", "above 0 and below 1", share)
    out, rest = _cut(data, [share], seed)
    for name, rows in (("training set", rest), ("set held out", out)):
        errors.require(len(rows) > 0, name, "of at least one example", 0)
    return data.take(rest), data.take(out)


def _cut(data: Split, until: list[float], seed: int) -> list[Tensor]:
    """The rows of each part of a data set: up to the first share, up to the second, ..."""
    parts: list[list[Tensor]] = [[] for _ in (*until, 1)]
    for label, rows in enumerate(_strata(data)):
        shuffled = rows[torch.randperm(len(rows), generator=rng.generator(seed, "split", label))]
        cuts = [round(len(rows) * share) for share in until]
        for part, chosen in zip(parts, shuffled.tensor_split(cuts), strict=True):
            part.append(chosen)
    return [torch.cat(part).sort().values for part in parts]


def _strata(data: Split) -> Sequence[Tensor]:
    """The rows of each class, or all rows where there are no classes."""
    labels = data.context
    if labels is None or labels.is_floating_point() or labels.ndim > 1:
        return [torch.arange(len(data))]
    classes = torch.unique(labels)
    if len(classes) * 10 > len(data):
        return [torch.arange(len(data))]
    return [(labels == c).nonzero()[:, 0] for c in classes]

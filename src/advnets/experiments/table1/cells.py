"""One cell of Table 1: a sampler's score on one column, saved so that it is computed once.

It is saved in the run folder, in `table1.json`, under a key of everything that the score depends
on: the checkpoint's bytes, the sampler, the data and the protocol.
"""

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors, files
from advnets.base.protocols import Sampler
from advnets.base.rng import generator
from advnets.data import Splits
from advnets.evaluation.protocol import Evaluation, drawn, from_dict, line
from advnets.experiments.table1.columns import Column
from advnets.plotting import images
from advnets.storage import checkpoints, schema

SEED, STRIP = 0, 12
"""The seed of all samples, and how many of them the picture shows."""
FORMAT = 1
MOST = 2**28
"""Bytes that the file of a picture may have."""
FILE = "table1.json"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A score and its cost."""

    evaluation: Evaluation
    """One row for each fold."""
    samples: int
    seconds: float
    """Seconds that sampling took."""
    strip: Tensor
    """Randomly chosen samples, `(STRIP, *event_shape)` in [0, 1], rounded to bytes."""
    facts: Mapping[str, Any]
    """The run: folder, recipe, command, commit, update, training seconds, what differs."""

    @property
    def mean(self) -> float:
        """Over the folds, in nats."""
        lines = self.evaluation.lines
        return sum(fold.test.mean for fold in lines) / len(lines)

    @property
    def standard_error(self) -> float:
        """Across folds, in nats; over test examples where there is one."""
        lines = self.evaluation.lines
        if len(lines) == 1:
            return lines[0].test.standard_error
        spread = sum((fold.test.mean - self.mean) ** 2 for fold in lines) / (len(lines) - 1)
        return math.sqrt(spread / len(lines))

    @property
    def sigmas(self) -> list[float]:
        """The sigmas chosen, each once, the smallest first."""
        return sorted({fold.test.sigma for fold in self.evaluation.lines})

    @property
    def effective(self) -> float | None:
        """Effective sample size of a chain; None without a chain."""
        mixing = self.evaluation.lines[0].mixing
        return None if mixing is None else mixing.effective


def score(
    make: Callable[[], Sampler],
    column: Column,
    *,
    samples: int,
    folder: Path,
    key: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Cell:
    """The cell of a sampler: read from `folder`, or computed and saved there.

    Args:
        make: Makes the sampler; not called where the cell is saved.
        column: The column to score on.
        samples: Number of samples.
        folder: Folder of saved cells.
        key: What the samples depend on, besides their number and seed.
        facts: Metadata of the run.
    """
    full = {
        "format": FORMAT,
        **key,
        "samples": samples,
        "seed": SEED,
        "strip": STRIP,
        "protocol": asdict(column.protocol),
        "data": [_held_out(splits) for splits in column.splits],
    }
    name = hashlib.sha256(json.dumps(full, sort_keys=True).encode()).hexdigest()[:16]
    with errors.saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
    kept, strip = _read(folder / FILE), folder / f"table1-{name}.npy"
    read = partial(_kept, folder / FILE, strip=strip, column=column, samples=samples, facts=facts)
    cell = read(kept.get(name))
    if cell is None:
        record = _compute(make(), column, samples, strip) | {"of": full}
        text = json.dumps(kept | {name: record}, indent=1) + "\n"
        checkpoints.write_atomically(folder / FILE, text.encode())
        cell = read(record)
        assert cell is not None
    return cell


def _kept(
    path: Path,
    record: Any,
    *,
    strip: Path,
    column: Column,
    samples: int,
    facts: Mapping[str, Any],
) -> Cell | None:
    """A saved cell; None where it is missing or damaged, since it can be computed again."""
    try:
        found = schema.convert(path, record, schema.Cell)
        evaluation = from_dict(found.evaluation, path)
        pixels = np.load(io.BytesIO(files.read(strip, most=MOST)), allow_pickle=False)
    except (errors.BadFile, ValueError, EOFError):
        return None
    shape = (*pixels.shape[:1], *column.splits[0].event_shape)
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        return None
    return Cell(
        evaluation=evaluation,
        samples=samples,
        seconds=found.seconds,
        strip=torch.from_numpy(pixels).float() / 255,
        facts=facts,
    )


def _compute(sampler: Sampler, column: Column, samples: int, strip: Path) -> dict[str, Any]:
    own = drawn(sampler, samples, seed=SEED)
    lines = tuple(
        line(f"fold {f}", own.x, splits, column.protocol, own.mixing)
        for f, splits in enumerate(column.splits)
    )
    evaluation = Evaluation(
        lines=lines, sigmas=tuple(column.protocol.sigmas()), notice=column.notice
    )
    shown = torch.randperm(samples, generator=generator(SEED, "strip"))[:STRIP]
    with checkpoints.atomic_path(strip) as aside, aside.open("wb") as file:
        np.save(file, images.to_pixels(own.x[shown]).transpose(0, 3, 1, 2))
    return {"seconds": own.seconds, "evaluation": evaluation.to_dict()}


def digest(path: Path) -> str:
    """A hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _held_out(splits: Splits) -> int:
    """A hash of the data of a score."""
    x = {"validation": splits.validation.x, "test": splits.test.x}
    return checkpoints.checksum(x, {})


def _read(path: Path) -> dict[str, Any]:
    """The cells in a file; none where it is missing or damaged."""
    try:
        return schema.read(path, dict[str, Any])
    except errors.BadFile:
        return {}

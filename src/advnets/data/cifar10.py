"""CIFAR-10 in the authors' split: 40,000 training, 10,000 validation and 10,000 test images.

The official *binary* version, packed or unpacked, comes from the user (`root`, or the environment
variable `ADVNETS_DATA`), or is downloaded into the user's cache and verified. Nothing is unpickled.
Pixels are divided by 255.

The format: six files of 10,000 records, each a byte of label and 3,072 bytes of pixels, red, green
and blue after one another, each row by row.

Copies exist as pictures, `train/cat/0001.png`. A folder or a zip of those is read by `data.images`,
with a fifth of train/ drawn for validation, class by class, since the official order is lost. Every
score on such a copy says so.

Reference: Krizhevsky (2009); goodfeli/adversarial, `cifar10_fully_connected.yaml`: the first 40,000
    training images train, the rest validate.
"""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pooch
import torch

from advnets.base import errors
from advnets.base.config import RESUMABLE, expanded
from advnets.base.files import open_regular
from advnets.data import images
from advnets.data.contrast import normalise, span
from advnets.data.downloads import ENVIRONMENT, fetch
from advnets.data.splits import DataConfig, Split, Splits

MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE = "cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
HINT = (
    f"--data.root or ${ENVIRONMENT} must be {ARCHIVE}, or a folder with it or its .bin files, "
    f"or a folder or zip of pictures, train/{CLASSES[0]} and so on"
)
AS_PICTURES = "not CIFAR-10 as published: it was read from pictures of it, by a split of our own."

TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 5))
VALIDATION = ("data_batch_5.bin",)
TEST = ("test_batch.bin",)
IMAGES = 10_000
"""Images in each file."""
SURPLUS = 256
"""Megabytes that may follow the last file of an archive: it ends in some blocks of zeros."""
RECORD = 1 + 3 * 32 * 32
"""Bytes of one image and its label."""

Records = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Cifar10Config(DataConfig):
    """CIFAR-10 from its official binary version, or from a copy of it as pictures."""

    kind: ClassVar[str] = "cifar10"

    root: str | None = field(default=None, metadata=RESUMABLE)
    """The archive, or a folder with it or its unpacked files, or one (or a zip) of pictures,
    train/cat and so on; without it $ADVNETS_DATA, then a checked download (162 MB)."""
    contrast: float | None = None
    """Norm of every image after subtraction of its mean (the authors' 55); by default images stay
    in [0, 1]."""

    def __post_init__(self) -> None:
        if self.contrast is not None:
            errors.positive(contrast=self.contrast)


def load(config: Cifar10Config, *, seed: int) -> Splits:
    """Read CIFAR-10, in its original order; the seed has no effect.

    Returns:
        Images of shape `(n, 3, 32, 32)` in [0, 1], or normalised, with their labels.

    Raises:
        BadFile: For a file that is missing, damaged or of another size; for pictures of other
            classes; for a download that fails.
    """
    place = find(config.root) if config.root or os.environ.get(ENVIRONMENT) else download()
    splits = _as_pictures(place) if _holds_pictures(place) else _official(place)
    if config.contrast is not None:
        splits = _normalised(splits, config.contrast)
    return replace(splits, classes=CLASSES)


def find(root: str | None) -> Path:
    """The archive, or the folder with the files, at the given path or below it."""
    top = expanded(root or os.environ[ENVIRONMENT])
    if top.exists() and not top.is_dir():
        return top
    for folder in (top, top / "cifar-10-batches-bin", top / "cifar10"):
        if (folder / TRAIN[0]).exists() or _holds_pictures(folder):
            return folder
        if (folder / ARCHIVE).exists():
            return folder / ARCHIVE
    raise errors.missing_file(top / TRAIN[0], HINT)


def download(mirrors: tuple[str, ...] = MIRRORS, cache: Path | None = None) -> Path:
    """Fetch the archive into the user's cache, unless it is there, and check every byte.

    Args:
        mirrors: Addresses to try, in this order.
        cache: Where to keep it; the user's cache folder by default.

    Raises:
        BadFile: When no mirror answers, or the checksum is wrong; then nothing is kept.
    """
    folder = cache or Path(pooch.os_cache("advnets")) / "cifar10"
    return fetch(ARCHIVE, (f"sha256:{SHA256}", f"md5:{MD5}"), mirrors, folder)


def cached() -> Path | None:
    """The archive of an earlier `download`; None where there is none."""
    archive = Path(pooch.os_cache("advnets")) / "cifar10" / ARCHIVE
    return archive if archive.is_file() else None


def _normalised(splits: Splits, norm: float) -> Splits:
    """All images normalised, with the display range of the training set."""
    train, mean, scale = normalise(splits.train.x[:], norm)
    return replace(
        splits,
        train=replace(splits.train, x=train),
        validation=replace(splits.validation, x=normalise(splits.validation.x[:], norm)[0]),
        test=replace(splits.test, x=normalise(splits.test.x[:], norm)[0]),
        span=span(mean, scale, norm),
    )


def _holds_pictures(place: Path) -> bool:
    """Whether the classes lie there as folders of pictures, in a zip or unpacked."""
    return (place / "train" / CLASSES[0]).is_dir() or (
        place.is_file() and zipfile.is_zipfile(place)
    )


def _as_pictures(place: Path) -> Splits:
    """The images of a copy, in memory like those of the official version."""
    share = len(VALIDATION) / len(TRAIN + VALIDATION)
    splits = images.load(images.ImagesConfig(path=str(place), validation=share), seed=0)
    if splits.classes != CLASSES:
        raise _other_classes(place, CLASSES, splits.classes)
    parts = [Split(p.x[:], p.context) for p in (splits.train, splits.validation, splits.test)]
    return Splits(*parts, notice=AS_PICTURES)


def _other_classes(path: Path, need: Sequence[str], got: Sequence[str]) -> errors.BadFile:
    """Pictures that are not of the classes of a known data set."""
    found = ", ".join(got[: len(need)]) or "none"
    return errors.BadFile(
        f"{path}: must hold pictures of the classes {', '.join(need)}, got {found}."
    )


def _official(place: Path) -> Splits:
    """The images of the binary version, packed or unpacked."""
    files = dict(_unpacked(place) if place.is_dir() else _packed(place))
    parts = [_split([files.pop(name) for name in names]) for names in (TRAIN, VALIDATION, TEST)]
    return Splits(*parts)


def _unpacked(folder: Path) -> Iterator[tuple[str, Records]]:
    for name in (*TRAIN, *VALIDATION, *TEST):
        with open_regular(folder / name, missing=HINT) as file:
            try:
                raw = file.read(IMAGES * RECORD + 1)
            except OSError as error:
                raise errors.unreadable(folder / name, error) from None
        yield name, records(folder / name, raw)


def _packed(path: Path) -> Iterator[tuple[str, Records]]:
    """The six files from the archive, of which nothing is written to the disk."""
    missing = {*TRAIN, *VALIDATION, *TEST}
    with open_regular(path, missing=HINT) as packed:
        try:
            with tarfile.open(fileobj=packed, mode="r:*") as archive:
                for member in archive:
                    name = Path(member.name).name
                    if name in missing and member.isreg() and (file := archive.extractfile(member)):
                        missing.remove(name)
                        yield name, records(path / name, file.read(IMAGES * RECORD + 1))
                _read_to_the_end(archive)
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            why = str(error).partition("\n")[0].rstrip(" (:")
            raise errors.damaged_gzip(path, why) from None
    if missing:
        raise errors.BadFile(f"{path}: has no {min(missing)} in it; {HINT}.")


def _read_to_the_end(archive: tarfile.TarFile) -> None:
    """Read what follows the last file: only at the end does gzip compare its checksum."""
    rest = archive.fileobj
    assert rest is not None
    for _ in range(SURPLUS):
        if not rest.read(2**20):
            return
    raise tarfile.ReadError(f"more than {SURPLUS} MB after its last file")


def records(path: Path, raw: bytes) -> Records:
    """One file's images and labels as rows of 3,073 bytes.

    Raises:
        BadFile: For another number of bytes, or a label that is none of the ten.
    """
    if len(raw) != IMAGES * RECORD:
        raise _cifar_wrong_size(path, IMAGES, RECORD, len(raw))
    rows: Records = np.frombuffer(raw, dtype=np.uint8).reshape(IMAGES, RECORD)
    wrong = np.flatnonzero(rows[:, 0] >= len(CLASSES))
    if len(wrong):
        raise errors.BadFile(
            f"{path}: must hold labels from 0 to 9, got {int(rows[wrong[0], 0])}, first in "
            f"image {int(wrong[0])}."
        )
    return rows


def _cifar_wrong_size(path: Path, images: int, record: int, got: int) -> errors.BadFile:
    """A file of CIFAR-10 that is shorter or longer than its images."""
    what, more = ("truncated", "") if got < images * record else ("too long", "at least ")
    need = f"{images} images of {record} bytes each, {images * record}"
    return errors.BadFile(f"{path}: {what}: must be {need}, got {more}{got}.")


def _split(parts: list[Records]) -> Split:
    x = torch.empty(IMAGES * len(parts), 3, 32, 32)
    for place, rows in zip(range(0, len(x), IMAGES), parts, strict=True):
        pixels = torch.from_numpy(rows[:, 1:].copy()).view(IMAGES, 3, 32, 32)
        x[place : place + IMAGES].copy_(pixels).div_(255)
    labels = np.concatenate([rows[:, 0] for rows in parts])
    return Split(x, torch.from_numpy(labels).long())

"""MNIST in the paper's split: 50,000 training, 10,000 validation and 10,000 test images.

The four IDX files, gzipped or not, come from a folder of the user's (`root`, or the environment
variable `ADVNETS_DATA`), or are downloaded into the user's cache and checked. Pixels are divided by
255; they stay real numbers in [0, 1].

Reference: LeCun et al. (1998); goodfeli/adversarial, `mnist.yaml`: the first 50,000 training images
    train, the rest validate.
"""

import gzip
import math
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pooch
import torch

from advnets import checks
from advnets.config import FREE, expanded
from advnets.data.downloads import ENVIRONMENT, fetch
from advnets.data.splits import DataConfig, Split, Splits

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
HINT = f"--data.root or ${ENVIRONMENT} must be the folder of the four IDX files"


@dataclass(frozen=True, kw_only=True)
class MnistConfig(DataConfig):
    """MNIST from its four IDX files."""

    kind: ClassVar[str] = "mnist"

    root: str | None = field(default=None, metadata=FREE)
    """Folder of the IDX files; without it $ADVNETS_DATA, then a checked download to your cache."""


def load(config: MnistConfig, *, seed: int) -> Splits:
    """Read MNIST, in its original order; the seed plays no part.

    Returns:
        Images of shape `(n, 1, 28, 28)` in [0, 1], with their labels.

    Raises:
        BadFile: For a file that is missing, truncated, no IDX file, or of another size; for a
            download that fails.
    """
    folder = find(config.root) if config.root or os.environ.get(ENVIRONMENT) else download()
    train, test = _read(folder, "train", 60_000), _read(folder, "t10k", 10_000)
    return Splits(train.take(slice(0, 50_000)), train.take(slice(50_000, 60_000)), test)


def find(root: str | None) -> Path:
    """The folder with the IDX files: the one named, or the usual places below it."""
    top = expanded(root or os.environ[ENVIRONMENT])
    for folder in (top, top / "mnist", top / "MNIST" / "raw"):
        if _path(folder, "train-images-idx3-ubyte").exists():
            return folder
    raise checks.missing_file(top / "train-images-idx3-ubyte.gz", HINT)


def download(mirrors: tuple[str, ...] = MIRRORS, cache: Path | None = None) -> Path:
    """Fetch the four files into the user's cache, unless they are there, and check every byte.

    Args:
        mirrors: Addresses to try, in this order.
        cache: Where to keep the files; the user's cache folder by default.

    Raises:
        BadFile: When no mirror answers, or a checksum is wrong; then nothing is kept.
    """
    folder = cache or Path(pooch.os_cache("advnets")) / "mnist"
    for name, md5 in MD5.items():
        fetch(name, f"md5:{md5}", mirrors, folder)
    return folder


def _read(folder: Path, part: str, n: int) -> Split:
    images = read_idx(_path(folder, f"{part}-images-idx3-ubyte"))
    if images.shape != (n, 28, 28):
        path = _path(folder, f"{part}-images-idx3-ubyte")
        raise checks.idx_wrong_shape(path, f"{n} images of 28 x 28", images.shape)
    labels = read_idx(_path(folder, f"{part}-labels-idx1-ubyte"))
    if labels.shape != (n,):
        path = _path(folder, f"{part}-labels-idx1-ubyte")
        raise checks.idx_wrong_shape(path, f"{n} labels", labels.shape)
    x = torch.from_numpy(images).float().div_(255).unsqueeze(1)
    return Split(x, torch.from_numpy(labels).long())


def _path(folder: Path, name: str) -> Path:
    """The file as published, gzipped or not; the gzipped name where there is neither."""
    dotted = name.replace("-idx", ".idx")
    for candidate in (f"{name}.gz", name, dotted, f"{dotted}.gz"):
        if (folder / candidate).exists():
            return folder / candidate
    return folder / f"{name}.gz"


def read_idx(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """An IDX file of unsigned bytes, gzipped or not.

    The format: a big-endian magic `0x000008NN` with NN dimensions, NN sizes of 4 bytes each, then
    the bytes.

    Raises:
        BadFile: For a file that is missing, damaged, of another format, or not as long as its
            header says.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except FileNotFoundError:
        raise checks.missing_file(path, HINT) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise checks.damaged_gzip(path, error) from None
    except OSError as error:
        raise checks.unreadable(path, error) from None
    magic = int.from_bytes(raw[:4], "big")
    dimensions = magic & 0xFF
    if len(raw) < 4 or magic >> 8 != 0x08 or dimensions == 0:
        raise checks.idx_wrong_magic(path, magic)
    header = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, header, 4))
    need, got = math.prod(shape), len(raw) - header
    if got != need:
        raise checks.idx_wrong_size(path, need, got)
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape).copy()

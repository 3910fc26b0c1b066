"""MNIST in the paper's split: 50,000 training, 10,000 validation and 10,000 test images.

The four IDX files, gzipped or not, come from a folder of the user's (`root`, or the environment
variable `ADVNETS_DATA`), or are downloaded into the user's cache and checked. Pixels are divided by
255; they stay real numbers in [0, 1].

Other data goes round under these names and sizes (Fashion-MNIST, KMNIST): what is not MNIST, byte
by byte, is read all the same, and every score on it says so.

Reference: LeCun et al. (1998); goodfeli/adversarial, `mnist.yaml`: the first 50,000 training images
    train, the rest validate.
"""

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np
import pooch
import torch

from advnets.base import errors
from advnets.base.config import FREE, expanded
from advnets.base.files import open_regular
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
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",  # noqa: E501
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",  # noqa: E501
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
CONTENT = {
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""SHA-256 of the files unpacked, however they were packed."""
UNSIGNED, MOST_AXES = 0x08, 32
GZIP = bytes.fromhex("1f8b")
CHUNK = 2**20
SIDE, DIGITS = 28, 10
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
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
        BadFile: For a file that is missing, truncated, no IDX file, of another size, or with labels
            above 9; for a download that fails.
    """
    folder = find(config.root) if config.root or os.environ.get(ENVIRONMENT) else download()
    packs = {part: _contents(folder, part, n) for part, n in (("train", 60_000), ("t10k", 10_000))}
    train, test = (_split(*pack) for pack in packs.values())
    odd = [name for part, pack in packs.items() for name in _not_mnist(part, *pack)]
    return Splits(
        train.take(slice(0, 50_000)),
        train.take(slice(50_000, 60_000)),
        test,
        notice=_other_data(folder, odd) if odd else "",
    )


def _other_data(folder: Path, odd: list[str]) -> str:
    """What must stand beside every score on data that has MNIST's names alone."""
    files = "file does" if len(odd) == 1 else "files do"
    return (
        f"not MNIST: in {folder.resolve().name}, the {', '.join(odd)} {files} not hold the "
        "published bytes; nothing published on MNIST compares with scores on it."
    )


def find(root: str | None) -> Path:
    """The folder with the IDX files: the one named, or the usual places below it."""
    top = expanded(root or os.environ[ENVIRONMENT])
    for folder in (top, top / "mnist", top / "MNIST" / "raw"):
        if _there(_path(folder, "train-images-idx3-ubyte")):
            return folder
    raise errors.missing_file(top / "train-images-idx3-ubyte.gz", HINT)


def download(mirrors: tuple[str, ...] = MIRRORS, cache: Path | None = None) -> Path:
    """Fetch the four files into the user's cache, unless they are there, and check every byte.

    Args:
        mirrors: Addresses to try, in this order.
        cache: Where to keep the files; the user's cache folder by default.

    Raises:
        BadFile: When no mirror answers, or a checksum is wrong; then nothing is kept.
    """
    folder = cache or Path(pooch.os_cache("advnets")) / "mnist"
    for name in MD5:
        fetch(name, (f"sha256:{SHA256[name]}", f"md5:{MD5[name]}"), mirrors, folder)
    return folder


def _contents(folder: Path, part: str, n: int) -> tuple[Bytes, Bytes]:
    """The images and labels of one part."""
    images = read_idx(_path(folder, f"{part}-images-idx3-ubyte"), (n, SIDE, SIDE))
    path = _path(folder, f"{part}-labels-idx1-ubyte")
    labels = read_idx(path, (n,))
    wrong = np.flatnonzero(labels >= DIGITS)
    if len(wrong):
        raise errors.idx_wrong_label(path, int(labels[wrong[0]]), int(wrong[0]))
    return images, labels


def _not_mnist(part: str, images: Bytes, labels: Bytes) -> Iterator[str]:
    """The names of the files of a part whose bytes are not those that were published."""
    for name, array in ((f"{part}-images", images), (f"{part}-labels", labels)):
        sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
        content = hashlib.sha256(bytes([0, 0, UNSIGNED, array.ndim]) + sizes)
        content.update(np.ascontiguousarray(array).data)
        if content.hexdigest() != CONTENT[name]:
            yield name


def _split(images: Bytes, labels: Bytes) -> Split:
    x = torch.from_numpy(images).float().div_(255).unsqueeze(1)
    return Split(x, torch.from_numpy(labels).long())


def _read(folder: Path, part: str, n: int) -> Split:
    return _split(*_contents(folder, part, n))


def _there(path: Path) -> bool:
    return path.exists() and not path.is_dir()


def _path(folder: Path, name: str) -> Path:
    """The file as published, gzipped or not; the gzipped name where there is neither.

    It may lie in a folder of its own name, as Kaggle's copies are unpacked.
    """
    dotted = name.replace("-idx", ".idx")
    names = (f"{name}.gz", name, dotted, f"{dotted}.gz")
    for place in (folder, *(folder / each for each in names)):
        for path in (place / each for each in names):
            if _there(path):
                return path
    return folder / f"{name}.gz"


def read_idx(path: Path, shape: tuple[int, ...] | None = None) -> Bytes:
    """An IDX file of unsigned bytes, gzipped or not.

    The format: a big-endian magic `0x000008NN` with NN dimensions, NN sizes of 4 bytes each, then
    the bytes. No more of them are unpacked than the header asks for, and one.

    Args:
        path: The file.
        shape: What the header must ask for; by default whatever it does.

    Raises:
        BadFile: For a file that is missing, damaged, of another format or shape, or not as long as
            its header says.
    """
    with open_regular(path, missing=HINT) as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        try:
            content = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
            return _idx(path, content, shape)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise errors.damaged_gzip(path, error) from None
        except OSError as error:
            raise errors.unreadable(path, error) from None


def _words(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return f"{shape[0]} labels"
    return f"{shape[0]} images of {' x '.join(map(str, shape[1:]))}"


def _idx(path: Path, content: IO[bytes], need: tuple[int, ...] | None) -> Bytes:
    start = content.read(4)
    magic = int.from_bytes(start, "big")
    axes = magic & 0xFF
    if len(start) < 4 or magic >> 8 != UNSIGNED or not 0 < axes <= MOST_AXES:
        raise errors.idx_wrong_magic(path, magic)
    sizes = content.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise errors.idx_wrong_size(path, 4 * axes, len(sizes))
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, 4 * axes, 4))
    asked = math.prod(shape)
    if need is not None and asked > math.prod(need):
        raise errors.idx_wrong_shape(path, _words(need), shape)
    raw = bytearray()
    while len(raw) <= asked:
        part = content.read(min(asked + 1 - len(raw), CHUNK))
        if not part:
            break
        raw += part
    if len(raw) != asked:
        raise errors.idx_wrong_size(path, asked, len(raw))
    if need is not None and shape != need:
        raise errors.idx_wrong_shape(path, _words(need), shape)
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape)

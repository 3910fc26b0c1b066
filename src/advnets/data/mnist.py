"""MNIST in the paper's split: 50,000 training, 10,000 validation and 10,000 test images.

The four IDX files, gzipped or not, come from a folder of the user (`root`, or the environment
variable `ADVNETS_DATA`), or are downloaded into the user's cache and verified. Keras's `mnist.npz`
is read too. Pixels are divided by 255; they stay real numbers in [0, 1].

Other sets of the format have a name of their own (`like_mnist`). Other data under MNIST's names is
read too, but unless it is MNIST byte by byte, every score on it says so.

Reference: LeCun et al. (1998); goodfeli/adversarial, `mnist.yaml`: the first 50,000 training images
    train, the rest validate.
"""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import pooch
import torch

from advnets.base import errors
from advnets.base.config import RESUMABLE, expanded
from advnets.base.files import open_regular
from advnets.data import archives, like_mnist
from advnets.data.downloads import ENVIRONMENT, fetch
from advnets.data.idx import HINT, UNSIGNED, Bytes, is_there, read_idx
from advnets.data.idx import idx_path as _path
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
"""SHA-256 of the uncompressed files."""
SIDE, DIGITS = 28, 10
PARTS = {"train": 60_000, "t10k": 10_000}
"""Images of each part; as many of the last training images as test images are for validation."""
KERAS = "mnist.npz"
Name = Literal[
    "mnist", "fashion-mnist", "kmnist", "emnist-digits", "emnist-letters", "emnist-balanced"
]


@dataclass(frozen=True, kw_only=True)
class MnistConfig(DataConfig):
    """MNIST, or a set of the same format, from its four IDX files."""

    kind: ClassVar[str] = "mnist"

    name: Name = "mnist"
    """The set: 'mnist', 'fashion-mnist', 'kmnist' or a part of EMNIST: 'emnist-digits',
    'emnist-letters' or 'emnist-balanced'."""
    root: str | None = field(default=None, metadata=RESUMABLE)
    """Folder of the IDX files, or Keras's mnist.npz; without it $ADVNETS_DATA, then a checked
    download to your cache."""

    def __post_init__(self) -> None:
        errors.one_of(get_args(Name), name=self.name)


def load(config: MnistConfig, *, seed: int) -> Splits:
    """Read MNIST, in its original order; the seed has no effect.

    Returns:
        Images of shape `(n, 1, 28, 28)` in [0, 1], with their labels. As many of the last training
        images as there are test images are for validation.

    Raises:
        BadFile: For a file that is missing, truncated, no IDX file, of another size, or with labels
            above 9; for a download that fails.
    """
    if config.name != "mnist":
        packed = config.root is not None and expanded(config.root).suffix == ".npz"
        need = f"the folder of the IDX files of {config.name}; a .npz is read for mnist alone"
        errors.require(not packed, "data.root", need, config.root)
        found = like_mnist.load(config.name, config.root)
        labels = torch.cat([found.train.context, found.validation.context])  # type: ignore[list-item]
        if _content(labels.to(torch.uint8).numpy()) == CONTENT["train-labels"]:
            place = config.root or os.environ.get(ENVIRONMENT)
            raise errors.BadFile(f"{place}: must hold {config.name}, got MNIST itself.")
        return found
    if config.root and is_there(npz := _npz(config.root)):
        return _splits(npz, dict(_of_keras(npz)))
    folder = find(config.root) if config.root or os.environ.get(ENVIRONMENT) else download()
    packs = {part: _contents(folder, part, n) for part, n in PARTS.items()}
    return _splits(folder, packs)


def _splits(source: Path, packs: dict[str, tuple[Bytes, Bytes]]) -> Splits:
    """The paper's split of the images and labels of each part."""
    train, test = (_split(*pack) for pack in packs.values())
    odd = [name for part, pack in packs.items() for name in _not_mnist(part, *pack)]
    return Splits(
        train.take(slice(0, len(train) - len(test))),
        train.take(slice(len(train) - len(test), None)),
        test,
        notice=_other_data(source, odd) if odd else "",
    )


def _npz(root: str) -> Path:
    """Where Keras's file is, if it is there: the path itself, or in the folder."""
    path = expanded(root)
    return path / KERAS if path.is_dir() else path


def _of_keras(path: Path) -> Iterator[tuple[str, tuple[Bytes, Bytes]]]:
    """The images and labels of each part in Keras's `mnist.npz`."""
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            raise errors.BadFile(f"{path}: must be the folder of the IDX files, or {KERAS}.")
        arrays = archives.read_members(path, file, ("x_train", "y_train", "x_test", "y_test"))
    for (part, n), end in zip(PARTS.items(), ("train", "test"), strict=True):
        x, y = arrays[f"x_{end}"], arrays[f"y_{end}"]
        for name, array, shape in (("x", x, (n, SIDE, SIDE)), ("y", y, (n,))):
            if array.dtype.kind not in "ui" or array.shape != shape:
                got = f"{array.dtype} of shape {array.shape}"
                need = f"{name}_{end}, whole numbers of shape {shape}"
                raise errors.BadFile(f"{path}: must hold {need}, got {got}.")
        wrong = (y < 0) | (y >= DIGITS)
        if wrong.any():
            raise errors.BadFile(f"{path}: must hold labels from 0 to 9, got {int(y[wrong][0])}.")
        yield part, (x.astype(np.uint8), y.astype(np.uint8))


def _other_data(folder: Path, odd: list[str]) -> str:
    """The notice beside every score on other data under MNIST's names."""
    files = "file does" if len(odd) == 1 else "files do"
    return (
        f"not MNIST: in {folder.resolve().name}, the {', '.join(odd)} {files} not hold the "
        "published bytes; nothing published on MNIST compares with scores on it."
    )


def find(root: str | None) -> Path:
    """The folder with the IDX files: the one named, or the usual places below it."""
    top = expanded(root or os.environ[ENVIRONMENT])
    for folder in (top, top / "mnist", top / "MNIST" / "raw"):
        if is_there(_path(folder, "train-images-idx3-ubyte")):
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


def cached() -> Path | None:
    """The folder of an earlier `download`; None where there is none."""
    folder = Path(pooch.os_cache("advnets")) / "mnist"
    return folder if all((folder / name).is_file() for name in MD5) else None


def _contents(folder: Path, part: str, n: int) -> tuple[Bytes, Bytes]:
    """The images and labels of one part."""
    images = read_idx(_path(folder, f"{part}-images-idx3-ubyte"), (n, SIDE, SIDE))
    path = _path(folder, f"{part}-labels-idx1-ubyte")
    labels = read_idx(path, (n,))
    wrong = np.flatnonzero(labels >= DIGITS)
    if len(wrong):
        raise errors.BadFile(
            f"{path}: must hold labels from 0 to 9, got {int(labels[wrong[0]])}, first of image "
            f"{int(wrong[0])}."
        )
    return images, labels


def _not_mnist(part: str, images: Bytes, labels: Bytes) -> Iterator[str]:
    """The files of a part whose bytes differ from the published ones."""
    for name, array in ((f"{part}-images", images), (f"{part}-labels", labels)):
        if _content(array) != CONTENT[name]:
            yield name


def _content(array: Bytes) -> str:
    """SHA-256 of an uncompressed IDX file of this array."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    content = hashlib.sha256(bytes([0, 0, UNSIGNED, array.ndim]) + sizes)
    content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def _split(images: Bytes, labels: Bytes) -> Split:
    x = torch.from_numpy(images).float().div_(255).unsqueeze(1)
    return Split(x, torch.from_numpy(labels).long())


def _read(folder: Path, part: str, n: int) -> Split:
    return _split(*_contents(folder, part, n))

"""Sets in MNIST's format: Fashion-MNIST, KMNIST, and EMNIST's digits, letters and balanced set.

As MNIST they are read from a folder of the user, or downloaded into the user's cache and verified.
EMNIST's files hold each picture transposed, and its letters are labelled 1 to 26; both are undone.

Reference: Xiao et al. (2017), Fashion-MNIST; Clanuwat et al. (2018), Deep Learning for Classical
    Japanese Literature; Cohen et al. (2017), EMNIST: an extension of MNIST to handwritten letters.
    Checksums: the packages' own pages, as torchvision has them.
"""

import os
import string
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
import torch

from advnets.base import errors, files
from advnets.base.config import expanded
from advnets.data.downloads import ENVIRONMENT, fetch
from advnets.data.idx import HINT, Bytes, idx_path, is_there, read_idx
from advnets.data.splits import Split, Splits

SIDE = 28
BALANCED = sorted({*string.digits, *string.ascii_letters} - {*"cijklmopsuvwxyz"})
"""EMNIST's classes where small letters that look like capital ones are merged with them."""


class Published(NamedTuple):
    """A published set."""

    folders: tuple[str, ...]
    """Where it may lie below the user's folder."""
    parts: tuple[str, str]
    """What the names of its training and test files begin with."""
    sizes: tuple[int, int]
    """Training and test images."""
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    md5: dict[str, str]
    """Checksums of the files at the mirrors: the four files, or a zip of them."""
    first: int = 0
    """The label of the first class."""
    transposed: bool = False


_EMNIST_MD5 = {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"}


def _emnist(name: str, sizes: tuple[int, int], classes: str, first: int = 0) -> Published:
    return Published(
        ("emnist", "EMNIST/raw", "gzip", "emnist/gzip"),
        (f"emnist-{name}-train", f"emnist-{name}-test"),
        sizes,
        tuple(classes),
        ("https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",),
        _EMNIST_MD5,
        first,
        transposed=True,
    )


_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
SETS = {
    "fashion-mnist": Published(
        ("fashion-mnist", "FashionMNIST/raw"),
        ("train", "t10k"),
        (60_000, 10_000),
        tuple(_FASHION.split(",")),
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "kmnist": Published(
        ("kmnist", "KMNIST/raw"),
        ("train", "t10k"),
        (60_000, 10_000),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        {
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        },
    ),
    "emnist-digits": _emnist("digits", (240_000, 40_000), string.digits),
    "emnist-letters": _emnist("letters", (124_800, 20_800), string.ascii_lowercase, first=1),
    "emnist-balanced": _emnist("balanced", (112_800, 18_800), "".join(BALANCED)),
}


def load(name: str, root: str | None) -> Splits:
    """Read a set by its name.

    Args:
        name: One of `SETS`.
        root: The user's folder; without it `$ADVNETS_DATA`, then a download.

    Returns:
        Images of shape `(n, 1, 28, 28)` in [0, 1], with their labels from 0 and the names of the
        classes. As many of the last training images as there are test images are for validation.

    Raises:
        BadFile: For a file that is missing, damaged, of another size, or with another label; for a
            download that fails.
    """
    known = SETS[name]
    place = root or os.environ.get(ENVIRONMENT)
    folder = _find(expanded(place), known) if place else download(name)
    train, test = (_part(folder, *of, known) for of in zip(known.parts, known.sizes, strict=True))
    n = len(train) - len(test)
    return Splits(train.take(slice(0, n)), train.take(slice(n, None)), test, classes=known.classes)


def download(name: str, mirrors: tuple[str, ...] | None = None, cache: Path | None = None) -> Path:
    """Fetch a set into the user's cache, unless it is there, and check every byte.

    Args:
        name: One of `SETS`.
        mirrors: Addresses to try, in this order; the published ones by default.
        cache: Where to keep the files; the user's cache folder by default.

    Raises:
        BadFile: When no mirror answers, or a checksum is wrong; then nothing is kept.
    """
    known = SETS[name]
    folder = cache or Path(pooch.os_cache("advnets")) / known.folders[0]
    for file, md5 in known.md5.items():
        path = fetch(file, (f"md5:{md5}",), mirrors or known.mirrors, folder)
        if path.suffix == ".zip":
            _unpack(path, folder, known)
    return folder


def _unpack(path: Path, folder: Path, known: Published) -> None:
    """Put the four files of a set beside the verified zip that holds them."""
    names = [f"{part}-{rest}.gz" for part in known.parts for rest in _RESTS]
    with zipfile.ZipFile(path) as archive:
        members = {Path(member).name: member for member in archive.namelist()}
        for name in names:
            if is_there(folder / name):
                continue
            if name not in members:
                raise errors.BadFile(f"{path}: has no {name} in it; {HINT}.")
            files.write_atomically(folder / name, archive.read(members[name]))


_RESTS = ("images-idx3-ubyte", "labels-idx1-ubyte")


def _find(top: Path, known: Published) -> Path:
    """The folder with the IDX files: a usual place below the one named, or that one."""
    first = f"{known.parts[0]}-{_RESTS[0]}"
    for folder in (*(top / name for name in known.folders), top):
        if is_there(idx_path(folder, first)):
            return folder
    raise errors.missing_file(top / f"{first}.gz", HINT)


def _part(folder: Path, part: str, n: int, known: Published) -> Split:
    """The images and labels of one part."""
    images = read_idx(idx_path(folder, f"{part}-{_RESTS[0]}"), (n, SIDE, SIDE))
    path = idx_path(folder, f"{part}-{_RESTS[1]}")
    labels = read_idx(path, (n,)).astype(np.int64) - known.first
    wrong = np.flatnonzero((labels < 0) | (labels >= len(known.classes)))
    if len(wrong):
        last = known.first + len(known.classes) - 1
        raise errors.BadFile(
            f"{path}: must hold labels from {known.first} to {last}, got "
            f"{int(labels[wrong[0]]) + known.first}, first of image {int(wrong[0])}."
        )
    return Split(_pixels(images, known), torch.from_numpy(labels))


def _pixels(images: Bytes, known: Published) -> torch.Tensor:
    x = torch.from_numpy(images)
    x = x.transpose(1, 2).contiguous() if known.transposed else x
    return x.float().div_(255).unsqueeze(1)

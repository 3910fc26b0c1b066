"""The Toronto Face Database: 48 x 48 grey faces, in five folds of validation and test images.

`TFD_48x48.mat` holds `images` (N, 48, 48), bytes; `folds` (N, 5), the use of each image in each
fold: unlabelled (0), training (1), validation (2) or test (3); `labs_ex`, the expression, from 1 to
7, and -1 where it is not known; `labs_id`, which is not read. It is not public; users name their
file. Pixels are divided by 255.

Reference: Susskind, Anderson and Hinton (2010), The Toronto Face Database; pylearn2,
    `datasets/tfd.py`; goodfeli/adversarial, `tfd_pretrain/train.yaml`, which trains on the
    unlabelled images.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.config import RESUMABLE, expanded
from advnets.base.files import open_regular
from advnets.data.mat import refuse_larger_than_headers
from advnets.data.splits import DataConfig, Split, Splits

Train = Literal["unlabelled", "labelled"]
UNLABELLED, TRAIN, VALIDATION, TEST = range(4)
FOLDS = 5
SIDE = 48
NUMBERS = {"double", "single", "logical"} | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
"""Names of numeric arrays in MATLAB."""
MOST = 2**30
"""Largest number of values in an array of the file: four times that of the database."""
IMAGES = 112_000
"""Approximate number of images of the database; a file that deviates by 10% is another one."""


@dataclass(frozen=True, kw_only=True)
class TfdConfig(DataConfig):
    """The Toronto Face Database from its MATLAB file."""

    kind: ClassVar[str] = "tfd"

    path: str = field(default="", metadata=RESUMABLE)
    """The file `TFD_48x48.mat`."""
    fold: int = 0
    """The fold of the validation and test images, from 0 to 4."""
    train: Train = "unlabelled"
    """The training images: 'unlabelled', as in the authors' run, or the fold's 'labelled' ones,
    with their expressions."""

    def __post_init__(self) -> None:
        need = f"from 0 to {FOLDS - 1}"
        errors.require(0 <= self.fold < FOLDS, "fold", need, self.fold)
        errors.one_of(get_args(Train), train=self.train)


@dataclass(frozen=True)
class Faces:
    """The content of the file.

    Attributes:
        path: The file.
        images: Bytes, of shape `(N, 48, 48)`.
        folds: Use of each image in each fold, of shape `(N, folds)`.
        expressions: From 1 to 7, of shape `(N,)`; -1 where it is not known.
    """

    path: Path
    images: Tensor
    folds: Tensor
    expressions: Tensor

    def split(self, fold: int, part: int, *, labels: bool = False) -> Split:
        """The images of one use in a fold, `(n, 1, 48, 48)` in [0, 1].

        Raises:
            BadFile: When the file has no such fold, or the fold no such image.
        """
        if fold >= self.folds.shape[1]:
            got = f"'folds' of shape {tuple(self.folds.shape)}"
            raise errors.bad_array_file(self.path, f"a file with fold {fold}", got)
        rows = (self.folds[:, fold] == part).nonzero()[:, 0]
        if not len(rows):
            name = ("unlabelled", "training", "validation", "test")[part]
            need = f"a file with {name} images ({part} in 'folds') in fold {fold}"
            raise errors.bad_array_file(self.path, need, "none")
        x = self.images[rows].float().div_(255).unsqueeze(1)
        return Split(x, self.expressions[rows] - 1 if labels else None)

    def splits(self, fold: int, train: Train = "unlabelled") -> Splits:
        """The three parts of a fold."""
        labels = train == "labelled"
        return Splits(
            self.split(fold, TRAIN if labels else UNLABELLED, labels=labels),
            self.split(fold, VALIDATION, labels=labels),
            self.split(fold, TEST, labels=labels),
            notice=self.notice,
        )

    def refuse_leaks(self, fold: int) -> None:
        """Raise `BadFile` where an image is unlabelled in fold 0 and held out in this fold.

        Also where an image is in two parts of this fold. Images are equal where their pixels are.
        """
        unlabelled = self._pictures[self.folds[:, 0] == UNLABELLED]
        validation, test = (self._pictures[self.folds[:, fold] == p] for p in (VALIDATION, TEST))
        for held, other, words in (
            (torch.cat((validation, test)), unlabelled, "that is unlabelled in fold 0"),
            (validation, test, "both for validation and for the test"),
        ):
            leaks = int(torch.isin(held, other).sum())
            if leaks:
                need = f"a file whose fold {fold} holds out no image {words}"
                raise errors.bad_array_file(self.path, need, f"{leaks} of them")

    @cached_property
    def _pictures(self) -> Tensor:
        """A number for each image, `(N,)`: the same where the pixels are the same."""
        numbers: dict[bytes, int] = {}
        digests = (hashlib.sha256(x.numpy().data).digest() for x in self.images)
        return torch.tensor([numbers.setdefault(d, len(numbers)) for d in digests])

    @property
    def notice(self) -> str:
        """The notice beside every score on these faces; empty for the database itself."""
        n = len(self.images)
        if abs(n - IMAGES) <= IMAGES / 10:
            return ""
        return (
            f"not TFD: {self.path.name} holds {n:,} images, the Toronto Face Database about "
            f"{IMAGES:,}; nothing published compares with scores on it."
        )


def load(config: TfdConfig, *, seed: int) -> Splits:
    """Read one fold of the database; the seed has no effect.

    Returns:
        Images of shape `(n, 1, 48, 48)` in [0, 1].

    Raises:
        BadFile: For a file that is missing, damaged, of another layout or MATLAB's version 7.3;
            without the fold, or any image of a part of it.
        BadValue: Without a path.
    """
    errors.require(bool(config.path), "data.path", "the file TFD_48x48.mat", "nothing")
    return read(expanded(config.path)).splits(config.fold, config.train)


def read(path: Path) -> Faces:
    """The whole file. Raises `BadFile` as `load`."""
    arrays = _arrays(path)
    images, folds = arrays["images"], arrays["folds"]
    n = len(images)
    _require(path, "images", f"bytes of shape (N, {SIDE}, {SIDE})", images, (n, SIDE, SIDE), "u")
    width = folds.shape[1] if folds.ndim == 2 else 0
    _require(path, "folds", f"integers of shape ({n}, {FOLDS})", folds, (n, max(width, 1)), "iu")
    if n and not (0 <= folds.min() <= folds.max() <= TEST):
        got = f"values from {folds.min()} to {folds.max()}"
        raise errors.bad_array_file(path, f"a file with 'folds' from 0 to {TEST}", got)
    expressions = arrays["labs_ex"].reshape(-1)
    _require(path, "labs_ex", f"integers of shape ({n}, 1)", expressions, (n,), "iu")
    return Faces(
        path,
        torch.from_numpy(np.ascontiguousarray(images)),
        torch.from_numpy(folds.astype(np.uint8)),
        torch.from_numpy(expressions.astype(np.int64)),
    )


def _require(path: Path, name: str, need: str, x: Any, shape: tuple[int, ...], kinds: str) -> None:
    bytes_only = kinds == "u" and x.dtype != np.uint8
    if x.shape != shape or x.dtype.kind not in kinds or bytes_only:
        got = f"{x.dtype} of shape {x.shape}"
        raise errors.bad_array_file(path, f"a file with '{name}', {need}", got)


def _refuse_nested(path: Path, names: Sequence[str], listed: Sequence[tuple[Any, ...]]) -> None:
    """Raise unless all arrays are numeric, by their headers alone.

    Cells and structures can be nested: scipy reads them by recursion in C, and deep nesting kills
    the process.
    """
    for name, shape, kind in listed:
        if name in names and (kind not in NUMBERS or math.prod(shape) > MOST):
            got = f"'{name}', of kind {kind} and shape {shape!s:.60}"
            raise errors.bad_array_file(path, f"a MATLAB file with an array '{name}'", got)


def _arrays(path: Path) -> dict[str, Any]:
    from scipy import io

    names = ("images", "folds", "labs_ex")
    with open_regular(path, missing="give the file TFD_48x48.mat") as file:
        try:
            head = file.read(128)
            if head.startswith((b"MATLAB 7.3", b"\x89HDF")):
                need = "a MATLAB file of version 7 or before (in MATLAB: save -v7)"
                raise errors.bad_array_file(path, need, "version 7.3, which is HDF5")
            refuse_larger_than_headers(file)
            file.seek(0)
            _refuse_nested(path, names, io.whosmat(file, appendmat=False))
            file.seek(0)
            found: dict[str, Any] = io.loadmat(file, appendmat=False, variable_names=names)
        except errors.UserError:
            raise
        except Exception as error:  # the parser meets foreign bytes with whatever they lead it to
            need = "a MATLAB file with 'images', 'folds' and 'labs_ex'"
            raise errors.bad_array_file(path, need, f"one that cannot be read ({error})") from None
    for name in names:
        if not isinstance(found.get(name), np.ndarray) or not found[name].ndim:
            need = f"a MATLAB file with an array '{name}'"
            raise errors.bad_array_file(path, need, "none")
    return found

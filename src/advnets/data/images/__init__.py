"""A user's folder or zip of pictures, with or without classes.

Pictures are listed (`listing`), given a split and a class (`layout`, `tables`), decoded by fixed
rules (`decoding`) and cached once as an array of bytes (`cache`), of which only the rows of a
minibatch are read. Pixels are divided by 255. `summary` describes what was read in one line.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import pooch
import torch
from rich.console import Console

from advnets.base import errors
from advnets.base.config import RESUMABLE, expanded
from advnets.base.distributed import get_rank
from advnets.base.files import open_regular
from advnets.base.progress import Lines
from advnets.base.rng import generator
from advnets.data.images.cache import Cache, Rules, find_or_build
from advnets.data.images.decoding import Look
from advnets.data.images.sources import Folder, Source
from advnets.data.images.summary import summary
from advnets.data.images.zipped import Zip
from advnets.data.mapped import Mapped, read_header
from advnets.data.splits import DataConfig, Split, Splits, hold_out, split


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(DataConfig):
    """Pictures in a folder or a zip: PNG, JPEG, WebP and what else Pillow reads."""

    kind: ClassVar[str] = "images"

    path: str = field(default="", metadata=RESUMABLE)
    """The folder or zip. Sub-folders are classes, or a labels.csv names them; train/, test/ and
    validation/ (or training/, testing/, valid/, val/, dev/) at the top are splits."""
    size: int | str = 32
    """Pixels on a side, or HEIGHTxWIDTH such as 48x64: the largest centred rectangle of that shape
    is cut from each picture and resized to it."""
    grey: bool = False
    """Whether pictures have one channel, grey, instead of three."""
    smallest: int = 8
    """A picture whose shorter side has fewer pixels is not used."""
    labels: Literal["auto", "none"] = "auto"
    """Whether to search for classes."""
    splits: Literal["auto", "none"] = "auto"
    """Whether to search for splits; with 'none', train/ and test/ are folders like others."""
    unreadable: Literal["skip", "refuse"] = field(default="skip", metadata=RESUMABLE)
    """What happens to a picture that is damaged, animated, too small or too large, a link, or
    outside splits and classes: it is left out, or the run is refused."""
    validation: float = 0.1
    """Share of the pictures held out for validation, where there is no validation/."""
    test: float = 0.1
    """Share of the pictures held out for the test, where there is no test/."""
    cache: str | None = field(default=None, metadata=RESUMABLE)
    """Folder of the decoded pictures; one in your cache folder by default."""

    def __post_init__(self) -> None:
        sides(self.size)
        errors.at_least(1, smallest=self.smallest)
        for name in ("validation", "test"):
            v = getattr(self, name)
            errors.require(0 < v < 1, name, "above 0 and below 1", v)


def sides(size: int | str) -> int | tuple[int, int]:
    """Pixels on a side; height and width where they differ.

    Raises:
        BadValue: For less than one pixel, and for words of another form.

    Example:
        >>> sides(32), sides("48x64"), sides("32x32")
        (32, (48, 64), 32)
    """
    if isinstance(size, int):
        errors.at_least(1, size=size)
        return size
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", size)
    if match is None:
        need = "pixels on a side, such as 32, or HEIGHTxWIDTH, such as 48x64"
        raise errors.bad_value("size", need, errors.short(size, 40))
    height, width = int(match[1]), int(match[2])
    errors.at_least(1, size=min(height, width))
    return height if height == width else (height, width)


def load(config: ImagesConfig, *, seed: int) -> Splits:
    """Read a folder or zip of pictures: from the cache, which is built the first time.

    Returns:
        Pictures of shape `(n, 3, height, width)` (grey: `(n, 1, height, width)`) in [0, 1], left in
        the cache, with their labels where they have classes. Splits that the source does not have
        are drawn at random, class by class.

    Raises:
        BadFile: For a source that is missing, damaged, without pictures, or hostile.
        CannotWrite: When the cache cannot be written.
    """
    need = "the folder or zip of pictures to train on"
    errors.require(bool(config.path), "data.path", need, "nothing")
    cache, others = _found(config)
    with open_regular(cache.images) as file:
        header = read_header(file)
        assert header is not None
        x = Mapped(cache.images, file, header)
    labels = cache.labels()
    data = Split(x, None if labels is None else torch.from_numpy(labels))
    splits = _splits(config, data, cache, seed)
    reading = summary(Path(config.path), cache, splits, others)
    return replace(splits, classes=cache.classes, reading=reading)


def cached(config: ImagesConfig) -> Cache:
    """The decoded pictures of a source, decoded now where they are not yet."""
    return _found(config)[0]


def _found(config: ImagesConfig) -> tuple[Cache, int]:
    """The decoded pictures of a source, and its number of files that are no pictures."""
    root = expanded(config.cache) if config.cache else Path(pooch.os_cache("advnets"))
    rules = Rules(
        look=Look(size=sides(config.size), grey=config.grey, smallest=config.smallest),
        labels=config.labels == "auto",
        splits=config.splits == "auto",
        refuse=config.unreadable == "refuse",
    )
    with opened(expanded(config.path)) as source:
        return find_or_build(source, root if config.cache else root / "images", rules, say=_say)


def _say(text: str) -> None:
    if get_rank().first:
        Lines(Console(stderr=True)).say(text)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """A folder or a zip, for reading. Raises `BadFile` for anything else."""
    if path.is_dir():
        yield Folder(path)
        return
    if not path.exists():
        raise errors.BadFile(f"{path}: no such folder or zip; give the pictures with --data.path.")
    with open_regular(path, missing="give the pictures with --data.path") as file:
        yield Zip(path, file)


def _splits(config: ImagesConfig, data: Split, cache: Cache, seed: int) -> Splits:
    """The source's own splits; what it does not have is cut from its training pictures."""
    n_train, n_validation, n_test = cache.examples
    train = _part(data, 0, n_train)
    validation = _part(data, n_train, n_train + n_validation)
    test = _part(data, n_train + n_validation, len(data))
    if not n_validation and not n_test:
        shares = {"validation": config.validation, "test": config.test}
        drawn = split(train, **shares, seed=seed, order="file")
        train, validation, test = drawn.train, drawn.validation, drawn.test
    elif not n_validation:
        train, validation = hold_out(train, config.validation, seed=seed)
    elif not n_test:
        train, test = hold_out(train, config.test, seed=seed)
    return Splits(train, _mixed(validation), _mixed(test))


def _part(data: Split, start: int, end: int) -> Split:
    """Some of the pictures; without labels where the source names none for them."""
    part = data.take(slice(start, end))
    unlabelled = part.context is not None and bool((part.context < 0).any())
    return Split(part.x) if unlabelled else part


def _mixed(part: Split) -> Split:
    """The same examples in an order of which the first n are a fair draw, not the first class."""
    return part.take(torch.randperm(len(part), generator=generator(0, "mixed")))

"""IDX files, the format of MNIST and of the sets that follow it.

Reference: LeCun et al. (1998), http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from advnets.base import errors
from advnets.base.files import open_regular
from advnets.data.downloads import ENVIRONMENT

UNSIGNED, MOST_AXES = 0x08, 32
GZIP = bytes.fromhex("1f8b")
CHUNK = 2**20
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
HINT = f"--data.root or ${ENVIRONMENT} must be the folder of the four IDX files"


def is_there(path: Path) -> bool:
    """Whether something that is no folder lies there."""
    return path.exists() and not path.is_dir()


def idx_path(folder: Path, name: str) -> Path:
    """The file as published, gzipped or not; the gzipped name where there is neither.

    It may lie in a folder of the same name, as in Kaggle's copies.
    """
    dotted = name.replace("-idx", ".idx")
    names = (f"{name}.gz", name, dotted, f"{dotted}.gz")
    for place in (folder, *(folder / each for each in names)):
        for path in (place / each for each in names):
            if is_there(path):
                return path
    return folder / f"{name}.gz"


def read_idx(path: Path, shape: tuple[int, ...] | None = None) -> Bytes:
    """An IDX file of unsigned bytes, gzipped or not.

    The format: a big-endian magic `0x000008NN` with NN dimensions, NN sizes of 4 bytes each, then
    the bytes. At most one byte more than the header asks for is unpacked.

    Args:
        path: The file.
        shape: The required shape; any by default.

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
        raise errors.BadFile(
            f"{path}: must be an IDX file of unsigned bytes (magic 0x000008NN), got magic "
            f"{magic:#010x}."
        )
    sizes = content.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise _idx_wrong_size(path, 4 * axes, len(sizes))
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, 4 * axes, 4))
    asked = math.prod(shape)
    if need is not None and asked > math.prod(need):
        raise _idx_wrong_shape(path, _words(need), shape)
    raw = bytearray()
    while len(raw) <= asked:
        part = content.read(min(asked + 1 - len(raw), CHUNK))
        if not part:
            break
        raw += part
    if len(raw) != asked:
        raise _idx_wrong_size(path, asked, len(raw))
    if need is not None and shape != need:
        raise _idx_wrong_shape(path, _words(need), shape)
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape)


def _idx_wrong_shape(path: Path, need: str, got: tuple[int, ...]) -> errors.BadFile:
    """An IDX file of another number or size of images."""
    return errors.BadFile(f"{path}: must hold {need}, got shape {got}.")


def _idx_wrong_size(path: Path, need: int, got: int) -> errors.BadFile:
    """An IDX file that is shorter or longer than its header says."""
    what, more = ("truncated", "") if got < need else ("too long", "at least ")
    return errors.BadFile(
        f"{path}: {what}: its header asks for {need} bytes of data, got {more}{got}."
    )

"""Reading of `.npy` and `.npz` files, which may be damaged or malicious.

Nothing is unpickled, and no more is read than a header asks for. numpy's reader is not used: it
returns a member that is no array as bytes, picks one of two with the same name, and unpacks any
amount.
"""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from advnets.base import errors
from advnets.data.mapped import Array, Header, read_header

NUMBERS = "a .npy or .npz file of numbers"
ENCRYPTED = 0x1
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""The compression methods of `numpy.savez` and `numpy.savez_compressed`."""


def read_npy(path: Path, file: IO[bytes], size: int) -> Array:
    """The array in a `.npy` file, or in a member of an archive.

    Args:
        path: For errors.
        file: The file, from its beginning.
        size: Its size in bytes.

    Raises:
        BadFile: For another kind of file, one that is too short, or objects instead of numbers.
        DamagedHeader: For a header that is damaged.
    """
    header = read_header(file)
    if header is None:
        got = "a file of another kind (numpy.save writes such files)"
        raise errors.bad_array_file(path, NUMBERS, got)
    if header.dtype.hasobject:
        raise errors.bad_array_file(path, NUMBERS, "an array of Python objects")
    if size < header.end:
        got = f"{size} bytes, where its header asks for {header.end}"
        raise errors.bad_array_file(path, NUMBERS, got)
    return _numbers(file.read(header.end - header.offset), header)


def _numbers(raw: bytes, header: Header) -> Array:
    array: Array = np.ndarray(
        header.shape, header.dtype, buffer=raw, order="F" if header.fortran else "C"
    )
    return array


def read_npz(path: Path, file: IO[bytes]) -> tuple[Array, Array | None]:
    """The array `x` of an archive, or its only one, and the array `y` where there is one."""
    with zipfile.ZipFile(file) as archive:
        members = _members(path, archive)
        if "x" not in members and len(members) != 1:
            got = list(members)[:20]
            raise errors.bad_array_file(path, "an archive with an array named 'x'", got)
        x = _member(path, archive, members["x" if "x" in members else next(iter(members))])
        return x, _member(path, archive, members["y"]) if "y" in members else None


def read_members(path: Path, file: IO[bytes], names: Iterable[str]) -> dict[str, Array]:
    """The arrays of these names in an archive.

    Raises:
        BadFile: Where one is not there, or cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(path, archive)
            for name in names:
                if name not in members:
                    need = f"an archive with an array named '{name}'"
                    raise errors.bad_array_file(path, need, list(members)[:20])
            return {name: _member(path, archive, members[name]) for name in names}
    except errors.DamagedHeader as error:
        raise errors.bad_array_file(path, NUMBERS, error) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise errors.bad_array_file(path, NUMBERS, f"a damaged one ({error})") from None


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members of an archive by the names of their arrays."""
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    for name in names:
        if names.count(name) > 1:
            got = f"two arrays named '{name[:40]}'"
            raise errors.bad_array_file(path, "an archive of arrays with different names", got)
    return dict(zip(names, archive.infolist(), strict=True))


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    if member.flag_bits & ENCRYPTED:
        raise errors.encrypted_zip(path, member.filename)
    if member.compress_type not in METHODS:
        got = f"one compressed by method {member.compress_type}"
        raise errors.bad_array_file(path, "an archive as numpy.savez writes it", got)
    with archive.open(member) as file:
        return read_npy(path, file, member.file_size)

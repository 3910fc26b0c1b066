"""Opening a file that a user names: a regular file, or one line that says what it is instead.

A named pipe keeps its reader waiting for ever, and a device such as /dev/zero has no end.
"""

import errno
import os
import stat
from pathlib import Path
from typing import IO

from advnets import checks

_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path, *, missing: str) -> IO[bytes]:
    """Open a file for reading; it is the caller's to close.

    Args:
        path: The file; symbolic links are followed.
        missing: What to do where there is none, for the error.

    Raises:
        BadFile: For a file that is missing, cannot be opened, or is no regular file.
    """
    try:
        _refuse_others(path, path.stat().st_mode)  # opening a device may already do something
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | _NO_WAITING)
    except FileNotFoundError:
        raise checks.missing_file(path, missing) from None
    except OSError as error:
        raise checks.unreadable(path, error) from None
    except ValueError as error:  # a NUL in its name
        raise checks.unreadable(path, OSError(str(error))) from None
    file = os.fdopen(handle, "rb")
    try:
        _refuse_others(path, os.fstat(handle).st_mode)  # it may have been replaced meanwhile
    except checks.UserError:
        file.close()
        raise
    return file


def _refuse_others(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise checks.unreadable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not stat.S_ISREG(mode):
        raise checks.no_regular_file(path, _KINDS.get(stat.S_IFMT(mode), "something else"))

"""Reading and writing files so that nothing is lost, and nothing outside the folder is touched.

A file is written under a unique name in the same folder, never through a link, and renamed when it
is complete. While it is written it is locked: that distinguishes files that a killed process left
from files that another command is writing. Only regular files are read.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from advnets.base import errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ASIDE = ".part."
"""What the name of a file begins with while it is being written."""
_DRAWN = "[0-9a-f]{16}"
"""The random part of such a name."""
_OURS = re.compile(re.escape(ASIDE) + rf".*\.{_DRAWN}(\.[^.]*)?", re.DOTALL)
_OLD = re.compile(
    re.escape(ASIDE)
    + r"(\d+\.png|(\d+|best)\.safetensors|(metrics|clock)\.jsonl|evaluation\.\w+|config\.toml)"
)
"""What versions before this one left."""
NO_LINK: int = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
NO_WAIT: int = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A FIFO is opened without waiting for its other end, so that it can be refused."""


# Reading


def open_regular(path: Path, *, missing: str = "") -> IO[bytes]:
    """Open a file for reading; the caller closes it.

    Args:
        path: The file; symbolic links are followed.
        missing: What to do where there is none, for the error.

    Raises:
        BadFile: For a file that is missing, cannot be opened, or is no regular file.
    """
    try:
        _refuse_others(path, path.stat().st_mode)  # opening a device may already do something
        handle = os.open(path, os.O_RDONLY | NO_WAIT)
    except FileNotFoundError:
        raise errors.missing_file(path, missing or "give the path of a file") from None
    except OSError as error:
        raise errors.unreadable(path, error) from None
    except ValueError as error:  # a NUL in its name
        raise errors.unreadable(path, OSError(str(error))) from None
    file = os.fdopen(handle, "rb")
    try:
        _refuse_others(path, os.fstat(handle).st_mode)  # it may have been replaced meanwhile
    except errors.UserError:
        file.close()
        raise
    return file


def read(path: Path, *, most: int | None = None) -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file; a link to one is followed.
        most: Bytes that it may have.

    Raises:
        BadFile: When it cannot be read, is a device or a folder, or is larger.
    """
    try:
        with open_regular(path) as file:
            if most is None:
                return file.read()
            size = os.fstat(file.fileno()).st_size
            raw = file.read(size + 1) if size <= most else b""  # it may grow meanwhile
    except OSError as error:
        if isinstance(error, errors.UserError):
            raise
        raise errors.unreadable(path, error) from None
    if max(size, len(raw)) > most:
        raise errors.BadFile(
            f"{path}: must have at most {most:,} bytes, got {max(size, len(raw)):,}."
        )
    return raw


def _refuse_others(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise errors.unreadable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not stat.S_ISREG(mode):
        raise _not_a_file(path, kind(mode))


def kind(mode: int) -> str:
    """What a path is that is no regular file, in words."""
    kinds = {
        stat.S_ISREG: "a file",
        stat.S_ISDIR: "a folder",
        stat.S_ISLNK: "a symbolic link",
        stat.S_ISFIFO: "a named pipe",
        stat.S_ISSOCK: "a socket",
    }
    return next((words for is_one, words in kinds.items() if is_one(mode)), "a device")


# Writing


def write_atomically(path: Path, data: bytes) -> None:
    """Write a temporary file, flush it to the disk, rename it: never half a file."""
    with _aside(path) as (handle, _):
        handle.write(data)
        _sync(handle)
    with errors.saving(path):
        flush(path.parent)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Inside, write the file at the path that this yields; it is renamed when it is complete.

    Where nothing was written into it, nothing is changed.
    """
    with _aside(path, keep_empty=False) as (_, aside):
        yield aside


@contextlib.contextmanager
def _aside(path: Path, *, keep_empty: bool = True) -> Iterator[tuple[IO[bytes], Path]]:
    with errors.saving(path):
        handle, aside = _new(path)
        try:
            with handle:
                yield handle, aside
                handle.flush()
                if not _is(aside, handle):
                    raise errors.disk_full(path, "somebody took the half-written file away")
                if keep_empty or os.fstat(handle.fileno()).st_size:
                    aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def _new(path: Path) -> tuple[IO[bytes], Path]:
    """A new file beside a path, locked for as long as it is open."""
    name = os.fsencode(path.name)[:150].decode(errors="ignore")
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= 16 else ""
    _clear(path.parent, re.compile(re.escape(f"{ASIDE}{name}.") + _DRAWN + re.escape(suffix)))
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINK | NO_WAIT
    while True:
        aside = path.with_name(f"{ASIDE}{name}.{secrets.token_hex(8)}{suffix}")
        handle = os.fdopen(os.open(aside, flags, 0o666), "wb")
        if _lock(handle) is not False and _is(aside, handle):
            return handle, aside
        handle.close()  # it was tidied away before it was locked


def _is(path: Path, handle: IO[bytes]) -> bool:
    """Whether a path still names the open file."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


def _lock(handle: IO[bytes] | int) -> bool | None:
    """Lock an open file: False where another process holds it, None where no lock can be had."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


LOCKS = Path("/proc/locks")
"""Where Linux lists the locks that are held."""


def held(path: Path) -> bool | None:
    """Whether a process holds the lock of a file; None where there is no such file.

    Where the system lists locks, none is taken: nobody who wants this one is refused.
    """
    try:
        handle = os.open(path, os.O_RDONLY | NO_LINK | NO_WAIT)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            places = [
                line.split()[5] for line in LOCKS.read_text().splitlines() if "->" not in line
            ]
        except (OSError, IndexError):
            return _lock(file) is False
        return any(place.endswith(f":{os.fstat(handle).st_ino}") for place in places)


def clear_stale(folder: Path) -> None:
    """Delete files that killed processes left half-written in a folder, and none that is in use."""
    _clear(folder, _OURS)
    _clear(folder, _OLD)


def _clear(folder: Path, names: re.Pattern[str], *, folders: bool = False) -> None:
    """Delete files, or folders, with these names whose lock no process holds."""
    is_one, delete = (stat.S_ISDIR, shutil.rmtree) if folders else (stat.S_ISREG, os.unlink)
    with contextlib.suppress(OSError):
        for path in [path for path in folder.iterdir() if names.fullmatch(path.name)]:
            flags = os.O_RDONLY | NO_LINK | NO_WAIT
            with contextlib.suppress(OSError), _opened(path, flags) as handle:
                if is_one(os.fstat(handle).st_mode) and _lock(handle):
                    delete(path)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


def append(path: Path, text: str) -> None:
    """Add text at the end of a regular file, which is made where it is not there."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK | NO_WAIT
    with errors.saving(path), os.fdopen(os.open(path, flags, 0o666), "ab") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise _not_a_file(path, kind(mode))
        file.write(text.encode())


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Inside, a file is locked, which is made where it is not there; False where it cannot be.

    Nothing is written into the file, and it is not opened through a link.
    """
    flags = os.O_RDWR | os.O_CREAT | NO_LINK | NO_WAIT
    with errors.saving(path):
        handle = os.fdopen(os.open(path, flags, 0o666), "rb")
    with handle:
        mode = os.fstat(handle.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise _not_a_file(path, kind(mode))
        yield _lock(handle) is not False


def _not_a_file(path: Path, got: str) -> errors.BadFile:
    """Something that is no file, where a file is to be read or written."""
    return errors.BadFile(f"{path}: must be a regular file, got {got}.")


@contextlib.contextmanager
def made_aside(path: Path) -> Iterator[Path]:
    """Inside, fill the folder that this yields; it is renamed when it is complete.

    If the name is taken by then, by anything but an empty folder, that is an error.
    """
    with errors.saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        place = path.absolute()
        short = os.fsencode(place.name)[:150].decode(errors="ignore")
        _clear(place.parent, re.compile(re.escape(f".{short}.") + _DRAWN), folders=True)
        with _new_folder(place, short) as aside:
            try:
                yield aside
                aside.rename(path)
            finally:
                shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _new_folder(place: Path, name: str) -> Iterator[Path]:
    """A new folder beside a path, locked until the end of the block."""
    with contextlib.ExitStack() as stack:
        while True:
            aside = place.with_name(f".{name}.{secrets.token_hex(8)}")
            aside.mkdir()
            with contextlib.suppress(FileNotFoundError):  # deleted before it was locked
                try:
                    handle = stack.enter_context(_opened(aside, os.O_RDONLY))
                except PermissionError:  # Windows opens no folders
                    break
                if _lock(handle) is not False and os.path.samestat(aside.lstat(), os.fstat(handle)):
                    break
        yield aside


def flush(path: Path) -> None:
    """Flush what was written to a file or folder to the disk (fsync)."""
    with contextlib.suppress(PermissionError):  # Windows opens no folders
        handle = os.open(path, os.O_RDONLY | NO_WAIT)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync(handle: IO[bytes]) -> None:
    handle.flush()
    os.fsync(handle.fileno())


# What a user names to be written

FOLDERS = ("checkpoints", "samples", "tensorboard")
"""The folders of a run."""
_RUNS_OWN = re.compile(
    r"config\.toml|(data|environment|evaluation|table1)\.json|\w+\.jsonl|evaluation\.png|\.lock"
    r"|table1-.*\.npy|encoder[^/]*\.safetensors|(wandb|mlflow)\.id|checkpoints|samples|tensorboard|wandb",
    re.IGNORECASE,
)


def output(path: Path, kinds: Sequence[str]) -> Path:
    """The file that a user wants written, refused where that would destroy something.

    Args:
        path: What the user named.
        kinds: The suffixes that it may have, in lower case; '' is a folder, which must be new or
            empty.

    Raises:
        BadValue: For another suffix, what is no regular file, or a file of a run's own.
    """
    if path.suffix.lower() not in kinds or not path.name:
        names = [f"NAME{kind}" if kind else "the name of a folder" for kind in kinds]
        need = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
        raise _bad_output(path, need)
    folder = path.parent.resolve()
    for own, name in ((folder, path.name), (folder.parent, folder.name)):
        if (own / "config.toml").exists() and _RUNS_OWN.fullmatch(name):
            raise errors.bad_value(
                "out", f"another file than those that the run {own} is made of", path
            )
    with errors.saving(path):
        if not os.path.lexists(path):
            return path
        mode = path.lstat().st_mode
        if path.suffix == "" and stat.S_ISDIR(mode):
            if any(path.iterdir()):
                raise errors.bad_value(
                    "out", "a new or an empty folder", f"{path}, which holds files already"
                )
        elif path.suffix == "" or not stat.S_ISREG(mode):
            need = "a new or an empty folder" if path.suffix == "" else "a new or a regular file"
            raise _bad_output(path, need, kind(mode))
    return path


def _bad_output(path: Path, need: str, got: str = "") -> errors.BadValue:
    """An output of a kind that we do not write, or to what is no file."""
    return errors.bad_value("out", need, f"{path}, {got}" if got else path)


def folder_of_runs(path: Path) -> Path:
    """The folder that a user wants runs and a table in; refused where it is a file or a run."""
    if (os.path.lexists(path) and not path.is_dir()) or (path / "config.toml").exists():
        raise errors.bad_value("out", "a folder of runs, or a new one", f"{path}, which is not")
    return path


def file_name(name: str) -> str:
    """Any text as the name of one file or folder; two texts never give the same name.

    Example:
        >>> [file_name(name) for name in ("cat", "a/b", "a_b", ".a_b")]
        ['cat', 'a%2Fb', 'a_b', '%2Ea_b']
    """
    return re.sub(r'^\.|[%/\\:*?"<>|\x00-\x1f\x7f]', lambda c: f"%{ord(c[0]):02X}", name) or "%"

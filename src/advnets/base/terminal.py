"""Output to a terminal: safe text on one line, and a stream whose failure is harmless.

Names of files, classes, TOML keys and the contents of checkpoints are untrusted. Control characters
in them are escaped here, where they are printed, and nowhere else. rich is imported by what needs
it: a line needs none of it.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

_HARMLESS = "\u200c\u200d\u00a0\u2009\u202f\u3000"
"""Joiners without which some scripts and emoji cannot be written, and spaces of other widths."""


def printable(words: object) -> str:
    r"""Text as one line that cannot move the cursor, change colours, or reorder what is read.

    Example:
        >>> printable("a\x1b[2J\nb\udcff")
        'a\\x1b[2J\\nb\\xff'
    """
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in str(words))


def _escaped(c: str) -> str:
    if "\udc80" <= c <= "\udcff":  # a byte of a file's name that is no UTF-8
        return f"\\x{ord(c) - 0xDC00:02x}"
    return ascii(c)[1:-1]


class _StandardError:
    """The current standard error, which ignores failures to write.

    A training must not end because the reader of its log has ended.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._now().write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what can be passed on."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._now().flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        try:
            return self._now().isatty()
        except (ValueError, AttributeError):
            return False

    def fileno(self) -> int:
        """Of the stream that is there now."""
        return self._now().fileno()

    @property
    def encoding(self) -> str:
        """Of the stream that is there now."""
        return getattr(self._now(), "encoding", None) or "utf-8"

    @staticmethod
    def _now() -> TextIO:
        # While a bar is on the screen rich stands in for the stream, and would print in circles.
        stream: TextIO = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
        return stream


STANDARD_ERROR: TextIO = _StandardError()  # type: ignore[assignment]


def say(words: object) -> None:
    """A line on standard error, in one piece: several processes may write at once."""
    stream = sys.stderr or STANDARD_ERROR  # above the bar, where there is one
    with contextlib.suppress(OSError, ValueError):
        stream.write(printable(words) + "\n")
        stream.flush()


def tell(text: object) -> None:
    """Text on standard output; only our own line ends end a line."""
    print("\n".join(map(printable, str(text).split("\n"))))


def paragraph(words: str) -> None:
    """Text on standard output, wrapped to the width of the terminal."""
    from rich.console import Console
    from rich.text import Text

    Console().print(Text(printable(words)))


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Inside, standard output and error are open and take every character.

    Characters that the encoding lacks are written as escapes. A stream that was closed before the
    process started is reopened: otherwise the next file would get its number, and its output.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(spare)
    both = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper)]
    before = [(stream, stream.errors) for stream in both]
    for stream in both:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in before:
            try:
                stream.flush()
                stream.reconfigure(errors=errors)
            except (OSError, ValueError):
                _abandon(stream)


def _abandon(stream: TextIO) -> None:
    """Discard what a stream still holds, so that the process does not fail at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; where it is too wide, a line for each of its numbers.

    Args:
        title: Stands above it.
        headings: Of the columns; they may be wrapped at spaces.
        rows: Their cells, never wrapped nor cut; the first names the row.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    tell(title)
    console = Console()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    needed = [max(n, *map(len, h.split()), 0) for n, h in zip(widths, headings, strict=True)]
    if sum(needed) + 3 * (len(needed) - 1) > console.width:
        for row in rows:
            tell(row[0])
            for heading, cell in zip(headings[1:], row[1:], strict=True):
                tell(f"  {' '.join(heading.split())}: {cell}")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, (heading, width) in enumerate(zip(headings, needed, strict=True)):
        table.add_column(Text(heading), justify="right" if i else "left", min_width=width)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table, highlight=False)


def print_key(rows: Sequence[Sequence[str]]) -> None:
    """What the names in a table mean; the last column is wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table, highlight=False)


def print_columns(headings: Sequence[str], rows: Iterable[Sequence[str]], *, wrapped: int) -> None:
    """A table of words on standard output, one of whose columns is wrapped.

    Args:
        headings: Of the columns.
        rows: Their cells.
        wrapped: Number of the column that gets what the others leave.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, no_wrap=i != wrapped)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table, highlight=False)

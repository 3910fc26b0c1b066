"""What reaches a terminal: plain text on one line, and a stream that cannot fail.

Names of files, classes, TOML keys and facts of checkpoints come from outside. They are made
harmless here, where they are printed, and nowhere else.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_JOINERS = "\u200c\u200d"
"""Characters of zero width without which some scripts and emoji cannot be written."""


def printable(words: object) -> str:
    r"""Text as one line that cannot move the cursor, change colours, or reorder what is read.

    Example:
        >>> printable("a\x1b[2J\nb\udcff")
        'a\\x1b[2J\\nb\\xff'
    """
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in str(words))


def _escaped(c: str) -> str:
    if "\udc80" <= c <= "\udcff":  # a byte of a file's name that is no UTF-8
        return f"\\x{ord(c) - 0xDC00:02x}"
    return ascii(c)[1:-1]


class _StandardError:
    """Standard error as it is now, and nothing once it takes no more.

    A training must not end because the reader of its log did.
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
        """Whether somebody looks."""
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


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Inside, standard output and error are open and take every character.

    What an encoding lacks is written as an escape. Where a stream was closed before the process
    began, the next file to be opened would get its number, and the words that are meant for it.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(spare)
    before = [(s, s.errors) for s in (sys.stdout, sys.stderr) if hasattr(s, "reconfigure")]
    for stream, _ in before:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in before:
            if errors is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.reconfigure(errors=errors)


def abandon(stream: TextIO | None) -> None:
    """Let what a stream still holds go nowhere, so that the end of the process cannot fail by it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]


def print_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None
) -> None:
    """A table on standard output; where it is too wide, a line for each of its numbers.

    Args:
        title: Stands above it.
        headings: Of the columns. A line end in one is kept in the table.
        rows: Their cells; the first names the row.
        width: Columns of the terminal; those that there are by default.
    """
    console = Console(width=width)
    rows = [[printable(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    tell(title)
    console.print()
    if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= (
        console.width
    ):
        console.print(table)
        return
    for row in rows:
        tell(row[0])
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            tell(f"  {' '.join(heading.split())}: {cell}")

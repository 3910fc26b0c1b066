"""Rendering of templates, and the charts and pictures of a page.

All tags are in `templates/`, and values are escaped. Text that is HTML already is
`markupsafe.Markup`: it is made by `render` here and by the functions that draw SVG.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from advnets.base.terminal import printable


@dataclass(frozen=True)
class Chart:
    """A drawing of `curves.draw` with its title and caption."""

    title: str
    meaning: str
    svg: Markup


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An embedded picture with its caption.

    Attributes:
        data: The bytes of its file.
        size: Its width and height in pixels.
        alt: Alternative text.
        caption: Text below it.
        title: Begins the caption, in bold.
        mime: MIME type of the file.
    """

    data: bytes
    size: tuple[int, int]
    alt: str
    caption: str
    title: str = ""
    mime: str = "image/png"

    @property
    def source(self) -> str:
        """The file as a `data:` address."""
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode()}"


def render(template: str, values: Mapping[str, object]) -> Markup:
    """A rendered template; a missing value is an error.

    Args:
        template: The name of a file in `templates/`.
        values: Its values. Text is escaped unless it is `Markup`.
    """
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = {"anchor": anchor, "grouped": grouped, "options": options, "symbols": symbols}
    environment.filters |= filters
    return environment


def _shown(value: object) -> object:
    """Text with escaped control characters, as on a terminal, except line ends."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(printable, value.split("\n")))


def anchor(title: str) -> str:
    """The name of a section inside the page.

    Example:
        >>> anchor("Samples over time")
        'samples-over-time'
    """
    return title.lower().replace(" ", "-")


def grouped(number: int) -> str:
    """A whole number with thousands separators.

    Example:
        >>> grouped(10_000)
        '10,000'
    """
    return f"{number:,}"


def symbols(words: str) -> list[tuple[str, str]]:
    """Plain text cut at p_data and p_g: the text before each of them, and its index.

    Example:
        >>> symbols("p_g < p_data")
        [('', 'g'), (' < ', 'data'), ('', '')]
    """
    parts = re.split(r"\bp_(data|g)\b", words)
    return [*zip(parts[::2], [*parts[1::2], ""], strict=True)]


def options(words: str) -> list[str]:
    """Plain text cut at the options of commands, which are every second part.

    Example:
        >>> options("advnets table 2 --quick --out x")
        ['advnets table 2 ', '--quick', ' ', '--out', ' x']
    """
    return re.split(r"(?<!\S)(--[a-z][\w.-]*)", words)

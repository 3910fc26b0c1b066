"""The few shapes that a page is made of, as HTML. Whatever comes from a run is escaped here."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from advnets.terminal import printable


def text(value: object) -> str:
    """Any value as text that can stand between tags or in an attribute."""
    lines = map(printable, str(value).split("\n"))
    return escape("\n".join(lines), quote=True)


def symbols(words: str) -> str:
    """Plain text as HTML, with the paper's p_data and p_g set as it sets them.

    Example:
        >>> symbols("p_g < p_data")
        '<i>p</i><sub>g</sub> &lt; <i>p</i><sub>data</sub>'
    """
    return re.sub(r"\bp_(data|g)\b", r"<i>p</i><sub>\1</sub>", text(words))


def paragraph(words: str, *, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{symbols(words)}</p>"


def section(title: str, parts: Iterable[str]) -> str:
    """A section under a heading, which an anchor leads to."""
    name = anchor(title)
    body = "\n".join(filter(None, parts))
    head = f'<h2 id="{name}-title">{text(title)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-title">\n{head}\n{body}\n</section>'


def contents(titles: Iterable[str]) -> str:
    """Links to the sections of these titles."""
    links = (f'<a href="#{anchor(title)}">{text(title)}</a>' for title in titles)
    return f'<nav aria-label="Sections">{" ".join(links)}</nav>'


def anchor(title: str) -> str:
    """The name of a section inside the page."""
    return text(title.lower().replace(" ", "-"))


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, kind: str = ""
) -> str:
    """A table whose first column names its rows. Headings and cells are HTML already."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in headings)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}">'
        f"<table{_class(kind)}>\n<caption>{text(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def facts(pairs: Mapping[str, object]) -> str:
    """Names and values side by side; those without a value are left out."""
    known = {name: value for name, value in pairs.items() if value not in (None, "")}
    rows = (f"<div><dt>{text(n)}</dt><dd>{text(v)}</dd></div>" for n, v in known.items())
    return f'<dl class="facts">{"".join(rows)}</dl>'


def picture(data: bytes, *, alt: str, size: tuple[int, int], kind: str = "image/png") -> str:
    """A picture inside the page, of `size` (width, height) in pixels."""
    encoded = base64.b64encode(data).decode()
    width, height = size
    return (
        f'<img src="data:{kind};base64,{encoded}" alt="{text(alt)}" '
        f'width="{width}" height="{height}">'
    )


def figure(inside: str, caption: str, *, kind: str = "") -> str:
    """A picture or drawing with its caption, which is HTML already."""
    return f"<figure{_class(kind)}>\n{inside}\n<figcaption>{caption}</figcaption>\n</figure>"


def chart(svg: str, title: str, meaning: str) -> str:
    """A drawing of `curves.draw` under its title and what it shows, both plain text."""
    labelled = svg.replace("<svg ", f'<svg role="img" aria-label="{text(title)}" ', 1)
    caption = f"<strong>{symbols(title)}</strong> {symbols(meaning.strip())}"
    return figure(labelled, caption, kind="chart")


def gallery(figures: Iterable[str], *, kind: str) -> str:
    """Figures side by side, as many as there is room for; nothing where there are none."""
    shown = "\n".join(filter(None, figures))
    return f'<div class="{kind}">\n{shown}\n</div>' if shown else ""


def bullets(lines: Iterable[str], *, kind: str = "") -> str:
    """A list of sentences, which are HTML already."""
    return f"<ul{_class(kind)}>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def folded(title: str, body: str) -> str:
    """Something long that opens when it is asked for, and is open on paper."""
    return f"<details>\n<summary>{text(title)}</summary>\n{body}\n</details>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

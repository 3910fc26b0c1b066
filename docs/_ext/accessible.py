"""What the pages of theme and Sphinx lack for a keyboard and a screen reader, as axe finds it."""

import re
from pathlib import Path
from typing import Any

LINES = re.compile(r"<dl>\n((?:<dd>(?:(?!</?d[ltd]\b).)*</dd>\n?)+)</dl>", re.DOTALL)
"""The parameters of a long signature, a line each: a list of descriptions that has no terms."""
THUMBNAIL = re.compile(
    r'(<a class="reference internal")'
    r'( href="[^"]*"><span class="doc">([^<]*)</span></a></p>\n\s*<div class="sphx)'
)
"""The link of an example in the gallery, whose words the theme hides."""
CHANGES = (
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Site">'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    (
        '<p class="caption" role="heading">',
        '<p class="caption" role="heading" aria-level="2">',
    ),
    ("<pre>", '<pre tabindex="0">'),  # it scrolls
    ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),  # so does it
)


def accessible(html: str) -> str:
    """A page with landmarks that have names, levels of headings, and boxes that scroll by keys."""
    for before, after in CHANGES:
        html = html.replace(before, after)
    html = THUMBNAIL.sub(r'\1 aria-label="\3"\2', html)
    return LINES.sub(_in_lines, html)


def _in_lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'<span class="sig-lines">\n{lines}</span>'


def write(app: Any, error: Exception | None) -> None:
    """Change the pages that were written."""
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            html = path.read_text()
            if 'aria-label="Site"' not in html:
                path.write_text(accessible(html))


def setup(app: Any) -> dict[str, Any]:
    """The hook of this extension."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The tree of pages, links to the examples, and `llms.txt`, all from the lists of `index.md`.

`index.md` is the table of contents, on GitHub as on the site: a heading is a part, an item of its
list a page with a sentence of what it is. Sphinx wants directives `toctree`, which GitHub would
show as they are written; they are added here, out of the same lists.
"""

import re
import zipfile
from pathlib import Path
from typing import Any

PART = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
ITEM = re.compile(
    r"^- \[(?P<title>[^\]]+)\]\((?P<page>[^)#]+\.md)\): (?P<what>.+(?:\n  .+)*)", re.MULTILINE
)
EXAMPLES = re.compile(r"\]\((?:\.\./)+examples/(?:README\.md|(\w+)\.py)\)")


def parts(text: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The parts of the site: each its title, and of its pages title, path and sentence."""
    _, *split = PART.split(text)
    return [
        (title, [(m["title"], m["page"], " ".join(m["what"].split())) for m in ITEM.finditer(body)])
        for title, body in zip(split[::2], split[1::2], strict=True)
    ]


def read(app: Any, name: str, source: list[str]) -> None:
    """Add the toctrees to the index, and lead links to examples to the gallery."""
    text = source[0]
    if name == "index":
        trees = (
            "\n".join(
                ["```{toctree}", ":hidden:", f":caption: {title}", ""]
                + [shown(page) for _, page, _ in pages]
                + ["```"]
            )
            for title, pages in parts(text)
            if pages
        )
        text = "\n\n".join([text, *trees]) + "\n"
    if name.startswith("gallery/") and name[8:10].isdecimal():
        text = titled(text, name.removeprefix("gallery/"), Path(app.srcdir))
    source[0] = EXAMPLES.sub(lambda m: f"](/gallery/{m[1] or 'index'}.rst)", text)


def titled(text: str, name: str, docs: Path) -> str:
    """The page of an example with a title: what the list of `examples/README.md` says it shows."""
    table = (docs.parent / "examples" / "README.md").read_text()
    shows = re.findall(rf"^\| `{name}\.py` \| (.+?) \|$", table, re.MULTILINE)[0].replace("`", "")
    title = shows[0].upper() + shows[1:]
    label = f".. _sphx_glr_gallery_{name}.py:\n\n"
    return text.replace(label, f"{label}{title}\n{'=' * len(title)}\n\n", 1)


def shown(page: str) -> str:
    """The document of a page."""
    return "gallery/index" if page.endswith("examples/README.md") else page.removesuffix(".md")


def undated(app: Any) -> None:
    """Pack the downloads of the examples again, without the times of their files."""
    for path in Path(app.srcdir, "gallery").glob("*.zip"):
        with zipfile.ZipFile(path) as packed:
            held = {name: packed.read(name) for name in sorted(packed.namelist())}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in held.items():
                packed.writestr(zipfile.ZipInfo(name), data)


def write(app: Any, error: Exception | None) -> None:
    """`llms.txt`: the index for a program that reads text; its links lead to the sources."""
    if error is not None or app.builder.format != "html":
        return
    text = (Path(app.srcdir) / "index.md").read_text()
    title, about = re.findall(r"\A# (.+)\n\n((?:.+\n)+)", text)[0]
    lines = [f"# {title}", "", "> " + " ".join(about.split())]
    for part, pages in parts(text):
        lines += ["", f"## {part}", ""]
        for name, page, what in pages:
            document = shown(page)
            suffix = ".rst" if document.startswith("gallery/") else ".md"
            url = f"{app.config.html_baseurl}_sources/{document}{suffix}.txt"
            lines.append(f"- [{name}]({url}): {what}")
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines) + "\n")


def setup(app: Any) -> dict[str, Any]:
    """The hooks of this extension."""
    app.connect("builder-inited", undated, priority=900)  # after the gallery
    app.connect("source-read", read)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

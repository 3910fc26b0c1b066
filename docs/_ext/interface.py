"""The Python interface: a page for each package, and the directive `public-names`.

The pages are written to `reference/api/` before a build: a package with all its modules, so that a
new module is documented without a line here. `public-names` lists `advnets.__all__`.
"""

import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import advnets

LEFT_OUT = ("advnets.cli", "advnets.html", "advnets.studio")
"""Packages of the command and of pages; they are no interface."""


def packages(path: list[str], parent: str = "advnets.") -> Iterator[tuple[str, list[str]]]:
    """Each package below a path, with the names of its modules."""
    for found in pkgutil.iter_modules(path, parent):
        if found.ispkg and found.name not in LEFT_OUT:
            below = [str(place) for place in importlib.import_module(found.name).__path__]
            own = [m.name for m in pkgutil.iter_modules(below, found.name + ".") if not m.ispkg]
            yield found.name, [name for name in own if not name.rpartition(".")[2].startswith("_")]
            yield from packages(below, found.name + ".")


def page(package: str, modules: list[str]) -> str:
    """The page of a package, as reStructuredText."""
    lines = [package, "=" * len(package), "", f".. automodule:: {package}", ""]
    if modules:
        lines += [
            ".. autosummary::",
            "",
            *(f"   {name.rpartition('.')[2]}" for name in modules),
            "",
        ]
    for name in modules:
        short = name.removeprefix(package + ".")
        lines += [short, "-" * len(short), "", f".. automodule:: {name}", ""]
    return "\n".join(lines)


def write(app: Any) -> None:
    """Write the pages that have changed, and drop those of packages that are gone."""
    folder = Path(app.srcdir, "reference", "api")
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.rst": page(name, modules) for name, modules in packages(advnets.__path__)}
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def whole(app: Any, what: str, name: str, found: object, options: object, lines: list[str]) -> None:
    """Keep `a: b` in the sentence of an attribute: napoleon would read `a` as its type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment has no type


def entry(name: str) -> list[str]:
    """A public name as reStructuredText: it leads to its module; below it, its first sentence."""
    found = getattr(advnets, name)
    if isinstance(found, types.ModuleType):
        role, target = "mod", found.__name__
    else:
        role = "class" if inspect.isclass(found) else "func"
        target = f"{found.__module__}.{found.__qualname__}"
    sentence = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    return [f":py:{role}:`advnets.{name} <{target}>`", f"    {sentence}", ""]


class PublicNames(SphinxDirective):
    """All public names; inside `eval-rst`."""

    def run(self) -> list[nodes.Node]:
        """The nodes in place of the directive."""
        names = sorted(advnets.__all__, key=str.lower)
        lines = StringList([line for name in names for line in entry(name)], source="advnets")
        return self.parse_text_to_nodes(lines)


def setup(app: Any) -> dict[str, Any]:
    """The pages and the directive of this extension."""
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", whole, priority=400)
    app.add_directive("public-names", PublicNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

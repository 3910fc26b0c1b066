r"""The modules of the page as one classic script.

A browser loads ES modules, and workers of modules, from no `file://` page. So the page has one
script that is a function of its own text: in a worker, which is started from a Blob of that text,
it plays the game; in a page it is the page.

The modules keep to what is read here: named imports of `./NAME.mjs` and named exports of functions,
classes and constants, each at the beginning of a line.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from advnets.base import errors

ENTRY = "main.mjs"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.mjs)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)

PAGE = "index.html", "studio.css"
"""What the page is beside its script."""


def static(name: str) -> str:
    """The text of a file of the page, from wherever the package lies."""
    return (files("advnets.studio") / "static" / name).read_text(encoding="utf-8")


@cache
def script() -> str:
    """The page's one script, from the modules of the package."""
    return bundled({name: static(name) for name in _names(ENTRY)})


def bundled(modules: Mapping[str, str]) -> str:
    """Modules as one script; the last of them is begun.

    Args:
        modules: Names to texts, each after what it imports.
    """
    parts = [_wrapped(name, text) for name, text in modules.items()]
    entry = [*modules][-1]
    return (
        '"use strict";\n(function studio() {\nconst modules = {};\n'
        + "".join(parts)
        + f"modules[{entry!r}].main(`(${{studio}})();`);\n}})();\n"
    )


def _wrapped(name: str, text: str) -> str:
    """A module as a function that gives its exports."""
    exports = _EXPORT.findall(text)
    body = _EXPORT.sub("", _IMPORT.sub(_taken, text))
    left = _LEFT.search(body)
    if left is not None:
        raise errors.bad_value(name, "a module of plain imports and exports", left.group())
    names = ", ".join(exports)
    return f"modules[{name!r}] = (() => {{\n{body}return {{ {names} }};\n}})();\n"


def _taken(found: re.Match[str]) -> str:
    names, module = found.groups()
    return f"const {{{names}}} = modules[{module!r}];"


def _names(entry: str) -> list[str]:
    """A module and all that it imports, each after its own imports."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for _, other in _IMPORT.findall(static(name)):
                visit(other)
            order.append(name)

    visit(entry)
    return order

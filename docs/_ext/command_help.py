"""The directive `advnets`: what a command prints, read when the site is built.

    ```{advnets}
    advnets sample --help
    ```

Help becomes a list of options; any other output is shown as it is. A line `but advnets ...` leaves
out the options that the help of that command has too.
"""

import contextlib
import io
import os
import re
import shlex
from functools import cache
from typing import Any
from unittest import mock

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from advnets.cli import main

OPTION = re.compile(r"^(?P<names>-\S.*?|\[*[A-Z][A-Z0-9]+[^a-z]*?)(?:  +(?P<what>\S.*)| *)$")
WIDE = "100"


@cache
def printed(command: str) -> str:
    """What a command prints to standard output."""
    out, words = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), shlex.split(command)[1:]
    wide = mock.patch.dict(os.environ, {"COLUMNS": WIDE if is_help(command) else "80"})
    with wide, contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        code = main(words)
        if code:
            raise ValueError(f"{command}: must exit with 0, got {code}")
    out.seek(0)
    return out.read()


def is_help(command: str) -> bool:
    """Whether a command prints the help of tyro."""
    return command.endswith(("--help", "--help-all")) and not command.endswith("advnets --help")


@cache
def options(command: str) -> list[tuple[str, str]]:
    """The options in the help of a command: names with their kind of value, and what they do."""
    found: list[tuple[str, str]] = []
    for line in printed(command).splitlines():
        inside = re.match(r"│ (.*?) *│$", line)
        if not inside:
            continue
        option = OPTION.match(inside[1])
        if option:
            found.append((option["names"], option["what"] or ""))
        elif found and inside[1].startswith(" "):
            names, what = found[-1]
            found[-1] = names, f"{what} {inside[1].strip()}".strip()
    return [(names, what) for names, what in found if not names.startswith("-h,")]


class Command(SphinxDirective):
    """The output of a command, or its options."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The nodes in place of the directive."""
        command, *others = (line.strip() for line in self.content if line.strip())
        if not is_help(command):
            return [nodes.literal_block(text := printed(command).rstrip(), text, language="text")]
        known = {names for other in others for names, _ in options(other.removeprefix("but "))}
        listed = [entry for entry in options(command) if entry[0] not in known]
        if not listed:
            raise self.error(f"no option in: {command}")
        return [self._list(listed)]

    def _list(self, listed: list[tuple[str, str]]) -> nodes.Node:
        items = nodes.definition_list(classes=["options"])
        for names, what in listed:
            term = nodes.term("", "", nodes.literal(names, names))
            text = re.sub(r" \(default: ?([^)]*)\)$", r" Default: \1", what).strip()
            text = re.sub(r" Default: $", " Default: none", text)
            items += nodes.definition_list_item(
                "", term, nodes.definition("", nodes.paragraph(text, text))
            )
        return items


def setup(app: Any) -> dict[str, Any]:
    """The directive of this extension."""
    app.add_directive("advnets", Command)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""What tyro's completion scripts lack: arguments without options, familiar names, one line each.

A script holds a table of commands and options, as Python's `repr` writes it. Its texts go through
lines of the shell, which a text of several lines would break.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

MARK = "COMPLETION_SPEC = "
"""What begins the line of the table."""
FAMILIAR = {"--trainer.steps": "--steps", "--model.G-optimizer.lr": "--lr"}
"""Other names of options, by the option of which they have the description."""
MOST = 100
"""Characters of a description."""
REPAIRS = [
    ('    matches+=("$completion")', '    [[ -n $completion ]] && matches+=("$completion")'),
    ("complete -F _tyro_advnets advnets", "complete -o default -F _tyro_advnets advnets"),
    (
        '($python_cmd -c "$pycode" $words $current)',
        "(printf '%s' $pycode | string collect | $python_cmd - $words $current)",
    ),
]
"""In bash, no empty completion where there is none, but the files that there are. In fish, the
table goes to Python by a pipe: as an argument it would be too long for the system."""

Spec = dict[str, Any]


def completed(script: str, shell: str, arguments: Mapping[str, Sequence[str]]) -> str:
    """A script of tyro's, with what it lacks.

    Args:
        script: What tyro wrote.
        shell: For which shell.
        arguments: By command, what its first argument may be.
    """
    lines = script.split("\n")
    for i, line in enumerate(lines):
        if line.startswith(MARK):
            escaped = line.removeprefix(MARK)
            quoted = shell == "fish"  # there it is a string in double quotes
            spec: Spec = ast.literal_eval(re.sub(r"\\(.)", r"\1", escaped) if quoted else escaped)
            for command, valid in arguments.items():
                own = spec["subcommands"].setdefault(command, _command(command))
                words = {word: {**own, "description": word} for word in valid}
                own.update(options=own["options"][:1], subcommands=words, frontier_groups=[])
                own["frontier_groups"] = [list(words)]
            _in_one_line(spec)
            table = repr(spec)
            lines[i] = MARK + (re.sub(r'([\\"$])', r"\\\1", table) if quoted else table)
    text = "\n".join(lines)
    for old, new in REPAIRS:
        text = text.replace(old, new)
    return text


def _command(name: str) -> Spec:
    """A command that has no options of its own."""
    told = {"flags": ["-h", "--help"], "description": "show help", "type": "flag"}
    return {"description": name, "options": [told], "subcommands": {}, "frontier_groups": []}


def _in_one_line(spec: Spec) -> None:
    """Shorten all descriptions, add familiar names of options, and offer no None."""
    spec["description"] = _short(spec.get("description", ""))
    for option in spec["options"]:
        option["description"] = _short(option["description"])
        if "choices" in option:
            option["choices"] = sorted({*option["choices"]} - {"None"})  # tyro's order is a set's
        option["flags"] += [FAMILIAR[flag] for flag in option["flags"] if flag in FAMILIAR]
    for below in spec["subcommands"].values():
        _in_one_line(below)


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= MOST else f"{line[: MOST - 4]} ..."

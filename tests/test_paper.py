"""docs/reference/paper.md: every piece of the paper has a line, and what a line names exists."""

import importlib
import re
import shlex

import pytest

from advnets import recipes
from advnets.cli import command, main
from advnets.experiments import FIGURES
from conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "paper.md").read_text()
LINES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| in the paper")
]
PIECES = [
    *(f"Section {i}" for i in range(1, 7)),
    *(f"Section 7.{i}" for i in range(1, 6)),
    *(f"Equation ({i})" for i in range(1, 7)),
    *("Algorithm 1", "Proposition 1", "Theorem 1", "Proposition 2"),
    *(f"Figure {i}" for i in range(1, 4)),
    *("Table 1", "Table 2"),
]


def named(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("piece", PIECES)
def test_every_piece_of_the_paper_has_a_line(piece):
    assert piece in [line[0] for line in LINES]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_a_line_names_what_there_is_or_says_that_it_is_not_built(line):
    piece, says, functions, tests, commands = line
    assert piece and says
    if functions.startswith("not built yet"):
        assert not tests and not commands
        return
    assert named(functions) and named(tests) and named(commands)
    for name in named(functions):
        found(name)
    for name in named(tests):
        path, _, test = name.partition("::")
        text = (ROOT / path).read_text()
        assert f"\ndef {test}(" in text if test else "\ndef test_" in text
    for words in named(commands):
        there_is(shlex.split(words))


def found(name):
    """The module, class, function or method of this dotted name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part)
        return value
    raise AssertionError(name)


def there_is(words):
    assert words[0] == "advnets" and words[1] in command.COMMANDS
    if words[1] == "train":
        assert words[2] in recipes.RECIPES
        assert main([*words[1:], "--dry_run"]) == 0
    if words[1] == "figure":
        assert words[2] in FIGURES

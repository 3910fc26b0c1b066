"""What the documentation says runs: its Python, its commands, the files it names."""

import re
import shlex

import pytest

from advnets import recipes
from advnets.cli import command as main
from conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def blocks(language):
    for page in PAGES:
        for i, block in enumerate(
            re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
        ):
            yield pytest.param(block, id=f"{page.name}-{i}")


def commands():
    for page in PAGES:
        for line in re.findall(r"^(?:\$ )?(advnets .*)$", page.read_text(), re.MULTILINE):
            yield pytest.param(line.split("#")[0].strip(), id=line[:60])


@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_blocks_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(compile(block, "README", "exec"), scope)
    assert scope["samples"].shape[0] > 0


def test_the_readme_trains_own_modules_in_under_15_lines():
    block = next(iter(blocks("python"))).values[0]
    code = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
    assert "advnets.Game(" in block
    assert len(code) < 15


@pytest.mark.parametrize("command", list(commands()))
def test_commands_are_the_commands_that_there_are(command, capsys):
    name, *words = shlex.split(command)[1:]
    assert name in main.COMMANDS
    if name == "train" and "--resume" not in words and not words[0].endswith(".toml"):
        assert words[0] in recipes.RECIPES
        assert main.main(["train", *words, "--dry_run"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_exist(page):
    text = page.read_text()
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text)
    named = re.findall(r"`((?:src|tests|benchmarks|docs|examples|\.ci)/[\w./-]+)`", text)
    for name in linked:
        assert (page.parent / name).exists(), name
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_every_module_says_what_it_is(path):
    assert path.read_text().startswith(('"""', 'r"""'))


def test_every_recipe_states_command_time_and_score():
    for name, recipe in recipes.RECIPES.items():
        text = recipe.__doc__
        assert f"Command: advnets train {name}" in text
        assert re.search(r"Time: .*\d", text), name
        assert re.search(r"Score: .*\d", text), name

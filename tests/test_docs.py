"""What the documentation says runs: its Python, its commands, the files it names."""

import re
import shlex

import pytest

from advnets import data, recipes
from advnets.cli import main
from advnets.cli.command import COMMANDS
from advnets.runs import registry
from conftest import ROOT

DOCS = ROOT / "docs"
WRITTEN = [
    p for p in sorted(DOCS.rglob("*.md")) if p.parts[len(DOCS.parts)] not in ("_build", "gallery")
]
TUTORIALS = [p for p in WRITTEN if p.parent.name == "tutorial"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *WRITTEN]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def blocks(language):
    """The code of every page but the tutorials, whose blocks need those before them."""
    for page in PAGES:
        if page in TUTORIALS:
            continue
        for i, block in enumerate(
            re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
        ):
            yield pytest.param(block, id=f"{page.name}-{i}")


def commands():
    for page in PAGES:
        for line in re.findall(r"^(?:\$ )?(advnets .*)$", page.read_text(), re.MULTILINE):
            yield pytest.param(line.split("#")[0].strip(), id=line[:60])


@pytest.fixture
def registries():
    """What a page registers is forgotten after it."""
    tables = (data.READERS, data.KINDS, registry.LEARNERS, registry.KINDS)
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_blocks_run(block, tmp_path, monkeypatch, registries):
    monkeypatch.chdir(tmp_path)
    scope = {}
    shorter = re.sub(r"(steps = .*, )5_000", r"\g<1>50", block)  # the README's: a minute
    exec(compile(shorter, "README", "exec"), scope)
    assert scope["samples"].shape[0] > 0


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda p: p.name)
def test_python_blocks_of_a_tutorial_run_in_order_and_print_what_it_says(
    page, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    scope = {}
    ran = re.findall(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", page.read_text(), re.DOTALL)
    for code, printed in ran:
        capsys.readouterr()
        exec(compile(code, page.name, "exec"), scope)
        if printed:
            assert capsys.readouterr().out == printed


EXTENDING = (ROOT / "docs" / "how-to" / "extending.md").read_text()
ADDED = [
    "a loss",
    "a term",
    "a rule",
    "what d is shown",
    "a model",
    "a data set",
    "a metric",
    "a recipe",
]


@pytest.mark.parametrize("part", ADDED)
def test_each_part_that_can_be_added_has_an_example_of_under_30_lines(part):
    title, section = next(
        (text.splitlines()[0].lower(), text)
        for text in EXTENDING.split("\n## ")
        if part in text.splitlines()[0].lower()
    )
    examples = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert examples, title
    for example in examples:
        assert len([line for line in example.splitlines() if line.strip()]) < 30


def test_the_readme_trains_own_modules_in_18_lines():
    block = next(iter(blocks("python"))).values[0]
    code = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
    assert "advnets.Game(" in block
    assert len(code) <= 18


@pytest.mark.parametrize("command", list(commands()))
def test_commands_are_the_commands_that_there_are(command, capsys):
    name, *words = shlex.split(command)[1:]
    assert name in COMMANDS or name == "--help"
    if (
        name == "train"
        and not {"--resume", "--help-all"} & {*words}
        and not words[0].endswith(".toml")
    ):
        assert words[0] in recipes.RECIPES
        assert main(["train", *words, "--dry_run"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_exist(page):
    text = page.read_text()
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text)
    named = re.findall(r"`((?:src|tests|benchmarks|docs|examples|\.ci)/[\w./-]+)`", text)
    for name in linked:
        assert (page.parent / name).exists(), name
    for name in named:
        assert (ROOT / name).exists(), name


def test_every_page_is_in_the_table_of_contents():
    """docs/index.md is the root of the site, whose tree is made of its lists."""
    index = DOCS / "index.md"
    listed = re.findall(r"^- \[[^\]]+\]\(([^)#]+\.md)\): \S", index.read_text(), re.MULTILINE)
    assert len(listed) == len({*listed})
    pages = {(DOCS / name).resolve() for name in listed}
    assert pages == {*WRITTEN, ROOT / "examples" / "README.md"} - {index}


def test_every_command_and_every_recipe_of_another_kind_is_in_the_reference():
    reference = (DOCS / "reference" / "command.md").read_text()
    for name in COMMANDS:
        assert re.search(rf"^(## )?advnets {name}\b", reference, re.MULTILINE) or name == "train"


def anchors(page):
    """What a heading is called in a link to it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_headings_that_are_linked_exist(page):
    for name, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
        assert anchor in anchors(page.parent / name if name else page), anchor


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_every_module_says_what_it_is(path):
    assert path.read_text().startswith(('"""', 'r"""'))


def test_every_recipe_states_command_time_and_score():
    for name in recipes.RECIPES:
        text = recipes.about(name)
        assert f"Command: advnets train {name}" in text
        assert re.search(r"Time: .*\d", text), name
        assert re.search(r"Score: (.*\d|not measured)", text), name

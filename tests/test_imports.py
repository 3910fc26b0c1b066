"""Imports point down: a module knows only the floors below its own, and what DESIGN.md draws within it."""

import ast
import subprocess
import sys

import pytest

from conftest import ROOT

PACKAGES = [  # from the ground up: a package imports only from those before it
    "base",
    "theory",
    "nn",
    "plotting",
    "storage",
    "data",
    "sampling",
    "networks",
    "optim",
    "game",
    "models",
    "evaluation",
    "extensions",
    "training",
    "runs",
    "export",
    "recipes",
    "html",
    "experiments",
    "report",
    "studio",
    "cli",
]
MOST_LEVELS = 31
SOURCES = sorted((ROOT / "src" / "advnets").rglob("*.py"))


def package_of(path):
    return path.relative_to(ROOT / "src" / "advnets").with_suffix("").parts[0]


def imported(path):
    """The modules of this package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "advnets":
            names = [f"advnets.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
        else:
            continue
        for name in names:
            if name == "advnets":
                yield "__init__"
            if name.startswith("advnets."):
                yield name.split(".")[1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    own = package_of(path)
    if own in ("__init__", "__main__"):
        return
    assert own in PACKAGES, f"{own} is no package of the list"
    for other in imported(path):
        allowed = other == own or other in PACKAGES[: PACKAGES.index(own)]
        assert allowed, f"{path}: {own} imports {other}, which is not below it"


def test_every_package_is_there_and_the_root_holds_nothing_else():
    root = ROOT / "src" / "advnets"
    found = {p.name for p in root.iterdir() if p.name != "__pycache__"}
    assert found == {*PACKAGES, "__init__.py", "__main__.py", "py.typed"}


def test_there_is_no_cycle_and_few_levels():
    """Of modules, by the imports at their head."""
    root = ROOT / "src"
    names = {".".join(p.relative_to(root).with_suffix("").parts): p for p in SOURCES}
    names = {n.removesuffix(".__init__"): p for n, p in names.items()}
    edges = {n: {*modules_imported(p, names)} - {n} for n, p in names.items()}
    levels, left = 0, set(names)
    while left:
        lowest = {n for n in left if not edges[n] & left}
        assert lowest, f"a cycle among {sorted(left)}"
        levels, left = levels + 1, left - lowest
    assert levels <= MOST_LEVELS


def modules_imported(path, names):
    """The modules of this package, of these names, that a file imports at its head."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("advnets"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else node.module


def test_no_module_is_named_for_nothing():
    names = {path.stem for path in SOURCES}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}


def test_importing_the_library_draws_no_picture_and_reads_no_data():
    heavy = "matplotlib", "mlxtend", "tensorboard", "pandas", "tyro"
    code = f"import sys, advnets; print([m for m in {heavy!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"

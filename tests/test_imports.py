"""Imports point down: a module knows only the floors below its own, and what DESIGN.md draws within it."""

import ast
import subprocess
import sys

import pytest

from conftest import ROOT

FLOORS = [
    {"checks", "config", "contexts", "files", "protocols", "ranks", "rng", "schema", "terminal"},
    {
        "value",
        "priors",
        "products",
        "layers",
        "maxout",
        "dropout",
        "parzen",
        "pushforward",
        "memory",
        "streaming",
        "bootstrap",
        "distances",
        "neighbours",
        "quality",
        "modes",
        "birthday",
        "tables",
        "theory",
        "table_game",
        "autocorrelation",
        "corruption",
        "contrast",
        "convolution",
        "spectral",
        "capture",
    },
    {
        "networks",
        "optim",
        "data",
        "checkpoints",
        "rundir",
        "tensorboard",
        "environment",
        "copies",
        "process",
        "sampling",
        "chains",
        "kmeans",
        "plots",
        "pair",
        "curves",
        "page",
        "progress",
        "monitor",
    },
    {
        "game",
        "two_stage",
        "player",
        "rehearsal",
        "baselines",
        "trainer",
        "feature_network",
        "features",
        "measures",
        "evaluation",
    },
    {"learners"},
    {"run"},
    {"trained"},
    {"recipes", "options"},
    {"experiments"},
    {"report"},
    {"cli"},
    {"__init__", "__main__"},
]
WITHIN_A_FLOOR = {
    ("config", "checks"),
    ("config", "files"),
    ("files", "checks"),
    ("schema", "checks"),
    ("schema", "files"),
    ("rng", "checks"),
    ("protocols", "config"),
    ("protocols", "contexts"),
    ("protocols", "ranks"),
    ("contexts", "checks"),
    ("contexts", "rng"),
    ("ranks", "checks"),
    ("rundir", "checkpoints"),
    ("rundir", "tensorboard"),
    ("data", "checkpoints"),
    ("data", "progress"),
    ("data", "process"),
    ("pair", "plots"),
    ("game", "player"),
    ("game", "rehearsal"),
    ("player", "rehearsal"),
    ("optim", "copies"),
    ("two_stage", "game"),
    ("two_stage", "player"),
    ("layers", "products"),
    ("parzen", "products"),
    ("maxout", "layers"),
    ("maxout", "products"),
    ("convolution", "maxout"),
    ("baselines", "player"),
    ("kmeans", "sampling"),
    ("quality", "bootstrap"),
    ("neighbours", "bootstrap"),
    ("distances", "streaming"),
    ("neighbours", "distances"),
    ("birthday", "distances"),
    ("modes", "distances"),
    ("parzen", "distances"),
    ("theory", "tables"),
    ("table_game", "tables"),
    ("table_game", "theory"),
    ("page", "curves"),
    ("features", "feature_network"),
    ("measures", "features"),
    ("evaluation", "features"),
    ("evaluation", "measures"),
}
SOURCES = sorted((ROOT / "src" / "advnets").rglob("*.py"))
MODULES = {m for floor in FLOORS for m in floor}


def module_of(path):
    return path.relative_to(ROOT / "src" / "advnets").with_suffix("").parts[0]


def floor_of(module):
    return next(i for i, floor in enumerate(FLOORS) if module in floor)


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
    own = module_of(path)
    assert own in MODULES, f"{own} has no floor"
    for other in imported(path):
        allowed = floor_of(other) < floor_of(own) or (own, other) in WITHIN_A_FLOOR or own == other
        assert allowed, f"{own} imports {other}, which is not below it"


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

"""Named configurations. Each docstring states what it trains, its command, measured time and score.

A recipe is a function that returns a configuration; `advnets recipes` prints these texts. A module
of recipes is imported when one of them is asked for: a list of names needs no torch.
"""

import ast
import importlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advnets.base import errors

if TYPE_CHECKING:
    from advnets.recipes.baselines import (
        cae,
        dae,
        dbm,
        dbn,
        gsn,
        mp_dbm,
        rbm,
        sbn,
        stacked_cae,
        vae,
    )
    from advnets.recipes.digits import (
        demo,
        mnist,
        mnist_algorithm1,
        mnist_best,
        mnist_conditional,
        mnist_coordinated,
    )
    from advnets.recipes.extensions import (
        images_inpainting,
        mnist_bigan,
        mnist_inpainting,
        ring_bigan,
        table_imputation,
    )
    from advnets.recipes.labels import mnist_100_labels
    from advnets.recipes.pictures import (
        array,
        cifar10,
        cifar10_conv,
        images,
        images_conditional,
        images_quick,
        images_small,
        tfd,
    )
    from advnets.recipes.points import energy_net, mixture, ring
    from advnets.runs.run_config import RunConfig

__all__ = [
    "RECIPES",
    "about",
    "array",
    "cae",
    "cifar10",
    "cifar10_conv",
    "dae",
    "dbm",
    "dbn",
    "demo",
    "energy_net",
    "get",
    "gsn",
    "images",
    "images_conditional",
    "images_inpainting",
    "images_quick",
    "images_small",
    "mixture",
    "mnist",
    "mnist_100_labels",
    "mnist_algorithm1",
    "mnist_best",
    "mnist_bigan",
    "mnist_conditional",
    "mnist_coordinated",
    "mnist_inpainting",
    "mp_dbm",
    "rbm",
    "ring",
    "ring_bigan",
    "sbn",
    "stacked_cae",
    "table_imputation",
    "tfd",
    "vae",
]

_MODULES = {
    "demo": "digits",
    "mnist": "digits",
    "mnist-best": "digits",
    "mnist-coordinated": "digits",
    "mnist-conditional": "digits",
    "mnist-algorithm1": "digits",
    "mnist-100-labels": "labels",
    "tfd": "pictures",
    "cifar10": "pictures",
    "cifar10-conv": "pictures",
    "images": "pictures",
    "images-quick": "pictures",
    "images-small": "pictures",
    "images-conditional": "pictures",
    "mnist-bigan": "extensions",
    "mnist-inpainting": "extensions",
    "images-inpainting": "extensions",
    "table-imputation": "extensions",
    "array": "pictures",
    "ring": "points",
    "ring-bigan": "extensions",
    "mixture": "points",
    "dbn": "baselines",
    "rbm": "baselines",
    "dae": "baselines",
    "cae": "baselines",
    "stacked-cae": "baselines",
    "gsn": "baselines",
    "vae": "baselines",
    "dbm": "baselines",
    "mp-dbm": "baselines",
    "energy-net": "points",
    "sbn": "baselines",
}
"""Where the function of each recipe stands."""


class Recipe:
    """A recipe by name, called to build its configuration."""

    def __init__(self, name: str) -> None:
        self.name, self.module = name, f"advnets.recipes.{_MODULES[name]}"

    def __call__(self) -> "RunConfig":
        """The configuration."""
        function: Callable[[], RunConfig] = getattr(
            importlib.import_module(self.module), _function(self.name)
        )
        return function()


RECIPES: dict[str, Callable[[], "RunConfig"]] = {name: Recipe(name) for name in _MODULES}


def _function(name: str) -> str:
    return name.replace("-", "_")


def get(name: str) -> "RunConfig":
    """The configuration of a named run; `BadValue` for an unknown name, with the nearest one."""
    refuse_unknown(name)
    return RECIPES[name]()


def refuse_unknown(name: str) -> None:
    """Raise for a name that no recipe has."""
    if name not in RECIPES:
        raise errors.unknown("recipe", name, RECIPES, instead=WHERE)


FIRST_WORD = "the first word: a name that `advnets recipes` lists, or a .toml file"
"""What `advnets train` needs."""
WHERE = f"All {len(RECIPES)} are in `advnets recipes`."
"""Stands where a list of all recipes is too long."""


def about(name: str) -> str:
    """What a recipe trains, its command, time and score: its docstring, read and not imported."""
    refuse_unknown(name)
    return _texts(_MODULES[name])[_function(name)]


@cache
def _texts(module: str) -> dict[str, str]:
    """The docstrings of the functions of a module beside this one."""
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f.name: inspect.cleandoc(ast.get_docstring(f) or "") for f in functions}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A recipe's function, from its module."""
        for recipe, module in _MODULES.items():
            if _function(recipe) == name:
                return getattr(importlib.import_module(f"advnets.recipes.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

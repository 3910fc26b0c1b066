"""The help of `advnets train RECIPE`: the dozen options that matter first."""

import ast
import dataclasses
import inspect
import shutil
import textwrap
import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from advnets import recipes
from advnets.base.config import fields_of
from advnets.base.terminal import tell
from advnets.cli.parsing import SWITCHES, spelled
from advnets.cli.switches import is_switch

FIRST = (
    "data.path",
    "data.root",
    "data.size",
    "data.examples",
    "trainer.steps",
    "batch_size",
    "seed",
    "model.G_optimizer.lr",
    "model.D_optimizer.lr",
    "model.optimizer.lr",
    "model.k",
    "model.z_dim",
    "model.objective",
    "model.context",
    "folder",
    "resume",
    "watch",
    "device",
    "max_time",
    "dry_run",
)
"""The options that are shown, of those that a recipe has."""
ALIASES = {
    "trainer.steps": "--steps",
    "model.G_optimizer.lr": "--lr",
    "model.D_optimizer.lr": "--lr",
}
_NARROWEST = 40


def show(options: Any, name: str) -> None:
    """Print the help of `advnets train`, with the values of one recipe as defaults.

    Args:
        options: The options of `train`, whose values are the defaults.
        name: The recipe, or a file.
    """
    leaves = fields_of(options)
    shown = [option for option in FIRST if option in leaves]
    tell(f"usage: advnets train {name} [OPTIONS]\n")
    if name in recipes.RECIPES:
        tell(recipes.about(name) + "\n")
    for option in shown:
        default, hint, _ = leaves[option]
        tell(_entry(_names(option, hint), f"{_docs(options, option)} (default: {_worth(default)})"))
    tell(_entry("--epochs N", "Passes over the training set, in place of --steps."))
    more = f"All {len(leaves)} options: advnets train {name} --help-all. {SWITCHES}"
    tell("\n" + textwrap.fill(more, _width()))


def _names(option: str, hint: Any) -> str:
    """An option as it is typed, with its alias and the kind of its value."""
    alias = f"{ALIASES[option]}, " if option in ALIASES else ""
    if is_switch(hint):
        path, dot, last = spelled(option).removeprefix("--").rpartition(".")
        return f"{alias}{spelled(option)}, --{path}{dot}no-{last}"
    return f"{alias}{spelled(option)} {_kind(hint)}"


def _kind(hint: Any) -> str:
    """A kind of value: `INT`, or `{a,b}`."""
    if get_origin(hint) is Literal:
        return f"{{{','.join(get_args(hint))}}}"
    inner = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) in (Union, types.UnionType):
        return "|".join(map(_kind, inner))
    return _kind(inner[0]) if inner else str(getattr(hint, "__name__", hint)).upper()


def _worth(value: object) -> str:
    """A default as it would be typed."""
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _entry(head: str, text: str) -> str:
    body = textwrap.fill(text, _width(), initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {head}\n{body}"


def _width() -> int:
    return max(_NARROWEST, min(100, shutil.get_terminal_size().columns))


def _docs(options: Any, name: str) -> str:
    """The text below a field, by its dotted name."""
    *path, last = name.split(".")
    for part in path:
        options = getattr(options, part)
    return text_of(type(options), last)


def text_of(cls: type[Any], name: str) -> str:
    """The text below a field of a class, in one line; "" where there is none.

    For a class without source code, such as a stand-in of `quick`, it is in the field's metadata.
    """
    (field,) = (f for f in dataclasses.fields(cls) if f.name == name)
    if "text" in field.metadata:
        return str(field.metadata["text"])
    for base in cls.__mro__:
        if dataclasses.is_dataclass(base) and name in base.__annotations__:
            return _texts(base).get(name, "")
    return ""


@cache
def _texts(cls: type) -> dict[str, str]:
    """The string below each field of a class, from its source."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found

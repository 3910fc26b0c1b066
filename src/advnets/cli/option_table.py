"""Write the options of every recipe to a JSON file, which `advnets.cli.quick` reads without torch.

    make options        (python -m advnets.cli.option_table)

A test fails where the file in the repository differs from what this module writes.
"""

import dataclasses
import inspect
import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from advnets import recipes
from advnets.base.config import TaggedConfig
from advnets.cli import quick, short_help
from advnets.cli.parsing import with_defaults
from advnets.cli.training import TrainOptions


def table() -> dict[str, Any]:
    """The options of all recipes: the fields of each configuration, and each recipe's values."""
    classes: dict[str, Any] = {}
    named = {
        name: _values(with_defaults(TrainOptions, recipes.get(name)), classes)
        for name in recipes.RECIPES
    }
    return {"classes": classes, "recipes": named}


def _values(config: Any, classes: dict[str, Any]) -> dict[str, Any]:
    """The class of a configuration, and its values that differ from the defaults of the class."""
    cls = type(config)
    facts = classes.setdefault(cls.__qualname__, _facts(cls))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            values[field.name] = _values(value, classes)
        elif facts["fields"][field.name].get("default", values) != _plain(value):
            values[field.name] = _plain(value)
    return {"class": cls.__qualname__, "values": values}


def _facts(cls: type[Any]) -> dict[str, Any]:
    """The kind, the docstring and the fields of a configuration class."""
    hints = get_type_hints(cls)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        fields[field.name] = facts = {"text": short_help.text_of(cls, field.name)}
        if not dataclasses.is_dataclass(hints[field.name]):
            facts["type"] = _type(hints[field.name])
            if field.default is not dataclasses.MISSING:
                facts["default"] = _plain(field.default)
    return {
        "kind": cls.kind if issubclass(cls, TaggedConfig) else None,
        "text": inspect.getdoc(cls),
        "checked": hasattr(cls, "__post_init__"),
        "fields": fields,
    }


def _type(hint: Any) -> Any:
    """A type as JSON: `"int"`, `["tuple", "int", "..."]`, `["Literal", "a", "b"]`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ["Literal", *inner]
    if origin is tuple:
        return ["tuple", *map(_type, inner)]
    if origin in (Union, types.UnionType):
        return ["Union", *map(_type, inner)]
    (name,) = (name for name, known in quick.TYPES.items() if known is hint)
    return name


def _plain(value: Any) -> Any:
    """A value as JSON, which has no tuples."""
    return list(value) if isinstance(value, tuple) else value


def write(path: Path = quick.TABLE) -> None:
    """Write the table."""
    path.write_text(json.dumps(table(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()

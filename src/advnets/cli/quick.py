"""Answers of `advnets train` without importing torch: help, option errors, and most dry runs.

Torch and the models take seconds to import. `recipe_options.json` holds the options of every
recipe: names, types, defaults and texts. From it this module builds configuration classes with the
same fields, called stand-ins, and parses the words with these.
"""

import dataclasses
import functools
import inspect
import json
import operator
from collections.abc import Mapping
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

import tyro

from advnets.base import errors
from advnets.base.config import TaggedConfig, dumps, fields_of
from advnets.base.terminal import tell
from advnets.cli import aliases, short_help
from advnets.cli.parsing import parse
from advnets.recipes import FIRST_WORD, refuse_unknown
from advnets.runs.settings import RunSettings
from advnets.training.config import TrainerConfig

TABLE = Path(__file__).with_name("recipe_options.json")
"""The options of every recipe, written by `make options` (`advnets.cli.option_table`)."""
HELPS = {"-h", "--help", "--help-all"}
CHECKED: dict[str, type] = {"TrainOptions": RunSettings, "TrainerConfig": TrainerConfig}
"""Configurations that check their values without torch; their stand-ins inherit the checks."""
TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "Path": Path}
TYPES |= {"None": type(None), "...": ...}


def answered(words: list[str]) -> bool:
    """Answer `advnets train` where no model is needed: print the help or the dry run.

    Returns:
        False, with nothing printed, where the models are needed: for a training, a TOML file or
        `--resume`, and for a dry run with a value that only a model's own configuration can check.

    Raises:
        UserError: For no recipe or an unknown one, an unknown option or a value of a wrong type.
    """
    source, words = divided(words)
    if value_of("--resume", words) is not None or (source or "").endswith(".toml"):
        return False
    if source is None and not HELPS & {*words}:
        raise errors.bad_value("recipe", FIRST_WORD, "nothing")
    refuse_unknown(source or "mnist")
    words, epochs = aliases.without_epochs(words)
    base, unchecked = stand_in(source or "mnist")
    if HELPS & {*words} and "--help-all" not in words:
        short_help.show(base, source or "RECIPE")
        return True
    options = parse(type(base), words, base, prog=f"advnets train {source or '[RECIPE]'}")
    if not options.dry_run or epochs is not None or _changed(base, options) & unchecked:
        return False
    own = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    tell(dumps(_run_of(own)).rstrip("\n"))
    return True


def divided(words: list[str]) -> tuple[str | None, list[str]]:
    """The first word if it is a recipe or a file and no option, and the words after it."""
    named = bool(words) and not words[0].startswith("-")
    return (words[0], words[1:]) if named else (None, words)


def value_of(option: str, words: list[str]) -> str | None:
    """The value of an option; None where the option is not given."""
    for i, word in enumerate(words):
        if word.startswith(option + "="):
            return word.partition("=")[2]
        if word == option and i + 1 < len(words):
            return words[i + 1]
    return None


def stand_in(recipe: str) -> tuple[Any, set[str]]:
    """A stand-in of the options of `advnets train RECIPE`, and the names only a model checks."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    unchecked: set[str] = set()
    return _built(table["classes"], table["recipes"][recipe], unchecked, ""), unchecked


def _built(classes: Mapping[str, Any], told: Any, unchecked: set[str], at: str) -> Any:
    """A stand-in of one configuration, with its values as defaults."""
    name = told["class"]
    own, fields = classes[name], []
    for field, facts in own["fields"].items():
        text = facts["text"]
        value = told["values"][field] if field in told["values"] else facts["default"]
        if isinstance(value, dict):
            value = _built(classes, value, unchecked, f"{at}{field}.")
            hint: Any = type(value)
            text = text or inspect.getdoc(hint)
        else:
            value = tuple(value) if isinstance(value, list) else value
            hint = tyro.conf.Suppress[str] if field == "recipe" else _hint(facts["type"])
            unchecked |= {at + field} if own["checked"] and name not in CHECKED else set()
        described: Any = Annotated[hint, tyro.conf.arg(help=text)]
        default = dataclasses.field(default=value, metadata={"text": text})
        fields.append((field, described, default))
    kind = {} if own["kind"] is None else {"kind": own["kind"]}
    bases = (CHECKED[name],) if name in CHECKED else (TaggedConfig,) if kind else ()
    namespace = {**kind, "__doc__": own["text"]}
    cls = dataclasses.make_dataclass(
        name, fields, bases=bases, namespace=namespace, frozen=True, kw_only=True
    )
    return cls()


def _hint(told: Any) -> Any:
    """The type that the table describes (`option_table` writes it)."""
    if isinstance(told, str):
        return TYPES[told]
    kind, *inner = told
    if kind == "Literal":
        return Literal[tuple(inner)]
    hints: Any = tuple(_hint(word) for word in inner)
    return GenericAlias(tuple, hints) if kind == "tuple" else functools.reduce(operator.or_, hints)


def _changed(base: Any, options: Any) -> set[str]:
    """The names of the options with another value than the recipe's."""
    before = fields_of(base)
    return {name for name, (value, *_) in fields_of(options).items() if value != before[name][0]}


def _run_of(own: Mapping[str, Any]) -> Any:
    """The part of the options of `train` that is the configuration of the run."""
    parts = [f.name for f in dataclasses.fields(RunSettings)]
    parts += ["data", "model", "trainer", "evaluation"]
    fields = [(name, Any, dataclasses.field(default=own[name])) for name in parts]
    return dataclasses.make_dataclass("RunConfig", fields, frozen=True)()

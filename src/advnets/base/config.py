"""Configurations: frozen keyword-only dataclasses, to TOML and back.

A configuration class stands beside what it configures and checks its own limits when it is built.
This module converts them: `dumps` and `from_dict` are inverses of each other, an unknown key is an
error that names the valid ones, and `differences` lists the settings that differ.

Where a field can be one of several kinds (which data, which model), its type is a `TaggedConfig`
and the table in the file names the kind: `[data]  kind = "mnist"`.
"""

import dataclasses
import math
import os
import tomllib
import types
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import (
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import tomli_w

from advnets.base import errors, files

C = TypeVar("C")
T = TypeVar("T")
V = TypeVar("V")
Kinds = Mapping[type, Mapping[str, type]]

MOST = 2**22
"""Bytes that a file may have."""
RESUMABLE = {"free": True}
"""Metadata of a field that may change when a run is resumed, because no result depends on it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedConfig:
    """Base of configurations of which there are several kinds; `kind` names one in TOML.

    Where a file names no kind, a base with a `kind` of its own is that kind.
    """

    kind: ClassVar[str]


def add_kind(
    table: MutableMapping[type[T], V], kinds: MutableMapping[str, type[T]], config: type[T], of: V
) -> None:
    """Add a configuration class of a user's own to the tables of one base.

    A class of the same module and name replaces the earlier one: a notebook cell that runs twice
    defines it twice.

    Args:
        table: Maps each class to what belongs to it: how to load or build it.
        kinds: The classes by their `kind`.
        config: The class.
        of: What belongs to it.

    Raises:
        BadValue: Where the class is no dataclass, has no `kind`, or has that of another one.
    """
    name, kind = config.__qualname__, getattr(config, "kind", None)
    errors.require(dataclasses.is_dataclass(config), name, "a frozen dataclass", "none")
    errors.require(isinstance(kind, str) and kind != "", f"{name}.kind", "a name", kind)
    taken = kinds.get(str(kind))
    if taken is not None:
        same = (taken.__module__, taken.__qualname__) == (config.__module__, name)
        need = f"a name that '{taken.__qualname__}' does not have"
        errors.require(same, f"{name}.kind", need, f"'{kind}'")
        del table[taken]
    table[config], kinds[str(kind)] = of, config


def to_dict(config: object) -> dict[str, Any]:
    """The nested dictionary of a configuration, as TOML holds it; None is left out."""
    table: dict[str, Any] = {}
    if isinstance(config, TaggedConfig):
        table["kind"] = config.kind
    for field in dataclasses.fields(cast(Any, config)):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            table[field.name] = to_dict(value)
        elif value is not None:
            table[field.name] = list(value) if isinstance(value, tuple) else value
    return table


def dumps(config: object) -> str:
    """The configuration as TOML text."""
    return tomli_w.dumps(to_dict(config))


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file. Raises `BadFile` when it is missing or not TOML."""
    if not os.path.lexists(path):
        raise errors.missing_file(path, "give the path of a TOML configuration")
    raw = files.read(path, most=MOST)
    try:
        return tomllib.loads(raw.decode())
    except RecursionError:
        raise _bad_toml(path, "nested too deeply") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise _bad_toml(path, errors.short(error)) from None


def _bad_toml(path: Path, why: object) -> errors.BadFile:
    """A configuration that is not TOML."""
    return errors.BadFile(f"{path}: is not valid TOML: {why}.")


def from_dict(cls: type[C], table: Mapping[str, Any], *, kinds: Kinds, at: str = "") -> C:
    """Build a configuration from a nested dictionary; the inverse of `to_dict`.

    Args:
        cls: The dataclass to build.
        table: Values by field name; a missing one takes the field's default.
        kinds: For each `TaggedConfig` base, its classes by their `kind`.
        at: The dotted prefix under which errors name the keys.

    Raises:
        BadValue: For an unknown key or kind, a missing value, or one of the wrong type.
    """
    values = dict(table)
    if cls in kinds:
        cls = _of_kind(cls, values, kinds[cls], at)
    elif issubclass(cls, TaggedConfig):
        kind = values.pop("kind", cls.kind)
        errors.require(kind == cls.kind, f"{at}kind", f"'{cls.kind}'", kind)
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cast(Any, cls))}
    for key in values:
        if key not in fields:
            raise errors.unknown("key", at + key, [at + name for name in fields])
    for name, field in fields.items():
        if name not in values and _has_no_default(field):
            raise errors.bad_value(at + name, "given", "nothing")
    built = {key: _convert(value, hints[key], kinds, at + key) for key, value in values.items()}
    return cls(**built)


def _has_no_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _of_kind(base: type, table: dict[str, Any], classes: Mapping[str, type], at: str) -> Any:
    kind = table.pop("kind", getattr(base, "kind", None))
    if not isinstance(kind, str) or kind not in classes:
        raise errors.unknown(f"kind of {base.__name__}, {at}kind =", str(kind), classes)
    return classes[kind]


def _convert(value: Any, hint: Any, kinds: Kinds, name: str) -> Any:
    """`value` as the type `hint` asks for, or an error that says which type that is."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):  # `X | None`, or `int | str`
        of_its_type = [h for h in get_args(hint) if h is type(value)]
        return _convert(value, (of_its_type or get_args(hint))[0], kinds, name)
    if origin is Literal:
        errors.require(value in get_args(hint), name, f"one of {', '.join(get_args(hint))}", value)
        return value
    if origin is tuple:
        errors.require(isinstance(value, (list, tuple)), name, "a list", errors.short(repr(value)))
        return tuple(_convert(item, get_args(hint)[0], kinds, name) for item in value)
    if dataclasses.is_dataclass(hint):
        errors.require(isinstance(value, Mapping), name, "a table", errors.short(repr(value)))
        return from_dict(cast(type, hint), value, kinds=kinds, at=name + ".")
    if type(value) is int:
        need = "a number between -2^63 and 2^63"
        errors.require(abs(value) < 2**63, name, need, errors.short(value, 40))
    if hint is float and type(value) is int:
        errors.representable(name, value)
        return float(value)
    errors.require(type(value) is hint, name, TYPE_WORDS[hint], errors.short(repr(value)))
    if hint is float:
        errors.require(math.isfinite(value), name, "a finite number", value)
    return value


TYPE_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "True or False",
    str: "a string",
    Path: "a path",
}


def type_words(hint: Any) -> str:
    """What a value of this type is, in words: `an integer`, `one of a, b`."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(type_words(h) for h in get_args(hint) if h is not type(None))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) is tuple:
        return f"a list, each {type_words(get_args(hint)[0])}"
    return TYPE_WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")


def fields_of(config: object, at: str = "") -> dict[str, tuple[Any, Any, bool]]:
    """Every setting of a configuration: dotted name -> (value, type, may change on resume)."""
    leaves: dict[str, tuple[Any, Any, bool]] = {}
    if isinstance(config, TaggedConfig):
        leaves[at + "kind"] = (config.kind, str, False)
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(cast(Any, config)):
        value, name = getattr(config, field.name), at + field.name
        if dataclasses.is_dataclass(value):
            leaves |= fields_of(value, name + ".")
        else:
            leaves[name] = (value, hints[field.name], bool(field.metadata.get("free")))
    return leaves


def settings(config: object) -> dict[str, Any]:
    """The settings that results depend on, by dotted name, as JSON holds them."""
    leaves = fields_of(config).items()
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, _, free) in leaves
        if not free
    }


def refuse_unrepresentable(config: object) -> None:
    """Raise for any value of a configuration that torch, TOML or the system cannot hold."""
    for name, (value, _, _) in fields_of(config).items():
        errors.representable(name, value)


def expanded(path: Path | str) -> Path:
    """A path with `~` expanded. Raises `BadFile` for the home of an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise errors.BadFile(
            f"{path}: must begin with the name of a user of this machine after '~'."
        ) from None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ: dotted name -> (old value, new value)."""
    values = {name: (old.get(name), new.get(name)) for name in {**old, **new}}
    return {name: (a, b) for name, (a, b) in values.items() if a != b}

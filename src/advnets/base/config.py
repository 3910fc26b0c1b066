"""Configurations: frozen keyword-only dataclasses, to TOML and back.

A configuration class stands beside what it configures and checks its own limits when it is built.
This module only carries them: `dumps` and `from_dict` are inverse to each other, an unknown key is
an error that names the valid ones, and `differences` says what two configurations disagree on.

Where a field can be one of several kinds (which data, which model), its type is a `Variant` and the
table in the file names the kind: `[data]  kind = "mnist"`.
"""

import dataclasses
import math
import os
import tomllib
import types
from collections.abc import Mapping
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
Kinds = Mapping[type, Mapping[str, type]]

MOST = 2**22
"""Bytes that a file may have."""
FREE = {"free": True}
"""Metadata of a field that may change when a run is resumed, because no result depends on it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """Base of the configurations that come in several kinds; `kind` is the word for it in TOML.

    A base that has a `kind` itself means that one where a file names none.
    """

    kind: ClassVar[str]


def to_dict(config: object) -> dict[str, Any]:
    """The nested dictionary of a configuration, as TOML holds it: a None is left out."""
    table: dict[str, Any] = {}
    if isinstance(config, Variant):
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
        raise errors.bad_toml(path, "nested too deeply") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise errors.bad_toml(path, errors.short(error)) from None


def from_dict(cls: type[C], table: Mapping[str, Any], *, kinds: Kinds, at: str = "") -> C:
    """Build a configuration from a nested dictionary; the inverse of `to_dict`.

    Args:
        cls: The dataclass to build.
        table: Values by field name; a missing one takes the field's default.
        kinds: For each `Variant` base, its classes by their `kind`.
        at: The dotted prefix under which errors name the keys.

    Raises:
        BadValue: For an unknown key or kind, a missing value, or one of the wrong type.
    """
    values = dict(table)
    if cls in kinds:
        cls = _of_kind(cls, values, kinds[cls], at)
    elif issubclass(cls, Variant):
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
    if origin in (Union, types.UnionType):  # only `X | None` occurs
        return _convert(value, get_args(hint)[0], kinds, name)
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
        return type_words(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) is tuple:
        return f"a list, each {type_words(get_args(hint)[0])}"
    return TYPE_WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")


def fields_of(config: object, at: str = "") -> dict[str, tuple[Any, Any, bool]]:
    """Every leaf of a configuration: dotted name -> (value, type, free to change on resume)."""
    leaves: dict[str, tuple[Any, Any, bool]] = {}
    if isinstance(config, Variant):
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
    """The settings that matter, by dotted name, as JSON holds them."""
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
    """A path as a user writes it, `~` and all. Raises `BadFile` for the home of nobody."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise errors.unknown_home(path) from None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two sets of settings disagree on: dotted name -> (old value, new value)."""
    values = {name: (old.get(name), new.get(name)) for name in {**old, **new}}
    return {name: (a, b) for name, (a, b) in values.items() if a != b}

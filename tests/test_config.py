"""Configurations: to a dictionary and to TOML and back, and every way to word one wrongly."""

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, get_args, get_type_hints

import pytest

import advnets
from advnets import data
from advnets.base import errors
from advnets.base.config import (
    RESUMABLE,
    TaggedConfig,
    differences,
    dumps,
    expanded,
    fields_of,
    from_dict,
    read_toml,
    settings,
    to_dict,
    type_words,
)
from advnets.base.errors import BadFile, BadValue


@dataclass(frozen=True, kw_only=True)
class Engine(TaggedConfig):
    pass


@dataclass(frozen=True, kw_only=True)
class Steam(Engine):
    kind: ClassVar[str] = "steam"
    pressure: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Sail(Engine):
    kind: ClassVar[str] = "sail"
    areas: tuple[float, ...] = (1.0, 2.5)


@dataclass(frozen=True, kw_only=True)
class Hull:
    length: float = 10.0
    rooms: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Ship:
    name: str
    crew: int = 3
    fast: bool = False
    colour: Literal["red", "blue"] = "red"
    draught: float | None = None
    harbour: str = field(default="", metadata=RESUMABLE)
    hull: Hull = Hull()
    engine: Engine = Steam()


KINDS = {Engine: {"steam": Steam, "sail": Sail}}
SHIPS = [
    Ship(name="plain"),
    Ship(name="two\nlines \"'", crew=-1, fast=True, colour="blue", draught=1.5, harbour="Ryde"),
    Ship(name="", hull=Hull(length=1e-7, rooms=()), engine=Sail(areas=(0.1, 3.0))),
]


def ship(table):
    return from_dict(Ship, {"name": "x"} | table, kinds=KINDS)


@pytest.mark.parametrize("config", SHIPS)
def test_from_dict_undoes_to_dict(config):
    assert from_dict(Ship, to_dict(config), kinds=KINDS) == config


@pytest.mark.parametrize("config", SHIPS)
def test_toml_carries_a_configuration_unchanged(config, tmp_path):
    file = tmp_path / "ship.toml"
    file.write_text(dumps(config), encoding="utf-8")
    assert from_dict(Ship, read_toml(file), kinds=KINDS) == config


def test_the_dictionary_names_the_kind_and_leaves_none_out():
    table = to_dict(SHIPS[0])
    assert table["engine"] == {"kind": "steam", "pressure": 2.0}
    assert table["hull"] == {"length": 10.0, "rooms": [1, 2]}
    assert "draught" not in table
    assert tomllib.loads(dumps(SHIPS[0])) == table


def test_a_missing_key_takes_its_default():
    assert from_dict(Ship, {"name": "plain"}, kinds=KINDS) == SHIPS[0]


def test_from_dict_leaves_its_input_alone():
    table = to_dict(SHIPS[2])
    before = repr(table)
    from_dict(Ship, table, kinds=KINDS)
    assert repr(table) == before


def test_an_integer_serves_where_a_number_is_asked_for():
    built = ship({"draught": 2, "hull": {"length": 3}, "engine": {"kind": "sail", "areas": [1]}})
    values = (built.draught, built.hull.length, built.engine.areas[0])
    assert values == (2.0, 3.0, 1.0)
    assert {type(v) for v in values} == {float}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"crow": 1}, r"Unknown key 'crow'\. Did you mean 'crew'\? Valid: name, crew, .*engine\."),
        ({"hull": {"lenth": 1}}, r"'hull\.lenth'\. Did you mean 'hull\.length'\? Valid: hull\.len"),
        ({"engine": {"kind": "steam", "areas": []}}, r"'engine\.areas'.* Valid: engine\.pressure"),
        ({"engine": {"kind": "stem"}}, r"'stem'\. Did you mean 'steam'\? Valid: steam, sail\."),
        ({"engine": {"kind": ["steam"]}}, r"Valid: steam, sail\."),
        ({"engine": {"pressure": 1.0}}, r"engine\.kind = 'None'\. Valid: steam, sail\."),
        ({"kind": "ship"}, r"Unknown key 'kind'"),
        ({"crew": 1.0}, r"'crew' must be an integer, got 1\.0\."),
        ({"crew": True}, r"'crew' must be an integer, got True\."),
        ({"crew": "3"}, r"'crew' must be an integer, got '3'\."),
        ({"fast": 1}, r"'fast' must be True or False, got 1\."),
        ({"name": 7}, r"'name' must be a string, got 7\."),
        ({"draught": "deep"}, r"'draught' must be a number, got 'deep'\."),
        ({"draught": False}, r"'draught' must be a number, got False\."),
        ({"colour": "green"}, r"'colour' must be one of red, blue, got green\."),
        ({"colour": ["red"]}, r"'colour' must be one of red, blue, got \['red'\]\."),
        ({"hull": 3}, r"'hull' must be a table, got 3\."),
        ({"hull": {"rooms": 3}}, r"'hull\.rooms' must be a list, got 3\."),
        ({"hull": {"rooms": "12"}}, r"'hull\.rooms' must be a list, got '12'\."),
        ({"hull": {"rooms": [1, 2.5]}}, r"'hull\.rooms' must be an integer, got 2\.5\."),
        ({"engine": "steam"}, r"'engine' must be a table, got 'steam'\."),
    ],
)
def test_a_wrong_table_is_refused_by_the_name_of_its_key(table, message):
    with pytest.raises(BadValue, match=message):
        ship(table)


def test_a_value_without_a_default_must_be_given():
    with pytest.raises(BadValue, match=r"'ship\.name' must be given, got nothing\."):
        from_dict(Ship, {}, kinds=KINDS, at="ship.")


def test_a_concrete_class_refuses_the_kind_of_another():
    assert from_dict(Steam, {"kind": "steam", "pressure": 3.0}, kinds={}) == Steam(pressure=3.0)
    with pytest.raises(BadValue, match="'kind' must be 'steam', got sail"):
        from_dict(Steam, {"kind": "sail"}, kinds={})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadFile, match=r"none\.toml: no such file; give the path of a TOML"):
        read_toml(tmp_path / "none.toml")


def test_a_folder_is_no_toml(tmp_path):
    with pytest.raises(BadFile, match=r"cannot be read \(Is a directory\)"):
        read_toml(tmp_path)


@pytest.mark.parametrize("raw", [b"a = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_named(raw, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_bytes(raw)
    with pytest.raises(BadFile, match=r"bad\.toml: is not valid TOML: "):
        read_toml(file)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "an integer"),
        (float | None, "a number"),
        (Literal["a", "b"], "one of a, b"),
        (tuple[int, ...], "a list, each an integer"),
        (Hull, "a Hull"),
    ],
)
def test_a_type_in_words(hint, words):
    assert type_words(hint) == words


def test_fields_are_the_leaves_with_their_kind_and_freedom():
    leaves = fields_of(SHIPS[0])
    assert leaves["engine.kind"] == ("steam", str, False)
    assert leaves["hull.length"] == (10.0, float, False)
    assert leaves["harbour"] == ("", str, True)
    assert "hull" not in leaves


def test_differences_name_what_matters_and_nothing_else():
    same = Ship(name="plain", harbour="Ryde")
    assert differences(settings(SHIPS[0]), settings(same)) == {}
    other = Ship(name="plain", crew=4, engine=Sail())
    assert differences(settings(SHIPS[0]), settings(other)) == {
        "crew": (3, 4),
        "engine.kind": ("steam", "sail"),
        "engine.pressure": (2.0, None),
        "engine.areas": (None, [1.0, 2.5]),
    }


OWN = [
    advnets.RunConfig,
    advnets.GameConfig,
    advnets.GeneratorConfig,
    advnets.DiscriminatorConfig,
    advnets.OptimizerConfig,
    advnets.TrainerConfig,
    advnets.EvaluationConfig,
    *data.KINDS.values(),
]


@pytest.mark.parametrize("cls", OWN)
def test_every_class_of_the_library_is_frozen_keyword_only_and_optional_by_none(cls):
    assert cls.__dataclass_params__.frozen
    hints = get_type_hints(cls)
    for f in dataclasses.fields(cls):
        assert f.kw_only, f.name
        if type(None) in get_args(hints[f.name]):  # what TOML leaves out must mean None
            assert f.default is None, f.name


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**63, "a whole number of at most 9223372036854775807"),
        (-(10**400), "a whole number of at most 9223372036854775807"),
        (1e-320, r"a number that float32 holds: 0, or from 1\.18e-38 to 3\.4e\+38 in size"),
        (1e39, "a number that float32 holds"),
        (math.nan, "a number that float32 holds"),
        ((1.0, math.inf), "a number that float32 holds"),
        ("caf\udce9", "text that UTF-8 can write, without NUL"),
        ("a\0b", "text that UTF-8 can write, without NUL"),
    ],
)
def test_what_cannot_be_held_is_refused_by_its_limit(value, words):
    with pytest.raises(errors.BadValue, match=f"'x' must be {words}"):
        errors.representable("x", value)
    for fine in (0, 2**63 - 1, 0.0, -1e-38 * 2, 3e38, True, None, "é", Path("a\udcff")):
        errors.representable("x", fine)


def test_a_path_is_expanded_and_the_home_of_nobody_named(monkeypatch):
    monkeypatch.setenv("HOME", "/h")
    assert expanded("~/a") == Path("/h/a")
    with pytest.raises(errors.BadFile, match=r"~nobodyhere/x: must begin with the name of a user"):
        expanded("~nobodyhere/x")

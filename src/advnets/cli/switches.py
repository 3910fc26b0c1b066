"""Switches: options that are True or False take `--x`, `--no-x`, `--x True` and `--x False`."""

import types
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Union, get_args, get_origin

from advnets.base import errors

VALUES = {"true": True, "false": False}


def options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """`--a.b-c 1 2 --d=3` as `("a.b_c", ["1", "2"]), ("d", ["3"])`."""
    for word, values in _groups(words):
        name, equals, value = word[2:].partition("=")
        yield name.replace("-", "_"), [value, *values] if equals else values


def _groups(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with the words after it."""
    starts = [i for i, word in enumerate(words) if word.startswith("--")] + [len(words)]
    for i, j in pairwise(starts):
        yield words[i], words[i + 1 : j]


def positive(name: str, hints: Mapping[str, Any]) -> str | None:
    """The option that a name means: `a.x` for `a.x`, and for `a.no_x` and `no_a.x` of a switch.

    Args:
        name: As typed, with underscores.
        hints: Every option with its type.

    Returns:
        None where there is no such option.
    """
    if name in hints:
        return name
    path, dot, last = name.rpartition(".")
    for other in (name.removeprefix("no_"), f"{path}{dot}{last.removeprefix('no_')}"):
        if other in hints and is_switch(hints[other]):
            return other
    return None


def is_switch(hint: Any) -> bool:
    """Whether an option is True or False, or left open (None)."""
    return hint is bool or (_is_union(hint) and bool in get_args(hint))


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def plain(words: list[str], hints: Mapping[str, Any], *, positional: bool) -> list[str]:
    """The command line with every switch as tyro takes it: `--a.x` or `--a.no-x`.

    Args:
        words: The command line.
        hints: Every option with its type.
        positional: Whether a word after a switch may be an argument of the command.

    Raises:
        BadValue: For a switch with another value, or `--no-x` with one.
    """
    first = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    result = words[:first]
    for word, values in _groups(words):
        name = word[2:].partition("=")[0].replace("-", "_")
        meant = positive(name, hints)
        if meant is None or not is_switch(hints[meant]):
            result += [word, *values]
        else:
            result += _switch(word, values, name, meant, hints[meant], positional)
    return result


def _switch(
    word: str, values: list[str], name: str, meant: str, hint: Any, positional: bool
) -> list[str]:
    """One switch and the words after it that are not its own."""
    _, equals, given = word.partition("=")
    if not equals and values and (values[0].lower() in VALUES or not positional):
        given, values, equals = values[0], values[1:], "="
    if hint is not bool and given.lower() == "none":
        return [f"--{meant}", "None", *values]
    if equals and name != meant:
        raise errors.bad_value(word.partition("=")[0], "given without a value", given)
    if equals and given.lower() not in VALUES:
        raise errors.bad_value(meant, "True or False", errors.short(given, 60) or "nothing")
    on = VALUES[given.lower()] if equals else name == meant
    if hint is not bool:
        return [f"--{meant}", str(on), *values]
    path, dot, last = meant.rpartition(".")
    return [f"--{path}{dot}{'' if on else 'no-'}{last}".replace("_", "-"), *values]

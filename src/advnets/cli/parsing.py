"""Parsing of command lines by tyro, with errors in one line."""

import contextlib
import dataclasses
import inspect
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import tyro

from advnets.base import errors
from advnets.base.config import expanded, fields_of, refuse_unrepresentable, type_words
from advnets.cli import switches
from advnets.cli.aliases import unaliased

T = TypeVar("T")

SWITCHES = "Switches take --x, --no-x, --x True or --x False."
"""What the help says of options that are True or False."""
_POSITIONAL = get_args(tyro.conf.Positional[int])[1]
_NARROWEST = 20
"""Columns that a help is laid out in where a terminal has fewer; in one, tyro never ends."""


def parse(cls: type[T], words: list[str], base: object = None, *, prog: str) -> T:
    """Options as a dataclass, parsed by tyro; its errors become one line.

    Args:
        cls: A dataclass with a field for each option.
        words: The command line.
        base: A configuration whose values are the defaults.
        prog: The name of the command in the help.

    Raises:
        BadValue: For an unknown option (with the nearest valid ones) or a value of the wrong type.
    """
    default: Any = tyro.MISSING_NONPROP
    if base is not None:
        default = with_defaults(cls, base)
    hints = hints_of(cls, default)
    words = unaliased(words, hints)
    for name, _ in switches.options(words):
        if switches.positive(name, hints) is None and name not in ("help", "help_all"):
            raise unknown(name, hints)
    try:
        return _usable(_tyro(cls, words, default, prog))
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise _reason(end, cls, words, default, prog) from None


def with_defaults(cls: type[T], base: object) -> T:
    """The options of a command whose defaults are the values of a configuration."""
    fields = {f.name: getattr(base, f.name) for f in dataclasses.fields(cast(Any, base))}
    return cls(**fields)


def unknown(name: str, valid: Iterable[str]) -> errors.BadValue:
    """An unknown option; names the nearest ones."""
    names = list(map(spelled, valid))
    more = f"All {len(names)} are in --help-all."
    return errors.unknown("option", spelled(name), names, instead=more)


def _usable(options: T) -> T:
    """The options with expanded paths and representable values."""
    refuse_unrepresentable(options)
    paths = {
        f.name: _expanded(getattr(options, f.name)) for f in dataclasses.fields(cast(Any, options))
    }
    usable: T = dataclasses.replace(cast(Any, options), **paths)
    return usable


def _expanded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_expanded, value))
    return expanded(value) if isinstance(value, Path) else value


def _tyro(cls: type[T], words: list[str], default: Any, prog: str) -> T:
    words = switches.plain(words, hints_of(cls, default), positional=bool(_positional(cls)))
    words = ["--help" if word == "--help-all" else word for word in words]
    with contextlib.redirect_stderr(io.StringIO()), _wide_enough():
        parsed: T = tyro.cli(
            cls,
            args=words,
            default=default,
            prog=prog,
            use_underscores=False,
            description=_described(cls),
        )
    return parsed


def _described(cls: type[Any]) -> str:
    """What a command does, for its help."""
    return f"{inspect.getdoc(cls)}\n\n{SWITCHES}"


def _positional(cls: type[Any]) -> list[str]:
    """What a command takes without an option, such as the folder of a run."""
    hints = get_type_hints(cls, include_extras=True)
    marked = {n for n, h in hints.items() if _POSITIONAL in getattr(h, "__metadata__", ())}
    return [f.name for f in dataclasses.fields(cls) if f.name in marked]


def _run_of(cls: type[Any]) -> bool:
    """Whether a command must be given the folder of a run."""
    return "run" in _positional(cls)


@contextlib.contextmanager
def _wide_enough() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    if shutil.get_terminal_size().columns < _NARROWEST:
        os.environ["COLUMNS"] = str(_NARROWEST)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS", None)
        os.environ.update({} if before is None else {"COLUMNS": before})


def _reason(
    end: SystemExit, cls: type[Any], words: list[str], default: Any, prog: str
) -> errors.UserError:
    """The reason why tyro refused these words: name, need, got."""
    cause: BaseException | None = end
    while cause is not None:  # one of our own checks, met while the dataclass was built
        if isinstance(cause, errors.BadValue):
            return _attributed(cause, cls, words, default, prog)
        cause = cause.__context__
    hints = hints_of(cls, default)
    required = ["run"] if _run_of(cls) else []
    for name, values in switches.options(words):
        try:
            _tyro(cls, [*required, f"--{name}", *values], default, prog)
        except SystemExit:
            got = errors.short(" ".join(values), 60) or "nothing"
            hint = hints[switches.positive(name, hints) or name]
            return errors.bad_value(name, type_words(hint), got)
    stray = [w for w in words if not w.startswith("-")]
    if required and not stray:
        return errors.bad_value("RUN", "given: the folder of a run", "nothing")
    more = "An option begins with --."
    return errors.unknown("argument", " ".join(stray), map(spelled, hints), instead=more)


def _attributed(
    error: errors.BadValue, cls: type[Any], words: list[str], default: Any, prog: str
) -> errors.BadValue:
    """The error with the full dotted name of its option: 'lr' may be G's or D's."""
    for name, values in switches.options(words):
        try:
            _tyro(cls, [f"--{name}", *values], default, prog)
        except SystemExit:
            return _renamed(error, name.rpartition(".")[2], name)
    return error


def _renamed(error: errors.BadValue, name: str, full: str) -> errors.BadValue:
    """The same message, with the full name of the setting."""
    return errors.BadValue(str(error).replace(f"'{name}'", f"'{full}'", 1))


def spelled(name: str) -> str:
    """An option with hyphens, as it is written; underscores are accepted too."""
    return "--" + name.replace("_", "-")


def hints_of(cls: type[Any], default: Any) -> dict[str, Any]:
    """Every option of a command with its type."""
    if dataclasses.is_dataclass(default):
        leaves = fields_of(default)
        hidden = {n for n in leaves if n == "recipe" or n.endswith("kind")}
        return {n: hint for n, (_, hint, _) in leaves.items() if n not in hidden}
    hints = get_type_hints(cls)
    taken = _positional(cls)
    own = {
        f.name.rstrip("_"): hints[f.name] for f in dataclasses.fields(cls) if f.name not in taken
    }
    for name in [n for n, hint in own.items() if dataclasses.is_dataclass(hint)]:
        below = hints_of(own.pop(name), None)
        own |= {f"{name}.{n}": hint for n, hint in below.items()}
    return own

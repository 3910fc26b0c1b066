"""Renamed options: old names are refused with the new one, and read in older run folders."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


def _same(value: Any) -> Any:
    return value


def _complement(value: Any) -> Any:
    """1 - value, rounded so that .8 gives .2 and not .19999999999999996."""
    return round(1 - value, 12) if isinstance(value, int | float) else value


class Renamed(NamedTuple):
    """What an option is called now, and its new value for an old one."""

    name: str
    convert: Callable[[Any], Any] = _same


RENAMED: Mapping[str, Renamed] = {
    "D_scale": Renamed("D_loss_weight"),
    "average_every": Renamed("ema_every"),
    "average_rate": Renamed("ema_decay", _complement),
    "begin": Renamed("init"),
    "compiled": Renamed("compile"),
    "include_hidden": Renamed("dropout_hidden", _complement),
    "include_input": Renamed("dropout_input", _complement),
    "picture_every": Renamed("sample_every"),
    "rule": Renamed("optimizer"),
}
"""By the last part of an old dotted name."""


def formerly(name: str) -> str:
    """A sentence with the new name of an old key or `--option`; "" for any other."""
    path, dot, last = name.removeprefix("--").rpartition(".")
    renamed = RENAMED.get(last.replace("-", "_"))
    if renamed is None:
        return ""
    new = f"{path}{dot}{renamed.name}"
    if name.startswith("--"):
        new = f"--{new.replace('_', '-')}"
    value = ", with 1 minus the old value" if renamed.convert is _complement else ""
    return f"It is now '{new}'{value}."


def upgraded(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table that an older version wrote, nested or with dotted names, under today's names."""
    new: dict[str, Any] = {}
    for key, value in table.items():
        path, dot, last = key.rpartition(".")
        own = RENAMED.get(last, Renamed(last))
        inner = upgraded(value) if isinstance(value, Mapping) else own.convert(value)
        new[f"{path}{dot}{own.name}"] = inner
    return new

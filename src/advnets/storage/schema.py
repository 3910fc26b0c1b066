"""The JSON files of a run folder: one class each, checked strictly, old versions included.

A run folder is untrusted. What does not fit its class is refused in one line that names file and
field. Fields that older versions did not write have defaults; unknown fields are kept and ignored.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from advnets.base import errors, files

T = TypeVar("T")
FORMAT = 1
"""Version of the files; a file without one has the first."""
FACTS, LINES = 2**26, 2**31
"""Largest size of a JSON file, and of a log, in bytes."""
LARGEST = 2**63 - 1
MOST = 2**31
"""Largest number of values in one example."""

Version = Annotated[int, Meta(ge=1, le=FORMAT)]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Scalar = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)] | float | bool | str | None
Value = Scalar | list[Scalar] | dict[str, Scalar | dict[str, Scalar]]


class Contexts(Struct, frozen=True):
    """The contexts of a conditional model, as far as they must be known before loading."""

    classes: tuple[str, ...]
    shape: Annotated[tuple[Size, ...], Meta(min_length=1, max_length=2)]

    def __post_init__(self) -> None:
        need = f"[{len(self.classes)}], one for each class" if self.classes else "[rows, numbers]"
        fits = self.shape == (len(self.classes),) if self.classes else len(self.shape) == 2
        errors.require(fits, "shape", need, self.shape)
        errors.require(
            math.prod(self.shape) <= MOST, "shape", f"at most {MOST:,} numbers", self.shape
        )


class Data(Struct, frozen=True):
    """`data.json`: the training set of a run."""

    event_shape: Annotated[tuple[Size, ...], Meta(min_length=1, max_length=16)]
    low: float
    high: float
    examples: tuple[Count, ...] = ()
    classes: tuple[str, ...] = ()
    notice: str = ""
    span: tuple[float, ...] = ()
    context: Contexts | None = None
    crc32: Count | None = None
    format: Version = FORMAT

    def __post_init__(self) -> None:
        few = math.prod(self.event_shape) <= MOST
        errors.require(few, "event_shape", f"at most {MOST:,} numbers", self.event_shape)
        errors.require(self.low <= self.high, "low", f"at most high, {self.high:g}", self.low)
        span = not self.span or (len(self.span) == 2 and self.span[0] < self.span[1])
        errors.require(span, "span", "two numbers, the smaller one first", self.span)


def contexts(path: Path, data: Data) -> dict[str, Any]:
    """The contexts of a conditional run. Raises `BadFile` where they are missing."""
    if data.context is None:
        raise errors.damaged_facts(path / "data.json", "object missing required field context")
    return {"classes": data.context.classes, "shape": data.context.shape}


class Environment(Struct, frozen=True):
    """`environment.json`: the environment of a run."""

    command: list[str] | None = None
    commit: str | None = None
    processor: str | None = None
    threads: Count | None = None
    format: Version = FORMAT


class Line(Struct, frozen=True):
    """A line of `metrics.jsonl` or `clock.jsonl`: the fields that are read by name."""

    update: Count
    seconds: float | UnsetType = UNSET
    D_x: float | UnsetType = UNSET
    D_Gz: float | UnsetType = UNSET
    spread: float | UnsetType = UNSET
    warning: str | UnsetType = UNSET
    sentence: str | UnsetType = UNSET


class Progress(Struct, frozen=True):
    """The metadata in a checkpoint of a run."""

    best: dict[str, Annotated[int, Meta(ge=0, le=LARGEST)] | float]
    """Update and score of the best one so far; empty before the first."""
    score: str
    """The latest scores, in words."""
    settings: dict[str, Any] = {}

    def __post_init__(self) -> None:
        whole = not self.best or self.best.keys() == {"update", "score"}
        errors.require(whole, "best", "update and score, or nothing", [*self.best])


class Header(Struct, frozen=True):
    """The header of every checkpoint."""

    format: Count
    update: Count
    crc32: Count


class _Advnets(Struct, frozen=True):
    advnets: str


class SafeTensors(Struct, frozen=True):
    """The part of a safetensors header that this library writes."""

    metadata: _Advnets = msgspec.field(name="__metadata__")


class CachedNetwork(Struct, frozen=True):
    """The metadata of a cached feature network, as far as it is read by name."""

    score: float | None


class Cell(Struct, frozen=True):
    """One score in `table1.json`."""

    evaluation: dict[str, Any]
    seconds: float


FILES: Mapping[str, type[Any]] = {"data": Data, "environment": Environment}
"""The JSON files by name."""


def read(path: Path, of: type[T], *, most: int = FACTS) -> T:
    """The content of a JSON file. Raises `BadFile` where it is not of this class."""
    found: T = decode(path, files.read(path, most=most), of)
    return found


def facts(path: Path, of: type[Any]) -> dict[str, Any]:
    """The content of a JSON file of this class, unconverted and without its version."""
    raw = files.read(path, most=FACTS)
    decode(path, raw, of)
    found: dict[str, Any] = decode(path, raw, dict[str, Any])
    found.pop("format", None)
    return found


def decode(
    path: Path,
    raw: bytes | str,
    of: Any,
    *,
    at: str = "",
    failure: Callable[[Path, str], errors.BadFile] = errors.damaged_facts,
) -> Any:
    """JSON text as an object of a class.

    Args:
        path: The file, for the error.
        raw: The text.
        of: The class.
        at: The position in the file, for the error.
        failure: Makes the error.
    """
    try:
        return msgspec.json.decode(raw, type=of)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise failure(path, reason(error, at)) from None


def convert(path: Path, facts: Any, of: type[T], *, at: str = "") -> T:
    """Parsed JSON as an object of a class."""
    try:
        return msgspec.convert(facts, of)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise errors.damaged_facts(path, reason(error, at)) from None


def known(value: Any) -> Any:
    """The same with None for each number that is not finite, which JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: known(part) for name, part in value.items()}
    return [known(part) for part in value] if isinstance(value, list | tuple) else value


def not_known(value: Any, names: Collection[str]) -> Any:
    """The inverse of `known`: NaN for None under these names."""
    if isinstance(value, Mapping):
        return {
            name: math.nan if part is None and name in names else not_known(part, names)
            for name, part in value.items()
        }
    return [not_known(part, names) for part in value] if isinstance(value, list) else value


def reason(error: Exception, at: str = "") -> str:
    """What is wrong and where: `lines[0].test.mean: expected float, got str`."""
    if isinstance(error, RecursionError):
        return f"{at}{': ' if at else ''}nested too deeply"
    what, _, place = str(error).partition(" - at `$")
    where = ", ".join(part for part in (at, place.rstrip("`").lstrip(".")) if part)
    what = re.sub(r"`", "", what[:1].lower() + what[1:])
    return f"{where}: {what}" if where else what


def lines(path: Path, raw: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The lines of a log and their content, without incomplete lines at the end.

    Raises:
        BadFile: For a damaged line before an intact one.
    """
    damage: errors.BadFile | None = None
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            decode(path, line, Line, at=f"line {number}")
            record = decode(path, line, dict[str, Value], at=f"line {number}")
        except errors.BadFile as error:
            damage = damage or error
            continue
        if damage is not None:
            raise damage
        yield line, record

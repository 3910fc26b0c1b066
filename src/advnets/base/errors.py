"""Errors that a user can cause, the validators, and the sentences that several modules share.

A message names what is wrong, what is needed and what was got. A sentence with one caller stands
beside its caller; `tests/test_errors.py` has the cases. The command prints a `UserError` as one
line and exits with 2; anything else is our own mistake and keeps its traceback.
"""

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path

from advnets.base.renamed_options import formerly


class UserError(Exception):
    """A mistake that the user can correct. The message is one line that says how."""


class BadValue(UserError, ValueError):
    """A value, name or array outside what is allowed."""


class TooFewAccepted(BadValue):
    """D accepted too few proposals for the samples that were asked for."""


class BadFile(UserError, ValueError):
    """A file or folder that is missing, damaged or of another kind."""


class Unusable(BadFile):
    """One picture among many that cannot be used; says why, without its name."""


class Bomb(Unusable):
    """A picture that would fill the memory when it is decoded (a decompression bomb)."""


class DamagedHeader(BadFile):
    """The header of an array's file; says what is wrong with it, without the file's name."""


class WrongMoment(UserError, RuntimeError):
    """A valid call, made at the wrong moment."""


class Diverged(UserError, FloatingPointError):
    """A value, a gradient or a weight is no longer finite."""


class CannotWrite(UserError, OSError):
    """A file could not be written."""


class OthersLost(UserError, ConnectionError):
    """A process of a run of several is gone, so that the run cannot go on."""


class MissingExtra(UserError, ImportError):
    """An optional package is needed and is not installed."""


def short(words: object, most: int = 300) -> str:
    """Text that may come from a file, shortened for a message."""
    text = str(words)
    return text if len(text) <= most else f"{text[:most]} ..."


def kind_of(got: object) -> str:
    """What a thing of another kind is: `the class Game`, `a list`, `100`."""
    kind = f"the class {got.__name__}" if isinstance(got, type) else f"a {type(got).__name__}"
    return str(got) if isinstance(got, Real) else kind


# Values


def bad_value(name: str, need: str, got: object) -> BadValue:
    """A value outside what is allowed: `'k' must be at least 1, got 0.`."""
    return BadValue(f"'{name}' must be {need}, got {got}.")


def require(condition: bool, name: str, need: str, got: object) -> None:
    """Raise `bad_value(name, need, got)` unless the condition holds."""
    if not condition:
        raise bad_value(name, need, got)


LARGEST = 2**63 - 1
"""The largest whole number that torch and numpy hold."""
SMALL, LARGE = 2.0**-126, (2 - 2**-23) * 2.0**127
"""The smallest and largest positive numbers of float32 at full precision."""


def representable(name: str, value: object) -> None:
    """Raise unless a value, or each in a list, is one that torch, TOML and the system can hold."""
    if isinstance(value, tuple | list):
        for item in value:
            representable(name, item)
    elif isinstance(value, int):
        require(abs(value) <= LARGEST, name, f"a whole number of at most {LARGEST}", value)
    elif isinstance(value, float):
        need = f"a number that float32 holds: 0, or from {SMALL:.3g} to {LARGE:.3g} in size"
        require(value == 0 or SMALL <= abs(value) <= LARGE, name, need, value)
    elif isinstance(value, str):
        text = value.encode(errors="replace").decode() == value and "\0" not in value
        require(text, name, "text that UTF-8 can write, without NUL", repr(value)[1:-1])


def at_least(minimum: float, **values: float) -> None:
    """Raise unless every named value is a finite number that is at least `minimum`."""
    for name, value in values.items():
        need = f"a number that is at least {minimum}"
        require(isinstance(value, Real), name, need, kind_of(value))
        if isinstance(value, int):
            representable(name, value)
        require(minimum <= value < float("inf"), name, need, value)


def whole(minimum: int, **values: int) -> None:
    """Raise unless every named value is a whole number that is at least `minimum`."""
    for name, value in values.items():
        at_least(minimum, **{name: value})
        require(isinstance(value, Integral), name, "a whole number", value)


def positive(**values: float) -> None:
    """Raise unless every named value is a finite number above 0."""
    for name, value in values.items():
        require(isinstance(value, Real), name, "a number above 0", kind_of(value))
        require(0 < value < float("inf"), name, "a number above 0", value)
        representable(name, value)


def probability(**values: float) -> None:
    """Raise unless every named value lies in (0, 1]."""
    for name, value in values.items():
        require(0 < value <= 1, name, "above 0 and at most 1", value)


def fraction(**values: float) -> None:
    """Raise unless every named value lies in [0, 1)."""
    for name, value in values.items():
        require(0 <= value < 1, name, "at least 0 and below 1", value)


def one_of(valid: Iterable[str], **values: str) -> None:
    """Raise unless every named word is a valid one."""
    for name, value in values.items():
        if value not in valid:
            raise unknown(name, value, valid)


LONGEST = 190
"""Characters that a line about a mistyped word may have."""


def unknown(what: str, name: str, valid: Iterable[str], *, instead: str = "") -> BadValue:
    """An unknown recipe, option, key or word; names the nearest valid ones and all of them.

    For an option that was renamed it gives the new name.

    Args:
        what: Kind of the word.
        name: The word.
        valid: The words that there are.
        instead: A sentence in place of all the words where they make the line too long.
    """
    renamed = formerly(name) if what in ("option", "key") else ""
    if renamed:
        return BadValue(f"Unknown {what} '{short(name, 60)}'. {renamed}")
    names, head = list(valid), f"Unknown {what} '{short(name, 60)}'."
    near = [f"'{other}'" for other in nearest(name, names)]
    while len(" or ".join(near)) > LONGEST - len(head) - len(instead) - 20 and len(near) > 1:
        near.pop()
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    whole = f"{head}{hint} Valid: {', '.join(names) or 'none'}."
    if len(whole) <= LONGEST or not instead:
        return BadValue(whole)
    return BadValue(f"{head}{hint} {instead}")


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """The words that were probably meant, by the last segment of dotted ones; [] for none."""
    last = {other: _last(other) for other in names}
    plain = {other.lstrip("-"): other for other in names}  # hyphens in front are alike in all
    same = [other for other in names if "." in other and last[other] == _last(name)]
    by_segment = difflib.get_close_matches(_last(name), [*last.values()], n=1)
    return (
        same
        or [plain[word] for word in difflib.get_close_matches(name.lstrip("-"), [*plain], n=1)]
        or [other for other in names if last[other] in by_segment and "." in other]
    )


def _last(name: str) -> str:
    """`lr` of `--model.G-optimizer.lr`."""
    return name.removeprefix("--").rpartition(".")[2].replace("_", "-")


def wrong_shape(name: str, need: str, got: Iterable[int]) -> BadValue:
    """An array or tensor whose shape does not fit."""
    return bad_value(name, f"of shape {need}", f"shape ({', '.join(map(str, got))})")


def not_conditional() -> BadValue:
    """A context was given to a sampler that takes none."""
    return bad_value("context", "None: this model is not conditional", "a context")


def no_context() -> BadValue:
    """A conditional model is not told the context that it needs."""
    return bad_value("context", "given: this model is conditional", "nothing")


def does_not_play(network: str, need: str, why: object) -> BadValue:
    """A network that fails on the inputs of the game."""
    reason = " ".join(str(why).split())[:200]
    return bad_value(network, need, f"{type(why).__name__}: {reason}")


def not_numbers(name: str, why: object) -> BadValue:
    """An array that does not become a tensor."""
    return bad_value(name, "a tensor or array of numbers", short(why, 100))


def no_labels(reading: str = "") -> BadValue:
    """A conditional model is to be trained on data without labels; `reading` says what was read."""
    need = "'none' for data without labels (an archive's array 'y', folders that are classes)"
    error = bad_value("model.context", need, "'labels'")
    return BadValue(f"{error} {reading}") if reading else error


# Arrays


def array_not_finite(name: str, row: int) -> BadValue:
    """An array with NaN or infinity."""
    return bad_value(name, "finite everywhere", f"NaN or infinity, first in row {row}")


def array_too_short(name: str, need: int, got: int) -> BadValue:
    """An array with too few rows to be split into training, validation and test."""
    return bad_value(name, f"an array of at least {need} rows (examples)", f"{got}")


def outside_unit_interval(
    name: str, low: float, high: float, *, choose: str | None = "--model.G.output linear"
) -> BadValue:
    """Data outside [0, 1] for a network whose output is a sigmoid; `choose` another, if it can."""
    return BadValue(
        f"'{name}' must lie in [0, 1] for a sigmoid output, got values from {low:g} to {high:g}; "
        f"rescale the data{f' or choose {choose}' if choose else ''}."
    )


def bad_array_file(path: Path, need: str, got: object) -> BadFile:
    """A file of arrays that does not hold what is asked of it."""
    return BadFile(f"{path}: must be {need}, got {got}.")


# Files


def missing_file(path: Path, hint: str) -> BadFile:
    """A file that is not there."""
    return BadFile(f"{path}: no such file; {hint}.")


def unreadable(path: Path, why: Exception) -> BadFile:
    """A file that the system does not let us read."""
    return BadFile(f"{path}: cannot be read ({getattr(why, 'strerror', None) or why}).")


# Pictures


def too_few_pictures(path: Path, need: int, got: int, skipped: int, first: str) -> BadFile:
    """Not enough pictures that can be used for three splits; the first left out says why."""
    more = f" and {skipped} that cannot be used, first {first}" if skipped else ""
    return BadFile(f"{path}: must hold at least {need} pictures, got {got}{more}.")


def empty_class(path: Path, name: str, what: str, first: str = "") -> BadFile:
    """A class without a picture; the first that cannot be used says why."""
    why = f", first {first}" if first else ""
    return BadFile(
        f"{path}: class '{name}' must have at least one {what}, got none{why} "
        "(or choose --data.labels none)."
    )


def unusable(why: object) -> Unusable:
    """A picture that cannot be used, in one line."""
    lines = str(why).splitlines() or ["no reason given"]
    return Unusable(lines[0][:120])


def bomb(most: str, got: str) -> Bomb:
    """A picture of so many pixels, or bytes, that it may be meant to fill the memory."""
    return Bomb(f"must have at most {most}, got {got} (a decompression bomb?)")


def unusable_picture(path: Path, problem: str) -> BadFile:
    """A picture that ends the reading; `problem` is its name and what is wrong with it."""
    return BadFile(f"{path}: {problem}; take it out, or choose --data.unreadable skip.")


def encrypted_zip(path: Path, name: str) -> BadFile:
    """A zip with an encrypted member."""
    return BadFile(f"{path}: must not be encrypted, got '{name}', which is.")


def damaged_gzip(path: Path, why: object) -> BadFile:
    """A compressed file that does not decompress."""
    return BadFile(f"{path}: truncated or damaged gzip file ({why}).")


def missing_extra(package: str, extra: str) -> MissingExtra:
    """An optional package that is not installed."""
    return MissingExtra(f"'{package}' is not installed; run: pip install 'advnets[{extra}]'")


# Run folders


def another_model(path: Path, need: str, got: str) -> BadFile:
    """A run folder, or a checkpoint in it, of another model than the one asked for."""
    return BadFile(f"{path}: must be a run of {need}, got one of {got}.")


def no_images(path: Path, figure: str, got: Iterable[int]) -> BadFile:
    """A figure of images, asked of a run on other data."""
    need, shape = "a run on images, (1, H, W) or (3, H, W)", ", ".join(map(str, got))
    return BadFile(f"{path}: must be {need}, for Figure {figure}, got examples of shape ({shape}).")


def damaged_checkpoint(path: Path, why: object) -> BadFile:
    """A checkpoint that cannot be read whole."""
    return BadFile(f"{path}: damaged checkpoint ({short(why)}).")


def damaged_facts(path: Path, why: object) -> BadFile:
    """A JSON file of a run folder that cannot be read."""
    return BadFile(f"{path}: missing or damaged ({short(why)}).")


@contextlib.contextmanager
def foreign_checkpoints(path: Path) -> Iterator[None]:
    """Inside, a state that does not fit the model raises `BadFile` that names the checkpoint."""
    try:
        yield
    except BadFile:
        raise
    except BadValue as error:
        raise BadFile(f"{path}: is a checkpoint of another model ({short(error)})") from None
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # torch's own refusals: a tensor of another size, an optimiser's entry without its parameter
        why = short((str(error).splitlines() or [type(error).__name__])[0])
        raise BadFile(f"{path}: is a checkpoint of another model ({why})") from None


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Inside, failures to write (a full disk, no permission) raise `CannotWrite`."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise disk_full(path, error.strerror or error) from None


def disk_full(path: Path, why: object) -> CannotWrite:
    """Saving failed; what was saved before is untouched."""
    return CannotWrite(f"{path}: could not be saved ({why}); what was saved before is kept.")


def not_kept(refused: CannotWrite) -> str:
    """The notice where scores were shown and cannot be kept."""
    return f"The scores are not kept: {refused}"


# The game

FAR = 10.0
"""Absolute value above which the scale of the data is named as a possible cause of divergence."""


def diverged(quantity: str, value: float, update: int, *, largest: float = 1.0) -> Diverged:
    """A value or parameter that is no longer finite: `V is nan at update 812.`, and what to do."""
    cure = "A lower learning rate is the usual cure."
    if largest > FAR:
        cure = f"The data reaches {largest:g}: scale it to about [0, 1] or [-1, 1] first."
    return Diverged(
        f"{quantity} is {value} at update {update}. The run stops; its last good checkpoint "
        f"is kept. {cure}"
    )

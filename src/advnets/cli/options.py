"""The options of each command; tyro reads them, and what it refuses is worded as ours."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import tyro

from advnets.base import errors
from advnets.base.config import expanded, fields_of, refuse_unrepresentable, type_words
from advnets.runs.loaded import Which
from advnets.runs.train import RunConfig

T = TypeVar("T")
FLAGS = ("--dry_run", "--dry-run", "--failures", "--quick", "--train")
"""The options that take no value."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunConfig):
    """Train a generator against a discriminator."""

    recipe: tyro.conf.Suppress[str] = ""
    """Filled in from the first word."""
    folder: Path | None = None
    """Folder of the new run; runs/RECIPE by default."""
    resume: Path | None = None
    """Folder of a run to go on with, bit for bit as if it had not stopped."""
    dry_run: bool = False
    """Print the resolved configuration as TOML and stop."""


@dataclass(frozen=True, kw_only=True)
class DataPlace:
    """Where data lies by now."""

    path: str | None = None
    """Of an array, pictures, or TFD: the file or folder."""
    root: str | None = None
    """Of MNIST or CIFAR-10: the folder."""


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Draw samples from a run. Sample number i depends on the seed and on i alone."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """Where to: NAME.png for one picture, NAME.npy for an array, any other name for a folder with
    one PNG a sample, named by its number. RUN/samples.png by default."""
    n: int | None = None
    """How many samples; of several classes, of each. 64, or ten of each class, by default."""
    seed: int = 0
    """The seed of the samples."""
    start: int = 0
    """Number of the first sample."""
    class_: Annotated[tuple[str, ...], tyro.conf.arg(name="class")] = ()
    """Of a conditional run: the class to draw, or several, of which each is a row of the picture.
    By default classes are drawn as often as the training set has them."""
    weights: str | None = None
    """Which of the model's samplers, the first by default: a game's 'raw' or 'averaged' weights, a
    baseline's 'chain'."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score a run by the paper's protocol, beside real training examples and the training mean."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    samples: int | None = None
    """Samples that the Parzen window is put on; as configured by default."""
    seed: int = 0
    """The seed of the samples."""
    quality: bool = True
    """Whether other measures are taken too: distances of features, precision, recall, copies ..."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """Where the run's data lies by now, when it has been moved."""


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """Draw a figure of the paper: 1: a pair as it learns, 2: random samples, 3: a line of z."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """Where to: NAME.png; of Figure 1 also NAME.gif, a film. RUN/figure1.png (2, 3) by default."""
    seed: int = 0
    """The seed of the samples: the figure shows the first ones of it, none picked. In Figure 1 that
    of the noise between (a), (b) and (c)."""
    weights: str | None = None
    """Which of the model's samplers, the first by default: a game's 'raw' or, but in Figure 1,
    'averaged' weights, a baseline's 'chain'."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """Where the run's data lies by now, when it has been moved."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Write one HTML page that shows a run; scores it first where its scores are not at hand."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """The file to write. RUN/report.html by default."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """Where the run's data lies by now, when it has been moved."""


@dataclass(frozen=True, kw_only=True)
class TheoryOptions:
    """Measure the claims of the paper's Section 4, or its failures, and write one HTML page.

    The exit code is 1 where a claim fails.
    """

    failures: bool = False
    """Play how the game fails instead (Sections 3 and 6)."""
    quick: bool = False
    """Play the failures in small: everything runs, and no failure shows."""
    mnist: Path | None = None
    """Folder of MNIST for the failures; by default $ADVNETS_DATA, else 5,000 digits."""
    out: Path | None = None
    """The file to write; theory.html or failures.html by default. The failures' may be NAME.md: its
    pictures are then written beside it."""


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Make Table 1 of the paper: train what is missing, score all of it, and write it down.

    Stopped and called again, it goes on; nothing that is finished is computed twice.
    """

    mnist: Path | None = None
    """Folder of MNIST's files; without it $ADVNETS_DATA, then a checked download to your cache."""
    tfd: Path | None = None
    """The file TFD_48x48.mat; without it the column is not run."""
    from_: Annotated[tuple[Path, ...], tyro.conf.arg(name="from")] = ()
    """Runs, or folders of runs, to use; then nothing is trained but with --train."""
    train: bool = False
    """Train what is missing beside --from; without --from that is always done."""
    models: tuple[str, ...] = ()
    """Rows to fill: some of dbn, stacked-cae, gsn, adversarial, rbm, dae, vae; all by default."""
    quick: bool = False
    """Everything in tiny, on 5,000 digits where --mnist is not given: a minute, no results."""
    out: Path = Path("runs/table1")
    """Folder of new runs, and of table1.md, table1.csv and table1.png."""


def parse(cls: type[T], words: list[str], base: RunConfig | None = None, *, prog: str) -> T:
    """Options as a dataclass, by tyro; what tyro refuses ends as our one line.

    Args:
        cls: A dataclass with a field for each option.
        words: The command line.
        base: A configuration whose values are the defaults.
        prog: What the help calls the command.

    Raises:
        BadValue: For an unknown option (with the nearest valid one) or a value of the wrong type.
    """
    default: Any = tyro.MISSING_NONPROP
    if base is not None:
        fields = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
        default = cls(**fields)
    try:
        return _usable(_tyro(cls, words, default, prog))
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise _reason(end, cls, words, default, prog) from None


def _usable(options: T) -> T:
    """The options with whole paths, and nothing in them that cannot be computed with."""
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
    words = [w for word in words for w in ([word, "True"] if word in FLAGS else [word])]
    with contextlib.redirect_stderr(io.StringIO()):
        parsed: T = tyro.cli(
            cls,
            args=words,
            default=default,
            prog=prog,
            use_underscores=True,
            config=(tyro.conf.FlagConversionOff,),
        )
    return parsed


def _reason(
    end: SystemExit, cls: type[Any], words: list[str], default: Any, prog: str
) -> errors.UserError:
    """Why tyro refused these words, in ours: name, need, got."""
    cause: BaseException | None = end
    while cause is not None:  # one of our own checks, met while the dataclass was built
        if isinstance(cause, errors.BadValue):
            return _attributed(cause, cls, words, default, prog)
        cause = cause.__context__
    hints = _hints(cls, default)
    options = list(_options(words))
    for name, _ in options:
        if name not in hints:
            return errors.unknown("option", f"--{name}", [f"--{n}" for n in hints])
    required = [f.name for f in dataclasses.fields(cls) if f.name == "run"]
    for name, values in options:
        try:
            _tyro(cls, ["run"] * len(required) + [f"--{name}", *values], default, prog)
        except SystemExit:
            return errors.bad_value(name, type_words(hints[name]), " ".join(values) or "nothing")
    stray = [w for w in words if not w.startswith("-")]
    if required and not stray:
        return errors.bad_value("RUN", "given: the folder of a run", "nothing")
    return errors.unknown("argument", " ".join(stray), [f"--{n}" for n in hints])


def _attributed(
    error: errors.BadValue, cls: type[Any], words: list[str], default: Any, prog: str
) -> errors.BadValue:
    """The error with the dotted name of the option that causes it: 'lr' may be G's or D's."""
    for name, values in _options(words):
        try:
            _tyro(cls, [f"--{name}", *values], default, prog)
        except SystemExit:
            return errors.renamed(error, name.rpartition(".")[2], name)
    return error


def _hints(cls: type[Any], default: Any) -> dict[str, Any]:
    """Every option of a command with its type."""
    if dataclasses.is_dataclass(default):
        leaves = fields_of(default)
        hidden = {n for n in leaves if n == "recipe" or n.endswith("kind")}
        return {n: hint for n, (_, hint, _) in leaves.items() if n not in hidden}
    hints = get_type_hints(cls)
    own = {f.name.rstrip("_"): hints[f.name] for f in dataclasses.fields(cls) if f.name != "run"}
    for name in [n for n, hint in own.items() if dataclasses.is_dataclass(hint)]:
        below = _hints(own.pop(name), None)
        own |= {f"{name}.{n}": hint for n, hint in below.items()}
    return own


def _options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """`--a.b 1 2 --c=3` as `("a.b", ["1", "2"]), ("c", ["3"])`."""
    starts = [i for i, word in enumerate(words) if word.startswith("--")] + [len(words)]
    for i, j in pairwise(starts):
        name, equals, value = words[i][2:].partition("=")
        yield name.replace("-", "_"), [value, *words[i + 1 : j]] if equals else words[i + 1 : j]

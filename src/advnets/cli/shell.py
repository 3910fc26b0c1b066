"""The command `advnets completion SHELL`: a script that completes commands, recipes and options."""

import contextlib
import dataclasses
import functools
import io
import operator
from typing import Annotated, Any, Literal

import tyro

from advnets import recipes
from advnets.base import errors
from advnets.base.terminal import tell
from advnets.cli import extension_options, options
from advnets.cli.completion_spec import completed
from advnets.cli.parsing import with_defaults
from advnets.cli.training import TrainOptions

SHELLS = ("bash", "zsh", "fish")
HELP = """\
advnets completion SHELL    print a completion script for bash, zsh or fish

  bash    mkdir -p ~/.local/share/bash-completion/completions
          advnets completion bash > ~/.local/share/bash-completion/completions/advnets
  zsh     advnets completion zsh > ~/.zfunc/_advnets    (with ~/.zfunc in fpath)
  fish    advnets completion fish > ~/.config/fish/completions/advnets.fish"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureCommand(options.FigureOptions):
    """A figure of the paper."""

    number: tyro.conf.Positional[Literal["1", "2", "3"]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipesCommand:
    """The named configurations."""

    name: tyro.conf.Positional[str] = ""


OTHERS: dict[str, Any] = {
    "sample": options.SampleOptions,
    "complete": extension_options.CompleteOptions,
    "encode": extension_options.EncodeOptions,
    "reconstruct": extension_options.ReconstructOptions,
    "evaluate": options.EvaluateOptions,
    "figure": FigureCommand,
    "coordination": extension_options.CoordinationOptions,
    "label-curve": extension_options.LabelCurveOptions,
    "report": options.ReportOptions,
    "export": options.ExportOptions,
    "push": options.PushOptions,
    "compare": options.CompareOptions,
    "video": options.VideoOptions,
    "runs": options.RunsOptions,
    "studio": options.StudioOptions,
    "theory": options.TheoryOptions,
    "recipes": RecipesCommand,
    "doctor": options.DoctorOptions,
}
"""The commands beside `train`, by name."""
ARGUMENTS = {
    "figure": ("1", "2", "3"),
    "recipes": tuple(recipes.RECIPES),
    "completion": SHELLS,
}
"""The commands whose first word is one of these."""


def completion(words: list[str]) -> int:
    """The command `advnets completion`."""
    if words and words[0] in ("-h", "--help", "--help-all"):
        tell(HELP)
        return 0
    if len(words) != 1:
        got = " ".join(words) or "nothing"
        raise errors.bad_value("SHELL", f"one of {', '.join(SHELLS)}", errors.short(got, 60))
    errors.one_of(SHELLS, shell=words[0])
    tell(script(words[0]))
    return 0


def script(shell: str) -> str:
    """The completion script of a shell, by tyro."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        tyro.cli(
            _commands(),
            args=["--tyro-print-completion", shell],
            prog="advnets",
            use_underscores=False,
        )
    return completed(text.getvalue().rstrip("\n"), shell, ARGUMENTS)


def _commands() -> Any:
    """All commands, as a union of which tyro makes subcommands."""
    kinds = [
        Annotated[_train(), tyro.conf.subcommand("train")],
        Annotated[_table(), tyro.conf.subcommand("table")],
    ]
    kinds += [Annotated[cls, tyro.conf.subcommand(name)] for name, cls in OTHERS.items()]
    return functools.reduce(operator.or_, kinds)


def _train() -> Any:
    """The command `train`, with a recipe as its subcommand: each has options of its own."""
    named = {name: with_defaults(TrainOptions, recipes.get(name)) for name in recipes.RECIPES}
    kinds: list[Any] = [
        Annotated[TrainOptions, tyro.conf.subcommand(name, default=options)]
        for name, options in named.items()
    ]
    recipe: Any = Annotated[functools.reduce(operator.or_, kinds), tyro.conf.arg(name="")]
    return dataclasses.make_dataclass("Train", [("config", recipe)])


def _table() -> Any:
    """The command `table`, with its number as a subcommand: each has options of its own."""
    one = Annotated[options.TableOptions, tyro.conf.subcommand("1")]
    two = Annotated[options.Table2Options, tyro.conf.subcommand("2")]
    number: Any = Annotated[one | two, tyro.conf.arg(name="")]
    return dataclasses.make_dataclass("Table", [("number", number)])

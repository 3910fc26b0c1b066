"""The command `advnets`: train, sample, evaluate, report, export, compare, figure and others.

A user's mistake gives one line on standard error and exit code 2, and no half-written file. What
needs no model is answered before torch is imported, which takes seconds: help, recipes, a mistake
in the options, and most dry runs.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from advnets.base import errors
from advnets.base.terminal import say, streams, tell
from advnets.recipes import FIRST_WORD, refuse_unknown

HELP = """\
advnets: Generative Adversarial Nets (Goodfellow et al., 2014), trained, sampled and scored.

  advnets train RECIPE [--a.b VALUE ...]   train a generator against a discriminator
  advnets train FILE.toml                  the same from a configuration of your own
  advnets train --resume RUN               resume a run
  advnets sample RUN                       pictures and arrays of samples
  advnets complete RUN --images FOLDER     fill in erased pixels (a run of mnist-inpainting)
  advnets encode RUN --images FOLDER       infer z of pictures (--fit trains an encoder first)
  advnets reconstruct RUN --images FOLDER  G(E(x)), before and after search
  advnets evaluate RUN                     the paper's Parzen score and other metrics
  advnets report RUN                       one HTML page: RUN/report.html
  advnets export RUN --to onnx             the generator for other programs, or as a shared folder
  advnets push RUN --repo USER/NAME        the same on the Hugging Face Hub
  advnets compare RUN RUN ...              several runs on one HTML page
  advnets video RUN                        a film of the training; --walk: through z
  advnets runs [FOLDER]                    the runs in a folder: state, score, age, size
  advnets figure N RUN                     the paper's Figure 1, 2 or 3
  advnets table 1                          every model of Table 1, trained and scored
  advnets table 2                          Table 2: what each family finds hard, in numbers
  advnets label-curve RUN                  Section 7.4: few labels, with features of D or E
  advnets coordination                     Section 7.5: methods compared by the modes they find
  advnets theory                           Section 4's theorems, checked: theory.html
  advnets theory --failures                failure modes, reproduced: failures.html
  advnets studio [RUN ...]                 the game and trained runs, in the browser
  advnets recipes [NAME]                   the named configurations: what, time, score
  advnets doctor                           what this machine has, and what is slow or missing
  advnets completion SHELL                 a completion script for bash, zsh or fish

Begin with:   advnets train demo           real digits, minutes, no network
Then:         advnets report runs/demo
Look into:    advnets train demo --help    the options that matter; --help-all has every one
              advnets train demo --dry-run the resolved configuration, as TOML
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    The exit code is 0, 1 for a failed claim, 2 for a user's mistake, 130 for a run that is stopped
    by hand and 75 for one that a scheduler stops (SIGTERM, SIGUSR1).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    with streams():
        return _answered(lambda: _command(words))


def _answered(ask: Callable[[], int]) -> int:
    try:
        code = ask()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except errors.UserError as error:
        return complain(error)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        return 0
    except OSError as error:
        return complain(_system_refused(error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        return complain(_out_of_memory(error))
    except KeyboardInterrupt:
        say("advnets: stopped at once; what was saved before is kept.")
        return 130


def _out_of_memory(why: object) -> errors.BadValue:
    """Sizes that the machine cannot hold."""
    first = (str(why).splitlines() or ["no reason given"])[0]
    return errors.BadValue(f"The sizes asked for do not fit in memory ({first[:120]}).")


def _system_refused(why: OSError) -> errors.BadFile:
    """Whatever else the system refuses."""
    return errors.BadFile(f"{why.filename or 'the system'}: {why.strerror or why}.")


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "--help-all"):
        tell(HELP.rstrip())
        return 0
    if words[0] == "--version":
        tell(f"advnets {metadata.version('advnets')}")
        return 0
    if words[0] not in COMMANDS:
        raise errors.unknown("command", words[0], COMMANDS, instead="All are in advnets --help.")
    return COMMANDS[words[0]](words[1:])


def complain(error: errors.UserError) -> int:
    """One line on standard error; the exit code of a user's mistake."""
    say(f"{_who()}: {error}")
    return 2


def _who() -> str:
    if "WORLD_SIZE" not in os.environ:
        return "advnets"
    from advnets.base.distributed import get_rank

    try:
        own = get_rank()
    except errors.BadValue:  # what the environment says of this process is what is complained of
        return "advnets"
    return "advnets" if own.first else f"advnets (process {own.rank})"


def _computing(module: str, function: str, asked: Any) -> int:
    """A function of `advnets.cli`, in a process whose settings are those of a computation."""
    from advnets.base.distributed import last_words
    from advnets.base.process import subnormals_as_zero
    from advnets.optim.train_state import keep_freed_memory

    with subnormals_as_zero(), last_words():  # before torch starts a thread of its own
        keep_freed_memory()
        run: Callable[[Any], int] = getattr(
            importlib.import_module(f"advnets.cli.{module}"), function
        )
        return _answered(lambda: run(asked))


def _options(name: str, function: str, module: str = "commands") -> Callable[[list[str]], int]:
    """A command whose options are parsed before what it does is imported."""
    return lambda words: _computing(module, function, _parsed(name, words, f"advnets {name}"))


def _words(name: str, function: str, module: str) -> Callable[[list[str]], int]:
    """The same for a command that saves its words with its results, and parses them itself."""

    def run(words: list[str]) -> int:
        _parsed(name, words, f"advnets {name}")
        return _computing(module, function, words)

    return run


def _numbered(name: str, options: dict[str, str], unnumbered: str) -> Callable[[list[str]], int]:
    """A command whose first word is a number, which determines the options.

    Args:
        name: The command.
        options: The name of the options, by number.
        unnumbered: The word for the number in the help of the command.
    """

    def run(words: list[str]) -> int:
        number = words[0] if words else ""
        if number in ("-h", "--help", "--help-all"):
            _parsed(name, words, f"advnets {name} {unnumbered}")
        if number in options:
            _parsed(options[number], words[1:], f"advnets {name} {number}")
        return _computing("commands", name, words)

    return run


def _parsed(name: str, words: list[str], prog: str) -> Any:
    """The parsed options of a command; `label-curve` has the class `LabelCurveOptions`."""
    from advnets.cli import extension_options, options
    from advnets.cli.parsing import parse

    wanted = f"{name.title().replace('-', '')}Options"
    cls = getattr(options, wanted, None) or getattr(extension_options, wanted)
    return parse(cls, words, prog=prog)


def train(words: list[str]) -> int:
    """The command `advnets train`: what needs no model is answered before torch is imported."""
    if not words:
        raise errors.bad_value("recipe", FIRST_WORD, "nothing")
    if not words[0].startswith("-") and not words[0].endswith(".toml"):
        refuse_unknown(words[0])
    if "torch" not in sys.modules:
        from advnets.cli.quick import answered

        if answered(words):
            return 0
    return _computing("training", "train", words)


def _completion(words: list[str]) -> int:
    """The command `advnets completion`."""
    return _computing("shell", "completion", words)


def _without_torch(module: str, function: str) -> Callable[[list[str]], int]:
    """A command that reads its own words, and computes nothing."""

    def run(words: list[str]) -> int:
        answer: Callable[[list[str]], int] = getattr(
            importlib.import_module(f"advnets.cli.{module}"), function
        )
        return answer(words)

    return run


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "sample": _options("sample", "sample"),
    "complete": _options("complete", "complete", "completion"),
    "encode": _options("encode", "encode", "inference"),
    "reconstruct": _options("reconstruct", "reconstruct", "inference"),
    "evaluate": _options("evaluate", "evaluate"),
    "figure": _numbered("figure", dict.fromkeys("123", "figure"), "N"),
    "table": _numbered("table", {"1": "table", "2": "table2"}, "1"),
    "coordination": _words("coordination", "compare", "coordination"),
    "label-curve": _words("label-curve", "measure", "label_curve"),
    "report": _options("report", "write_report"),
    "export": _options("export", "export", "exporting"),
    "push": _options("push", "push", "exporting"),
    "compare": _options("compare", "compare", "watching"),
    "video": _options("video", "video", "watching"),
    "runs": _without_torch("listing", "list_runs"),
    "theory": _options("theory", "write_theory"),
    "studio": _options("studio", "studio"),
    "recipes": _without_torch("catalogue", "list_recipes"),
    "doctor": _without_torch("doctor", "doctor"),
    "completion": _completion,
}

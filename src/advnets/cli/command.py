"""The command `advnets`: train, sample, evaluate, figure, table, report, theory, recipes.

A user's mistake ends as one line on standard error and exit code 2, with nothing half-written.
"""

import dataclasses
import inspect
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from advnets import recipes, report
from advnets.base import errors, files
from advnets.base.distributed import Ranks, here, joined
from advnets.base.process import subnormals_as_zero
from advnets.base.progress import display
from advnets.base.terminal import paragraph, print_key, print_table, say, streams, tell
from advnets.cli.options import (
    EvaluateOptions,
    FigureOptions,
    ReportOptions,
    SampleOptions,
    TableOptions,
    TheoryOptions,
    TrainOptions,
    parse,
)
from advnets.evaluation.metrics import Quality
from advnets.evaluation.protocol import Evaluation
from advnets.experiments import FIGURES, FILMS, TABLES, failures, theorems
from advnets.optim.train_state import keep_freed_memory
from advnets.plotting import gan1d, images
from advnets.runs import loaded as trained
from advnets.runs import train as run
from advnets.runs.loaded import Run
from advnets.runs.train import RunConfig
from advnets.sampling import samplers
from advnets.storage import checkpoints

HELP = """\
advnets: Generative Adversarial Nets (Goodfellow et al., 2014), trained, sampled and scored.

  advnets train RECIPE [--a.b VALUE ...]   train a generator against a discriminator
  advnets train FILE.toml                  the same from a configuration of your own
  advnets train --resume RUN               go on where a run stopped
  advnets sample RUN                       pictures and arrays of samples
  advnets evaluate RUN                     the paper's Parzen score and other measures
  advnets report RUN                       one page to look at and to show: RUN/report.html
  advnets figure N RUN                     the paper's Figure 1, 2 or 3
  advnets table 1                          every model of Table 1, trained here, beside the paper
  advnets theory                           Section 4's theorems, measured: theory.html
  advnets theory --failures                how the game fails, played: failures.html
  advnets recipes                          the named runs: command, time, score

Begin with:   advnets train demo           real digits, minutes, no network
Then:         advnets report runs/demo
Look into:    advnets train demo --help    every option with its default
              advnets train demo --dry_run the resolved configuration, as TOML
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    The exit code is 0, 1 for a claim that failed, 2 for a user's mistake, 130 for a stopped run.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    with streams(), subnormals_as_zero():  # before torch starts a thread of its own
        return _answered(words)


def _answered(words: list[str]) -> int:
    try:
        code = _command(words)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except errors.UserError as error:
        return complain(error)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        return 0
    except OSError as error:
        return complain(errors.system_refused(error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        return complain(errors.out_of_memory(error))
    except KeyboardInterrupt:
        say("advnets: stopped at once; what was saved before is kept.")
        return 130


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        tell(HELP.rstrip())
        return 0
    if words[0] == "--version":
        tell(f"advnets {metadata.version('advnets')}")
        return 0
    if words[0] not in COMMANDS:
        raise errors.unknown("command", words[0], COMMANDS)
    keep_freed_memory()
    return COMMANDS[words[0]](words[1:])


def complain(error: errors.UserError) -> int:
    """One line on standard error; the exit code of a user's mistake."""
    say(f"{_who()}: {error}")
    return 2


def _who() -> str:
    try:
        own = here()
    except errors.BadValue:  # what the environment says of this process is what is complained of
        return "advnets"
    return "advnets" if own.first else f"advnets (process {own.rank})"


def train(words: list[str]) -> int:
    """The command `advnets train`."""
    options = _train_options(words)
    config = RunConfig(**{f.name: getattr(options, f.name) for f in dataclasses.fields(RunConfig)})
    if options.dry_run:
        tell(config.to_toml().rstrip("\n"))
        return 0
    folder = options.resume or options.folder or Path("runs") / (config.recipe or "run")
    quoted = shlex.quote(str(folder))
    if options.resume is None:
        finished = run.train(config, folder, display=display())
    else:
        finished = run.resume(folder, config, display=display())
    if not here().first:
        return 0 if finished else 130
    if not finished:
        tell(f"Stopped, and saved. Go on with: advnets train --resume {quoted}")
        return 130
    tell(f"Finished: {folder}. Next: advnets evaluate {quoted}; advnets report {quoted}")
    return 0


def _train_options(words: list[str]) -> TrainOptions:
    """Options on top of a recipe, of a TOML file, or of the settings of the run to go on with."""
    named = bool(words) and not words[0].startswith("-")
    source, words = (words[0], words[1:]) if named else (None, words)
    resumed = _value_of("--resume", words)
    if source is None and resumed is None and not {"-h", "--help"} & {*words}:
        need = f"the first word: one of {', '.join(recipes.RECIPES)}, or a .toml file"
        raise errors.bad_value("recipe", need, "nothing")
    if source is not None and source.endswith(".toml"):
        base = run.read_config(source)
    else:
        base = recipes.get(source or "mnist")
        if resumed is not None:
            asked, base = base.recipe, run.config_of(resumed)
            if source is not None and asked != base.recipe:
                raise errors.another_model(Path(resumed), f"recipe '{asked}'", f"'{base.recipe}'")
    options = parse(TrainOptions, words, base, prog="advnets train [RECIPE]")
    if options.resume is not None and options.folder is not None:
        raise errors.two_folders()
    return options


def _value_of(option: str, words: list[str]) -> str | None:
    for i, word in enumerate(words):
        if word.startswith(option + "="):
            return word.partition("=")[2]
        if word == option and i + 1 < len(words):
            return words[i + 1]
    return None


def sample(words: list[str]) -> int:
    """The command `advnets sample`."""
    options = parse(SampleOptions, words, prog="advnets sample")
    n = options.n if options.n is not None else 10 if len(options.class_) > 1 else 64
    errors.at_least(1, n=n)
    out = options.out or options.run / "samples.png"
    files.output(out, (".png", ".npy", ""))
    loaded = trained.load(options.run, checkpoint=options.checkpoint)
    with joined() as own:
        x = _drawn(loaded, n, options, own)
    if not own.first:
        return 0
    with errors.saving(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == "":
        with files.made_aside(out) as aside:
            for name, part in zip(options.class_ or (None,), torch.split(x, n), strict=True):
                folder = aside if name is None else aside / files.file_name(name)
                images.save_singles(folder, part, start=options.start, span=loaded.span())
    else:
        with checkpoints.written_aside(out) as aside:
            if out.suffix.lower() == ".npy":
                samplers.save_array(aside, x)
            else:
                columns = n if len(options.class_) > 1 else None
                images.save_samples(aside, x, span=loaded.span(), columns=columns)
    which_sampler = options.weights or next(iter(loaded.samplers()))
    what = f"{which_sampler} samples of update {loaded.update}"
    each = f", of each class {' '.join(options.class_)}" if options.class_ else ""
    tell(f"{n} {what}{each}: {out}")
    return 0


def _drawn(loaded: Run, n: int, options: SampleOptions, own: Ranks) -> Tensor:
    """The samples asked for: of any class, or n of each that is named."""
    classes, weights = options.class_, options.weights
    seed, start = options.seed, options.start
    if classes:
        return loaded.of_classes(classes, n, seed=seed, start=start, weights=weights)
    return loaded.sample(n, seed=seed, start=start, weights=weights, ranks=own)


def evaluate(words: list[str]) -> int:
    """The command `advnets evaluate`."""
    options = parse(EvaluateOptions, words, prog="advnets evaluate")
    loaded = _loaded(options)
    protocol = loaded.config.evaluation
    if options.samples is not None:
        protocol = dataclasses.replace(protocol, samples=options.samples)
    with joined() as own:
        result = loaded.evaluate(protocol, seed=options.seed, quality=options.quality, ranks=own)
    if not own.first:
        return 0
    show(result, title=f"{options.run}, update {loaded.update} ({loaded.checkpoint})")
    if result.quality is not None:
        show_quality(result.quality)
    try:
        loaded.keep(result, seed=options.seed)
    except errors.CannotWrite as refused:  # the person has the scores: a warning will do
        say(f"advnets: {errors.not_kept(refused)}")
        return 0
    picture = options.run / "evaluation.png"
    tell(f"\nThe first of the samples scored ({result.lines[0].name}): {picture}")
    tell(f"Scores: {options.run / 'evaluation.json'}")
    return 0


def _loaded(options: EvaluateOptions | FigureOptions | ReportOptions) -> Run:
    at = options.data
    which = options.checkpoint
    return trained.load(options.run, checkpoint=which, data_path=at.path, data_root=at.root)


def show(result: Evaluation, *, title: str) -> None:
    """The table of scores and its caveat, on standard output."""
    first = result.lines[0]
    headings = ["samples from", "n", "sigma"]
    for heading, n in (("validation", first.validation.n), ("test", first.test.n)):
        headings.append(f"{heading}, {n:,}\n(nats)")
    rows = []
    for line in result.lines:
        scores = [str(s).removesuffix(" nats") for s in (line.validation, line.test)]
        sigma = f"{line.test.sigma:.4f}{'*' if result.at_edge(line) else ''}"
        rows.append([line.name, f"{line.test.centres:,}", sigma, *scores])
    print_table(title, headings, rows)
    for note in result.notes():
        paragraph(note)
    for line in result.lines:
        if line.mixing is not None:
            paragraph(f"Samples from {line.name}: {line.mixing}")
    tell("")
    paragraph(result.caveat)


def show_quality(quality: Quality) -> None:
    """The table of the other measures and how to read it, on standard output."""
    n = f"{quality.n:,}"
    tell("")
    if quality.measures:
        heading = f"Quality of {n} each against {n} {quality.against} examples"
        rows = [
            [m.name, *(str(row.values[m.name]) for row in quality.rows)] for m in quality.measures
        ]
        names = [row.name for row in quality.rows]
        print_table(f"{heading}, with 95% intervals", ["", *names], rows)
        tell("")
        print_key([(m.name, m.better, m.meaning) for m in quality.measures])
        tell("")
    for line in (quality.describe, *quality.left_out):
        paragraph(line)


def figure(words: list[str]) -> int:
    """The command `advnets figure`."""
    number, words = (words[0], words[1:]) if words else ("", [])
    if number in ("-h", "--help"):
        number, words = "N", ["--help"]
    elif not number:
        need = f"the first word: one of {', '.join(FIGURES)}"
        raise errors.bad_value("figure", need, "nothing")
    elif number not in FIGURES:
        raise errors.unknown("figure", number, FIGURES)
    options = parse(FigureOptions, words, prog=f"advnets figure {number}")
    out = options.out or options.run / f"figure{number}.png"
    files.output(out, [".png", ".gif"] if number in FILMS else [".png"])
    loaded = _loaded(options)
    drawn = FILMS if out.suffix.lower() == ".gif" else FIGURES
    pixels = drawn[number](loaded, seed=options.seed, weights=options.weights)
    with checkpoints.written_aside(out) as aside:
        if isinstance(pixels, list):
            gan1d.save_film(aside, pixels, seconds=0.1)
        else:
            images.save_png(aside, pixels)
    weights = options.weights or next(iter(loaded.samplers()))
    tell(f"Figure {number}, {weights} weights of update {loaded.update}: {out}")
    return 0


def table(words: list[str]) -> int:
    """The command `advnets table`."""
    number, words = (words[0], words[1:]) if words else ("", [])
    if number in ("-h", "--help"):
        number, words = "1", ["--help"]
    elif number not in TABLES:
        raise errors.unknown("table", number, TABLES)
    options, made = parse(TableOptions, words, prog=f"advnets table {number}"), TABLES[number]
    files.folder_of_runs(options.out)
    plan = made.Plan(
        out=options.out,
        mnist=options.mnist,
        tfd=options.tfd,
        folders=options.from_,
        models=options.models or tuple(made.MODELS),
        train=options.train or not options.from_,
        quick=options.quick,
    )
    finished = made.make(
        plan,
        command=shlex.join(["advnets", "table", number, *words]),
        say=display().say,
        display=display,
    )
    if finished is None:
        tell("Stopped, and saved. Go on with the same command.")
        return 130
    written = made.write(finished, options.out)
    tell(made.markdown(finished))
    tell(f"Table {number}: {', '.join(map(str, written))}")
    return 0


def write_report(words: list[str]) -> int:
    """The command `advnets report`."""
    options = parse(ReportOptions, words, prog="advnets report")
    out = files.output(options.out or options.run / "report.html", (".html",))
    loaded = _loaded(options)
    page = report.page(loaded, say=say)
    checkpoints.write_atomically(out, page.encode())
    tell(f"Report: {out}")
    return 0


def write_theory(words: list[str]) -> int:
    """The command `advnets theory`."""
    options = parse(TheoryOptions, words, prog="advnets theory")
    if options.failures:
        out = files.output(options.out or Path("failures.html"), (".html", ".md"))
        played = failures.measure(quick=options.quick, mnist=options.mnist, say=say)
        markdown = out.suffix.lower() == ".md"
        text = failures.write(played, out.parent) if markdown else failures.page(played)
        checkpoints.write_atomically(out, text.encode())
        tell(f"Failures: {out}")
        return 0
    if options.quick or options.mnist:
        name = "quick" if options.quick else "mnist"
        raise errors.bad_value(name, "given with --failures", "without it")
    out = files.output(options.out or Path("theory.html"), (".html",))
    claims = []
    for measure in theorems.CLAIMS:
        claims.append(measure())
        tell(claims[-1].verdict)
    checkpoints.write_atomically(out, theorems.page(claims).encode())
    tell(f"Theory: {out}")
    return 0 if all(claim.holds for claim in claims) else 1


def list_recipes(words: list[str]) -> int:
    """The command `advnets recipes`."""
    if words and words[0] not in ("-h", "--help"):
        raise errors.unknown("option", words[0], ["--help"])
    for name, recipe in recipes.RECIPES.items():
        tell(f"{name}\n    " + (inspect.getdoc(recipe) or "").replace("\n", "\n    ") + "\n")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "figure": figure,
    "table": table,
    "report": write_report,
    "theory": write_theory,
    "recipes": list_recipes,
}

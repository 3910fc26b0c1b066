"""The command `advnets`: train, sample, evaluate, recipes.

A user's mistake ends as one line on standard error and exit code 2, with nothing half-written.
"""

import dataclasses
import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from advnets import checks, plots, recipes, run, sampling
from advnets.evaluation import Evaluation
from advnets.options import EvaluateOptions, SampleOptions, TrainOptions, parse
from advnets.progress import display
from advnets.run import RunConfig

HELP = """\
advnets: Generative Adversarial Nets (Goodfellow et al., 2014), trained, sampled and scored.

  advnets train RECIPE [--a.b VALUE ...]   train a generator against a discriminator
  advnets train FILE.toml                  the same from a configuration of your own
  advnets train --resume RUN               go on where a run stopped
  advnets sample RUN                       pictures and arrays of samples
  advnets evaluate RUN                     the paper's Parzen score, beside its reference lines
  advnets recipes                          the named runs: command, time, score

Begin with:   advnets train demo           real digits, minutes, no network
Then:         advnets evaluate runs/demo
Look into:    advnets train demo --help    every option with its default
              advnets train demo --dry-run the resolved configuration, as TOML
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for a user's mistake, 130 for an interrupted run."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or words[0] in ("-h", "--help"):
            print(HELP, end="")
            return 0
        if words[0] == "--version":
            print(f"advnets {metadata.version('advnets')}")
            return 0
        if words[0] not in COMMANDS:
            raise checks.unknown("command", words[0], COMMANDS)
        return COMMANDS[words[0]](words[1:])
    except checks.UserError as error:
        print(f"advnets: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("advnets: stopped at once; the last checkpoint is kept.", file=sys.stderr)
        return 130


def train(words: list[str]) -> int:
    """The command `advnets train`."""
    named = bool(words) and not words[0].startswith("-")
    source, words = (words[0], words[1:]) if named else (None, words)
    helping = "-h" in words or "--help" in words
    resumed = _value_of("--resume", words)
    if source is None and resumed is None and not helping:
        raise checks.bad_value("recipe", f"one of {', '.join(recipes.RECIPES)}", "nothing")
    options = parse(TrainOptions, words, _base(source, resumed), prog="advnets train [RECIPE]")
    config = RunConfig(**{f.name: getattr(options, f.name) for f in dataclasses.fields(RunConfig)})
    if options.dry_run:
        print(config.to_toml(), end="")
        return 0
    folder = options.resume or options.folder or Path("runs") / (config.recipe or "run")
    if options.resume is None:
        finished = run.train(config, folder, display=display())
    else:
        finished = run.resume(folder, config, display=display())
    if not finished:
        print(f"Stopped, and saved. Go on with: advnets train --resume {folder}")
        return 130
    print(f"Finished: {folder}. Next: advnets evaluate {folder}; advnets sample {folder}")
    return 0


def _base(source: str | None, resumed: str | None) -> RunConfig:
    """The configuration that the options start from."""
    if source is not None and source.endswith(".toml"):
        return run.read_config(source)
    if source is not None:
        return recipes.get(source)
    return run.config_of(resumed) if resumed is not None else recipes.mnist()


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
    checks.at_least(1, n=options.n)
    loaded = run.load(options.run, checkpoint=options.checkpoint)
    x = loaded.sample(options.n, seed=options.seed, start=options.start, weights=options.weights)
    out = options.out or options.run / "samples.png"
    sampling_words = f"{options.n} {options.weights or 'raw'} samples of update {loaded.update}"
    with checks.saving(out):
        if out.suffix == ".npy":
            sampling.save_array(out, x)
        elif out.suffix == ".png":
            plots.save_samples(out, x)
        else:
            plots.save_singles(out, x, start=options.start)
    print(f"{sampling_words}: {out}")
    return 0


def evaluate(words: list[str]) -> int:
    """The command `advnets evaluate`."""
    options = parse(EvaluateOptions, words, prog="advnets evaluate")
    loaded = run.load(options.run, checkpoint=options.checkpoint)
    protocol = loaded.config.evaluation
    if options.samples is not None:
        protocol = dataclasses.replace(protocol, samples=options.samples)
    result = loaded.evaluate(protocol, seed=options.seed)
    show(result, title=f"{options.run}, {options.checkpoint} checkpoint (update {loaded.update})")
    picture, table = options.run / "samples.png", options.run / "evaluation.json"
    shown = plots.picture_size(loaded.sampler().event_shape)
    with checks.saving(table):
        plots.save_samples(picture, loaded.sample(shown, seed=options.seed))
        record = {"update": loaded.update, "seed": options.seed, **result.to_dict()}
        table.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\nSamples (raw weights, the first {shown} of those scored): {picture}\nScores: {table}")
    return 0


def show(result: Evaluation, *, title: str) -> None:
    """The table of scores and its caveat, on standard output."""
    first = result.lines[0]
    grid = result.sigmas
    edges = {line.name for line in result.lines if line.test.sigma in (grid[0], grid[-1])}
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("samples from", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("sigma", justify="right", no_wrap=True)
    for heading, n in (("validation", first.validation.n), ("test", first.test.n)):
        table.add_column(f"{heading}, {n:,}\n(nats)", justify="right", no_wrap=True)
    for line in result.lines:
        scores = [str(s).removesuffix(" nats") for s in (line.validation, line.test)]
        sigma = f"{line.test.sigma:.4f}{'*' if line.name in edges else ''}"
        table.add_row(line.name, f"{line.test.centres:,}", sigma, *scores)
    console = Console()
    console.print(table)
    if edges:
        console.print("* at the edge of the grid of sigmas: a wider grid would score higher.\n")
    console.print(result.caveat, markup=False, highlight=False)


def list_recipes(words: list[str]) -> int:
    """The command `advnets recipes`."""
    if words and words[0] not in ("-h", "--help"):
        raise checks.unknown("option", words[0], ["--help"])
    for name, recipe in recipes.RECIPES.items():
        print(f"{name}\n    " + (inspect.getdoc(recipe) or "").replace("\n", "\n    ") + "\n")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "recipes": list_recipes,
}

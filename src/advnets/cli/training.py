"""The command `advnets train`."""

import contextlib
import dataclasses
import shlex
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from advnets import data, recipes
from advnets.base import errors
from advnets.base.distributed import get_rank
from advnets.base.progress import display
from advnets.base.terminal import tell
from advnets.cli import aliases, short_help
from advnets.cli.parsing import parse, with_defaults
from advnets.cli.quick import HELPS, divided, value_of
from advnets.runs import run_config
from advnets.runs import train as run
from advnets.runs.run_config import RunConfig
from advnets.studio.watch import Watched
from advnets.training import signals
from advnets.training.limits import Limit, seconds_of


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunConfig):
    """Train a generator against a discriminator."""

    recipe: tyro.conf.Suppress[str] = ""
    """Filled in from the first word."""
    folder: Path | None = None
    """Folder of the new run; runs/RECIPE by default."""
    resume: Path | None = None
    """Folder of a run to resume, bit for bit as if it had never stopped."""
    max_time: str | None = None
    """Save and stop after so long, such as 90s, 30m or 1h30m; --resume goes on."""
    stop_after: int | None = None
    """Save and stop after so many updates of this call; --resume goes on."""
    watch: bool = False
    """Serve a page of the run as it goes; its address, for this machine alone, is printed."""
    dry_run: bool = False
    """Print the resolved configuration as TOML and stop."""


INTERRUPTED, REQUEUE = 130, 75
"""Exit codes of a run that is stopped and saved: by hand, and by a scheduler (EX_TEMPFAIL), so that
a job script knows when to queue it again."""
BY_HAND = [getattr(signal, name, 0) for name in ("SIGINT", "SIGHUP")]


def train(words: list[str]) -> int:
    """The command `advnets train`."""
    began = time.monotonic()
    options = _train_options(words)
    config = RunConfig(**{f.name: getattr(options, f.name) for f in dataclasses.fields(RunConfig)})
    if options.dry_run:
        tell(config.to_toml().rstrip("\n"))
        return 0
    folder = options.resume or options.folder or Path("runs") / (config.recipe or "run")
    shown, limit = display(), _limit(options, began)
    watched = Watched(folder, say=shown.say) if options.watch and get_rank().first else None
    with watched or contextlib.nullcontext(), signals.received() as numbers:
        if options.resume is None:
            finished = run.train(config, folder, display=shown, limit=limit)
        else:
            finished = run.resume(folder, config, display=shown, limit=limit)
        ending = _ending(folder, finished=finished)
        if watched is not None:
            watched.sentence = ending
    if get_rank().first:
        tell(ending)
    stopped = INTERRUPTED if {*numbers} & {*BY_HAND} else REQUEUE
    return 0 if finished or limit.reached else stopped


def _ending(folder: Path, *, finished: bool) -> str:
    quoted = shlex.quote(str(folder))
    if not finished:
        return f"Stopped, and saved. Go on with: advnets train --resume {quoted}"
    return f"Finished: {folder}. Next: advnets evaluate {quoted}; advnets report {quoted}"


def _limit(options: TrainOptions, began: float) -> Limit:
    """Where this call ends; its time is counted from the start of the command."""
    seconds = None
    if options.max_time is not None:
        seconds = seconds_of(options.max_time) - (time.monotonic() - began)
    return Limit(seconds=seconds, updates=options.stop_after)


def _train_options(words: list[str]) -> TrainOptions:
    """Options on top of a recipe, a TOML file, or the settings of the run to resume."""
    source, words = divided(words)
    resumed = value_of("--resume", words)
    if source is None and resumed is None and not HELPS & {*words}:
        raise errors.bad_value("recipe", recipes.FIRST_WORD, "nothing")
    if source is not None and source.endswith(".toml"):
        base = run_config.read_config(source)
    else:
        base = recipes.get(source or "mnist")
        if resumed is not None:
            asked, base = base.recipe, run_config.config_of(resumed)
            if source is not None and asked != base.recipe:
                raise errors.another_model(Path(resumed), f"recipe '{asked}'", f"'{base.recipe}'")
    words, epochs = aliases.without_epochs(words)
    if HELPS & {*words} and "--help-all" not in words:
        short_help.show(with_defaults(TrainOptions, base), source or "RECIPE")
        raise SystemExit(0)
    options = parse(TrainOptions, words, base, prog=f"advnets train {source or '[RECIPE]'}")
    if epochs is not None:
        options = _of_epochs(options, epochs)
    if options.resume is not None and options.folder is not None:
        raise errors.bad_value(
            "folder", "left out with --resume: the run goes on in its own", "a folder"
        )
    return options


def _of_epochs(options: TrainOptions, epochs: float) -> TrainOptions:
    """The options with as many updates as some passes over the training set have."""
    x = data.load(options.data, seed=options.seed).train
    need = f"at most the number of training examples, {len(x)}"
    errors.require(options.batch_size <= len(x), "batch_size", need, options.batch_size)
    minibatches = data.Batches(x, size=options.batch_size, seed=options.seed).per_epoch
    steps = aliases.updates(epochs, minibatches=minibatches, k=getattr(options.model, "k", 1))
    return dataclasses.replace(options, trainer=dataclasses.replace(options.trainer, steps=steps))

"""Training of a run from its configuration, and resuming it."""

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from advnets import data
from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.distributed import Ranks, init_process_group
from advnets.base.memory import refuse_larger
from advnets.base.process import settings_of_a_run
from advnets.base.progress import Display, Silent
from advnets.base.protocols import Batch, Learner, Problem
from advnets.base.rng import Generators
from advnets.data import Batches, Splits, few_labels
from advnets.evaluation import protocol as evaluation
from advnets.evaluation.parzen import LogLikelihood
from advnets.game import GameConfig
from advnets.plotting import images
from advnets.runs import registry
from advnets.runs.run_config import (
    RunConfig,
    config_of,
    found_from_anywhere,
    reproducibility_settings,
)
from advnets.runs.same_run import describe, read_again, refuse_changes, refuse_foreign
from advnets.sampling.samplers import class_by_class, class_rows
from advnets.storage import checkpoints
from advnets.storage import run_folder as rundir
from advnets.storage.environment import differences_of_bits, environment, has_bfloat16, resolved
from advnets.storage.run_folder import RunDir
from advnets.training.callbacks import Callback
from advnets.training.limits import Limit
from advnets.training.monitor import Monitor, spread
from advnets.training.trainer import Trainer


def train(
    config: RunConfig,
    folder: Path | str,
    *,
    display: Display | None = None,
    callbacks: Sequence[Callback] = (),
    limit: Limit | None = None,
) -> bool:
    """Start a run in a new folder and train it to the end.

    Args:
        config: The run.
        folder: A new folder.
        display: Shows the progress.
        callbacks: Called after every update (`advnets.training.callbacks`).
        limit: Ends this call earlier.

    Returns:
        False when Ctrl-C, SIGTERM or the limit ended it; then all is saved and `resume` continues.

    Raises:
        BadFile: When the folder exists already, or the data cannot be read.
        BadValue: When a setting does not fit the data.
        Diverged: When a value or a parameter is no longer finite.
        OthersLost: When another process of the run has ended.
    """
    if not isinstance(config, RunConfig):
        need = "a RunConfig: advnets.recipes.get(NAME), or advnets.read_config(FILE)"
        raise errors.bad_value("config", need, f"a {type(config).__name__}")
    path, config = Path(folder), found_from_anywhere(config)
    with settings_of_a_run(), init_process_group(config.device) as own:
        if own.first:
            rundir.refuse_existing(path)  # before the data is read
        splits = data.load(config.data, seed=config.seed)
        config = in_its_precision(config, splits, own)
        parts = build(config, splits, own)
        display = display if own.first and display else Silent()
        more: Any = {"display": display, "callbacks": callbacks, "limit": limit}
        training = trainer(config, splits, *parts, own, **more)  # before a folder is made
        if not own.first:
            return training.fit()
        context = contexts(config, splits)
        about = describe(splits) | ({} if context is None else {"context": context.facts()})
        run_folder = RunDir.create(
            path, config=config.to_toml(), data=about, environment=environment()
        )
        for line in header(run_folder, config, splits, samples=bool(parts[0].samplers())):
            display.say(line)
        with run_folder.lock():
            note_start(run_folder, 0)
            training.folder = run_folder
            return training.fit()


def resume(
    folder: Path | str,
    config: RunConfig | None = None,
    *,
    display: Display | None = None,
    callbacks: Sequence[Callback] = (),
    limit: Limit | None = None,
) -> bool:
    """Resume a run, bit for bit as if it had never stopped.

    Args:
        folder: A run's folder.
        config: Settings of the resumed run; the run's own by default. Only those that change no
            update may differ: the number of steps (unless the learning rate anneals towards the
            end), and the intervals of pictures and checkpoints. An extended run keeps what was
            logged at its old last update.
        display: Shows the progress.
        callbacks: As those of `train`.
        limit: Ends this call earlier.

    Returns:
        As `train`.

    Raises:
        BadFile: When the folder is no run folder, is of another model, or has no intact checkpoint.
        BadValue: When a setting that results depend on, or the data, was changed; names it.
        WrongMoment: When another process trains in this folder.
        OthersLost: When another process of the run has ended.
    """
    run_folder = RunDir(folder)
    saved = config_of(run_folder)
    config = _kept_precision(config or saved, saved)
    refuse_changes(run_folder, saved, config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(settings_of_a_run())
        own = stack.enter_context(init_process_group(config.device))
        display = display if own.first and display else Silent()
        if own.first:
            stack.enter_context(run_folder.lock())
        splits = read_again(run_folder, config, display.say)
        parts = build(config, splits, own)
        going_on = trainer(config, splits, *parts, own, run_folder, display, callbacks, limit)
        checkpoint = run_folder.latest(display.say)
        if checkpoint is not None:
            refuse_foreign(checkpoint, config)
            with errors.foreign_checkpoints(checkpoint.path):
                going_on.resume(checkpoint)
            going = f"{run_folder.path}: going on from update {checkpoint.update}."
            read = [splits.reading] if splits.reading else []
            for line in (*notices(config), going, *read):
                display.say(line)
        own.any(False)  # nobody writes before everybody has read
        if own.first:
            path = run_folder.place("config.toml")
            checkpoints.write_atomically(path, config.to_toml().encode())
            notice = note_start(run_folder, going_on.update)
            if notice:
                display.say(notice)
        return going_on.fit()


def in_its_precision(config: RunConfig, splits: Splits, ranks: Ranks) -> RunConfig:
    """The configuration with 'auto' precision resolved, equal in all processes."""
    wished = getattr(config.model, "precision", None)
    if wished != "auto":
        return config
    chosen = resolved(wished, splits.event_shape, config.device)
    chosen = "float32" if ranks.any(chosen == "float32") else chosen
    return _in_precision(config, chosen)


def _in_precision(config: RunConfig, precision: str) -> RunConfig:
    model: Any = config.model
    return dataclasses.replace(config, model=dataclasses.replace(model, precision=precision))


def _kept_precision(config: RunConfig, saved: RunConfig) -> RunConfig:
    """On resume, 'auto' is the precision chosen at the start of the run."""
    chosen = getattr(saved.model, "precision", None)
    if chosen is None or getattr(config.model, "precision", None) != "auto":
        return config
    return _in_precision(config, chosen)


def note_start(folder: RunDir, update: int) -> str:
    """Record the environment of a start; a notice where it changes rounding, else "".

    `environment.json` is of the first start; `environment.jsonl` has a line for every start.
    """
    now = environment()
    earlier = folder.records("environment")
    if update and not earlier:  # of a run that began before there were lines
        with contextlib.suppress(errors.BadFile):
            earlier = [folder.facts("environment")]
    folder.note_start({"update": update, **now})
    changed = differences_of_bits(earlier[-1], now) if update and earlier else ""
    return (
        f"From update {update:,} on the run is not bit for bit what it would have been: {changed}."
        if changed
        else ""
    )


@settings_of_a_run()
def build(config: RunConfig, splits: Splits, ranks: Ranks) -> tuple[Learner, Batches]:
    """The learner of a run and its minibatches."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise errors.bad_value("device", "cpu: torch finds no CUDA GPU here", "cuda")
    low, high, mean = splits.statistics
    device = torch.device(config.device)
    batches = Batches(
        splits.train, size=config.batch_size, seed=config.seed, ranks=ranks, device=device
    )
    problem = Problem(
        event_shape=splits.event_shape,
        low=low,
        high=high,
        mean=mean,
        batches_per_epoch=batches.per_epoch,
        steps=config.trainer.steps,
        context=contexts(config, splits),
        labelled=labelled(config, splits),
        ranks=ranks,
        device=device,
    )
    learner = registry.build(config.model, problem, seed=config.seed)
    refuse_too_large(config, splits, learner)
    return learner, batches


def refuse_too_large(config: RunConfig, splits: Splits, learner: Learner) -> None:
    """Raise where one update, or one validation score, cannot fit in memory."""
    size = math.prod(splits.event_shape)
    k, m = learner.batches_per_step, config.batch_size
    refuse_larger("model", f"{k} minibatches of {m} in an update", numbers=k * m * size)
    samples = config.evaluation.samples
    refuse_larger("evaluation.samples", samples, numbers=samples * size)


def contexts(config: RunConfig, splits: Splits) -> Context | None:
    """The contexts of a conditional model; None for any other.

    Raises:
        BadValue: For data without labels.
    """
    if not config.model.conditional:
        return None
    if splits.train.context is None:
        raise errors.no_labels(splits.reading)
    return Context.of(splits.train.context, splits.classes, seed=config.seed)


def labelled(config: RunConfig, splits: Splits) -> Batch | None:
    """The training examples that a model of few labels is told the class of; None for any other.

    Raises:
        BadValue: For data without classes, or more labels than it has.
    """
    if config.model.told is None:
        return None
    n, draw = config.model.told
    told = few_labels.choose(splits.train, n, seed=draw, name="model.labels")
    return Batch(told.x[:], told.context)


def trainer(
    config: RunConfig,
    splits: Splits,
    learner: Learner,
    batches: Batches,
    ranks: Ranks,
    folder: RunDir | None = None,
    display: Display | None = None,
    callbacks: Sequence[Callback] = (),
    limit: Limit | None = None,
) -> Trainer:
    """The trainer of a run, with its validation score and its pictures."""

    def score(learner: Learner) -> dict[str, LogLikelihood]:
        return {
            name: evaluation.validation_score(
                sampler, splits, config.evaluation, seed=config.seed, ranks=ranks
            )
            for name, sampler in learner.samplers().items()
        }

    def picture(learner: Learner, path: Path) -> dict[str, float]:
        sampler = next(iter(learner.samplers().values()))
        n = images.picture_size(sampler.event_shape)
        data = splits.validation.x[:n]
        classes = class_rows(sampler) if images.is_image(sampler.event_shape) else []
        if classes:
            x = class_by_class(sampler, images.COLUMNS, seed=config.seed, classes=classes)
        else:
            x = sampler.sample(n, seed=config.seed)
        span = splits.span or images.wide(*splits.statistics[:2])
        images.save_samples(path, x, data=data, span=span, columns=images.COLUMNS)
        return {"spread": spread(x, data)}

    samples, monitor = bool(learner.samplers()), None
    if config.trainer.warn and isinstance(config.model, GameConfig):  # what helps is said of a game
        monitor = Monitor(config.model.objective)
    return Trainer(
        learner,
        batches,
        config.trainer,
        generators=Generators(config.seed, device=config.device),
        folder=folder,
        score=score if samples else None,
        picture=picture if samples else None,
        monitor=monitor,
        display=display,
        settings=reproducibility_settings(config),
        callbacks=callbacks,
        limit=limit,
        advice=advice(config, splits.event_shape),
        ranks=ranks,
    )


def advice(config: RunConfig, event_shape: tuple[int, ...]) -> str:
    """What shortens a run of hours, in one line."""
    model, ways = config.model, ["fewer updates (--steps)"]
    if isinstance(model, GameConfig) and not model.compile and not model.augment:
        ways += ["a compiled step (--model.compile)"] * (model.G_optimizer.optimizer == "momentum")
    if config.data.kind == "images" and max(event_shape) > 32:
        ways.append("smaller pictures (--data.size 32)")
    ways.append("a smaller recipe (advnets recipes: their times)")
    return f"What shortens it, in a new run: {', '.join(ways)}."


def header(folder: RunDir, config: RunConfig, splits: Splits, *, samples: bool) -> list[str]:
    """The header of a run; `samples`: whether the model has a sampler."""
    n, shape = len(splits.train), " x ".join(map(str, splits.event_shape))
    every = config.trainer.score_every
    rule = (
        f"Best: the highest validation score of the first sampler, every {every:,} updates."
        if every and samples
        else "No validation scores, so no best checkpoint."
    )
    if not samples:
        rule = f"'{config.model.kind}' has no sampler: no pictures of samples. {rule}"
    about = (
        f"{folder.path}: {n:,} training examples of {shape}; {config.trainer.steps:,} updates of "
        f"{config.batch_size}{_played_in(config)}. {rule}"
    )
    notice = [f"The data is {splits.notice}"] if splits.notice else []
    read = [splits.reading] if splits.reading else []
    return [*notices(config), about, *read, config.model.logged, *notice]


def _played_in(config: RunConfig) -> str:
    precision = getattr(config.model, "precision", "")
    return f", in {precision}" if precision else ""


def notices(config: RunConfig) -> list[str]:
    """Notices about slow settings and short runs, before a run starts or resumes."""
    slow = getattr(config.model, "precision", "") == "bfloat16" and config.device == "cpu"
    lines = (
        [
            "This processor does not compute in bfloat16 (no AVX512-BF16, no AMX), so "
            "--model.precision bfloat16 will be slower than float32; it goes on all the same."
        ]
        if slow and has_bfloat16() is False
        else []
    )
    lines += (
        ["The step is compiled in one of the first updates, which takes about half a minute."]
        if getattr(config.model, "compile", False)
        else []
    )
    steps, before = config.trainer.steps, config.model.pretraining_updates
    return lines + (
        [
            f"The run ends in its pretraining, which has {before:,} updates: samples and scores "
            "will be those of a model that is not trained as a whole. For more: --trainer.steps."
        ]
        if steps <= before
        else []
    )

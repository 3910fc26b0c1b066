"""A run from its configuration: train it, go on with it."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from advnets import data, networks
from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.config import (
    FREE,
    Kinds,
    differences,
    dumps,
    expanded,
    from_dict,
    read_toml,
    refuse_unrepresentable,
    settings,
)
from advnets.base.distributed import Ranks, joined
from advnets.base.memory import refuse_larger
from advnets.base.process import settings_of_a_run
from advnets.base.progress import Display, Silent
from advnets.base.protocols import Choosy, Learner, ModelConfig, Problem
from advnets.base.rng import Streams
from advnets.data import Batches, DataConfig, Order, Splits
from advnets.evaluation import protocol as evaluation
from advnets.evaluation.parzen import LogLikelihood
from advnets.evaluation.protocol import EvaluationConfig
from advnets.game import GameConfig
from advnets.networks import DiscriminatorKind, GeneratorKind
from advnets.plotting import images
from advnets.runs import registry
from advnets.sampling.samplers import class_by_class, class_rows
from advnets.storage import checkpoints, schema
from advnets.storage import run_folder as rundir
from advnets.storage.checkpoints import Checkpoint
from advnets.storage.environment import differences_of_bits, environment, has_bfloat16, resolved
from advnets.storage.run_folder import RunDir
from advnets.training.monitor import Monitor, spread
from advnets.training.trainer import Trainer, TrainerConfig

KINDS: Kinds = {
    DataConfig: data.KINDS,
    ModelConfig: registry.KINDS,
    GeneratorKind: networks.GENERATORS,
    DiscriminatorKind: networks.DISCRIMINATORS,
}

Device = Literal["cpu", "cuda"]

PLACES = ("path", "root")
"""The settings of data that say where it lies."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All that a run is made of."""

    recipe: str = dataclasses.field(default="", metadata=FREE)
    """The recipe it began from."""
    seed: int = 0
    """Seed of everything: first weights, order of the data, noise, masks."""
    batch_size: int = 100
    """Examples in a minibatch; under `torchrun` each process takes its share of them."""
    device: Device = "cpu"
    """Where it trains: 'cpu', or 'cuda' for an NVIDIA GPU (whose noise is another one)."""
    data: DataConfig
    model: ModelConfig
    trainer: TrainerConfig = TrainerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self) -> None:
        refuse_unrepresentable(self)
        errors.at_least(0, seed=self.seed)
        errors.at_least(1, batch_size=self.batch_size)
        errors.one_of(get_args(Device), device=self.device)

    def to_toml(self) -> str:
        """As TOML text, which `read_config` takes back."""
        return dumps(self)


def read_config(path: Path | str) -> RunConfig:
    """A configuration from a TOML file. Raises `BadFile` or `BadValue`, naming what is wrong."""
    table = read_toml(Path(path))
    try:
        return from_dict(RunConfig, table, kinds=KINDS)
    except errors.BadValue as error:
        raise errors.bad_config(Path(path), error) from None


def train(config: RunConfig, folder: Path | str, *, display: Display | None = None) -> bool:
    """Start a run in a new folder and train it to the end.

    Returns:
        False when Ctrl-C or SIGTERM ended it before; then all is saved and `resume` goes on.

    Raises:
        BadFile: When something is in the folder already, or the data cannot be read.
        BadValue: When a setting does not fit the data.
        Diverged: When a value or a parameter is no longer finite.
        OthersLost: When another process of a run of several is gone.
    """
    path, config = Path(folder), found_from_anywhere(config)
    with settings_of_a_run(), joined(config.device) as own:
        if own.first:
            rundir.refuse_existing(path)  # before the data is read
        splits = data.load(config.data, seed=config.seed)
        config = in_its_precision(config, splits, own)
        parts = build(config, splits, own)
        if not own.first:
            return trainer(config, splits, *parts, own).fit()
        context = contexts(config, splits)
        about = describe(splits) | ({} if context is None else {"context": context.facts()})
        run_folder = RunDir.create(
            path, config=config.to_toml(), data=about, environment=environment()
        )
        display = display or Silent()
        for line in header(run_folder, config, splits, samples=bool(parts[0].samplers())):
            display.say(line)
        with run_folder.lock():
            note_start(run_folder, 0)
            return trainer(config, splits, *parts, own, run_folder, display).fit()


def found_from_anywhere(config: RunConfig) -> RunConfig:
    """The same with whole paths of the data, which hold in another working directory too."""
    places = {name: getattr(config.data, name, None) for name in PLACES}
    whole = {name: str(expanded(at).absolute()) for name, at in places.items() if at}
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **whole))


def moved(config: RunConfig, *, path: str | None = None, root: str | None = None) -> RunConfig:
    """The same with data that lies elsewhere by now.

    Raises:
        BadValue: For data that is not given by such a path.
    """
    fields = {f.name for f in dataclasses.fields(config.data)}
    given = {name: at for name, at in {"path": path, "root": root}.items() if at is not None}
    for name in given:
        if name not in fields:
            other = " or ".join(f"--data.{n}" for n in PLACES if n in fields) or "no place"
            raise errors.data_lies_otherwise(f"data.{name}", other, config.data.kind)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **given))


def resume(
    folder: Path | str, config: RunConfig | None = None, *, display: Display | None = None
) -> bool:
    """Go on with a run, bit for bit as if it had never stopped.

    Args:
        folder: A run's folder.
        config: Settings to go on with; the run's own by default. Only those that change no update
            may differ: the number of steps (unless the learning rate anneals towards its end), and
            how often pictures and checkpoints are made. A run made longer keeps what was logged at
            its old last update.
        display: Where a person looks.

    Returns:
        As `train`.

    Raises:
        BadFile: When the folder is no run's, is another model's, or no checkpoint in it is whole.
        BadValue: When a setting that matters was changed, or the data was; names it.
        WrongMoment: When another process is training there.
        OthersLost: When another process of a run of several is gone.
    """
    run_folder = RunDir(folder)
    saved = config_of(run_folder)
    config = _kept_precision(config or saved, saved)
    refuse_changes(run_folder, saved, config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(settings_of_a_run())
        own = stack.enter_context(joined(config.device))
        display = display if own.first and display else Silent()
        if own.first:
            stack.enter_context(run_folder.lock())
        splits = read_again(run_folder, config, display.say)
        parts = build(config, splits, own)
        going_on = trainer(config, splits, *parts, own, run_folder, display)
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
    """The configuration with a precision 'auto' chosen, alike in all processes."""
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
    """On resume, 'auto' is what was chosen when the run began."""
    chosen = getattr(saved.model, "precision", None)
    if chosen is None or getattr(config.model, "precision", None) != "auto":
        return config
    return _in_precision(config, chosen)


def note_start(folder: RunDir, update: int) -> str:
    """Write down what goes on with a run here; a notice where that changes its bits, else "".

    `environment.json` is of the first start; `environment.jsonl` has a line for each.
    """
    now = environment()
    earlier = folder.records("environment")
    if update and not earlier:  # of a run that began before there were lines
        with contextlib.suppress(errors.BadFile):
            earlier = [folder.facts("environment")]
    line = json.dumps({"update": update, **now})
    path = folder.path / "environment.jsonl"
    with errors.saving(path), path.open("a", encoding="utf-8") as lines:
        lines.write(line + "\n")
    changed = differences_of_bits(earlier[-1], now) if update and earlier else ""
    return errors.goes_on_elsewhere(update, changed) if changed else ""


@settings_of_a_run()
def build(config: RunConfig, splits: Splits, ranks: Ranks) -> tuple[Learner, Batches]:
    """The learner of a run and the order of its data."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise errors.no_gpu()
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
        ranks=ranks,
        device=device,
    )
    learner = registry.build(config.model, problem, seed=config.seed)
    if isinstance(learner, Choosy):  # before a folder is made
        learner.refuse_sizes(batches.sizes)
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
    """What a conditional model is told of each example; None for any other.

    Raises:
        BadValue: For data without labels.
    """
    if not config.model.conditional:
        return None
    if splits.train.context is None:
        raise errors.no_labels(splits.reading)
    return Context.of(splits.train.context, splits.classes, seed=config.seed)


def trainer(
    config: RunConfig,
    splits: Splits,
    learner: Learner,
    batches: Batches,
    ranks: Ranks,
    folder: RunDir | None = None,
    display: Display | None = None,
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
        streams=Streams(config.seed, device=config.device),
        folder=folder,
        score=score if samples else None,
        picture=picture if samples else None,
        monitor=monitor,
        display=display,
        settings=matters(config),
        ranks=ranks,
    )


def config_of(folder: RunDir | Path | str) -> RunConfig:
    """The configuration that a run was made from."""
    folder = folder if isinstance(folder, RunDir) else RunDir(folder)
    return read_config(folder.path / "config.toml")


def header(folder: RunDir, config: RunConfig, splits: Splits, *, samples: bool) -> list[str]:
    """What a person should know while a run goes on; `samples`: whether the model has a sampler."""
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
    """Lines on what will be slow, before a run begins or goes on."""
    slow = getattr(config.model, "precision", "") == "bfloat16" and config.device == "cpu"
    lines = [errors.slow_bfloat16()] if slow and has_bfloat16() is False else []
    return lines + ([errors.compiling()] if getattr(config.model, "compiled", False) else [])


def refuse_changes(folder: RunDir, own: RunConfig, config: RunConfig) -> None:
    """Raise where a resumed run would not be the same run."""
    if config.recipe != own.recipe:
        raise errors.another_model(folder.path, f"recipe '{config.recipe}'", f"'{own.recipe}'")
    for name, (need, got) in differences(matters(own), matters(config)).items():
        raise errors.setting_changed(folder.path, name, need, got)


def refuse_foreign(checkpoint: Checkpoint, config: RunConfig) -> None:
    """Raise where a checkpoint was saved by a run with other settings."""
    progress = schema.convert(checkpoint.path, checkpoint.facts, schema.Progress)
    saved, own = progress.settings, matters(config)
    known = {name: own[name] for name in own if name in saved}  # others are younger than it
    for name, (got, need) in differences(saved, known).items():
        raise errors.foreign_settings(checkpoint.path, name, need, got)


def matters(config: RunConfig) -> dict[str, Any]:
    """The settings that a run's results depend on, by dotted name."""
    last = {"trainer.steps": config.trainer.steps} if config.model.ends_with_the_run else {}
    return settings(config) | last


def describe(splits: Splits) -> dict[str, Any]:
    """What `data.json` says of the data: sizes, range, and a fingerprint of all its bytes.

    It says no order where rows stand as in their file: runs from before rows were shuffled do not.
    """
    low, high, _ = splits.statistics
    about = {
        "order": splits.order if splits.order != "file" else "",
        "classes": list(splits.classes),
        "notice": splits.notice,
        "span": list(splits.span or ()),
    }
    return {name: fact for name, fact in about.items() if fact} | {
        "event_shape": list(splits.event_shape),
        "examples": [len(s) for s in (splits.train, splits.validation, splits.test)],
        "low": low,
        "high": high,
        "crc32": splits.fingerprint,
    }


def read_again(folder: RunDir, config: RunConfig, say: Callable[[str], None]) -> Splits:
    """The data of a run, in the order that it had when the run began.

    Args:
        folder: The run's folder.
        config: Where the data lies now, and the run's seed.
        say: Hears of a run whose rows were not shuffled.

    Raises:
        BadValue: When it is other data by now.
    """
    order = folder.facts("data").get("order", "file")
    if order not in get_args(Order):
        need = f"'order' must be one of {', '.join(get_args(Order))}"
        raise errors.damaged_facts(folder.path / "data.json", need)
    if order == "file":
        say(errors.rows_as_in_file(folder.path))
    splits = data.load(config.data, seed=config.seed, order=order)
    refuse_other_data(folder, describe(splits))
    return splits


def refuse_other_data(folder: RunDir, found: dict[str, Any]) -> None:
    """Raise where the data is not the data that the run began with, whatever is said of it."""
    own = folder.facts("data")
    for name, value in found.items():
        if name != "notice" and own.get(name) != value:
            raise errors.setting_changed(folder.path, f"data ({name})", own.get(name), value)

"""A run from its configuration: train it, go on with it."""

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from advnets import checkpoints, checks, data, evaluation, learners, networks, plots, rundir
from advnets.checkpoints import Checkpoint
from advnets.config import FREE, Kinds, differences, dumps, from_dict, read_toml, settings
from advnets.contexts import Context
from advnets.data import Batches, DataConfig, Splits
from advnets.environment import environment, has_bfloat16
from advnets.evaluation import EvaluationConfig
from advnets.game import GameConfig
from advnets.monitor import Monitor, spread
from advnets.networks import DiscriminatorKind, GeneratorKind
from advnets.parzen import LogLikelihood
from advnets.progress import Display, Silent
from advnets.protocols import Examples, Learner, ModelConfig, Problem
from advnets.ranks import Ranks, joined
from advnets.rng import Streams
from advnets.rundir import RunDir
from advnets.sampling import class_by_class, class_rows
from advnets.trainer import Trainer, TrainerConfig

KINDS: Kinds = {
    DataConfig: data.KINDS,
    ModelConfig: learners.KINDS,
    GeneratorKind: networks.GENERATORS,
    DiscriminatorKind: networks.DISCRIMINATORS,
}

Device = Literal["cpu", "cuda"]


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
        checks.at_least(0, seed=self.seed)
        checks.at_least(1, batch_size=self.batch_size)
        checks.one_of(get_args(Device), device=self.device)

    def to_toml(self) -> str:
        """As TOML text, which `read_config` takes back."""
        return dumps(self)


def read_config(path: Path | str) -> RunConfig:
    """A configuration from a TOML file. Raises `BadFile` or `BadValue`, naming what is wrong."""
    table = read_toml(Path(path))
    try:
        return from_dict(RunConfig, table, kinds=KINDS)
    except checks.BadValue as error:
        raise checks.bad_config(Path(path), error) from None


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
    path = Path(folder)
    # Velocities of dead inputs decay into subnormals; to be set before the first thread starts.
    torch.set_flush_denormal(True)
    with joined(config.device) as own:
        if own.first:
            rundir.refuse_existing(path)  # before the data is read
        splits = data.load(config.data, seed=config.seed)
        parts = build(config, splits, own)
        if not own.first:
            return trainer(config, splits, *parts, own).fit()
        context = contexts(config, splits)
        about = describe(splits) | ({} if context is None else {"context": context.facts()})
        run_folder = RunDir.create(
            path, config=config.to_toml(), data=about, environment=environment()
        )
        display = display or Silent()
        display.say(header(run_folder, config, splits, samples=bool(parts[0].samplers())))
        with run_folder.lock():
            return trainer(config, splits, *parts, own, run_folder, display).fit()


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
    torch.set_flush_denormal(True)
    run_folder = RunDir(folder)
    saved = config_of(run_folder)
    config = config or saved
    refuse_changes(run_folder, saved, config)
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(joined(config.device))
        display = display if own.first and display else Silent()
        if own.first:
            stack.enter_context(run_folder.lock())
        splits = data.load(config.data, seed=config.seed)
        refuse_other_data(run_folder, describe(splits))
        parts = build(config, splits, own)
        going_on = trainer(config, splits, *parts, own, run_folder, display)
        checkpoint = run_folder.latest(display.say)
        if checkpoint is not None:
            refuse_foreign(checkpoint, config)
            with checks.foreign_checkpoints(checkpoint.path):
                going_on.resume(checkpoint)
            going = f"{run_folder.path}: going on from update {checkpoint.update}."
            going += f"\n{splits.reading}" if splits.reading else ""
            display.say(f"{notices(config)}{going}")
        own.any(False)  # nobody writes before everybody has read
        if own.first:
            path = run_folder.path / "config.toml"
            checkpoints.write_atomically(path, config.to_toml().encode())
        return going_on.fit()


def build(config: RunConfig, splits: Splits, ranks: Ranks) -> tuple[Learner, Batches]:
    """The learner of a run and the order of its data."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise checks.no_gpu()
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
    return learners.build(config.model, problem, seed=config.seed), batches


def contexts(config: RunConfig, splits: Splits) -> Context | None:
    """What a conditional model is told of each example; None for any other.

    Raises:
        BadValue: For data without labels.
    """
    if not config.model.conditional:
        return None
    if splits.train.context is None:
        raise checks.no_labels(splits.reading)
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
        n = plots.picture_size(sampler.event_shape)
        data = splits.validation.x[:n]
        classes = class_rows(sampler) if plots.is_image(sampler.event_shape) else []
        if classes:
            x = class_by_class(sampler, plots.COLUMNS, seed=config.seed, classes=classes)
        else:
            x = sampler.sample(n, seed=config.seed)
        span = splits.span or plots.wide(*splits.statistics[:2])
        plots.save_samples(path, x, data=data, span=span, columns=plots.COLUMNS)
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


def header(folder: RunDir, config: RunConfig, splits: Splits, *, samples: bool) -> str:
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
    about = f"\nThe data is {splits.notice}" if splits.notice else ""
    about += f"\n{splits.reading}" if splits.reading else ""
    return notices(config) + (
        f"{folder.path}: {n:,} training examples of {shape}; {config.trainer.steps:,} updates of "
        f"{config.batch_size}. {rule}\n{config.model.logged}{about}"
    )


def notices(config: RunConfig) -> str:
    """Lines on what will be slow, before a run begins or goes on."""
    slow = getattr(config.model, "precision", "") == "bfloat16" and config.device == "cpu"
    lines = [checks.slow_bfloat16()] if slow and not has_bfloat16() else []
    lines += [checks.compiling()] if getattr(config.model, "compiled", False) else []
    return "".join(f"{line}\n" for line in lines)


def refuse_changes(folder: RunDir, own: RunConfig, config: RunConfig) -> None:
    """Raise where a resumed run would not be the same run."""
    if config.recipe != own.recipe:
        raise checks.another_model(folder.path, f"recipe '{config.recipe}'", f"'{own.recipe}'")
    for name, (need, got) in differences(matters(own), matters(config)).items():
        raise checks.setting_changed(folder.path, name, need, got)


def refuse_foreign(checkpoint: Checkpoint, config: RunConfig) -> None:
    """Raise where a checkpoint was saved by a run with other settings."""
    saved, own = checkpoint.facts.get("settings", {}), matters(config)
    known = {name: own[name] for name in own if name in saved}  # others are younger than it
    for name, (got, need) in differences(saved, known).items():
        raise checks.foreign_settings(checkpoint.path, name, need, got)


def matters(config: RunConfig) -> dict[str, Any]:
    """The settings that a run's results depend on, by dotted name."""
    last = {"trainer.steps": config.trainer.steps} if config.model.ends_with_the_run else {}
    return settings(config) | last


def describe(splits: Splits) -> dict[str, Any]:
    """What `data.json` says of the data: sizes, range, and a fingerprint of all its bytes."""
    low, high, _ = splits.statistics
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    everything: dict[str, Examples] = {f"{name}.x": part.x for name, part in parts.items()}
    for name, part in parts.items():
        if part.context is not None:
            everything[f"{name}.context"] = part.context
    about = {
        "classes": list(splits.classes),
        "notice": splits.notice,
        "span": list(splits.span or ()),
    }
    return {name: fact for name, fact in about.items() if fact} | {
        "event_shape": list(splits.event_shape),
        "examples": [len(s) for s in (splits.train, splits.validation, splits.test)],
        "low": low,
        "high": high,
        "crc32": checkpoints.checksum(everything, {}),
    }


def refuse_other_data(folder: RunDir, found: dict[str, Any]) -> None:
    """Raise where the data is not the data that the run began with."""
    own = folder.facts("data")
    for name, value in found.items():
        if own.get(name) != value:
            raise checks.setting_changed(folder.path, f"data ({name})", own.get(name), value)

"""A trained run: `advnets.load("runs/mnist").sample(64, seed=0)`."""

import os
import shlex
from pathlib import Path
from typing import TypeVar, overload

import torch

from advnets.base import errors
from advnets.base.choices import Which as Which
from advnets.base.conditioning import Context
from advnets.base.protocols import Learner, Problem
from advnets.base.state import below
from advnets.base.terminal import say
from advnets.runs import pretrained, registry
from advnets.runs.run import Run
from advnets.runs.run_config import config_of, moved
from advnets.runs.same_run import refuse_foreign
from advnets.storage import checkpoints, schema
from advnets.storage.checkpoints import Checkpoint
from advnets.storage.run_folder import RunDir, is_shared
from advnets.training.trainer import Fitted

HUB = "hf://"
"""What the address of a generator on the Hugging Face Hub begins with."""
_HUB_AS_PATH = str(Path(HUB)) + os.sep
Trained = TypeVar("Trained", bound=Learner)


@overload
def load(folder: Path | str, *, into: Trained, checkpoint: Which | None = None) -> Trained: ...
@overload
def load(
    folder: Path | str,
    *,
    checkpoint: Which | int | None = None,
    data_path: str | None = None,
    data_root: str | None = None,
) -> "Run": ...
def load(
    folder: Path | str,
    *,
    into: Learner | None = None,
    checkpoint: Which | int | None = None,
    data_path: str | None = None,
    data_root: str | None = None,
) -> "Run | Learner":
    """Load a run at one of its checkpoints, on the CPU; or continue a learner of `fit`.

    A shared generator (`advnets export RUN --to hub-folder`) is loaded as a run that only draws
    samples (`Pretrained`): it has one checkpoint and no data.

    Args:
        folder: A run's folder; that of a shared generator, its file `NAME.safetensors`, or
            "hf://user/name" for one on the Hugging Face Hub.
        into: The learner that `fit` trained in this folder, constructed again in the same way. It
            loads the last checkpoint and is returned; `fit` then continues as if it had never
            stopped. Construct torch's schedulers before, and pass them to `fit`.
        checkpoint: 'best' by the validation score (the default of a run), 'last' (with `into`), or
            the number of an update whose checkpoint is kept.
        data_path: New location of the data (`--data.path`), where it was moved.
        data_root: The same for data with `--data.root`.

    Raises:
        BadFile: When the folder is no run folder, or has no intact checkpoint, or one with weights
            that are not finite.
    """
    if into is None and (str(folder).startswith(HUB) or _is_shared(Path(folder))):
        given = {"data.path": data_path, "data.root": data_root}
        for name in (name for name, at in given.items() if at is not None):
            raise errors.bad_value(name, "left out for a shared generator, without data", "a path")
        return _shared(folder)
    if str(folder).startswith(_HUB_AS_PATH):
        need = "a folder or a file here; advnets.load reads addresses of the Hub"
        address = str(folder).replace(_HUB_AS_PATH, HUB)
        raise errors.bad_value("run", need, address)
    run_folder = RunDir(folder)
    if into is not None:
        return _into(into, run_folder, checkpoint or "last")
    if (run_folder.path / "config.toml").read_bytes().startswith(b"own = "):
        raise errors.bad_value("into", "the game that fit trained in this folder", "nothing")
    checkpoint = checkpoint or "best"
    config = moved(config_of(run_folder), path=data_path, root=data_root)
    saved = _checkpoint(run_folder, checkpoint)
    facts, context = run_folder.data(), None
    if config.model.conditional:
        context = Context.like(schema.contexts(run_folder.path, facts))
    problem = Problem(
        event_shape=facts.event_shape,
        low=facts.low,
        high=facts.high,
        mean=torch.zeros(facts.event_shape),
        batches_per_epoch=1,
        steps=config.trainer.steps,
        context=context,
    )
    learner = registry.build(config.model, problem, seed=config.seed)
    refuse_foreign(saved, config)
    bad = checkpoints.first_non_finite(saved.tensors)
    if bad is not None:
        raise _checkpoint_not_finite(saved.path, bad.removeprefix("learner."))
    with errors.foreign_checkpoints(saved.path):
        state = below("learner.", saved.tensors)
        checkpoints.refuse_other_types(learner.state(), state)
        learner.load_state(state)
    return Run(run_folder, config, learner, saved.update, saved.path.name)


def _checkpoint_not_finite(path: Path, name: str) -> errors.BadFile:
    """The error for a checkpoint with NaN or infinity."""
    return errors.BadFile(
        f"{path}: '{name}' must be finite, got NaN or infinity; use another checkpoint."
    )


def _shared(folder: Path | str) -> Run:
    """A shared generator, from the Hub or a disk."""
    if not str(folder).startswith(HUB):
        return pretrained.load(Path(folder))
    from advnets.runs import hub  # what few need

    return hub.fetched(str(folder))


def _is_shared(path: Path) -> bool:
    return is_shared(path) or (path.suffix == ".safetensors" and path.is_file())


def _checkpoint(run_folder: RunDir, which: Which | int) -> Checkpoint:
    """One of a run's checkpoints. Raises `BadFile` where there is none, or none that is whole."""
    if isinstance(which, int):
        return run_folder.at(which)
    saved = run_folder.best(say) if which == "best" else run_folder.latest(say)
    if saved is None:
        raise _no_checkpoint(run_folder.path)
    return saved


def _into(learner: Trained, run_folder: RunDir, checkpoint: Which | int) -> Trained:
    """A learner with the state of a checkpoint, ready to continue."""
    saved = _checkpoint(run_folder, checkpoint)
    progress = schema.convert(saved.path, saved.facts, schema.Progress)
    with errors.foreign_checkpoints(saved.path):
        state = below("learner.", saved.tensors)
        checkpoints.refuse_other_types(learner.state(), state)
        learner.load_state(state)
    learner.fitted = Fitted(  # type: ignore[attr-defined]
        saved.update,
        progress.settings.get("seed"),
        below("rng.", saved.tensors),
        run_folder.path.absolute(),
        progress.settings.get("schedulers"),
    )
    return learner


def _no_checkpoint(path: Path) -> errors.BadFile:
    """The error for a run without a checkpoint."""
    quoted = shlex.quote(str(path))
    return errors.BadFile(
        f"{path}: has no checkpoint yet; go on with: advnets train --resume {quoted}"
    )

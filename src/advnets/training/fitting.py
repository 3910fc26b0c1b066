"""Training of a user's own networks; a further call continues."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from advnets.base import errors
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Learner
from advnets.base.rng import Generators
from advnets.data.batches import Array, Batches, Loaded, minibatches
from advnets.storage.run_folder import RunDir
from advnets.training import schedulers as torch_schedulers
from advnets.training.callbacks import Callback
from advnets.training.config import TrainerConfig
from advnets.training.history import History
from advnets.training.trainer import Fitted, Trainer


def fit(
    learner: Learner,
    x: Batches | Loaded | Tensor | Array | Dataset[Any] | DataLoader[Any],
    config: TrainerConfig | None = None,
    *,
    steps: int | None = None,
    seed: int = 0,
    folder: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    schedulers: Sequence[LRScheduler] = (),
) -> History:
    """Train a learner: a `Game` of your own networks, for instance.

    A learner that was trained before continues with the next minibatches and new noise: with the
    same data and seed, two calls equal one. Its networks are put in training mode, except for parts
    that are frozen and in evaluation mode. torch's global random stream is restored.

    Args:
        learner: The learner, trained in place.
        x: Training data. A tensor, array or data set of `(n, ...)` is divided into minibatches of
            100; a `DataLoader` yields its own, `x` or `(x, labels)`. A data set with a length and
            items by number is read item by item: x, `(x, label)`, or a dictionary of them
            (`advnets.data.items`).
        config: Length of the training and intervals of logging and saving; instead of `steps`.
        steps: So many more updates, logged every 100, saved every 1,000.
        seed: Seed of noise and masks (and of torch's global stream, for torch's dropout layers).
        folder: Folder of metrics and checkpoints, for `advnets.load(folder, into=learner)`: a new
            one, or the one that the learner was loaded from or trained in.
        callbacks: Called with a `Moment` after every update (`advnets.training.callbacks`);
            trackers (`advnets.training.trackers`) are callbacks.
        schedulers: torch's schedulers of the learner's optimizers: stepped once an update, saved,
            and resumed.

    Returns:
        The logged metrics.

    Raises:
        BadValue: For data of another kind, or `steps` beside `config`, or neither.
        BadFile: For a folder that holds something else.
        Diverged: At the first logged value, or saved tensor, that is not finite.
        KeyboardInterrupt: When Ctrl-C, SIGTERM or SIGHUP ended the training, between two updates.
    """
    is_learner = not isinstance(learner, type) and hasattr(learner, "batches_per_step")
    need = "a learner: advnets.Game(G, D, ...), or another model of advnets"
    errors.require(is_learner, "learner", need, errors.kind_of(learner))
    is_config = config is None or isinstance(config, TrainerConfig)
    errors.require(
        is_config, "config", "a TrainerConfig; a number is steps=...", errors.kind_of(config)
    )
    for name, listed in {"callbacks": callbacks, "schedulers": schedulers}.items():
        errors.require(
            isinstance(listed, Sequence), name, f"a list: {name}=[...]", errors.kind_of(listed)
        )
    given = (steps is not None) + (config is not None)
    errors.require(
        given == 1, "steps", "steps or a config, one of both", ("neither", "", "both")[given]
    )
    if config is None:
        assert steps is not None
        config = TrainerConfig(steps=steps)
    before: Fitted = getattr(learner, "fitted", None) or Fitted(_updates_of(learner))
    ranks: Ranks = getattr(learner, "ranks", ALONE)
    batches = minibatches(x, seed=seed, ranks=ranks)
    torch_schedulers.refuse_others(schedulers)
    if before.schedulers is not None:
        torch_schedulers.load_states(schedulers, before.schedulers)
    place = None if folder is None else Path(folder).absolute()
    with contextlib.ExitStack() as stack:
        stack.enter_context(global_stream_kept())
        run_folder = None
        if place is not None and ranks.first:
            run_folder = _folder(place, learner, before)
            stack.enter_context(run_folder.lock())
        trainer = Trainer(
            learner,
            batches,
            replace(config, steps=before.updates + config.steps),
            generators=Generators(seed, begun=before.updates),
            folder=run_folder,
            settings={"seed": seed},
            callbacks=callbacks,
            schedulers=schedulers,
            ranks=ranks,
        )
        trainer.go_on(before, seed)
        try:
            finished = trainer.fit()
        finally:
            state = trainer.generators.state()
            learner.fitted = Fitted(trainer.update, seed, state, place)  # type: ignore[attr-defined]
    if not finished:
        raise KeyboardInterrupt
    return trainer.history


def _folder(place: Path, learner: Learner, before: Fitted) -> RunDir:
    """The folder of a learner: a new one, or the one it was trained in."""
    if before.folder == place:
        return RunDir(place)
    return RunDir.create(place, config=f'own = "{type(learner).__name__}"\n')


def _updates_of(learner: Learner) -> int:
    """The number of updates of a learner; 0 for one that does not count them."""
    seen = int(getattr(learner, "minibatches", 0)) // learner.batches_per_step
    return int(getattr(learner, "updates", seen))

"""The one loop. It knows only `step`, `log` and `save`; all else is passed in.

After every step, in this order, where it is due: log, score, picture, checkpoint. A checkpoint
comes last, so that everything up to its update is on the disk when it is; on resume, what lies
after it is dropped and made again.
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from advnets.base import errors
from advnets.base.blocks import statistics
from advnets.base.config import FREE
from advnets.base.distributed import ALONE, Ranks
from advnets.base.process import global_stream_kept
from advnets.base.progress import Display, Silent, Status
from advnets.base.protocols import Choosy, Info, Learner, Moded, Watched
from advnets.base.rng import Streams
from advnets.data.batches import Array, Batches, Loaded, minibatches
from advnets.evaluation.parzen import LogLikelihood
from advnets.storage import schema
from advnets.storage.checkpoints import (
    Checkpoint,
    below,
    refuse_non_finite,
    refuse_other_types,
    written_aside,
)
from advnets.storage.run_folder import RunDir
from advnets.training.monitor import Monitor


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How long a run is and what is kept of it, all in updates. A number of 0 means never."""

    steps: int = field(default=20_000, metadata=FREE)
    """Updates in the whole run. A finished run can be resumed with more, unless its learning rate
    anneals."""
    log_every: int = 100
    """Updates between two lines of metrics."""
    score_every: int = 5_000
    """Updates between two validation scores; the best one's checkpoint is kept as best."""
    picture_every: int = field(default=1_000, metadata=FREE)
    """Updates between two pictures of the same z."""
    checkpoint_every: int = field(default=1_000, metadata=FREE)
    """Updates between two checkpoints: what a killed run loses at most."""
    warn: bool = field(default=True, metadata=FREE)
    """Whether to say, once each, when D has won, the samples collapse or the game oscillates."""

    def __post_init__(self) -> None:
        errors.at_least(1, steps=self.steps, log_every=self.log_every)
        for name in ("score_every", "picture_every", "checkpoint_every"):
            errors.at_least(0, **{name: getattr(self, name)})


Scores = Mapping[str, LogLikelihood]
_TOGETHER = 10
"""Updates between two agreements of several processes on whether to stop."""


@dataclass(frozen=True)
class Fitted:
    """Where `fit` left a learner: how many updates it has had, and the streams of the seed."""

    updates: int
    seed: int | None = None
    streams: Mapping[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Trains any learner.

    Args:
        learner: What is trained.
        batches: Where its minibatches come from.
        config: How long, and what is kept.
        streams: The random streams of the run.
        folder: Where the run is kept; None keeps nothing.
        score: Validation scores of the learner's samplers; the rule of model selection is the
            highest mean of the first.
        picture: Draws the learner's samples of a fixed z into a file; returns what is to be logged
            of them.
        monitor: Reads what is logged and warns.
        display: Where a person looks.
        settings: What the run was made from; it is kept in every checkpoint.
        ranks: The processes that train together. Only the first one's `folder` is used.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Batches | Loaded,
        config: TrainerConfig,
        *,
        streams: Streams,
        folder: RunDir | None = None,
        score: Callable[[Learner], Scores] | None = None,
        picture: Callable[[Learner, Path], Mapping[str, float]] | None = None,
        monitor: Monitor | None = None,
        display: Display | None = None,
        settings: Mapping[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        if isinstance(learner, Choosy) and isinstance(batches, Batches):
            learner.refuse_sizes(batches.sizes)
        self.learner, self.batches, self.config = learner, batches, config
        self.streams, self.folder = streams, folder if ranks.first else None
        self.ranks = ranks
        self.score, self.picture, self.display = score, picture, display or Silent()
        self.monitor = monitor
        self.settings = settings or {}
        self.update = 0
        self.best: dict[str, float] = {}
        self.values: dict[str, float] = {}
        self._saved, self._seeded = -1, False
        self._words = ""
        self._stepping, self._logged, self._before = 0.0, (0, 0.0), 0.0

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint as if the run had never stopped."""
        if checkpoint.update > self.config.steps:
            raise errors.steps_behind(checkpoint.update, self.config.steps)
        progress = schema.convert(checkpoint.path, checkpoint.facts, schema.Progress)
        state = below("learner.", checkpoint.tensors)
        refuse_other_types(self.learner.state(), state)
        self.learner.load_state(state)
        self.streams.load_state(below("rng.", checkpoint.tensors))
        self.update = self._saved = checkpoint.update
        self._seeded = checkpoint.update > 0
        self.best, self._words = dict(progress.best), progress.score

    def go_on(self, before: "Fitted", seed: int) -> None:
        """Go on where a call of `fit` ended; with another seed, with noise of its own."""
        self.update, self._seeded = before.updates, before.seed == seed
        if self._seeded:
            self.streams.load_state(before.streams)

    def fit(self) -> bool:
        """Train to the last step. Returns False when a signal ended it before; all is saved then.

        Raises:
            Diverged: At the first logged value, or saved tensor, that is not finite.
        """
        try:
            with (
                torch.inference_mode(False),
                torch.enable_grad(),
                interrupted(self.display.say, insist=self.ranks.world == 1) as signalled,
            ):
                self._begin()
                while self.update < self.config.steps and not self._stop(signalled()):
                    info = self._step()
                    if self._due(self.config.log_every):
                        self._log(info)
                    improved = self._due(self.config.score_every) and self._score()
                    if self._due(self.config.picture_every):
                        self._draw()
                    if improved or self._due(self.config.checkpoint_every):
                        self._save(best=improved)
                if self._saved != self.update:
                    self._save(best=False)
            if self.best:
                self.display.say(
                    "Best: update {update}, validation {score:.1f}.".format(**self.best)
                )
        finally:
            self.display.close()
        return self.update == self.config.steps

    def _begin(self) -> None:
        if isinstance(self.learner, Moded):
            self.learner.train_mode()
        if not self._seeded:
            self.streams.seed_global()
        if self.folder is not None:
            self.folder.forget_after(self.update)
            if self.monitor is not None:
                for record in self.folder.records():
                    self.monitor.read(record)  # what it warned of before is not said again
            seconds = [r.get("seconds", 0.0) for r in self.folder.records("clock")]
            self._before = max(seconds, default=0.0)
        self._logged = (self.update, 0.0)

    def _stop(self, signalled: bool) -> bool:
        """Whether to end here; several processes end at the same update."""
        if self.ranks.world == 1:
            return signalled
        return self.update % _TOGETHER == 0 and self.ranks.any(signalled)

    def _due(self, every: int) -> bool:
        return every > 0 and (self.update % every == 0 or self.update == self.config.steps)

    def _step(self) -> Info:
        began = time.perf_counter()
        batches = self.batches.of_step(self.update, self.learner.batches_per_step)
        info = self.learner.step(batches, rng=self.streams["step"])
        self.update += 1
        self._stepping += time.perf_counter() - began
        return info

    def _log(self, info: Info) -> None:
        """Read the step's values (here a device is waited for), write them down and show them."""
        numbers = self.ranks.add_up(torch.stack(list(info.values()))).tolist()
        values = dict(zip(info, numbers, strict=True))
        seen = self.learner.watch() if isinstance(self.learner, Watched) else {}
        record = values | {name: value.item() for name, value in seen.items()}
        for name, value in record.items():
            if not math.isfinite(value):
                raise errors.diverged(name, value, self.update, largest=self._largest())
        update, stepping = self._logged
        speed = (self.update - update) / max(self._stepping - stepping, 1e-9)
        self._logged, self.values = (self.update, self._stepping), values
        left = (self.config.steps - self.update) / speed
        self._keep(record)
        if self.folder is not None:
            clock = {"seconds": self._before + self._stepping, "updates_per_second": speed}
            self.folder.log({"update": self.update, **clock, "seconds_left": left}, to="clock")
        self.display.show(
            Status(
                update=self.update,
                steps=self.config.steps,
                updates_per_second=speed,
                seconds_left=left,
                values=values,
                score=self._words,
            )
        )

    def _largest(self) -> float:
        """The largest magnitude in the training data, as far as it is at hand; else 0."""
        data = getattr(self.batches, "data", None)
        if data is None:
            return 0.0
        low, high, _ = statistics(data.x)
        return max(-low, high)

    def _score(self) -> bool:
        """Score on validation data; True when the first sampler did better than ever before."""
        if self.score is None:
            return False
        refuse_non_finite(self.update, self._tensors())
        scores = self.score(self.learner)
        for name, s in scores.items():
            if not math.isfinite(s.mean):
                raise errors.diverged(f"The validation score of {name}", s.mean, self.update)
        self._words = ", ".join(f"{name} {s.mean:.1f}" for name, s in scores.items())
        self.display.say(f"update {self.update}  validation score (nats): {self._words}")
        self._keep({"validation": {name: s.to_dict() for name, s in scores.items()}})
        first = next(iter(scores.values())).mean
        improved = first > self.best.get("score", -math.inf)
        if improved:
            self.best = {"update": self.update, "score": first}
        return improved

    def _draw(self) -> None:
        if self.picture is not None and self.folder is not None:
            refuse_non_finite(self.update, self._tensors())
            with written_aside(self.folder.picture_path(self.update)) as path:
                seen = self.picture(self.learner, path)
            self._keep(seen)

    def _keep(self, record: Mapping[str, Any]) -> None:
        """Write a line of metrics down, and what is to be said of it."""
        line = {"update": self.update, **record}
        if self.folder is not None:
            self.folder.log(line)
        for warned in self.monitor.read(line) if self.monitor and self.ranks.first else ():
            self.display.say(f"Warning: {warned.sentence}")
            self._keep({"warning": warned.name, "sentence": warned.sentence})

    def _tensors(self) -> dict[str, Tensor]:
        return {f"learner.{name}": t for name, t in self.learner.state().items()}

    def _save(self, *, best: bool) -> None:
        self._saved = self.update
        if self.folder is None:
            return
        tensors = self._tensors()
        tensors |= {f"rng.{name}": t for name, t in self.streams.state().items()}
        facts = {"best": self.best, "score": self._words, "settings": self.settings}
        self.folder.save(self.update, tensors, facts, best=best)


def fit(
    learner: Learner,
    batches: Batches | Loaded | Tensor | Array | DataLoader[Any],
    config: TrainerConfig,
    *,
    seed: int = 0,
) -> None:
    """Train a learner in memory: no folder, no scores, no display.

    A learner that was trained before goes on: with new minibatches and new noise, and with the same
    data and seed as if both calls had been one. Its networks are put in training mode, except for
    parts that are frozen and in evaluation mode. torch's global stream is left as it was found.

    Args:
        learner: What is trained, in place.
        batches: Where its minibatches come from. A tensor or array `(n, ...)` is cut into
            minibatches of 100; a `DataLoader` gives its own, `x` or `(x, labels)`.
        config: How long: `steps` more updates.
        seed: Seeds the noise and the masks (and torch's global stream, for dropout layers not
            ours).

    Raises:
        BadValue: For data of another kind.
        KeyboardInterrupt: When Ctrl-C, SIGTERM or SIGHUP ended the training, between two updates.
    """
    before: Fitted = getattr(learner, "fitted", None) or Fitted(_updates_of(learner))
    steps = replace(config, steps=before.updates + config.steps)
    streams = Streams(seed, begun=before.updates)
    with global_stream_kept():
        trainer = Trainer(learner, minibatches(batches, seed=seed), steps, streams=streams)
        trainer.go_on(before, seed)
        try:
            finished = trainer.fit()
        finally:
            learner.fitted = Fitted(trainer.update, seed, streams.state())  # type: ignore[attr-defined]
    if not finished:
        raise KeyboardInterrupt


def _updates_of(learner: Learner) -> int:
    """The updates that a learner has had by its own count; 0 for one that does not count."""
    seen = int(getattr(learner, "minibatches", 0)) // learner.batches_per_step
    return int(getattr(learner, "updates", seen))


@contextlib.contextmanager
def interrupted(
    say: Callable[[str], object], *, insist: bool = True
) -> Iterator[Callable[[], bool]]:
    """Ctrl-C, SIGTERM and SIGHUP end the loop between two steps; a second one ends it at once.

    A terminal that is closed may send SIGHUP more than once: a second one is no wish to lose the
    run. A signal that the process was told to ignore (`nohup`) is left so, and one whose handler is
    not Python's, because it could not be put back. `torchrun` passes a Ctrl-C on that every process
    has had already: there nothing is to be read from a second signal, and `insist` is False.
    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if received and insist and number != getattr(signal, "SIGHUP", None):
            raise KeyboardInterrupt
        if not received:
            hint = " (a second signal stops at once)" if insist else ""
            say(f"Stopping after this update{hint}.")
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in _to_be_noted()}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _to_be_noted() -> list[signal.Signals]:
    """The signals that ask a training to end, but for those that others have claimed."""
    ask = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ask.append(signal.SIGHUP)
    return [number for number in ask if signal.getsignal(number) is not None]

"""The training loop. It calls `step`, logs and saves; everything else is passed in.

After every step, where due and in this order: log, score, picture, checkpoint. The checkpoint comes
last, so that everything up to its update is on the disk before it. On resume, everything after it
is dropped and made again. What is due by the second is shown and not logged: `metrics.jsonl` does
not depend on the speed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from advnets.base import errors
from advnets.base.blocks import statistics
from advnets.base.distributed import ALONE, Ranks
from advnets.base.progress import Display, Silent, Status, duration
from advnets.base.protocols import Choosy, HasDiagnostics, Info, Learner, Moded
from advnets.base.rng import Generators
from advnets.base.state import below
from advnets.data.batches import Batches, Loaded
from advnets.evaluation.parzen import LogLikelihood
from advnets.storage import schema
from advnets.storage.checkpoints import (
    Checkpoint,
    atomic_path,
    refuse_non_finite,
    refuse_other_types,
)
from advnets.storage.run_folder import RunDir, flat
from advnets.training import schedulers as torch_schedulers
from advnets.training import trackers
from advnets.training.callbacks import Callback, HasClose, HasStart, Moment, Start, refuse_others
from advnets.training.clock import Clock
from advnets.training.config import TrainerConfig
from advnets.training.history import History
from advnets.training.limits import Limit
from advnets.training.monitor import Monitor
from advnets.training.signals import interrupted

Scores = Mapping[str, LogLikelihood]
_TOGETHER = 10
"""Updates between two synchronisations of several processes on whether to stop."""
LONG, MEASURED = 3600.0, 30.0
"""Seconds left of a run for which `advice` is given, when so many seconds were measured."""


@dataclass(frozen=True)
class Fitted:
    """The state of a learner after `fit`: its updates, and the random streams of the seed."""

    updates: int
    seed: int | None = None
    generators: Mapping[str, Tensor] = field(default_factory=dict)
    folder: Path | None = None
    schedulers: Sequence[Any] | None = None
    """States of torch's schedulers that the next call of `fit` restores, after `load`."""


class Trainer:
    """Trains any learner.

    Args:
        learner: The learner.
        batches: The minibatches.
        config: Length and intervals.
        generators: The random streams of the run.
        folder: The run folder; None keeps nothing.
        score: Computes validation scores of the learner's samplers; the best checkpoint has the
            highest mean of the first.
        picture: Writes a picture of samples of a fixed z; returns metrics to log.
        monitor: Reads what is logged and warns.
        display: Shows the progress.
        settings: The settings of the run, kept in every checkpoint.
        advice: What shortens the run; said once, where hours are left.
        callbacks: Called after every update.
        schedulers: torch's schedulers, stepped once an update.
        limit: Where this call ends, if before the last step.
        ranks: The processes that train together. Only the first one's `folder` is used.

    Raises:
        MissingExtra: Where the package of a tracker is not installed.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Batches | Loaded,
        config: TrainerConfig,
        *,
        generators: Generators,
        folder: RunDir | None = None,
        score: Callable[[Learner], Scores] | None = None,
        picture: Callable[[Learner, Path], Mapping[str, float]] | None = None,
        monitor: Monitor | None = None,
        display: Display | None = None,
        settings: Mapping[str, Any] | None = None,
        advice: str = "",
        callbacks: Sequence[Callback] = (),
        schedulers: Sequence[LRScheduler] = (),
        limit: Limit | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        trackers.refuse(config.track)
        refuse_others(callbacks)
        if isinstance(learner, Choosy) and isinstance(batches, Batches):
            learner.refuse_sizes(batches.sizes)
        self.learner, self.batches, self.config = learner, batches, config
        self.generators, self.folder = generators, folder if ranks.first else None
        self.ranks = ranks
        self.score, self.picture, self.display = score, picture, display or Silent()
        self.monitor = monitor
        self.settings, self._advice = settings or {}, advice
        own = trackers.build(config.track) if ranks.first else []
        self.callbacks: list[Callback] = [*callbacks, *own]
        self.schedulers = schedulers
        self.limit = limit or Limit()
        self.history, self._ended = History(), False
        self.update = 0
        self.best: dict[str, float] = {}
        self._saved, self._seeded = -1, False
        self._words = ""
        self._begun, self._before, self._drawn = 0, 0.0, False
        self._pace: tuple[int, dict[str, float]] = (-1, {})
        every = {
            "score": config.score_every if score else 0,
            "picture": config.sample_every if picture and self.folder else 0,
            "save": config.checkpoint_every if self.folder else 0,
        }
        self.clock = Clock(config.steps, every)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint as if the run had never stopped."""
        if checkpoint.update > self.config.steps:
            raise errors.bad_value(
                "trainer.steps",
                f"at least {checkpoint.update}, where the run stands",
                self.config.steps,
            )
        progress = schema.convert(checkpoint.path, checkpoint.facts, schema.Progress)
        state = below("learner.", checkpoint.tensors)
        refuse_other_types(self.learner.state(), state)
        self.learner.load_state(state)
        self.generators.load_state(below("rng.", checkpoint.tensors))
        self.update = self._saved = checkpoint.update
        self._seeded = checkpoint.update > 0
        self.best, self._words = dict(progress.best), progress.score

    def go_on(self, before: "Fitted", seed: int) -> None:
        """Continue after an earlier call of `fit`; another seed starts new random streams."""
        self.update, self._seeded = before.updates, before.seed == seed
        if self._seeded:
            self.generators.load_state(before.generators)

    def fit(self) -> bool:
        """Train to the last step. Returns False when a signal or the limit ended it before.

        Then all is saved.

        Raises:
            Diverged: At the first value logged or shown, or tensor saved, that is not finite.
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
                    elif self._due_by_time():
                        self._show(self._read(info))
                    improved = self._due(self.config.score_every) and self._score()
                    self._call_back(self._due_picture())
                    if improved or self._due(self.config.checkpoint_every):
                        self._save(best=improved)
                if self._saved != self.update:
                    self._save(best=False)
            if self.best:
                self.display.say(
                    "Best: update {update}, validation {score:.1f}.".format(**self.best)
                )
        finally:
            for callback in self.callbacks:
                if isinstance(callback, HasClose):
                    callback.close()
            self.display.close()
        return self._ended or self.update == self.config.steps

    def _begin(self) -> None:
        if isinstance(self.learner, Moded):
            self.learner.train_mode()
        if not self._seeded:
            self.generators.seed_global()
        if self.folder is not None:
            self.folder.forget_after(self.update)
            if self.monitor is not None:
                for record in self.folder.records():
                    self.monitor.read(record)  # what it warned of before is not said again
            seconds = [r.get("seconds", 0.0) for r in self.folder.records("clock")]
            self._before = max(seconds, default=0.0)
        self.clock.begin(self.update)
        self._begun = self.update
        folder = None if self.folder is None else self.folder.path
        at = Start(
            update=self.update,
            steps=self.config.steps,
            folder=folder,
            settings=self.settings,
            first=self.ranks.first,
        )
        for callback in self.callbacks:
            if isinstance(callback, HasStart):
                callback.start(at)

    def _stop(self, signalled: bool) -> bool:
        """Whether to stop now; several processes stop at the same update."""
        if self.limit.done(self.update - self._begun):  # every process counts the same
            return True
        if self.ranks.world == 1:
            return signalled or self._ended or self.limit.out_of_time()
        if self.update % _TOGETHER:
            return False
        if self.limit.timed and self.ranks.any(self.limit.out_of_time()):
            self.limit.reached = True
            return True
        return self.ranks.any(signalled or self._ended)

    def _due(self, every: int) -> bool:
        return every > 0 and (self.update % every == 0 or self.update == self.config.steps)

    def _due_by_time(self) -> bool:
        """Whether to show the progress now; several processes do so at the same update."""
        if self.ranks.world == 1:
            return self.clock.due(self.config.log_seconds)
        together = self.update % _TOGETHER == 0
        return together and self.ranks.any(self.clock.due(self.config.log_seconds))

    def _step(self) -> Info:
        with self.clock.step():
            batches = self.batches.of_step(self.update, self.learner.batches_per_step)
            info = self.learner.step(batches, rng=self.generators["step"])
            torch_schedulers.step(self.schedulers)
            self.update += 1
        return info

    def _log(self, info: Info) -> None:
        """Read the step's metrics (which synchronises the device), write and show them."""
        values = self._read(info)
        seen = self.learner.diagnostics() if isinstance(self.learner, HasDiagnostics) else {}
        self._keep(values | self._finite({name: value.item() for name, value in seen.items()}))
        self._show(values)

    def _read(self, info: Info) -> dict[str, float]:
        """The metrics of a step."""
        numbers = self.ranks.add_up(torch.stack(list(info.values()))).tolist()
        return self._finite(dict(zip(info, numbers, strict=True)))

    def _finite(self, values: dict[str, float]) -> dict[str, float]:
        for name, value in values.items():
            if not math.isfinite(value):
                raise errors.diverged(name, value, self.update, largest=self._largest())
        return values

    def _show(self, values: dict[str, float]) -> None:
        """Show the progress, and keep the speed."""
        speed = self.clock.mark(self.update)
        left = self.clock.left(self.update, speed)
        seconds = self._before + self.clock.stepping
        pace = {"seconds": seconds, "updates_per_second": speed, "seconds_left": left}
        self._pace = self.update, pace
        if self.folder is not None:
            self.folder.log({"update": self.update, **pace}, to="clock")
        if self._advice and self.clock.warm and self.clock.stepping >= MEASURED:
            if left >= LONG:
                self.display.say(f"About {duration(left)} left at this speed. {self._advice}")
            self._advice = ""
        self.display.show(
            Status(
                update=self.update,
                steps=self.config.steps,
                updates_per_second=speed,
                seconds_left=left,
                values=values,
                score=self._words,
                at_least=self.clock.unknown("score", self.update),
            )
        )

    def _largest(self) -> float:
        """The largest magnitude in the training data in memory; else 0."""
        data = getattr(self.batches, "data", None)
        if data is None:
            return 0.0
        low, high, _ = statistics(data.x)
        return max(-low, high)

    def _call_back(self, picture: Path | None) -> None:
        for callback in self.callbacks:
            last = self.history[-1] if self.history else None
            logged = last.metrics if last is not None and last.update == self.update else {}
            clock = self._pace[1] if self._pace[0] == self.update else {}
            at = Moment(self.update, self.learner, logged, self._log_own, self._end, clock, picture)
            callback(at)

    def _log_own(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise errors.diverged(name, value, self.update)
        self._keep(metrics)

    def _end(self) -> None:
        self._ended = True

    def _score(self) -> bool:
        """Score on validation data; True for a new best score of the first sampler."""
        if self.score is None:
            return False
        refuse_non_finite(self.update, self._tensors())
        with self.clock.timed("score"):
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

    def _due_picture(self) -> Path | None:
        """The picture of this update, where one is due."""
        if self._due(self.config.sample_every):
            return self._draw(log=True)
        first = self.config.sample_every and self.update in self.config.first_samples
        return self._draw() if first else None

    def _draw(self, *, log: bool = False) -> Path | None:
        """Draw and keep a picture, where there is one to draw and a folder to keep it in.

        `log`: the metrics of its samples too.
        """
        if self.picture is None or self.folder is None:
            return None
        refuse_non_finite(self.update, self._tensors())
        place = self.folder.picture_path(self.update)
        with self.clock.timed("picture"), atomic_path(place) as path:
            seen = self.picture(self.learner, path)
        if not self._drawn:
            self._drawn = True
            self.display.say(f"update {self.update}  samples: {place}")
        if log:
            self._keep(seen)
        return place

    def _keep(self, record: Mapping[str, Any]) -> None:
        """Write a line of metrics, and the warnings about it."""
        line = {"update": self.update, **record}
        numbers = {name: float(value) for name, value in flat(record).items()}
        if numbers:
            self.history.add(self.update, numbers)
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
        with self.clock.timed("save"):
            self._write(self.folder, best=best)

    def _write(self, folder: RunDir, *, best: bool) -> None:
        tensors = self._tensors()
        tensors |= {f"rng.{name}": t for name, t in self.generators.state().items()}
        facts = {"best": self.best, "score": self._words, "settings": self.settings}
        if self.schedulers:
            states = torch_schedulers.states(self.schedulers)
            facts["settings"] = {**self.settings, "schedulers": states}
        folder.save(self.update, tensors, facts, best=best)

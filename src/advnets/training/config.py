"""The length of a run, and when it logs, scores, draws and saves."""

from dataclasses import dataclass, field
from typing import get_args

from advnets.base import errors
from advnets.base.config import RESUMABLE
from advnets.training import trackers


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """The length of a run and the intervals of logging and saving, in updates; 0 means never."""

    steps: int = field(default=20_000, metadata=RESUMABLE)
    """Updates in the whole run. A finished run can be resumed with more, unless its learning rate
    anneals."""
    log_every: int = 100
    """Updates between two lines of metrics."""
    log_seconds: float = field(default=5.0, metadata=RESUMABLE)
    """Seconds after which the progress is shown, where `log_every` updates take longer."""
    score_every: int = 5_000
    """Updates between two validation scores; the best one's checkpoint is kept as best."""
    sample_every: int = field(default=1_000, metadata=RESUMABLE)
    """Updates between two pictures of the same z."""
    first_samples: tuple[int, ...] = field(default=(1, 50, 200), metadata=RESUMABLE)
    """Updates with a picture too, so that there is something to see at the start."""
    checkpoint_every: int = field(default=1_000, metadata=RESUMABLE)
    """Updates between two checkpoints: the most that a killed run loses."""
    warn: bool = field(default=True, metadata=RESUMABLE)
    """Whether to warn, once each, of a dominant D, a D at chance, bounded logits, oscillation and
    mode collapse."""
    track: tuple[trackers.Name, ...] = field(default=("tensorboard",), metadata=RESUMABLE)
    """Programs that get the log too: tensorboard (where it is installed), wandb, mlflow."""

    def __post_init__(self) -> None:
        for tracker in self.track:
            errors.one_of(get_args(trackers.Name), track=tracker)
        errors.whole(1, steps=self.steps, log_every=self.log_every)
        for name in ("score_every", "sample_every", "checkpoint_every"):
            errors.whole(0, **{name: getattr(self, name)})
        errors.at_least(0, log_seconds=self.log_seconds)
        for update in self.first_samples:
            errors.whole(1, first_samples=update)

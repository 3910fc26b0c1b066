"""The paper's pair on MNIST with each method, at equal CPU time.

The number of updates that a method has time for is measured first, and its learning rate anneals
over exactly so many. Scores are on validation images; the test set is not used. Each score is a
JSON file in the folder `digits`, so that a command that was killed resumes with the next method; on
another processor all are played again.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from advnets import data
from advnets.base import errors
from advnets.base.distributed import ALONE
from advnets.base.rng import generator
from advnets.data import MnistConfig, Splits
from advnets.evaluation import features, metrics
from advnets.evaluation.features import Say
from advnets.evaluation.protocol import EvaluationConfig, validation_score
from advnets.experiments.coordination import cells
from advnets.extensions.coordination.config import CoordinatedConfig
from advnets.game import Game
from advnets.networks import DiscriminatorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import train
from advnets.runs.run_config import RunConfig
from advnets.sampling.samplers import draw
from advnets.storage import schema
from advnets.training.config import TrainerConfig

_G_RULE = OptimizerConfig(lr=0.3, anneal="cosine")
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mnist-best": {},
    "late annealing": {"G_optimizer": replace(_G_RULE, anneal_from=2 / 3)},
    "alternating": {"order": "alternating"},
    "two time scales": {
        "G_optimizer": replace(_G_RULE, lr=0.1),
        "D_optimizer": OptimizerConfig(lr=0.3),
    },
    "R1, every 16th": {"r1": 0.1, "r1_every": 16},
    "relativistic": {"objective": "relativistic"},
    "PacGAN2": {"pack": 2},
    "instance noise": {"instance_noise": 0.3},
    "spectral norm": {"D": DiscriminatorConfig(spectral=True)},
    "adaptive k": {"order": "alternating", "k": 2, "advantage_low": 0.02, "advantage_high": 0.3},
    "learned scale of z": {"learned_prior": "diagonal"},
}
"""The rates are those of `mnist-best`; each line is what differs."""
_TRIED = 40
"""Updates whose time is measured first."""
Judge = Callable[[Game], Mapping[str, float | None]]
"""The nats, standard error, precision and recall of a game."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One method on digits."""

    title: str
    updates: int
    seconds: float
    """Of CPU, for the updates alone."""
    nats: float
    standard_error: float
    precision: float | None
    recall: float | None
    """None where the samples are too few."""
    machine: str
    commit: str


def load(root: Path, *, seed: int = 0) -> Splits:
    """The digits of a folder of MNIST."""
    return data.load(MnistConfig(root=str(root)), seed=seed)


def measure(
    root: Path,
    splits: Splits,
    *,
    seconds: float,
    folder: Path,
    facts: Mapping[str, str],
    only: Sequence[str] = (),
    seed: int = 0,
    samples: int = 10_000,
    say: Say,
) -> list[Score]:
    """Play every method for so many seconds of CPU, or read its score.

    Args:
        root: Folder of the digits.
        splits: The digits.
        seconds: CPU time of the updates of a method.
        folder: Where the scores are kept.
        facts: `machine` and `commit`.
        only: Methods; all by default.
        seed: Of weights, minibatches and samples.
        samples: Samples that are scored.
        say: Told what is played.
    """
    found: list[Score] = []
    judge: Judge | None = None
    for title in only or SETTINGS:
        word = "-".join(re.findall(r"\w+", title))
        path = folder / f"{word}-{seconds:g}-{samples}-{seed}.json"
        kept = _kept(path, facts["machine"])
        if kept is None:
            judge = judge or _judge(splits, features.learn(splits, say=say), samples, seed)
            say(f"digits, {title} ...")
            took = _played(_config(root, title, steps=_TRIED, seed=seed), splits)[1] / _TRIED
            steps = max(1, round(seconds / took))
            game, spent = _played(_config(root, title, steps=steps, seed=seed), splits)
            known: Any = {**judge(game), **facts}
            kept = Score(title=title, updates=game.updates, seconds=spent, **known)
            cells.save(path, asdict(kept))
        found.append(kept)
    return found


def _kept(path: Path, machine: str) -> Score | None:
    """Read a score; None where it is missing, damaged, or of another processor's time."""
    try:
        found = schema.read(path, Score)
    except errors.BadFile:
        return None
    return found if found.machine == machine else None


def _config(root: Path, title: str, *, steps: int, seed: int) -> RunConfig:
    settings: dict[str, Any] = {"G_optimizer": _G_RULE, **SETTINGS[title]}
    if "instance_noise" in settings:
        settings["instance_noise_batches"] = max(1, steps * 3 // 4)
    return RunConfig(
        seed=seed,
        data=MnistConfig(root=str(root)),
        model=CoordinatedConfig(**settings),
        trainer=TrainerConfig(steps=steps),
    )


def _played(config: RunConfig, splits: Splits) -> tuple[Game, float]:
    """A game played to its end, and the CPU seconds of its updates."""
    game, batches = train.build(config, splits, ALONE)
    assert isinstance(game, Game)
    rng, k, seconds = generator(config.seed, "step"), game.batches_per_step, 0.0
    for step in range(config.trainer.steps):
        began = time.process_time()
        game.step(batches.of_step(step, k), rng=rng)
        seconds += time.process_time() - began
    return game, seconds


def _judge(splits: Splits, space: features.FeatureSpace, samples: int, seed: int) -> Judge:
    """Validation nats with their standard error, precision and recall of a game's raw weights."""

    def judged(game: Game) -> Mapping[str, float | None]:
        sampler = game.samplers()["raw"]
        protocol = EvaluationConfig(samples=samples)
        score = validation_score(sampler, splits, protocol, seed=seed)
        x = {"raw": draw(sampler, samples, seed=seed)}
        quality = metrics.measure(x, splits, space, seed=seed, against="validation")
        values = {row.name: row.values for row in quality.rows}["raw"]
        of = {name: getattr(values.get(name), "value", None) for name in ("precision", "recall")}
        return {"nats": score.mean, "standard_error": score.standard_error, **of}

    return judged

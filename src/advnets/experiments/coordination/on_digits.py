"""The paper's pair on MNIST with each method, at equal CPU time.

The number of updates that a method has time for is measured first, and its learning rate anneals
over exactly so many. Scores are on validation images; the test set is not used.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advnets import data
from advnets.base.distributed import ALONE
from advnets.base.rng import generator
from advnets.data import MnistConfig, Splits
from advnets.evaluation import features, metrics
from advnets.evaluation.features import Say
from advnets.evaluation.protocol import EvaluationConfig, validation_score
from advnets.extensions.coordination.config import CoordinatedConfig
from advnets.game import Game
from advnets.networks import DiscriminatorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import train
from advnets.runs.run_config import RunConfig
from advnets.sampling.samplers import draw
from advnets.training.config import TrainerConfig

_G_RULE = OptimizerConfig(lr=0.3, anneal="cosine")
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mnist-best": {},
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


@dataclass(frozen=True, kw_only=True)
class Score:
    """One method on digits."""

    title: str
    updates: int
    seconds: float
    """Of CPU, for the updates alone."""
    nats: float
    standard_error: float
    precision: float
    recall: float


def load(root: Path, *, seed: int = 0) -> Splits:
    """The digits of a folder of MNIST."""
    return data.load(MnistConfig(root=str(root)), seed=seed)


def measure(
    root: Path,
    splits: Splits,
    *,
    seconds: float,
    seed: int = 0,
    samples: int = 10_000,
    say: Say,
) -> list[Score]:
    """Play every method for so many seconds of CPU."""
    space = features.learn(splits, say=say)
    judge = _judge(splits, space, samples, seed)
    found = []
    for title in SETTINGS:
        say(f"digits, {title} ...")
        config = _config(root, title, steps=_TRIED, seed=seed)
        took = _played(config, splits)[1] / _TRIED
        config = _config(root, title, steps=max(1, round(seconds / took)), seed=seed)
        game, spent = _played(config, splits)
        nats, error, precision, recall = judge(game)
        found.append(
            Score(
                title=title,
                updates=game.updates,
                seconds=spent,
                nats=nats,
                standard_error=error,
                precision=precision,
                recall=recall,
            )
        )
    return found


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


def _judge(
    splits: Splits, space: features.FeatureSpace, samples: int, seed: int
) -> Callable[[Game], tuple[float, float, float, float]]:
    """Validation nats with their standard error, precision and recall of a game's raw weights."""

    def judged(game: Game) -> tuple[float, float, float, float]:
        sampler = game.samplers()["raw"]
        protocol = EvaluationConfig(samples=samples)
        score = validation_score(sampler, splits, protocol, seed=seed)
        x = {"raw": draw(sampler, samples, seed=seed)}
        quality = metrics.measure(x, splits, space, seed=seed, against="validation")
        values = {row.name: row.values for row in quality.rows}["raw"]
        of = {
            name: getattr(values.get(name), "value", math.nan) for name in ("precision", "recall")
        }
        return score.mean, score.standard_error, of["precision"], of["recall"]

    return judged

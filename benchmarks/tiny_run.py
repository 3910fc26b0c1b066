"""A run of a few updates on two kinds of pictures, dark and bright: what `--quick` measures."""

from pathlib import Path
from typing import Any

import numpy as np

import advnets


def tiny_run(folder: Path, model: Any, **settings: Any) -> Path:
    """Train a model in a scratch folder.

    Args:
        folder: Where the pictures and the run are written.
        model: The configuration of the model.
        settings: More fields of the run's configuration.
    """
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    x = (rng.integers(0, 120, (400, 8, 8)) + 100 * y[:, None, None]).astype(np.uint8)
    np.savez(folder / "x.npz", x=x, y=y)
    config = advnets.RunConfig(
        data=advnets.data.ArrayConfig(path=str(folder / "x.npz")),
        model=model,
        trainer=advnets.TrainerConfig(steps=20, score_every=0, sample_every=0),
        **settings,
    )
    advnets.train(config, folder / "run")
    return folder / "run"

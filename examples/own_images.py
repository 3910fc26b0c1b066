"""Your own images, from an array to samples and a score, in Python.

    python examples/own_images.py [--quick]

The 1,797 digits of 8 x 8 pixels of scikit-learn stand for your images. By the command:

    advnets train array --data.path digits.npz --trainer.steps 5000 ...
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import advnets
from advnets import plots, recipes
from advnets.progress import display


def main() -> None:
    """Train, score, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few updates, in a scratch folder")
    parser.add_argument("--folder", default="runs/own-images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "run") if options.quick else Path(options.folder)
        array = Path(scratch, "digits.npz")
        images, labels = load_digits(return_X_y=True)
        np.savez(array, x=(images / 16).reshape(-1, 8, 8).astype(np.float32), y=labels)

        config = recipes.get("array")
        config = replace(
            config,
            data=advnets.data.ArrayConfig(path=str(array)),
            trainer=advnets.TrainerConfig(steps=20 if options.quick else 5_000, score_every=1_000),
            evaluation=advnets.EvaluationConfig(samples=1_000, validation=179),
        )
        advnets.train(config, folder, display=display())
        run = advnets.load(folder)
        for line in run.evaluate(quality=False).lines:
            print(
                f"{line.name:24} {line.test} (sigma {line.test.sigma:.3f}, n {line.test.centres})"
            )
        picture = folder / "samples.png"
        plots.save_samples(picture, run.sample(100, seed=0))
        print(f"100 samples, none picked: {picture}")


if __name__ == "__main__":
    main()

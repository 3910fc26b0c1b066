"""How much of the score of one Markov chain is luck?

    python benchmarks/one_chain.py RUN [--checkpoint best] [--sampler published] [--seeds 5]
    python benchmarks/one_chain.py --quick                     (CI: a tiny GSN, to see that it runs)

Draws the run's samples with each seed, every chain begun anew, and scores them on validation images
by the run's own protocol. The standard error of a score is over images; what it does not see is the
deviation over seeds, which is printed below.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

import advnets
from advnets.base.errors import UserError
from advnets.evaluation import protocol
from advnets.models.gsn import GSNConfig


def main() -> None:
    """Print a table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", default="runs/gsn", type=Path)
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--sampler", default="published")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds: need at least 2 to see a deviation, got {options.seeds}")
    with tempfile.TemporaryDirectory() as scratch:
        if options.quick:
            options.run, options.checkpoint, options.seeds = quick_run(Path(scratch)), "last", 2
        try:
            table(options)
        except UserError as error:
            parser.error(str(error))


def quick_run(folder: Path) -> Path:
    """A few updates of a tiny GSN on small pictures."""
    x = np.random.default_rng(0).integers(0, 256, (200, 4, 4), dtype=np.uint8)
    np.save(folder / "x.npy", x)
    config = advnets.RunConfig(
        data=advnets.data.ArrayConfig(path=str(folder / "x.npy")),
        model=GSNConfig(hidden=(8, 8)),
        trainer=advnets.TrainerConfig(steps=5, score_every=0, sample_every=0),
        evaluation=advnets.EvaluationConfig(samples=50, validation=20),
    )
    advnets.train(config, folder / "run")
    return folder / "run"


def table(options: argparse.Namespace) -> None:
    """Score and print, seed by seed."""
    run = advnets.load(options.run, checkpoint=options.checkpoint)
    sampler, splits = run.sampler(options.sampler), run.splits()
    print(f"{options.run}, update {run.update}, sampler '{options.sampler}', validation images.\n")
    print("| seed of the chain | score |\n|---|---|")
    means = []
    for seed in range(options.seeds):
        score = protocol.validation_score(sampler, splits, run.config.evaluation, seed=seed)
        means.append(score.mean)
        print(f"| {seed} | {score} |", flush=True)
    print(f"\nMean {statistics.mean(means):.1f}, deviation {statistics.stdev(means):.1f} nats.")


if __name__ == "__main__":
    main()

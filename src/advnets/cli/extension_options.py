"""The options of the commands of Section 7, such as `advnets complete`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from advnets.base.choices import CODE, Which
from advnets.cli.options import DataPlace


@dataclass(frozen=True, kw_only=True)
class CompleteOptions:
    """Fill in a hidden part of pictures, or what is NaN in a table, several times each."""

    run: tyro.conf.Positional[Path]
    """Folder of the run, which is one of all conditionals."""
    images: Path | None = None
    """A folder or zip of pictures, one picture, or a `.npy` array, in which NaN is missing."""
    erase: str | None = None
    """The rectangle to fill in, as x,y,w,h in pixels from the left and the top."""
    mask: Path | None = None
    """Instead of --erase: a `.npy` file, 1 where a number is seen and 0 where it is hidden; one
    mask for all, or one each."""
    n: int = 8
    """Completions of each example."""
    out: Path | None = None
    """Where to: NAME.png for a picture (rows of what is seen, completions, their mean and standard
    deviation), or NAME.npy for the array (n, N, ...). RUN/completions.png, or .npy for a table."""
    seed: int = 0
    """The seed of the completions."""
    weights: str = "raw"
    """G's 'raw' or 'averaged' weights."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """Infer the z of pictures or rows, or first fit an encoder to the samples of a run's G."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    images: Path | None = None
    """A folder or zip of pictures, one picture, or a `.npy` array."""
    out: Path | None = None
    """Where to: NAME.npy, an array (N, z_dim). RUN/z.npy by default."""
    fit: bool = False
    """Fit the encoder anew and keep it beside the run, which stays as it is."""
    steps: int = 5_000
    """With --fit: updates."""
    target: str = CODE
    """What is inferred: 'z', or the output of a module of G by its name, such as net.3."""
    weights: str | None = None
    """Which of the model's samplers, the first by default: a game's 'raw' or 'averaged' weights."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""


@dataclass(frozen=True, kw_only=True)
class ReconstructOptions:
    """Show pictures beside G(E(x)), G at the z found by search, and nearest training pictures."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    images: Path | None = None
    """A folder or zip of pictures, one picture, or a `.npy` array."""
    out: Path | None = None
    """Where to: NAME.png for the picture, or NAME.npy for the z that search ends at.
    RUN/reconstructions.png, or .npy for examples that are no pictures."""
    steps: int = 300
    """Updates of the search."""
    starts: int = 3
    """Random starts of the search, beside E(x)."""
    between: int = 0
    """Draw instead so many pictures along the path in z from each picture to the next one; in a
    .npy, these as an array `(n - 1, between, ...)`."""
    seed: int = 0
    """The seed of the random starts."""
    weights: str | None = None
    """Which of the model's samplers, the first by default: a game's 'raw' or 'averaged' weights."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """Where the run's data lies by now, when it has been moved."""


@dataclass(frozen=True, kw_only=True)
class LabelCurveOptions:
    """Test error against the number of labels, of classifiers on a run's D, or a BiGAN's E."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    labels: tuple[int, ...] = (100, 1_000, 3_000)
    """Numbers of labels."""
    draws: int = 10
    """Draws of labels for the cheap methods ..."""
    long_draws: int = 3
    """... and for the fine-tuned ones."""
    updates: int = 2_000
    """Updates of fine-tuning."""
    out: Path | None = None
    """Folder of labels.html, labels.md and of finished results; RUN-labels by default."""
    data: DataPlace = DataPlace()
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    quick: bool = False
    """Run one draw, 20 updates and 200 test examples. The numbers mean nothing."""


@dataclass(frozen=True, kw_only=True)
class CoordinationOptions:
    """Compare methods of coordinating G and D where modes can be counted.

    The same command resumes a comparison that was killed.
    """

    out: Path = Path("runs/coordination")
    """Folder of the finished games and of coordination.html, .md and .csv."""
    seeds: int = 10
    """Games of each method on each set of modes, of seeds 0, 1, ..."""
    only: tuple[str, ...] = ()
    """Methods to play (plain, r1, pac4, ...); all by default."""
    data: tuple[str, ...] = ("ring", "grid")
    """Sets of modes: ring, grid."""
    protocol: str = "pacgan"
    """'pacgan', the published one (hours of CPU a game), or 'short' (minutes)."""
    epochs: float | None = None
    """Epochs of 1,000 updates, in place of the protocol's own: 400, or 12 for 'short'."""
    mnist: Path | None = None
    """Folder of MNIST: the paper's pair too, each method for the same CPU time."""
    mnist_only: tuple[str, ...] = ()
    """Methods to play on MNIST ('mnist-best', 'late annealing', ...); all by default."""
    seconds: float = 600.0
    """CPU seconds of each method on MNIST."""
    processes: int = 1
    """Games that are played at the same time, each on one thread."""
    quick: bool = False
    """Run a few updates of everything, in less than a minute. The numbers mean nothing."""

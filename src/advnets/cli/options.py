"""The options of each command, parsed by tyro; those of `train` are a whole configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from advnets.base.choices import Accept, Device, ExportFormat, Format, Which


@dataclass(frozen=True, kw_only=True)
class DataPlace:
    """New location of the data."""

    path: str | None = None
    """File or folder of an array, of pictures, or of TFD."""
    root: str | None = None
    """Folder of MNIST or CIFAR-10."""


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Draw samples from a run. Sample number i depends on the seed and on i alone."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """The output: NAME.png, .jpg or .webp for one picture, NAME.npy for an array, a name without an
    ending for a folder with one PNG for each sample, named by its number. RUN/samples.png by
    default."""
    n: int | None = None
    """Number of samples, or of samples of each class. 64, or ten of each class, by default."""
    seed: int = 0
    """The seed of the samples."""
    start: int = 0
    """Number of the first sample."""
    class_: Annotated[tuple[str, ...], tyro.conf.arg(name="class")] = ()
    """For a conditional run: the class to draw, or several, a row of the picture each; upper and
    lower case do not matter. By default classes are drawn as often as in the training set."""
    weights: str | None = None
    """The sampler, by default the model's first: 'raw' or 'averaged' weights of a GAN, 'chain' of a
    baseline."""
    accept: Accept = "none"
    """Whether a game's D chooses among samples of G: 'rejection' or 'metropolis'."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score a run by the paper's protocol, beside real training examples and the training mean."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    samples: int | None = None
    """Samples of the Parzen window, as configured by default; and the most of --inception, 50,000
    by default."""
    seed: int = 0
    """The seed of the samples."""
    quality: bool = True
    """Whether to compute other metrics too: Frechet distance, precision, recall, copies ..."""
    inception: Path | None = None
    """Of pictures: the file of Inception's weights that torch-fidelity publishes, for the Frechet
    distance called FID from all training images. 0.3 s of a CPU core for each picture."""
    inception_device: Device = "cpu"
    """Where Inception computes."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """New location of the run's data, where it was moved."""


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """Draw a figure of the paper. 1: training in 1-D, 2: random samples, 3: interpolation in z."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """The output: NAME.png; for Figure 1 also NAME.gif, an animation. RUN/figureN.png by
    default."""
    seed: int = 0
    """The seed of the samples: the figure shows the first ones, not selected. In Figure 1, the seed
    of the noise between (a), (b) and (c)."""
    weights: str | None = None
    """The sampler, by default the model's first: 'raw' or (except in Figure 1) 'averaged' weights
    of a GAN, 'chain' of a baseline."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """New location of the run's data, where it was moved."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Write one HTML page of a run; it is scored first if it has no scores."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """The file to write. RUN/report.html by default."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    data: DataPlace = DataPlace()
    """New location of the run's data, where it was moved."""


@dataclass(frozen=True, kw_only=True)
class TheoryOptions:
    """Check the claims of the paper's Section 4, or reproduce failure modes, on one HTML page.

    The exit code is 1 where a claim fails.
    """

    failures: bool = False
    """Reproduce failure modes instead (Sections 3 and 6)."""
    quick: bool = False
    """Tiny runs of the failure modes: everything runs, and no failure shows."""
    mnist: Path | None = None
    """Folder of MNIST for the failures; by default $ADVNETS_DATA, else 5,000 digits."""
    out: Path | None = None
    """The file to write; theory.html or failures.html by default. With --failures also NAME.md,
    with its pictures in the same folder."""


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Make Table 1 of the paper: train missing models, score all, and write the table.

    An interrupted call can be repeated; finished parts are not computed again.
    """

    mnist: Path | None = None
    """Folder of MNIST's files; without it $ADVNETS_DATA, then a checked download to your cache."""
    tfd: Path | None = None
    """The file TFD_48x48.mat; without it the column is not run."""
    from_: Annotated[tuple[Path, ...], tyro.conf.arg(name="from")] = ()
    """Runs, or folders of runs, to use; then models are trained only with --train."""
    train: bool = False
    """Train missing models also with --from; without --from they always are."""
    models: tuple[str, ...] = ()
    """Rows to fill: dbn, stacked-cae, gsn, adversarial, rbm, dbm, sbn, dae, vae; all by default."""
    quick: bool = False
    """Tiny runs, on 5,000 digits without --mnist: a minute, no results."""
    out: Path = Path("runs/table1")
    """Folder of new runs, and of table1.md, table1.csv and table1.png."""


@dataclass(frozen=True, kw_only=True)
class Table2Options:
    """Measure Table 2 of the paper on 16 binary pixels, where every probability is known.

    There are two data sets: 4 x 4 bars and stripes, and handwritten digits reduced to 4 x 4 pixels.
    """

    seeds: int = 5
    """Trainings of each model whose networks are measured."""
    runs: int = 20
    """Trainings of each model whose success is counted, including those of --seeds."""
    seconds: float = 8.0
    """CPU time of each training at most."""
    processes: int = 2
    """Columns that are measured at the same time, each on one core."""
    quick: bool = False
    """Run a few updates of everything, in half a minute of one core. The numbers mean nothing."""
    out: Path = Path("runs/table2")
    """Folder of table2.html, table2.md, table2.csv and table2.png."""


@dataclass(frozen=True, kw_only=True)
class StudioOptions:
    """Play the game in the browser, and look at trained runs.

    Serves a page on this machine's own address until Ctrl-C; with --out it is written instead.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of runs to show beside the game; one that is being trained is shown as it goes."""
    out: Path | None = None
    """A folder to write the page into, for any web server or to be opened from the disk."""
    port: int = 8014
    """The port of the page; the next free one where it is taken, 0 for any."""
    weights: Format = "float16"
    """In what the weights of each generator are sent; the page states what that costs."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Write the generator of a run for other programs, or as a folder to be shared.

    What is written is run before it is kept, and refused where it differs from the run's samples.
    """

    run: tyro.conf.Positional[Path]
    """Folder of the run, or of a shared generator."""
    to: ExportFormat = "onnx"
    """'onnx' for any program; 'safetensors', one file for advnets; 'torch-export', a .pt2 file for
    torch; 'hub-folder', weights, config.json, model card and samples."""
    out: Path | None = None
    """The file to write, or the new folder. RUN/generator.onnx, .safetensors, .pt2 or RUN/hub by
    default."""
    weights: str | None = None
    """The sampler, by default the model's first: 'raw' or 'averaged' weights of a GAN."""
    checkpoint: Which | None = None
    """The checkpoint with the best validation score (the default), or the last."""
    average: tuple[str, ...] = ()
    """Export the mean of the weights of these checkpoints instead: 'best', 'last', or numbers of
    updates that the run keeps."""
    license: str | None = None
    """The licence of the weights, such as cc-by-4.0; 'unknown' by default."""


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """Upload the generator of a run, or a shared folder, to the Hugging Face Hub.

    The token is the one of `hf auth login`, or $HF_TOKEN.
    """

    run: tyro.conf.Positional[Path]
    """Folder of the run, or one of `advnets export --to hub-folder`."""
    repo: str | None = None
    """Where to: user/name. It is made where it is not there yet."""
    private: bool = False
    """Make a private repository."""
    dry_run: bool = False
    """Show what would be uploaded; nothing is sent."""
    weights: str | None = None
    """The sampler of a run, by default the model's first: 'raw' or 'averaged' weights of a GAN."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    license: str | None = None
    """The licence of a run's weights, such as cc-by-4.0; 'unknown' by default."""


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Film a run: its training by the pictures that it kept, or a walk through z."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path | None = None
    """The output: NAME.gif, NAME.webp, or NAME.mp4 (pip install 'advnets[video]').
    RUN/training.gif, or RUN/walk.gif, by default."""
    walk: bool = False
    """A walk through z on a closed path instead; the class of each row is kept."""
    frames: int | None = None
    """Frames. By default every picture up to 200, or 96 of a walk."""
    fps: float | None = None
    """Frames in a second; 8, or 24 of a walk, by default."""
    seed: int | None = None
    """Of a walk: its first frame shows samples number 0, 1, ... of this seed; 0 by default."""
    class_: Annotated[tuple[str, ...], tyro.conf.arg(name="class")] = ()
    """Of a walk of a conditional run: the class of each row; by default up to ten of them."""
    weights: str | None = None
    """Of a walk: 'raw' or 'averaged' weights of a GAN; the model's first by default."""
    checkpoint: Which | None = None
    """Of a walk: the checkpoint with the best validation score (the default), or the last."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Write one HTML page of several runs: scores, samples, curves, and the options that differ.

    Nothing is scored: `advnets evaluate RUN` does that.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of two or more runs."""
    out: Path = Path("compare.html")
    """The file to write."""
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""


@dataclass(frozen=True, kw_only=True)
class RunsOptions:
    """List the runs in a folder: update, state, best validation score, age and size."""

    folder: tyro.conf.Positional[Path] = Path("runs")
    """A folder of runs, of folders of runs, or one run."""
    json: bool = False
    """Print a JSON array instead of a table."""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """Show what this machine has for training, what is slow or missing, and what mends it."""

"""The command `advnets label-curve`."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import tyro

from advnets.base import files
from advnets.base.terminal import say, tell
from advnets.cli.options import DataPlace
from advnets.cli.parsing import parse
from advnets.experiments import label_curve
from advnets.runs import loaded
from advnets.runs.loaded import Which


@dataclass(frozen=True, kw_only=True)
class LabelCurveOptions:
    """Test error against the number of labels, of classifiers that begin from a run's D."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    labels: tuple[int, ...] = (100, 1_000, 3_000)
    """Numbers of labels."""
    draws: int = 10
    """Draws of labels for what is cheap ..."""
    long_draws: int = 3
    """... and for what is fine-tuned."""
    updates: int = 2_000
    """Updates of what is fine-tuned."""
    out: Path | None = None
    """Folder of labels.html, labels.md and what is kept; RUN-labels by default."""
    data: DataPlace = DataPlace()
    checkpoint: Which = "best"
    """The checkpoint with the best validation score, or the last."""
    quick: bool = False
    """One draw, 20 updates, 200 test examples: no results."""


def measure(words: list[str]) -> int:
    """Measure, and write the page and the table."""
    options = parse(LabelCurveOptions, words, prog="advnets label-curve")
    out = files.folder_of_runs(options.out or options.run.with_name(f"{options.run.name}-labels"))
    small = {"draws": 1, "long_draws": 1, "updates": 20, "test": 200} if options.quick else {}
    asked = {n: getattr(options, n) for n in ("labels", "draws", "long_draws", "updates")}
    plan = label_curve.Plan(**asked | small)
    place = {"data_path": options.data.path, "data_root": options.data.root}
    run = loaded.load(options.run, checkpoint=options.checkpoint, **place)
    command = shlex.join(["advnets", "label-curve", *words])
    curve = label_curve.measure(run, plan, out=out / "points", command=command, say=say)
    written = label_curve.write(curve, out)
    tell(label_curve.table.markdown(curve))
    tell(f"Label curve: {', '.join(map(str, written))}")
    return 0

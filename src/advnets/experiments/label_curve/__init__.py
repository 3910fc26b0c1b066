"""`advnets label-curve RUN`: test error against labels, of D's or E's features and others.

Every method is given the same draws of labels: stratified, of seeds 0, 1, ... What is chosen (a
penalty, the update to stop at) is chosen on at most as many validation labels as training has; the
test set is looked at once, at the end.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.process import subnormals_as_zero
from advnets.data import Split, Splits, few_labels
from advnets.evaluation.features import Say
from advnets.experiments.label_curve import table
from advnets.experiments.label_curve.kept import kept, measured_on
from advnets.experiments.label_curve.methods import LONG, Classify, labels_of, methods
from advnets.experiments.label_curve.table import LabelCurve, Point
from advnets.extensions.semisupervised.feature_matching import SemiSupervised
from advnets.runs.run import Run
from advnets.storage import checkpoints
from advnets.storage.environment import environment


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked for."""

    labels: tuple[int, ...] = (100, 1_000, 3_000)
    draws: int = 10
    """Draws of labels for what is cheap ..."""
    long_draws: int = 3
    """... and for what is fine-tuned: the first ones."""
    updates: int = 2_000
    """Updates of what is fine-tuned."""
    test: int | None = None
    """Test examples; all by default."""

    def __post_init__(self) -> None:
        errors.whole(1, draws=self.draws, long_draws=self.long_draws, updates=self.updates)
        if self.test is not None:
            errors.whole(1, test=self.test)
        need = "at least one number of labels"
        errors.require(len(self.labels) > 0, "labels", need, "none")
        different = len(set(self.labels)) == len(self.labels)
        got = ", ".join(map(str, self.labels))
        errors.require(different, "labels", "different numbers", got)

    @property
    def most_draws(self) -> int:
        """Draws of what is drawn most often."""
        return max(self.draws, self.long_draws)


@subnormals_as_zero()
def measure(run: Run, plan: Plan, *, out: Path, command: str, say: Say = print) -> LabelCurve:
    """Measure what is not kept in `out` yet.

    Raises:
        BadValue: For a run that is no game, data without classes or of one class, less than one
            label of each class, or more than there are.
    """
    splits = run.splits()
    own = methods(run, splits.event_shape, updates=plan.updates)
    _refuse(splits, plan)  # before anything is trained
    test = splits.test.take(slice(0, plan.test)) if plan.test else splits.test
    on = measured_on(run, splits, test)
    points = []
    for n in plan.labels:
        for draw in range(plan.most_draws):
            for method, classify in own.items():
                if draw < (plan.long_draws if method in LONG else plan.draws):
                    say(f"{n} labels, draw {draw}, {method} ...")
                    name = f"{run.update}-{n}-{draw}-{_slug(method)}-{plan.updates}"
                    find = partial(_point, splits, test, classify, method, n, draw)
                    points.append(kept(out, name, on, find))
    points += _of_feature_matching(run, test)
    return LabelCurve(
        points=points,
        test=len(test),
        run=str(run.folder.path),
        command=command,
        machine=environment(),
    )


def _refuse(splits: Splits, plan: Plan) -> None:
    """Raise `BadValue` where a draw of the plan cannot be made."""
    labels, validation, _ = (
        few_labels.classes_of(s) for s in (splits.train, splits.validation, splits.test)
    )
    classes = torch.unique(labels)
    errors.require(len(classes) > 1, "labels", "of at least 2 classes", len(classes))
    for n in plan.labels:
        for draw in range(plan.most_draws):
            few_labels.draw(labels, n, seed=draw)
            few_labels.draw_at_most(validation, n, classes=classes, seed=draw)


def _point(
    splits: Splits, test: Split, classify: Classify, method: str, n: int, draw: int
) -> Point:
    """Labelled examples of this draw, at most as many to validate, and the error on the test's."""
    labelled = few_labels.choose(splits.train, n, seed=draw)
    classes = torch.unique(labels_of(labelled))
    known = labels_of(splits.validation)
    rows = few_labels.draw_at_most(known, n, classes=classes, seed=draw)
    validation = splits.validation.take(rows)
    found = classify(_numbered(labelled, classes), _numbered(validation, classes), test.x[:], draw)
    error = float((classes[found] != labels_of(test)).double().mean())
    return Point(method=method, labels=n, draw=draw, error=error)


def _numbered(split: Split, classes: Tensor) -> Split:
    """The same with classes by their place among those that occur."""
    return Split(split.x[:], torch.searchsorted(classes, labels_of(split)))


def _of_feature_matching(run: Run, test: Split) -> list[Point]:
    """A run that has a classifier of its own, at the labels that it was told."""
    told = run.config.model.told
    if told is None or not isinstance(run.learner, SemiSupervised):
        return []
    error = run.learner.classifier().error(test.x[:], labels_of(test))
    return [Point(method="feature matching (this run)", labels=told[0], draw=told[1], error=error)]


def _slug(method: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in method.lower())


def write(curve: LabelCurve, out: Path) -> list[Path]:
    """Write labels.html and labels.md into a folder."""
    paths = []
    for kind, text in {"html": table.page, "md": table.markdown}.items():
        paths.append(out / f"labels.{kind}")
        checkpoints.write_atomically(paths[-1], text(curve).encode())
    return paths

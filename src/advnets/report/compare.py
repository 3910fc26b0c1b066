"""Several runs on one HTML page: scores, samples, curves, and the options that differ."""

import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from advnets.base import errors
from advnets.base.config import fields_of
from advnets.evaluation.protocol import REFERENCES, ScoreRow
from advnets.html import markup
from advnets.html.markup import Chart, Picture
from advnets.plotting import curves, images
from advnets.plotting.curves import Curve
from advnets.report import panels, scores
from advnets.runs import loaded
from advnets.runs.loaded import Which
from advnets.runs.run import Run

Say = Callable[[str], object]

MOST = 8
"""Runs on one page: more curves in one chart cannot be told apart."""
SHOWN = 36
"""Samples of pictures in the picture of a run."""
WIDTH = 360
"""About the width of that picture in pixels."""
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Member:
    """One run of the page."""

    name: str
    """What the page calls it."""
    run: Run

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The lines of its metrics."""
        return self.run.folder.records()

    @property
    def at(self) -> int:
        """Its last logged update, or that of its checkpoint."""
        return max([self.run.update, *(int(record["update"]) for record in self.records)])


def opened(folders: Sequence[Path], *, checkpoint: Which = "best") -> list[Member]:
    """The runs to compare.

    Args:
        folders: Folders of two to eight runs.
        checkpoint: The checkpoint with the best validation score, or the last.

    Raises:
        BadValue: For another number of runs, or one run twice.
        BadFile: For what is no run, or has no checkpoint.
    """
    errors.require(2 <= len(folders) <= MOST, "RUN", f"two to {MOST} runs", len(folders))
    whole = [folder.resolve() for folder in folders]
    for i, folder in enumerate(whole):
        errors.require(folder not in whole[:i], "RUN", "different runs", f"{folders[i]} twice")
    short = [folder.name for folder in whole]
    names = [
        short[i] if short.count(short[i]) == 1 else str(folder) for i, folder in enumerate(folders)
    ]
    return [
        Member(name, loaded.load(folder, checkpoint=checkpoint))
        for name, folder in zip(names, folders, strict=True)
    ]


def page(members: Sequence[Member], *, say: Say) -> str:
    """The page of several runs, as the text of an HTML file.

    Scores are those that `advnets evaluate` kept for the checkpoint that is shown; nothing is
    scored here.

    Args:
        members: The runs.
        say: Called with messages about parts that are missing.
    """
    sections = {
        "Scores": score_table(members, say),
        "Samples": samples(members, say),
        "Curves": markup.render("curves.html", {"charts": charts(members), "note": ""}),
        "Options": options_table(members),
    }
    values = {
        "title": " and ".join(member.name for member in members)
        if len(members) == 2
        else f"{len(members)} runs",
        "kicker": "advnets compare",
        "sections": {title: body for title, body in sections.items() if body},
        "about": {m.name: f"update {m.at:,} of {m.run.config.trainer.steps:,}" for m in members},
    }
    return markup.render("compare.html", values)


# Scores


def score_table(members: Sequence[Member], say: Say) -> Markup:
    """One row a run: the best validation score of its log, and the kept test score."""
    rows = []
    for member in members:
        best = _best(member.records)
        found = scores.kept(member.run.folder.path / "evaluation.json", member.run.update, say)
        lines = {line.name: line for line in found.lines} if found is not None else {}
        models = [line for name, line in lines.items() if name not in REFERENCES]
        real = lines.get(REFERENCES[0])
        rows.append(
            (
                member.name,
                {
                    "update shown": f"{member.run.update:,}{_which(member)}",
                    "best validation": best,
                    "test": _test(models[0]) if models else _how(member),
                    "real examples, test": _test(real) if real else NOTHING,
                },
            )
        )
    about = (
        "Parzen log-likelihood, nats per example. Scores compare where the runs have the same data "
        "and the same number of samples. The best validation score is the highest of the log, of "
        "the first sampler."
    )
    values = {"caption": "Scores", "first": "run", "about": about, "rows": rows}
    return markup.render("stacked.html", values)


def _which(member: Member) -> str:
    """Whether the checkpoint is the best one."""
    return " (best)" if member.run.checkpoint == "best.safetensors" else ""


def _how(member: Member) -> str:
    """How a run gets a test score."""
    which = "" if _which(member) else " --checkpoint last"
    return f"not scored: advnets evaluate {shlex.quote(str(member.run.folder.path))}{which}"


def _test(line: ScoreRow) -> str:
    return scores.score(line.test)


def _best(records: Sequence[Mapping[str, Any]]) -> str:
    """The highest validation score of the first sampler, and its update."""
    known = panels.series(r for r in records if "validation" in r)
    means = [values for name, values in known.items() if name.endswith(".mean")]
    if not means:
        return NOTHING
    x, y = means[0]
    i = int(y.argmax())
    return scores.signed(f"{y[i]:.1f}") + f" (update {x[i]:,.0f})"


# Samples


def samples(members: Sequence[Member], say: Say) -> Markup:
    """Samples of every run, side by side: number 0, 1, ... of seed 0."""
    pictures = []
    for member in members:
        try:
            pictures.append(_picture(member, say))
        except errors.UserError as error:
            say(f"{member.name}: no samples: {error}")
    if not pictures:
        return Markup()
    about = "The first samples of seed 0 of the checkpoint shown, none picked."
    shapes = [member.run.folder.data().event_shape for member in members]
    kind = "pictures" if all(map(images.is_image, shapes)) else "pictures plots"
    return markup.render("samples.html", {"about": about, "pictures": pictures, "kind": kind})


def _picture(member: Member, say: Say) -> Picture:
    file, pixels = io.BytesIO(), _pixels(member, say)
    images.save_png(file, pixels)
    height, width = pixels.shape[:2]
    words = f"{member.name}, update {member.run.update:,}"
    return Picture(
        data=file.getvalue(), size=(width, height), alt=f"Samples of {words}", caption=words
    )


def _pixels(member: Member, say: Say) -> images.Pixels:
    """A grid of pictures, or points over validation examples."""
    run = member.run
    shape = tuple(run.sampler().event_shape)
    if images.is_image(shape):
        low, high = run.span()
        grid = images.grid((run.sample(SHOWN, seed=0) - low) / (high - low))
        return images.enlarged(grid, width=WIDTH)
    x = run.sample(images.picture_size(shape), seed=0).flatten(1)
    if x.shape[1] < 2:
        raise errors.bad_value("samples", "pictures, or points in the plane", "single numbers")
    data = x
    try:
        data = run.splits().validation.x[: len(x)].flatten(1)
    except errors.UserError as error:
        say(f"{member.name}: no data behind its samples: {error}")
    return images.clouds(
        {"the first two numbers" if x.shape[1] > 2 else "": x[:, :2]}, data=data[:, :2]
    )


# Curves


def charts(members: Sequence[Member]) -> list[Chart]:
    """One chart for each logged quantity that two runs have, with a curve for each run."""
    known = {member.name: panels.series(member.records) for member in members}
    end = max(member.at for member in members)
    meaning = {name: panel for panel in panels.GAME for name in panel.names}
    names = [n for n in dict.fromkeys(n for own in known.values() for n in own) if _is_drawn(n)]
    drawn = []
    for i, name in enumerate(sorted(names, key=lambda n: (not n.startswith("validation"), False))):
        lines = [_curve(run, *own[name]) for run, own in known.items() if name in own]
        if len(lines) < 2:
            continue
        panel = meaning.get(name)
        svg = curves.draw(
            lines,
            name=f"c{i}",
            end=end,
            levels=panel.levels if panel else (),
            limits=panel.limits if panel else None,
            log=bool(panel and panel.log),
        )
        drawn.append(Chart(_title(name), _about(name, panel), svg))
    return drawn


def _is_drawn(name: str) -> bool:
    """Of a validation score the mean alone."""
    score = not name.startswith("validation.") or name.endswith(".mean")
    return score and name not in panels.UNSHOWN


def _title(name: str) -> str:
    if name.startswith("validation."):
        return f"Validation score ({name.removeprefix('validation.').removesuffix('.mean')})"
    return name


def _about(name: str, panel: panels.Panel | None) -> str:
    if name.startswith("validation."):
        return "Parzen, nats, on validation examples."
    if panel is None:
        return ""
    label = panel.names[name]
    return f"{panel.title}." if label == name else f"{panel.title}: {label}."


def _curve(label: str, x: curves.Array, y: curves.Array) -> Curve:
    """The running mean of what one run logged."""
    window = len(x) // panels.SHARE
    own = curves.smoothed(label, x, y, window)
    return Curve(label=label, x=own.x, y=np.asarray(own.y))


# Options


def options_table(members: Sequence[Member]) -> Markup:
    """The options in which the runs differ, one a row."""
    own = {member.name: fields_of(member.run.config) for member in members}
    names = dict.fromkeys(name for leaves in own.values() for name in leaves)
    rows = []
    for name in names:
        values = {run: leaves[name][0] if name in leaves else None for run, leaves in own.items()}
        if len({repr(value) for value in values.values()}) > 1:
            rows.append((name, {run: _written(value) for run, value in values.items()}))
    if not rows:
        return markup.render("sentence.html", {"words": "All options are the same."})
    about = f"The other {len(names) - len(rows)} options are the same in all runs."
    values = {"caption": "Options that differ", "first": "option", "about": about, "rows": rows}
    return markup.render("stacked.html", values)


def _written(value: object) -> str:
    """A setting as it would be typed."""
    if value is None or value == "":
        return NOTHING
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

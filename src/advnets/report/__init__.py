"""One HTML page of a run: samples beside real examples, scores, figures, curves, configuration.

The page is one self-contained file for screens, phones, dark mode and print. The same run gives the
same bytes. Missing parts are left out, or say why they are missing.
"""

import shlex
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property

from markupsafe import Markup

from advnets.base import errors
from advnets.data import Splits
from advnets.html import markup
from advnets.plotting import images
from advnets.report import opening, panels, pictures, scores
from advnets.runs.run import Run


def page(run: Run, *, say: Callable[[str], object]) -> str:
    """The page of a run, at the checkpoint that was loaded.

    If the folder has no scores of that checkpoint, it is scored first, like `advnets evaluate`, and
    the scores are saved.

    Args:
        run: The run.
        say: Called with messages about slow or failed parts.

    Returns:
        The text of an HTML file.
    """
    run = _ReadOnce(**{f.name: getattr(run, f.name) for f in fields(Run)})
    scored = scores.at_hand(run, say)
    metrics, clock = run.folder.records("metrics"), run.folder.records("clock")
    image = images.is_image(run.folder.data().event_shape)
    sections = {
        "Scores": scores.section(scored, image=image),
        "Samples over time": pictures.over_time(run),
        "Figures": pictures.figures(run, say),
        "Curves": panels.section(
            metrics, clock, scored.result, used=run.update, note=_tensorboard(run)
        ),
        "Configuration": _configuration(run),
        "Environment": _environment(run),
    }
    values = {
        "title": run.folder.path.resolve().name,
        "kicker": "advnets report",
        "sections": {title: body for title, body in sections.items() if body},
        "sheet": opening.sheet(run),
        "headline": scores.headline(scored, image=image),
        **_standing(run, [*metrics, *clock]),
    }
    return markup.render("report.html", values)


class _ReadOnce(Run):
    """A run whose data is read once for all parts of the page."""

    @cached_property
    def _read(self) -> Splits:
        return super().splits()

    def splits(self) -> Splits:
        return self._read


def _tensorboard(run: Run) -> Markup:
    """Where TensorBoard's logs of the run are, or how the next run writes some."""
    folder = run.folder.path / "tensorboard"
    logs = folder.is_dir() and any(folder.iterdir())
    place = shlex.quote(f"{run.folder.path.resolve().name}/tensorboard")
    return markup.render("tensorboard.html", {"place": place if logs else ""})


def _standing(run: Run, records: panels.Records) -> dict[str, object]:
    """The head of the page: the run, its progress and its warnings."""
    steps = run.config.trainer.steps
    stands = max([run.update, *(record["update"] for record in records)])
    seconds = [r["seconds"] for r in records if "seconds" in r]
    unfinished = f"This run is not finished: it stands at update {stands:,} of {steps:,}."
    warned = [f"Update {r['update']:,}. {r['sentence']}" for r in records if "sentence" in r]
    return {
        "notices": [*[unfinished] * (stands < steps), *warned],
        "about": _about(run, stands, max(seconds, default=0.0)),
    }


def _about(run: Run, stands: int, seconds: float) -> dict[str, object]:
    config, data = run.config, run.folder.data()
    examples = [f"{n:,}" for n in data.examples[:1]]
    shape = "\xa0\N{MULTIPLICATION SIGN}\xa0".join(map(str, data.event_shape))
    return {
        "Recipe": config.recipe,
        "Model and data": f"{config.model.kind} on {config.data.kind}",
        "Training examples": " of ".join([*examples, shape]),
        "Seed": config.seed,
        "Updates": f"{stands:,} of {config.batch_size:,} examples each",
        "Shown here": f"update {run.update:,} ({run.checkpoint})",
        "Time trained": duration(seconds) if seconds else "",
    }


def duration(seconds: float) -> str:
    """A time in its two largest units.

    Example:
        >>> [duration(s) for s in (11.6, 184, 6720)]
        ['12 s', '3 min 4 s', '1 h 52 min']
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    if hours:
        return f"{hours} h {m} min"
    return f"{m} min {s} s" if m else f"{s} s"


def _configuration(run: Run) -> Markup:
    """The simple settings of the model; all settings, folded, as TOML."""
    plain = {n: v for n, v in vars(run.config.model).items() if isinstance(v, str | int | float)}
    values = {"settings": plain, "toml": run.config.to_toml()}
    return markup.render("configuration.html", values)


def _environment(run: Run) -> Markup:
    try:
        known = run.folder.facts("environment")
    except errors.BadFile:
        return Markup()
    words = {
        name: shlex.join(map(str, value)) if isinstance(value, list) else value
        for name, value in known.items()
        if value is not None
    }
    return markup.render("environment.html", {"known": words})

"""One HTML page that shows a run: scores, curves, samples, figures, and what it was made with.

The page is one file. It opens without a network, on a phone, in the dark and on paper, and the same
run gives the same bytes. What a run does not have is left out; what cannot be drawn says why.
"""

import shlex
from collections.abc import Callable

from markupsafe import Markup

from advnets.base import errors
from advnets.html import markup
from advnets.report import panels, pictures, scores
from advnets.runs.loaded import Run


def page(run: Run, *, say: Callable[[str], object]) -> str:
    """The page of a run, at the checkpoint that was loaded.

    Where the folder holds no scores of that checkpoint it is scored first, as `advnets evaluate`
    does, and the scores are kept.

    Args:
        run: The run.
        say: Is told what takes its time, and what could not be had.

    Returns:
        The text of an HTML file.
    """
    scored = scores.at_hand(run, say)
    metrics, clock = run.folder.records("metrics"), run.folder.records("clock")
    sections = {
        "Scores": scores.section(scored),
        "Curves": panels.section(metrics, clock, scored.result, used=run.update),
        "Samples over time": pictures.over_time(run),
        "Figures": pictures.figures(run, say),
        "Configuration": _configuration(run),
        "Environment": _environment(run),
    }
    values = {
        "title": run.folder.path.resolve().name,
        "kicker": "advnets report",
        "sections": {title: body for title, body in sections.items() if body},
        "headline": scores.headline(scored),
        **_standing(run, [*metrics, *clock]),
    }
    return markup.render("report.html", values)


def _standing(run: Run, records: panels.Records) -> dict[str, object]:
    """What the run is, where it stands, and what went wrong."""
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
    """A time in the two units that matter.

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
    """The settings of the model that are one word or number; all of them, folded, as TOML."""
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

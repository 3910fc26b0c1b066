"""The curves of a run's metrics: named panels for GANs, and one panel for every other value."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from advnets.evaluation.protocol import REFERENCES, Evaluation
from advnets.html import markup
from advnets.html.markup import Chart
from advnets.plotting import curves
from advnets.plotting.curves import Array, Curve, HLine, Limits
from advnets.storage.run_folder import flat

Records = Sequence[Mapping[str, Any]]
SHARE = 40
"""Windows of the running mean in the whole log."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One set of axes."""

    title: str
    meaning: str = ""
    names: Mapping[str, str]
    """Values of the log by name, with their legend entries."""
    levels: tuple[HLine, ...] = ()
    limits: Limits | None = None
    log: bool = False


GAME = (
    Panel(
        title="The value of the game, V(D, G)",
        meaning="Nats, dropout on. D ascends it. Where D cannot tell samples from data it is "
        "\N{MINUS SIGN}log 4.",
        names={"V": "V"},
        levels=(HLine(label="\N{MINUS SIGN}log 4", y=-math.log(4)),),
    ),
    Panel(
        title="D on data and samples",
        meaning="The mean of D(x), its probability that an example is real, on data and on "
        "samples. Where D cannot tell them apart both are \N{VULGAR FRACTION ONE HALF}.",
        names={"D_x": "D(x), data", "D_Gz": "D(G(z)), samples"},
        levels=(HLine(label="\N{VULGAR FRACTION ONE HALF}", y=0.5),),
        limits=(0.0, 1.0),
    ),
    Panel(
        title="The loss of G, J",
        meaning="Nats. It falls when G improves against D and rises when D improves against G. It "
        "does not measure the quality of samples.",
        names={"J": "J"},
    ),
    Panel(
        title="Gradient norms",
        meaning="The Euclidean norms of the gradients of G and D, on a logarithmic axis.",
        names={"G_gradient": "of G", "D_gradient": "of D"},
        log=True,
    ),
    Panel(
        title="Spread of the samples",
        meaning="Mean distance between the samples of the fixed z, over that between examples. "
        "It falls under mode collapse.",
        names={"spread": "samples over examples"},
        levels=(HLine(label="as the data", y=1.0),),
        limits=(0.0, None),
    ),
)


UNSHOWN = {"inside"}
"""Values that are logged for the monitor only."""


def section(
    metrics: Records,
    clock: Records,
    result: Evaluation | None,
    *,
    used: int,
    note: str = "",
) -> Markup:
    """The section of curves and a note below them; empty where there are none."""
    charts = drawn(metrics, clock, result, used=used)
    return markup.render("curves.html", {"charts": charts}) + note if charts else Markup()


def drawn(metrics: Records, clock: Records, result: Evaluation | None, *, used: int) -> list[Chart]:
    """Every curve of a run.

    Args:
        metrics: The lines of `metrics.jsonl`.
        clock: The lines of `clock.jsonl`.
        result: The scores of the run, for the reference line of real examples.
        used: The update whose checkpoint the page shows.
    """
    known = series({k: v for k, v in r.items() if k != "validation"} for r in metrics)
    named = {name for panel in GAME for name in panel.names} | UNSHOWN
    others = [Panel(title=name, names={name: name}) for name in known if name not in named]
    end = max([used, *(r["update"] for r in [*metrics, *clock])])
    figures: list[Chart | None] = [_validation(metrics, result, used, end)]
    figures += [_panel(panel, known, f"c{i}", end) for i, panel in enumerate([*GAME, *others])]
    figures += [_panel(SPEED, series(clock), "speed", end)]
    return [chart for chart in figures if chart is not None]


SPEED = Panel(
    title="Speed",
    meaning="Updates per second, without scoring, pictures and saving.",
    names={"updates_per_second": "updates per second"},
    limits=(0.0, None),
)


def series(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Array, Array]]:
    """Updates and finite values of everything logged, by dotted name."""
    points: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for name, value in flat(record).items():
            if value is not None and math.isfinite(value):
                points.setdefault(name, []).append((float(record["update"]), float(value)))
    arrays = {name: np.array(sorted(pairs)) for name, pairs in points.items()}
    return {name: (xy[:, 0], xy[:, 1]) for name, xy in arrays.items()}


def _panel(
    panel: Panel, known: Mapping[str, tuple[Array, Array]], name: str, end: int
) -> Chart | None:
    present = [(label, *known[key]) for key, label in panel.names.items() if key in known]
    if not present:
        return None
    window = len(present[0][1]) // SHARE
    lines = [curves.smoothed(label, x, y, window) for label, x, y in present]
    svg = curves.draw(
        lines, name=name, end=end, levels=panel.levels, limits=panel.limits, log=panel.log
    )
    meaning = f"{panel.meaning} {_smoothing(present[0][1], window)}".strip()
    return Chart(panel.title, meaning, svg)


def _smoothing(x: Array, window: int) -> str:
    """A note on the smoothing of a curve."""
    if window < 2:
        return ""
    faint = "as logged" if len(x) <= 2 * curves.POINTS else "the range of what was logged"
    return f"Bold: mean over {window * (x[1] - x[0]):,.0f} updates; faint: {faint}."


def _validation(metrics: Records, result: Evaluation | None, used: int, end: int) -> Chart | None:
    """The validation score of every sampler, with its standard error."""
    known = series(r for r in metrics if "validation" in r)
    names = [n.removesuffix(".mean") for n in known if n.endswith(".mean")]
    lines = []
    for name in names:
        x, y = known[f"{name}.mean"]
        error = known.get(f"{name}.standard_error", (x, np.zeros_like(x)))[1]
        label = name.removeprefix("validation.")
        error = error if len(error) == len(y) else np.zeros_like(y)
        lines.append(Curve(label=label, x=x, y=y, error=error))
    if not lines:
        return None
    real = [] if result is None else [li for li in result.lines if li.name == REFERENCES[0]]
    levels = [HLine(label="real training examples", y=line.validation.mean) for line in real]
    svg = curves.draw(lines, name="validation", end=end, levels=levels, at=used)
    meaning = (
        "Parzen, nats, on validation examples; bars or band: one standard error either way. "
        f"Dotted: update {used:,}, which this page shows."
    )
    return Chart("Validation score", meaning, svg)

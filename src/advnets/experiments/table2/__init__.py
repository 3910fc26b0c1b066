"""Table 2: what each family of models finds hard, the paper's cells with numbers under them.

`families` has the models and the data, `measures` one function a row, `design` the last row,
`table` how it is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from torch import Tensor

from advnets.base import errors
from advnets.experiments.table2 import design, measures
from advnets.experiments.table2.families import FAMILIES, Family, bars_and_stripes
from advnets.experiments.table2.table import (
    Cell,
    Table,
    as_csv,
    markdown,
    page,
    picture,
)
from advnets.game import Game
from advnets.storage import checkpoints
from advnets.storage.environment import environment


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how often."""

    seeds: int = 5
    """Trainings of each model whose networks are measured."""
    runs: int = 20
    """Trainings of each model whose success is counted, the seeds' among them."""
    seconds: float = 10.0
    """CPU time of each training at most."""
    every: int = 100
    """Updates between two looks at the KL."""
    draws: int = 500
    """Gradient estimates of each network."""
    samples: int = 10_000
    temperatures: int = 1_000

    def __post_init__(self) -> None:
        errors.at_least(1, seeds=self.seeds, every=self.every, temperatures=self.temperatures)
        errors.at_least(self.seeds, runs=self.runs)
        errors.at_least(2, draws=self.draws)
        errors.at_least(100, samples=self.samples)
        errors.positive(seconds=self.seconds)


QUICK = Plan(seeds=1, runs=1, seconds=0.3, every=20, draws=20, samples=400, temperatures=100)


def make(
    plan: Plan, *, command: str, quick: bool = False, say: Callable[[str], object] = print
) -> Table:
    """Train, measure, and put all of it in a table.

    Args:
        plan: How long and how often.
        command: What the table names as the command that made it.
        quick: Whether the table says that its numbers mean nothing.
        say: Hears what is done next.
    """
    x, machine = bars_and_stripes(), environment()
    columns, courses = {}, {}
    for family in FAMILIES:
        say(f"Table 2: {family.column} ({family.model})")
        ran = [
            measures.play(family, x, seconds=plan.seconds, every=plan.every, seed=seed)
            for seed in range(plan.runs)
        ]
        columns[family.column] = _column(family, ran, x, plan)
        courses[family.column] = (ran[0].seconds, ran[0].kl)
    return Table(
        columns=columns,
        models={f.column: f"{f.model}; p(x) {f.known}" for f in FAMILIES},
        courses=courses,
        machine=machine,
        command=command,
        plan=plan,
        quick=quick,
    )


def write(table: Table, out: Path) -> list[Path]:
    """Write table2.html, .md, .csv and .png into a folder."""
    made = {"html": page(table).encode(), "md": markdown(table).encode()}
    made |= {"csv": as_csv(table).encode(), "png": picture(table)}
    paths = []
    with errors.saving(out):
        out.mkdir(parents=True, exist_ok=True)
    for kind, text in made.items():
        paths.append(out / f"table2.{kind}")
        checkpoints.write_atomically(paths[-1], text)
    return paths


def _column(
    family: Family, ran: list[measures.Course], x: Tensor, plan: Plan
) -> dict[str, list[Cell]]:
    learners = [course.learner for course in ran[: plan.seeds]]
    return {
        "Training": [*_trained(ran), *_gradients(family, x, plan)],
        "Inference": _inference(learners, x),
        "Sampling": _sampling(family, learners, x, plan),
        "Evaluating p(x)": _density(learners, x, plan),
        "Model design": _design(family, x),
    }


def _trained(ran: list[measures.Course]) -> list[Cell]:
    arrived = [course.arrived for course in ran if course.arrived is not None]
    last = [course.kl[-1] for course in ran if not course.diverged]
    lost = len(ran) - len(arrived)
    cells = [Cell("KL from the data at the end", mean(last), "nats")] if last else []
    if arrived:
        cells.append(Cell(f"to a KL of {measures.REACHED}, median", median(arrived), "CPU s"))
    return [*cells, Cell(f"of {len(ran)} runs not there in time", lost, "")]


def _gradients(family: Family, x: Tensor, plan: Plan) -> list[Cell]:
    """Of networks after a few updates, where the gradient is not small yet."""
    found = []
    for seed in range(plan.seeds):
        start = measures.play(family, x, seconds=1e-9, every=200, seed=seed)
        found.append(measures.gradient_error(start.learner, x, draws=plan.draws, seed=seed))
    known = [f for f in found if f is not None]
    if not known:
        return [Cell("no exact gradient: what it descends is not log p(x)", None, "")]
    return [
        Cell("bias of the gradient", 100 * mean(f.bias for f in known), "%"),
        Cell("bias that chance alone would show", 100 * mean(f.bias_error for f in known), "%"),
        Cell("noise of the gradient", 100 * mean(f.noise for f in known), "%"),
    ]


def _inference(learners: list, x: Tensor) -> list[Cell]:  # type: ignore[type-arg]
    if all(isinstance(learner, Game) for learner in learners):
        found = [measures.inversion(learner, x) for learner in learners]
        return [
            Cell("pixels wrong beyond the best z", mean(f.gap for f in found), "of 16"),
            Cell("descent to z", mean(f.ms for f in found), "ms"),
        ]
    known = [f for f in (measures.inference(le, x) for le in learners) if f is not None]
    if not known:
        return [Cell("none to measure: the code is a function of x", None, "")]
    return [
        Cell("KL(q || p(h|x))", mean(f.gap for f in known), "nats"),
        Cell("q of an x", mean(f.ms for f in known), "ms"),
    ]


def _sampling(family: Family, learners: list, x: Tensor, plan: Plan) -> list[Cell]:  # type: ignore[type-arg]
    found = [
        measures.sampling(family, learner, x, n=plan.samples, seed=seed)
        for seed, learner in enumerate(learners)
    ]
    return [
        Cell("autocorrelation time", mean(f.tau for f in found), "states"),
        Cell("an independent sample", mean(f.ms for f in found), "ms"),
        Cell(f"of {len(x)} pictures found", 100 * mean(f.recall for f in found), "%"),
        Cell("of samples are among them", 100 * mean(f.valid for f in found), "%"),
    ]


def _density(learners: list, x: Tensor, plan: Plan) -> list[Cell]:  # type: ignore[type-arg]
    found: dict[str, list[measures.DensityError]] = {}
    for seed, learner in enumerate(learners):
        for error in measures.density(learner, x, temperatures=plan.temperatures, seed=seed):
            found.setdefault(error.by, []).append(error)
    if not found:
        return [Cell("no exact value to compare Parzen with", None, "")]
    cells = []
    for by, errors_of in found.items():
        cells.append(Cell(f"{by}: mean error", mean(e.error for e in errors_of), "nats"))
        cells.append(Cell(f"{by}: deviation", mean(e.scatter for e in errors_of), "nats"))
        cells.append(Cell(f"{by}: time", mean(e.seconds for e in errors_of), "CPU s"))
    return cells


def _design(family: Family, x: Tensor) -> list[Cell]:
    names, total = design.passed(family.column, x), len(design.LAYERS)
    if names is None:
        return [Cell("no place for one without a new derivation", None, "")]
    return [Cell(f"of {total} layers train ({', '.join(names)})", len(names), "")]


__all__ = ["QUICK", "Cell", "Plan", "Table", "as_csv", "make", "markdown", "page", "write"]

"""Table 2: the difficulties of each family of models, in the paper's words and in numbers.

`data` holds the data sets, `families` the models, `measures` one function for each row but the
last, `design` the last row, `table` the table, the page and the picture.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median

from advnets.base import errors
from advnets.base.process import worker
from advnets.base.protocols import Learner
from advnets.experiments.table2 import design, measures
from advnets.experiments.table2.data import DATA, Data
from advnets.experiments.table2.families import FAMILIES, Family
from advnets.experiments.table2.table import (
    Cell,
    Column,
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
    """The length and the number of trainings and measurements."""

    seeds: int = 5
    """Trainings of each model whose networks are measured."""
    runs: int = 20
    """Trainings of each model whose success is counted, the seeds' among them."""
    seconds: float = 8.0
    """CPU time of each training at most."""
    every: int = 100
    """Updates between two measurements of the KL."""
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
    plan: Plan,
    *,
    command: str,
    data: Sequence[Data] = (),
    processes: int = 1,
    quick: bool = False,
    say: Callable[[str], object] = print,
) -> Table:
    """Train and measure every family on every data set.

    Args:
        plan: The length and the number of trainings and measurements.
        command: The command line, which the table states.
        data: The data sets, with different names; by default all of `DATA`.
        processes: The number of columns that are measured at the same time, each on one thread.
        quick: Whether the table says that its numbers mean nothing.
        say: Is called with a line of progress after each column.
    """
    errors.at_least(1, processes=processes)
    data, machine = data or [known() for known in DATA.values()], environment()
    names = [each.name for each in data]
    errors.require(len(set(names)) == len(names), "data", "of different names", names)
    tasks = [(each, family) for each in data for family in FAMILIES]
    columns: dict[str, dict[str, Column]] = {name: {} for name in names}
    found = _measured(tasks, plan, processes)
    for n, ((each, family), column) in enumerate(zip(tasks, found, strict=True), start=1):
        say(f"Table 2: {n} of {len(tasks)}: {each.name}, {family.column.lower()}")
        columns[each.name][family.column] = column
    return Table(
        columns=columns,
        about={each.name: each.about for each in data},
        models={f.column: f"{f.model}; p(x) {f.known}" for f in FAMILIES},
        machine=machine,
        command=command,
        plan=plan,
        quick=quick,
    )


def _measured(tasks: list[tuple[Data, Family]], plan: Plan, processes: int) -> Iterator[Column]:
    """The columns in the order of the tasks, each as soon as it is measured."""
    if processes == 1:
        yield from (column(data, family, plan) for data, family in tasks)
        return
    # Families hold module-level functions only, so that they can be pickled. A column has no
    # weights: those stay in the process that trained them.
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=worker) as pool:
        yield from pool.map(column, *zip(*tasks, strict=True), [plan] * len(tasks))


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


def column(data: Data, family: Family, plan: Plan) -> Column:
    """All numbers of one family on one data set."""
    ran = [
        measures.play(family, data, seconds=plan.seconds, every=plan.every, seed=seed)
        for seed in range(plan.runs)
    ]
    learners = [course.learner for course in ran[: plan.seeds]]
    return Column(
        seconds=ran[0].seconds,
        kl=ran[0].kl,
        rows={
            "Training": [*_trained(ran), *_gradients(family, data, plan)],
            "Inference": _inference(learners, data),
            "Sampling": _sampling(family, learners, data, plan),
            "Evaluating p(x)": _density(learners, data, plan),
            "Model design": _design(family, data),
        },
    )


def _trained(ran: list[measures.Course]) -> list[Cell]:
    arrived = [course.arrived for course in ran if course.arrived is not None]
    last = [course.kl[-1] for course in ran if not course.diverged]
    lost = len(ran) - len(arrived)
    cells = [Cell("KL from the data at the end", mean(last), "nats")] if last else []
    if arrived:
        cells.append(Cell(f"to a KL of {measures.REACHED}, median", median(arrived), "CPU s"))
    return [*cells, Cell(f"of {len(ran)} runs never had a KL of {measures.REACHED}", lost, "")]


def _gradients(family: Family, data: Data, plan: Plan) -> list[Cell]:
    """The gradient's bias and noise after 200 updates, where it is not small yet."""
    found = []
    for seed in range(plan.seeds):
        start = measures.play(family, data, seconds=1e-9, every=200, seed=seed)
        found.append(measures.gradient_error(start.learner, data, draws=plan.draws, seed=seed))
    known = [f for f in found if f is not None]
    if not known:
        return [Cell("no exact gradient: the loss is not -log p(x)", None, "")]
    return [
        Cell("bias of the gradient", 100 * mean(f.bias for f in known), "%"),
        Cell("bias that chance alone would show", 100 * mean(f.bias_error for f in known), "%"),
        Cell("noise of the gradient", 100 * mean(f.noise for f in known), "%"),
    ]


def _inference(learners: list[Learner], data: Data) -> list[Cell]:
    games = [learner for learner in learners if isinstance(learner, Game)]
    if games:
        found = [measures.inversion(learner, data) for learner in games]
        return [
            Cell("pixels wrong beyond the best z", mean(f.gap for f in found), "of 16"),
            Cell("descent to z", mean(f.ms for f in found), "ms"),
        ]
    known = [f for f in (measures.inference(le, data) for le in learners) if f is not None]
    if not known:
        return [Cell("nothing to measure: the code is a function of x", None, "")]
    return [
        Cell("KL(q || p(h|x))", mean(f.gap for f in known), "nats"),
        Cell("q of an x", mean(f.ms for f in known), "ms"),
    ]


def _sampling(family: Family, learners: list[Learner], data: Data, plan: Plan) -> list[Cell]:
    found = [
        measures.sampling(family, learner, data, n=plan.samples, seed=seed)
        for seed, learner in enumerate(learners)
    ]
    return [
        Cell("autocorrelation time", mean(f.tau for f in found), "states"),
        Cell("an independent sample", mean(f.ms for f in found), "ms"),
        Cell(f"of {len(data.pictures)} pictures found", 100 * mean(f.recall for f in found), "%"),
        Cell("of samples are among them", 100 * mean(f.valid for f in found), "%"),
    ]


def _density(learners: list[Learner], data: Data, plan: Plan) -> list[Cell]:
    found: dict[str, list[measures.DensityError]] = {}
    for seed, learner in enumerate(learners):
        for error in measures.density(learner, data, temperatures=plan.temperatures, seed=seed):
            found.setdefault(error.by, []).append(error)
    if not found:
        return [Cell("no exact value to compare Parzen with", None, "")]
    cells = []
    for by, errors_of in found.items():
        cells.append(Cell(f"{by}: mean error", mean(e.error for e in errors_of), "nats"))
        cells.append(Cell(f"{by}: deviation", mean(e.scatter for e in errors_of), "nats"))
        cells.append(Cell(f"{by}: time", mean(e.seconds for e in errors_of), "CPU s"))
        close = [e.close for e in errors_of if e.close is not None]
        within = f"within {measures.CLOSE} nats"
        if len(close) == len(errors_of):
            cells.append(Cell(f"{by}: time to be {within}", mean(close), "CPU s"))
        else:
            lost = len(errors_of) - len(close)
            cells.append(Cell(f"{by}: of {len(errors_of)} models never {within}", lost, ""))
    return cells


def _design(family: Family, data: Data) -> list[Cell]:
    names, total = design.passed(family.column, data.examples), len(design.LAYERS)
    if names is None:
        return [Cell("none without a new derivation", None, "")]
    return [Cell(f"of {total} layers train ({', '.join(names)})", len(names), "")]


__all__ = [
    "DATA",
    "QUICK",
    "Cell",
    "Column",
    "Data",
    "Plan",
    "Table",
    "as_csv",
    "make",
    "markdown",
    "page",
    "write",
]

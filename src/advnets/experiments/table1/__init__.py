"""Table 1: all models trained by this library and scored by the same code.

`rows` has the models, `columns` the data, `runs` finds or trains their runs, `cells` scores them
and keeps the scores, `table` and `strips` show the result.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from advnets.base import errors
from advnets.base.process import subnormals_as_zero
from advnets.base.progress import Display, Silent
from advnets.experiments.table1 import runs
from advnets.experiments.table1.cells import Cell, digest, score
from advnets.experiments.table1.columns import Column, digits, faces
from advnets.experiments.table1.references import REFERENCES
from advnets.experiments.table1.rows import MODELS, ROWS, ColumnName, Row
from advnets.experiments.table1.runs import Found, Say
from advnets.experiments.table1.strips import picture
from advnets.experiments.table1.table import Entry, Table, as_csv, markdown
from advnets.plotting import images
from advnets.runs import loaded as trained
from advnets.storage import checkpoints
from advnets.storage.environment import environment


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options of a table."""

    out: Path
    """Folder of new runs and of the finished table."""
    mnist: Path | None = None
    """Folder of MNIST."""
    tfd: Path | None = None
    """The file of faces; without it that column is not run."""
    folders: tuple[Path, ...] = ()
    """Runs, or folders of runs, to be used beside those in `out`."""
    models: tuple[str, ...] = tuple(MODELS)
    train: bool = True
    """Whether runs that are missing are trained."""
    quick: bool = False

    def __post_init__(self) -> None:
        for model in self.models:
            if model not in MODELS:
                raise errors.unknown("model", model, MODELS)

    def places(self) -> list[Path]:
        """Where runs may be."""
        return [*self.folders, *([self.out] if self.out.is_dir() else [])]


@subnormals_as_zero()  # as every run sees its data
def make(
    plan: Plan, *, command: str, say: Say = print, display: Callable[[], Display] = Silent
) -> Table | None:
    """The table; None when Ctrl-C or SIGTERM ended a training; the same call resumes it.

    Args:
        plan: The options.
        command: The command that the table names.
        say: Called with the next task, and with runs that are refused.
        display: Makes the display of a training, one for each.

    Raises:
        BadFile: For data or folders that are missing or damaged.
        Diverged: From a training.
    """
    machine = environment()  # of the code that begins: a long call may outlive its commit
    columns = _columns(plan)
    cells: dict[Row, dict[ColumnName, Cell | str]] = {row: {} for row in ROWS}
    for name, column in columns.items():
        for model in plan.models:
            found = _run(plan, model, column, say, display)
            if found is None:
                return None
            for row in (row for row in ROWS if row.model == model):
                cells[row][name] = _cell(plan, row, found, column, say)
    entries = [Entry(title=row.title, paper=row.paper, cells=cells[row]) for row in ROWS]
    return Table(
        columns={name: column.title for name, column in columns.items()},
        notices=[column.notice for column in columns.values() if column.notice],
        entries=[*entries, *_references(plan, columns, say)],
        machine=machine,
        command=command,
        quick=plan.quick,
    )


def write(table: Table, out: Path) -> list[Path]:
    """Write table1.md, table1.csv and table1.png into a folder."""
    md, as_lines, png = (out / f"table1.{kind}" for kind in ("md", "csv", "png"))
    checkpoints.write_atomically(md, markdown(table).encode())
    checkpoints.write_atomically(as_lines, as_csv(table).encode())
    with checkpoints.atomic_path(png) as aside:
        images.save_png(aside, picture(table))
    return [md, as_lines, png]


def _columns(plan: Plan) -> dict[ColumnName, Column]:
    columns: dict[ColumnName, Column] = {"MNIST": digits(plan.mnist, small=plan.quick)}
    if plan.tfd is not None:
        columns["TFD"] = faces(plan.tfd, small=plan.quick)
    return columns


def _run(
    plan: Plan, model: str, column: Column, say: Say, display: Callable[[], Display]
) -> Found | str | None:
    """The run of a model, or why there is none; None when its training was stopped."""
    recipe = MODELS[model]()
    if reason := column.refuses(recipe.model):
        return reason
    config = column.recipe(recipe)
    found = runs.find(config, column.facts, plan.places(), say=say)
    if isinstance(found, str) and plan.train:
        if not runs.train(config, plan.out / config.recipe, display=display()):
            return None
        found = runs.find(config, column.facts, plan.places(), say=say)
    return found


def _cell(plan: Plan, row: Row, found: Found | str, column: Column, say: Say) -> Cell | str:
    if isinstance(found, str):
        return found
    say(f"{column.title}, {row.title}: {found.folder.path}")
    loaded = trained.load(found.folder.path, checkpoint=column.checkpoint)
    path = found.folder.path / "checkpoints" / loaded.checkpoint
    return score(
        lambda: loaded.sampler(row.sampler),
        column,
        samples=column.protocol.samples,
        folder=keeps(found.folder.path, plan.out),
        key={"checkpoint": digest(path), "sampler": row.sampler},
        facts={**found.facts(), "update": loaded.update},
    )


def keeps(folder: Path, out: Path) -> Path:
    """The folder of a run's cells: the run's, or `out` where that cannot be written."""
    return folder if os.access(folder, os.W_OK) else out


def _references(plan: Plan, columns: Mapping[ColumnName, Column], say: Say) -> list[Entry]:
    entries = []
    for reference in REFERENCES:
        cells: dict[ColumnName, Cell | str] = {}
        for name, column in columns.items():
            say(f"{column.title}, {reference.title}")
            cells[name] = score(
                partial(reference.make, column),
                column,
                samples=reference.samples(column),
                folder=plan.out,
                key={"reference": reference.name, "train": column.facts["crc32"]},
                facts={},
            )
        entries.append(Entry(title=reference.title, paper={}, cells=cells))
    return entries

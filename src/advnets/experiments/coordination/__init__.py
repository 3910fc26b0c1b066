"""`advnets coordination`: the methods of Section 7.5 on data whose modes can be counted.

`protocol` holds PacGAN's protocol and a shorter one, `methods` the methods, `cells` one finished
game as a JSON file, `on_digits` the paper's pair at equal CPU time, `table` the tables and page.
"""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from advnets.base import errors
from advnets.base.process import subnormals_as_zero, worker
from advnets.evaluation.features import Say
from advnets.experiments.coordination import cells, on_digits, table
from advnets.experiments.coordination.cells import Cell
from advnets.experiments.coordination.methods import METHODS
from advnets.experiments.coordination.protocol import DATA, PER_EPOCH, PROTOCOLS, SAMPLES
from advnets.experiments.coordination.table import Results
from advnets.storage import checkpoints
from advnets.storage.environment import environment


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which methods are played, on which data, for how long."""

    out: Path
    """The folder of the finished games and of the table."""
    seeds: int = 10
    only: tuple[str, ...] = ()
    """Methods; all of them by default."""
    data: tuple[str, ...] = tuple(DATA)
    protocol: str = "pacgan"
    """Networks, rate and length."""
    epochs: float | None = None
    """Epochs in place of the protocol's."""
    samples: int = SAMPLES
    mnist: Path | None = None
    """Folder of MNIST, for the paper's pair."""
    mnist_only: tuple[str, ...] = ()
    """Methods of that pair; all of them by default."""
    seconds: float = 600.0
    """CPU seconds of each method on MNIST."""
    processes: int = 1
    """Games that are played at the same time, each on one thread."""
    quick: bool = False

    def __post_init__(self) -> None:
        errors.one_of(PROTOCOLS, protocol=self.protocol)
        errors.at_least(1, seeds=self.seeds, samples=self.samples, processes=self.processes)
        errors.positive(seconds=self.seconds)
        if self.epochs is not None:
            errors.positive(epochs=self.epochs)
        for option, valid, asked, what in (
            ("only", METHODS, self.only, "method"),
            ("data", DATA, self.data, "data"),
            ("mnist_only", on_digits.SETTINGS, self.mnist_only, "method"),
        ):
            for name in asked:
                if name not in valid:
                    raise errors.unknown(what, name, valid)
            twice = len(set(asked)) < len(asked)
            errors.require(not twice, option, "different names", " ".join(asked))

    @property
    def updates(self) -> int:
        """Updates of G in one game."""
        epochs = PROTOCOLS[self.protocol].epochs if self.epochs is None else self.epochs
        return max(1, round(epochs * PER_EPOCH))


def quick(plan: Plan) -> Plan:
    """The same plan with a few updates of everything."""
    return Plan(
        out=plan.out,
        seeds=1,
        only=plan.only,
        data=plan.data,
        protocol=plan.protocol,
        epochs=0.006,
        samples=100,
        mnist=plan.mnist,
        mnist_only=plan.mnist_only,
        seconds=1.0,
        processes=plan.processes,
        quick=True,
    )


@subnormals_as_zero()
def measure(plan: Plan, *, command: str, say: Say = print) -> Results:
    """Play all games that are not saved yet, seed by seed.

    A call that is stopped has then played about the same seeds of all methods.

    Raises:
        BadFile: Where the folder has no digits, before anything is played.
    """
    splits = None if plan.mnist is None else on_digits.load(plan.mnist)
    machine = environment()
    facts = {"machine": machine["processor"], "commit": machine["commit"] or "unknown"}
    games = [
        (seed, data, name)
        for seed in range(plan.seeds)
        for data in plan.data
        for name in plan.only or METHODS
    ]
    if plan.processes > 1:
        _play_side_by_side(plan, facts, games, say)
    found: dict[str, dict[str, list[Cell]]] = {data: {} for data in plan.data}
    for seed, data, name in games:
        one = _cell(plan, facts, seed, data, name, say=say)
        found[data].setdefault(name, []).append(one)
    digits = []
    if plan.mnist is not None and splits is not None:
        few = 200 if plan.quick else 10_000
        digits = on_digits.measure(
            plan.mnist,
            splits,
            seconds=plan.seconds,
            folder=plan.out / "digits",
            facts=facts,
            only=plan.mnist_only,
            samples=few,
            say=say,
        )
    return Results(
        cells=found,
        digits=digits,
        protocol=plan.protocol,
        epochs=plan.updates / PER_EPOCH,
        samples=plan.samples,
        command=command,
        machine=machine,
        quick=plan.quick,
    )


def _cell(plan: Plan, facts: dict[str, str], seed: int, data: str, name: str, *, say: Say) -> Cell:
    """One game's cell, read from its file or played."""
    play = partial(
        cells.played,
        data,
        METHODS[name].trained_as or name,
        seed,
        of=PROTOCOLS[plan.protocol],
        updates=plan.updates,
        samples=plan.samples,
        facts=facts,
    )
    key = f"{plan.protocol}-{data}-{plan.updates}-{plan.samples}-{seed}"
    return cells.kept(plan.out / "cells", key, play, name=name, say=say)


def _play_side_by_side(
    plan: Plan, facts: dict[str, str], games: Iterable[tuple[int, str, str]], say: Say
) -> None:
    """Play every game in a process of a pool, once where several methods draw from it."""
    trained = {(seed, data, METHODS[name].trained_as or name) for seed, data, name in games}
    order = sorted(trained)
    with ProcessPoolExecutor(plan.processes, get_context("spawn"), initializer=worker) as pool:
        played = pool.map(partial(_played, plan, facts), order)
        for n, cell in enumerate(played, start=1):
            say(f"{n} of {len(order)} games: {cell.method}, {cell.data}, seed {cell.seed}")


@subnormals_as_zero()
def _played(plan: Plan, facts: dict[str, str], game: tuple[int, str, str]) -> Cell:
    """`_cell` in a process of a pool, which says nothing itself."""
    return _cell(plan, facts, *game, say=_silent)


def _silent(_: str) -> None:
    pass


def write(results: Results, out: Path) -> list[Path]:
    """Write coordination.html, .md and .csv into a folder."""
    texts = {"html": table.page, "md": table.markdown, "csv": table.as_csv}
    paths = []
    for kind, text in texts.items():
        paths.append(out / f"coordination.{kind}")
        checkpoints.write_atomically(paths[-1], text(results).encode())
    return paths

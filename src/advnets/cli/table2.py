"""The command `advnets table 2`."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from advnets.base import files
from advnets.base.terminal import say, tell
from advnets.cli.parsing import parse
from advnets.experiments import table2


@dataclass(frozen=True, kw_only=True)
class Table2Options:
    """Measure Table 2 of the paper on 16 binary pixels, where every probability is known.

    Twice: on 4 x 4 bars and stripes, and on handwritten digits made as small.
    """

    seeds: int = 5
    """Trainings of each model whose networks are measured."""
    runs: int = 20
    """Trainings of each model whose success is counted, the seeds' among them."""
    seconds: float = 8.0
    """CPU time of each training at most."""
    processes: int = 2
    """Columns that are measured at a time, a core each."""
    quick: bool = False
    """Everything in tiny: half a minute of one core, no results."""
    out: Path = Path("runs/table2")
    """Folder of table2.html, table2.md, table2.csv and table2.png."""


def make(words: list[str]) -> int:
    """Table 2: everything is small and trained anew."""
    options = parse(Table2Options, words, prog="advnets table 2")
    files.folder_of_runs(options.out)
    plan = table2.Plan(seeds=options.seeds, runs=options.runs, seconds=options.seconds)
    finished = table2.make(
        table2.QUICK if options.quick else plan,
        command=shlex.join(["advnets", "table", "2", *words]),
        processes=1 if options.quick else options.processes,
        quick=options.quick,
        say=say,
    )
    written = table2.write(finished, options.out)
    tell(table2.markdown(finished))
    tell(f"Table 2: {', '.join(map(str, written))}")
    return 0

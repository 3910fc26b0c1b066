"""The command `advnets table 2`."""

import shlex

from advnets.base import files
from advnets.base.terminal import say, tell
from advnets.cli.options import Table2Options
from advnets.cli.parsing import parse
from advnets.experiments import table2


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

"""The command `advnets coordination`."""

import shlex

from advnets.base import files
from advnets.base.terminal import say, tell
from advnets.cli.extension_options import CoordinationOptions
from advnets.cli.parsing import parse
from advnets.experiments import coordination


def compare(words: list[str]) -> int:
    """Play, and write the page and the table."""
    options = parse(CoordinationOptions, words, prog="advnets coordination")
    files.folder_of_runs(options.out)
    plan = coordination.Plan(
        out=options.out,
        seeds=options.seeds,
        only=options.only,
        data=options.data,
        protocol=options.protocol,
        epochs=options.epochs,
        mnist=options.mnist,
        mnist_only=options.mnist_only,
        seconds=options.seconds,
        processes=options.processes,
    )
    plan = coordination.quick(plan) if options.quick else plan
    command = shlex.join(["advnets", "coordination", *words])
    results = coordination.measure(plan, command=command, say=say)
    written = coordination.write(results, options.out)
    tell(coordination.table.markdown(results))
    tell(f"Coordination: {', '.join(map(str, written))}")
    return 0

"""The command `advnets coordination`."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from advnets.base import files
from advnets.base.terminal import say, tell
from advnets.cli.parsing import parse
from advnets.experiments import coordination


@dataclass(frozen=True, kw_only=True)
class CoordinationOptions:
    """Compare methods of coordinating G and D where modes can be counted. A killed call goes on."""

    out: Path = Path("runs/coordination")
    """Folder of the finished games and of coordination.html, .md and .csv."""
    seeds: int = 10
    """Games of each method on each set of modes, of seeds 0, 1, ..."""
    only: tuple[str, ...] = ()
    """Methods to play (plain, r1, pac4, ...); all by default."""
    data: tuple[str, ...] = ("ring", "grid")
    """Sets of modes: ring, grid."""
    protocol: str = "pacgan"
    """'pacgan', the published one (hours of CPU a game), or 'short' (minutes)."""
    epochs: float | None = None
    """Epochs of 1,000 updates in place of the protocol's: 400, or 6."""
    mnist: Path | None = None
    """Folder of MNIST: the paper's pair too, each method for the same CPU time."""
    seconds: float = 600.0
    """CPU seconds of each method on MNIST."""
    quick: bool = False
    """Everything in tiny: less than a minute, no results."""


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
        seconds=options.seconds,
    )
    plan = coordination.quick(plan) if options.quick else plan
    command = shlex.join(["advnets", "coordination", *words])
    results = coordination.measure(plan, command=command, say=say)
    written = coordination.write(results, options.out)
    tell(coordination.table.markdown(results))
    tell(f"Coordination: {', '.join(map(str, written))}")
    return 0

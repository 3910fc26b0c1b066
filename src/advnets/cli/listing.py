"""The command `advnets runs`: a table of a folder of runs. It needs no torch."""

import json

from advnets.base.terminal import print_columns, tell
from advnets.cli.options import RunsOptions
from advnets.cli.parsing import parse
from advnets.storage.listing import Entry, listed

HEADINGS = ("name", "recipe", "update", "state", "best (nats)", "changed", "size")


def list_runs(words: list[str]) -> int:
    """The command `advnets runs`."""
    options = parse(RunsOptions, words, prog="advnets runs")
    entries = listed(options.folder)
    if options.json:
        tell(json.dumps([entry.to_dict() for entry in entries], indent=2))
        return 0
    if not entries:
        tell(f"{options.folder}: no runs yet. The first one comes from: advnets train demo")
        return 0
    print_columns(HEADINGS, map(row, entries), wrapped=0)
    for entry in entries:
        if entry.why:
            tell(f"{entry.name}: {entry.state} ({entry.why})")
    return 0


def row(entry: Entry) -> tuple[str, ...]:
    """The cells of one folder."""
    update = "-" if entry.update is None else f"{entry.update:,}"
    score = "-" if entry.score is None else f"{entry.score:.1f}"
    return (
        entry.name,
        entry.recipe or "-",
        update if entry.steps is None else f"{update}/{entry.steps:,}",
        entry.state,
        score,
        "-" if entry.age_seconds is None else f"{age(entry.age_seconds)} ago",
        size(entry.size_bytes),
    )


def age(seconds: float) -> str:
    """A duration in its largest unit.

    Example:
        >>> [age(s) for s in (12, 130, 4000, 200_000)]
        ['12 s', '2 min', '1 h', '2 d']
    """
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"


def size(count: int) -> str:
    """Bytes in a readable unit.

    Example:
        >>> [size(n) for n in (300, 4_200, 2_500_000, 3_100_000_000)]
        ['300 B', '4 kB', '2.5 MB', '3.1 GB']
    """
    for unit, name, digits in ((1e9, "GB", 1), (1e6, "MB", 1), (1e3, "kB", 0)):
        if count >= unit:
            return f"{count / unit:.{digits}f} {name}"
    return f"{count} B"

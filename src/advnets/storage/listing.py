"""A folder of runs at a glance: what each is, how far it came, and what it takes.

Folders are only read: no torch, no checkpoint is loaded, nothing is written. What cannot be read as
a run is listed with the reason.
"""

import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from advnets.base import errors, files
from advnets.base.config import read_toml
from advnets.base.renamed_options import upgraded
from advnets.storage import schema

State = Literal["finished", "running", "interrupted", "fitted", "damaged", "foreign"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One folder.

    Attributes:
        name: Its path below the folder that is listed.
        state: `finished`: all updates made; `running`: a process trains there now; `interrupted`:
            neither; `fitted`: of `advnets.fit`, whose length is not kept; `damaged`: a run that
            cannot be read; `foreign`: no run.
        recipe: The recipe, or the kind of model where there is none.
        update: Updates so far: of the newest checkpoint, and of the log while it is running.
        steps: Updates of the whole run.
        score: The best validation score of the first sampler, in nats.
        score_update: The update that has it.
        age_seconds: Since anything in the folder was changed.
        size_bytes: Of all files in it.
        why: What is wrong with it.
    """

    name: str
    state: State
    recipe: str = ""
    update: int | None = None
    steps: int | None = None
    score: float | None = None
    score_update: int | None = None
    age_seconds: float | None = None
    size_bytes: int = 0
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def listed(folder: Path) -> list[Entry]:
    """Every run in a folder, by name.

    Args:
        folder: A folder of runs, or of folders of runs (`runs/table1`); or one run.

    Raises:
        BadFile: Where there is no such folder.
    """
    if not folder.is_dir():
        need = "give a folder of runs; the first one comes from: advnets train demo"
        raise errors.missing_file(folder, need)
    if _is_run(folder):
        return [entry(folder, folder.resolve().name or str(folder))]
    return [entry(path, name) for path, name in _folders(folder)]


def _is_run(path: Path) -> bool:
    return os.path.lexists(path / "config.toml")


def _folders(folder: Path) -> Iterator[tuple[Path, str]]:
    """Runs and foreign folders with their names; for a folder of runs, the runs in it."""
    for path in _inside(folder):
        below = [] if _is_run(path) else [p for p in _inside(path) if _is_run(p)]
        if below:
            yield from ((p, f"{path.name}/{p.name}") for p in below)
        else:
            yield path, path.name


def _inside(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden; none where it cannot be read."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())
    except OSError:
        return []


def entry(path: Path, name: str) -> Entry:
    """What can be said of one folder."""
    changed, size = _usage(path)
    age = None if changed is None else max(0.0, time.time() - changed)
    common: dict[str, Any] = {"name": name, "age_seconds": age, "size_bytes": size}
    if not _is_run(path):
        return Entry(state="foreign", why="no config.toml", **common)
    try:
        return Entry(**common, **_read(path))
    except (errors.UserError, OSError) as error:
        why = str(error).removeprefix(f"{path}/")
        return Entry(state="damaged", why=errors.short(why, 200), **common)


def _read(path: Path) -> dict[str, Any]:
    """The state and progress of a run. Raises `BadFile` where it is damaged."""
    config = upgraded(read_toml(path / "config.toml"))
    records = [record for _, record in _lines(path / "metrics.jsonl")]
    saved = _saved(path)
    running = files.held(path / ".lock") is True
    update = max([saved, *(r["update"] for r in records)]) if running else saved
    known: dict[str, Any] = {"update": update, **_best(records)}
    if "own" in config:
        return known | {"recipe": str(config["own"]), "state": "running" if running else "fitted"}
    steps = _at(config, "trainer", "steps", int)
    recipe = _at(config, None, "recipe", str) or _at(config, "model", "kind", str)
    state = "running" if running else "finished" if saved >= steps else "interrupted"
    return known | {"recipe": recipe, "steps": steps, "state": state}


def _at(config: Mapping[str, Any], table: str | None, name: str, of: type[Any]) -> Any:
    """A setting. Raises `BadFile` where it is missing or of another type."""
    own: Any = config if table is None else config.get(table)
    value = own.get(name) if isinstance(own, Mapping) else None
    if type(value) is not of:
        dotted = f"{table}.{name}" if table else name
        raise errors.BadFile(f"config.toml: '{dotted}' must be {of.__name__}, got {value!r}.")
    return value


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    if os.path.lexists(path):
        yield from schema.lines(path, files.read(path, most=schema.LINES))


def _saved(path: Path) -> int:
    """The update of the newest checkpoint, by its name; 0 without one."""
    found = (path / "checkpoints").glob("*.safetensors")
    return max([int(p.stem) for p in found if p.stem.isdecimal()], default=0)


def _best(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The highest validation score of the first sampler, and its update."""
    best: dict[str, Any] = {}
    for record in records:
        mean = _mean(record.get("validation"))
        if mean > best.get("score", -math.inf):
            best = {"score": mean, "score_update": record["update"]}
    return best


def _mean(scores: object) -> float:
    """The mean of the first sampler's score; minus infinity where there is none."""
    first = next(iter(scores.values()), None) if isinstance(scores, Mapping) else None
    mean = first.get("mean") if isinstance(first, Mapping) else None
    return float(mean) if isinstance(mean, float | int) and math.isfinite(mean) else -math.inf


def _usage(path: Path) -> tuple[float | None, int]:
    """When anything in a folder was last changed, and the bytes of all its files."""
    changed, size = None, 0
    for place, _, names in os.walk(path, onerror=None):
        for name in names:
            try:
                about = os.lstat(os.path.join(place, name))  # noqa: PTH118  # thousands of files
            except OSError:
                continue
            size += about.st_size
            changed = max(changed or 0.0, about.st_mtime)
    return changed, size

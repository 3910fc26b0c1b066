"""One cell: a method played on one set of modes with one seed, and saved.

Each cell is a JSON file in the folder `cells`, named by method, protocol, data, updates, samples
and seed. A command that was killed resumes with the next cell. After a change of a method its old
cells are still used: choose another folder.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor

from advnets.base import errors
from advnets.base.rng import generator
from advnets.data import Batches
from advnets.evaluation.features import Say
from advnets.experiments.coordination import methods, protocol
from advnets.experiments.coordination.methods import METHODS, Method
from advnets.experiments.coordination.protocol import Look, Protocol
from advnets.game import Game
from advnets.sampling.accept import MetropolisHastings, Rejection, logit_of
from advnets.sampling.samplers import draw
from advnets.storage import checkpoints, schema

SEED = 1
"""The seed of the samples that are judged."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The record of one game."""

    data: str
    method: str
    seed: int
    epochs: float
    looks: list[Look]
    """In the order of the updates; the last one is at the end of the run."""
    seconds: float
    """CPU time of the updates alone."""
    machine: str
    commit: str

    @property
    def last(self) -> Look:
        """The end of the run."""
        return self.looks[-1]

    @property
    def sustained(self) -> int:
        """The fewest modes that were found at any look in the last quarter of the run."""
        late = [one.found for one in self.looks if one.update > 0.75 * self.last.update]
        return min(late)


def played(
    data: str,
    name: str,
    seed: int,
    *,
    of: Protocol,
    updates: int,
    samples: int,
    facts: dict[str, str],
) -> dict[str, Cell]:
    """Play a method and judge it, and the methods that only draw differently from its game."""
    method, x = METHODS[name], protocol.points(data, seed)
    game = methods.game(method, of, seed=seed, updates=updates)
    batches, rng = Batches(x, size=of.batch, seed=seed), generator(seed, "step")
    looks, seconds, every = list[Look](), 0.0, max(1, updates // protocol.LOOKS)
    for update in range(1, updates + 1):
        began = time.process_time()
        game.step(batches.of_step(update - 1, method.k), rng=rng)
        seconds += time.process_time() - began
        if update % every == 0 or update == updates:
            looks.append(protocol.look(data, drawn(game, method, samples), update))
    epochs = updates / protocol.PER_EPOCH
    same = {"data": data, "seed": seed, "epochs": epochs, "seconds": seconds, **facts}
    cells = {name: Cell(method=name, looks=looks, **same)}  # type: ignore[arg-type]
    for other, drawing in METHODS.items():
        if drawing.trained_as == name:
            end = [_look_by_D(data, game, drawing, samples, updates)]
            cells[other] = Cell(method=other, looks=end, **same)  # type: ignore[arg-type]
    return cells


def _look_by_D(data: str, game: Game, drawing: Method, samples: int, update: int) -> Look:
    """Judge the samples that D accepts: nothing is found where it accepts too few to be drawn."""
    try:
        return protocol.look(data, drawn(game, drawing, samples), update)
    except errors.TooFewAccepted:
        K = len(protocol.DATA[data].means())
        return Look(update=update, found=0, quality=0.0, KL=math.log(K))


def drawn(game: Game, method: Method, n: int) -> Tensor:
    """Samples of a trained pair, as the method draws them."""
    sampler = game.samplers()["raw"]
    if method.sampling == "rejection":
        return Rejection(sampler, logit_of(game.D)).sample(n, seed=SEED)
    if method.sampling == "metropolis":
        return MetropolisHastings(sampler, logit_of(game.D)).sample(n, seed=SEED)
    return draw(sampler, n, seed=SEED)


def kept(
    folder: Path, key: str, play: Callable[[], dict[str, Cell]], *, name: str, say: Say
) -> Cell:
    """Read a cell from its file; without one, play it and save all cells of that game."""
    found = _read(folder / f"{name}-{key}.json")
    if found is not None:
        return found
    say(f"playing {name}-{key} ...")
    cells = play()
    for other, cell in cells.items():
        save(folder / f"{other}-{key}.json", asdict(cell))
    return cells[name]


def save(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as a JSON file, and its folder where there is none."""
    with errors.saving(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    checkpoints.write_atomically(path, text + b"\n")


def _read(path: Path) -> Cell | None:
    """Read a cell; None where the file is missing or damaged, as it can be played again."""
    try:
        return schema.read(path, Cell)
    except errors.BadFile:
        return None

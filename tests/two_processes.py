"""What `tests/test_ranks.py` has two processes do: games, scores and samples, saved by the first.

torchrun --nproc_per_node 2 tests/two_processes.py FOLDER
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

import advnets
from advnets.base import distributed
from advnets.base.distributed import ALONE
from advnets.base.rng import Generators
from advnets.data import RingConfig, Split, load
from advnets.evaluation import features, protocol
from advnets.sampling import samplers
from advnets.training.trainer import Trainer
from conftest import small_game

GAMES = {
    "simultaneous": {"order": "simultaneous"},
    "alternating": {"order": "alternating"},
    "k": {"order": "simultaneous", "k": 2, "objective": "minimax"},
    "conditional": {"order": "alternating", "context": "labels"},
    "batch normalised": {
        "event_shape": (3, 8, 8),
        "G": advnets.SpectralGConfig(width=2),
        "D": advnets.SpectralDConfig(width=2),
    },
    "augmented": {"event_shape": (2, 8, 8), "augment": ("flip", "translate")},
    "penalised": {"order": "simultaneous", "r1": 0.5, "r1_every": 2},
    "relativistic": {"order": "alternating", "objective": "relativistic"},
    "packed": {"order": "simultaneous", "pack": 2},
    "adam": {
        "order": "alternating",
        "G_optimizer": advnets.OptimizerConfig(optimizer="adam", lr=1e-3),
    },
}
DTYPES = {"fitted": torch.float32, "fitted_double": torch.float64}
PROTOCOL = advnets.EvaluationConfig(samples=31, validation=13)


def played(own: distributed.Ranks, **settings) -> dict[str, torch.Tensor]:
    """The state of a game after some updates on batches of 16, the last of an epoch of 5."""
    game = small_game(ranks=own, **settings)
    shape = settings.get("event_shape", (2,))
    n = 36 if "pack" in settings else 37
    x = torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))
    data = Split(x, torch.arange(n) % 3)
    batches = advnets.Batches(data, size=16, seed=0, ranks=own)
    config = advnets.TrainerConfig(steps=9, log_every=3)
    trainer = Trainer(game, batches, config, generators=Generators(5), ranks=own)
    trainer.fit()
    return game.state() | {"info": torch.tensor(list(trainer.history[-1].metrics.values()))}


@contextlib.contextmanager
def default(dtype: torch.dtype) -> Iterator[None]:
    """In the block this is the default type of new tensors."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def goes_on(own: distributed.Ranks, folder: Path) -> dict[str, torch.Tensor]:
    """The state of a game on a DataLoader that is loaded from its folder and trained on."""
    game = advnets.load(folder, into=small_game(ranks=own))
    advnets.fit(game, rows(), steps=4, folder=folder)
    return game.state()


def rows() -> DataLoader[tuple[torch.Tensor, ...]]:
    x = torch.rand(40, 2, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(x), batch_size=10, shuffle=True)


def fitted(own: distributed.Ranks, folder: Path) -> dict[str, torch.Tensor]:
    """The state of a game on a DataLoader that was kept in a folder, loaded and trained on."""
    advnets.fit(small_game(ranks=own), rows(), steps=5, folder=folder)
    own.any(False)  # nobody reads before the first has written
    return goes_on(own, folder)


def everything(own: distributed.Ranks, folder: Path) -> dict[str, torch.Tensor]:
    """All that one process and several must agree on."""
    tensors = {
        f"{name}.{key}": tensor
        for name, settings in GAMES.items()
        for key, tensor in played(own, **settings).items()
    }
    for name, dtype in DTYPES.items():
        with default(dtype):
            state = fitted(own, folder / name)
        tensors |= {f"{name}.{key}": tensor for key, tensor in state.items()}
    sampler = small_game().samplers()["raw"]
    tensors["samples"] = samplers.draw(sampler, 11, seed=3, start=4, ranks=own)
    splits = load(RingConfig(examples=300), seed=0)
    space = features.learn(splits) if own.first else None
    table = protocol.evaluate({"raw": sampler}, splits, PROTOCOL, seed=0, space=space, ranks=own)
    scores = [s for line in table.lines for s in (line.validation, line.test)]
    tensors["scores"] = torch.tensor([(s.mean, s.standard_error, s.sigma) for s in scores])
    assert table.quality is not None  # in every process
    rows = [row.values.values() for row in table.quality.rows]
    tensors["quality"] = torch.tensor([[(e.value, e.low, e.high) for e in row] for row in rows])
    return tensors


if __name__ == "__main__":
    with distributed.init_process_group() as together:
        assert together.world == 2
        assert together.any(together.rank == 1)
        assert not together.any(False)
        found = everything(together, Path(sys.argv[1]))
    # The group's threads end with it: left to the end of the interpreter, one may abort it.
    threads = [comm.read_text() for comm in Path("/proc/self/task").glob("*/comm")]
    assert not any("gloo" in name for name in threads), threads
    if together.first:
        torch.save(found, Path(sys.argv[1]) / "found.pt")
    assert ALONE.first

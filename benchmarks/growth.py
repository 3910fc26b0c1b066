"""Measure memory, threads and file descriptors during a long training of a tiny game in float32.

The run logs at every 20th update, draws samples, scores and saves. What is measured after the
warm-up must not grow, memory by at most `ROOM`.
"""

import dataclasses
import json
import os
from pathlib import Path

import forked
import tiny_kinds

import advnets
from advnets.data import ArrayConfig
from advnets.training.callbacks import Moment

UPDATES, QUICK = 50_000, 300
ROOM = 4 * 2**20
"""Growth in bytes that is allowed after the warm-up, for the fragmentation of the allocator."""


def play(top: Path, *, quick: bool) -> tuple[list[dict[str, int]], list[str]]:
    """Ten measurements during a training, and what grew from the second one on."""
    updates = QUICK if quick else UPDATES
    end = forked.fork(lambda: _train(top, updates), top).wait(3_600)
    assert end.code == 0, end.said
    measured = [json.loads(line) for line in end.said.splitlines() if line.startswith("{")]
    return measured, grown(measured[1:])


def _train(top: Path, updates: int) -> int:
    every = updates // 10

    def measure(moment: Moment) -> None:
        if moment.update % every == 0:
            print(json.dumps({"update": moment.update, **now()}))

    trainer = dataclasses.replace(
        tiny_kinds.trainer(steps=updates),
        log_every=20,
        score_every=every,
        sample_every=updates // 50,
        checkpoint_every=updates // 100,
    )
    data = ArrayConfig(path=str(top / "real" / "x.npz"))
    model = advnets.GameConfig(**tiny_kinds.nets(ema_decay=0.9))
    config = tiny_kinds.run_config(data, model, trainer=trainer)
    return 0 if advnets.train(config, top / "long", callbacks=[measure]) else 1


def now() -> dict[str, int]:
    """Resident bytes, threads and descriptors of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "threads": len([*Path("/proc/self/task").iterdir()]),
        "descriptors": len([*Path("/proc/self/fd").iterdir()]),
    }


def grown(measured: list[dict[str, int]]) -> list[str]:
    """The quantities that are larger in the last measurement than in the first."""
    first, last = measured[0], measured[-1]
    faults = []
    for name, room in (("bytes", ROOM), ("threads", 0), ("descriptors", 0)):
        if last[name] > first[name] + room:
            faults.append(
                f"{name}: {first[name]:,} at update {first['update']:,}, "
                f"{last[name]:,} at update {last['update']:,}"
            )
    return faults

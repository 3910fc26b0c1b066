"""Kill a run at random moments, resume it each time, compare it with one that was left alone.

    python benchmarks/kill.py [--kills 20] [--quick]

SIGKILL, that is: nothing is caught, nothing is tidied up. Compared bit for bit: every tensor of the
last and the best checkpoint (parameters, velocities, averages, every random stream), the facts
beside them, and metrics.jsonl as a file. The run is the demo's game, dropout and all, on a smaller
pair. `--quick` (CI) kills three times in a quarter of the updates.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from advnets.storage.run_folder import RunDir

WORDS = (
    "demo --model.G.hidden 200 200 --model.D.units 40 40 --trainer.steps {steps} "
    "--trainer.score_every 500 --trainer.checkpoint_every 100 "
    "--evaluation.samples 500 --evaluation.validation 100"
)


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--quick", action="store_true", help="three kills")
    options = parser.parse_args()
    kills, steps = (3, 1_500) if options.quick else (options.kills, 6_000)
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole, torn = Path(scratch, "whole"), Path(scratch, "torn")
        starting, training = left_alone(whole, steps)
        print(f"left alone: {starting:.1f} s to the first metrics, {training:.1f} s from there")
        for kill in range(1, kills + 1):
            after = 0.7 * starting + dice.uniform(0, starting + 0.9 * training / kills)
            killed_after(after, torn, steps)
            newest = max((p.stem for p in (torn / "checkpoints").glob("0*")), default="none")
            print(f"kill {kill} after {after:.2f} s: newest checkpoint {newest}", flush=True)
        advnets(*begin_or_resume(torn, steps)).wait()
        compare(RunDir(whole), RunDir(torn))
        print(f"bit-identical after {kills} kills")


def left_alone(folder: Path, steps: int) -> tuple[float, float]:
    """Train to the end; seconds to the first line of metrics, and from there to the end."""
    began = time.perf_counter()
    run = advnets(*begin_or_resume(folder, steps))
    while run.poll() is None and not (folder / "metrics.jsonl").exists():
        time.sleep(0.01)
    first = time.perf_counter()
    run.wait()
    return first - began, time.perf_counter() - first


def killed_after(seconds: float, folder: Path, steps: int) -> None:
    """Start the run, or go on with it, and kill it after so many seconds."""
    run = advnets(*begin_or_resume(folder, steps))
    time.sleep(seconds)
    run.kill()
    run.wait()


def begin_or_resume(folder: Path, steps: int) -> list[str]:
    """What to tell `advnets train`."""
    if folder.exists():
        return ["--resume", str(folder)]
    return [*WORDS.format(steps=steps).split(), "--folder", str(folder)]


def advnets(*words: str) -> "subprocess.Popen[bytes]":
    """Start `advnets train`, silently."""
    command = [sys.executable, "-m", "advnets", "train", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def compare(whole: RunDir, torn: RunDir) -> None:
    """Raise unless both folders hold the same run."""
    for which in (RunDir.latest, RunDir.best):
        a, b = which(whole, print), which(torn, print)
        assert a is not None
        assert b is not None
        assert (a.update, a.facts) == (b.update, b.facts), (a.update, a.facts, b.update, b.facts)
        assert a.tensors.keys() == b.tensors.keys()
        for name, tensor in a.tensors.items():
            assert torch.equal(tensor, b.tensors[name]), name
    metrics = [(run.path / "metrics.jsonl").read_bytes() for run in (whole, torn)]
    assert metrics[0] == metrics[1], "metrics differ"


if __name__ == "__main__":
    main()

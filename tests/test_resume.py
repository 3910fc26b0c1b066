"""Killed at any moment and resumed, a run ends bit for bit as if it had never stopped."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from advnets.base import files, state
from advnets.game import Game
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import train
from advnets.storage import run_folder
from advnets.training.config import TrainerConfig
from conftest import small_config, small_run

ADAM = OptimizerConfig(optimizer="adam", lr=0.01, anneal="cosine")
CONFIGS = {
    "momentum-simultaneous": small_run(),
    "conditional": small_run(model=small_config(context="labels")),
    "adam-alternating-k2": small_run(
        model=small_config(order="alternating", k=2, G_optimizer=ADAM, D_optimizer=ADAM)
    ),
}


def outcome(folder):
    """All that must not depend on interruptions: every tensor of the last and the best, the facts, the metrics."""
    saved = train.RunDir(folder)
    last, best = saved.latest(print), saved.best(print)
    return last, best, (folder / "metrics.jsonl").read_bytes()


def assert_same(one, other):
    for a, b in zip(one[:2], other[:2], strict=True):
        assert a.update == b.update
        assert a.facts == b.facts
        assert a.tensors.keys() == b.tensors.keys()
        for name in a.tensors:
            assert torch.equal(a.tensors[name], b.tensors[name]), name
    assert one[2] == other[2]


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program runs on, no `except` of it catches this."""


def die_after(monkeypatch, calls):
    """Let the process 'die' at a random one of the moments at which something is written or computed."""
    count = {"left": calls}

    def dying(function):
        def wrapped(*args, **kwargs):
            count["left"] -= 1
            if count["left"] == 0:
                raise Killed
            return function(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(Game, "step", dying(Game.step))
    for name in ("log", "save", "forget_after"):
        monkeypatch.setattr(run_folder.RunDir, name, dying(getattr(run_folder.RunDir, name)))
    for name in ("_sync", "flush"):
        monkeypatch.setattr(files, name, dying(getattr(files, name)))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_dying_at_any_point_and_resuming_changes_nothing(config, tmp_path, monkeypatch):
    assert train.train(config, tmp_path / "whole")
    expected = outcome(tmp_path / "whole")
    dice = random.Random(0)
    folder = tmp_path / "torn"
    for _ in range(12):
        with monkeypatch.context() as patch:
            die_after(patch, dice.randrange(2, 40))
            try:
                if (folder / "config.toml").exists():
                    finished = train.resume(folder)
                else:
                    finished = train.train(config, folder)
            except Killed:
                continue
            assert finished
            break
    else:
        assert train.resume(folder)
    assert_same(outcome(folder), expected)


def test_sigkill_at_random_moments_changes_nothing(tmp_path):
    """The real thing, in processes of its own; `benchmarks/campaign.py` kills a thousand times."""
    config = tmp_path / "small.toml"
    config.write_text(
        small_run(
            trainer=TrainerConfig(steps=600, log_every=50, score_every=200, checkpoint_every=40)
        ).to_toml()
    )
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    advnets = [sys.executable, "-m", "advnets", "train"]
    subprocess.run([*advnets, config, "--folder", whole], check=True, capture_output=True)
    dice = random.Random(1)
    for _ in range(3):
        words = (
            ["--resume", torn] if (torn / "config.toml").exists() else [config, "--folder", torn]
        )
        process = subprocess.Popen(
            [*advnets, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        while process.poll() is None and not (torn / "checkpoints").exists():
            time.sleep(0.01)
        time.sleep(dice.uniform(0.0, 2.5))
        process.kill()
        process.communicate()
    subprocess.run([*advnets, "--resume", torn], check=True, capture_output=True)
    assert_same(outcome(torn), outcome(whole))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGHUP, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)],
)
def test_a_signal_saves_and_says_how_to_go_on(number, code, tmp_path):
    """A scheduler's signal ends with a code of its own, which asks for another turn."""
    config = tmp_path / "long.toml"
    config.write_text(
        small_run(trainer=TrainerConfig(steps=1_000_000, checkpoint_every=0)).to_toml()
    )
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "advnets", "train", config, "--folder", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup has it ignored
    )
    while not (folder / "clock.jsonl").exists() or not (folder / "clock.jsonl").read_text():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"Go on with: advnets train --resume {folder}" in said
    assert train.RunDir(folder).latest(print).update > 0


def test_a_finished_run_goes_on_with_more_steps_as_if_they_had_been_asked_for(tmp_path):
    def steps(n):
        return small_run(
            trainer=TrainerConfig(steps=n, log_every=5, score_every=10, sample_every=10)
        )

    train.train(steps(40), tmp_path / "whole")
    train.train(steps(20), tmp_path / "longer")
    assert train.resume(tmp_path / "longer", steps(40))
    assert_same(outcome(tmp_path / "longer"), outcome(tmp_path / "whole"))


def test_resuming_a_finished_run_does_nothing(tmp_path):
    train.train(small_run(), tmp_path / "run")
    before = outcome(tmp_path / "run")
    assert train.resume(tmp_path / "run")
    assert_same(outcome(tmp_path / "run"), before)


def test_a_run_without_a_checkpoint_begins_again(tmp_path):
    train.train(small_run(), tmp_path / "whole")
    train.train(small_run(), tmp_path / "torn")
    for path in (tmp_path / "torn" / "checkpoints").iterdir():
        path.unlink()
    assert train.resume(tmp_path / "torn")
    assert_same(outcome(tmp_path / "torn"), outcome(tmp_path / "whole"))


def test_global_randomness_of_a_users_own_dropout_is_part_of_the_state(tmp_path):
    """torch's global stream is seeded by the run, saved with it, and restored."""
    train.train(small_run(), tmp_path / "run")
    generators = train.Generators(0)
    generators.load_state(state.below("rng.", train.RunDir(tmp_path / "run").latest(print).tensors))
    expected = torch.rand(3)
    torch.rand(10)
    generators.load_state(state.below("rng.", train.RunDir(tmp_path / "run").latest(print).tensors))
    assert torch.equal(torch.rand(3), expected)


def test_metrics_hold_no_clock(tmp_path):
    train.train(small_run(), tmp_path / "run")
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert {name for line in lines for name in line} == {
        "update",
        "V",
        "J",
        "D_x",
        "D_Gz",
        "G_gradient",
        "D_gradient",
        "inside",
        "validation",
        "spread",
    }
    clock = [
        json.loads(line) for line in (tmp_path / "run" / "clock.jsonl").read_text().splitlines()
    ]
    assert set(clock[0]) == {"update", "seconds", "updates_per_second", "seconds_left"}

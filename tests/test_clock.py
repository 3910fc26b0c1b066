"""How long a run still takes, and that showing it changes nothing that a run computes."""

import pytest
import torch

import advnets
from advnets.base.rng import Generators
from advnets.runs import train
from advnets.training.clock import RECENT, Clock
from advnets.training.trainer import Trainer
from conftest import small_config, small_run
from test_trainer import folder, ticks


class Time:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run(clock, time, updates, *, seconds, start=0):
    for _ in range(updates):
        with clock.step():
            time.now += seconds
    return clock.mark(start + updates)


def test_the_speed_is_that_of_recent_updates_without_the_first():
    time = Time()
    clock = Clock(1_000, {}, now=time)
    assert run(clock, time, 1, seconds=5.0) == pytest.approx(0.2)
    assert run(clock, time, 9, seconds=1.0, start=1) == pytest.approx(1.0)
    run(clock, time, 40, seconds=1.0, start=10)
    run(clock, time, 400, seconds=0.1, start=50)
    assert run(clock, time, 10, seconds=0.1, start=450) == pytest.approx(10.0), RECENT


def test_the_speed_is_warm_once_the_compiled_second_update_is_not_in_it():
    time = Time()
    clock = Clock(1_000, {}, now=time)
    run(clock, time, 1, seconds=1.0)
    assert run(clock, time, 1, seconds=40.0, start=1) == pytest.approx(1 / 40)
    assert not clock.warm
    assert run(clock, time, 9, seconds=0.1, start=2) == pytest.approx(10.0)
    assert clock.warm


def test_the_time_left_includes_what_happens_between_updates():
    time = Time()
    clock = Clock(100, {"score": 40, "picture": 0}, now=time)
    speed = run(clock, time, 10, seconds=2.0)
    assert clock.left(10, speed) == pytest.approx(180)
    assert clock.unknown("score", 10)
    assert not clock.unknown("picture", 10)
    with clock.timed("score"):
        time.now += 7
    assert not clock.unknown("score", 10)
    assert clock.left(10, speed) == pytest.approx(180 + 3 * 7), "at updates 40, 80 and 100"
    assert clock.left(80, speed) == pytest.approx(40 + 7)
    assert clock.left(100, speed) == 0


def test_it_is_due_at_once_and_then_by_the_second():
    time = Time()
    clock = Clock(10, {}, now=time)
    assert clock.due(5.0)
    assert not clock.due(0.0), "0 is never"
    clock.mark(1)
    assert not clock.due(5.0)
    time.now += 5
    assert clock.due(5.0)


class Screen:
    """Remembers what it was shown."""

    def __init__(self):
        self.updates, self.said = [], []

    def show(self, status):
        self.updates.append(status.update)

    def say(self, text):
        self.said.append(text)

    def close(self):
        pass


def test_the_first_update_is_shown_and_the_first_pictures_leave_no_metrics(tmp_path):
    learner, batches, config = ticks(first_samples=(1, 3), sample_every=10)
    screen, where, drawn = Screen(), folder(tmp_path), []

    def picture(learner, path):
        drawn.append(int(learner.count))
        path.write_bytes(b"picture")
        return {"spread": 1.0}

    Trainer(
        learner,
        batches,
        config,
        generators=Generators(0),
        folder=where,
        picture=picture,
        display=screen,
    ).fit()
    assert screen.updates == [1, 5, 10, 15, 20]
    assert drawn == [1, 3, 10, 20]
    assert [r["update"] for r in where.records() if "spread" in r] == [10, 20]
    assert screen.said == [f"update 1  samples: {where.path / 'samples' / '00000001.png'}"]


def test_without_pictures_there_are_no_first_ones(tmp_path):
    learner, batches, config = ticks(first_samples=(1, 3), sample_every=0)
    Trainer(
        learner,
        batches,
        config,
        generators=Generators(0),
        folder=folder(tmp_path),
        picture=lambda *_: pytest.fail("drawn"),
    ).fit()


@pytest.mark.parametrize("left", [3_599.0, 3_601.0])
def test_what_shortens_a_run_is_said_once_where_hours_are_left(left, monkeypatch):
    learner, batches, config = ticks()
    screen = Screen()
    loop = Trainer(
        learner, batches, config, generators=Generators(0), display=screen, advice="Fewer steps."
    )
    monkeypatch.setattr(Clock, "left", lambda *_: left)
    assert not loop.clock.warm
    loop.clock.stepping = 30.0
    loop.fit()
    assert screen.said == (["About 1:00:01 left at this speed. Fewer steps."] * (left > 3_600))


def test_weights_and_metrics_do_not_depend_on_what_is_shown(tmp_path):
    def trained(name, **shown):
        intervals = {"steps": 12, "log_every": 4, "score_every": 6, "sample_every": 6}
        trainer = advnets.TrainerConfig(**intervals, **shown)
        advnets.train(small_run(trainer=trainer), tmp_path / name)
        run = advnets.load(tmp_path / name, checkpoint="last")
        return run.sample(3, seed=0), run.folder.records()

    x, lines = trained("often", log_seconds=1e-9, first_samples=(1, 2, 3))
    y, others = trained("never", log_seconds=0.0, first_samples=())
    assert torch.equal(x, y)
    assert lines == others


def test_the_advice_names_what_the_run_can_change():
    def said(**settings):
        return train.advice(small_run(**settings), (2,))

    assert "--steps" in said()
    assert "--model.compile" in said()
    assert "--model.compile" not in said(model=small_config(compile=True))
    assert "--data.size" not in said()
    pictures = small_run(data=advnets.data.ImagesConfig(path="p"))
    assert "--data.size 32" in train.advice(pictures, (3, 48, 48))
    assert "--data.size 32" not in train.advice(pictures, (3, 32, 32))

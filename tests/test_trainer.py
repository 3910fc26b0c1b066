"""The one loop: what is due when, what is kept, and that it knows nothing but the protocol."""

import json
import math
import os
import signal

import pytest
import torch

import advnets
from advnets.base.protocols import Batch
from advnets.base.rng import Generators
from advnets.evaluation.parzen import LogLikelihood
from advnets.runs import train
from advnets.training import trainer
from advnets.training.config import TrainerConfig
from advnets.training.signals import interrupted
from conftest import small_game, small_run


class Counter:
    """The smallest learner: it counts, and draws one number a step."""

    batches_per_step = 2

    def __init__(self):
        self.count = torch.zeros(1)
        self.seen = []

    def step(self, batches: tuple[Batch, ...], *, rng):
        self.count = self.count + 1
        self.seen.append([b.x[:, 0].tolist() for b in batches])
        return {"drawn": torch.rand((), generator=rng)}

    def state(self):
        return {"count": self.count}

    def load_state(self, state):
        self.count = state["count"]

    def samplers(self):
        return {}


def ticks(batches=None, **config):
    learner = Counter()
    batches = batches or advnets.Batches(torch.arange(12.0)[:, None], size=4, seed=0)
    config = {
        "steps": 20,
        "log_every": 5,
        "score_every": 6,
        "sample_every": 7,
        "first_samples": (),
        "checkpoint_every": 8,
    } | config
    return learner, batches, trainer.TrainerConfig(**config)


def folder(path):
    return train.RunDir.create(path / "run", config="", data={})


def test_any_learner_is_trained_and_fetches_nothing_itself():
    learner, batches, config = ticks()
    advnets.fit(learner, batches, config)
    assert learner.count.item() == 20
    assert learner.seen[7] == [batches[14].x[:, 0].tolist(), batches[15].x[:, 0].tolist()]


def test_everything_is_done_when_due_and_at_the_end(tmp_path):
    learner, batches, config = ticks()
    pictured, scored = [], []

    def picture(learner, path):
        pictured.append((int(learner.count), path.name.removeprefix(".part.")[:12]))
        path.write_bytes(b"picture")
        return {"spread": 1.0}

    def score(learner):
        scored.append(int(learner.count))
        return {
            "raw": LogLikelihood(
                mean=-abs(learner.count.item() - 12), standard_error=0.0, n=1, sigma=1.0, centres=1
            )
        }

    where = folder(tmp_path)
    loop = trainer.Trainer(
        learner,
        batches,
        config,
        generators=Generators(0),
        folder=where,
        score=score,
        picture=picture,
    )
    assert loop.fit()
    assert sorted(p.name for p in (where.path / "samples").iterdir()) == [n for _, n in pictured]
    assert scored == [6, 12, 18, 20]
    assert pictured == [(7, "00000007.png"), (14, "00000014.png"), (20, "00000020.png")]
    lines = [json.loads(line) for line in (where.path / "metrics.jsonl").read_text().splitlines()]
    assert [r["update"] for r in lines if "drawn" in r] == [5, 10, 15, 20]
    assert where.best(print).update == 12, (
        "the rule: the highest validation mean of the first sampler"
    )
    assert where.latest(print).update == 20
    assert where.latest(print).facts["best"] == {"update": 12, "score": 0.0}


def test_of_two_equal_scores_the_first_is_best(tmp_path):
    learner, batches, config = ticks()
    level = LogLikelihood(mean=1.0, standard_error=0.0, n=1, sigma=1.0, centres=1)
    where = folder(tmp_path)
    trainer.Trainer(
        learner,
        batches,
        config,
        generators=Generators(0),
        folder=where,
        score=lambda _: {"raw": level},
    ).fit()
    assert where.best(print).update == 6


@pytest.mark.parametrize("every", ["score_every", "sample_every", "checkpoint_every"])
def test_never_is_0(every, tmp_path):
    learner, batches, config = ticks(**{every: 0})
    where = folder(tmp_path)
    done = []
    hooks = {
        "score": lambda _: done.append("score_every") or {},
        "picture": lambda *_: done.append("sample_every") or {},
    }
    if every != "score_every":
        hooks.pop("score")
    trainer.Trainer(learner, batches, config, generators=Generators(0), folder=where, **hooks).fit()
    assert every not in done
    assert where.latest(print).update == 20, "the end is always saved"


def test_a_value_that_is_not_finite_ends_the_run_by_name():
    learner, batches, config = ticks()
    learner.step = lambda batches, rng: {"V": torch.tensor(math.nan)}
    with pytest.raises(FloatingPointError, match=r"V is nan at update 1\. The run stops"):
        advnets.fit(learner, batches, config)


def test_the_seed_decides_everything_a_learner_draws():
    draws = []
    for seed in (0, 0, 1):
        learner, batches, config = ticks()
        values = []
        real = learner.step

        def step(batches, *, rng, real=real, values=values):
            info = real(batches, rng=rng)
            values.append(info["drawn"].item())
            return info

        learner.step = step
        advnets.fit(learner, batches, config, seed=seed)
        draws.append(values)
    assert draws[0] == draws[1] != draws[2]


def test_pictures_scores_and_checkpoints_do_not_move_the_game(tmp_path):
    """The same weights come out whether or not anybody looks."""
    train.train(small_run(), tmp_path / "looked-at")
    unseen = small_run(trainer=TrainerConfig(steps=40, log_every=40, score_every=0, sample_every=0))
    train.train(unseen, tmp_path / "unseen")
    states = [
        train.RunDir(tmp_path / name).latest(print).tensors for name in ("looked-at", "unseen")
    ]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name


def test_limits_of_the_configuration():
    with pytest.raises(ValueError, match="'steps' must be a number that is at least 1, got 0"):
        trainer.TrainerConfig(steps=0)
    with pytest.raises(
        ValueError, match="'score_every' must be a number that is at least 0, got -1"
    ):
        trainer.TrainerConfig(score_every=-1)


def test_training_works_outside_the_main_thread():
    import threading

    game = small_game()
    batches = advnets.Batches(torch.rand(20, 2), size=5, seed=0)
    thread = threading.Thread(
        target=advnets.fit, args=(game, batches, trainer.TrainerConfig(steps=3))
    )
    thread.start()
    thread.join()
    assert game.minibatches == 3


@pytest.mark.parametrize("claimed", [None, signal.SIG_IGN])
def test_a_signal_that_others_have_claimed_is_left_alone(claimed, monkeypatch):
    """`nohup` ignores SIGHUP; a handler of C code reads as None, and could not be put back."""
    real, own = signal.getsignal, signal.SIGHUP
    monkeypatch.setattr(signal, "getsignal", lambda n: claimed if n == own else real(n))
    before = real(own)
    with interrupted(print):
        assert real(own) is before
        assert real(signal.SIGTERM) is not signal.SIG_DFL
    assert real(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_hang_up_loses_nothing(capsys):
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
    try:
        with interrupted(print) as signalled:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
            assert signalled()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().out.count("Stopping after this update") == 1


@pytest.mark.parametrize("ignored", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_host_ignores_stays_ignored(ignored):
    """A shell starts what it puts in the background with SIGINT ignored."""
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        with interrupted(print) as signalled:
            os.kill(os.getpid(), ignored)
            os.kill(os.getpid(), ignored)
            assert not signalled()
        assert signal.getsignal(ignored) is signal.SIG_IGN
    finally:
        signal.signal(ignored, before)

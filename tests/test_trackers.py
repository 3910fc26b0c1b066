"""Trackers are views of the log: the same names and steps in each, and losing one costs one line."""

import json
import os
import sys
import types

import pytest
import torch

import advnets
from advnets.base import errors
from advnets.cli import main
from advnets.storage.checkpoints import read_checkpoint
from advnets.storage.run_folder import flat
from advnets.training.callbacks import Moment, Start
from advnets.training.trackers.tensorboard import TensorBoard
from advnets.training.trackers.wandb import WandB
from conftest import small_run

TRAINER = {"first_samples": (), "steps": 40, "log_every": 5, "score_every": 10, "sample_every": 20}


def begun(tracker, folder, *, update=0, first=True):
    at = Start(update=update, steps=9, folder=folder, settings={"seed": 3}, first=first)
    tracker.start(at)
    return tracker


def logged(update, **metrics):
    def nothing(*_):
        raise AssertionError

    return Moment(update, None, metrics, nothing, nothing, {"seconds": 3.0})


def expected(folder):
    """What a tracker must get: name -> [(update, value)], from the files of the run."""
    values = {}
    for name in ("metrics", "clock"):
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            record = json.loads(line)
            for key, value in flat(record).items():
                values.setdefault(f"{name}/{key}", []).append((record["update"], float(value)))
    return values


def train(folder, track, **trainer):
    settings = TRAINER | {"track": track} | trainer
    assert advnets.train(small_run(trainer=advnets.TrainerConfig(**settings)), folder)
    return expected(folder)


# TensorBoard


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def test_tensorboard_gets_every_number_of_the_log_and_the_clock(tmp_path):
    pytest.importorskip("tensorboard")
    own = train(tmp_path / "run", ("tensorboard",))
    found = scalars(tmp_path / "run")
    assert found.keys() == own.keys()
    assert "metrics/validation.raw.mean" in own and "metrics/spread" in own
    for name, values in own.items():
        assert [step for step, _ in found[name]] == [step for step, _ in values]
        assert [v for _, v in found[name]] == pytest.approx([v for _, v in values], rel=1e-6)


def test_tensorboard_forgets_what_a_resumed_run_makes_again(tmp_path):
    pytest.importorskip("tensorboard")
    board = begun(TensorBoard(), tmp_path)
    for update in (2, 4, 6):
        board(logged(update, V=0.0))
    begun(TensorBoard(), tmp_path, update=4)(logged(6, V=1.0))
    assert scalars(tmp_path)["metrics/V"] == [(2, 0), (4, 0), (6, 1)]


def test_a_folder_of_any_name_is_written_to(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    folder = tmp_path / os.fsdecode(b"r\xff")
    folder.mkdir()
    board = begun(TensorBoard(), folder)
    board(logged(1, V=-1.0))
    board(logged(2, V=-2.0))
    (file,) = (folder / "tensorboard").iterdir()
    assert file.stat().st_size > 50
    assert capsys.readouterr().err == ""


def test_what_cannot_be_written_is_said_once(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_text("in the way")
    board = begun(TensorBoard(), tmp_path)
    for update in (1, 2, 3):
        board(logged(update, V=0.0))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("TensorBoard: nothing more is passed on (File exists); metrics.jsonl and")


def test_a_link_in_its_place_is_not_followed(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tensorboard").symlink_to(tmp_path / "elsewhere")
    begun(TensorBoard(), tmp_path)(logged(1, V=0.0))
    assert not [*(tmp_path / "elsewhere").iterdir()]
    assert "a symbolic link stands there" in capsys.readouterr().err


def test_a_broken_installation_is_said_and_none_is_not(tmp_path, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    begun(TensorBoard(), tmp_path)(logged(1, V=0.0))
    assert capsys.readouterr().err == ""
    monkeypatch.delitem(sys.modules, "tensorboard")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "__init__.py").write_text("raise TypeError('Descriptors cannot')")
    monkeypatch.syspath_prepend(tmp_path)
    begun(TensorBoard(), tmp_path)(logged(1, V=0.0))
    assert "(TypeError: Descriptors cannot); metrics.jsonl and the run" in capsys.readouterr().err


# Weights & Biases and MLflow, by stand-ins for the packages


class Stub(types.ModuleType):
    """Records every call of a package: `[("init", args, kwargs), ...]`."""

    def __init__(self, name, **results):
        super().__init__(name)
        self.calls, self.results = [], results

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return self.results.get(name, self)

        return call

    def of(self, name):
        return [(args, kwargs) for called, args, kwargs in self.calls if called == name]


@pytest.fixture
def wandb(monkeypatch):
    stub = Stub("wandb")
    stub.results["Image"] = "picture"
    monkeypatch.setitem(sys.modules, "wandb", stub)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return stub


@pytest.fixture
def mlflow(monkeypatch):
    run = types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc123"))
    stub = Stub("mlflow", get_experiment_by_name=None, create_experiment="7", create_run=run)
    entities = types.ModuleType("mlflow.entities")
    entities.Metric = lambda key, value, timestamp, step: (key, step, value)
    entities.Param = lambda key, value: (key, value)
    monkeypatch.setitem(sys.modules, "mlflow", stub)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return stub


def by_name(triples):
    values = {}
    for name, step, value in triples:
        values.setdefault(name, []).append((step, value))
    return values


def test_wandb_gets_names_and_steps_of_the_log(wandb, tmp_path):
    own = train(tmp_path / "run", ("wandb",))
    ((_, init),) = wandb.of("init")
    assert init["project"] == "advnets" and init["name"] == "run"
    assert init["dir"] == str(tmp_path / "run")
    assert init["config"]["model.k"] == 1 and init["config"]["seed"] == 0
    sent = [
        (name, kwargs["step"], value)
        for (numbers,), kwargs in wandb.of("log")
        for name, value in numbers.items()
    ]
    assert by_name(t for t in sent if t[0] != "samples") == own
    assert [step for name, step, _ in sent if name == "samples"] == [20, 40]
    assert len(wandb.of("finish")) == 1
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_mlflow_gets_names_and_steps_of_the_log(mlflow, tmp_path):
    own = train(tmp_path / "run", ("mlflow",))
    assert mlflow.of("create_run") == [(("7",), {"run_name": "run"})]
    batches = mlflow.of("log_batch")
    assert all(len(kwargs.get("params", ())) <= 100 for _, kwargs in batches)
    params = dict(param for _, kwargs in batches for param in kwargs.get("params", ()))
    assert params["model.k"] == "1"
    sent = [metric for _, kwargs in batches for metric in kwargs.get("metrics", ())]
    assert by_name(sent) == own
    assert [args[1][-12:] for args, _ in mlflow.of("log_artifact")] == [
        "00000020.png",
        "00000040.png",
    ]
    assert mlflow.of("set_terminated") == [(("abc123",), {})]


def test_a_resumed_run_goes_on_in_the_same_place(wandb, mlflow, tmp_path):
    folder = tmp_path / "run"
    train(folder, ("wandb", "mlflow"), steps=10)
    longer = advnets.TrainerConfig(**TRAINER | {"steps": 20, "track": ("wandb", "mlflow")})
    assert advnets.resume(folder, small_run(trainer=longer))
    first, second = (init["id"] for _, init in wandb.of("init"))
    assert first == second
    assert len(mlflow.of("create_run")) == 1
    assert mlflow.of("set_terminated")[1] == (("abc123", "RUNNING"), {})


def test_a_tracker_is_a_callback_of_fit(wandb):
    learner = advnets.GameConfig  # any name: the tracker does not look at the learner
    tracker = WandB(project="mine", name="first")
    tracker.start(Start(update=0, steps=2, folder=None, settings={}, first=True))
    tracker(Moment(1, learner, {"own": 2.0}, print, print))
    tracker(Moment(2, learner, {}, print, print))
    tracker.close()
    ((_, init),) = wandb.of("init")
    assert (init["project"], init["name"], init["dir"]) == ("mine", "first", None)
    assert wandb.of("log") == [(({"metrics/own": 2.0},), {"step": 1})]


def test_only_the_first_of_several_processes_passes_anything_on(wandb, tmp_path):
    tracker = begun(WandB(), tmp_path, first=False)
    tracker(logged(1, V=0.0))
    tracker.close()
    assert wandb.calls == []


def test_a_tracker_that_fails_leaves_the_run_as_it_is(wandb, tmp_path, capsys):
    train(tmp_path / "plain", ())

    def fails(*_, **__):
        raise ConnectionError("no route\nto host")

    wandb.log = fails
    train(tmp_path / "run", ("wandb",))
    err = capsys.readouterr().err
    assert err.count("Weights & Biases: nothing more is passed on (ConnectionError: no route)") == 1
    assert err.count("passed on") == 1
    plain, own = (tmp_path / name / "metrics.jsonl" for name in ("plain", "run"))
    assert plain.read_bytes() == own.read_bytes()
    name = "checkpoints/00000040.safetensors"
    a, b = (read_checkpoint(tmp_path / n / name).tensors for n in ("plain", "run"))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_damaged_id_is_replaced(wandb, tmp_path):
    (tmp_path / "wandb.id").write_text("../../x")
    begun(WandB(), tmp_path)
    ((_, init),) = wandb.of("init")
    assert init["id"] == (tmp_path / "wandb.id").read_text().strip() != "../../x"


# Wrong input


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_names_its_extra_before_a_folder_is_made(
    name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("advnets.training.trackers._installed", lambda package: False)
    assert main(["train", "ring", "--trainer.track", name]) == 2
    need = f"advnets: '{name}' is not installed; run: pip install 'advnets[{name}]'\n"
    assert capsys.readouterr().err == need
    assert not list(tmp_path.iterdir())


def test_an_unknown_tracker_is_one_line(capsys):
    assert main(["train", "ring", "--trainer.track", "wandbb"]) == 2
    err = capsys.readouterr().err
    need = "'trainer.track' must be a list, each one of tensorboard, wandb, mlflow, got wandbb."
    assert err == f"advnets: {need}\n"
    with pytest.raises(errors.BadValue, match=r"Unknown track 'comet'\. Valid: tensorboard, wandb"):
        advnets.TrainerConfig(track=("comet",))


# The packages themselves, where they are installed


@pytest.mark.filterwarnings("default")  # the package's own
def test_wandb_itself_keeps_an_offline_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name, value in {"MODE": "offline", "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    train(tmp_path / "run", ("wandb",))
    files = [p for p in (tmp_path / "run" / "wandb").rglob("*.wandb") if p.is_file()]
    assert any(p.stat().st_size > 500 for p in files)


@pytest.mark.filterwarnings("default")  # the package's own
def test_mlflow_itself_keeps_every_number(tmp_path, monkeypatch):
    package = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    own = train(tmp_path / "run", ("mlflow",))
    client = package.MlflowClient()
    word = (tmp_path / "run" / "mlflow.id").read_text().strip()
    for name in ("metrics/V", "metrics/validation.raw.mean", "clock/seconds"):
        found = sorted((m.step, m.value) for m in client.get_metric_history(word, name))
        assert found == own[name]
    assert client.get_run(word).data.params["model.k"] == "1"
    assert client.get_run(word).info.status == "FINISHED"

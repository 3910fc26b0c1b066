"""Several processes play the game that one plays: to rounding, dropout included. And what ends them."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch

import advnets
from advnets.base import rendezvous
from advnets.base.distributed import ALONE, Ranks, cores, init_process_group
from advnets.evaluation import metrics
from advnets.evaluation.bootstrap import Estimate
from conftest import ROOT, small_config, small_run
from two_processes import DTYPES, GAMES, default, everything, goes_on

if not torch.distributed.is_available():
    pytest.skip("torch without torch.distributed", allow_module_level=True)


OWN = os.pathsep.join(str(ROOT / name) for name in ("tests", "src"))


def together(*words, n=2, **settings):
    """A command line in n processes of this tree, joined on a free port of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": OWN}
    return subprocess.Popen(
        [*launcher, "--nproc_per_node", str(n), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        **settings,
    )


def advnets_together(*words, n=2, **settings):
    return together("-m", "advnets", *words, n=n, **settings)


def small_toml(folder, **trainer):
    settings = {"steps": 40, "log_every": 5, "score_every": 10, "checkpoint_every": 4, **trainer}
    path = folder / "small.toml"
    path.write_text(small_run(trainer=advnets.TrainerConfig(**settings)).to_toml())
    return path


def lines(text):
    return [s for s in text.splitlines() if s.startswith(("advnets: ", "advnets ("))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Those of two processes, and of one."""
    return [tmp_path_factory.mktemp(name) for name in ("two", "one")]


@pytest.fixture(scope="module")
def both(folders):
    """What two processes found, and one."""
    folder, own = folders
    process = together(ROOT / "tests" / "two_processes.py", folder)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return torch.load(folder / "found.pt"), everything(ALONE, own)


@pytest.mark.parametrize("game", [*GAMES, *DTYPES])
def test_two_processes_play_the_game_of_one(both, game):
    """The same global batch, noise and masks: parameters, velocities, averages and what is logged."""
    two, one = both
    names = [name for name in one if name.startswith(f"{game}.")]
    assert len(names) > 10
    for name in names:
        torch.testing.assert_close(two[name], one[name], **rounding(one[name]), msg=name)


def rounding(tensor):
    """The tolerance for a sum in another order."""
    return (
        {"rtol": 1e-13, "atol": 1e-14}
        if tensor.dtype == torch.float64
        else {"rtol": 1e-5, "atol": 1e-6}
    )


@pytest.mark.parametrize("name", DTYPES)
def test_a_game_of_two_processes_goes_on_in_one(both, folders, name, tmp_path):
    """To rounding, in float32 and in float64: a world of another size resumes the same game."""
    found = []
    for i, folder in enumerate(folders):
        shutil.copytree(folder / name, tmp_path / str(i))
        with default(DTYPES[name]):
            found.append(goes_on(ALONE, tmp_path / str(i)))
    two, one = found
    assert one.keys() == two.keys()
    assert any(t.dtype == DTYPES[name] for t in one.values())
    for key in one:
        torch.testing.assert_close(two[key], one[key], **rounding(one[key]), msg=key)


def test_two_processes_draw_the_samples_of_one(both):
    two, one = both
    torch.testing.assert_close(two["samples"], one["samples"], rtol=1e-5, atol=1e-5)


def test_two_processes_give_the_scores_of_one(both):
    two, one = both
    torch.testing.assert_close(two["scores"], one["scores"], rtol=1e-5, atol=1e-5)


def test_two_processes_measure_the_quality_that_one_does(both):
    two, one = both
    assert one["quality"].shape[0] == 2 and one["quality"].shape[1] >= 7
    torch.testing.assert_close(two["quality"], one["quality"], rtol=1e-4, atol=1e-4)


def test_the_command_in_two_processes_writes_once_and_can_be_resumed_by_one(tmp_path):
    config, folder = small_toml(tmp_path), tmp_path / "run"
    process = advnets_together("train", config, "--folder", folder)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert said.count("Finished: ") == 1
    alone = tmp_path / "alone"
    assert advnets.train(advnets.read_config(config), alone)
    logged = [(f / "metrics.jsonl").read_text().count("\n") for f in (folder, alone)]
    assert logged[0] == logged[1]
    one, two = (advnets.load(f, checkpoint="last").learner.state() for f in (alone, folder))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5, msg=name)
    longer = advnets.read_config(folder / "config.toml")
    assert advnets.resume(folder, longer)

    process = advnets_together("evaluate", folder)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert said.count("training mean") == 1
    assert (folder / "evaluation.json").exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all_with_a_message_and_a_resumable_folder(tmp_path, victim):
    config = small_toml(tmp_path, steps=1_000_000, score_every=0, checkpoint_every=20)
    folder = tmp_path / "run"
    process = advnets_together("train", config, "--folder", folder)
    while not any((folder / "checkpoints").glob("*00.safetensors")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    os.kill(pid_of(victim, str(folder)), signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    (line,) = lines(said)
    assert f"Another process of this run is gone: rank {victim} (" in line
    assert "--resume" in line
    reached = int(max((folder / "checkpoints").glob("0*")).stem)
    shorter = small_run(
        trainer=advnets.TrainerConfig(
            steps=reached + 20, log_every=5, score_every=0, checkpoint_every=20
        )
    )
    assert advnets.resume(folder, shorter)


def pid_of(rank, folder):
    """The worker with this rank, among the processes of the launcher."""
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_text().split("\0")
            variables = (process / "environ").read_text().split("\0")
        except OSError:
            continue
        if folder in words and f"RANK={rank}" in variables:
            return int(process.name)
    raise AssertionError(f"no worker {rank}")


def test_ctrl_c_ends_all_at_the_same_update_and_saves(tmp_path):
    config = small_toml(tmp_path, steps=1_000_000, score_every=0, checkpoint_every=0)
    folder = tmp_path / "run"
    process = advnets_together("train", config, "--folder", folder, start_new_session=True)
    clock = folder / "clock.jsonl"
    while not clock.exists() or not clock.read_text():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert f"Stopped, and saved. Go on with: advnets train --resume {folder}" in said
    assert advnets.load(folder, checkpoint="last").update > 0


def test_two_launchers_of_one_process_each_play_as_one_run(tmp_path):
    """As two machines do: each starts its own `torchrun`; they meet at an address and a port."""
    config, folder = small_toml(tmp_path), tmp_path / "run"
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    where = ["--nnodes", "2", "--master_addr", "localhost", "--master_port", str(port)]
    launcher = [sys.executable, "-m", "torch.distributed.run", *where, "--nproc_per_node", "1"]
    words = ["-m", "advnets", "train", str(config), "--folder", str(folder)]
    both = [
        subprocess.Popen(
            [*launcher, "--node_rank", str(node), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for node in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(text.count("Finished: ") for text in said) == 1
    assert advnets.load(folder, checkpoint="last").update == 40


def test_what_a_scheduler_sends_ends_all_processes_with_its_code(tmp_path):
    """As `srun` starts them: each process by itself, SIGUSR1 to one of them alone."""
    config = small_toml(tmp_path, steps=1_000_000, score_every=0, checkpoint_every=0)
    folder = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meet = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    words = [sys.executable, "-m", "advnets", "train", config, "--folder", folder]
    both = [
        subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **meet, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    clock = folder / "clock.jsonl"
    while not clock.exists() or not clock.read_text():
        assert both[0].poll() is None, both[0].stdout.read()
        time.sleep(0.05)
    both[1].send_signal(signal.SIGUSR1)
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [75, 75], said
    assert advnets.load(folder, checkpoint="last").update > 0


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    config, folder = small_toml(tmp_path), tmp_path / "run"
    process = advnets_together("train", config, "--folder", folder, "--batch_size", 15)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    words = "'batch_size' must be a multiple of the number of processes, 2, got 15."
    assert all(line.endswith(words) for line in lines(said))
    assert lines(said)
    assert not folder.exists()


def test_more_processes_than_cores_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", str(cores() + 1))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "29500")
    need = (
        f"'nproc_per_node' must be at most the number of cores here, {cores()}, got {cores() + 1}"
    )
    with (
        pytest.raises(advnets.base.errors.BadValue, match=need),
        advnets.base.distributed.init_process_group(),
    ):
        pass


def test_a_world_whose_processes_are_not_numbered_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    need = "'RANK' must be set where WORLD_SIZE is 2"
    with (
        pytest.raises(advnets.base.errors.BadValue, match=need),
        advnets.base.distributed.init_process_group(),
    ):
        pass


@pytest.mark.parametrize("network", ["D", "G"])
def test_networks_that_do_not_treat_examples_one_by_one_are_refused(network):
    G, D = advnets.Generator, advnets.Discriminator
    config, rng = small_config(), torch.Generator().manual_seed(0)
    nets = {
        "G": G(config.G, z_dim=3, event_shape=(2,), rng=rng),
        "D": D(config.D, event_shape=(2,), rng=rng),
    }
    if network == "D":
        nets["D"] = torch.nn.Sequential(nets["D"])
    else:
        nets["G"] = torch.nn.Sequential(nets["G"], torch.nn.BatchNorm1d(2))
    rules = {f"{k}_optimizer": torch.optim.SGD(v.parameters(), 0.1) for k, v in nets.items()}
    with pytest.raises(
        ValueError, match=f"'{network}' must be a network that treats every example"
    ):
        advnets.Game(**nets, prior=advnets.Uniform(3), ranks=Ranks(0, 2), **rules)


JOINED = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29499"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"RANK": None}, "'RANK' must be set where WORLD_SIZE is 2"),
        ({"MASTER_ADDR": None}, "'MASTER_ADDR' must be set where WORLD_SIZE is 2"),
        ({"MASTER_PORT": ""}, "'MASTER_PORT' must be set where WORLD_SIZE is 2"),
        ({"MASTER_PORT": "x"}, "'MASTER_PORT' must be a whole number from 1 to 65535"),
        ({"WORLD_SIZE": "x"}, "'WORLD_SIZE' must be a whole number from 1 .*, got 'x'"),
        ({"WORLD_SIZE": "0"}, "'WORLD_SIZE' must be a whole number from 1 .*, got '0'"),
        ({"RANK": "2"}, "'RANK' must be a whole number from 0 to 1 .*, got '2'"),
        ({"LOCAL_WORLD_SIZE": "0"}, "'LOCAL_WORLD_SIZE' must be a whole number from 1 to 2"),
    ],
)
def test_what_the_environment_says_of_the_processes_is_refused_by_name(changed, words, monkeypatch):
    for name, value in {**JOINED, **changed}.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(advnets.base.errors.BadValue, match=words), init_process_group():
        pass


def test_a_process_that_meets_no_other_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr("advnets.base.rendezvous.PATIENCE", timedelta(seconds=2))
    monkeypatch.setattr("advnets.base.distributed.cores", lambda: 2)
    for name, value in JOINED.items():
        monkeypatch.setenv(name, value)
    words = (
        "'WORLD_SIZE' must be the number of processes that meet at localhost:29499 within 2 s, "
        r"got 2 and not all of them \(missing: rank 1\)"
    )
    with pytest.raises(advnets.base.errors.OthersLost, match=words), init_process_group():
        pass


def test_no_object_of_another_process_is_unpickled():
    for path in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"(gather|broadcast|scatter|send|recv)_object", path.read_text()), path


def test_what_the_first_process_measured_crosses_as_json():
    row = metrics.Row(name="raw", values={"frechet": Estimate(value=0.1, low=0.0, high=1 / 3, n=9)})
    found = metrics.Quality(
        features="data",
        describe="d",
        accuracy=None,
        against="test",
        n=9,
        measures=metrics.MEASURES[:1],
        rows=(row,),
        left_out=("why",),
    )
    assert metrics.from_dict(json.loads(json.dumps(dataclasses.asdict(found)))) == found


@pytest.mark.parametrize("in_the_command", [False, True])
def test_who_has_lost_the_others_answers_sigterm_again_after_its_last_words(
    in_the_command, monkeypatch
):
    """`torchrun` ends a lost process at once; in the command its reason comes first."""
    from advnets.base import distributed, rendezvous

    monkeypatch.setattr(distributed, "get_rank", lambda: distributed.Ranks(0, 2))
    monkeypatch.setattr(distributed, "beside", lambda: 1)
    monkeypatch.setattr(rendezvous, "join", lambda *_: None)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        own = signal.getsignal(signal.SIGTERM)
        with distributed.last_words() if in_the_command else contextlib.nullcontext():
            with pytest.raises(advnets.base.errors.OthersLost), init_process_group():
                raise advnets.base.errors.OthersLost("gloo")
            ignored = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert ignored == in_the_command
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_process_that_dies_while_the_others_connect_is_waited_for_no_longer(monkeypatch):
    """It has joined, and dies before gloo has connected to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(probe.getsockname()[1]))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setattr(rendezvous, "PATIENCE", timedelta(seconds=1))
    other = threading.Thread(target=lambda: rendezvous.open_store(1, 2).set("joined 1", ""))
    other.start()
    with pytest.raises(advnets.errors.OthersLost, match="meet at"):
        rendezvous.join(0, 2, "gloo")
    other.join()

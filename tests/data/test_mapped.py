"""Arrays that stay in their file: the same examples, splits, batches, statistics and fingerprint as in memory."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import advnets
from advnets.base import blocks
from advnets.base.errors import BadFile, BadValue
from advnets.cli import main
from advnets.data import ArrayConfig, Batches, Mapped, arrays, load
from advnets.evaluation.protocol import EvaluationConfig, evaluate
from advnets.game import Game
from advnets.runs import run_config, same_run
from advnets.runs import train as run
from advnets.sampling.samplers import TrainingSet
from conftest import small_config, small_run

N = 50
SHAPES = [(N, 7), (N, 5, 6), (N, 3, 5, 6), (N, 5, 6, 3), (N, 5, 6, 1)]
DTYPES = ["u1", "<f4", "<f8", "<i2", ">f4", ">f8", ">i4", "f2", "i1", "?", "<u8"]


def uniform(shape, dtype="<f4"):
    most = (
        1 if "f" in dtype else 255 if "1" in dtype else 1000
    )  # up to 255 they would count as pixels
    return (np.random.default_rng(0).random(shape) * most).astype(dtype)


def both(path, seed=3):
    """The splits of a file, left in it and resident."""
    mapped, resident = (
        load(ArrayConfig(path=str(path), resident=r), seed=seed) for r in (False, True)
    )
    for part in (mapped.train, mapped.validation, mapped.test):
        assert isinstance(part.x, Mapped)
    assert isinstance(resident.train.x, torch.Tensor)
    return mapped, resident


def map_of(path, x):
    np.save(path, x)
    return arrays.map_array(path, False).x


# The same examples


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_mapped_array_is_the_resident_one(shape, dtype, order, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES", 7 * 4 * 3)  # many blocks
    np.save(tmp_path / "x.npy", np.asarray(uniform(shape, dtype), order=order))
    mapped, resident = both(tmp_path / "x.npy")
    for name in ("train", "validation", "test"):
        m, r = getattr(mapped, name).x, getattr(resident, name).x
        assert (len(m), m.dtype, tuple(m.shape)) == (len(r), r.dtype, tuple(r.shape))
        assert torch.equal(m[:], r)
        assert m[:].is_contiguous()
    assert same_run.describe(mapped) == same_run.describe(resident)
    assert mapped.event_shape == resident.event_shape
    assert mapped.statistics[:2] == resident.statistics[:2]
    assert torch.equal(mapped.statistics.mean, resident.statistics.mean)
    ours, theirs = (Batches(s.train, size=9, seed=1) for s in (mapped, resident))
    assert all(torch.equal(ours[i].x, theirs[i].x) for i in range(12))
    ours, theirs = (TrainingSet(s.train.x).sample(11, seed=2) for s in (mapped, resident))
    assert torch.equal(ours, theirs)


def test_rows_of_rows_are_the_rows_of_the_whole(tmp_path):
    x = uniform((N, 3))
    mapped, whole = map_of(tmp_path / "x.npy", x), torch.from_numpy(x)
    dice = torch.Generator().manual_seed(0)
    cuts = [slice(None), slice(4, 40), slice(None, None, 2), slice(3, 3), slice(-5, None)]
    for _ in range(30):
        m, w = mapped, whole
        for _ in range(3):
            if torch.rand((), generator=dice) < 0.5:
                rows = cuts[int(torch.randint(len(cuts), (), generator=dice))]
            else:
                rows = torch.randint(-len(w), max(len(w), 1), (9 if len(w) else 0,), generator=dice)
            m, w = m.take(rows), w[rows]
            assert torch.equal(m[:], w)
            assert tuple(m.shape) == tuple(w.shape)


def test_a_row_that_is_not_there_is_an_index_error(tmp_path):
    with pytest.raises(IndexError):
        map_of(tmp_path / "x.npy", uniform((N, 3)))[torch.tensor([N])]


def test_writing_into_a_batch_leaves_the_file_alone(tmp_path):
    mapped = map_of(tmp_path / "x.npy", uniform((N, 3)))
    before = (tmp_path / "x.npy").read_bytes()
    mapped[:].fill_(1)
    mapped[torch.arange(3)].fill_(1)
    assert (tmp_path / "x.npy").read_bytes() == before


def test_the_evaluation_is_the_same(tmp_path):
    np.save(tmp_path / "x.npy", uniform((3_000, 4)))
    protocol = EvaluationConfig(samples=200, validation=40)
    mapped, resident = (evaluate({}, s, protocol, seed=0) for s in both(tmp_path / "x.npy"))
    assert mapped == resident


def test_statistics_are_numpys(monkeypatch):
    x = torch.randn(1_000, 2, 3, generator=torch.Generator().manual_seed(0)) * 5 + 1
    assert torch.equal(blocks.statistics(x).mean, x.mean(dim=0))
    monkeypatch.setattr(blocks, "_BYTES", 7 * 24)
    low, high, mean = blocks.statistics(x)
    assert (low, high) == (x.min(), x.max())
    assert torch.allclose(mean, torch.from_numpy(x.double().numpy().mean(axis=0)).float())
    parts = list(blocks.blocks(x))
    assert torch.equal(torch.cat(parts), x)
    assert {len(p) for p in parts[:-1]} == {7}


# What is mapped


@pytest.mark.parametrize("row", [0, 17, 49])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_the_first_row_that_is_not_finite_is_named(row, bad, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES", 7 * 12)
    x = uniform((N, 3), "<f8")
    x[row, 1] = x[49, 2] = bad
    np.save(tmp_path / "x.npy", x)
    for resident in (False, True):
        with pytest.raises(
            BadValue, match=rf"'data' must be finite everywhere, .* first in row {row}\."
        ):
            load(ArrayConfig(path=str(tmp_path / "x.npy"), resident=resident), seed=0)


def test_large_arrays_are_mapped_unless_they_are_to_be_resident(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", uniform((N, 3)))

    def is_mapped(resident=None):
        config = ArrayConfig(path=str(tmp_path / "x.npy"), resident=resident)
        return isinstance(load(config, seed=0).train.x, Mapped)

    assert not is_mapped()
    for pages, large in ((4 * 4 * N * 3, False), (4 * 4 * N * 3 - 1, True)):
        memory = {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 1}
        monkeypatch.setattr(os, "sysconf", memory.__getitem__)
        assert is_mapped() == large
        assert not is_mapped(True)
        assert is_mapped(False)


def test_an_archive_is_resident_or_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=uniform((N, 3)))
    for resident in (None, True):
        config = ArrayConfig(path=str(tmp_path / "x.npz"), resident=resident)
        assert len(load(config, seed=0).train) == 40
    message = r"'data\.resident' must be left out or True for a \.npz archive, which cannot be memory-mapped, got False\."
    with pytest.raises(BadValue, match=message):
        load(ArrayConfig(path=str(tmp_path / "x.npz"), resident=False), seed=0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([["a"]] * N), "an array of real numbers, got <U1"),
        (np.zeros((N, 2), "m8[s]"), "an array of real numbers, got timedelta64"),
        (np.zeros(N), r"of shape \(n, d\), .*, got shape \(50\)"),
        (np.zeros(()), r"of shape \(n, d\), .*, got shape \(\)"),
        (np.zeros((N, 0)), r"of shape .*, got shape \(50, 0\)"),
        (np.zeros((9, 2)), "an array of at least 10 rows"),
        (np.zeros((0, 2)), "an array of at least 10 rows"),
    ],
)
def test_what_is_no_data_is_refused(x, message, tmp_path):
    with pytest.raises(BadValue, match=message):
        map_of(tmp_path / "x.npy", x)


@pytest.mark.parametrize("raw", [b"", b"1,2\n", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x05\x00hello"])
def test_a_file_that_is_no_array_is_named(raw, tmp_path):
    (tmp_path / "x.npy").write_bytes(raw)
    with pytest.raises(BadFile, match=r"x\.npy: must be a \.npy or \.npz file of numbers, got "):
        load(ArrayConfig(path=str(tmp_path / "x.npy"), resident=False), seed=0)


def test_every_version_of_the_format_is_read(tmp_path):
    x = uniform((N, 3))
    for version in ((1, 0), (2, 0), (3, 0)):
        with (tmp_path / "x.npy").open("wb") as file:
            np.lib.format.write_array(file, x, version=version)
        assert torch.equal(arrays.map_array(tmp_path / "x.npy", False).x[:], torch.from_numpy(x))


# A file that shrinks


def test_a_file_that_shrinks_is_an_error_and_not_a_dead_process(tmp_path):
    mapped = map_of(tmp_path / "x.npy", uniform((10_000, 3)))
    assert len(mapped[torch.tensor([9_999])]) == 1
    size = (tmp_path / "x.npy").stat().st_size
    whole = (tmp_path / "x.npy").read_bytes()
    for cut in (size - 1, 4096, 0):
        os.truncate(tmp_path / "x.npy", cut)
        message = rf"x\.npy: truncated, before or under the run: its header asks for {size} bytes, got {cut}\."
        for rows in (torch.tensor([9_999]), slice(0, 1), slice(0, 0)):
            with pytest.raises(BadFile, match=message):
                mapped[rows]
        (tmp_path / "x.npy").write_bytes(whole)
        assert torch.equal(mapped[:], arrays.map_array(tmp_path / "x.npy", False).x[:])


def test_a_truncated_file_is_named_with_both_numbers_at_once(tmp_path):
    np.save(tmp_path / "x.npy", uniform((N, 3)))
    os.truncate(tmp_path / "x.npy", 700)
    with pytest.raises(BadFile, match=r"asks for 728 bytes, got 700\."):
        load(ArrayConfig(path=str(tmp_path / "x.npy"), resident=False), seed=0)


def test_a_file_that_is_removed_or_replaced_is_still_read(tmp_path):
    x = uniform((N, 3))
    mapped = map_of(tmp_path / "x.npy", x)
    (tmp_path / "x.npy").unlink()
    assert torch.equal(mapped[:], torch.from_numpy(x))


# Runs

WORDS = "--trainer.steps 12 --trainer.log_every 2 --trainer.score_every 4 --trainer.checkpoint_every 3 --trainer.sample_every 6 --batch_size 10 --evaluation.samples 20 --model.G.hidden 5 --model.D.units 5"


def train(folder, resident, *more):
    words = ["train", "array", "--data.path", "x.npy", "--folder", folder, *WORDS.split(), *more]
    return main([*words, "--data.resident", str(resident)])


def outcome(folder):
    saved = run.RunDir(folder)
    last = saved.latest(print)
    metrics = (saved.path / "metrics.jsonl").read_bytes()
    return last.update, {n: t.tolist() for n, t in last.tensors.items()}, last.facts, metrics


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (200, 6, 5, 3), dtype=np.uint8))


def test_a_run_is_the_same_either_way_and_goes_on_either_way(pictures, capsys):
    for resident in (False, True):
        assert train(str(resident), resident) == 0
    assert run_config.config_of("False").data.resident is False
    assert outcome("False") == outcome("True")
    for name in ("data.json", "samples/00000012.png"):
        assert (run.RunDir("False").path / name).read_bytes() == (
            run.RunDir("True").path / name
        ).read_bytes()
    for folder, other in (("False", "True"), ("True", "False")):
        words = ["train", "--resume", folder, "--data.resident", other, "--trainer.steps", "17"]
        assert main(words) == 0
        assert main(["evaluate", folder]) == 0
    assert outcome("False") == outcome("True")
    capsys.readouterr()


def test_the_option_is_true_false_or_none(capsys):
    for value, line in (("False", "resident = false"), ("True", "resident = true"), ("None", None)):
        assert main(["train", "array", "--data.resident", value, "--dry_run"]) == 0
        out = capsys.readouterr().out
        assert line in out if line else "resident" not in out
    assert main(["train", "array", "--data.resident", "maybe", "--dry_run"]) == 2
    assert "'data.resident' must be True or False, got maybe." in capsys.readouterr().err


def test_a_file_that_shrinks_under_the_run_ends_it_and_it_goes_on_when_the_file_is_back(
    pictures, monkeypatch, capsys
):
    assert train("whole", False) == 0
    raw = run.Path("x.npy").read_bytes()
    real = Game.step

    def cutting(self, batches, *, rng):
        info = real(self, batches, rng=rng)
        if self.minibatches == 8:
            os.truncate("x.npy", 5_000)
        return info

    with monkeypatch.context() as patch:
        patch.setattr(Game, "step", cutting)
        capsys.readouterr()
        assert train("torn", False) == 2
    line = rf"^advnets: .*x\.npy: truncated, before or under the run: its header asks for {len(raw)} bytes, got 5000\.$"
    assert re.search(line, capsys.readouterr().err.splitlines()[-1])
    assert not list(run.Path("torn").rglob("*.part*"))
    assert main(["train", "--resume", "torn"]) == 2
    assert re.search(line, capsys.readouterr().err.splitlines()[-1])
    run.Path("x.npy").write_bytes(raw)
    assert main(["train", "--resume", "torn"]) == 0
    assert "going on from update 6" in capsys.readouterr().err
    assert outcome("torn") == outcome("whole")


def test_numbers_below_float32s_normal_ones_do_not_make_it_other_data(tmp_path):
    """A run reads its data with subnormals flushed; its evaluation, in a process of its own, too."""
    x = uniform((100, 2), "<f8")
    x[:, 0] = 1e-40
    np.save(tmp_path / "x.npy", x)
    for resident in (False, True):
        folder = tmp_path / str(resident)
        config = small_run(
            data=ArrayConfig(path=str(tmp_path / "x.npy"), resident=resident),
            model=small_config(),
            trainer=advnets.TrainerConfig(steps=2, score_every=0),
        )
        assert advnets.train(config, folder)
        torch.set_flush_denormal(False)
        assert advnets.load(folder, checkpoint="last").evaluate().lines


CHILD = """
import resource, sys
from advnets.cli import commands, main, training  # with torch, whose memory is not counted
words = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("VmData"))
limit = int(words["VmData"].split()[0]) * 1024 + 200 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's own pages")
@pytest.mark.parametrize(("resident", "code"), [("False", 0), ("True", 2)])
def test_a_mapped_array_takes_no_memory(resident, code, tmp_path):
    """512 MB as float32, trained on and scored in 200 MB; read whole, it does not fit in them."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (32_000, 1, 64, 64))
    x[::1000] = 200
    del x
    words = "--trainer.steps 3 --batch_size 50 --evaluation.samples 60 --evaluation.validation 50 --model.G.hidden 4 --model.D.units 4 --model.D.pieces 2"
    command = [
        "train",
        "array",
        "--data.path",
        "x.npy",
        "--data.resident",
        resident,
        *words.split(),
    ]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *command],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert "do not fit in memory" in done.stderr

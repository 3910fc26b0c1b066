"""The folder of a run: made at once, written atomically, refused by name where it is damaged."""

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from advnets.base import files
from advnets.base.errors import BadFile, CannotWrite, Diverged, WrongMoment
from advnets.base.state import below
from advnets.storage import checkpoints
from advnets.storage.checkpoints import checksum, read_checkpoint, write_atomically
from advnets.storage.run_folder import RunDir, flat

TENSORS = {
    "weight": torch.arange(6.0).view(2, 3),
    "deep.name": torch.tensor([1e-300, -0.0], dtype=torch.float64),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "rng": torch.arange(7, dtype=torch.uint8),
    "count": torch.tensor(3),
    "flag": torch.tensor([True, False]),
    "none": torch.empty(0, 4),
}


DATA = {"event_shape": [2], "low": -1.0, "high": 1.5, "of another version": [1]}


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path / "run", config="a = 1\n")


def names(folder):
    return sorted(p.name for p in folder.rglob("*"))


def save(run, *updates, best=False):
    for update in updates:
        run.save(update, {"w": torch.full((3,), float(update))}, {"n": update}, best=best)


def silent(text):
    raise AssertionError(f"said: {text}")


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


# The folder


def test_create_makes_the_whole_folder_and_nothing_beside_it(tmp_path):
    run = RunDir.create(tmp_path / "a" / "b", config='x = "é"\n', data=DATA, environment={})
    assert names(run.path) == [
        "checkpoints",
        "config.toml",
        "data.json",
        "environment.json",
        "samples",
    ]
    assert (run.path / "config.toml").read_text(encoding="utf-8") == 'x = "é"\n'
    assert run.facts("data") == DATA
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]
    assert run.path.stat().st_mode & 0o777 == 0o755


def test_create_takes_an_empty_folder_and_a_string(tmp_path):
    assert RunDir.create(str(tmp_path), config="").path == tmp_path


@pytest.mark.parametrize("aside", [files.atomic_path, files.made_aside])
def test_what_a_killed_process_left_is_tidied_away_by_who_writes_the_same_name(tmp_path, aside):
    """Half-written files and folders; a running process holds the lock of its own."""
    with aside(tmp_path / "x.png") as first, aside(tmp_path / "y.png") as second:
        folder = first.is_dir()
        with aside(tmp_path / "x.png"):
            assert first.exists()  # as of another process
    for left in (first, second):
        left.mkdir() if folder else left.touch()
    with aside(tmp_path / "x.png") as path:
        assert not first.exists()
        (path / "a" if folder else path).write_bytes(b"whole")
    assert second.exists() and (tmp_path / "x.png").exists()


def test_resuming_deletes_the_old_checkpoint_that_a_kill_kept(run):
    save(run, 4, 8)
    old = run.path / "checkpoints" / "00000002.safetensors"
    old.write_bytes((old.parent / "00000004.safetensors").read_bytes())
    run.forget_after(8)
    assert names(old.parent) == ["00000004.safetensors", "00000008.safetensors"]


def test_create_refuses_what_is_there(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    RunDir.create(tmp_path / "run", config="")
    before = names(tmp_path)
    for name in ("file", "full"):
        with pytest.raises(
            BadFile, match=rf"{name}: exists already\. Choose another folder with --f"
        ):
            RunDir.create(tmp_path / name, config="")
    with pytest.raises(BadFile, match=r"run: exists already\. Go on with: advnets train --resume"):
        RunDir.create(tmp_path / "run", config="")
    assert names(tmp_path) == before


def test_create_leaves_nothing_where_it_fails(tmp_path, monkeypatch):
    with pytest.raises(TypeError):
        RunDir.create(tmp_path / "run", config="", data=object())
    monkeypatch.setattr(Path, "rename", no_space)
    with pytest.raises(CannotWrite, match=r"run: could not be saved \(No space left on device\)"):
        RunDir.create(tmp_path / "run", config="", data={})
    assert names(tmp_path) == []


def test_create_below_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match=r"file/run: could not be saved \("):
        RunDir.create(tmp_path / "file" / "run", config="")


def test_a_folder_without_a_configuration_is_no_run(tmp_path):
    with pytest.raises(BadFile, match=r"is not a run folder \(it has no config\.toml\)\."):
        RunDir(tmp_path)


# The lock


def test_a_second_handle_cannot_train_in_the_same_folder(run):
    second = RunDir(run.path).lock()
    message = r"run: another process is training in this folder\."
    with run.lock(), pytest.raises(WrongMoment, match=message), second:
        pass
    with run.lock():
        pass


def test_the_lock_is_given_back_after_an_error(run):
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    with run.lock():
        pass


def test_another_process_holds_the_lock_until_it_ends(run):
    code = """
import fcntl, sys
handle = open(sys.argv[1], "w")
fcntl.flock(handle, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(run.path / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(WrongMoment), run.lock():
            pass
        child.stdin.close()
    with run.lock():
        pass


# Metrics


def test_records_are_the_lines_that_were_logged(run):
    lines = [{"update": 1, "V": -1.25}, {"update": 2, "V": 1 / 3, "validation": {"raw": 2}}]
    assert run.records() == []
    for line in lines:
        run.log(line)
        run.log({"update": line["update"], "seconds": 0.5}, to="clock")
    assert run.records() == lines
    assert [r["seconds"] for r in run.records("clock")] == [0.5, 0.5]
    text = (run.path / "metrics.jsonl").read_text()
    assert [json.loads(line) for line in text.splitlines()] == lines


@pytest.mark.parametrize("kept", range(1, 20))
def test_a_last_line_that_is_cut_off_is_passed_over(run, kept):
    run.log({"update": 1, "V": 0.5})
    with (run.path / "metrics.jsonl").open("a") as lines:
        lines.write('{"update": 2, "V": 0.25}\n'[:kept])
    assert run.records() == [{"update": 1, "V": 0.5}]


def test_a_line_that_the_disk_does_not_take_is_said_so(run):
    (run.path / "metrics.jsonl").mkdir()
    with pytest.raises(CannotWrite, match=r"metrics\.jsonl: could not be saved \("):
        run.log({"update": 1})


def test_the_numbers_of_a_record_go_by_dotted_names():
    record = {"update": 3, "V": -1.0, "validation": {"raw": {"mean": 2, "words": "x"}, "n": None}}
    assert flat(record) == {"V": -1.0, "validation.raw.mean": 2}


def test_forget_after_drops_all_that_came_later_and_nothing_else(run):
    for update in (2, 4, 6):
        run.log({"update": update})
        run.log({"update": update, "seconds": 1.0}, to="clock")
        run.picture_path(update).write_bytes(b"picture")
    save(run, 4, 6)
    run.forget_after(4)
    assert [r["update"] for r in run.records()] == [2, 4]
    assert [r["update"] for r in run.records("clock")] == [2, 4]
    assert names(run.path / "samples") == ["00000002.png", "00000004.png"]
    assert names(run.path / "checkpoints") == ["00000004.safetensors"]
    run.forget_after(0)
    assert run.records() == []
    assert run.latest(silent) is None


def test_after_forgetting_the_log_goes_on_with_whole_lines(run):
    run.log({"update": 1})
    with (run.path / "metrics.jsonl").open("a") as lines:
        lines.write('{"upd')
    run.forget_after(1)
    run.log({"update": 2})
    assert [r["update"] for r in run.records()] == [1, 2]


def test_forget_after_forgets_a_best_checkpoint_of_the_future_or_keeps_it_readable(run):
    save(run, 2, 4, best=True)
    run.forget_after(2)
    assert run.best(silent).update in (2, 4)


def test_a_best_checkpoint_without_its_number_is_numbered_again(run):
    save(run, 2, 4, best=True)
    numbered = run.path / "checkpoints" / "00000004.safetensors"
    whole = numbered.read_bytes()
    numbered.unlink()  # as where the disk was full after the first of the two files
    run.forget_after(2)
    assert not numbered.exists()  # the run goes on from update 2, not from the best
    run.forget_after(4)
    assert numbered.read_bytes() == whole
    numbered.write_bytes(b"damaged")
    run.forget_after(4)
    assert numbered.read_bytes() == whole
    (run.path / "checkpoints" / "best.safetensors").write_bytes(b"damaged")
    numbered.unlink()
    run.forget_after(4)
    assert not numbered.exists()


OWN = ["2024-notes.txt", "00000001-keep.safetensors", "00000001.safetensors.bak"]


@pytest.mark.parametrize("name", OWN)
def test_a_file_of_the_users_among_the_checkpoints_is_left_alone(run, name):
    own = run.path / "checkpoints" / name
    own.write_bytes(b"mine")
    save(run, 1, 2, 3, 4)
    run.forget_after(3)
    assert own.read_bytes() == b"mine"
    assert run.latest(silent).update == 3


# Checkpoints


def test_a_checkpoint_holds_every_tensor_bit_for_bit(run):
    facts = {"best": {"score": 225.0}, "words": "é", "list": [1, None]}
    before = {name: t.clone() for name, t in TENSORS.items()}
    run.save(7, TENSORS, facts, best=False)
    read = run.latest(silent)
    assert (read.update, read.facts) == (7, facts)
    assert read.path == run.path / "checkpoints" / "00000007.safetensors"
    assert read.tensors.keys() == TENSORS.keys()
    for name, t in read.tensors.items():
        assert (t.dtype, t.shape) == (TENSORS[name].dtype, TENSORS[name].shape)
        assert t.flatten().view(torch.uint8).equal(before[name].flatten().view(torch.uint8)), name


def test_views_and_parameters_are_saved_as_what_they_show(run):
    whole = torch.arange(12.0).view(3, 4)
    tied = torch.nn.Parameter(torch.ones(2))
    run.save(1, {"t": whole.T, "row": whole[1], "a": tied, "b": tied}, {}, best=False)
    read = run.latest(silent).tensors
    assert torch.equal(read["t"], whole.T)
    assert torch.equal(read["row"], whole[1])
    assert torch.equal(read["a"], read["b"])


def test_two_numbered_checkpoints_are_kept(run):
    save(run, 1, 5, 20, 100)
    assert names(run.path / "checkpoints") == ["00000020.safetensors", "00000100.safetensors"]
    assert run.latest(silent).update == 100


def test_the_newest_has_the_largest_number_however_many_digits_that_has(run):
    save(run, 99_999_998, 99_999_999, 100_000_000)
    assert run.latest(silent).update == 100_000_000


def test_the_best_is_kept_while_newer_ones_pass(run):
    save(run, 1)
    assert run.best(silent).update == 1  # none was scored: the newest
    save(run, 2, best=True)
    save(run, 3, 4, 5)
    assert run.best(silent).update == 2
    assert torch.equal(run.best(silent).tensors["w"], torch.full((3,), 2.0))
    save(run, 6, best=True)
    assert run.best(silent).update == 6


def test_a_run_without_checkpoints_has_none(run):
    assert run.latest(silent) is None
    assert run.best(silent) is None


@pytest.mark.parametrize("killed_before", [0, 1])
def test_a_run_killed_while_it_saves_its_best_does_not_lose_it(run, killed_before, monkeypatch):
    def save_best(update):
        run.save(update, {"w": torch.ones(1)}, {"best": update}, best=True)

    written = []

    def write_or_die(path, data):
        if len(written) == killed_before:
            raise KeyboardInterrupt
        written.append(path)
        write_atomically(path, data)

    save_best(2)
    monkeypatch.setattr(checkpoints, "write_atomically", write_or_die)
    with pytest.raises(KeyboardInterrupt):
        save_best(4)
    newest = run.latest(silent)
    assert run.best(silent).update >= newest.facts["best"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_tensor_that_is_not_finite_is_refused_and_nothing_is_written(run, value):
    save(run, 1)
    before = names(run.path)
    bad = {"fine": torch.ones(2), "G.bias": torch.tensor([0.0, value])}
    message = rf"G\.bias is {value} at update 2\. The run stops; its last good checkpoint is kept"
    with pytest.raises(Diverged, match=message):
        run.save(2, bad, {}, best=True)
    assert names(run.path) == before
    assert run.latest(silent).update == 1


@pytest.mark.parametrize("logged", [False, True])
def test_a_full_disk_leaves_what_was_saved_and_no_half_file(run, logged, monkeypatch):
    save(run, 1, 2, best=True)
    if logged:
        run.log({"update": 2})
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    monkeypatch.setattr("os.fsync", no_space)
    message = r"could not be saved \(No space left on device\); what was saved before is kept\."
    with pytest.raises(CannotWrite, match=message):
        save(run, 3, best=True)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before
    assert run.latest(silent).update == run.best(silent).update == 2


def test_writing_replaces_a_file_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old and long")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(CannotWrite, match=r"file: could not be saved \(No space left on device\)"):
        write_atomically(path, b"newest")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


# Damage


def damage(path, change):
    path.write_bytes(change(path.read_bytes()))


def checkpoint_bytes(folder):
    run = RunDir.create(folder / "run", config="")
    run.save(12, {"a": torch.arange(3.0), "b": torch.tensor(5)}, {"score": 22}, best=False)
    return run.latest(silent).path


def test_a_checkpoint_cut_off_anywhere_is_refused(tmp_path):
    path = checkpoint_bytes(tmp_path)
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(BadFile, match=r"00000012\.safetensors: damaged checkpoint \("):
            read_checkpoint(path)


def test_a_flipped_bit_anywhere_is_refused(tmp_path):
    path = checkpoint_bytes(tmp_path)
    raw = path.read_bytes()
    for place in range(len(raw)):
        for bit in (1, 2, 16):
            path.write_bytes(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
            with pytest.raises(
                BadFile, match=r"00000012\.safetensors: (damaged checkpoint|was written by another)"
            ):
                read_checkpoint(path)


def foreign(**metadata):
    return safetensors.torch.save({"a": torch.ones(2)}, metadata=metadata or None)


def ours(**header):
    header = {"format": 2, "update": 1, "crc32": checksum({"a": torch.ones(2)}, {})} | header
    return foreign(advnets=json.dumps({k: v for k, v in header.items() if v is not None}))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "."),
        (b"no checkpoint at all", "."),
        (foreign(), "it is not a checkpoint of advnets"),
        (foreign(format="pt"), "it is not a checkpoint of advnets"),
        (foreign(advnets="not JSON"), "it is not a checkpoint of advnets"),
        (foreign(advnets="[1, 2]"), "it is not a checkpoint of advnets"),
        (ours(update=None), "it is not a checkpoint of advnets"),
        (ours(crc32=None), "it is not a checkpoint of advnets"),
        (ours(crc32=1), "its checksum is wrong"),
    ],
)
def test_a_foreign_file_is_refused_by_name(raw, why, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(raw)
    with pytest.raises(BadFile, match=rf"x\.safetensors: damaged checkpoint \({why}"):
        read_checkpoint(path)


def test_a_checkpoint_of_another_version_says_so(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(ours(format=1))
    words = r"x\.safetensors: was written by another version \(format 1\); this one reads 2\."
    with pytest.raises(BadFile, match=words):
        read_checkpoint(path)


def test_the_one_before_stands_in_for_a_damaged_one_and_it_is_said(run):
    save(run, 3, 6)
    newest = run.path / "checkpoints" / "00000006.safetensors"
    damage(newest, lambda raw: raw[:-1])
    said = []
    assert run.latest(said.append).update == 3
    (notice,) = said
    assert notice.startswith(f"{newest}: damaged checkpoint (")
    assert notice.endswith("Using the newest that is whole: 00000003.safetensors.")


def test_a_damaged_older_one_goes_unnoticed(run):
    save(run, 3, 6)
    damage(run.path / "checkpoints" / "00000003.safetensors", lambda raw: b"")
    assert run.latest(silent).update == 6


def test_where_none_is_whole_the_newest_is_named(run):
    save(run, 3, 6)
    for path in (run.path / "checkpoints").iterdir():
        damage(path, lambda raw: raw[:50])
    with pytest.raises(BadFile, match=r"00000006\.safetensors: damaged checkpoint"):
        run.latest(silent)


def test_the_newest_stands_in_for_a_damaged_best_and_it_is_said(run):
    save(run, 3, best=True)
    save(run, 6)
    damage(run.path / "checkpoints" / "best.safetensors", lambda raw: raw[:-1])
    said = []
    assert run.best(said.append).update == 6
    (notice,) = said
    assert "best.safetensors: damaged checkpoint (" in notice
    assert notice.endswith("Using the newest that is whole: 00000006.safetensors.")


def test_the_checksum_sees_values_and_not_the_order_of_a_dictionary():
    backwards = dict(reversed(TENSORS.items()))
    assert checksum(backwards, {}) == checksum(TENSORS, {})
    assert checksum(TENSORS | {"count": torch.tensor(4)}, {}) != checksum(TENSORS, {})


def test_below_takes_a_prefix_off():
    tensors = {"G.w": torch.ones(1), "G.G.w": torch.ones(1), "D.w": torch.ones(1)}
    assert list(below("G.", tensors)) == ["w", "G.w"]


# Nothing in a run folder is trusted


JSON = ["", "[", "null", "[]", "1" * 5_000, "[" * 100_000, '{"a":' * 100_000, "\xff"]
FACTS = [
    ({"event_shape": "2"}, "event_shape: expected array, got str"),
    ({"event_shape": [0]}, r"event_shape\[0\]: expected int >= 1"),
    ({"event_shape": [2**63]}, r"event_shape\[0\]: expected int <= "),
    ({"event_shape": [2**30, 2**30]}, "'event_shape' must be at most 2,147,483,648 numbers"),
    ({"low": None}, "low: expected float, got null"),
    ({"low": 2.0}, "'low' must be at most high, 1.5, got 2.0"),
    ({"span": [1, 1]}, "'span' must be two numbers, the smaller one first"),
    ({"context": {"classes": ["a"], "shape": [2]}}, r"context: 'shape' must be \[1\]"),
    ({"examples": [-1]}, "examples.*: expected int >= 0"),
    ({"format": 2}, "format: expected int <= 1"),
]


@pytest.mark.parametrize("text", JSON, ids=lambda text: text[:9])
def test_facts_that_are_no_facts_are_refused_by_file(run, text):
    (run.path / "data.json").write_text(text, encoding="latin-1")
    with pytest.raises(BadFile, match=r"data\.json: missing or damaged \([^\n]*\)\.$"):
        run.data()


@pytest.mark.parametrize(("change", "why"), FACTS, ids=[next(iter(c)) for c, _ in FACTS])
def test_facts_are_refused_by_file_and_field(run, change, why):
    (run.path / "data.json").write_text(json.dumps(DATA | change))
    for read in (run.data, lambda: run.facts("data")):
        with pytest.raises(BadFile, match=rf"data\.json: missing or damaged \(.*{why}"):
            read()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", '"1"', "[1]"])
def test_a_number_in_a_file_of_facts_is_a_finite_number(run, number):
    text = json.dumps(DATA).replace("-1.0", number)
    (run.path / "data.json").write_text(text)
    with pytest.raises(BadFile, match=r"data\.json: missing or damaged \("):
        run.data()


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"update": -1}', '{"update": 2.5}', "1" * 9_999]
)
def test_a_damaged_line_with_whole_ones_after_it_is_refused_by_number(run, line):
    (run.path / "metrics.jsonl").write_text(f'{{"update": 1}}\n{line}\n{{"update": 3}}\n')
    with pytest.raises(BadFile, match=r"metrics\.jsonl: missing or damaged \(line 2(, update)?: "):
        run.records()
    (run.path / "metrics.jsonl").write_text(f'{{"update": 1}}\n{line}\n')
    assert run.records() == [{"update": 1}]


@pytest.mark.parametrize(
    "field",
    [
        '"seconds": "1"',
        '"D_x": null',
        '"x": ' + "[" * 50 + "]" * 50,
        '"n": 1e999',
        '"n": ' + str(2**63),
    ],
)
def test_a_field_of_a_line_is_refused_by_name(run, field):
    (run.path / "clock.jsonl").write_text(f'{{"update": 1, {field}}}\n{{"update": 3}}\n')
    with pytest.raises(BadFile, match=r"clock\.jsonl: missing or damaged \(line 1(, |: )"):
        run.records("clock")


def test_forgetting_keeps_the_lines_byte_for_byte(run):
    text = '{"update": 1,   "V": 1.50}\n'
    (run.path / "metrics.jsonl").write_text(text + '{"update": 2}\n')
    run.forget_after(1)
    assert (run.path / "metrics.jsonl").read_text() == text


STRANGE = [
    ({"w": torch.tensor([math.nan])}, "F32", "w is nan"),
    ({"w": torch.ones(2, dtype=torch.complex64)}, "C64", "."),
    ({"w": torch.ones(2).to(torch.float8_e4m3fn)}, "F8_E4M3", "w is of type torch.float8_e4m3fn"),
]


@pytest.mark.parametrize(("tensors", "kind", "why"), STRANGE, ids=lambda v: str(v)[:20])
def test_tensors_that_no_run_saves_are_refused_by_name(tensors, kind, why, tmp_path):
    path = tmp_path / "x.safetensors"
    words = {"__metadata__": {"advnets": json.dumps({"format": 2, "update": 1, "crc32": 0})}}
    (w,) = tensors.values()  # by hand: a release of safetensors may not know the type
    raw = bytes(w.view(torch.uint8).tolist())
    words["w"] = {"dtype": kind, "shape": [len(w)], "data_offsets": [0, len(raw)]}
    head = json.dumps(words).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + raw)
    with pytest.raises(BadFile, match=rf"x\.safetensors: damaged checkpoint \({why}"):
        read_checkpoint(path)


# Links and pipes


@pytest.fixture
def elsewhere(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "99999999.png").write_text("precious")
    (tmp_path / "precious").write_text("precious")
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("name", ["checkpoints", "samples", "tensorboard"])
def test_no_run_begins_in_a_folder_that_leads_elsewhere(run, elsewhere, name):
    if (run.path / name).exists():
        (run.path / name).rmdir()
    (run.path / name).symlink_to(elsewhere)
    message = rf"{name}: must be a folder of the run itself, got a symbolic link"
    with pytest.raises(BadFile, match=message), run.lock():
        pass
    if name != "tensorboard":
        with pytest.raises(BadFile, match=message):
            run.forget_after(0)
    assert names(elsewhere) == ["99999999.png"]


def test_links_are_not_written_through(run, elsewhere):
    precious = elsewhere.parent / "precious"
    for name in (".lock", "metrics.jsonl", "evaluation.json", ".part.evaluation.json"):
        (run.path / name).symlink_to(precious)
    with pytest.raises(CannotWrite, match=r"\.lock: could not be saved"), run.lock():
        pass
    with pytest.raises(CannotWrite, match=r"metrics\.jsonl: could not be saved"):
        run.log({"update": 1})
    write_atomically(run.place("evaluation.json"), b"scores")
    assert (run.path / "evaluation.json").read_bytes() == b"scores"
    assert not (run.path / "evaluation.json").is_symlink()
    run.forget_after(0)
    run.log({"update": 1})
    assert precious.read_text() == "precious"


def test_a_hard_link_to_the_lock_or_the_log_changes_nothing_elsewhere(run, elsewhere):
    precious = elsewhere.parent / "precious"
    for name in (".lock", "metrics.jsonl"):
        (run.path / name).hardlink_to(precious)
    with run.lock():
        run.forget_after(0)
        run.log({"update": 1})
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("name", ["metrics.jsonl", "data.json", "checkpoints/00000001.safetensors"])
def test_a_pipe_is_refused_and_not_waited_for(run, name):
    os.mkfifo(run.path / name)
    with pytest.raises(BadFile, match=rf"{name}: must be a regular file, got a named pipe\."):
        {"m": run.records, "d": run.data, "c": lambda: run.latest(silent)}[name[0]]()
    if name == "metrics.jsonl":
        with pytest.raises((BadFile, CannotWrite), match=r"metrics\.jsonl: "):
            run.log({"update": 1})


def test_a_device_behind_a_link_is_refused(run):
    (run.path / "data.json").symlink_to("/dev/zero")
    with pytest.raises(BadFile, match=r"data\.json: must be a regular file, got a device\."):
        run.data()


@pytest.mark.parametrize("replace", [True, False])
def test_a_folder_that_is_replaced_under_a_run_is_not_written_into(run, replace, tmp_path):
    writes = {
        "log": lambda: run.log({"update": 2}),
        "save": lambda: save(run, 2),
        "picture": lambda: run.picture_path(2),
        "place": lambda: run.place("evaluation.json"),
    }
    with run.lock():
        save(run, 1)
        run.path.rename(tmp_path / "away")
        if replace:
            RunDir.create(run.path, config="")
        for write in writes.values():
            with pytest.raises(WrongMoment, match=r"run: was moved away, deleted or replaced"):
                write()
    if replace:
        assert names(run.path) == ["checkpoints", "config.toml", "samples"]


# Files that are being written


def test_two_who_write_one_file_do_not_meet(tmp_path):
    path = tmp_path / "file.png"
    with files.atomic_path(path) as one, files.atomic_path(path) as other:
        assert one != other and one.suffix == other.suffix == ".png"
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["file.png"]


def test_forgetting_deletes_what_a_kill_left_and_not_what_is_being_written(run, elsewhere):
    with files.atomic_path(run.path / "evaluation.json") as writing:
        writing.write_bytes(b"scores")
        left = [writing.with_name(".part.evaluation.json.0123456789abcdef.json")]
        left += [run.path / "checkpoints" / ".part.00000004.safetensors"]  # as older versions did
        mine = [run.path / ".part.mine", run.path / ".part.notes.txt"]
        for path in (*left, *mine):
            path.write_bytes(b"x")
        planted = writing.with_name(".part.metrics.jsonl.0123456789abcdef.jsonl")
        planted.symlink_to(elsewhere.parent / "precious")
        run.forget_after(0)
        assert writing.exists() and not any(path.exists() for path in left)
        assert all(path.exists() for path in mine)
    assert (run.path / "evaluation.json").read_bytes() == b"scores"
    assert (elsewhere.parent / "precious").read_text() == "precious"


def test_a_half_written_file_that_is_taken_away_is_an_error(tmp_path):
    (tmp_path / "file").write_text("old")
    with (
        pytest.raises(CannotWrite, match=r"file: could not be saved \(somebody took the half-"),
        files.atomic_path(tmp_path / "file") as aside,
    ):
        aside.unlink()
    assert names(tmp_path) == ["file"]


def test_a_name_as_long_as_a_name_can_be_is_written(tmp_path):
    name = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 127
    write_atomically(tmp_path / name, b"x")
    assert names(tmp_path) == [name]


def test_what_a_kill_left_of_a_folder_does_not_keep_anyone_from_making_it(tmp_path):
    (tmp_path / f".run.{os.getpid()}" / "samples").mkdir(parents=True)
    RunDir.create(tmp_path / "run", config="")
    assert (tmp_path / "run" / "config.toml").exists()

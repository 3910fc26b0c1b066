"""Watching and steering runs: films, comparisons, listings, limits and the doctor."""

import json
import re
import shutil
import subprocess
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import advnets
from advnets.base import errors
from advnets.base.cpu import Processor
from advnets.cli import doctor, main
from advnets.plotting import film
from advnets.report import compare
from advnets.runs import film as filming
from advnets.runs import train as running
from advnets.runs.run_config import config_of
from advnets.sampling.interpolation import closed_walk, slerp
from advnets.storage.checkpoints import read_checkpoint
from advnets.storage.listing import listed
from advnets.training.config import TrainerConfig
from advnets.training.limits import Limit, seconds_of
from conftest import ROOT, small_config, small_game, small_run


def said(capsys):
    """The one line of a user's mistake."""
    err = capsys.readouterr().err
    assert err.startswith("advnets: ") and err.count("\n") == 1, err
    assert len(err) <= 210
    return err


def frames_of(path):
    with Image.open(path) as image:
        return [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(image)]


# Walks through z


def test_an_arc_turns_evenly_and_keeps_the_norm():
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(2, 50, 8, generator=rng, dtype=torch.float64)
    u0, u1 = z / z.norm(dim=-1, keepdim=True)
    at = torch.linspace(0, 1, 5, dtype=torch.float64)
    path = torch.stack([slerp(u0, u1, t) for t in at])
    torch.testing.assert_close(path.norm(dim=-1), torch.ones(5, 50, dtype=torch.float64))
    turned = torch.arccos((path[1:] * path[:-1]).sum(dim=-1).clamp(-1, 1))
    torch.testing.assert_close(turned, turned[:1].expand_as(turned))
    torch.testing.assert_close(slerp(z[0], z[1], at[0]), z[0])
    torch.testing.assert_close(slerp(z[0], z[1], at[-1]), z[1])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_equal_and_opposite_directions_are_joined_by_a_line(sign):
    z = torch.tensor([[3.0, 4.0]])
    halfway = slerp(z, sign * z, torch.tensor(0.5))
    torch.testing.assert_close(halfway, (z + sign * z) / 2)


@pytest.mark.parametrize("spherical", [True, False])
def test_a_walk_is_closed_and_passes_its_corners(spherical):
    corners = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(1))
    path = closed_walk(corners, 12, spherical=spherical)
    assert path.shape == (12, 3, 5)
    for k in range(4):
        torch.testing.assert_close(path[3 * k], corners[k])
    twice = closed_walk(torch.cat([corners, corners]), 24, spherical=spherical)
    torch.testing.assert_close(twice, torch.cat([path, path]))


def test_a_walk_of_uniform_z_stays_in_its_range():
    corners = torch.empty(4, 100, 3).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    assert closed_walk(corners, 40, spherical=False).abs().max() <= 1


def test_a_walk_needs_two_corners():
    with pytest.raises(
        errors.BadValue, match="'corners' must be a number that is at least 2, got 1"
    ):
        closed_walk(torch.zeros(1, 2), 3, spherical=False)


# Films


@pytest.mark.parametrize("kind", [".gif", ".webp", ".mp4"])
def test_a_film_has_the_frames_that_it_was_given(kind, tmp_path):
    if kind == ".mp4":
        package = pytest.importorskip("imageio_ffmpeg")
    levels = (0, 120, 240)
    given = [np.full((33, 48, 3), level, dtype=np.uint8) for level in levels]
    for frame, level in zip(given, levels, strict=True):
        frame[:8, :8] = 255 - level
    path = tmp_path / f"a{kind}"
    film.save(path, given, fps=10, hold=0.5)
    if kind == ".mp4":
        words = [
            package.get_ffmpeg_exe(),
            "-i",
            str(path),
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ]
        read = subprocess.run(words, capture_output=True, check=True)
        assert b"48x34" in read.stderr and b"10 fps" in read.stderr  # even sides
        found = np.frombuffer(read.stdout, np.uint8).reshape(-1, 34, 48, 3)
        assert len(found) == 3 + 5  # the last one is shown half a second longer
        found = found[:3, :33]
    else:
        found = frames_of(path)
        with Image.open(path) as image:
            assert image.info["loop"] == 0
    assert len(found) == 3
    for frame, own in zip(found, given, strict=True):
        assert abs(frame[20, 20].astype(int) - own[20, 20]).max() <= 6
        assert abs(frame[3, 3].astype(int) - own[3, 3]).max() <= 6


def test_an_mp4_without_its_package_names_the_extra(images, tmp_path, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    out = tmp_path / "a.mp4"
    assert main(["video", str(images), "--out", str(out)]) == 2
    need = "'imageio-ffmpeg' is not installed; run: pip install 'advnets[video]'"
    assert need in said(capsys)
    assert not out.exists()


def test_the_film_of_a_training_shows_every_picture_that_was_kept(images, tmp_path, capsys):
    out = tmp_path / "a.gif"
    assert main(["video", str(images), "--out", str(out)]) == 0
    kept = sorted((images / "samples").iterdir())
    assert f"{len(kept)} frames of the training" in capsys.readouterr().out
    found = frames_of(out)
    for frame, path in zip(found, kept, strict=True):
        own = np.asarray(Image.open(path).convert("RGB")).astype(int)
        assert frame.shape[1] == own.shape[1] and frame.shape[0] > own.shape[0]
        assert abs(frame[: own.shape[0]] - own).mean() < 4  # in 256 colours
        assert len(np.unique(frame[own.shape[0] :])) > 1  # the caption


def test_a_damaged_picture_is_left_out_and_said(points, tmp_path):
    shutil.copytree(points, tmp_path / "run")
    folder = advnets.load(tmp_path / "run").folder
    folder.picture_path(30).write_bytes(b"no picture")
    heard, whole = [], len(folder.pictures()) - 1
    assert len(filming.of_training(folder, frames=9, say=heard.append)) == whole
    (line,) = heard
    assert "00000030.png: left out" in line


def test_the_most_frames_include_the_first_and_the_last(points, tmp_path):
    shutil.copytree(points, tmp_path / "run")
    folder = advnets.load(tmp_path / "run").folder
    for update in range(1, 10):
        shutil.copy(folder.picture_path(20), folder.picture_path(update))
    assert len(filming.of_training(folder, frames=4, say=print)) == 4


@pytest.mark.parametrize("kind", ["images", "points"])
def test_a_walk_begins_with_the_samples_of_its_seed_and_closes(kind, request):
    run = advnets.load(request.getfixturevalue(kind))
    a, b = (filming.walk(run, frames=n, seed=3) for n in (2, 4))
    assert len(a) == 2 and len({f.shape for f in [*a, *b]}) == 1
    assert not np.array_equal(a[0], filming.walk(run, frames=2, seed=4)[0])
    if kind == "images":  # of points, a trail has other frames
        for i in range(2):
            assert np.array_equal(a[i], b[2 * i])
        own = filming.images.grid(run.sample(16, seed=3))
        own = filming.images.enlarged(own, width=filming.WIDTH)
        assert np.abs(a[0].astype(int) - own).max() <= 1


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A conditional run on dark and bright pictures."""
    folder = tmp_path_factory.mktemp("told")
    rng, y = np.random.default_rng(0), np.arange(200) % 2
    x = (rng.integers(0, 120, (200, 6, 5)) + 100 * y[:, None, None]).astype(np.uint8)
    np.savez(folder / "x.npz", x=x, y=3 + 4 * y)
    config = small_run(
        data=advnets.data.ArrayConfig(path=str(folder / "x.npz")),
        model=small_config(context="labels"),
        trainer=TrainerConfig(steps=6, score_every=0, sample_every=6),
    )
    assert advnets.train(config, folder / "run")
    return folder / "run"


def test_a_conditional_walk_keeps_the_class_of_each_row(told):
    run = advnets.load(told)
    both = filming.walk(run, frames=2, seed=1)
    x = torch.cat([run.sample(4, seed=1, context=torch.tensor(c)) for c in (3, 7)])
    own = filming.images.enlarged(filming.images.grid(x, columns=4), width=filming.WIDTH)
    assert np.abs(both[0].astype(int) - own).max() <= 1
    one = filming.walk(run, frames=2, seed=1, classes=["7"])
    assert one[0].shape != both[0].shape
    with pytest.raises(errors.BadValue, match=r"Unknown class '5'\."):
        filming.walk(run, frames=2, classes=["5"])


WRONG = {
    "a seed without a walk": ("--seed 3", r"'seed' must be given with --walk, got 3 without it\."),
    "a class without a walk": ("--class 3 4", r"'class' must be given with --walk, got 3 4 with"),
    "another kind": (
        "--out a.avi",
        r"'out' must be NAME\.gif, NAME\.webp or NAME\.mp4, got a\.avi",
    ),
    "no time": ("--fps 0", r"'fps' must be above 0 and at most 50, got 0\."),
    "one frame": ("--frames 1", r"'frames' must be a number that is at least 2, got 1\."),
    "a class of none": ("--walk --class 3", r"'class' must be left out: the run is not cond"),
    "other weights": ("--walk --weights best", r"Unknown weights 'best'\."),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_film_that_cannot_be_made_is_one_line(case, images, tmp_path, monkeypatch, capsys):
    words, need = WRONG[case]
    monkeypatch.chdir(tmp_path)
    assert main(["video", str(images), *words.split()]) == 2
    assert re.search(need, said(capsys))
    assert not list(tmp_path.iterdir())


def test_a_run_without_pictures_says_what_is_needed(points, tmp_path, capsys):
    shutil.copytree(points, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "samples")
    assert main(["video", str(tmp_path / "run")]) == 2
    assert "must have at least two pictures in samples/ (--trainer.sample-every" in said(capsys)


def test_pictures_of_points_have_the_axes_of_the_data(tmp_path):
    data = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    for name, far in (("near", 0.5), ("far", 50.0)):
        samples = torch.tensor([[0.0, 0.0], [far, 0.0]])
        filming.images.save_points(tmp_path / f"{name}.png", samples, data)
    near, far = (
        np.asarray(Image.open(tmp_path / f"{n}.png").convert("RGB")) for n in ("near", "far")
    )
    assert near.shape == far.shape
    border = (slice(0, 20), slice(None))
    assert np.array_equal(near[border], far[border])


# Comparisons


@pytest.fixture(scope="module")
def pair(points, tmp_path_factory):
    """Two runs that differ in their seed and in D's loss weight."""
    folder = tmp_path_factory.mktemp("pair")
    shutil.copytree(points, folder / "a")
    config = config_of(points)
    model = config.model.__class__(**{**vars(config.model), "D_loss_weight": 0.75})
    assert advnets.train(
        config.__class__(**{**vars(config), "seed": 5, "model": model}), folder / "b&<i>"
    )
    return folder


def test_a_comparison_has_scores_curves_samples_and_only_what_differs(
    pair, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", str(pair / "a"), str(pair / "b&<i>")]) == 0
    assert "Comparison of 2 runs: compare.html" in capsys.readouterr().out
    text = (tmp_path / "compare.html").read_text()
    assert "b&amp;&lt;i&gt;" in text and "<i>" not in re.sub(r"<i>p</i>", "", text)
    rows = re.findall(r'<th scope="row" role="rowheader">([^<]*)</th>', text)
    assert [r for r in rows if "." in r or r == "seed"] == ["seed", "model.D_loss_weight"]
    assert text.count("data:image/png;base64,") == 2
    assert text.count('class="chart"') >= 6
    assert "not scored: advnets evaluate" in text
    assert not re.search(r'(src|href)="https?:', text)


def test_scores_that_were_kept_are_shown(pair, tmp_path):
    shutil.copytree(pair / "a", tmp_path / "a")
    result = advnets.load(tmp_path / "a").score(quality=False)
    text = compare.score_table(compare.opened([tmp_path / "a", pair / "b&<i>"]), print)
    assert compare.scores.score(result.lines[0].test) in text


@pytest.mark.parametrize(
    ("names", "need"),
    [
        (["a"], "'RUN' must be two to 8 runs, got 1."),
        ([], "'RUN' must be two to 8 runs, got 0."),
        (["a", "./a"], "'RUN' must be different runs, got"),
        (["a", "nothing"], "nothing: is not a run folder"),
        (["a", "b&<i>", "--out", "x.pdf"], "'out' must be NAME.html, got x.pdf."),
    ],
)
def test_runs_that_cannot_be_compared_are_one_line(names, need, pair, monkeypatch, capsys):
    monkeypatch.chdir(pair)
    before = sorted(pair.rglob("*"))
    assert main(["compare", *names]) == 2
    assert need in said(capsys)
    assert sorted(pair.rglob("*")) == before


# Listings


def test_a_folder_of_runs_is_listed_whatever_lies_in_it(pair, points, tmp_path, capsys):
    runs = tmp_path / "runs"
    shutil.copytree(points, runs / "whole")
    shutil.copytree(points, runs / "table" / "row")
    shutil.copytree(points, runs / "cut")
    for name in ("00000036", "00000040"):
        (runs / "cut" / "checkpoints" / f"{name}.safetensors").unlink()
    (runs / "cut" / "checkpoints" / "00000012.safetensors").write_bytes(b"")
    shutil.copytree(points, runs / "torn")
    (runs / "torn" / "config.toml").write_text("steps = [")
    shutil.copytree(points, runs / "odd")
    log = runs / "odd" / "metrics.jsonl"
    log.write_text("{\n" + log.read_text())
    (runs / "nothing").mkdir()
    (runs / "note.txt").write_text("mine")
    found = {entry.name: entry for entry in listed(runs)}
    assert {name: e.state for name, e in found.items()} == {
        "whole": "finished",
        "table/row": "finished",
        "cut": "interrupted",
        "torn": "damaged",
        "odd": "damaged",
        "nothing": "foreign",
    }
    whole = found["whole"]
    best = advnets.load(points)
    assert (whole.update, whole.steps, whole.recipe) == (40, 40, "small")
    assert whole.score_update == best.update
    facts = read_checkpoint(points / "checkpoints" / "best.safetensors").facts
    assert whole.score == facts["best"]["score"]
    assert whole.size_bytes == sum(p.stat().st_size for p in points.rglob("*") if p.is_file())
    assert found["cut"].update == 12
    assert "line 1" in found["odd"].why and "not valid TOML" in found["torn"].why
    assert main(["runs", str(runs), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in table] == [*found]
    assert main(["runs", "--json", str(runs / "whole")]) == 0
    assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["finished"]
    assert main(["runs", str(runs)]) == 0
    out = capsys.readouterr().out
    assert "torn: damaged (" in out and "40/40" in out


def test_a_run_that_is_being_trained_is_running(points, tmp_path):
    shutil.copytree(points, tmp_path / "runs" / "a")
    folder = advnets.load(tmp_path / "runs" / "a").folder
    with folder.lock():
        (own,) = listed(tmp_path / "runs")
    assert own.state == "running"
    (own,) = listed(tmp_path / "runs")
    assert own.state == "finished"
    with folder.lock():  # looking took no lock
        pass


def test_a_folder_of_fit_is_listed_without_a_length(tmp_path):
    x = torch.rand(64, 2, generator=torch.Generator().manual_seed(0))
    advnets.fit(small_game(), x, steps=3, folder=tmp_path / "runs" / "own")
    (own,) = listed(tmp_path / "runs")
    assert (own.state, own.recipe, own.update, own.steps) == ("fitted", "Game", 3, None)


def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["runs", str(tmp_path / "none")]) == 2
    assert "none: no such file; give a folder of runs" in said(capsys)
    assert main(["runs", str(tmp_path), "--jsn"]) == 2
    assert "Did you mean '--json'?" in said(capsys)


# Limits


def run_of(tmp_path, name, **limit):
    config = small_run(
        trainer=TrainerConfig(steps=40, log_every=5, score_every=10, sample_every=20)
    )
    return running.train(config, tmp_path / name, limit=Limit(**limit) if limit else None)


def test_a_run_in_pieces_is_the_whole_run_bit_for_bit(tmp_path):
    assert run_of(tmp_path, "whole")
    limit = Limit(updates=7)
    config = small_run(
        trainer=TrainerConfig(steps=40, log_every=5, score_every=10, sample_every=20)
    )
    finished = running.train(config, tmp_path / "cut", limit=limit)
    assert not finished and limit.reached
    calls = 1
    while not finished:
        assert advnets.load(tmp_path / "cut", checkpoint="last").update == 7 * calls
        finished = running.resume(tmp_path / "cut", limit=Limit(updates=7))
        calls += 1
    assert calls == 6
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert (whole / "metrics.jsonl").read_bytes() == (cut / "metrics.jsonl").read_bytes()
    for name in ("00000040", "best"):
        a, b = (read_checkpoint(p / "checkpoints" / f"{name}.safetensors") for p in (whole, cut))
        assert a.tensors.keys() == b.tensors.keys()
        assert all(torch.equal(a.tensors[n], b.tensors[n]) for n in a.tensors)


def test_a_run_out_of_time_is_saved_at_once(tmp_path):
    limit = Limit(seconds=0)
    config = small_run()
    assert not running.train(config, tmp_path / "run", limit=limit)
    assert limit.reached
    assert advnets.load(tmp_path / "run", checkpoint="last").update == 0
    assert running.resume(tmp_path / "run")


def test_the_command_stops_with_success_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(small_run().to_toml())
    words = ["train", "small.toml", "--folder", "my run", "--stop-after", "5", "--max-time", "1h"]
    assert main(words) == 0
    assert "Go on with: advnets train --resume 'my run'" in capsys.readouterr().out
    assert main(["train", "--resume", "my run", "--stop-after", "35"]) == 0
    assert "Finished: my run." in capsys.readouterr().out
    assert "max_time" not in (tmp_path / "my run" / "config.toml").read_text()


@pytest.mark.parametrize("words", ["2q", "", "90", "-5m", "0s", "1m1h", "1e3s", "inf", "h"])
def test_a_wrong_duration_is_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ring", f"--max-time={words}"]) == 2
    need = f"'max_time' must be a duration above 0, such as 90s, 30m or 1h30m, got {words or 'nothing'}."
    assert need in said(capsys)
    assert not list(tmp_path.iterdir())


def test_durations():
    found = {w: seconds_of(w) for w in ("90s", "30m", "2h", "1h30m", "1.5h", "1d", " 2H ")}
    assert [*found.values()] == [90, 1800, 7200, 5400, 5400, 86_400, 7200]


def test_no_updates_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ring", "--stop-after", "0"]) == 2
    assert "'stop_after' must be a number that is at least 1, got 0." in said(capsys)
    assert not list(tmp_path.iterdir())


# Callbacks


def test_an_object_is_told_of_the_start_and_the_end(tmp_path):
    class Recorder:
        def __init__(self):
            self.seen = []

        def start(self, at):
            self.seen.append(("start", at.update, at.steps, at.folder.name, at.settings["seed"]))

        def __call__(self, at):
            if "V" in at.metrics or at.picture:
                self.seen.append((at.update, at.picture and at.picture.name, "seconds" in at.clock))

        def close(self):
            self.seen.append("close")

    own = Recorder()
    every = {"log_every": 2, "score_every": 0, "sample_every": 4, "first_samples": ()}
    trainer = TrainerConfig(steps=4, **every)
    running.train(small_run(trainer=trainer), tmp_path / "run", callbacks=[own])
    start, *rest = own.seen
    assert start == ("start", 0, 4, "run", 0)
    assert rest == [(2, None, True), (4, "00000004.png", True), "close"]


def test_the_end_is_told_of_however_it_comes():
    closed = []

    class Fails:
        def __call__(self, at):
            raise ZeroDivisionError

        def close(self):
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        advnets.fit(small_game(), torch.zeros(64, 2), steps=2, callbacks=[Fails()])
    assert closed == [True]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"update": 1.0}, r"'log' must be a name of a metric other than update, .*got update"),
        ({"validation": 1.0}, r"other than .*got validation"),
        ({"mine": "a"}, r"'mine' must be a number, or a tensor of one, got a str"),
        ({"mine": torch.zeros(2)}, r"'mine' must be a number, or a tensor of one, got a Tensor"),
    ],
)
def test_what_a_callback_cannot_log_is_refused_by_name(metrics, words):
    game = small_game(order="alternating")
    with pytest.raises(errors.BadValue, match=words):
        advnets.fit(game, torch.rand(64, 2), steps=2, callbacks=[lambda at: at.log(**metrics)])


def test_a_callback_that_cannot_be_called_is_refused_before_the_first_update():
    game = small_game(order="alternating")
    with pytest.raises(
        errors.BadValue, match=r"'callbacks' must be functions.* of a Moment, got 3"
    ):
        advnets.fit(game, torch.rand(64, 2), steps=2, callbacks=[3])
    assert game.updates == 0


def test_a_callback_sees_what_those_before_it_logged():
    seen = []
    advnets.fit(
        small_game(),
        torch.rand(64, 2),
        TrainerConfig(steps=2, log_every=1),
        callbacks=[lambda at: at.log(own=at.update), lambda at: seen.append(at.metrics["own"])],
    )
    assert seen == [1.0, 2.0]


# The doctor


def test_the_doctor_says_what_is_there_and_what_helps(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ADVNETS_DATA", str(tmp_path))
    monkeypatch.setattr(doctor, "EXTRAS", {"none": ("no_such_package", "nothing")})
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("Python", torch.__version__, "processor", "memory", "GPU", str(tmp_path), "cache"):
        assert word in out
    assert "none (missing): pip install 'advnets[none]'" in out


def test_the_doctor_lists_every_extra_that_a_user_may_want():
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = own["project"]["optional-dependencies"]
    assert {*doctor.EXTRAS} == {*extras} - {"dev", "bench", "docs", "oracle"}
    for extra, (package, _) in doctor.EXTRAS.items():
        assert any(re.split(r"[>=]", d)[0].replace("-", "_") == package for d in extras[extra])


def test_the_doctor_lives_with_a_torch_that_cannot_be_imported(monkeypatch, capsys):
    def broken(name):
        if name == "torch":
            raise OSError("libtorch.so: wrong ELF class")
        return __import__(name)

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    found = {f.name: f for f in doctor.software()}
    assert found["torch"].mark == "missing"
    assert "wrong ELF class" in capsys.readouterr().err


CPUS = {
    "bfloat16": ({"avx2", "avx512f", "avx512_bf16"}, "", "pictures are trained in bfloat16"),
    "none": ({"avx2"}, "slow", "everything in float32"),
    "unknown": (set(), "", "unknown"),
}


@pytest.mark.parametrize("case", CPUS)
def test_the_doctor_reads_the_processor(case):
    flags, mark, words = CPUS[case]
    found = doctor.instructions(Processor("any", frozenset(flags)))
    assert found.mark == mark and words in found.found


def test_the_doctor_has_no_options(capsys):
    assert main(["doctor", "--fast"]) == 2
    assert "Unknown option '--fast'." in said(capsys)

"""The command, as its user meets it."""

import json
import os
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image

import advnets
from advnets import recipes
from advnets.base import errors
from advnets.cli import command as main
from advnets.runs import train as run
from advnets.storage import checkpoints
from conftest import small_config, small_run

IMAGES = (
    "--trainer.steps 6 --batch_size 10 --evaluation.samples 20 --model.G.hidden 5 --model.D.units 5"
)


@pytest.fixture
def trained(tmp_path, monkeypatch, capsys):
    """A run on pictures of 6 x 5 pixels, made by the command."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (200, 6, 5), dtype=np.uint8))
    assert (
        main.main(["train", "array", "--data.path", "x.npy", "--folder", "runs/a", *IMAGES.split()])
        == 0
    )
    capsys.readouterr()
    return tmp_path


def test_help_teaches(capsys):
    for words in ([], ["--help"], ["-h"]):
        assert main.main(words) == 0
        out = capsys.readouterr().out
        assert "advnets train demo" in out
        assert "advnets evaluate" in out


@pytest.mark.parametrize(
    "command", ["train demo", "sample", "evaluate", "report", "figure", "figure 2"]
)
def test_every_command_shows_its_options_with_their_defaults(command, capsys):
    with pytest.raises(SystemExit) as end:
        main.main([*command.split(), "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "--checkpoint" in out or "--model.G_optimizer.lr" in out
    assert "default:" in out


def test_version(capsys):
    assert main.main(["--version"]) == 0
    assert re.fullmatch(r"advnets \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_recipes_are_listed_with_command_time_and_score(capsys):
    assert main.main(["recipes"]) == 0
    out = capsys.readouterr().out
    for name in recipes.RECIPES:
        assert re.search(rf"^{name}\n", out, re.MULTILINE)
        assert f"advnets train {name}" in out


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_dry_run_prints_toml_that_trains_the_same(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(["train", name, "--seed", "3", "--batch_size", "40", "--dry_run"]) == 0
    printed = capsys.readouterr().out
    assert tomllib.loads(printed)["batch_size"] == 40
    (tmp_path / "my.toml").write_text(printed)
    config = run.read_config("my.toml")
    assert config.seed == 3
    assert type(config.data) is type(recipes.get(name).data)
    assert main.main(["train", "my.toml", "--dry_run"]) == 0
    assert capsys.readouterr().out == printed
    assert not (tmp_path / "runs").exists()


def test_options_of_every_type(capsys):
    words = "train mnist --dry-run --model.G.hidden 30 20 --model.order alternating --model.D.max_col_norm 1.5"
    assert main.main(words.split()) == 0
    table = tomllib.loads(capsys.readouterr().out)
    assert table["model"]["G"]["hidden"] == [30, 20]
    assert table["model"]["order"] == "alternating"
    assert table["model"]["D"]["max_col_norm"] == 1.5


def test_a_run_folder_explains_itself(trained):
    folder = trained / "runs" / "a"
    files = {p.name for p in folder.iterdir()}
    assert {
        "config.toml",
        "data.json",
        "environment.json",
        "metrics.jsonl",
        "clock.jsonl",
        "checkpoints",
        "samples",
    } <= files
    about = json.loads((folder / "environment.json").read_text())
    assert about["torch"] == torch.__version__
    with Image.open(folder / "samples" / "00000006.png") as picture:
        assert picture.width > 100


def test_samples_come_as_a_picture_an_array_or_single_files(trained, capsys):
    assert main.main(["sample", "runs/a", "--n", "12"]) == 0
    assert "12 raw samples of update 6: runs/a/samples.png" in capsys.readouterr().out
    assert main.main(["sample", "runs/a", "--n", "5", "--start", "7", "--out", "x12.npy"]) == 0
    whole = advnets.load("runs/a").sample(12, seed=0)
    torch.testing.assert_close(torch.from_numpy(np.load("x12.npy")), whole[7:], atol=1e-5, rtol=0)
    assert main.main(["sample", "runs/a", "--n", "2", "--start", "41", "--out", "singles"]) == 0
    assert sorted(p.name for p in (trained / "singles").iterdir()) == ["000041.png", "000042.png"]
    with Image.open("singles/000042.png") as picture:
        assert picture.size == (5, 6)


def test_an_array_gets_the_name_that_was_asked_for(trained):
    assert main.main(["sample", "runs/a", "--n", "3", "--out", "upper.NPY"]) == 0
    assert np.load("upper.NPY").shape == (3, 1, 6, 5)
    assert not list(trained.glob(".part.*"))


def test_a_folder_holds_the_samples_of_one_call(trained, capsys):
    assert main.main(["sample", "runs/a", "--n", "2", "--out", "one-call"]) == 0
    before = {p: p.read_bytes() for p in (trained / "one-call").iterdir()}
    for seed in ("0", "1"):
        words = ["sample", "runs/a", "--n", "1", "--seed", seed, "--out", "one-call"]
        assert main.main(words) == 2
        assert "'out' must be a new or an empty folder, got one-call" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in (trained / "one-call").iterdir()} == before


OWN = [
    ("sample", "samples/00000006.png"),
    ("sample", "samples"),
    ("sample", "tensorboard"),
    ("sample", "checkpoints/x.npy"),
    ("sample", "evaluation.png"),
    ("report", "config.toml"),
    ("report", "samples/page.html"),
    ("figure 2", "samples/00000006.png"),
]


@pytest.mark.parametrize(("command", "name"), OWN, ids=lambda words: words)
def test_no_output_takes_the_place_of_a_runs_own_file(trained, command, name, capsys):
    run = trained / "runs/a"
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert main.main([*command.split(), "runs/a", "--out", f"runs/a/{name}"]) == 2
    err = capsys.readouterr().err
    assert re.search(r"^advnets: 'out' must be [^\n]*\n$", err), err
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


OUTPUTS = {
    "sample": (".png", ".npy"),
    "report": (".html",),
    "figure 2": (".png",),
    "theory": (".html",),
    "theory --failures": (".html", ".md"),
}


@pytest.mark.parametrize("command", OUTPUTS)
def test_no_output_takes_the_place_of_what_is_no_file(trained, command, tmp_path, capsys):
    run = [] if command.startswith("theory") else ["runs/a"]
    for suffix in OUTPUTS[command]:
        pipe, link, folder = (tmp_path / f"{name}{suffix}" for name in ("pipe", "link", "folder"))
        os.mkfifo(pipe)
        link.symlink_to("/dev/null")
        folder.mkdir()
        for out, got in ((pipe, "a named pipe"), (link, "a symbolic link"), (folder, "a folder")):
            assert main.main([*command.split(), *run, "--out", str(out)]) == 2
            need = f"'out' must be a new or a regular file, got {out}, {got}."
            assert need in capsys.readouterr().err
        assert pipe.is_fifo() and link.is_symlink() and folder.is_dir()


def test_a_table_is_not_made_in_a_run(trained, capsys):
    assert main.main(["table", "1", "--quick", "--out", "runs/a"]) == 2
    assert "'out' must be a folder of runs, or a new one" in capsys.readouterr().err


def test_scores_that_cannot_be_kept_are_shown_all_the_same(trained, monkeypatch, capsys):
    def refused(path):
        raise errors.disk_full(path, "Read-only file system")

    monkeypatch.setattr(checkpoints, "written_aside", refused)
    assert main.main(["evaluate", "runs/a", "--samples", "20", "--quality", "False"]) == 0
    out, err = capsys.readouterr()
    assert "training mean" in out and "Scores:" not in out
    assert err.startswith("advnets: The scores are not kept: runs/a/evaluation.png: could not be")
    assert err.count("\n") == 1
    result = advnets.load("runs/a").score(quality=False)
    assert len(result.lines) == 4
    assert "The scores are not kept" in capsys.readouterr().err


def test_memory_that_runs_out_without_a_word_is_one_line(monkeypatch, capsys):
    def no_memory(words):
        raise MemoryError

    monkeypatch.setitem(main.COMMANDS, "sample", no_memory)
    assert main.main(["sample", "runs/a"]) == 2
    assert "do not fit in memory (no reason given)" in capsys.readouterr().err


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folder of a conditional run on two kinds of pictures, dark and bright."""
    folder = tmp_path_factory.mktemp("told")
    rng, y = np.random.default_rng(0), np.arange(200) % 2
    x = (rng.integers(0, 120, (200, 6, 5)) + 100 * y[:, None, None]).astype(np.uint8)
    np.savez(folder / "x.npz", x=x, y=3 + 4 * y)
    config = small_run(
        data=advnets.data.ArrayConfig(path=str(folder / "x.npz")),
        model=small_config(context="labels"),
        trainer=advnets.TrainerConfig(steps=6, score_every=0, picture_every=6),
    )
    assert advnets.train(config, folder / "run")
    return folder / "run"


def test_a_class_is_asked_for_by_name(told, tmp_path, capsys):
    out, run = str(tmp_path / "x.npy"), advnets.load(told)
    assert main.main(["sample", str(told), "--class", "7", "--n", "4", "--out", out]) == 0
    assert "4 raw samples of update 6, of each class 7" in capsys.readouterr().out
    expected = run.sample(4, context=torch.tensor(7))
    assert torch.equal(torch.from_numpy(np.load(out)), expected)
    assert not torch.equal(expected, run.sample(4, context=torch.tensor(3)))


def test_several_classes_are_a_row_each_or_a_folder_each(told, tmp_path):
    assert (
        main.main(["sample", str(told), "--class", "7", "3", "--out", str(tmp_path / "x.png")]) == 0
    )
    with Image.open(tmp_path / "x.png") as picture:
        rows, columns = 2 * (6 + 2) + 2, 10 * (5 + 2) + 2
        assert picture.width / picture.height == pytest.approx(columns / rows)
    words = ["sample", str(told), "--class", "7", "3", "--n", "2", "--out", str(tmp_path / "both")]
    assert main.main(words) == 0
    files = sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "both").rglob("*.png"))
    assert files == [f"both/{c}/00000{i}.png" for c in "37" for i in range(2)]


def test_without_a_class_they_come_as_often_as_in_training(told):
    run = advnets.load(told)
    contexts = run.sampler().contexts(5, seed=0)
    assert set(contexts.tolist()) <= {3, 7}
    torch.testing.assert_close(run.sample(5), run.sample(5, context=contexts))


def test_the_picture_of_a_conditional_run_has_a_row_for_each_class(told):
    with Image.open(told / "samples" / "00000006.png") as picture:
        rows, columns = 2 * (6 + 2) + 2, 10 * (5 + 2) + 2
        assert picture.width / picture.height == pytest.approx(columns / rows)


def test_averaged_weights_are_asked_for_by_name_and_said_to_be(trained, capsys):
    assert (
        main.main(["sample", "runs/a", "--n", "2", "--weights", "averaged", "--out", "a.npy"]) == 0
    )
    assert "2 averaged samples" in capsys.readouterr().out
    assert main.main(["sample", "runs/a", "--n", "2", "--out", "r.npy"]) == 0
    assert not np.array_equal(np.load("a.npy"), np.load("r.npy"))


def test_evaluate_prints_scores_reference_lines_caveat_and_where_things_are(trained, capsys):
    assert main.main(["evaluate", "runs/a"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in (
        "raw",
        "averaged",
        "real training examples",
        "training mean",
        "blur raises it",
        "runs/a/evaluation.png",
    ):
        assert words in out
    record = json.loads((trained / "runs/a/evaluation.json").read_text())
    assert [line["name"] for line in record["lines"]] == [
        "raw",
        "averaged",
        "real training examples",
        "training mean",
    ]
    for line in record["lines"]:
        assert line["test"].keys() == {"mean", "standard_error", "n", "sigma", "centres"}
    assert (trained / "runs/a/evaluation.png").exists()


def test_evaluate_shows_other_ways_to_see_quality(trained, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CACHE_HOME", str(trained / "cache"))
    assert main.main(["evaluate", "runs/a"]) == 0
    out, err = capsys.readouterr()
    assert "Training a small autoencoder on the 160 training examples" in err
    assert "Quality of 20 each against 20 test examples" in out
    for name in ("frechet", "kernel", "precision", "recall", "density", "coverage", "pairwise"):
        assert re.search(rf"^ *{name} +-?[\d.]+ \[-?[\d.]+, [\d.]+\]", out, re.MULTILINE), name
        assert re.search(rf"^{name} +(lower|higher|near) ", out, re.MULTILINE), name
    assert "15 inner numbers of a small autoencoder trained on" in out
    words = "'nearest training example' must be measured on at least 100 samples and as many real examples, got 20."
    assert words in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    quality = json.loads((trained / "runs/a/evaluation.json").read_text())["quality"]
    assert quality["features"] == "autoencoder" and quality["accuracy"] is None
    assert [row["name"] for row in quality["rows"]] == ["raw", "averaged", "real training examples"]
    assert main.main(["evaluate", "runs/a"]) == 0
    assert "Training" not in capsys.readouterr().err


def test_evaluate_leaves_other_measures_out_when_told(trained, capsys):
    assert main.main(["evaluate", "runs/a", "--quality", "False"]) == 0
    out, err = capsys.readouterr()
    assert "training mean" in out and "Quality of" not in out and err == ""
    assert json.loads((trained / "runs/a/evaluation.json").read_text())["quality"] is None


def test_evaluate_of_a_run_too_small_for_any_measure_still_scores(trained, capsys):
    assert main.main(["evaluate", "runs/a", "--samples", "12"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "training mean" in out and "Quality of" not in out
    words = "'precision, recall, density and coverage' must be measured on at least 20 samples and as many real examples, got 12."
    assert words in out
    record = json.loads((trained / "runs/a/evaluation.json").read_text())["quality"]
    assert record["measures"] == [] and len(record["left_out"]) == 5


def test_quality_of_a_run_on_validation_data(trained):
    found = advnets.load("runs/a").quality(20, against="validation")
    assert found.against == "validation" and found.n == 20
    assert advnets.load("runs/a").quality(20, against="validation") == found


@pytest.mark.parametrize("number", ["2", "3"])
def test_figure_writes_a_picture_and_says_of_what(number, trained, capsys):
    assert main.main(["figure", number, "runs/a"]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(
        rf"Figure {number}, raw weights of update \d+: runs/a/figure{number}\.png\n", out
    )
    words = ["--weights", "averaged", "--seed", "5", "--checkpoint", "last", "--out", "other.png"]
    assert main.main(["figure", number, "runs/a", *words]) == 0
    assert "averaged weights of update 6: other.png" in capsys.readouterr().out
    pictures = [Image.open(p).convert("RGB") for p in ("other.png", f"runs/a/figure{number}.png")]
    assert pictures[0].size == pictures[1].size
    assert pictures[0].tobytes() != pictures[1].tobytes()


def test_report_writes_a_page_and_says_where(trained, capsys):
    assert main.main(["report", "runs/a", "--checkpoint", "last"]) == 0
    out, err = capsys.readouterr()
    assert out == "Report: runs/a/report.html\n"
    assert "no scores of update 6 are kept here; scoring it first." in err
    assert main.main(["report", "runs/a", "--checkpoint", "last", "--out", "page.html"]) == 0
    page = (trained / "runs/a/report.html").read_text(encoding="utf-8")
    assert (trained / "page.html").read_text(encoding="utf-8") == page
    assert page.startswith("<!doctype html>")


def test_best_and_last_are_both_kept(trained):
    assert (
        advnets.load("runs/a", checkpoint="best").update
        <= advnets.load("runs/a", checkpoint="last").update
        == 6
    )


def test_python_and_command_give_the_same_run(trained):
    config = run.config_of("runs/a")
    assert advnets.train(config, "runs/b")
    files = [trained / "runs" / name / "metrics.jsonl" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_lines_are_plain_when_piped(tmp_path):
    (tmp_path / "small.toml").write_text(small_run().to_toml())
    done = subprocess.run(
        [sys.executable, "-m", "advnets", "train", "small.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in done.stderr
    assert re.search(
        r"update 40/40  [\d.]+ updates/s  0:00 left  V -\d\.\d{3}  J .* D_x .* D_Gz .* validation raw -?\d",
        done.stderr,
    )
    assert "Finished: runs/small. Next: advnets evaluate runs/small" in done.stdout


def test_tensorboard_gets_the_same_numbers(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "runs/a/tensorboard"))
    events.Reload()
    logged = [
        json.loads(line) for line in (trained / "runs/a/metrics.jsonl").read_text().splitlines()
    ]
    values = {e.step: e.value for e in events.Scalars("metrics/V")}
    for record in logged:
        if "V" in record:
            assert values[record["update"]] == pytest.approx(record["V"])

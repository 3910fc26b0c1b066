"""The command, as its user meets it."""

import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from importlib import metadata

import numpy as np
import pytest
import torch
from PIL import Image

import advnets
from advnets import recipes
from advnets.base import errors
from advnets.cli import command, main, option_table, quick, training
from advnets.runs import run_config
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
        main(["train", "array", "--data.path", "x.npy", "--folder", "runs/a", *IMAGES.split()]) == 0
    )
    capsys.readouterr()
    return tmp_path


def test_help_teaches(capsys):
    for words in ([], ["--help"], ["-h"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "advnets train demo" in out
        assert "advnets evaluate" in out


@pytest.mark.parametrize(
    "command",
    ["train demo", "sample", "evaluate", "report", "compare", "video", "figure", "figure 2"],
)
def test_every_command_shows_its_options_with_their_defaults(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "--checkpoint" in out or "--model.G-optimizer.lr" in out
    assert "default:" in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"advnets \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_recipes_are_a_table_and_each_has_its_text(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "what", "time", "score"]
    for name in recipes.RECIPES:
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert max(map(len, lines)) <= 80
    assert re.search(
        r"^ring +Eight Gaussians.* 31 s +0\.96 \+- 0\.03 nats", "\n".join(lines), re.MULTILINE
    )
    for name in recipes.RECIPES:
        assert main(["recipes", name]) == 0
        assert f"Command: advnets train {name}" in capsys.readouterr().out


def test_a_recipe_s_text_is_its_function_s():
    for name in recipes.RECIPES:
        function = getattr(recipes, name.replace("-", "_"))
        assert recipes.about(name) == inspect.getdoc(function)
        assert recipes.get(name) == function()


def helped(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", ["ring", "images", "vae"])
def test_help_shows_what_matters_and_help_all_the_rest(name, capsys):
    first = helped(["train", name, "--help"], capsys)
    options = re.findall(r"^  (--.*)$", first, re.MULTILINE)
    assert 8 <= len(options) <= 18
    for word in (
        "--steps, --trainer.steps INT",
        "--batch-size INT",
        "--epochs N",
        "--dry-run, --no-dry-run",
    ):
        assert word in options
    assert "--evaluation.sigma-low" not in first
    everything = helped(["train", name, "--help-all"], capsys)
    assert "--evaluation.sigma-low" in everything
    for text in (first, everything):
        assert "--x, --no-x, --x True or --x False" in " ".join(text.split())


def settings_of(words, capsys):
    assert main(["train", *words.split(), "--dry-run"]) == 0
    return tomllib.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "spelling", ["--model.compile", "--model.compile True", "--model.compile=true"]
)
def test_a_switch_is_turned_on(spelling, capsys):
    assert settings_of(f"ring {spelling} --seed 3", capsys)["model"]["compile"] is True


@pytest.mark.parametrize(
    "spelling",
    ["--no-trainer.warn", "--trainer.no-warn", "--trainer.warn False", "--trainer.warn=false"],
)
def test_a_switch_is_turned_off(spelling, capsys):
    assert settings_of(f"ring {spelling} --seed 3", capsys)["trainer"]["warn"] is False


def test_a_switch_left_open_takes_all_three(capsys):
    found = [
        settings_of(f"array {words}", capsys)["data"].get("resident")
        for words in ("--data.resident", "--data.no-resident", "--data.resident None")
    ]
    assert found == [True, False, None]


def test_a_switch_leaves_the_word_after_it(trained, capsys):
    assert main(["evaluate", "--no-quality", "runs/a", "--samples", "20"]) == 0
    assert "Quality of" not in capsys.readouterr().out


def test_familiar_names_mean_the_full_ones(capsys):
    same = settings_of(
        "ring --trainer.steps 7 --model.G-optimizer.lr .5 --model.D-optimizer.lr .25", capsys
    )
    assert settings_of("ring --steps 7 --lr .5 --model.D-optimizer.lr .25", capsys) == same
    assert settings_of("vae --lr=.5", capsys)["model"]["optimizer"]["lr"] == 0.5


def test_epochs_are_passes_over_the_training_set(capsys):
    words = "ring --data.examples 1010 --batch-size 100 --epochs 3"  # the last minibatch has 10
    assert settings_of(words, capsys)["trainer"]["steps"] == 33
    assert settings_of(f"{words} --model.k 2", capsys)["trainer"]["steps"] == 17
    assert settings_of(words.replace("3", ".5"), capsys)["trainer"]["steps"] == 6


QUICK = [
    "train demo --help", "train dbm --help-all", "train --help", "train --help-all", "train demo --dry-run",
    "train mnist-bigan --seed 3 --no-trainer.warn --steps 7 --folder a --dry-run", "train vae --stepz 3",
    "train demo --steps five", "train demo --trainer.steps -5", "train demo --model.objective foo", "train demo stray",
    "train demo --trainer.warn maybe", "train --stepz 3", "train mnits", "train demo --seed -1", "train demo --epochs x",
]  # fmt: skip
"""What `advnets train` answers from the table of options."""
WITHOUT_TORCH = [
    *QUICK, "--help", "--version", "recipes", "recipes ring", "trian", "train", "runs", "runs --help", "video --help",
    "video run --fsp 3", "compare --help", "compare --ckeckpoint last", "doctor --help", "doctor --fast", "sample --help",
    "sample run --cuont 3", "evaluate run --seed x", "complete run --erasse 1", "encode --help", "reconstruct run --x",
    "label-curve run --labells 3", "coordination --help", "coordination --seeds x", "figure --help", "figure 2 run --x",
    "table --help", "table 1 --x", "table 2 --seeds x",
]  # fmt: skip


def test_what_needs_no_model_needs_no_torch(tmp_path):
    code = (
        "import contextlib, os, sys; from advnets.cli import main\n"
        f"for words in {WITHOUT_TORCH!r}:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(open(os.devnull, 'w')):\n"
        "        main(words.split())\n"
        "    assert 'torch' not in sys.modules, words"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    said = done.stderr.splitlines()
    assert done.returncode == 0, said[-1]
    assert all(line.startswith("advnets: ") and len(line) <= 200 for line in said)


def answer(ask, words, capsys):
    """What is printed, its white space aside, and the refusal, if it is one."""
    refusal = ""
    try:
        ask(words.split()[1:])
    except errors.UserError as error:
        refusal = str(error)
    except SystemExit:  # after a help
        pass
    return capsys.readouterr().out.split(), refusal


@pytest.mark.parametrize("words", QUICK)
def test_a_quick_answer_is_the_one_of_the_models_themselves(words, capsys):
    assert answer(quick.answered, words, capsys) == answer(training.train, words, capsys)


@pytest.mark.parametrize(
    "words",
    ["--steps 7", "--dry-run --model.z-dim 0", "--dry-run --epochs 2", "--dry-run --resume a"],
)
def test_what_needs_a_model_is_left_to_it(words, capsys):
    assert not quick.answered(["demo", *words.split()])
    assert not capsys.readouterr().out


def test_the_table_of_options_is_that_of_the_recipes():
    written = json.loads(quick.TABLE.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(option_table.table())) == written, "run `make options`"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_has_commands_recipes_and_options(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("label-curve", "mnist-best", "model.G-optimizer.lr", "checkpoint"):
        assert word in script, word


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "advnets.sh").write_text(capsys.readouterr().out)

    def completed(*words):
        ask = f"""
        source {tmp_path / "advnets.sh"}
        COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}
        $(complete -p advnets | sed 's/.*-F *\\([^ ]*\\).*/\\1/') advnets {words[-1]} {words[-2]}
        printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        return [word.strip() for word in done.stdout.split()]

    assert completed("advnets", "samp") == ["sample"]
    assert completed("advnets", "train", "mnist-b") == ["mnist-best", "mnist-bigan"]
    assert completed("advnets", "sample", "--chec") == ["--checkpoint"]
    sizes = ["--data.size", "--data.smallest", "--data.splits"]
    assert completed("advnets", "train", "images-small", "--data.s") == sizes
    assert completed("advnets", "train", "demo", "--ste") == ["--steps"]
    assert completed("advnets", "completion", "z") == ["zsh"]
    assert completed("advnets", "table", "2", "--se") == ["--seeds", "--seconds"]
    assert completed("advnets", "table", "1", "--m") == ["--mnist", "--models"]
    assert completed("advnets", "export", "--checkpoint", "") == ["best", "last"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_with_the_script(capsys, tmp_path):
    assert main(["completion", "fish"]) == 0
    (tmp_path / "advnets.fish").write_text(capsys.readouterr().out)
    ask = f"source {tmp_path / 'advnets.fish'}; complete -C 'advnets train mnist-b'"
    done = subprocess.run(["fish", "-c", ask], capture_output=True, text=True, check=True)
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert found == ["mnist-best", "mnist-bigan"]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_dry_run_prints_toml_that_trains_the_same(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", name, "--seed", "3", "--batch_size", "40", "--dry_run"]) == 0
    printed = capsys.readouterr().out
    assert tomllib.loads(printed)["batch_size"] == 40
    (tmp_path / "my.toml").write_text(printed)
    config = run_config.read_config("my.toml")
    assert config.seed == 3
    assert type(config.data) is type(recipes.get(name).data)
    assert main(["train", "my.toml", "--dry_run"]) == 0
    assert capsys.readouterr().out == printed
    assert not (tmp_path / "runs").exists()


def test_options_of_every_type(capsys):
    words = "train mnist --dry-run --model.G.hidden 30 20 --model.order alternating --model.D.max_col_norm 1.5"
    assert main(words.split()) == 0
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
    assert about["torch"] == metadata.version("torch")
    with Image.open(folder / "samples" / "00000006.png") as picture:
        assert picture.width > 100


def test_samples_come_as_a_picture_an_array_or_single_files(trained, capsys):
    assert main(["sample", "runs/a", "--n", "12"]) == 0
    assert "12 raw samples of update 6: runs/a/samples.png" in capsys.readouterr().out
    assert main(["sample", "runs/a", "--n", "5", "--start", "7", "--out", "x12.npy"]) == 0
    whole = advnets.load("runs/a").sample(12, seed=0)
    torch.testing.assert_close(torch.from_numpy(np.load("x12.npy")), whole[7:], atol=1e-5, rtol=0)
    assert main(["sample", "runs/a", "--n", "2", "--start", "41", "--out", "singles"]) == 0
    assert sorted(p.name for p in (trained / "singles").iterdir()) == ["000041.png", "000042.png"]
    with Image.open("singles/000042.png") as picture:
        assert picture.size == (5, 6)


def test_a_picture_is_of_the_kind_that_its_name_says(trained, capsys):
    for name, kind in (("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.webp", "WEBP")):
        assert main(["sample", "runs/a", "--n", "4", "--out", name]) == 0
        with Image.open(name) as picture:
            assert picture.format == kind
    assert main(["figure", "2", "runs/a", "--out", "f.webp"]) == 0
    capsys.readouterr()
    assert main(["sample", "runs/a", "--out", "a.tiff"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and len(said) <= 200
    for word in (".png", ".jpg", ".jpeg", ".webp", ".npy", "folder", "a.tiff"):
        assert word in said


def test_many_samples_show_their_progress_and_few_do_not(trained, capsys):
    assert main(["sample", "runs/a", "--n", "1000", "--out", "few.npy"]) == 0
    assert "samples: " not in capsys.readouterr().err
    assert main(["sample", "runs/a", "--n", "1001", "--out", "many"]) == 0
    said = capsys.readouterr().err
    assert "samples: 1,001 of 1,001" in said
    assert "pictures written: 1,001 of 1,001" in said
    assert len([*(trained / "many").iterdir()]) == 1001


def test_an_array_gets_the_name_that_was_asked_for(trained):
    assert main(["sample", "runs/a", "--n", "3", "--out", "upper.NPY"]) == 0
    assert np.load("upper.NPY").shape == (3, 1, 6, 5)
    assert not list(trained.glob(".part.*"))


def test_a_folder_holds_the_samples_of_one_call(trained, capsys):
    assert main(["sample", "runs/a", "--n", "2", "--out", "one-call"]) == 0
    before = {p: p.read_bytes() for p in (trained / "one-call").iterdir()}
    for seed in ("0", "1"):
        words = ["sample", "runs/a", "--n", "1", "--seed", seed, "--out", "one-call"]
        assert main(words) == 2
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
    ("compare", "samples/page.html"),
    ("video", "samples/film.gif"),
    ("video", "wandb/film.gif"),
    ("figure 2", "samples/00000006.png"),
]


@pytest.mark.parametrize(("command", "name"), OWN, ids=lambda words: words)
def test_no_output_takes_the_place_of_a_runs_own_file(trained, command, name, capsys):
    run = trained / "runs/a"
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert main([*command.split(), "runs/a", "--out", f"runs/a/{name}"]) == 2
    err = capsys.readouterr().err
    assert re.search(r"^advnets: 'out' must be [^\n]*\n$", err), err
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


OUTPUTS = {
    "sample": (".png", ".npy"),
    "report": (".html",),
    "compare": (".html",),
    "video": (".gif", ".mp4"),
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
            assert main([*command.split(), *run, "--out", str(out)]) == 2
            need = f"'out' must be a new or a regular file, got {out}, {got}."
            assert need in capsys.readouterr().err
        assert pipe.is_fifo() and link.is_symlink() and folder.is_dir()


def test_a_table_is_not_made_in_a_run(trained, capsys):
    assert main(["table", "1", "--quick", "--out", "runs/a"]) == 2
    assert "'out' must be a folder of runs, or a new one" in capsys.readouterr().err


def test_scores_that_cannot_be_kept_are_shown_all_the_same(trained, monkeypatch, capsys):
    def refused(path):
        raise errors.disk_full(path, "Read-only file system")

    monkeypatch.setattr(checkpoints, "atomic_path", refused)
    assert main(["evaluate", "runs/a", "--samples", "20", "--quality", "False"]) == 0
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

    monkeypatch.setitem(command.COMMANDS, "sample", no_memory)
    assert main(["sample", "runs/a"]) == 2
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
        trainer=advnets.TrainerConfig(steps=6, score_every=0, sample_every=6),
    )
    assert advnets.train(config, folder / "run")
    return folder / "run"


def test_a_class_is_asked_for_by_name(told, tmp_path, capsys):
    out, run = str(tmp_path / "x.npy"), advnets.load(told)
    assert main(["sample", str(told), "--class", "7", "--n", "4", "--out", out]) == 0
    assert "4 raw samples of update 6, of each class 7" in capsys.readouterr().out
    expected = run.sample(4, context=torch.tensor(7))
    assert torch.equal(torch.from_numpy(np.load(out)), expected)
    assert not torch.equal(expected, run.sample(4, context=torch.tensor(3)))


def test_several_classes_are_a_row_each_or_a_folder_each(told, tmp_path):
    assert main(["sample", str(told), "--class", "7", "3", "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as picture:
        rows, columns = 2 * (6 + 2) + 2, 10 * (5 + 2) + 2
        assert picture.width / picture.height == pytest.approx(columns / rows)
    words = ["sample", str(told), "--class", "7", "3", "--n", "2", "--out", str(tmp_path / "both")]
    assert main(words) == 0
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
    assert main(["sample", "runs/a", "--n", "2", "--weights", "averaged", "--out", "a.npy"]) == 0
    assert "2 averaged samples" in capsys.readouterr().out
    assert main(["sample", "runs/a", "--n", "2", "--out", "r.npy"]) == 0
    assert not np.array_equal(np.load("a.npy"), np.load("r.npy"))


def test_evaluate_prints_scores_reference_lines_caveat_and_where_things_are(trained, capsys):
    assert main(["evaluate", "runs/a"]) == 0
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
    assert main(["evaluate", "runs/a"]) == 0
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
    assert main(["evaluate", "runs/a"]) == 0
    assert "Training" not in capsys.readouterr().err


def test_evaluate_leaves_other_measures_out_when_told(trained, capsys):
    assert main(["evaluate", "runs/a", "--quality", "False"]) == 0
    out, err = capsys.readouterr()
    assert "training mean" in out and "Quality of" not in out and err == ""
    assert json.loads((trained / "runs/a/evaluation.json").read_text())["quality"] is None


def test_evaluate_of_a_run_too_small_for_any_measure_still_scores(trained, capsys):
    assert main(["evaluate", "runs/a", "--samples", "12"]) == 0
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
    assert main(["figure", number, "runs/a"]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(
        rf"Figure {number}, raw weights of update \d+: runs/a/figure{number}\.png\n", out
    )
    words = ["--weights", "averaged", "--seed", "5", "--checkpoint", "last", "--out", "other.png"]
    assert main(["figure", number, "runs/a", *words]) == 0
    assert "averaged weights of update 6: other.png" in capsys.readouterr().out
    pictures = [Image.open(p).convert("RGB") for p in ("other.png", f"runs/a/figure{number}.png")]
    assert pictures[0].size == pictures[1].size
    assert pictures[0].tobytes() != pictures[1].tobytes()


def test_report_writes_a_page_and_says_where(trained, capsys):
    assert main(["report", "runs/a", "--checkpoint", "last"]) == 0
    out, err = capsys.readouterr()
    assert out == "Report: runs/a/report.html\n"
    assert "no scores of update 6 are kept here; scoring it first." in err
    assert main(["report", "runs/a", "--checkpoint", "last", "--out", "page.html"]) == 0
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
    config = run_config.config_of("runs/a")
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


@pytest.mark.parametrize("columns", ["1", "2", "19"])
def test_a_help_ends_however_narrow_the_terminal_is(columns, monkeypatch, capsys):
    def late(*_):
        raise TimeoutError

    monkeypatch.setenv("COLUMNS", columns)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    try:
        with pytest.raises(SystemExit) as ended:
            command.main(["train", "ring", "--help"])
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert ended.value.code == 0
    assert "steps" in capsys.readouterr().out
    assert os.environ["COLUMNS"] == columns

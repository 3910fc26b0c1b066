"""Table 1, in small: rows, columns, runs, cells and what is written."""

import csv
import dataclasses
import io
import math
import os
import re
import shutil
import signal
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image

from advnets.base import config
from advnets.base.protocols import Problem
from advnets.cli import main
from advnets.data import Splits, tfd
from advnets.evaluation import protocol as evaluation
from advnets.evaluation.parzen import LogLikelihood
from advnets.experiments import table1
from advnets.experiments.table1 import cells, columns, quick, runs, strips, table
from advnets.experiments.table1.faces import for_faces
from advnets.experiments.table1.rows import MODELS, ROWS
from advnets.models.directed.vae import VAE
from advnets.runs import loaded, registry, run_config, train
from advnets.sampling.samplers import TrainingSet
from advnets.storage.run_folder import RunDir
from conftest import ROOT
from faces import write

MODEL = ["vae", "rbm"]


def command(out, *words):
    return ["table", "1", "--quick", "--out", str(out), *map(str, words)]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A finished table of two models on both columns; not to be written to."""
    folder = tmp_path_factory.mktemp("table")
    mat = write(folder / "faces.mat", n=90)
    words = command(folder / "out", "--models", *MODEL, "--tfd", mat)
    assert main(words) == 0
    return folder / "out", mat, words


def lines(out):
    with (out / "table1.csv").open() as file:
        return list(csv.DictReader(file))


def cell(out, row, column="5,000 digits"):
    return next(x for x in lines(out) if x["row"] == row and x["column"] == column)


# Rows


def quick_problem(shape):
    return Problem(
        event_shape=shape, low=0.0, high=1.0, mean=torch.full(shape, 0.5), batches_per_epoch=3, steps=40
    )  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
@pytest.mark.parametrize("of_faces", [False, True])
@pytest.mark.parametrize("small", [False, True])
def test_every_row_is_a_sampler_that_its_model_has(row, of_faces, small):
    recipe = MODELS[row.model]()
    if of_faces:
        recipe = for_faces(recipe, "faces.mat")
    own = quick.in_tiny(recipe) if small else recipe
    assert own.model.kind == recipe.model.kind
    if small:
        shape = (1, 48, 48) if of_faces else (1, 28, 28)
        assert row.sampler in registry.build(own.model, quick_problem(shape), seed=0).samplers()
    text = own.to_toml()
    assert (
        config.from_dict(run_config.RunConfig, tomllib.loads(text), kinds=run_config.KINDS) == own
    )


def test_the_recipes_of_one_table_have_names_and_settings_of_their_own():
    made = [MODELS[m]() for m in MODELS]
    made += [for_faces(c, "x") for c in made]
    made += [quick.in_tiny(c) for c in made]
    assert len({c.recipe for c in made}) == len(made)
    assert len({str(run_config.reproducibility_settings(c)) for c in made}) == len(made)


def test_what_faces_are_to_a_model_is_real_valued():
    kinds = {m: for_faces(MODELS[m](), "x").model for m in MODELS}
    assert kinds["dbn"].visible == kinds["rbm"].visible == "gaussian"
    assert kinds["vae"].likelihood == "gaussian"
    assert kinds["adversarial"].prior == "gaussian"
    assert kinds["dbn"].lower.optimizer.lr == MODELS["dbn"]().model.lower.optimizer.lr / 100
    assert kinds["dbn"].top == MODELS["dbn"]().model.top  # its visible units are binary


# Columns


def test_models_of_binary_pixels_are_left_out_of_the_faces_with_the_reason(
    made, tmp_path, monkeypatch
):
    _, mat, _ = made
    grey = columns.faces(mat, small=True)
    assert {m for m in MODELS if grey.refuses(MODELS[m]().model)} == {"dbm", "sbn"}
    monkeypatch.setattr(table1, "_columns", lambda plan: {"TFD": grey})
    found = table1.make(table1.Plan(out=tmp_path, models=("sbn",)), command="")
    (entry,) = (e for e in found.entries if e.title == "Sigmoid belief net")
    assert entry.cells["TFD"].startswith("its visible units are binary")
    assert not list(tmp_path.glob("*sbn*"))


def test_each_fold_of_the_faces_is_held_out_of_one_training_set(made):
    _, mat, _ = made
    column, held = columns.faces(mat, small=True), tfd.read(mat)
    assert len(column.splits) == 5
    for f, splits in enumerate(column.splits):
        assert splits.train is column.splits[0].train
        assert torch.equal(splits.train.x, held.split(0, tfd.UNLABELLED).x)
        assert torch.equal(splits.validation.x, held.split(f, tfd.VALIDATION).x)
        assert torch.equal(splits.test.x, held.split(f, tfd.TEST).x)
        assert column.protocol.validation >= len(splits.validation)


# Cells


def test_a_cell_is_what_the_evaluation_of_its_run_says(made):
    out, _, _ = made
    whole = loaded.load(out / "quick-vae").evaluate(quick.PROTOCOL, quality=False)
    own = cell(out, "VAE")
    assert float(own["nats"]) == pytest.approx(whole.lines[0].test.mean, abs=1e-3)
    assert float(own["standard_error"]) == pytest.approx(
        whole.lines[0].test.standard_error, abs=1e-3
    )
    assert float(own["sigma"]) == pytest.approx(whole.lines[0].test.sigma, abs=1e-4)
    real = cell(out, "real training images")
    assert float(real["nats"]) == pytest.approx(whole.lines[1].test.mean, abs=1e-3)
    mean = cell(out, "training mean")
    assert float(mean["nats"]) == pytest.approx(whole.lines[2].test.mean, abs=1e-3)


def a_line(mean, se, sigma):
    score = LogLikelihood(mean=mean, standard_error=se, n=7, sigma=sigma, centres=3)
    return evaluation.ScoreRow(name="fold", validation=score, test=score)


def a_cell(*lines, facts=None, strip=None):
    return cells.Cell(
        evaluation=evaluation.Evaluation(lines=lines, sigmas=(0.1, 0.2, 0.4)),
        samples=100,
        seconds=0.5,
        strip=torch.zeros(12, 1, 28, 28) if strip is None else strip,
        facts=facts or {},
    )


def test_over_folds_the_error_is_that_of_their_mean_and_over_one_that_of_its_examples():
    means = [10.0, 12.0, 11.0, 17.0, 5.0]
    folds = a_cell(
        *(a_line(m, 0.3, s) for m, s in zip(means, [0.2, 0.2, 0.1, 0.2, 0.4], strict=True))
    )
    assert folds.mean == pytest.approx(np.mean(means))
    assert folds.standard_error == pytest.approx(np.std(means, ddof=1) / math.sqrt(5))
    assert folds.sigmas == [0.1, 0.2, 0.4]
    one = a_cell(a_line(10.0, 0.3, 0.2))
    assert (one.mean, one.standard_error, one.sigmas) == (10.0, 0.3, [0.2])


class Counting(TrainingSet):
    """Real examples, and how often they were asked for."""

    asked = 0

    def sample(self, n, *, seed, start=0, context=None):
        Counting.asked += 1
        return super().sample(n, seed=seed, start=start)


@pytest.fixture
def images(rng):
    def some(n):
        return train.data.Split(torch.rand(n, 1, 6, 5, generator=rng))

    return Splits(some(60), some(20), some(20))


def column_of(splits, **protocol):
    constants = evaluation.EvaluationConfig(samples=30, validation=10, **protocol)
    return columns.Column("MNIST", "random pictures", (splits,), constants, lambda c: c)


def test_a_cell_is_computed_once_for_each_thing_it_depends_on(images, tmp_path):
    sampler = Counting(images.train.x)

    def asked(column, n=30, **key):
        before = Counting.asked
        found = cells.score(
            lambda: sampler, column, samples=n, folder=tmp_path, key={"checkpoint": "a"} | key, facts={}
        )  # fmt: skip
        return Counting.asked - before, found

    first, new = asked(column_of(images))
    again, kept = asked(column_of(images))
    assert (first, again) == (1, 0)
    assert kept.evaluation.lines == new.evaluation.lines
    assert torch.equal(kept.strip, new.strip)
    assert asked(column_of(images), checkpoint="b")[0] == 1
    assert asked(column_of(images), n=31)[0] == 1
    assert asked(column_of(images, sigma_count=7))[0] == 1
    other = dataclasses.replace(images, test=images.validation)
    assert asked(column_of(other))[0] == 1
    assert asked(column_of(images))[0] == 0  # the others did not push it out
    (tmp_path / cells.FILE).write_text("{")
    assert asked(column_of(images))[0] == 1  # what is damaged is computed anew


def test_the_strip_is_of_the_samples_that_were_scored_and_the_same_places_for_all(images, tmp_path):
    found = [
        cells.score(
            lambda x=x: TrainingSet(x), column_of(images), samples=30,
            folder=tmp_path, key={"checkpoint": i}, facts={},
        )
        for i, x in enumerate((images.train.x, images.train.x.flip(1)))
    ]  # fmt: skip
    scored = TrainingSet(images.train.x).sample(30, seed=cells.SEED)
    away = torch.cdist(found[0].strip.flatten(1), scored.flatten(1)).min(dim=1)
    assert away.values.max() < 0.5 / 255 * math.sqrt(30) + 1e-6
    assert len(away.indices.unique()) == cells.STRIP
    assert torch.equal(found[0].strip, found[1].strip)


def test_cells_of_a_run_that_cannot_be_written_to_are_kept_with_the_table(tmp_path, monkeypatch):
    assert table1.keeps(tmp_path / "..", tmp_path) == tmp_path / ".."
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert table1.keeps(tmp_path / "..", tmp_path) == tmp_path


# Runs


@pytest.fixture
def a_run(made, tmp_path):
    """A folder with a copy of a finished run that can be spoilt, and what it is of."""
    out, _, _ = made
    shutil.copytree(out / "quick-vae", tmp_path / "runs" / "quick-vae")
    folder = tmp_path / "runs"
    own = run_config.config_of(folder / "quick-vae")
    return folder, own, RunDir(folder / "quick-vae").facts("data")


def find(recipe, data, *folders):
    said = []
    return runs.find(recipe, data, folders, say=said.append), said


def test_a_run_is_found_by_what_it_was_made_from_whatever_it_is_called(a_run):
    folder, own, data = a_run
    (folder / "quick-vae").rename(folder / "other")
    for place in (folder, folder / "other"):
        found, said = find(dataclasses.replace(own, recipe="of another name"), data, place)
        assert found.folder.path == folder / "other" and not found.differs and not said
    facts = found.facts()
    assert facts["recipe"] == "quick-vae" and facts["training_seconds"] > 0
    assert facts["command"].split()[0] == "advnets"


def test_a_run_of_the_recipe_with_other_settings_stands_with_what_differs(a_run):
    folder, own, data = a_run
    found, _ = find(dataclasses.replace(own, seed=3), data, folder)
    assert found.differs == {"seed": (3, 0)}
    shutil.copytree(folder / "quick-vae", folder / "exact")
    path = folder / "exact" / "config.toml"
    path.write_text(path.read_text().replace("seed = 0", "seed = 3"))
    os.utime(next((folder / "exact" / "checkpoints").iterdir()), (1, 1))  # older
    found, _ = find(dataclasses.replace(own, seed=3), data, folder)
    assert found.folder.path.name == "exact" and not found.differs


def test_of_equal_runs_the_newest_counts(a_run):
    folder, own, data = a_run
    shutil.copytree(folder / "quick-vae", folder / "late")
    for name, age in (("quick-vae", 1_000), ("late", 2_000)):
        for path in (folder / name / "checkpoints").iterdir():
            os.utime(path, (age, age))
    assert find(own, data, folder)[0].folder.path.name == "late"


def test_what_is_not_complete_is_refused_by_a_line(a_run):
    folder, own, data = a_run
    (folder / "quick-vae" / "checkpoints" / "00000040.safetensors").unlink()
    why, said = find(own, data, folder)
    words = f"{folder}/quick-vae: not used for 'quick-vae': it stands at update 30 of 40."
    assert said == [words] and why == words


def test_what_was_trained_on_other_data_is_refused_by_a_line(a_run):
    folder, own, data = a_run
    why, said = find(own, data | {"crc32": 1}, folder)
    assert said == [why]
    assert why.endswith("it was trained on other data.")


def test_what_cannot_be_read_is_passed_over_by_a_line(a_run):
    folder, own, data = a_run
    (folder / "old").mkdir()
    (folder / "old" / "config.toml").write_text("sede = 1")
    found, said = find(own, data, folder)
    assert found.folder.path.name == "quick-vae"
    assert len(said) == 1 and "Unknown key 'sede'" in said[0]


# The whole


def test_a_second_call_trains_nothing_and_scores_nothing(made, monkeypatch, capsys):
    out, _, words = made
    before = (out / "table1.md").read_text()

    def never(*_, **__):
        raise AssertionError("computed twice")

    monkeypatch.setattr(cells, "_compute", never)
    monkeypatch.setattr(train, "train", never)
    monkeypatch.setattr(train, "resume", never)
    assert main(words) == 0
    assert (out / "table1.md").read_text() == before


def test_every_row_is_there_and_what_was_not_asked_for_was_not_run(made):
    out, _, _ = made
    found = lines(out)
    names = [row.title for row in ROWS] + [r.title for r in table1.REFERENCES]
    assert [x["row"] for x in found[::2]] == names
    for x in found:
        of_model = next((row.model for row in ROWS if row.title == x["row"]), None)
        run_it = of_model is None or of_model in MODEL
        assert bool(x["nats"]) == run_it
        assert bool(x["not_run"]) == (not run_it)
    assert (out / "table1.md").read_text().count("| not run |") == 2 * sum(
        row.model not in MODEL for row in ROWS
    )


def test_scores_of_a_file_that_is_not_the_database_say_so_wherever_they_stand(made, capsys):
    out, mat, _ = made
    text = (out / "table1.md").read_text()
    assert f"**The data is not TFD: {mat.name} holds 90 images" in text
    assert "| TFD, paper | not TFD (faces.mat), here |" in text
    held = [x for x in lines(out) if x["column"] != "5,000 digits"]
    assert {x["column"] for x in held} == {"not TFD (faces.mat)"}
    assert all(x["data_notice"].startswith("not TFD: ") for x in held if x["nats"])
    assert {x["folds"] for x in held if x["nats"]} == {"5"}


def test_the_markdown_is_tables_of_as_many_cells_in_each_line(made):
    out, _, _ = made
    text = (out / "table1.md").read_text()
    blocks = [b.splitlines() for b in text.split("\n\n") if b.startswith("|")]
    assert len(blocks) == 5  # the summary; what it took and whose runs, on two columns
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
        assert len(block) > 2
    assert "Played in small" in text
    assert "`advnets table 1 --quick " in text


def test_the_picture_is_800_wide_with_a_strip_for_each_score(made):
    out, _, _ = made
    with Image.open(out / "table1.png") as picture:
        size = picture.size
    scored = sum(bool(x["nats"]) for x in lines(out))
    assert size == (800, 2 * strips.HEAD + scored * (strips.TILE + strips.GAP))


@pytest.mark.parametrize("where", ["training", "scoring"])
def test_stopped_and_called_again_it_ends_as_if_it_had_not_been(where, made, tmp_path, monkeypatch):
    out, _, _ = made
    words = command(tmp_path / "out", "--models", "vae")
    real_step = VAE.step

    def stopped_step(self, batches, *, rng):
        if int(self.minibatches) == 25:
            os.kill(os.getpid(), signal.SIGINT)
        return real_step(self, batches, rng=rng)

    def stopped_score(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "training":
            patch.setattr(VAE, "step", stopped_step)
        else:
            patch.setattr(cells, "_compute", stopped_score)
        assert main(words) == 130
    assert not (tmp_path / "out" / "table1.md").exists()
    assert main(words) == 0
    assert cell(tmp_path / "out", "VAE")["nats"] == cell(out, "VAE")["nats"]


def test_runs_from_elsewhere_are_used_and_nothing_is_trained_but_on_demand(made, tmp_path, capsys):
    out, _, _ = made
    words = command(tmp_path / "out", "--models", "vae", "dae", "--from", out)
    assert main(words) == 0
    assert cell(tmp_path / "out", "VAE")["run"] == str(out / "quick-vae")
    assert cell(tmp_path / "out", "DAE")["not_run"] == "no run of 'quick-dae' was found."
    assert "- DAE, 5,000 digits: no run of 'quick-dae' was found." in capsys.readouterr().out
    assert main([*words, "--train"]) == 0
    assert cell(tmp_path / "out", "DAE")["run"] == str(tmp_path / "out" / "quick-dae")
    assert not (tmp_path / "out" / "quick-vae").exists()


def test_the_csv_quotes_what_needs_it():
    reader = list(csv.reader(io.StringIO(table.as_csv(one_row()))))
    assert len({len(line) for line in reader}) == 1


def one_row(**cell_of):
    facts = {
        "run": "runs/a, b", "recipe": "r", "commit": None, "command": "advnets train a", "update": 9,
        "processor": "P", "threads": 1, "training_seconds": 161.0, "differs": {"seed": [0, 1]},
    }  # fmt: skip
    entry = table.Entry(
        title="Model, so called",
        paper={},
        cells={"MNIST": a_cell(a_line(1.0, 0.1, 0.1), facts=facts)},
    )
    return table.Table(
        columns={"MNIST": "MNIST"}, notices=[], entries=[entry], command="advnets table 1",
        machine={"commit": None, "cores": 2, "processor": "P", "threads": 1, "python": "3", "torch": "2"},
    )  # fmt: skip


def test_what_differs_from_a_recipe_a_sigma_at_the_edge_and_an_unknown_commit_are_named():
    text = table.markdown(one_row())
    assert "`runs/a, b` differs from its recipe: seed 1 (recipe 0)." in text
    assert "| 0.100* |" in text
    assert "| unknown |" in text and "commit unknown" in text
    assert "| 2 min 41 s | 50.0 |" in text  # half a second for 100 samples


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (100, "1 min 40 s"), (3553.2, "59 min 13 s")]
)
def test_durations(seconds, words):
    assert table.duration(seconds) == words


def test_the_whole_configuration_of_a_run_on_faces_comes_back(made):
    out, mat, _ = made
    own = run_config.config_of(out / "quick-rbm-tfd")
    assert own.data == tfd.TfdConfig(path=str(mat))
    assert config.to_dict(own)["data"]["kind"] == "tfd"


def test_the_page_and_its_csv_say_the_same():
    page = (ROOT / "docs" / "results" / "table1.md").read_text()
    with (ROOT / "docs" / "results" / "table1.csv").open() as file:
        found = list(csv.DictReader(file))
    assert {x["row"] for x in found} == {row.title for row in ROWS} | {
        r.title for r in table1.REFERENCES
    }
    for x in found:
        own = (
            f"{float(x['nats']):.1f} +- {float(x['standard_error']):.1f}"
            if x["nats"]
            else "not run"
        )
        paper = (
            f"{float(x['paper']):g} +- {float(x['paper_standard_error']):g}" if x["paper"] else ""
        )
        assert re.search(
            rf"^\| {re.escape(x['row'])} .*{re.escape(f'| {paper} | {own} |')}",
            page,
            re.MULTILINE,
        )

"""The folder of a shared generator: loaded bit for bit, refused where it is damaged, never executed."""

import json
import os
import re
import shutil

import pytest
import torch

import advnets
from advnets import errors
from advnets.cli import main
from advnets.evaluation.protocol import Evaluation, ScoreRow
from advnets.export import export
from advnets.export.average import load_average, mean
from advnets.runs.pretrained import Pretrained
from advnets.storage import checkpoints
from exported import KINDS, game, made
from test_contract import two_stage

FILES = ["README.md", "config.json", "model.safetensors", "samples.png"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return KINDS["classes"](tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def exported(run):
    return export(run, to="hub-folder", license="cc-by-4.0").path


@pytest.fixture
def folder(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "hub")


def test_a_folder_draws_what_the_run_draws(run, folder):
    assert sorted(path.name for path in folder.iterdir()) == FILES
    shared = advnets.load(folder)
    assert isinstance(shared, Pretrained)
    assert torch.equal(shared.sample(9, seed=3), run.sample(9, seed=3))
    cats = shared.of_classes(["cat"], 4, seed=1)
    assert torch.equal(cats, run.of_classes(["cat"], 4, seed=1))
    assert torch.equal(shared.sample(4, seed=1, context=torch.tensor(3)), cats)
    assert shared.span() == run.span() and shared.update == 7
    again = export(shared, folder.parent / "again", to="hub-folder").path
    assert torch.equal(advnets.load(again).sample(9, seed=3), run.sample(9, seed=3))


def test_a_folder_fills_in_as_its_run(tmp_path):
    run = KINDS["unet"](tmp_path)
    x, mask = torch.rand(2, 3, 8, 8), torch.ones(1, 8, 8)
    mask[:, 2:5] = 0
    for weights in ("raw", "averaged"):
        shared = advnets.load(
            export(run, tmp_path / weights, to="hub-folder", weights=weights).path
        )
        own = run.complete(x, mask, n=2, averaged=weights == "averaged")
        assert torch.equal(shared.complete(x, mask, n=2), own)


def test_the_card_says_what_a_reader_needs_and_names_are_no_markdown(folder):
    card = (folder / "README.md").read_text()
    head, body = card.split("---\n")[1:3]
    assert 'license: "cc-by-4.0"' in head and "unconditional-image-generation" in head
    for word in ("tiny", "advnets.load", "not scored", "Limits".lower(), "sqrt(3)", "update 7"):
        assert word in body.replace("\\", ""), word
    assert "a\\|b" in body and "\\<i\\>" in body and "<i>" not in body
    assert str(folder.parent) not in card + (folder / "config.json").read_text()


def test_scores_of_these_weights_alone_are_shared(tmp_path):
    game(tmp_path, updates=(7, 9))
    best = advnets.load(tmp_path / "run")
    score = advnets.LogLikelihood(mean=1.5, standard_error=0.25, n=40, sigma=0.2, centres=50)
    names = ("raw", "averaged", "real training examples", "training mean")
    lines = tuple(ScoreRow(name=name, validation=score, test=score) for name in names)
    best.keep(Evaluation(lines=lines, sigmas=(0.1, 0.2)))
    done = export(best, tmp_path / "hub", to="hub-folder")
    rows = [row.samples_from for row in done.facts.scores.rows]
    assert rows == ["raw", "real training examples", "training mean"]
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "| raw | 50 | 0.2000 | 1.5 +- 0.2 (40 examples) |" in card
    assert "does not measure sharpness" in card
    last = advnets.load(tmp_path / "run", checkpoint="last")
    assert export(last, tmp_path / "b.safetensors", to="safetensors").facts.scores is None


REFUSED = {
    "encode": lambda g: g.encode(torch.rand(2, 1, 4, 3)),
    "an encoder": lambda g: g.fit_encoder(),
    "scores": lambda g: g.evaluate(),
    "metrics": lambda g: g.quality(),
    "data": lambda g: g.splits(),
    "reconstruct": lambda g: g.reconstruct(torch.rand(2, 1, 4, 3)),
    "writing": lambda g: g.folder.place("x"),
    "resume": lambda g: advnets.resume(g.folder.path),
    "into": lambda g: advnets.load(g.folder.path, into=g.learner),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_needs_the_run_is_refused_in_one_line(what, folder):
    message = r"^\S*hub: must be a run folder, got a shared generator \(it draws samples; .*\)\.$"
    with pytest.raises(errors.BadFile, match=message):
        REFUSED[what](advnets.load(folder))


def test_other_options_that_a_folder_has_no_use_for_are_refused(folder):
    with pytest.raises(errors.BadValue, match=r"'data\.path' must be left out"):
        advnets.load(folder, data_path="x")
    shared = advnets.load(folder)
    with pytest.raises(errors.BadValue, match=r"Unknown weights 'averaged'\. .*Valid: raw"):
        shared.sample(1, weights="averaged")
    with pytest.raises(errors.BadValue, match=r"'accept' must be 'none' for a shared generator"):
        shared.sample(1, accept="rejection")


@pytest.mark.parametrize("words", ["report", "evaluate", "train --resume", "studio"])
def test_commands_that_need_a_run_refuse_a_folder(words, folder, capsys):
    assert main([*words.split(), str(folder)]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "got a shared generator" in line
    assert sorted(path.name for path in folder.iterdir()) == FILES


# Damage


def config(**changes):
    def change(folder):
        path = folder / "config.json"
        found = json.loads(path.read_text())
        for name, value in changes.items():
            *outer, last = name.split("__")
            at = found
            for part in outer:
                at = at[part]
            at[last] = value
        path.write_text(json.dumps(found))

    return change


def weights(**tensors):
    def change(folder):
        path = folder / "model.safetensors"
        saved = checkpoints.read_checkpoint(path)
        checkpoints.write_checkpoint([path], 7, {**saved.tensors, **tensors}, {})

    return change


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def flipped(folder):
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(bytes(raw))


def linked(name):
    def change(folder):
        outside = folder.parent / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return change


def piped(folder):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


HUGE = [2**15] * 2
DAMAGES = {
    "another format": (config(format=2), r"config\.json: 'format' must be 1, which this version of advnets reads, got 2\."),
    "no format": (lambda f: (f / "config.json").write_text("{}"), r"config\.json: missing or damaged \(object missing required field format\)\."),
    "no JSON": (lambda f: (f / "config.json").write_bytes(b"\x80\x04."), r"config\.json: missing or damaged \(.*\)\."),
    "nested": (lambda f: (f / "config.json").write_text("[" * 100_000), r"config\.json: missing or damaged \(.*\)\."),
    "another type": (config(update="x"), r"config\.json: missing or damaged \(update: expected int, got str\)\."),
    "an unknown kind": (config(model__kind="os.system"), r"config\.json: Unknown kind of ModelConfig, model\.kind = 'os\.system'\. .*"),
    "an unknown key": (config(model__run="rm"), r"config\.json: Unknown key 'model\.run'\. .*"),
    "no generator": (config(model={"kind": "rbm"}, weights="chain"), r"config\.json: must describe a model with a G\(z\), got 'rbm'\."),
    "other weights": (config(weights="x"), r"config\.json: Unknown weights 'x'\. .*"),
    "other sizes": (config(model__G__hidden=[8]), r"model\.safetensors: is a checkpoint of another model \(.*\)"),
    "a huge network": (config(model__G__hidden=HUGE), r"config\.json: 'model\.G\.hidden' must be such that it fits in the 2\.0 GiB that its weights allow, got .*"),
    "a huge D": (config(model__D__units=HUGE), r"config\.json: 'model\.D\.units' must be such that it fits in the 2\.0 GiB that its weights allow, got .*"),
    "a huge example": (config(data__event_shape=[1, 30_000, 30_000]), r"config\.json: 'data\.event_shape' must be such that it fits in the 2\.0 GiB that its weights allow, got .*"),
    "fewer classes": (config(classes=["cat"]), r"config\.json: 'context\.weights' must be 1 whole numbers above 0, got \(3,\)\."),
    "no classes": (config(classes=[]), r"config\.json: 'context\.rows' must be float32 \(r, d\), got torch\.int64 \(3,\)\."),
    "a larger context": (weights(**{"context.weights": torch.ones(4, dtype=torch.int64)}), r"config\.json: 'context\.weights' must be 3 whole numbers above 0, got \(4,\)\."),
    "cut weights": (cut, r"model\.safetensors: damaged checkpoint \(.*\)\."),
    "a flipped bit": (flipped, r"model\.safetensors: damaged checkpoint \(its checksum is wrong\)\."),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: no such file; a shared generator has one\."),
    "pickled weights": (lambda f: torch.save({"x": 1}, f / "model.safetensors"), r"model\.safetensors: damaged checkpoint \(.*\)\."),
    "a link to weights": (linked("model.safetensors"), r"model\.safetensors: must lie in its folder, got a link out of it\."),
    "a link to facts": (linked("config.json"), r"config\.json: must lie in its folder, got a link out of it\."),
    "a large file": (lambda f: os.truncate(f / "config.json", 2**25), r"config\.json: must have at most 16,777,216 bytes, got 33,554,432\."),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_hostile_folder_is_refused_by_name(damage, folder):
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(errors.BadFile) as raised:
        advnets.load(folder)
    assert re.fullmatch(f"{re.escape(str(folder))}/{message}", str(raised.value)), raised.value
    assert len(str(raised.value).replace(str(folder), "")) < 450


def test_a_pipe_in_place_of_a_file_does_not_hang(folder):
    piped(folder)
    with pytest.raises(errors.BadFile, match="is not a run folder"):
        advnets.load(folder)


def test_another_checkpoint_is_no_shared_generator(run):
    with pytest.raises(errors.BadFile, match="must be a shared generator, got another checkpoint"):
        advnets.load(run.folder.path / "checkpoints" / "best.safetensors")


# The mean of several checkpoints


def test_an_average_is_the_mean_of_the_weights_in_float64(tmp_path):
    game(tmp_path, updates=(7, 9, 11))
    path = tmp_path / "run"
    states = [
        advnets.load(path, checkpoint=at).learner.G.state_dict() for at in ("best", 9, "last")
    ]
    found = load_average(path, ["best", "9", "last"]).learner.G.state_dict()
    for name, t in found.items():
        wanted = sum(s[name].double() for s in states) / 3
        assert t.dtype == torch.float32 and torch.equal(t, wanted.float())
    assert main(["export", str(path), "--to", "safetensors", "--average", "best", "11"]) == 0
    facts = advnets.load(path / "generator.safetensors").facts
    assert facts.checkpoint == "mean of updates 7, 11" and facts.scores is None


def test_states_that_do_not_fit_are_refused_by_name():
    a = {"w": torch.zeros(2), "n": torch.tensor(1)}
    for b, message in [
        ({**a, "w": torch.zeros(3)}, "'w' must be of one type and shape"),
        ({"w": torch.zeros(2)}, "'average' must be states of one model, got n"),
    ]:
        with pytest.raises(errors.BadValue, match=message):
            mean([a, b])
    found = mean([a, {"w": torch.ones(2), "n": torch.tensor(2)}])
    assert found["w"].tolist() == [0.5, 0.5] and found["n"] == 1


def test_two_stages_have_no_mean(tmp_path):
    run = made(tmp_path, two_stage(first=2))
    run.learner.enter(2)
    saved = checkpoints.read_checkpoint(run.folder.path / "checkpoints" / "best.safetensors")
    state = {f"learner.{name}": t for name, t in run.learner.state().items()}
    run.folder.save(9, state, saved.facts, best=False)
    with pytest.raises(errors.BadValue, match="'average' must be checkpoints of one stage"):
        load_average(run.folder.path, ["best", "last"])

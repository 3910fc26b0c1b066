"""`benchmarks/same_game.py`: equal runs are equal, a changed number is found, names may change."""

import dataclasses
import math
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from advnets.recipes import RECIPES
from conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import same_game
import same_game_rows
from same_game_rows import Row, play_all, rows

UPDATES = 12
POINTS = {row.name: row for row in rows(UPDATES) if row.name in ("ring", "rbm handed over")}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """The folders of two trees, which are this one: the second takes over what the first began."""
    folder = tmp_path_factory.mktemp("trees")
    same_game_rows.write_data(folder / "data", n=120)
    settings = {"updates": UPDATES, "data": folder / "data"}
    play_all(POINTS.values(), folder / "there", begun=None, **settings)
    play_all([POINTS["ring"]], folder / "here", begun=None, **settings)
    handed = [POINTS["rbm handed over"]]
    play_all(handed, folder / "here", begun=folder / "there", **settings)
    return folder / "there", folder / "here"


@pytest.fixture
def tampered(trees, tmp_path):
    """The second tree, with one number of one tensor moved by one bit."""
    shutil.copytree(trees[1], tmp_path / "here")
    path = same_game.last_checkpoint(tmp_path / "here" / "ring" / "run")
    tensors = load_file(path)
    name = next(n for n, t in tensors.items() if n.startswith("learner.G") and t.dim() == 2)
    tensors[name][0, 0] = torch.nextafter(tensors[name][0, 0], torch.tensor(math.inf))
    save_file(tensors, path)
    return tmp_path / "here", name


@pytest.mark.parametrize("row", POINTS)
def test_a_tree_is_equal_to_itself(trees, row):
    verdict = same_game.judge(row, *trees, {})
    assert (verdict.verdict, verdict.fails) == ("equal", False)
    assert verdict.parts.keys() >= {"weights", "metrics", "samples"}
    assert ("decoded" in verdict.parts) == (row == "ring")
    assert "validation.raw.mean" in same_game.found(trees[0], "ring")["metrics"]


def test_one_bit_is_found_and_named(trees, tampered):
    here, name = tampered
    verdict = same_game.judge("ring", trees[0], here, {})
    found = verdict.parts["weights"]
    assert verdict.fails
    assert verdict.verdict == "DIFFERS in weights"
    assert (found.tensors, found.where) == (1, name)
    assert 0 < found.absolute < 1e-6
    assert 0 < found.relative < 1e-6
    assert f"in {name}; 1 of" in same_game.table([verdict])


def test_a_listed_row_may_differ_and_no_further_than_it_says(trees, tampered):
    near = same_game.judge("ring", trees[0], tampered[0], {"reason": "why", "weights": 1e-6})
    assert (near.verdict, near.fails) == ("may differ: why", False)
    for listed in ({"weights": 1e-12}, {"metrics": math.inf}):
        assert same_game.judge("ring", trees[0], tampered[0], {"reason": "why", **listed}).fails
    assert "listed" in same_game.judge("ring", *trees, {"reason": "why"}).verdict


def test_a_minus_zero_another_type_and_a_missing_tensor_are_differences():
    zero, compare = torch.zeros(2), same_game.compare
    assert compare({"a": zero}, {"a": zero.clone()}) is None
    assert compare({"a": zero}, {"a": -zero}).absolute == 0
    for other in ({"a": zero.double()}, {"a": torch.zeros(3)}, {}, {"a": zero, "b": zero}):
        assert compare({"a": zero}, other).relative == math.inf
    far = compare({"a": torch.ones(2), "b": zero + 8}, {"a": torch.tensor([1, 1.5]), "b": zero + 9})
    assert (far.tensors, far.of, far.where, far.absolute) == (2, 2, "a", 0.5)
    assert far.relative == pytest.approx(1 / 3)


def test_metrics_are_the_numbers_and_when_they_were_logged(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"update": 3, "V": 1.5, "s": {"n": 2}}\n{"update": 4, "V": 2, "w": "words"}\n')
    found = same_game.metrics_of(path)
    assert found["V"].tolist() == [1.5, 2]
    assert found["updates of V"].tolist() == [3, 4]
    assert "w" not in found
    path.write_text('{"update": 3, "V": 1.5, "s": {"n": 2}}\n{"update": 5, "V": 2}\n')
    assert same_game.compare(found, same_game.metrics_of(path)).where == "updates of V"


def test_what_one_tree_cannot_play_is_new_there_and_fails_here(tmp_path):
    unknown = Row("new", "no such recipe")
    for tree in ("a", "b"):
        play_all([unknown], tmp_path / tree, updates=UPDATES, data=tmp_path, begun=None)
    here, there = tmp_path / "a", tmp_path / "b"
    assert "not played in this tree: " in same_game.judge("new", there, here, {}).verdict
    same_game.samples_file(here, "new").touch()
    verdict = same_game.judge("new", there, here, {})
    assert verdict.verdict.startswith("new: Absent: ")
    assert not verdict.fails
    (there / "new" / same_game_rows.ABSENT).unlink()
    assert same_game.judge("new", there, here, {}).fails


@dataclasses.dataclass(frozen=True)
class Renamed:
    """A configuration of a tree whose options have other names."""

    compile: bool = False
    ema_decay: float = 0.99
    k: int = 1


def test_options_are_set_by_their_old_names_in_a_tree_that_renamed_them():
    new = same_game_rows.changed(Renamed(), "compiled", True)
    new = same_game_rows.changed(new, "average_rate", 0.25)
    assert same_game_rows.changed(new, "k", 2) == Renamed(True, 0.75, 2)
    with pytest.raises(same_game_rows.Absent, match="Renamed has no option 'order'"):
        same_game_rows.changed(new, "order", "alternating")


def test_every_recipe_has_a_row_and_every_row_a_configuration(tmp_path):
    named = rows(60)
    assert {row.recipe for row in named} == RECIPES.keys()
    assert len({row.name for row in named}) == len(named)
    for row in named:
        assert same_game_rows.configured(row, 60, tmp_path).trainer.steps == 60


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('commit = "1"\n[differs.x]\nreason = ""\nweights = 1', "there is no row 'x'"),
        ('commit = "1"\n[differs.mnist]\nweights = 1', "'mnist' needs a reason"),
        ('commit = "1"\n[differs.mnist]\nreason = "r"\nloss = 1', "of weights, metrics"),
        ("", "KeyError"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, text, says):
    (tmp_path / "known.toml").write_text(text)
    with pytest.raises(same_game.CannotCompare, match=says):
        same_game.read_known(tmp_path / "known.toml")


def test_our_list_is_right_and_an_unknown_commit_exits_with_2(monkeypatch, capsys):
    commit, _ = same_game.read_known(same_game.KNOWN)
    assert len(commit) == 40
    monkeypatch.setattr(sys, "argv", ["same_game.py", "--against", "no-such-commit", "--quick"])
    with pytest.raises(SystemExit) as end:
        same_game.main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("same_game: no commit 'no-such-commit' in this clone")
    assert said.count("\n") == 1

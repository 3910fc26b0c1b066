"""TensorBoard is a view of the log: losing it costs one line."""

import os
import sys

import pytest

from advnets.storage.tensorboard import Board


def test_a_folder_of_any_name_is_written_to(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    folder = tmp_path / os.fsdecode(b"r\xff")
    board = Board(folder)
    board.add({"V": -1.0}, 1)
    board.add({"V": -2.0}, 2)
    (file,) = folder.iterdir()
    assert file.stat().st_size > 50
    assert capsys.readouterr().err == ""


def test_what_cannot_be_written_is_said_once(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    (tmp_path / "board").write_text("in the way")
    board = Board(tmp_path / "board")
    for update in (1, 2, 3):
        board.add({"V": 0.0}, update)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "TensorBoard's log ends here (File exists)" in err


def test_a_link_in_its_place_is_not_followed(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "board").symlink_to(tmp_path / "elsewhere")
    Board(tmp_path / "board").add({"V": 0.0}, 1)
    assert not [*(tmp_path / "elsewhere").iterdir()]
    assert "a symbolic link stands there" in capsys.readouterr().err


def test_a_broken_installation_is_said_and_none_is_not(tmp_path, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    Board(tmp_path / "none").add({"V": 0.0}, 1)
    assert capsys.readouterr().err == ""
    monkeypatch.delitem(sys.modules, "tensorboard")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "__init__.py").write_text("raise TypeError('Descriptors cannot')")
    monkeypatch.syspath_prepend(tmp_path)
    Board(tmp_path / "broken").add({"V": 0.0}, 1)
    assert (
        "(TypeError: Descriptors cannot); metrics.jsonl and the run go on."
        in capsys.readouterr().err
    )

"""Situations that users report: other data under a known name, another folder, another dtype."""

import numpy as np
import pytest
import torch
from PIL import Image

import advnets
from advnets import data
from advnets.cli import command
from advnets.data import MnistConfig

SMALL = [
    "--data.size=16", "--batch_size=8", "--trainer.steps=2", "--trainer.log_every=1",
    "--trainer.score_every=0", "--trainer.sample_every=0", "--evaluation.samples=20",
]  # fmt: skip


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder to stand in, and in it `pics`, 40 pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "pics").mkdir()
    rows = np.random.default_rng(0)
    for i in range(40):
        pixels = rows.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def test_data_under_mnists_names_that_is_not_mnist_carries_a_notice(tmp_path):
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        for name, kind, shape in (("images-idx3", 3, (n, 28, 28)), ("labels-idx1", 1, (n,))):
            head = bytes([0, 0, 8, kind]) + b"".join(side.to_bytes(4, "big") for side in shape)
            content = np.zeros(shape, dtype=np.uint8).tobytes()
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(head + content)
    splits = data.load(MnistConfig(root=str(tmp_path)), seed=0)
    assert splits.notice.startswith("not MNIST: ")
    assert "do not hold the published bytes" in splits.notice


def test_a_run_is_scored_from_another_folder_and_after_its_pictures_moved(
    pictures, monkeypatch, capsys
):
    assert command.main(["train", "images", "--data.path", "pics", *SMALL, "--folder", "r"]) == 0
    (pictures / "elsewhere").mkdir()
    monkeypatch.chdir(pictures / "elsewhere")
    evaluate = ["evaluate", str(pictures / "r"), "--quality", "False"]
    assert command.main(evaluate) == 0
    (pictures / "pics").rename(pictures / "moved")
    assert command.main(evaluate) == 2
    assert "--data.path" in capsys.readouterr().err
    assert command.main([*evaluate, "--data.path", "../moved"]) == 0


def test_pictures_are_trained_on_where_float64_is_the_default(pictures):
    torch.set_default_dtype(torch.float64)
    try:
        words = ["train", "images", "--data.path", "pics", *SMALL, "--folder", "r"]
        assert command.main(words) == 0
    finally:
        torch.set_default_dtype(torch.float32)
    assert advnets.load("r").update == 2

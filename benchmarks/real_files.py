"""Small valid files of every kind that advnets reads, for `campaign.py`."""

import gzip
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import io

EXAMPLES = 60


def write(real: Path) -> None:
    """Data for every reader.

    Arrays `x.npy` and `x.npz` with labels, `table.csv`, `pics` and `pics.zip`, `listed` with
    labels.csv, `mnist`, Keras's `mnist.npz`, `cifar.tar.gz` and `faces.mat`.
    """
    rows = np.random.default_rng(0)
    real.mkdir(parents=True, exist_ok=True)
    x = rows.integers(0, 256, (EXAMPLES, 6, 5), dtype=np.uint8)
    y = np.arange(EXAMPLES) % 3
    np.savez(real / "x.npz", x=x, y=y)
    np.save(real / "x.npy", rows.random((EXAMPLES, 4), dtype=np.float32))
    _table(real / "table.csv", rows)
    _pictures(real, rows)
    (real / "mnist").mkdir()
    for name, data in idx_files(rows).items():
        (real / "mnist" / name).write_bytes(gzip.compress(data))
    digits: dict[str, Any] = {
        f"x_{part}": rows.integers(0, 256, (30, 28, 28), np.uint8) for part in ("train", "test")
    }
    told: dict[str, Any] = {f"y_{part}": np.arange(30) % 10 for part in ("train", "test")}
    np.savez(real / "keras.npz", **digits, **told)
    _faces(real / "faces.mat", rows)


def _table(path: Path, rows: "np.random.Generator") -> None:
    """Numbers with headings and labels of words."""
    numbers = rows.random((EXAMPLES, 3)).round(3)
    lines = ["length;width;height;species"]
    for i, row in enumerate(numbers):
        lines.append(";".join([*map(str, row), ("cat", "dog", "owl")[i % 3]]))
    path.write_text("\n".join(lines) + "\n")


def _pictures(real: Path, rows: "np.random.Generator") -> None:
    """A folder with a folder for each class, its zip, and a folder with a table of labels."""
    for name in ("pics/a", "pics/b", "listed"):
        (real / name).mkdir(parents=True)
    listed = ["file,label"]
    for i in range(24):
        picture = Image.fromarray(rows.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        picture.save(real / "pics" / "ab"[i % 2] / f"{i}.png")
        picture.save(real / "listed" / f"{i}.png")
        listed.append(f"{i}.png,{'ab'[i % 2]}")
    (real / "listed" / "labels.csv").write_text("\n".join(listed) + "\n")
    with zipfile.ZipFile(real / "pics.zip", "w") as archive:
        for path in sorted((real / "pics").rglob("*.png")):
            archive.write(path, str(path.relative_to(real / "pics")))


def idx_files(rows: np.random.Generator) -> dict[str, bytes]:
    """MNIST's four files, of 30 noisy digits each."""
    files = {}
    for part in ("train", "t10k"):
        pixels = rows.integers(0, 256, 30 * 784, dtype=np.uint8).tobytes()
        head = struct.pack(">IIII", 0x803, 30, 28, 28)
        files[f"{part}-images-idx3-ubyte.gz"] = head + pixels
        labels = bytes(i % 10 for i in range(30))
        files[f"{part}-labels-idx1-ubyte.gz"] = struct.pack(">II", 0x801, 30) + labels
    return files


def _faces(path: Path, rows: "np.random.Generator") -> None:
    """A file of the layout of the Toronto Face Database."""
    n = 40
    folds = np.zeros((n, 5), dtype=np.uint8)
    for fold in range(5):
        folds[n // 2 :, fold] = rows.permutation(np.arange(n // 2) % 3 + 1)
    expressions = np.where(np.arange(n) < n // 2, -1, np.arange(n) % 7 + 1)
    found = {
        "images": rows.integers(0, 256, (n, 48, 48), dtype=np.uint8),
        "folds": folds,
        "labs_ex": expressions.astype(np.int16)[:, None],
    }
    io.savemat(path, found)

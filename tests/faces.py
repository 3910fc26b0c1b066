"""Tiny files of the layout of the Toronto Face Database, of random pictures."""

import numpy as np
from scipy import io

N = 40


def arrays(n=N, seed=0, **others):
    """What a file holds: the first half unlabelled, the rest dealt anew in each fold."""
    draw = np.random.default_rng(seed)
    folds = np.zeros((n, 5), dtype=np.uint8)
    for f in range(5):
        folds[n // 2 :, f] = draw.permutation(np.arange(n - n // 2) % 3 + 1)
    found = {
        "images": draw.integers(0, 256, (n, 48, 48), dtype=np.uint8),
        "folds": folds,
        "labs_ex": np.where(np.arange(n) < n // 2, -1, np.arange(n) % 7 + 1).astype(np.int16),
        "labs_id": np.arange(n, dtype=np.int16),
    } | others
    return {name: x[:, None] if x.ndim == 1 else x for name, x in found.items() if x is not None}


def write(path, **others):
    io.savemat(path, arrays(**others))
    return path

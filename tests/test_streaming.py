"""What is computed from blocks of examples equals what is computed from all of them at once."""

import numpy as np
import pytest
import torch

from advnets import data, streaming
from advnets.streaming import blocks, nearest


def written_out(x, examples):
    """One pair at a time, in Python's own double precision."""
    found = []
    for point in x.flatten(1).tolist():
        distances = [
            sum((a - b) ** 2 for a, b in zip(point, example, strict=True))
            for example in examples.flatten(1).tolist()
        ]
        found.append(distances.index(min(distances)))
    return found


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 3), (3, 2, 2)])
@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_the_nearest_example_is_that_of_the_written_out_search(shape, rows, rng, monkeypatch):
    examples, x = torch.rand(60, *shape, generator=rng), torch.rand(9, *shape, generator=rng)
    monkeypatch.setattr(streaming, "_BYTES", 4 * rows * examples[0].numel())
    assert nearest(x, examples).tolist() == written_out(x, examples)


def test_of_equals_the_first_is_the_nearest(monkeypatch):
    monkeypatch.setattr(streaming, "_BYTES", 4)
    examples = torch.tensor([[3.0], [1.0], [1.0], [-1.0]])
    assert nearest(torch.tensor([[0.0], [1.0], [3.0]]), examples).tolist() == [1, 1, 0]


def test_every_example_is_nearest_to_itself_where_float32_products_lose_it():
    """Far from the origin the expanded square cancels: only differences tell neighbours apart."""
    examples = 1000 + 1e-3 * torch.arange(50.0)[:, None].repeat(1, 784)
    assert nearest(examples, examples).tolist() == list(range(50))


def test_examples_in_a_file_are_searched_there(tmp_path, rng):
    x = torch.rand(200, 6, generator=rng)
    np.save(tmp_path / "x.npy", x.numpy())
    path = str(tmp_path / "x.npy")
    splits = [
        data.load(data.ArrayConfig(path=path, resident=resident), seed=0)
        for resident in (True, False)
    ]
    found = [nearest(x[:20], s.train.x) for s in splits]
    assert torch.equal(*found)
    assert found[0].tolist() == written_out(x[:20], splits[0].train.x)


def test_blocks_are_all_examples_in_order(rng, monkeypatch):
    monkeypatch.setattr(streaming, "_BYTES", 100)
    x = torch.rand(31, 3, generator=rng)
    assert torch.equal(torch.cat(list(blocks(x))), x)
    assert len(list(blocks(x))) > 1

"""What is computed from blocks of examples equals what is computed from all of them at once."""

import torch

from advnets.base import blocks as streaming
from advnets.base.blocks import blocks


def test_blocks_are_all_examples_in_order(rng, monkeypatch):
    monkeypatch.setattr(streaming, "_BYTES", 100)
    x = torch.rand(31, 3, generator=rng)
    assert torch.equal(torch.cat(list(blocks(x))), x)
    assert len(list(blocks(x))) > 1

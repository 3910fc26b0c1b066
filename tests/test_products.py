"""Products by another way are the same products."""

import pytest
import torch

from advnets import layers, products

GATHERED = pytest.mark.skipif(not products._BAGS, reason="dense products alone on this processor")


def thin(n, k, *, seed=0, share=0.1):
    """A gradient of which that share is not zero, with a row and a column of zeros."""
    rng = torch.Generator().manual_seed(seed)
    d = torch.randn(n, k, generator=rng) * (torch.rand(n, k, generator=rng) < share)
    d[n // 2], d[:, k // 3] = 0, 0
    return d


@pytest.mark.parametrize("before", [0, 1, 4])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_thin_products_are_the_dense_ones(before, share, rng):
    d = thin(7, 30, share=share)
    weight, x = torch.randn(30, 5, generator=rng), torch.randn(7, 5, generator=rng)
    d_x, d_weight = products.thin_products(d, weight, x, before)
    torch.testing.assert_close(d_x, d[before:] @ weight)
    torch.testing.assert_close(d_weight, d.T @ x)
    assert products.thin_products(d, weight, None)[1] is None
    assert products.thin_products(d, None, x)[0] is None
    again = products.thin_products(d.T.contiguous().T, weight, x, before)  # however it lies
    assert torch.equal(again[0], d_x)
    assert torch.equal(again[1], d_weight)


@GATHERED
@pytest.mark.parametrize("both", [False, True])
def test_large_maxout_has_the_gradients_of_a_small_one(both, rng, monkeypatch):
    """Data and samples side by side, where only the samples' gradient is asked for, or samples alone."""
    layer = layers.Maxout(120, 200, 5)
    for p in layer.parameters():
        p.data.uniform_(-0.1, 0.1, generator=rng)
    data, x = (torch.rand(250, 120, generator=rng) for _ in range(2))
    x.requires_grad_()
    d = torch.randn(500 if both else 250, 200, generator=rng)

    def gradients():
        h = layer(x, before=data) if both else layer(x)
        return torch.autograd.grad(h, [x, *layer.parameters()], d)

    calls = []
    real = products.thin_products
    monkeypatch.setattr(layers, "thin_products", lambda *a, **k: calls.append(a) or real(*a, **k))
    monkeypatch.setattr(products, "_LARGE", 1)
    found = gradients()
    assert len(calls) == 1
    monkeypatch.setattr(products, "_BAGS", False)
    for one, other in zip(found, gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert len(calls) == 1


@GATHERED
@torch.no_grad()
def test_where_gathering_pays():
    published = torch.zeros(200, 1200)
    assert products.thin_pays(published, 784)
    assert products.thin_pays(published, 240)
    assert not products.thin_pays(published[:100], 240)  # too small
    assert not products.thin_pays(torch.zeros(200, 8000), 3072)  # not from the caches
    assert not products.thin_pays(published.bfloat16(), 784)
    assert not products.thin_pays(published.to("meta"), 784)
    with torch.enable_grad():
        assert not products.thin_pays(published, 784)


def test_a_layer_of_few_pieces_is_not_thin():
    assert not layers.Maxout(3, 4, 3).affine.thin
    assert layers.Maxout(3, 4, 5).affine.thin


def test_torch_knows_both_operations(rng):
    d, weight, x = thin(6, 9), torch.randn(9, 4, generator=rng), torch.randn(6, 4, generator=rng)
    told = ["test_schema", "test_faketensor"]
    for arguments in ((d, weight, x, 2), (d, None, x, 0), (d, weight, None, 0)):
        torch.library.opcheck(torch.ops.advnets.thin_products, arguments, test_utils=told)
    if products._ONEDNN:
        arguments = (x, weight, torch.randn(9, generator=rng))
        torch.library.opcheck(torch.ops.advnets.product, arguments, test_utils=told)

"""Products by another way are the same products."""

import pytest
import torch

from advnets.nn import kernels, maxout

GATHERED = pytest.mark.skipif(not kernels.BAGS, reason="dense products alone on this processor")


def thin(n, q, pieces, *, seed=0, share=0.1):
    """A gradient in q of q * pieces numbers, with a row and a column of zeros, and in which."""
    rng = torch.Generator().manual_seed(seed)
    d = torch.randn(n, q, generator=rng) * (torch.rand(n, q, generator=rng) < share)
    d[n // 2], d[:, q // 3] = 0, 0
    piece = torch.randint(0, pieces, (n, q), generator=rng, dtype=torch.int32)
    return d, piece * q + torch.arange(q, dtype=torch.int32)


@pytest.mark.parametrize("before", [0, 1, 4])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_thin_products_are_the_dense_ones(before, share, rng):
    d, columns = thin(7, 6, 5, share=share)
    weight, x = torch.randn(30, 5, generator=rng), torch.randn(7, 5, generator=rng)
    dense = torch.zeros(7, 30).scatter_(1, columns.long(), d)
    d_x, d_weight, d_bias = kernels.thin_products(d, columns, 30, weight, x, before)
    torch.testing.assert_close(d_x, dense[before:] @ weight)
    torch.testing.assert_close(d_weight, dense.T @ x)
    torch.testing.assert_close(d_bias, dense.sum(dim=0))
    assert kernels.thin_products(d, columns, 30, weight, None)[1:] == (None, None)
    assert kernels.thin_products(d, columns, 30, None, x)[0] is None
    turned = d.T.contiguous().T  # however it lies
    again = kernels.thin_products(turned, columns, 30, weight, x, before)
    assert all(map(torch.equal, again, (d_x, d_weight, d_bias)))


@GATHERED
@pytest.mark.parametrize("both", [False, True])
def test_large_maxout_has_the_gradients_of_a_small_one(both, rng, monkeypatch):
    """Data and samples side by side, where only the samples' gradient is asked for, or samples alone."""
    layer = maxout.Maxout(120, 200, 5)
    for p in layer.parameters():
        p.data.uniform_(-0.1, 0.1, generator=rng)
    data, x = (torch.rand(250, 120, generator=rng) for _ in range(2))
    x.requires_grad_()
    d = torch.randn(500 if both else 250, 200, generator=rng)

    def gradients():
        h = layer(x, before=data) if both else layer(x)
        return torch.autograd.grad(h, [x, *layer.parameters()], d)

    calls = []
    real = kernels.thin_products
    monkeypatch.setattr(maxout, "thin_products", lambda *a, **k: calls.append(a) or real(*a, **k))
    monkeypatch.setattr(kernels, "_LARGE", 1)
    found = gradients()
    assert len(calls) == 1
    monkeypatch.setattr(kernels, "BAGS", False)
    for one, other in zip(found, gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert len(calls) == 1


@GATHERED
def test_a_second_derivative_of_a_large_maxout_is_that_of_a_small_one(rng, monkeypatch):
    """A gradient penalty, which is not to come out as silence."""
    monkeypatch.setattr(kernels, "_LARGE", 1)
    layer = maxout.Maxout(6, 4, 5)
    before, x = (torch.randn(5, 6, generator=rng) for _ in range(2))
    x.requires_grad_()

    def penalty():
        (g,) = torch.autograd.grad(layer(x, before=before).square().sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), [x, layer.affine.weight])

    found = penalty()
    monkeypatch.setattr(kernels, "BAGS", False)
    for one, other in zip(found, penalty(), strict=True):
        assert other.abs().max() > 0.1
        torch.testing.assert_close(one, other)


@GATHERED
def test_where_gathering_pays():
    def pays(n, k, i, before=0, dtype=torch.float32, device="cpu"):
        x, rows, weight = (torch.zeros(m, i, dtype=dtype, device=device) for m in (n, before, k))
        return kernels.thin_pays(x, rows if before else None, weight)

    assert pays(100, 1200, 784, before=100)
    assert pays(100, 1200, 784)
    assert pays(200, 1200, 240)
    assert not pays(100, 1200, 240)  # too small
    assert not pays(200, 8000, 3072)  # not from the caches
    assert not pays(200, 1200, 784, dtype=torch.bfloat16)
    assert not pays(200, 1200, 784, device="meta")


def test_a_layer_of_few_pieces_is_not_thin(monkeypatch, rng):
    monkeypatch.setattr(kernels, "_LARGE", 1)
    monkeypatch.setattr(kernels, "BAGS", True)
    x = torch.randn(6, 3, generator=rng)
    kinds = [type(maxout.Maxout(3, 4, pieces)(x).grad_fn).__name__ for pieces in (3, 5)]
    assert kinds == ["ViewBackward0", "_ThinMaxoutBackward"]


def test_torch_knows_both_operations(rng):
    d, columns = thin(6, 3, 3)
    weight, x = torch.randn(9, 4, generator=rng), torch.randn(6, 4, generator=rng)
    told = ["test_schema", "test_faketensor"]
    for factors in ((weight, x, 2), (None, x, 0), (weight, None, 0)):
        arguments = (d, columns, 9, *factors)
        torch.library.opcheck(torch.ops.advnets.thin_products, arguments, test_utils=told)
    arguments = (x, weight, torch.randn(9, generator=rng))
    torch.library.opcheck(torch.ops.advnets.product, arguments, test_utils=told)

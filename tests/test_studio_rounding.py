"""Integer weights: they are rounded one after another, and those that follow make up for the error."""

import pytest
import torch

from advnets.studio import rounding


@pytest.fixture
def layer(rng):
    """Correlated inputs (40 of rank 6, and a little noise), weights, and the outputs."""
    x = torch.relu(torch.randn(2_000, 6, generator=rng) @ torch.randn(6, 40, generator=rng))
    x += 0.05 * torch.randn(2_000, 40, generator=rng)
    W, b = torch.randn(9, 40, generator=rng), torch.randn(9, generator=rng)
    return x, W, x @ W.T + b


def test_correlated_inputs_make_up_for_the_rounding(layer):
    x, W, outputs = layer
    found = rounding.affine(x, outputs, W)
    s = W.abs().amax(dim=1, keepdim=True) / 127
    each_by_itself = x @ (W - (W / s).round() * s).T
    left = outputs - (x @ found.weights().T + found.bias)
    assert left.square().mean() < each_by_itself.var(dim=0).mean() / 20
    assert left.mean(dim=0).abs().max() < 1e-4
    assert found.q.dtype is torch.int8
    assert found.q.abs().max() == 127
    assert found.wide.abs().amax(dim=1).tolist() == [2**15 - 1] * 9
    assert (found.q.shape, found.wide.shape) == ((9, 27), (9, 13))
    assert sorted(found.order.tolist()) == list(range(40))


def test_the_rest_is_at_its_optimum_after_each_rounding(layer):
    x, W, outputs = (t.double() for t in layer)
    found = rounding.affine(x, outputs, W)
    centred = x - x.mean(0)
    H = centred.T @ centred
    H += rounding.DAMPING * H.diagonal().mean() * torch.eye(40)
    H = H[found.order][:, found.order]
    best = W[:, found.order] / found.scales[0, :, None].double()  # the exact map: nothing is left
    rounded = torch.empty(9, 0, dtype=torch.float64)
    for n in range(1, 28):
        moved = best[:, n - 1]
        if n > 1:  # the real columns minimise (w - best) H (w - best) with the first ones given
            away = (rounded - best[:, : n - 1]) @ H[: n - 1, n - 1 :]
            moved = moved - torch.linalg.solve(H[n - 1 :, n - 1 :], away.T).T[:, 0]
        rounded = torch.cat((rounded, moved.round().clamp(-127, 127)[:, None]), dim=1)
    assert (rounded != found.q).double().mean() < 0.01  # ties that rounding of sums breaks


def test_pivots_have_the_largest_variance_given_those_before(rng):
    A = torch.randn(12, 9, generator=rng, dtype=torch.float64)
    H = A.T @ A
    found = rounding.pivots(H, 6).tolist()
    for n, pivot in enumerate(found):
        known = found[:n]
        left = H - H[:, known] @ torch.linalg.solve(H[known][:, known], H[known])
        assert pivot == int(left.diagonal().argmax())


def test_inputs_that_never_vary_leave_finite_weights(rng):
    W = torch.randn(4, 30, generator=rng)
    W[0] = 0.0
    found = rounding.affine(torch.ones(5, 30), torch.ones(5, 30) @ W.T, W)
    assert found.weights().isfinite().all()
    assert torch.allclose(found.weights().sum(dim=1) + found.bias, W.sum(dim=1), atol=1e-4)

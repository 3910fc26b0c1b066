"""Maxout against loops over single numbers."""

import pytest
import torch

from advnets.base.errors import BadValue
from advnets.nn.maxout import Maxout


def rows(t):
    return t.detach().double().tolist()


@pytest.mark.parametrize(("units", "pieces"), [(4, 5), (3, 1), (1, 2)])
def test_maxout_is_the_largest_of_its_pieces_which_lie_side_by_side(units, pieces, rng):
    """h_i = max_j y_{jq + i}."""
    layer = Maxout(6, units, pieces).double()
    x = torch.randn(7, 6, dtype=torch.float64, generator=rng)
    W, b = rows(layer.affine.weight), rows(layer.affine.bias)
    expected = [
        [
            max(
                sum(w * v for w, v in zip(W[j * units + i], row, strict=True)) + b[j * units + i]
                for j in range(pieces)
            )
            for i in range(units)
        ]
        for row in rows(x)
    ]
    assert layer(x).shape == (7, units)
    assert (layer(x) - torch.tensor(expected, dtype=torch.float64)).abs().max() < 1e-12


def test_maxout_has_no_rectifier():
    layer = Maxout(2, 1, 3)
    layer.affine.weight.data.zero_()
    layer.affine.bias.data.copy_(torch.tensor([-3.0, -2.0, -4.0]))
    assert layer(torch.ones(1, 2)).item() == -2


def test_the_gradient_of_maxout_reaches_the_winning_piece_alone(rng):
    layer = Maxout(4, 3, 5)
    x = torch.randn(1, 4, generator=rng)
    layer(x).sum().backward()
    winners = layer.affine(x).view(5, 3).argmax(dim=0)
    expected = torch.zeros(5, 3).scatter_(0, winners[None], 1.0)
    assert torch.equal(layer.affine.bias.grad.view(5, 3), expected)


def test_equal_pieces_share_the_gradient_evenly():
    layer = Maxout(2, 2, 4)
    with torch.no_grad():
        layer.affine.weight.zero_()
        layer.affine.bias.view(4, 2).copy_(
            torch.tensor([[1.0, 5.0], [3.0, 2.0], [3.0, 5.0], [3.0, 5.0]])
        )
    layer(torch.ones(1, 2)).sum().backward()
    third = torch.tensor(1 / 3)
    expected = torch.tensor([[0, third], [third, 0], [third, third], [third, third]])
    torch.testing.assert_close(layer.affine.bias.grad.view(4, 2), expected)
    assert torch.equal(layer.affine.weight.grad, layer.affine.bias.grad[:, None].expand(8, 2))


@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("tied", [False, True])
def test_gradcheck_of_maxout(pieces, tied, rng):
    """At a tie of two, the slope that a central difference sees is half of each."""
    layer = Maxout(4, 3, pieces).double()
    weight, x = (torch.randn(n, 4, dtype=torch.float64, generator=rng) for n in (3 * pieces, 5))
    if tied and pieces > 1:  # the first two pieces equal, whatever rounds, and above the others
        weight, x = (v.mul(8).round().div(8) for v in (weight, x))
        weight.view(pieces, 3, 4)[1] = weight.view(pieces, 3, 4)[0]
    with torch.no_grad():
        layer.affine.weight.copy_(weight)
        layer.affine.bias.view(pieces, 3)[:2] = 9.0 if tied and pieces > 1 else 0.0

    def f(x, weight, bias):
        names = {"affine.weight": weight, "affine.bias": bias}
        return torch.func.functional_call(layer, names, x)

    x.requires_grad_()
    assert torch.autograd.gradcheck(f, (x, layer.affine.weight, layer.affine.bias))


def test_maxout_of_no_examples_is_no_examples():
    assert Maxout(4, 3, 2)(torch.zeros(0, 4)).shape == (0, 3)


@pytest.mark.parametrize("sizes", [(0, 5), (4, 0)])
def test_maxout_needs_a_unit_and_a_piece(sizes):
    with pytest.raises(BadValue, match=r"'(units|pieces)' must be a number that is at least 1"):
        Maxout(3, *sizes)

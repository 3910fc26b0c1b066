"""Eq. (1) and the two objectives of G."""

import math

import pytest
import torch

from advnets.game.objectives import shared_cotangent
from advnets.game.value import OBJECTIVES, minimax, non_saturating, value

LOGITS = torch.linspace(-5, 5, 11, dtype=torch.float64)


def test_V_is_minus_log_4_where_D_is_one_half():
    D = torch.zeros(8, dtype=torch.float64)
    assert value(D, D).item() == pytest.approx(-math.log(4), abs=1e-15)


def test_V_is_eq_1_written_out():
    D_x, D_Gz = LOGITS.sigmoid().tolist(), LOGITS.flip(0)[:7].sigmoid().tolist()
    written = sum(map(math.log, D_x)) / len(D_x) + sum(math.log(1 - d) for d in D_Gz) / len(D_Gz)
    assert value(LOGITS, LOGITS.flip(0)[:7]).item() == pytest.approx(written, abs=1e-12)


def test_V_is_at_most_0_and_reaches_it_where_D_is_sure_and_right():
    assert value(torch.full((3,), 1e4), torch.full((3,), -1e4)).item() == 0


def test_V_stays_finite_where_log_of_sigmoid_does_not():
    sure_and_wrong = value(torch.full((1,), -1e3), torch.full((1,), 1e3))
    assert sure_and_wrong.item() == pytest.approx(-2e3)


def test_objectives_are_their_definitions():
    D = LOGITS.sigmoid()
    assert minimax(LOGITS).item() == pytest.approx((1 - D).log().mean().item(), abs=1e-12)
    assert non_saturating(LOGITS).item() == pytest.approx(-D.log().mean().item(), abs=1e-12)


def test_minimax_is_the_share_of_V_that_G_can_move():
    D_x = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    share = value(D_x, LOGITS) - D_x.sigmoid().log().mean()
    assert minimax(LOGITS).item() == pytest.approx(share.item(), abs=1e-12)


@pytest.mark.parametrize("logit", [-8.0, -3.0, 0.0, 3.0])
def test_gradients_in_closed_form_and_which_one_saturates(logit):
    a = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    D = 1 / (1 + math.exp(-logit))
    (g,) = torch.autograd.grad(minimax(a), a)
    assert g.item() == pytest.approx(-D)  # vanishes as D rejects the sample
    (g,) = torch.autograd.grad(non_saturating(a), a)
    assert g.item() == pytest.approx(-(1 - D))  # is strongest there


def cotangents(objective, logits, dtype):
    """What D and G (in its own way) send back to the logits of data, then of samples."""
    a = logits.to(dtype).requires_grad_()
    x, x_g = a.chunk(2)
    (for_D,) = torch.autograd.grad(-value(x, x_g), a)
    (for_G,) = torch.autograd.grad(OBJECTIVES[objective](x_g), a)
    return for_D, for_G


SURE = torch.tensor([0.0, -0.1, 3.0, -3.0, 17.0, 60.0, -60.0, 200.0, -200.0, 1e4, -1e4])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_shared_cotangent_gives_both_players_theirs(objective, dtype):
    """u is D's but for 2^-50 of G's; u times the ratio is G's, to rounding; all stays finite."""
    for_D, for_G = cotangents(objective, torch.cat((SURE, -SURE)), dtype)
    u, ratio = shared_cotangent(for_D, for_G)
    assert u.isfinite().all() and ratio.isfinite().all() and (u != 0).all()
    assert u.shape == ratio.shape == for_D.shape
    assert ((u - for_D).abs() <= 2.0**-50 * for_G.abs() + 1e-30).all()
    error = 4 * torch.finfo(dtype).eps
    assert ((u * ratio - for_G).abs() <= error * for_G.abs() + torch.finfo(dtype).tiny).all()
    assert not ratio[: len(SURE)].any()  # nothing of G's on data
    assert (ratio.abs() <= 2.0**50).all()


def test_where_D_is_not_beyond_all_doubt_the_shared_cotangent_is_its_own():
    logits = torch.linspace(-15, 15, 62)
    for objective in OBJECTIVES:
        for_D, for_G = cotangents(objective, logits, torch.float32)
        assert torch.equal(shared_cotangent(for_D, for_G)[0], for_D)

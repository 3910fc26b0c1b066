"""Eq. (1) and the two objectives of G."""

import math

import pytest
import torch

from advnets.value import minimax, non_saturating, value

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

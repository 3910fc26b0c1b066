"""Belief nets against sums over every state: densities, bounds, phases, annealing."""

import itertools
import math
import re

import pytest
import torch

from advnets.base.protocols import Batch, Problem
from advnets.evaluation import ais
from advnets.models.directed.belief_net import BeliefNet, RecognitionPath
from advnets.models.directed.sigmoid_belief_net import SBN, SBNConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.theory import enumeration

UNITS = (6, 4, 2)


def net(units=UNITS, *, seed=0, stdev=0.8):
    rng = torch.Generator().manual_seed(seed)
    made = BeliefNet(units, stdev=stdev, rng=rng).double()
    for p in made.parameters():
        if p.ndim == 1:
            p.data.copy_(torch.randn(p.shape, generator=rng) / 2)
    return made.requires_grad_(False)


def every(n):
    return torch.cat(list(enumeration.states(n))).double()


def joint(n):
    return lambda x, h: n.log_joint(x, n.split(h))


def problem(n=6, **settings):
    facts = {
        "low": 0.0,
        "high": 1.0,
        "mean": torch.full((n,), 0.5),
        "batches_per_epoch": 5,
        "steps": 30,
    }
    return Problem(event_shape=(n,), **(facts | settings))


def learner(hidden=(4, 2), n=6, **settings):
    return SBN.from_config(SBNConfig(hidden=hidden, **settings), problem(n), seed=0)


@pytest.mark.parametrize("units", [(6, 4), UNITS, (3, 2, 2, 2)])
def test_p_sums_to_1_and_q_does_for_every_x(units):
    n, x = net(units), every(units[0])
    log_p = enumeration.log_marginal(joint(n), x, sum(units[1:]))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(n.log_marginal(x), log_p)  # layer after layer, and all at once
    of_q = enumeration.log_marginal(lambda x, h: n.log_q(x, n.split(h)), x, sum(units[1:]))
    torch.testing.assert_close(of_q, torch.zeros_like(of_q), rtol=0, atol=1e-12)


def test_a_layer_of_more_states_than_are_in_memory_at_once_is_summed():
    n, x = net((1, 15, 2)), every(1)
    log_p = n.log_marginal(x)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_the_joint_written_out():
    n, x, h = net(), every(6)[[37]], [every(4)[[5]], every(2)[[2]]]

    def log_b(p, value):
        return (value * p.log() + (1 - value) * (1 - p).log()).sum()

    down = [(layer.weight, layer.bias) for layer in n.down]
    expected = log_b(n.top.sigmoid(), h[1][0])
    expected += log_b((down[1][0] @ h[1][0] + down[1][1]).sigmoid(), h[0][0])
    expected += log_b((down[0][0] @ h[0][0] + down[0][1]).sigmoid(), x[0])
    assert n.log_joint(x, h).item() == pytest.approx(expected.item())


def tables(n):
    """x, log p(x), log q(h|x) and log p(h|x) as tables over x and h."""
    x, units = every(n.units[0]), sum(n.units[1:])
    log_q = enumeration.posterior(lambda x, h: n.log_q(x, n.split(h)), x, units)
    return (
        x,
        enumeration.log_marginal(joint(n), x, units),
        log_q,
        enumeration.posterior(joint(n), x, units),
    )


def test_elbo_and_kl_add_up_to_log_p():
    n = net()
    _, log_p, log_q, log_post = tables(n)
    elbo = (log_q.exp() * (log_post + log_p[:, None] - log_q)).sum(dim=1)
    kl = (log_q.exp() * (log_q - log_post)).sum(dim=1)
    torch.testing.assert_close(elbo + kl, log_p, rtol=0, atol=1e-12)
    assert kl.min() > 0


def test_the_importance_weighted_bound_rises_with_the_draws_and_is_what_is_estimated(rng):
    """E of one and of two draws by enumeration; the estimate of one, of two."""
    n, sbn = net((6, 3)), learner(hidden=(3,))
    _, log_p, log_q, log_post = tables(n)
    log_w = log_post + log_p[:, None] - log_q
    one = (log_q.exp() * log_w).sum(dim=1)
    pairs = torch.logaddexp(log_w[:, :, None], log_w[:, None]) - math.log(2)
    both = log_q.exp()[:, :, None] * log_q.exp()[:, None]
    two = (both * pairs).sum(dim=(1, 2))
    assert (one < two).all() and (two < log_p).all()
    sbn.network.load_state_dict(n.state_dict())
    x = every(6)[21].float().expand(20_000, 6)
    for k, exact in ((1, one), (2, two)):
        found = sbn.importance_weighted(x, k=k, rng=rng)
        assert abs(found.mean() - exact[21]) < 4 * found.std() / 20_000**0.5
    many = sbn.importance_weighted(x[:5], k=25_000, rng=rng)
    torch.testing.assert_close(many.double(), log_p[21].expand(5), rtol=0, atol=0.05)
    torch.testing.assert_close(
        sbn.log_density(x[:3]).double(), log_p[21].expand(3), atol=1e-5, rtol=0
    )


def test_waking_with_the_exact_posterior_is_the_gradient_of_log_p():
    n = net((6, 3)).requires_grad_(True)
    x, weights = every(6)[[9, 40]], [p for name, p in n.named_parameters() if "up" not in name]
    log_p = enumeration.log_marginal(joint(n), x, 3)
    expected = torch.autograd.grad(log_p.sum(), weights)
    posterior = enumeration.posterior(joint(n), x, 3).exp().detach()
    table = torch.stack([n.log_joint(x, [h.expand(2, 3)]) for h in every(3)], dim=1)
    found = torch.autograd.grad((posterior * table).sum(), weights)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("k", [1, 3])
def test_phases_have_the_gradients_of_their_objectives(k, rng):
    """Mean gradients of one step: waking of q's draws, sleep of E_p[-log q], within 4 errors."""
    n, sbn = net((3, 2)), learner(hidden=(2,), n=3, k=k)
    sbn.network.load_state_dict(n.state_dict())
    x = every(3)[[5]].float().expand(64, 3)
    rows = []
    for _ in range(150):
        J = sbn.objective(x, rng=rng)["wake_and_q"]
        gradient = torch.autograd.grad(J, list(sbn.network.parameters()))
        rows.append(torch.cat([g.flatten() for g in gradient]).double())
    found = torch.stack(rows)
    n.requires_grad_(True)
    state = every(2)
    log_w = torch.stack([n.log_weights(x[:1].double(), [h[None]])[0] for h in state])
    log_q = torch.stack([n.log_q(x[:1].double(), [h[None]])[0] for h in state]).detach()
    log_p = torch.stack([n.log_joint(x[:1].double(), [h[None]])[0] for h in state])
    wake = 0
    for draws in itertools.product(range(4), repeat=k):
        p = log_q[list(draws)].sum().exp()
        wake = wake - p * (log_w[list(draws)].detach().softmax(dim=0) * log_p[list(draws)]).sum()
    sleep = -sum(
        n.log_joint(x[None], [h[None]]).exp().detach()[0] * n.log_q(x[None], [h[None]])[0]
        for x in every(3)
        for h in state
    )
    exact = torch.autograd.grad(wake + sleep, list(n.parameters()))
    exact = torch.cat([g.flatten() for g in exact])
    assert ((found.mean(dim=0) - exact).abs() < 4 * found.std(dim=0) / 150**0.5 + 1e-6).all()


@pytest.mark.parametrize("settings", [{}, {"k": 5, "phases": "both"}, {"k": 5, "phases": "wake"}])
def test_training_raises_the_exact_likelihood(settings, rng):
    x = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(10, 1)
    rule = OptimizerConfig(optimizer="adam", lr=0.05, lr_decay=1.0, beta1=0.9)
    sbn = learner(hidden=(3,), optimizer=rule, stdev=0.1, **settings)
    before = sbn.log_density(x).mean()
    for _ in range(150):
        info = sbn.step((Batch(x),), rng=rng)
    assert before < -4 and sbn.log_density(x).mean() > -1.6  # log 2 = 0.69 at best
    assert info["bound"] > -2


def test_ancestral_samples_have_the_nets_law():
    n, sbn = net((3, 2, 2)), learner(hidden=(2, 2), n=3)
    sbn.network.load_state_dict(n.state_dict())
    p = enumeration.log_marginal(joint(n), every(3), 4).exp()
    x = sbn.samplers()["binary"].sample(4_000, seed=0)
    found = (x @ torch.tensor([1.0, 2.0, 4.0])).long().bincount(minlength=8) / 4_000
    assert ((found - p).abs() < 4 * (p * (1 - p) / 4_000).sqrt()).all()
    means = sbn.samplers()["means"].sample(4_000, seed=0)
    assert ((means.mean(dim=0) - p.float() @ every(3).float()).abs() < 0.03).all()


def test_annealing_finds_log_p_of_each_x_from_both_sides(rng):
    n, x = net(stdev=1.2), every(6)[[3, 17, 60]]
    _, log_p, _, log_post = tables(n)
    path = RecognitionPath(n, x)
    found = ais.run(path, ais.linear(40), 300, rng=rng)
    assert ((found.log_Z - log_p[[3, 17, 60]]).abs() < 4 * found.standard_error).all()
    exact = torch.stack(
        [enumeration.draw(log_post[i], 6, 4_000, rng=rng) for i in (3, 17, 60)], dim=1
    )
    both = ais.sandwich(path, [0, 0.3, 1], exact, rng=rng)
    for weights, sign in ((both.up, 1), (both.down, -1)):
        ratio = (weights.log_weights - sign * log_p[[3, 17, 60]]).exp()
        assert ((ratio.mean(dim=0) - 1).abs() < 4 * ratio.std(dim=0) / 4_000**0.5).all()


def test_annealing_of_a_learner(rng):
    sbn = learner()
    sbn.network.load_state_dict(net().state_dict())
    x = torch.rand(4, 6, generator=rng).round()
    found = sbn.annealed(x, x.mean(dim=0), rng=rng)
    weights = ais.run(found.path, ais.linear(30), 200, rng=rng)
    assert found.log_numerator is None
    assert ((weights.log_Z - sbn.log_density(x)).abs() < 4 * weights.standard_error + 1e-5).all()


def test_bad_input_is_refused(rng):
    with pytest.raises(ValueError, match="'layers' must be a number that is at least 1, got 0"):
        SBNConfig(hidden=())
    with pytest.raises(ValueError, match="'k' must be at least 2 where q learns from waking alone"):
        SBNConfig(phases="wake")
    with pytest.raises(ValueError, match=r"'x' must be in \[0, 1\] for binary visible units"):
        SBN.from_config(SBNConfig(hidden=(3,)), problem(high=2.0), seed=0)
    with pytest.raises(ValueError, match="'x' must be 0 or 1 everywhere"):
        learner(binarise="refuse").importance_weighted(torch.full((2, 6), 0.4), k=2, rng=rng)
    words = re.escape("got 30, which have 2^30 = 1,073,741,824 states")
    with pytest.raises(ValueError, match=words):
        learner(hidden=(30,)).log_density(torch.zeros(1, 6))

"""Deep Boltzmann machines against sums over every state: energy, mean field, learning, queries."""

import math
import re

import pytest
import torch
from torch.nn import functional as F

from advnets.base.protocols import Batch, Problem
from advnets.evaluation import ais
from advnets.models.energy.annealing import DBMPath
from advnets.models.energy.dbm import DBM, DBMConfig, Joint
from advnets.models.energy.deep_energy import DeepEnergy
from advnets.models.energy.energy import Energy
from advnets.models.energy.mp_dbm import MPDBM, MPDBMConfig, answers, query_loss
from advnets.models.energy.rbm import LearningConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig
from advnets.theory import enumeration

STILL = OptimizerConfig(lr=1e-30, min_lr=0.0, momentum=0.0, final_momentum=0.0)
RULE = OptimizerConfig(lr=0.05, lr_decay=1.0, final_momentum=0.5)


def machine(n_v=6, n_1=4, n_2=3, *, seed=0, stdev=0.8):
    rng = torch.Generator().manual_seed(seed)
    e = DeepEnergy(n_v, n_1, n_2, stdev=stdev, rng=rng).double()
    for bias in (e.b, e.c1, e.c2):
        bias.data.copy_(torch.randn(bias.shape, generator=rng) / 2)
    return e.requires_grad_(False)


def every(n):
    return torch.cat(list(enumeration.states(n))).double()


def problem(n_v=6, **settings):
    facts = {"low": 0.0, "high": 1.0, "mean": torch.linspace(0.2, 0.8, n_v)}
    facts |= {"batches_per_epoch": 5, "steps": 30}
    return Problem(event_shape=(n_v,), **(facts | settings))


def test_log_Z_and_log_p_by_every_sum():
    e = machine()
    triples = torch.cartesian_prod(torch.arange(64), torch.arange(16), torch.arange(8)).T
    v, h1, h2 = (every(n)[rows] for n, rows in zip((6, 4, 3), triples, strict=True))
    weights = -e.energy(v, h1, h2)
    assert abs(e.log_Z() - weights.logsumexp(dim=0)) < 1e-10
    outer = enumeration.log_sum(lambda s: e.log_sum_first(s[:, :6], s[:, 6:]), 9)
    assert abs(e.log_Z() - outer) < 1e-10
    assert (
        abs(machine(2, 7, 3).log_Z() - machine(2, 7, 3).log_sum_outer(every(7)).logsumexp(0))
        < 1e-10
    )
    of_v = weights.view(64, -1).logsumexp(dim=1)
    torch.testing.assert_close(e.log_sum_hidden(every(6)), of_v, rtol=0, atol=1e-10)
    assert (of_v - e.log_Z()).exp().sum().item() == pytest.approx(1)


def test_conditionals_are_bayes_rule():
    e, h1 = machine(), every(4)
    log_p = enumeration.posterior(lambda h, o: -e.energy(o[:, :6], h, o[:, 6:]), h1, 9)
    means = torch.cat((e.visible(h1), e.second(h1)), dim=1).sigmoid()
    torch.testing.assert_close(log_p.exp() @ every(9), means)
    outer = every(9)[::7]
    log_p = enumeration.posterior(lambda o, h: -e.energy(o[:, :6], h, o[:, 6:]), outer, 4)
    logits = e.first(outer[:, :6], outer[:, 6:])
    torch.testing.assert_close(log_p.exp() @ every(4), logits.sigmoid())


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_field_bound_is_below_for_every_v_and_rises_with_every_update(seed):
    e, v = machine(seed=seed, stdev=1.5), every(6)
    exact, before = e.log_sum_hidden(v), None
    for updates in range(8):
        q = e.mean_field(v, updates)
        bound = e.bound(v, q)
        assert (bound < exact + 1e-12).all()
        if before is not None:
            assert (bound > before - 1e-12).all()
        # Half an update: h_1 alone, then h_2 alone.
        half = q._replace(mu1=e.first(v, q.mu2).sigmoid())
        assert (e.bound(v, half) > bound - 1e-12).all()
        whole = half._replace(mu2=e.second(half.mu1).sigmoid())
        assert (e.bound(v, whole) > e.bound(v, half) - 1e-12).all()
        before = bound
    assert (exact - bound).max() > 1e-3  # the bound is not the thing itself


def test_without_upper_weights_it_is_a_restricted_machine_and_the_bound_is_exact():
    e, v = machine(), every(6)
    e.W2.zero_()
    q = e.mean_field(v, 1)
    torch.testing.assert_close(e.bound(v, q), e.log_sum_hidden(v), rtol=0, atol=1e-12)
    rbm = Energy(6, 4).double()
    rbm.load_state_dict({"W": e.W1, "b": e.b, "c": e.c1})
    above = F.softplus(e.c2).sum()
    torch.testing.assert_close(e.log_sum_hidden(v), above - rbm.free_energy(v))
    assert abs(e.log_Z() - above - rbm.log_Z()) < 1e-10


@pytest.mark.parametrize("seed", range(3))
def test_annealing_finds_log_Z(seed, rng):
    e = machine(12, 8, 6, seed=seed, stdev=0.5)
    found = ais.run(DBMPath(e, torch.zeros(12) if seed else None), ais.linear(150), 200, rng=rng)
    assert found.standard_error < 0.06
    assert abs(found.log_Z - e.log_Z()) < 4 * found.standard_error


def test_annealing_is_exactly_1_without_weights_and_sandwiches(rng):
    e = machine(stdev=0.0)
    for bias in (e.c1, e.c2):
        bias.zero_()
    found = ais.run(DBMPath(e), ais.linear(20), 5, rng=rng)
    assert torch.equal(found.log_weights, torch.zeros(5, dtype=torch.float64))
    e = machine()
    h1 = enumeration.draw(enumeration.distribution(e.log_sum_outer, 4), 4, 20_000, rng=rng)
    both = ais.sandwich(DBMPath(e, torch.zeros(6)), [0, 0.4, 1], h1, rng=rng)
    assert both.up.mean_bound < e.log_Z() < both.down.mean_bound
    for weights, sign in ((both.up, 1), (both.down, -1)):
        ratio = (weights.log_weights + sign * (weights.base - e.log_Z())).exp()
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / math.sqrt(20_000)


def test_the_update_averages_to_the_gradient_of_the_bound(rng):
    """Mean field at the data, chains for log Z: against autograd of the bound less the exact log Z."""
    config = DBMConfig(
        hidden=(3, 2), updates=(), particles=40, k=2, weight_decay=0.0, optimizer=STILL
    )
    joint = Joint(config, problem(4), seed=0)
    joint.network.load_state_dict(machine(4, 3, 2).state_dict())
    x = torch.rand(5, 4, generator=rng).round()
    for _ in range(30):
        joint.step((Batch(x),), rng=rng)
    means = []
    for _ in range(30):
        rows = [joint.gradient(x, 1.0, rng=rng)[1] for _ in range(5)]
        flat = [torch.cat([g.flatten() for g in row]).double() for row in rows]
        means.append(torch.stack(flat).mean(dim=0))
    found = torch.stack(means)
    e = joint.network.exact().requires_grad_(True)
    q = [mu.detach() for mu in e.mean_field(x.double(), config.mean_field)]
    log_Z = e.log_sum_outer(every(3)).logsumexp(dim=0)
    J = e.energy(x.double(), *q).mean() + log_Z
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(J, list(e.parameters()))])
    assert ((found.mean(dim=0) - exact).abs() < 4 * found.std(dim=0) / 30**0.5 + 1e-6).all()


def deep(updates=(2, 3), **settings):
    settings = {"hidden": (4, 3), "particles": 9, "optimizer": RULE} | settings
    learning = LearningConfig(negative="cd", stdev=0.3, optimizer=RULE)
    return DBM.from_config(
        DBMConfig(updates=updates, pretraining=learning, **settings), problem(), seed=0
    )


def test_pretraining_moves_one_machine_at_a_time_and_doubles_weights(rng):
    dbm, x = deep(), torch.rand(8, 6, generator=rng).round()
    lower, upper = (part.network for part in dbm.parts)
    networks = [lower, upper, dbm.joint.network]
    for step in range(7):
        before = [torch.cat([p.flatten() for p in n.parameters()]) for n in networks]
        taken = [lower.W.clone(), upper.W.clone(), (lower.c + upper.b).clone() / 2]
        dbm.step((Batch(x),), rng=rng)
        after = [torch.cat([p.flatten() for p in n.parameters()]) for n in networks]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert moved == [step < 2, 2 <= step < 5, step >= 5]
        if step == 5:  # it begins where pretraining ended, but for one update
            own = dbm.joint.network
            for a, b in zip((own.W1, own.W2, own.c1), taken, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0.1)
    torch.testing.assert_close(lower.hidden(x), 2 * x @ lower.W.T + lower.c)
    h = torch.rand(5, 4, generator=rng).round()
    torch.testing.assert_close(lower.visible(h), (h @ lower.W + lower.b).sigmoid())
    torch.testing.assert_close(upper.hidden(h), h @ upper.W.T + upper.c)
    h2 = torch.rand(5, 3, generator=rng).round()
    torch.testing.assert_close(upper.visible(h2), (2 * h2 @ upper.W + upper.b).sigmoid())


def test_training_raises_the_exact_likelihood(rng):
    x = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(10, 1)
    rule = OptimizerConfig(lr=0.05, lr_decay=1.0, final_momentum=0.5, anneal="cosine")
    learning = LearningConfig(negative="cd", stdev=0.1, optimizer=rule)
    config = DBMConfig(
        hidden=(4, 3), updates=(50, 50), particles=50, k=2, optimizer=rule, pretraining=learning
    )
    dbm = DBM.from_config(config, problem(mean=torch.full((6,), 0.5), steps=400), seed=0)
    before = dbm.log_density(x).mean()
    for _ in range(400):
        dbm.step((Batch(x),), rng=rng)
    after = dbm.log_density(x).mean()
    assert before < -4 and after > -2  # independent pixels have -6 log 2 = -4.16, the best is -0.69


def test_log_p_by_annealing_is_the_bound_less_log_Z(rng):
    dbm = deep()
    dbm.joint.network.load_state_dict(machine().state_dict())
    x = torch.rand(7, 6, generator=rng).round()
    found = dbm.annealed(x, x.mean(dim=0), rng=rng)
    weights = ais.run(found.path, ais.linear(200), 300, rng=rng)
    log_p = found.log_numerator - weights.log_Z
    gap = dbm.log_density(x) - log_p
    assert (gap > -4 * weights.standard_error).all() and gap.max() < 1
    assert "bound" in found.bound


def test_chains_reach_the_exact_means(rng):
    dbm = deep(chain=ChainConfig(chains=4_000, burn_in=60, thin=1))
    dbm.joint.network.load_state_dict(machine(stdev=0.4).state_dict())
    p = (dbm.joint.network.log_sum_hidden(every(6)) - dbm.joint.network.log_Z()).exp()
    x = dbm.samplers()["chain"].sample(4_000, seed=0).double()
    assert ((x.mean(dim=0) - p @ every(6)).abs() < 4 * x.std(dim=0) / 4_000**0.5).all()


def test_a_query_without_weights_costs_the_marginals_whatever_the_number_of_updates(rng):
    e = machine(stdev=0.0)
    x, S = torch.rand(9, 6, generator=rng).round().double(), torch.rand(9, 6, generator=rng).round()
    marginals = F.binary_cross_entropy(e.b.sigmoid().expand_as(x), x, reduction="none")
    for updates in (1, 2, 7):
        torch.testing.assert_close(query_loss(e, x, S, updates), (marginals * S).sum(dim=1))


def test_a_query_written_out(rng):
    e, x = machine(), torch.rand(3, 6, generator=rng).round().double()
    S = torch.rand(3, 6, generator=rng).round()
    q, mu2 = torch.where(S.bool(), e.b.sigmoid(), x), e.c2.sigmoid()
    for _ in range(3):
        mu1 = (q @ e.W1.T + mu2 @ e.W2 + e.c1).sigmoid()
        guess, mu2 = (mu1 @ e.W1 + e.b).sigmoid(), (mu1 @ e.W2.T + e.c2).sigmoid()
        q = S * guess + (1 - S) * x
    torch.testing.assert_close(answers(e, x, S, 3).sigmoid(), guess)


def test_the_gradient_through_the_unrolling_is_the_finite_difference(rng):
    e, x = machine().requires_grad_(True), torch.rand(5, 6, generator=rng).round().double()
    S, step = torch.rand(5, 6, generator=rng).round(), 1e-5
    J = query_loss(e, x, S, 6).mean()
    found = torch.autograd.grad(J, list(e.parameters()))
    with torch.no_grad():
        for p, gradient in zip(e.parameters(), found, strict=True):
            flat, expected = p.view(-1), gradient.view(-1)
            for i in range(0, len(flat), 3):
                was = flat[i].item()
                flat[i] = was + step
                above = query_loss(e, x, S, 6).mean()
                flat[i] = was - step
                slope = (above - query_loss(e, x, S, 6).mean()) / (2 * step)
                flat[i] = was
                assert expected[i].item() == pytest.approx(slope.item(), abs=1e-8)


def test_a_trained_query_machine_fills_in_what_belongs_together(rng):
    x = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(10, 1)
    rule = OptimizerConfig(optimizer="adam", lr=0.05, lr_decay=1.0, beta1=0.9)
    config = MPDBMConfig(hidden=(4, 3), mean_field=5, stdev=0.1, optimizer=rule)
    model = MPDBM.from_config(config, problem(mean=torch.full((6,), 0.5)), seed=0)
    for _ in range(150):
        model.step((Batch(x),), rng=rng)
    S = torch.tensor([0.0, 0, 1, 1, 1, 1]).expand_as(x)
    assert query_loss(model.network, x, S, 5).mean() < 4 * math.log(2) / 4


def test_bad_input_is_refused(rng):
    with pytest.raises(ValueError, match=re.escape("'hidden' must be 2 layers, got 3")):
        DBMConfig(hidden=(5, 4, 3))
    with pytest.raises(
        ValueError, match=re.escape("'updates' must be 2 numbers, or none at all, got 1")
    ):
        DBMConfig(updates=(5,))
    with pytest.raises(ValueError, match="'hide' must be above 0 and at most 1, got 0"):
        MPDBMConfig(hide=0.0)
    for config in (DBMConfig(hidden=(3, 2)), MPDBMConfig(hidden=(3, 2))):
        kind = DBM if isinstance(config, DBMConfig) else MPDBM
        with pytest.raises(ValueError, match=r"'x' must be in \[0, 1\] for binary visible units"):
            kind.from_config(config, problem(low=-1.0), seed=0)
    with pytest.raises(ValueError, match="'x' must be 0 or 1 everywhere"):
        deep().log_density(torch.full((2, 6), 0.4))
    with pytest.raises(ValueError, match=re.escape("got 26, which have 2^26 = 67,108,864 states")):
        DeepEnergy(30, 26, 5).log_Z()

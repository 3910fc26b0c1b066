"""Learning rules and schedules against their formulas, one number at a time."""

import math
import sys

import pytest
import torch
from torch import nn

from advnets.base.errors import BadValue
from advnets.optim.ema import EMA
from advnets.optim.momentum import Momentum
from advnets.optim.optimizer_state import (
    load_optimizer_state,
    optimizer_state,
    refuse_foreign_state,
)
from advnets.optim.schedules import OptimizerConfig, Schedule


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def move(net, optimizer, t):
    """One update on data that depends on t alone."""
    x = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(t))
    optimizer.zero_grad()
    net(x).square().mean().backward()
    optimizer.step()


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def schedule(batches_per_epoch=500, batches=10_000, **config):
    config = OptimizerConfig(**config)
    return Schedule(config=config, batches_per_epoch=batches_per_epoch, batches=batches)


def lr(schedule, b):
    """The rate of minibatch b, which is a 0-d tensor both ways."""
    rate = schedule.lr(torch.tensor(b))
    assert (rate.shape, rate.dtype) == ((), torch.float64)
    return rate.item()


def momentum(schedule, b):
    m = schedule.momentum(torch.tensor(b))
    assert (m.shape, m.dtype) == ((), torch.float64)
    return m.item()


# Momentum


def test_momentum_is_the_rule_written_out_while_rate_and_momentum_change():
    target, theta, v = 0.3, [1.0, -2.0], [0.0, 0.0]
    p = nn.Parameter(torch.tensor(theta, dtype=torch.float64))
    optimizer = Momentum([p], lr=1.0)
    for t in range(1, 7):
        lr, m = 0.5 / t, 0.9 - 0.1 * t
        optimizer.param_groups[0] |= {"lr": lr, "momentum": m}
        optimizer.zero_grad()
        ((p - target) ** 2).sum().backward()
        optimizer.step()
        v = [m * vi - lr * 2 * (x - target) for vi, x in zip(v, theta, strict=True)]
        theta = [x + vi for x, vi in zip(theta, v, strict=True)]
        assert p.tolist() == pytest.approx(theta, abs=1e-14)


def test_momentum_is_torchs_sgd_while_the_rate_stands_still():
    ours, theirs = network(), network()
    a = Momentum(ours.parameters(), lr=0.1, momentum=0.7)
    b = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.7)
    for t in range(5):
        move(ours, a, t)
        move(theirs, b, t)
    for p, q in zip(weights(ours), weights(theirs), strict=True):
        assert torch.allclose(p, q, rtol=1e-13, atol=1e-14)


def test_a_parameter_without_a_gradient_stays_and_remembers_nothing():
    p, frozen = (nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = Momentum([p, frozen], lr=0.1)
    p.sum().backward()
    optimizer.step()
    assert torch.equal(frozen, torch.ones(2))
    assert set(optimizer_state(optimizer)) == {"0.velocity"}
    assert not torch.equal(p, torch.ones(2))


def test_a_state_with_gaps_is_refused_and_a_weight_without_any_is_not():
    net = network()
    optimizer = torch.optim.Adam(net.parameters())
    move(net, optimizer, 0)
    state = optimizer_state(optimizer)
    without = {name: t for name, t in state.items() if not name.startswith("2.")}
    for whole in (state, without, {}):
        refuse_foreign_state(optimizer, whole)
    message = r"'optimizer\.2\.exp_avg' must be present, as for other weights, got absent\."
    with pytest.raises(BadValue, match=message):
        refuse_foreign_state(optimizer, {n: t for n, t in state.items() if n != "2.exp_avg"})


def test_every_group_has_its_own_rate():
    p, q = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = Momentum([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.25)
    (p + q).sum().backward()
    optimizer.step()
    assert (p.item(), q.item()) == (-0.25, -0.5)


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_momentum_outside_0_to_1_is_refused(momentum):
    message = rf"'momentum' must be at least 0 and below 1, got {momentum}\."
    with pytest.raises(BadValue, match=message):
        Momentum([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=momentum)


def test_momentum_takes_no_closure():
    optimizer = Momentum([nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(BadValue, match=r"'closure' must be None, got "):
        optimizer.step(lambda: 0.0)


# Configurations


def test_the_configuration_builds_the_rule_it_names():
    params = [nn.Parameter(torch.zeros(1))]
    momentum = OptimizerConfig(lr=0.2, momentum=0.4).build(params)
    adam = OptimizerConfig(optimizer="adam", lr=2e-4, beta1=0.6, beta2=0.99).build(params)
    assert isinstance(momentum, Momentum)
    rates = momentum.param_groups[0]["lr"], momentum.param_groups[0]["momentum"]
    assert [(t.shape, t.item()) for t in rates] == [((), pytest.approx(v)) for v in (0.2, 0.4)]
    assert isinstance(adam, torch.optim.Adam)
    assert adam.param_groups[0]["lr"].item() == pytest.approx(2e-4)
    assert adam.param_groups[0]["betas"] == (0.6, 0.99)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0}, r"'lr' must be a number above 0, got 0\."),
        ({"lr": math.nan}, r"'lr' must be a number above 0, got nan\."),
        ({"lr_decay": 0.99}, r"'lr_decay' must be a number that is at least 1, got 0\.99\."),
        ({"saturate_epochs": 0}, r"'saturate_epochs' must be a number that is at least 1, got 0\."),
        ({"min_lr": -1e-6}, r"'min_lr' must be a number that is at least 0, got -1e-06\."),
        ({"momentum": 1}, r"'momentum' must be at least 0 and below 1, got 1\."),
        ({"final_momentum": -1}, r"'final_momentum' must be at least 0 and below 1, got -1\."),
        ({"beta1": 1.0}, r"'beta1' must be at least 0 and below 1, got 1\.0\."),
        ({"beta2": math.inf}, r"'beta2' must be at least 0 and below 1, got inf\."),
        ({"optimizer": "sgd"}, "'?optimizer'?.*sgd"),
        ({"anneal": "linear"}, "'?anneal'?.*linear"),
        ({"anneal_from": 1.0}, r"'anneal_from' must be at least 0 and below 1, got 1\.0\."),
        ({"warmup": -1}, "'warmup' must be .*at least 0, got -1"),
        ({"warmup": 0.5}, "'warmup' must be .*, got 0.5"),
    ],
)
def test_limits_are_checked_on_construction(settings, message):
    with pytest.raises(BadValue, match=message):
        OptimizerConfig(**settings)


# Schedules


@pytest.mark.parametrize("t", [1, 2, 500, 50_000, 2_000_000])
def test_update_t_uses_the_first_rate_over_the_decay_to_the_t_minus_1(t):
    assert lr(schedule(), t - 1) == pytest.approx(0.1 / 1.000004 ** (t - 1), rel=1e-9)


def test_the_rate_falls_to_the_published_shares_and_then_to_its_floor():
    s = schedule()
    assert lr(s, 100 * 500) / 0.1 == pytest.approx(0.819, abs=5e-4)
    assert lr(s, 250 * 500) / 0.1 == pytest.approx(0.607, abs=5e-4)
    assert lr(s, 2_870_000) > 1e-6
    assert lr(s, 2_890_000) == lr(s, 10**12) == 1e-6


def test_the_floor_lifts_no_rate_above_the_first():
    assert lr(schedule(lr=1e-7), 0) == pytest.approx(1e-7)


def test_cosine_annealing_ends_at_0_with_the_run():
    s = schedule(anneal="cosine", lr_decay=1.0, batches=1000)
    assert lr(s, 0) == 0.1
    assert lr(s, 500) == pytest.approx(0.05)
    assert lr(s, 250) == pytest.approx(0.1 * (0.5 + 0.5 * math.cos(math.pi / 4)))
    assert lr(s, 1000) == lr(s, 2000) == 0
    rates = [lr(s, b) for b in range(1001)]
    assert rates == sorted(rates, reverse=True)


def test_a_late_cosine_leaves_the_rate_until_it_begins():
    s = schedule(anneal="cosine", anneal_from=0.75, lr_decay=1.0, batches=1000)
    assert [lr(s, b) for b in (0, 500, 750)] == [0.1] * 3
    assert lr(s, 875) == pytest.approx(0.05)
    assert lr(s, 1000) == lr(s, 2000) == 0


def test_warmup_raises_the_rate_linearly_and_then_changes_nothing():
    warm, plain = schedule(warmup=100), schedule()
    assert lr(warm, 0) == pytest.approx(0.1 / 100)
    assert lr(warm, 49) == pytest.approx(lr(plain, 49) / 2)
    assert [lr(warm, b) for b in (99, 100, 5000)] == [lr(plain, b) for b in (99, 100, 5000)]


@pytest.mark.parametrize(
    ("epoch", "m"),
    [(1, 0.5), (2, 0.5 + 0.2 / 249), (125, 0.5 + 0.2 * 124 / 249), (250, 0.7), (251, 0.7)],
)
def test_momentum_rises_by_the_epoch(epoch, m):
    s, first = schedule(), (epoch - 1) * 500
    assert momentum(s, first) == momentum(s, first + 499) == pytest.approx(m, abs=1e-12)


@pytest.mark.parametrize("saturate", [1, 2, 3, 10])
def test_momentum_is_final_in_the_epoch_that_is_named_for_it_and_not_before(saturate):
    s = schedule(batches_per_epoch=7, saturate_epochs=saturate)
    assert momentum(s, (saturate - 1) * 7) == pytest.approx(0.7)
    if saturate > 1:
        assert momentum(s, (saturate - 1) * 7 - 1) < 0.7 - 1e-9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_apply_sets_every_group_up_for_its_minibatch(rule, dtype):
    """Into the tensors that the rates are, so that whoever holds them sees it."""
    first, second = (nn.Parameter(torch.zeros(1, dtype=dtype)) for _ in range(2))
    s = schedule(optimizer=rule)
    optimizer = s.config.build([first])
    optimizer.add_param_group({"params": [second], "lr": torch.tensor(0.3, dtype=dtype)})
    kept = [group["lr"] for group in optimizer.param_groups]
    s.apply(optimizer, torch.tensor(5000))
    error = 1e-7 if dtype == torch.float32 else 1e-15
    for group, rate in zip(optimizer.param_groups, kept, strict=True):
        assert group["lr"] is rate
        assert rate.item() == pytest.approx(lr(s, 5000), rel=error)
        if rule == "momentum":
            assert group["momentum"].item() == pytest.approx(momentum(s, 5000), rel=error)
        else:
            assert "momentum" not in group


def test_a_schedule_leaves_its_clock_alone():
    b, s = torch.tensor(5000), schedule(anneal="cosine")
    s.lr(b), s.momentum(b)
    assert b.item() == 5000


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_a_rate_that_is_a_tensor_moves_as_the_number_does(rule):
    ours, theirs = network(), network()
    config = OptimizerConfig(optimizer=rule, lr=0.25, momentum=0.5)
    a = config.build(ours.parameters())
    b = Momentum(theirs.parameters(), lr=0.25, momentum=0.5)
    if rule == "adam":
        b = torch.optim.Adam(theirs.parameters(), 0.25, (config.beta1, config.beta2), fused=False)
    for t in range(5):
        move(ours, a, t)
        move(theirs, b, t)
    for p, q in zip(weights(ours), weights(theirs), strict=True):
        assert torch.allclose(p, q, rtol=1e-12, atol=1e-14)


# What an optimiser remembers

RULES = {
    "momentum": lambda p: Momentum(p, lr=0.1, momentum=0.7),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "plain sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("before", [0, 4])
def test_an_optimiser_that_takes_up_a_state_goes_on_bit_for_bit(rule, before):
    net = network()
    optimizer = RULES[rule](net.parameters())
    for t in range(before):
        move(net, optimizer, t)
    kept = {name: t.clone() for name, t in optimizer_state(optimizer).items()}
    again = network(seed=1)
    again.load_state_dict(net.state_dict())
    other = RULES[rule](again.parameters())
    move(again, other, 99)  # what it remembers has to give way
    again.load_state_dict(net.state_dict())
    load_optimizer_state(other, kept)
    for t in range(before, before + 4):
        move(net, optimizer, t)
        move(again, other, t)
    assert all(torch.equal(p, q) for p, q in zip(weights(net), weights(again), strict=True))
    state, copy = optimizer_state(optimizer), optimizer_state(other)
    assert state.keys() == copy.keys()
    assert all(torch.equal(t, copy[name]) for name, t in state.items())


def test_a_state_is_tensors_by_parameter_number_and_name():
    net = network()
    optimizer = RULES["momentum"](net.parameters())
    assert optimizer_state(optimizer) == {}
    move(net, optimizer, 0)
    shapes = {name: t.shape for name, t in optimizer_state(optimizer).items()}
    assert shapes == {f"{i}.velocity": p.shape for i, p in enumerate(net.parameters())}


def test_a_state_that_was_taken_up_is_not_shared():
    net = network()
    optimizer = RULES["momentum"](net.parameters())
    move(net, optimizer, 0)
    kept = {name: t.clone() for name, t in optimizer_state(optimizer).items()}
    before = {name: t.clone() for name, t in kept.items()}
    load_optimizer_state(optimizer, kept)
    move(net, optimizer, 1)
    assert all(torch.equal(kept[name], t) for name, t in before.items())


# The average


@pytest.mark.parametrize("every", [1, 3])
def test_the_average_is_a_plain_mean_at_first_then_exponential(every):
    net, rate = network(), 0.25
    average = EMA(net, decay=1 - rate, every=every)
    optimizer = RULES["sgd"](net.parameters())
    mean, seen = None, 0
    for update in range(1, 10 * every + 1):
        move(net, optimizer, update)
        average.update(net, update)
        if update % every:
            continue
        seen += 1
        r = max(rate, 1 / seen)
        new = weights(net)
        mean = new if mean is None else [m + r * (p - m) for m, p in zip(mean, new, strict=True)]
        for p, m in zip(average.network.parameters(), mean, strict=True):
            assert torch.allclose(p, m, atol=1e-14)


def test_the_first_weights_are_forgotten_and_the_start_is_their_mean():
    net = nn.Linear(1, 1, bias=False)
    average = EMA(net, decay=0.99, every=2)
    for update, w in enumerate([9.0, 1.0, 9.0, 2.0, 9.0, 6.0], start=1):
        net.weight.data.fill_(w)
        average.update(net, update)
    assert average.network.weight.item() == pytest.approx(3.0)


def test_buffers_of_real_numbers_are_averaged_and_others_copied():
    net = nn.BatchNorm1d(3)
    average, means = EMA(net, decay=0.9, every=1), []
    for update in (1, 2, 3):
        net(torch.randn(8, 3, generator=torch.Generator().manual_seed(update)))
        means.append(net.running_mean.clone())
        average.update(net, update)
    mine, theirs = average.network, net
    torch.testing.assert_close(mine.running_mean, torch.stack(means).mean(dim=0))
    assert mine.num_batches_tracked == theirs.num_batches_tracked == 3
    assert mine.running_mean.data_ptr() != theirs.running_mean.data_ptr()


def test_the_average_stands_apart_from_its_network_and_has_no_gradient():
    net = network()
    average = EMA(net, decay=0.9, every=1)
    net[0].weight.data.add_(1)
    assert not torch.equal(average.network[0].weight, net[0].weight)
    assert not any(p.requires_grad for p in average.network.parameters())
    assert all(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": 1, "every": 1}, r"'decay' must be at least 0 and below 1, got 1\."),
        ({"decay": -0.5, "every": 1}, r"'decay' must be at least 0 and below 1, got -0\.5\."),
        ({"decay": 0.9, "every": 0}, r"'every' must be a number that is at least 1, got 0\."),
    ],
)
def test_an_average_checks_its_limits(settings, message):
    with pytest.raises(BadValue, match=message):
        EMA(nn.Linear(1, 1), **settings)


def test_momentum_needs_no_compiler_of_torch(monkeypatch):
    """The import of torch._dynamo takes longer than drawing samples."""
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    rule = Momentum([torch.nn.Parameter(torch.zeros(2))], 0.1)
    rule.load_state_dict(rule.state_dict())

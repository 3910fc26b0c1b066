"""Restricted Boltzmann machines and their stacks: the learning rule, the chains, what is known exactly."""

import itertools

import pytest
import torch

from advnets.base.distributed import Ranks
from advnets.base.protocols import Batch, HasLogDensity, Problem
from advnets.evaluation.autocorrelation import integrated_time
from advnets.models.energy.dbn import DBN, DBNConfig
from advnets.models.energy.energy import Energy
from advnets.models.energy.rbm import RBM, BlockGibbs, LearningConfig, RBMConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain

RULE = OptimizerConfig(lr=0.05, lr_decay=1.0, final_momentum=0.5)


def problem(n_v=6, **settings):
    facts = {"low": 0.0, "high": 1.0, "mean": torch.linspace(0.2, 0.8, n_v)}
    facts |= {"batches_per_epoch": 5, "steps": 30}
    return Problem(event_shape=(n_v,), **(facts | settings))


def machine(hidden=4, seed=0, n_v=6, ranks=None, **settings):
    learning = {
        n: settings.pop(n) for n in ("negative", "k", "particles", "weight_decay") if n in settings
    }
    config = RBMConfig(
        hidden=hidden, learning=LearningConfig(stdev=0.5, optimizer=RULE, **learning), **settings
    )
    return RBM.from_config(config, problem(n_v, **({"ranks": ranks} if ranks else {})), seed=seed)


CASES = [
    {"negative": "cd"},
    {"negative": "cd", "k": 3},
    {"negative": "pcd", "particles": 11, "k": 2},
    {"negative": "pcd", "particles": 8, "visible": "gaussian", "sigma": 0.5},
    {"negative": "cd", "visible": "gaussian", "sigma": 0.5},
]


@pytest.mark.parametrize("case", CASES)
def test_the_update_is_autograds_of_the_free_energy_gap(case, rng):
    ours, autograd = machine(**case), machine(**case)
    x = torch.rand(8, 6, generator=rng)
    info, gradient = ours.gradient(x, 0.5, rng=torch.Generator().manual_seed(1))
    gap = autograd.objective(x, rng=torch.Generator().manual_seed(1))["gap"]
    expected = torch.autograd.grad(
        0.5 * gap, [autograd.network.W, autograd.network.b, autograd.network.c]
    )
    torch.testing.assert_close(info["gap"], gap.detach())
    for a, b in zip(gradient, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_contrastive_divergence_written_out(rng):
    ours = machine(negative="cd", k=2)
    e = ours.network
    x = torch.rand(8, 6, generator=rng).round()
    noise = torch.Generator().manual_seed(1)
    torch.rand(8, 6, generator=noise)  # the data's own draw, which 0 and 1 ignore
    h = (torch.rand(8, 4, generator=noise) < torch.sigmoid(x @ e.W.T + e.c)).float()
    for _ in range(2):
        v = (torch.rand(8, 6, generator=noise) < torch.sigmoid(h @ e.W + e.b)).float()
        p = torch.sigmoid(v @ e.W.T + e.c)
        h = (torch.rand(8, 4, generator=noise) < p).float()
    positive = torch.sigmoid(x @ e.W.T + e.c).T @ x / 8
    _, (of_W, of_b, of_c) = ours.gradient(x, 1.0, rng=torch.Generator().manual_seed(1))
    torch.testing.assert_close(of_W, p.T @ v / 8 - positive)
    torch.testing.assert_close(of_b, v.mean(dim=0) - x.mean(dim=0))
    torch.testing.assert_close(of_c, p.mean(dim=0) - torch.sigmoid(x @ e.W.T + e.c).mean(dim=0))


def test_weight_decay_pulls_W_alone(rng):
    x = torch.rand(8, 6, generator=rng)
    slopes = [
        machine(negative="cd", weight_decay=w).gradient(
            x, 0.5, rng=torch.Generator().manual_seed(1)
        )[1]
        for w in (0.0, 0.2)
    ]
    W = machine().network.W
    torch.testing.assert_close(slopes[1][0] - slopes[0][0], 0.1 * W.detach())
    assert all(torch.equal(a, b) for a, b in zip(slopes[0][1:], slopes[1][1:], strict=True))


@pytest.mark.parametrize("case", [{"negative": "cd", "k": 2}, {"negative": "pcd", "particles": 7}])
def test_several_processes_make_the_update_of_one(case, rng):
    x = torch.rand(8, 6, generator=rng)
    _, whole = machine(**case).gradient(x, 1.0, rng=torch.Generator().manual_seed(1))
    parts, chains = [], []
    for r in range(2):
        part = machine(ranks=Ranks(r, 2), **case)
        part._whole = 8
        parts.append(
            part.gradient(x[4 * r : 4 * r + 4], 0.5, rng=torch.Generator().manual_seed(1))[1]
        )
        chains.append(part.kept.get("particles"))
    for one, a, b in zip(whole, *parts, strict=True):
        torch.testing.assert_close(a + b, one)
    assert case["negative"] == "cd" or torch.equal(*chains)


def exact_moments(e):
    """E[v], E[h] and E[h v^T] under p(v, h), by the sum over all states of both sides."""
    n_h, n_v = e.W.shape
    states = [torch.tensor(list(itertools.product([0.0, 1.0], repeat=n))) for n in (n_v, n_h)]
    v, h = (torch.stack(list(side)) for side in zip(*itertools.product(*states), strict=True))
    p = (-e.energy(v, h).double()).softmax(dim=0)
    return p @ v.double(), p @ h.double(), torch.einsum("n,ni,nj->ij", p, h.double(), v.double())


def test_persistent_chains_reach_the_exact_moments_of_a_tiny_machine():
    still = OptimizerConfig(lr=1e-30, min_lr=0.0, momentum=0.0, final_momentum=0.0)
    config = RBMConfig(hidden=3, learning=LearningConfig(stdev=1.5, particles=50, optimizer=still))
    rbm, rng = RBM.from_config(config, problem(4), seed=3), torch.Generator().manual_seed(0)
    e, batch = rbm.network, Batch(torch.zeros(2, 4))
    before = e.W.clone()
    seen = []
    for t in range(3000):
        rbm.step((batch,), rng=rng)
        if t >= 200:
            h = rbm.kept["particles"].clone()
            v = e.draw_visible(e.visible(h), torch.rand(50, 4, generator=rng))
            seen.append(torch.cat((v, h, (h[:, :, None] * v[:, None]).flatten(1)), dim=1))
    assert torch.equal(before, e.W)
    x = torch.stack(seen).detach()  # (T, C, functions)
    exact = torch.cat([m.flatten() for m in exact_moments(e)])
    error = (exact * (1 - exact) * integrated_time(x) / x[..., 0].numel()).sqrt()
    assert ((x.double().mean(dim=(0, 1)) - exact).abs() < 4 * error).all()
    assert (integrated_time(x) > 1.2).any()  # independent draws would not need the correction


def test_the_sampler_has_the_exact_moments():
    rbm = machine(
        hidden=3, n_v=4, chain=ChainConfig(chains=200, burn_in=100, thin=2, shown="binary")
    )
    x = rbm.samplers()["chain"].sample(40_000, seed=0)
    exact = exact_moments(rbm.network)[0]
    tau = integrated_time(x.view(200, 200, 4))
    error = (exact * (1 - exact) * tau / len(x)).sqrt()
    assert ((x.double().mean(dim=0) - exact).abs() < 4 * error).all()
    assert set(x.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("negative", ["cd", "pcd"])
def test_it_learns_a_small_distribution(negative, rng):
    patterns = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0]])
    rbm = machine(hidden=8, negative=negative)
    assert isinstance(rbm, HasLogDensity)
    before = rbm.log_density(patterns).mean().item()
    for _ in range(2000):
        x = patterns[torch.randint(3, (60,), generator=rng)]
        rbm.step((Batch(x),), rng=rng)
    after = rbm.log_density(patterns).mean().item()
    assert before < -3.5 and after > -2.2  # the best there is: -log 3 = -1.1


def test_densities_add_up_to_one():
    rbm = machine()
    v = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)))
    assert rbm.log_density(v).double().logsumexp(dim=0).item() == pytest.approx(0, abs=1e-5)


def test_it_begins_at_the_datas_mean():
    rbm = RBM.from_config(
        RBMConfig(hidden=3, learning=LearningConfig(stdev=0.0)), problem(), seed=0
    )
    x = MarkovChain(BlockGibbs([rbm], ChainConfig())).sample(1, seed=0)
    torch.testing.assert_close(x[0], problem().mean)


def test_chains_begin_where_they_are_told(rng):
    first = torch.rand(4, 6, generator=rng).round()
    for begin in ("noise", "data"):
        rbm = machine(hidden=40, chain=ChainConfig(chains=6, burn_in=0, init=begin))
        rbm.step((Batch(first),), rng=rng)
        rbm.step((Batch(1 - first),), rng=rng)
        assert ("first" in rbm.kept) == (begin == "data")
        kernel = rbm.samplers()["chain"].kernel
        h = kernel.init(6, rng=torch.Generator().manual_seed(2))
        p = torch.full((6, 40), 0.5)
        if begin == "data":
            p = rbm.up(torch.cat((first, 1 - first[:2])))
        assert torch.equal(
            h, (torch.rand(6, 40, generator=torch.Generator().manual_seed(2)) < p).float()
        )


def test_persistent_chains_go_on_where_training_left_them(rng):
    for stack in (
        machine(particles=5, hidden=9),
        deep(top=LearningConfig(particles=5, optimizer=RULE)),
    ):
        for _ in range(8):
            stack.step((Batch(torch.rand(4, 6, generator=rng)),), rng=rng)
        samplers = stack.samplers()
        assert list(samplers) == ["persistent", "chain"]
        left = (stack.machines[-1] if isinstance(stack, DBN) else stack).kept["particles"]
        first = samplers["persistent"].kernel.init(7, rng=rng)
        assert torch.equal(first, left[torch.tensor([0, 1, 2, 3, 4, 0, 1])])
        assert not torch.equal(samplers["chain"].kernel.init(7, rng=rng), first)
    assert list(machine(negative="cd").samplers()) == ["chain"]


def test_data_that_binary_units_cannot_take_is_refused(rng):
    with pytest.raises(ValueError, match=r"'k' must be a number that is at least 1, got 0\."):
        LearningConfig(k=0)
    words = (
        r"'x' must be in \[0, 1\] for binary visible units .*gaussian\), got values from -1 to 1\."
    )
    with pytest.raises(ValueError, match=words):
        RBM.from_config(RBMConfig(), problem(low=-1.0), seed=0)
    refusing = machine(binarise="refuse")
    refusing.step((Batch(torch.ones(2, 6)),), rng=rng)
    with pytest.raises(ValueError, match="'x' must be 0 or 1 everywhere"):
        refusing.step((Batch(torch.full((2, 6), 0.5)),), rng=rng)
    with pytest.raises(ValueError, match="'x' must be 0 or 1 everywhere"):
        machine().log_density(torch.full((2, 6), 0.5))


def deep(**settings):
    config = DBNConfig(
        hidden=(5, 4, 3), updates=(3, 4), chain=ChainConfig(chains=6, burn_in=3), **settings
    )
    return DBN.from_config(config, problem(), seed=0)


def test_each_machine_is_trained_on_what_the_finished_ones_pass_up(rng):
    dbn, x = deep(), torch.rand(8, 6, generator=rng)
    for i in range(9):
        before = [m.network.W.clone() for m in dbn.machines]
        dbn.step((Batch(x),), rng=rng)
        moved = [not torch.equal(W, m.network.W) for W, m in zip(before, dbn.machines, strict=True)]
        assert moved == [i < 3, 3 <= i < 7, i >= 7]
    bottom, middle = (m.network for m in dbn.machines[:2])
    torch.testing.assert_close(
        dbn.up(x, 2),
        torch.sigmoid(torch.sigmoid(x @ bottom.W.T + bottom.c) @ middle.W.T + middle.c),
    )


@pytest.mark.parametrize("down", ["states", "means"])
def test_a_sample_is_passed_down_as_it_is_told(down):
    dbn = deep(down=down)
    bottom, middle, top = (m.network for m in dbn.machines)
    kernel = dbn.samplers()["chain"].kernel
    h3 = torch.tensor([[1.0, 0.0, 1.0]]).expand(6, 3)
    noise = torch.Generator().manual_seed(2)

    def through(p):
        return (torch.rand(p.shape, generator=noise) < p).float() if down == "states" else p

    h2 = through(torch.sigmoid(h3 @ top.W + top.b))
    h1 = through(torch.sigmoid(h2 @ middle.W + middle.b))
    x = torch.sigmoid(h1 @ bottom.W + bottom.b)
    torch.testing.assert_close(kernel.observe(h3, rng=torch.Generator().manual_seed(2)), x)


def test_only_the_last_machine_moves_the_chain():
    dbn = deep()
    kernel, h = dbn.samplers()["chain"].kernel, torch.ones(6, 3)
    alone = BlockGibbs([dbn.machines[-1]], ChainConfig())
    moved = [k.step(h, rng=torch.Generator().manual_seed(2)) for k in (kernel, alone)]
    assert torch.equal(*moved)


def test_a_stack_of_one_is_the_machine_itself(rng):
    dbn = DBN.from_config(
        DBNConfig(hidden=(4,), updates=(), top=LearningConfig(optimizer=RULE)), problem(), seed=0
    )
    (own,) = dbn.machines
    assert isinstance(own.network, Energy)
    a, b = (s["chain"].sample(9, seed=0) for s in (dbn.samplers(), own.samplers()))
    assert torch.equal(a, b)


def test_a_stack_is_told_of_every_machine():
    with pytest.raises(
        ValueError, match="'updates' must be 1 numbers, one for each machine but the last, got 2"
    ):
        DBNConfig(hidden=(5, 4), updates=(3, 4))
    with pytest.raises(ValueError, match="'layers' must be a number that is at least 1, got 0"):
        DBNConfig(hidden=(), updates=())

"""A learner of one objective against the same written out, and a stack against its layers."""

import pytest
import torch
from torch import nn

from advnets.base.distributed import Ranks
from advnets.base.protocols import Batch, Learner, Problem
from advnets.models.bernoulli import bernoulli, binarise
from advnets.models.gradient_learner import GradientLearner
from advnets.models.greedy import GreedyStack, problems
from advnets.optim.momentum import Momentum
from advnets.optim.schedules import OptimizerConfig

RULE = OptimizerConfig(lr=0.3, momentum=0.4)


def problem(inputs=4, **settings):
    facts = {"low": 0.0, "high": 1.0, "mean": torch.full((inputs,), 0.5)}
    facts |= {"batches_per_epoch": 5, "steps": 30}
    return Problem(event_shape=(inputs,), **(facts | settings))


class Squeeze(GradientLearner):
    """A layer whose reconstruction of a noisy input is to be near the input."""

    def __init__(self, inputs=4, units=3, seed=0, **settings):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(inputs, units), nn.Sigmoid(), nn.Linear(units, inputs))
        facts = {name: settings.pop(name) for name in ("ranks",) if name in settings}
        super().__init__(network, RULE, problem(inputs, **facts), **settings)
        self.kept = {"last": torch.zeros(inputs)}

    def objective(self, x, *, rng):
        noisy = x + 0.1 * self.normal(*x.shape, rng=rng) + 0.1 * self.uniform(*x.shape, rng=rng)
        error = (self.compute_module(noisy.to(self.playing)).float() - x).square().sum(dim=1).mean()
        self.kept["last"] = x[-1].clone()
        return {"J": error, "root": error.sqrt()}

    def up(self, x):
        with torch.no_grad():
            return self.network[:2](x)


def batches(n, rng, rows=6, inputs=4):
    return [Batch(torch.rand(rows, inputs, generator=rng)) for _ in range(n)]


def test_a_step_is_one_of_the_rule_on_the_objective(rng):
    learner, (batch,) = Squeeze(), batches(1, rng)
    slow = Squeeze().network
    noise = torch.Generator().manual_seed(3)
    noisy = batch.x + 0.1 * torch.randn(6, 4, generator=noise)
    noisy = noisy + 0.1 * torch.rand(6, 4, generator=noise)
    J = (slow(noisy) - batch.x).square().sum() / 6
    J.backward()
    Momentum(slow.parameters(), 0.3, 0.4).step()

    info = learner.step((batch,), rng=torch.Generator().manual_seed(3))
    assert info["J"].item() == pytest.approx(J.item()) and not info["J"].requires_grad
    for ours, obvious in zip(learner.network.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours, obvious)
    flat = torch.cat([p.grad.flatten() for p in slow.parameters()])
    torch.testing.assert_close(learner.diagnostics()["gradient"], flat.norm())


def test_several_processes_draw_the_noise_of_one(rng):
    (batch,) = batches(1, rng)
    noise = [torch.Generator().manual_seed(3) for _ in range(3)]
    whole, *parts = Squeeze(), *(Squeeze(ranks=Ranks(r, 2)) for r in range(2))
    J, along = whole.gradient(batch.x, 1.0, rng=noise[0])
    sums = [torch.zeros_like(g) for g in along]
    total = 0.0
    for r, part in enumerate(parts):
        part._whole = 6
        info, gradient = part.gradient(batch.x[3 * r : 3 * r + 3], 0.5, rng=noise[1 + r])
        total += 0.5 * info["J"].item()
        sums = [s + g for s, g in zip(sums, gradient, strict=True)]
    assert total == pytest.approx(J["J"].item())
    for ours, one in zip(sums, along, strict=True):
        torch.testing.assert_close(ours, one)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resume_equals_uninterrupted(precision, rng):
    learner = Squeeze(precision=precision)
    assert isinstance(learner, Learner)
    data, noise = batches(7, rng), torch.Generator().manual_seed(1)
    for batch in data[:3]:
        learner.step((batch,), rng=noise)
    saved = {name: t.clone() for name, t in learner.state().items()}
    stream = noise.get_state()
    infos = [learner.step((batch,), rng=noise)["J"] for batch in data[3:]]

    again = Squeeze(precision=precision, seed=9)
    again.load_state(saved)
    noise.set_state(stream)
    assert [again.step((batch,), rng=noise)["J"] for batch in data[3:]] == infos
    for name, t in learner.state().items():
        assert torch.equal(t, again.state()[name]), name
    assert learner.minibatches == 7 and torch.equal(learner.state()["kept.last"], data[-1].x[-1])


def test_it_descends(rng):
    learner, (batch,) = Squeeze(), batches(1, rng)
    J = [learner.step((batch,), rng=rng)["J"].item() for _ in range(200)]
    assert sum(J[-20:]) < 0.5 * sum(J[:20])


def test_another_models_state_is_refused():
    learner = Squeeze()
    state = learner.state()
    for broken in (
        {"foreign": torch.zeros(1)},
        {n: t for n, t in state.items() if n != "kept.last"},
        state | {"kept.last": torch.zeros(9)},
        state | {"kept.more": torch.zeros(9)},
        Squeeze(units=2).state(),
    ):
        with pytest.raises(ValueError, match="must be"):
            learner.load_state(broken)


def stack(seed=0):
    return GreedyStack(
        [Squeeze(4, 3, seed), Squeeze(3, 2, seed), Squeeze(2, 2, seed)], updates=[3, 2]
    )


def test_a_stack_trains_one_layer_after_the_other(rng):
    whole, single = stack(), [Squeeze(4, 3), Squeeze(3, 2), Squeeze(2, 2)]
    data = batches(8, rng)
    noise, twin = (torch.Generator().manual_seed(2) for _ in range(2))
    for i, batch in enumerate(data):
        stage = 0 if i < 3 else 1 if i < 5 else 2
        x = batch.x
        for layer in single[:stage]:
            x = layer.up(x)
        J = single[stage].step((Batch(x),), rng=twin)["J"]
        assert whole.step((batch,), rng=noise)["J"] == J
        assert whole.diagnostics()["stage"] == stage + 1
        torch.testing.assert_close(
            whole.diagnostics()["gradient"], single[stage].train_state.norm()
        )
    for layer, own in zip(whole.layers, single, strict=True):
        for name, t in own.state().items():
            assert torch.equal(layer.state()[name], t)


@pytest.mark.parametrize("stop", [0, 2, 3, 4, 5, 7])
def test_a_stack_resumes_in_any_stage(stop, rng):
    whole, again, data = stack(), stack(seed=9), batches(8, rng)
    noise = torch.Generator().manual_seed(2)
    for batch in data[:stop]:
        whole.step((batch,), rng=noise)
    again.load_state(whole.state())
    stream = noise.get_state()
    J = [whole.step((batch,), rng=noise)["J"] for batch in data[stop:]]
    noise.set_state(stream)
    assert [again.step((batch,), rng=noise)["J"] for batch in data[stop:]] == J
    for name, t in whole.state().items():
        assert torch.equal(t, again.state()[name]), name


def test_every_layer_has_its_own_problem():
    first, second, third = problems(problem(4, steps=100), [7, 5, 3], [30, 20])
    assert [p.event_shape for p in (first, second, third)] == [(4,), (7,), (5,)]
    assert [p.steps for p in (first, second, third)] == [30, 20, 50]
    assert second.mean.shape == (7,) and (second.low, second.high) == (0.0, 1.0)


def test_a_stack_is_told_of_every_stage():
    with pytest.raises(
        ValueError, match="'updates' must be 1 numbers, one for each layer but the last, got 2"
    ):
        GreedyStack([Squeeze(4, 3), Squeeze(3, 2)], updates=[3, 4])
    with pytest.raises(ValueError, match="'updates' must be a number that is at least 1, got 0"):
        GreedyStack([Squeeze(4, 3), Squeeze(3, 2)], updates=[0])
    with pytest.raises(ValueError, match="'state' must be"):
        stack().load_state({"foreign": torch.zeros(1)})


def test_binary_draws_have_their_probabilities(rng):
    p = torch.tensor([0.0, 0.25, 1.0]).expand(20_000, 3)
    x = binarise(p, "sample", torch.rand(p.shape, generator=rng))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    mean = x.mean(dim=0)
    assert mean[0] == 0 and mean[2] == 1
    assert abs(mean[1] - 0.25) < 4 * (0.25 * 0.75 / 20_000) ** 0.5
    assert torch.equal(binarise(x, "refuse", torch.rand(x.shape)), x)
    assert bernoulli(p.bfloat16(), torch.rand(p.shape)).dtype == torch.bfloat16

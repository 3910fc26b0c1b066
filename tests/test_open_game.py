"""What is added to a game (losses, terms, packs), each against a slow loop that autograd derives."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import advnets
from advnets import TrainerConfig
from advnets.base.protocols import Batch
from advnets.game.objectives import LOSSES, cotangent_of_D, cotangent_of_G, cotangents
from advnets.game.pac import Packed, packed
from advnets.game.r1 import R1
from advnets.nn import dropout
from conftest import small_config, small_game, small_run

ORDERS = ["alternating", "simultaneous"]
RATE, M = 0.1, 6


def reference_losses(name, a, a_g):
    """What D and G descend, each written out once more."""
    log_D, log_not = -F.softplus(-a), -F.softplus(a_g)
    return {
        "minimax": (-(log_D.mean() + log_not.mean()), log_not.mean()),
        "non-saturating": (-(log_D.mean() + log_not.mean()), F.softplus(-a_g).mean()),
        "least-squares": (((a - 1) ** 2 + a_g**2).mean() / 2, ((a_g - 1) ** 2).mean() / 2),
        "hinge": ((1 - a).clamp(min=0).mean() + (1 + a_g).clamp(min=0).mean(), -a_g.mean()),
        "relativistic": (F.softplus(a_g - a).mean(), F.softplus(a - a_g).mean()),
    }[name]


@pytest.mark.parametrize("name", LOSSES)
def test_a_cotangent_is_the_gradient_of_the_loss_written_out(name, rng):
    a = torch.randn(14, generator=rng, dtype=torch.float64, requires_grad=True)
    of_D, of_G = reference_losses(name, *a.chunk(2))
    d = torch.autograd.grad(of_D, a, retain_graph=True)[0]
    g = torch.autograd.grad(of_G, a)[0]
    for_D, for_G, J = cotangents(LOSSES[name], a)
    torch.testing.assert_close(for_D, d)
    torch.testing.assert_close(for_G, g)
    assert of_G == J
    torch.testing.assert_close(cotangent_of_D(LOSSES[name], a)[0], d)
    read = a if LOSSES[name].reads_data else a[7:]
    torch.testing.assert_close(cotangent_of_G(LOSSES[name], read)[0], g[-len(read) :])


class Slow:
    """The same step with plain SGD: every gradient by autograd, D passed through once a part."""

    def __init__(self, game, name, gamma, every, pack):
        self.G, self.D = copy.deepcopy(game.G), copy.deepcopy(game.D)
        self.prior, self.order, self.name = game.prior, game.order, name
        self.gamma, self.every, self.pack, self.updates_of_D = gamma, every, pack, 0

    def masks(self, parts, rng):
        return [d.draw(parts * M // self.pack, rng=rng) for d in dropout.stochastic(self.D)]

    def judge(self, masks, x):
        dropout.set_masks(dropout.stochastic(self.D), masks)
        return self.D(x).flatten()

    def step(self, batches, rng):
        simultaneous = self.order == "simultaneous"
        drawn = []
        for i in range(len(batches)):
            z, masks = self.prior.sample(M, rng=rng).double(), self.masks(2, rng)
            due = self.gamma and (self.updates_of_D + i) % self.every == 0
            drawn.append((z, masks, self.masks(1, rng) if due else None))
        if not simultaneous:
            z = self.prior.sample(M, rng=rng).double()
            drawn.append((z, self.masks(2 if self.name == "relativistic" else 1, rng), None))
        for i, batch in enumerate(batches):
            z, masks, of_term = drawn[i]
            x, last = batch.x.double(), i == len(batches) - 1
            x_g = self.G(z)
            a, a_g = self.judge(masks, torch.cat((x, x_g))).chunk(2)
            of_D, of_G = reference_losses(self.name, a, a_g)
            of_D = of_D / 2
            if of_term is not None:
                x = x.clone().requires_grad_()
                slope = torch.autograd.grad(self.judge(of_term, x).sum(), x, create_graph=True)[0]
                square = slope.flatten(1).square().sum(dim=1).mean()
                of_D = of_D + self.every * self.gamma / 2 * square
            d = torch.autograd.grad(of_D, list(self.D.parameters()), retain_graph=True)
            if last and simultaneous:
                g = torch.autograd.grad(of_G, list(self.G.parameters()))
                self.move(self.G, g)
            self.move(self.D, d)
            self.updates_of_D += 1
        if not simultaneous:
            z, masks, _ = drawn[-1]
            x_g = self.G(z)
            if self.name == "relativistic":
                a, a_g = self.judge(masks, torch.cat((batches[-1].x.double(), x_g))).chunk(2)
            else:
                a = a_g = self.judge(masks, x_g)
            of_G = reference_losses(self.name, a, a_g)[1]
            self.move(self.G, torch.autograd.grad(of_G, list(self.G.parameters())))

    @staticmethod
    def move(network, gradient):
        with torch.no_grad():
            for p, g in zip(network.parameters(), gradient, strict=True):
                p -= RATE * g


def double_game(order, *, name="non-saturating", gamma=0.0, every=1, pack=1, k=1, paired=True):
    """A pair with dropout in D, in float64, moved by SGD."""
    config = small_config(pack=pack)
    example = small_game(order=order, pack=pack, prior=config.prior)
    G, D = example.G.double(), example.D.double()
    if not paired:
        D = Unpaired(D)
        D.pack = pack
    return advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(3),
        G_optimizer=torch.optim.SGD(G.parameters(), RATE),
        D_optimizer=torch.optim.SGD(D.parameters(), RATE),
        order=order,
        objective=name,
        D_loss_weight=0.5,
        terms=[R1(gamma, every)] if gamma else [],
        k=k,
    )


class Unpaired(nn.Module):
    """D without a `forward_pair`."""

    def __init__(self, D):
        super().__init__()
        self.D = D

    def forward(self, x):
        return self.D(x)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "case",
    [
        {"gamma": 0.7},
        {"gamma": 0.7, "every": 3, "k": 2},
        {"gamma": 0.7, "paired": False},
        {"name": "relativistic"},
        {"name": "relativistic", "gamma": 0.3, "paired": False},
        {"name": "least-squares"},
        {"name": "hinge"},
        {"pack": 2},
        {"pack": 3, "name": "relativistic", "gamma": 0.2},
        {"pack": 2, "paired": False},
    ],
    ids=str,
)
def test_a_step_equals_the_slow_loop(order, case, rng):
    game = double_game(order, **case)
    slow = Slow(
        game,
        case.get("name", "non-saturating"),
        case.get("gamma", 0.0),
        case.get("every", 1),
        case.get("pack", 1),
    )
    streams = [torch.Generator().manual_seed(1) for _ in range(2)]
    for _ in range(4):
        batches = tuple(
            Batch(torch.randn(M, 2, generator=rng).double()) for _ in range(case.get("k", 1))
        )
        game.step(batches, rng=streams[0])
        slow.step(batches, streams[1])
    assert torch.equal(streams[0].get_state(), streams[1].get_state())
    for ours, plain in ((game.G, slow.G), (game.D, slow.D)):
        for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("settings", [{"r1": 0.5, "r1_every": 2}, {"pack": 2}], ids=str)
@pytest.mark.parametrize("order", ORDERS)
def test_a_game_with_additions_goes_on_from_its_state_bit_for_bit(order, settings, rng):
    whole, first = (small_game(order=order, **settings) for _ in range(2))
    batches = [(Batch(torch.randn(M, 2, generator=rng)),) for _ in range(5)]
    streams = [torch.Generator().manual_seed(2) for _ in range(2)]
    for batch in batches:
        whole.step(batch, rng=streams[0])
    for batch in batches[:3]:
        first.step(batch, rng=streams[1])
    second = small_game(order=order, seed=9, **settings)
    second.load_state(first.state())
    for batch in batches[3:]:
        second.step(batch, rng=streams[1])
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, second.state()[name]), name


def test_the_configuration_builds_each_addition():
    game = small_game(r1=0.5, r1_every=4, pack=2, objective="relativistic")
    assert game.terms == (R1(0.5, 4),)
    assert isinstance(game.D, Packed)
    assert game.loss is LOSSES["relativistic"]


def test_any_D_can_be_packed(rng):
    D = nn.Linear(4, 1)
    game = advnets.Game(
        G := nn.Linear(3, 2),
        of_pairs := packed(D, 2),
        prior=advnets.Gaussian(3),
        G_optimizer=torch.optim.SGD(G.parameters(), 0.1),
        D_optimizer=torch.optim.SGD(of_pairs.parameters(), 0.1),
    )
    x = torch.randn(6, 2)
    assert torch.equal(of_pairs(x), D(x.reshape(3, 4)))
    before = D.weight.clone()
    game.step((Batch(x),), rng=rng)
    assert not torch.equal(before, D.weight)


def test_a_pack_that_does_not_divide_the_minibatch_is_refused(rng):
    game = small_game(pack=4)
    need = "'batch_size' must be a multiple of pack, 4, .* got 6"
    with pytest.raises(ValueError, match=need):
        game.step((Batch(torch.randn(6, 2)),), rng=rng)


def test_a_pack_that_does_not_divide_the_last_minibatch_is_refused_before_a_folder_is_made(
    tmp_path,
):
    x = torch.rand(37, 2)
    with pytest.raises(ValueError, match=r"a multiple of pack, 2, .*, got 5\."):
        advnets.fit(small_game(pack=2), advnets.Batches(x, size=16, seed=0), TrainerConfig(steps=1))
    config = small_run(model=small_config(pack=3))
    with pytest.raises(ValueError, match=r"a multiple of pack, 3, .*, got 16\."):
        advnets.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_term_cannot_be_compiled():
    with pytest.raises(ValueError, match=r"'compile' must be False in a game with a term.*R1"):
        small_game(r1=1.0, compile=True)


def test_a_term_that_asks_too_often_is_refused(rng):
    class Twice:
        every = passes = 1

        def __call__(self, seen):
            return seen.discriminate(*seen.data).a.mean() + seen.discriminate(*seen.data).a.mean()

    game = double_game("alternating")
    game.terms = (Twice(),)
    with pytest.raises(ValueError, match="'passes' must be the number of times the term asks D"):
        game.step((Batch(torch.randn(M, 2).double()),), rng=rng)


def test_a_loss_of_ones_own_is_taken(rng):
    class Mine:
        reads_data = False

        def __call__(self, a_data, a_samples):
            return a_samples.mean() - a_data.mean(), -a_samples.mean()

    G, D = nn.Linear(3, 2), nn.Linear(2, 1)
    game = advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(3),
        G_optimizer=torch.optim.SGD(G.parameters(), RATE),
        D_optimizer=torch.optim.SGD(D.parameters(), RATE),
        objective=Mine(),
    )
    x = torch.randn(M, 2, generator=rng)
    weight = D.weight.detach().clone()
    z = advnets.Gaussian(3).sample(M, rng=torch.Generator().manual_seed(4))
    expected = weight + RATE * (x.mean(dim=0) - G(z).mean(dim=0)).detach()
    game.step((Batch(x),), rng=torch.Generator().manual_seed(4))
    torch.testing.assert_close(D.weight.detach(), expected)

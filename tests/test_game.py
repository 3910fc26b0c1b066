"""Algorithm 1 as laws, and against a slow loop written out from the paper and its authors' code."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

import advnets
from advnets.optim import OptimizerConfig
from advnets.protocols import Batch
from advnets.value import OBJECTIVES
from conftest import small_game

ORDERS = ["alternating", "simultaneous"]


def batches(k=1, m=10, event_shape=(2,), seed=3):
    rng = torch.Generator().manual_seed(seed)
    return tuple(Batch(torch.rand(m, *event_shape, generator=rng)) for _ in range(k))


def weights(network):
    return [p.detach().clone() for p in network.parameters()]


def step(game, data=None, seed=0):
    k = game.batches_per_step
    return game.step(data or batches(k), rng=torch.Generator().manual_seed(seed))


def as_double(game):
    for network in (game.G, game.D, game.average.network):
        network.double()
    return game


# The reference: plain gradients, plain updates, one line of the paper at a time.


def slow_step(G, D, prior, data, rng, *, order, objective, k, D_scale, lr):
    """One step of the game with plain gradient descent, masks and noise from `rng`."""
    for module in [*G.modules(), *D.modules()]:
        if isinstance(module, advnets.layers.Dropout):
            module.rng = rng
    softplus = nn.functional.softplus
    ascend_alone = data if order == "alternating" else data[:-1]
    for x, _ in ascend_alone:
        fake = G(prior.sample(len(x), rng=rng)).detach()
        V = -softplus(-D(x)).mean() - softplus(D(fake)).mean()
        move(D, torch.autograd.grad(-D_scale * V, list(D.parameters())), lr)
    x = data[-1].x
    if order == "alternating":
        J = OBJECTIVES[objective](D(G(prior.sample(len(x), rng=rng))))
        move(G, torch.autograd.grad(J, list(G.parameters())), lr)
        return
    z = prior.sample(len(x), rng=rng)
    fake = G(z)
    real_logits, fake_logits = D(x), D(fake)
    V = -softplus(-real_logits).mean() - softplus(fake_logits).mean()
    J = OBJECTIVES[objective](fake_logits)
    for_D = torch.autograd.grad(-D_scale * V, list(D.parameters()), retain_graph=True)
    for_G = torch.autograd.grad(J, list(G.parameters()))
    move(D, for_D, lr)
    move(G, for_G, lr)


def move(network, gradients, lr):
    with torch.no_grad():
        for p, g in zip(network.parameters(), gradients, strict=True):
            p -= lr * g


@pytest.mark.parametrize(
    ("order", "objective", "k", "D_scale"),
    list(itertools.product(ORDERS, ["minimax", "non-saturating"], [1, 3], [0.5, 1.0])),
)
def test_a_step_equals_the_slow_loop(order, objective, k, D_scale):
    plain = OptimizerConfig(lr=0.1, lr_decay=1.0, momentum=0.0, final_momentum=0.0)
    game = small_game(
        order=order,
        objective=objective,
        k=k,
        D_scale=D_scale,
        G_optimizer=plain,
        D_optimizer=plain,
    )
    G, D = copy.deepcopy(game.G), copy.deepcopy(game.D)
    fast, slow = (torch.Generator().manual_seed(7) for _ in range(2))
    for i in range(4):
        data = batches(k, seed=i)
        game.step(data, rng=fast)
        rule = {"order": order, "objective": objective, "k": k, "D_scale": D_scale, "lr": 0.1}
        slow_step(G, D, game.prior, data, slow, **rule)
        for ours, reference in zip(
            weights(game.G) + weights(game.D), weights(G) + weights(D), strict=True
        ):
            torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-6)


# Laws


@pytest.mark.parametrize("order", ORDERS)
def test_a_small_step_of_D_raises_V_on_the_same_batch_noise_and_masks(order):
    game = small_game(order=order, D_optimizer=OptimizerConfig(lr=1e-3, momentum=0.0))
    G = copy.deepcopy(game.G.state_dict())
    before = step(game)["V"]
    game.G.load_state_dict(G)
    assert step(game)["V"] > before


@pytest.mark.parametrize("objective", ["minimax", "non-saturating"])
def test_a_small_step_of_G_lowers_its_objective_on_the_same_noise_and_masks(objective):
    rule = OptimizerConfig(lr=1e-3, momentum=0.0)
    game = small_game(order="simultaneous", objective=objective, G_optimizer=rule)
    D = copy.deepcopy(game.D.state_dict())
    before = step(game)["J"]
    game.D.load_state_dict(D)
    assert step(game)["J"] < before


@pytest.mark.parametrize("order", ORDERS)
def test_each_player_is_moved_by_its_own_update_only(order, monkeypatch):
    for still in "GD":
        game = small_game(order=order)
        frozen = getattr(game, still)
        monkeypatch.setattr(getattr(game, f"{still}_player"), "update", lambda minibatch: None)
        before = weights(frozen)
        moved = weights(game.D if still == "G" else game.G)
        step(game)
        assert all(torch.equal(a, b) for a, b in zip(before, weights(frozen), strict=True))
        now = weights(game.D if still == "G" else game.G)
        assert any(not torch.equal(a, b) for a, b in zip(moved, now, strict=True))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_counts_the_updates_of_D_for_one_of_G(order, k):
    game = small_game(order=order, k=k)
    counts = {"G": 0, "D": 0}
    for name in counts:
        player = getattr(game, f"{name}_player")

        def counting(minibatch, name=name, update=player.update):
            counts[name] += 1
            update(minibatch)

        player.update = counting
    for _ in range(3):
        step(game)
    assert counts == {"G": 3, "D": 3 * k}
    assert game.minibatches == 3 * k


@pytest.mark.parametrize("order", ORDERS)
def test_one_seed_twice_is_identical(order):
    games = [small_game(order=order) for _ in range(2)]
    streams = [torch.Generator().manual_seed(1) for _ in range(2)]
    for i in range(5):
        infos = [g.step(batches(seed=i), rng=r) for g, r in zip(games, streams, strict=True)]
        assert infos[0] == infos[1]
    for a, b in zip(games[0].state().values(), games[1].state().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("order", ORDERS)
def test_G_never_receives_x(order, monkeypatch):
    """With D held, another x changes neither what G puts out nor its gradient."""
    outputs, gradients = [], []
    for seed in (1, 2):
        game = small_game(order=order)
        monkeypatch.setattr(game.D_player, "update", lambda minibatch: None)
        seen = []
        game.G.register_forward_hook(lambda m, z, x, seen=seen: seen.append(x.detach().clone()))
        keep = []
        monkeypatch.setattr(
            game.G_player,
            "update",
            lambda minibatch, game=game, keep=keep: keep.extend(
                p.grad for p in game.G.parameters()
            ),
        )
        step(game, batches(seed=seed))
        outputs.append(seen)
        gradients.append(keep)
    assert len(outputs[0]) == len(outputs[1]) > 0
    assert all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_orders_differ_as_stated():
    """Simultaneous: one z for both players. Alternating: G answers with a fresh one."""
    drawn = {}
    for order in ORDERS:
        game = small_game(order=order)
        calls = []

        class Counting(type(game.prior)):
            def sample(self, n, *, rng, calls=calls):
                calls.append(n)
                return super().sample(n, rng=rng)

        game.prior = Counting(game.prior.dim)
        step(game)
        drawn[order] = calls
    assert drawn == {"alternating": [10, 10], "simultaneous": [10]}


def test_dropout_is_active_when_G_moves_and_off_when_it_is_sampled():
    game = small_game()
    assert game.D.training
    game.samplers()["raw"].sample(3, seed=0)
    assert game.G.training
    assert game.D.training


def test_the_average_follows_G():
    game = small_game(average_rate=0.5, average_every=1)
    mean = [torch.zeros_like(w) for w in weights(game.G)]
    for i in range(1, 6):
        step(game, seed=i)
        rate = max(0.5, 1 / i)
        mean = [m + rate * (w - m) for m, w in zip(mean, weights(game.G), strict=True)]
    for ours, expected in zip(weights(game.average.network), mean, strict=True):
        torch.testing.assert_close(ours, expected)


def test_column_norms_are_kept_below_their_limit_after_every_update():
    limit = 0.3
    game = small_game(
        G=advnets.GeneratorConfig(hidden=(7,), output="linear", irange=0.5, max_col_norm=limit),
        D=advnets.DiscriminatorConfig(units=(6,), pieces=3, irange=0.5, max_col_norm=limit),
    )
    for i in range(3):
        step(game, seed=i)
    for network in (game.G, game.D):
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                assert layer.weight.norm(dim=1).max() <= limit + 1e-6


def test_info_is_detached_and_finite():
    for name, number in step(small_game()).items():
        assert number.shape == (), name
        assert not number.requires_grad
        assert math.isfinite(number.item())


def test_k_steps_before_a_simultaneous_one_leave_G_alone():
    game = small_game(order="simultaneous", k=4)
    before = weights(game.G)
    seen = []
    update = game.D_player.update

    def watching(minibatch):
        seen.append(all(torch.equal(a, b) for a, b in zip(before, weights(game.G), strict=True)))
        update(minibatch)

    game.D_player.update = watching
    step(game)
    assert seen == [True, True, True, False]  # the last update is made when G's has been


# A user's own networks


def own_game(**settings):
    G = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    return advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(4),
        G_optimizer=torch.optim.Adam(G.parameters(), 1e-2),
        D_optimizer=torch.optim.RMSprop(D.parameters(), 1e-2),
        **settings,
    )


@pytest.mark.parametrize("order", ORDERS)
def test_plain_modules_and_any_torch_optimiser_play(order):
    torch.manual_seed(0)
    game = own_game(order=order, k=2)
    before = weights(game.G), weights(game.D)
    advnets.fit(
        game, advnets.Batches(torch.randn(64, 2), size=16, seed=0), advnets.TrainerConfig(steps=5)
    )
    for old, network in zip(before, (game.G, game.D), strict=True):
        assert all(not torch.equal(a, b) for a, b in zip(old, weights(network), strict=True))
    assert game.samplers()["averaged"].sample(5, seed=0).shape == (5, 2)


def test_a_state_of_plain_modules_comes_back():
    torch.manual_seed(0)
    game = own_game()
    step(game)
    twin = own_game()
    twin.load_state(game.state())
    torch.manual_seed(1)
    first = step(game)
    torch.manual_seed(1)
    assert step(twin) == first


def test_D_must_give_one_logit_an_example():
    G, D = nn.Linear(4, 2), nn.Linear(2, 3)
    rules = {
        "G_optimizer": torch.optim.SGD(G.parameters(), 0.1),
        "D_optimizer": torch.optim.SGD(D.parameters(), 0.1),
    }
    game = advnets.Game(G, D, prior=advnets.Gaussian(4), **rules)
    with pytest.raises(
        ValueError, match=r"'D\(x\)' must be of shape \(10,\): one logit an example"
    ):
        step(game)


def test_unknown_words_are_named():
    with pytest.raises(
        ValueError, match=r"Unknown order 'parallel'.* Valid: alternating, simultaneous"
    ):
        own_game(order="parallel")
    with pytest.raises(ValueError, match=r"Unknown objective 'minmax'. Did you mean 'minimax'\?"):
        own_game(objective="minmax")
    with pytest.raises(ValueError, match="'k' must be a number that is at least 1, got 0"):
        own_game(k=0)


def test_an_optimiser_of_the_other_player_is_refused():
    G, D = nn.Linear(4, 2), nn.Linear(2, 1)
    rules = {
        "G_optimizer": torch.optim.SGD(D.parameters(), 0.1),
        "D_optimizer": torch.optim.SGD(G.parameters(), 0.1),
    }
    with pytest.raises(
        ValueError, match="'G_optimizer' must be an optimiser of G's own parameters"
    ):
        advnets.Game(G, D, prior=advnets.Gaussian(4), **rules)


def test_a_foreign_state_is_refused_by_name():
    with pytest.raises(ValueError, match="'state' must be a game's"):
        small_game().load_state({"W": torch.zeros(2)})
    other = small_game(G=advnets.GeneratorConfig(hidden=(9,), output="linear")).state()
    with pytest.raises(ValueError, match=r"'net\.\d\.\w+' must be of shape .*, got \("):
        small_game().load_state(other)

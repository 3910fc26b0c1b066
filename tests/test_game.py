"""Algorithm 1 as laws, and against a slow loop written out from the paper and its authors' code."""

import copy
import itertools
import math
import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.functional import linear, logsigmoid

import advnets
from advnets.base.distributed import Ranks
from advnets.base.protocols import Batch
from advnets.networks import Discriminator
from advnets.nn import dropout, init
from advnets.nn import linear as layers
from advnets.optim.schedules import OptimizerConfig, Schedule
from advnets.optim.train_state import TrainState
from conftest import small_game

ORDERS = ["alternating", "simultaneous"]
OBJECTIVES = ["minimax", "non-saturating"]


def batches(k=1, m=10, event_shape=(2,), seed=3):
    rng = torch.Generator().manual_seed(seed)
    return tuple(Batch(torch.rand(m, *event_shape, generator=rng)) for _ in range(k))


def weights(network):
    return [p.detach().clone() for p in network.parameters()]


def step(game, data=None, seed=0):
    k = game.batches_per_step
    return game.step(data or batches(k), rng=torch.Generator().manual_seed(seed))


def same(state, other):
    return state.keys() == other.keys() and all(torch.equal(t, other[n]) for n, t in state.items())


# The reference: plain maps over the same weights, plain gradients, one line of the paper at a time.
# It shares with the library neither layer nor loss nor rule, only the names of the weights.

RULE = OptimizerConfig(
    lr=0.1, lr_decay=1.02, min_lr=0.08, momentum=0.5, final_momentum=0.7, saturate_epochs=3
)
PER_EPOCH = 3
G_INCLUDE, D_INCLUDE, NOISE, PIECES = 0.7, (0.8, 0.5, 0.5), 0.3, 3


class PlainD(nn.Module):
    """The same D as a user would bring it: nothing says that it treats examples one by one."""

    def __init__(self, D):
        super().__init__()
        self.D = D

    def forward(self, x):
        return self.D(x)


def written_out_game(*, plain_D=False, dtype=torch.float64, **settings):
    """A pair with dropout in both, noise before D, momentum, and schedules that always move."""
    rng = torch.Generator().manual_seed(0)
    G = nn.Sequential(
        layers.Affine(3, 7), nn.ReLU(), dropout.Dropout(1 - G_INCLUDE), layers.Affine(7, 2)
    )
    D = Discriminator(
        advnets.DiscriminatorConfig(units=(6, 5), pieces=PIECES, irange=0.5, input_noise=NOISE),
        event_shape=(2,),
        rng=rng,
    )
    init.init_uniform(G, 0.5, rng=rng)
    G, D = G.to(dtype), D.to(dtype)
    D = PlainD(D) if plain_D else D
    return advnets.Game(
        G,
        D,
        prior=advnets.Uniform(3),
        G_optimizer=RULE.build(G.parameters()),
        D_optimizer=RULE.build(D.parameters()),
        schedules=(Schedule(config=RULE, batches_per_epoch=PER_EPOCH, batches=100),) * 2,
        **settings,
    )


def draw_mask(n, width, include, rng):
    """Sixteen random bits an element, or eight where they are enough, in words of 64."""
    bits = 8 if include * 256 == int(include * 256) else 16
    words = torch.empty(-(-n * width * bits // 64), dtype=torch.int64)
    words.random_(-(2**63), None, generator=rng)
    kind = {8: torch.int8, 16: torch.int16}[bits]
    number = words.view(kind)[: n * width].view(n, width).long() + 2 ** (bits - 1)
    return (number < round(include * 2**bits)).double() / include


class Slow:
    """The players' weights, velocities and clock, moved as the paper's text moves them."""

    def __init__(self, game, *, G_layers, G_include, D_include, noise=0.0):
        def own(network):
            named = network.state_dict().items()
            return {n.removeprefix("D."): t.double().clone().requires_grad_() for n, t in named}

        self.G, self.D = own(game.G), own(game.D)
        self.velocity = {id(w): torch.zeros_like(w) for w in [*self.G.values(), *self.D.values()]}
        self.order, self.k, self.D_loss_weight = (
            game.order,
            game.batches_per_step,
            game.D_loss_weight,
        )
        self.minimax = game.objective == "minimax"
        self.G_layers, self.G_include, self.D_include = G_layers, G_include, D_include
        self.prior, self.per_epoch, self.b = game.prior, PER_EPOCH, 0
        self.norms, self.noise = {}, noise

    def generate(self, z, mask):
        *hidden, last = self.G_layers
        h = z.double()
        for i in hidden:
            h = linear(h, self.G[f"{i}.weight"], self.G[f"{i}.bias"]).clamp(min=0)
        h = h if mask is None else h * mask
        return linear(h, self.G[f"{last}.weight"], self.G[f"{last}.bias"])

    def judge(self, x, masks):
        noise, first, *others = masks
        h = (x.double().flatten(1) + self.noise * noise) * first
        for i, mask in enumerate(others):
            name = f"maxouts.{i}.affine"
            y = linear(h, self.D[f"{name}.weight"], self.D[f"{name}.bias"])
            q = y.shape[1] // PIECES
            units = [torch.stack([y[:, j * q + u] for j in range(PIECES)]) for u in range(q)]
            # amax: pieces that tie (where dropout left nothing of x) share the gradient evenly.
            h = torch.stack([pieces.amax(dim=0) for pieces in units], dim=1) * mask
        return linear(h, self.D["last.weight"], self.D["last.bias"]).flatten()

    def draw(self, m, parts, rng):
        """z, the mask of G, the noise and the masks of D for data and samples, or samples alone."""
        z = self.prior.sample(m, rng=rng)
        width = self.G[f"{self.G_layers[-1]}.weight"].shape[1]
        of_G = None if self.G_include is None else draw_mask(m, width, self.G_include, rng)
        widths = [self.D["maxouts.0.affine.weight"].shape[1]]
        widths += [len(b) // PIECES for n, b in self.D.items() if n.endswith("affine.bias")]
        noise = torch.zeros(parts * m, 1)
        if self.noise:
            noise = torch.randn(parts * m, widths[0], generator=rng).double()
        of_D = [noise] + [
            draw_mask(parts * m, width, include, rng)
            for width, include in zip(widths, self.D_include, strict=True)
        ]
        return z, of_G, of_D

    def V(self, x, x_g, masks):
        m = len(x)
        self.real = self.judge(x, [mask[:m] for mask in masks])
        self.fake = self.judge(x_g, [mask[m:] for mask in masks])
        return logsigmoid(self.real).mean() + logsigmoid(-self.fake).mean()

    def J(self, logits):
        return logsigmoid(-logits).mean() if self.minimax else -logsigmoid(logits).mean()

    def move(self, own, gradients, b):
        lr = max(RULE.lr / RULE.lr_decay**b, RULE.min_lr)
        share = min((b // self.per_epoch) / (RULE.saturate_epochs - 1), 1)
        m = RULE.momentum + (RULE.final_momentum - RULE.momentum) * share
        self.norms["D" if own is self.D else "G"] = sum(g.square().sum() for g in gradients).sqrt()
        with torch.no_grad():
            for w, g in zip(own.values(), gradients, strict=True):
                self.velocity[id(w)] = m * self.velocity[id(w)] - lr * g
                w += self.velocity[id(w)]

    def step(self, data, rng):
        drawn = [self.draw(len(batch.x), 2, rng) for batch in data]
        if self.order == "alternating":
            drawn.append(self.draw(len(data[-1].x), 1, rng))
        alone = len(data) if self.order == "alternating" else len(data) - 1
        of_D, of_G = list(self.D.values()), list(self.G.values())
        for batch, (z, mask, masks) in zip(data[:alone], drawn[:alone], strict=True):
            V = self.V(batch.x, self.generate(z, mask).detach(), masks)
            self.move(self.D, torch.autograd.grad(-self.D_loss_weight * V, of_D), self.b)
            self.b += 1
        z, mask, masks = drawn[-1]
        x_g = self.generate(z, mask)
        if self.order == "alternating":
            real, fake = self.real, self.fake
            J = self.J(self.judge(x_g, masks))
            self.move(self.G, torch.autograd.grad(J, of_G), self.b - 1)
        else:
            V = self.V(data[-1].x, x_g, masks)
            real, fake = self.real, self.fake
            J = self.J(fake)
            for_D = torch.autograd.grad(-self.D_loss_weight * V, of_D, retain_graph=True)
            for_G = torch.autograd.grad(J, of_G)
            self.move(self.D, for_D, self.b)
            self.move(self.G, for_G, self.b)
            self.b += 1
        D_x, D_Gz = (1 / (1 + (-logits).exp()) for logits in (real, fake))
        return {"V": V, "J": J, "D_x": D_x.mean(), "D_Gz": D_Gz.mean()}

    def assert_is(self, game, **tolerance):
        for slow, network in ((self.G, game.G), (self.D, game.D)):
            for (name, w), p in zip(slow.items(), network.parameters(), strict=True):
                torch.testing.assert_close(
                    p.detach().double(), w.detach(), **tolerance, msg=lambda m, n=name: f"{n}: {m}"
                )


@pytest.mark.parametrize("plain_D", [False, True], ids=["one pass", "two passes"])
@pytest.mark.parametrize(
    ("order", "objective", "k", "D_loss_weight"),
    list(itertools.product(ORDERS, OBJECTIVES, [1, 3], [0.5, 1.0])),
)
def test_a_step_equals_the_slow_loop(order, objective, k, D_loss_weight, plain_D):
    """In float64, with momentum and both schedules moving."""
    settings = {"order": order, "objective": objective, "k": k, "D_loss_weight": D_loss_weight}
    game = written_out_game(plain_D=plain_D, **settings)
    slow = Slow(game, G_layers=(0, 3), G_include=G_INCLUDE, D_include=D_INCLUDE, noise=NOISE)
    fast_rng, slow_rng = (torch.Generator().manual_seed(7) for _ in range(2))
    for i in range(5):
        data = batches(k, m=10 - 3 * (i == 2), seed=i)  # the third batch is an epoch's short one
        info, expected = game.step(data, rng=fast_rng), slow.step(data, slow_rng)
        slow.assert_is(game, rtol=1e-11, atol=1e-13)
        for name, number in expected.items():
            assert info[name].item() == pytest.approx(number.item(), rel=1e-11), name
        for player, norm in slow.norms.items():
            assert game.diagnostics()[f"{player}_gradient"].item() == pytest.approx(
                norm.item(), rel=1e-11
            )
    assert torch.equal(fast_rng.get_state(), slow_rng.get_state())


@pytest.mark.parametrize("order", ORDERS)
def test_the_configured_pair_in_float32_equals_the_slow_loop(order):
    game = small_game(order=order, k=2, G_optimizer=RULE, D_optimizer=RULE)
    slow = Slow(game, G_layers=("net.0", "net.2"), G_include=None, D_include=(0.8, 0.5))
    slow.per_epoch = 5
    fast_rng, slow_rng = (torch.Generator().manual_seed(7) for _ in range(2))
    for i in range(4):
        data = batches(2, seed=i)
        game.step(data, rng=fast_rng)
        slow.step(data, slow_rng)
        slow.assert_is(game, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("order", ORDERS)
def test_one_pass_through_D_and_two_give_the_same_game(order, objective):
    games = [
        written_out_game(plain_D=plain_D, order=order, objective=objective, k=2)
        for plain_D in (False, True)
    ]
    for i in range(5):
        infos = [step(game, batches(2, seed=i), seed=i) for game in games]
        for name, number in infos[0].items():
            assert number.item() == pytest.approx(infos[1][name].item(), rel=1e-12), name
        for network in "GD":
            ours, theirs = (weights(getattr(game, network)) for game in games)
            for p, q in zip(ours, theirs, strict=True):
                torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


# One backward pass for both players


def kept_gradients(game, monkeypatch):
    """What each player would be moved along; nobody moves."""
    kept = {}
    for name in "GD":

        def keep(gradient, minibatch, name=name):
            kept[name] = [g.clone() for g in gradient]

        monkeypatch.setattr(getattr(game, f"{name}_state"), "update", keep)
    return kept


def two_backward_passes(game, data, seed):
    """Each player's gradient by a backward pass of its own, in float64."""
    slow = Slow(game, G_layers=(0, 3), G_include=G_INCLUDE, D_include=D_INCLUDE, noise=NOISE)
    z, mask, masks = slow.draw(len(data.x), 2, torch.Generator().manual_seed(seed))
    V = slow.V(data.x, slow.generate(z, mask), masks)
    J = slow.J(slow.fake)
    of_D = torch.autograd.grad(-slow.D_loss_weight * V, list(slow.D.values()), retain_graph=True)
    per_row = torch.autograd.grad(slow.fake.sum(), list(slow.D.values()), retain_graph=True)
    of_G = torch.autograd.grad(J, list(slow.G.values()))
    return {"D": of_D, "G": of_G}, torch.cat((slow.real, slow.fake)).detach(), per_row


def make_D_sure(game, data, largest):
    """Scale D's last layer so that its logits reach from -largest to +largest."""
    _, logits, _ = two_backward_passes(game, data, seed=0)
    with torch.no_grad():
        game.D.last.bias.sub_((logits.max() + logits.min()).item() / 2)
        factor = 2 * largest / (logits.max() - logits.min()).item()
        game.D.last.weight.mul_(factor)
        game.D.last.bias.mul_(factor)


@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=["float64", "float32"]
)
@pytest.mark.parametrize("largest", [1.0, 60.0, 200.0, 2000.0])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_D_that_is_sure_spoils_neither_gradient(objective, largest, dtype, rtol, monkeypatch):
    """The shared pass equals two of their own, in float64, to `rtol` of each tensor's largest entry.

    An entry may be off by another 2^-50 of what G's cotangents alone would give D, which is what
    the shared cotangent is raised to where D's own vanishes.
    """
    game = written_out_game(dtype=dtype, order="simultaneous", objective=objective)
    (data,) = batches(m=40)
    make_D_sure(game, data, largest)
    kept = kept_gradients(game, monkeypatch)
    step(game, (data,), seed=0)
    expected, logits, per_row = two_backward_passes(game, data, seed=0)
    assert logits.max() > 0.9 * largest and logits.min() < -0.9 * largest
    for player, raised in (("D", 1), ("G", 0)):
        for g, e, row in zip(kept[player], expected[player], [*per_row], strict=False):
            assert g.isfinite().all()
            allowed = rtol * e.abs().max() + raised * 2.0**-50 * row.abs().max() + 1e-30
            assert (g.double() - e).abs().max() <= allowed, player


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_where_D_rejects_every_sample_for_sure_only_the_other_objective_still_moves_G(
    objective, monkeypatch
):
    """Section 3's remark, where float32 has nothing left of D's own gradient."""
    game = written_out_game(dtype=torch.float32, order="simultaneous", objective=objective)
    (data,) = batches(m=40)
    with torch.no_grad():
        game.D.last.bias.fill_(-200.0)
    kept = kept_gradients(game, monkeypatch)
    step(game, (data,), seed=0)
    expected, _, _ = two_backward_passes(game, data, seed=0)
    for g, e in zip(kept["G"], expected["G"], strict=True):
        assert (g.double() - e).abs().max() <= 1e-5 * e.abs().max() + 1e-30
        assert (g.abs().max() > 1e-3) == (objective == "non-saturating")


# Nothing is computed that nobody asks for


@pytest.mark.parametrize(
    ("order", "plain_D", "D_passes"),
    [(order, plain_D, 2 if plain_D else 1) for order in ORDERS for plain_D in (False, True)],
)
def test_no_gradient_in_Ds_weights_is_computed_for_G_nor_in_Gs_for_D(
    order, plain_D, D_passes, monkeypatch
):
    """Every affine layer computes the gradient in its weights once a pass of its own player's turn."""
    game, k = written_out_game(order=order, plain_D=plain_D, k=3), 3
    counts, plain = {}, layers.Affine.borrow

    def counting(layer):
        counts[layer] = counts.get(layer, 0) + 1
        return plain(layer)

    monkeypatch.setattr(layers.Affine, "borrow", counting)
    step(game)
    expected = {m: 1 for m in game.G.modules() if isinstance(m, layers.Affine)}
    # Where one graph serves both players in turn, it does not know that G asks for less.
    more = 1 if plain_D and order == "simultaneous" else 0
    expected |= {m: k * D_passes + more for m in game.D.modules() if isinstance(m, layers.Affine)}
    assert counts == expected


@pytest.mark.parametrize(("precision", "largest"), [("float32", 0), ("bfloat16", 2**20)])
@pytest.mark.parametrize("order", ORDERS)
def test_gradients_that_the_system_would_clear_keep_their_memory(
    order, precision, largest, monkeypatch
):
    """And what plays in bfloat16 keeps those of its weights' own precision too."""
    monkeypatch.setattr("advnets.optim.train_state._JUST_BELOW_32_MB", largest)
    game = small_game(order=order, precision=precision, k=2)
    kept = []
    for i in range(3):
        step(game, seed=i)
        for one in (game.G_state, game.D_state):
            grad_buffer = [(layer.weight, memory) for layer, memory in one._grad_buffers]
            assert grad_buffer
            found = {id(w): g for w, g in zip(one.weights, one._last, strict=True)}
            for weight, memory in grad_buffer:
                assert found[id(weight)].data_ptr() == memory.data_ptr()
                assert memory.dtype == getattr(torch, precision)
            kept.append([p.grad.data_ptr() for p in one._own])
    assert kept[:2] * 3 == kept or precision == "float32"


def test_small_gradients_of_float32_have_memory_of_their_own():
    assert not any(memory is not None for _, memory in small_game().D_state._grad_buffers)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("order", ORDERS)
def test_after_a_step_the_weights_hold_the_gradient_in_their_own_precision(
    order, precision, monkeypatch
):
    game = small_game(order=order, precision=precision)
    seen = []
    real = game.D_state.update

    def watching(gradient, minibatch):
        seen.append([g.clone() for g in gradient])
        real(gradient, minibatch)

    monkeypatch.setattr(game.D_state, "update", watching)
    step(game)
    for p, g in zip(game.D.parameters(), seen[0], strict=True):
        assert p.grad.dtype == p.dtype == torch.float32
        assert g.dtype == getattr(torch, precision)
        assert torch.equal(p.grad, g.float())


# What is drawn


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 3])
def test_play_is_a_function_of_its_batches_and_its_noise(order, k):
    """`step` draws, `play` plays: nothing else is random, no stream is touched."""
    games = [small_game(order=order, k=k) for _ in range(2)]
    data, rng = batches(k), torch.Generator().manual_seed(4)
    noise = [games[0]._noise(batch, 2, rng) for batch in data]
    if order == "alternating":
        noise.append(games[0]._noise(data[-1], 1, rng))
    before, at = torch.get_rng_state(), rng.get_state()
    infos = [games[0].play(data, noise), games[1].step(data, rng=torch.Generator().manual_seed(4))]
    logits = infos[0].pop("a")  # kept for `watch`
    assert infos[0] == infos[1]
    assert games[1].diagnostics()["inside"] == ((logits >= 0) & (logits <= 1)).float().mean()
    assert same(games[0].D_state.state(), games[1].D_state.state())
    assert same(games[0].G_state.state(), games[1].G_state.state())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(rng.get_state(), at)
    played, stepped = ([*game.D_state.random, *game.G_state.random] for game in games)
    assert all(len(layer.drawn) == 0 for layer in played)  # no more is drawn than is used
    assert all(layer.drawn is None for layer in stepped)


@pytest.mark.parametrize("m", [7, 12])
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_the_noise_of_all_ranks_together_is_that_of_one_process(world, m):
    """Rows of z and of the bits; of D's, data's rows and samples' rows each in their order."""
    x = torch.zeros(m, 2)
    for parts in (1, 2):
        game = written_out_game()
        rng = torch.Generator().manual_seed(1)
        whole = game._noise(Batch(x), parts, rng)
        own = []
        for rank in range(world):
            game.ranks, again = Ranks(rank, world), torch.Generator().manual_seed(1)
            rows = game.ranks.rows(m)
            own.append(game._noise(Batch(x[rows], None, m), parts, again))
            assert torch.equal(again.get_state(), rng.get_state())
        assert torch.equal(torch.cat([noise.z for noise in own]), whole.z)
        for i in range(len(whole.G)):
            assert torch.equal(torch.cat([noise.G[i] for noise in own]), whole.G[i])
        for i in range(len(whole.D)):
            shares = [noise.D[i].chunk(parts) for noise in own]
            together = torch.cat([share[part] for part in range(parts) for share in shares])
            assert torch.equal(together, whole.D[i])


# bfloat16


def plays_what_it_should(player):
    own = player.network.state_dict()
    for name, played in player.compute_module.state_dict().items():
        master = own[name]
        assert played is not master
        assert played.dtype == (torch.bfloat16 if master.is_floating_point() else master.dtype)
        assert torch.equal(played, master.to(played.dtype)), name


@pytest.mark.parametrize("order", ORDERS)
def test_in_bfloat16_the_weights_stay_in_float32_and_their_rounding_plays(order):
    game = small_game(order=order, k=2, precision="bfloat16")
    before = weights(game.G) + weights(game.D)
    for i in range(4):
        info = step(game, seed=i)
        for player in (game.G_state, game.D_state):
            plays_what_it_should(player)
            assert all(p.dtype == torch.float32 for p in player.network.parameters())
        assert all(v.dtype == torch.float32 and v.isfinite() for v in info.values())
    for old, p in zip(before, [*game.G.parameters(), *game.D.parameters()], strict=True):
        assert not torch.equal(old, p)
    state = {n: t.dtype for n, t in game.state().items() if n not in ("minibatches", "updates")}
    assert set(state.values()) == {torch.float32}
    assert game.samplers()["raw"].sample(3, seed=0).dtype == torch.float32


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_step_in_bfloat16_is_that_in_float32_to_its_rounding(order, objective):
    """bfloat16 keeps 8 bits: V and J to 1 %, each player's move to 5 % of its length."""
    games = [
        small_game(order=order, objective=objective, precision=precision)
        for precision in ("float32", "bfloat16")
    ]
    before = {name: weights(getattr(games[0], name)) for name in "GD"}
    single, half = (step(game, batches(m=100)) for game in games)
    for name in ("V", "J"):
        assert half[name].item() == pytest.approx(single[name].item(), rel=1e-2)
    for name in "GD":
        ours, theirs = (
            torch.cat(
                [
                    (p - old).flatten()
                    for p, old in zip(weights(getattr(game, name)), before[name], strict=True)
                ]
            )
            for game in games
        )
        assert (ours - theirs).norm() < 0.05 * ours.norm()


@pytest.mark.parametrize("order", ORDERS)
def test_a_game_in_bfloat16_goes_on_from_its_state_bit_for_bit(order):
    game = small_game(order=order, k=2, precision="bfloat16")
    for i in range(3):
        step(game, seed=i)
    saved = {name: t.clone() for name, t in game.state().items()}
    twin = small_game(seed=9, order=order, k=2, precision="bfloat16")
    step(twin, seed=99)  # what it has learnt has to give way
    twin.load_state(saved)
    for i in range(3, 6):
        assert step(game, seed=i) == step(twin, seed=i)
        assert same(game.state(), twin.state())
        for player in (twin.G_state, twin.D_state):
            plays_what_it_should(player)


def test_a_state_of_float32_goes_on_in_bfloat16():
    """What is saved is in float32 either way: the weights that play are the rounded ones."""
    game = small_game()
    step(game)
    other = small_game(seed=9, precision="bfloat16")
    other.load_state(game.state())
    assert same(other.state(), game.state())
    plays_what_it_should(other.G_state)
    plays_what_it_should(other.D_state)


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


@pytest.mark.parametrize("k", [1, 3])
def test_an_alternating_step_is_k_updates_of_D_alone_and_one_of_G_alone(k):
    whole, parts = (small_game(order="alternating", k=k) for _ in range(2))
    rng = torch.Generator().manual_seed(0)
    data = batches(k)
    for _ in range(3):
        info = step(whole, data, seed=1)
        rng.manual_seed(1)
        of_D = [parts.step_D(batch, rng=rng) for batch in data][-1]
        of_G = parts.step_G(len(data[-1].x), rng=rng)
        assert info == {**of_D, "J": of_G["J"]}
    assert same(whole.G_state.state(), parts.G_state.state())
    assert same(whole.D_state.state(), parts.D_state.state())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_player_that_stands_still_stays_as_it_was_bit_for_bit(order, precision):
    game, rng = small_game(order=order, precision=precision), torch.Generator().manual_seed(0)
    step(game)
    for still, moves, move in (
        (game.D_state, game.G_state, lambda: game.step_G(10, rng=rng)),
        (game.G_state, game.D_state, lambda: game.step_D(batches()[0], rng=rng)),
    ):
        before = {n: t.clone() for n, t in still.state().items()}
        moved = weights(moves.network)
        for _ in range(3):
            move()
        assert same(before, still.state())
        after = weights(moves.network)
        assert not any(torch.equal(a, b) for a, b in zip(moved, after, strict=True))


def test_G_alone_before_the_first_step_plays_at_the_first_rate_and_is_no_update_of_the_game():
    rule = OptimizerConfig(lr=0.1, lr_decay=2.0, min_lr=1e-3)
    game = small_game(G_optimizer=rule)
    average = weights(game.ema.network)
    game.step_G(10, rng=torch.Generator().manual_seed(0))
    assert game.G_state.optimizer.param_groups[0]["lr"].item() == pytest.approx(0.1)
    assert (game.updates, game.minibatches) == (0, 0)
    assert all(map(torch.equal, average, weights(game.ema.network)))


@pytest.mark.parametrize("order", ORDERS)
def test_each_player_is_moved_by_its_own_update_only(order, monkeypatch):
    for still in "GD":
        game = small_game(order=order)
        frozen = getattr(game, still)
        monkeypatch.setattr(
            getattr(game, f"{still}_state"), "update", lambda gradient, minibatch: None
        )
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
        player = getattr(game, f"{name}_state")

        def counting(gradient, minibatch, name=name, update=player.update):
            counts[name] += 1
            update(gradient, minibatch)

        player.update = counting
    for _ in range(3):
        step(game)
    assert counts == {"G": 3, "D": 3 * k}
    assert game.minibatches.item() == 3 * k
    assert game.updates == 3


@pytest.mark.parametrize("order", ORDERS)
def test_one_seed_twice_is_identical(order):
    games = [small_game(order=order) for _ in range(2)]
    streams = [torch.Generator().manual_seed(1) for _ in range(2)]
    for i in range(5):
        infos = [g.step(batches(seed=i), rng=r) for g, r in zip(games, streams, strict=True)]
        assert infos[0] == infos[1]
    for a, b in zip(games[0].state().values(), games[1].state().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("plain_D", [False, True], ids=["one pass", "two passes"])
@pytest.mark.parametrize("order", ORDERS)
def test_G_never_receives_x(order, plain_D, monkeypatch):
    """With D held, another x changes neither what G puts out nor its gradient.

    In one pass with the data, G's gradient is another row's product: it agrees to rounding.
    """
    outputs, gradients = [], []
    for seed in (1, 2):
        game = written_out_game(order=order, plain_D=plain_D)
        monkeypatch.setattr(game.D_state, "update", lambda gradient, minibatch: None)
        seen, keep = [], []
        game.G.register_forward_hook(lambda m, z, x, seen=seen: seen.append(x.detach().clone()))
        monkeypatch.setattr(
            game.G_state,
            "update",
            lambda gradient, minibatch, keep=keep: keep.extend(g.clone() for g in gradient),
        )
        step(game, batches(seed=seed))
        outputs.append(seen)
        gradients.append(keep)
    assert len(outputs[0]) == len(outputs[1]) > 0
    assert all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))
    assert len(gradients[0]) == 4
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)
        assert a.any()


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
    game = small_game(ema_decay=0.5, ema_every=1)
    mean = [torch.zeros_like(w) for w in weights(game.G)]
    for i in range(1, 6):
        step(game, seed=i)
        rate = max(0.5, 1 / i)
        mean = [m + rate * (w - m) for m, w in zip(mean, weights(game.G), strict=True)]
    for ours, expected in zip(weights(game.ema.network), mean, strict=True):
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
    update = game.D_state.update

    def watching(gradient, minibatch):
        seen.append(all(torch.equal(a, b) for a, b in zip(before, weights(game.G), strict=True)))
        update(gradient, minibatch)

    game.D_state.update = watching
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


def normalised_game(**settings):
    """A user's own pair with running statistics in both networks."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    return advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(4),
        G_optimizer=torch.optim.Adam(G.parameters(), 1e-2),
        D_optimizer=torch.optim.RMSprop(D.parameters(), 1e-2),
        **settings,
    )


@pytest.mark.parametrize("network", ["G", "D"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_the_network_that_plays_has_counted_comes_back(precision, order, network):
    """After a step, the running statistics are those of the network that has played it."""
    game = normalised_game(order=order, k=2, precision=precision)
    player = getattr(game, f"{network}_state")
    for i in range(3):
        step(game, seed=i)
        own, played = (dict(n.named_buffers()) for n in (player.network, player.compute_module))
        assert own["1.running_mean"].dtype == torch.float32
        assert own["1.running_mean"].any()
        for name, buffer in own.items():
            assert torch.equal(buffer, played[name].to(buffer.dtype)), name
    # Passes of G: one for each update of D and one of its own, which the simultaneous order shares
    # with D's last; of D: two for each of its updates and one in G's turn, shared likewise.
    passes = {
        "G": {"alternating": 3, "simultaneous": 2},
        "D": {"alternating": 5, "simultaneous": 4},
    }
    assert own["1.num_batches_tracked"].item() == 3 * passes[network][order]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_plain_modules_with_running_statistics_go_on_from_their_state_bit_for_bit(precision, order):
    game, twin = (normalised_game(order=order, k=2, precision=precision) for _ in range(2))
    step(game)
    twin.load_state({name: t.clone() for name, t in game.state().items()})
    for i in range(1, 4):
        assert step(game, seed=i) == step(twin, seed=i)
        assert same(game.state(), twin.state())


@pytest.mark.parametrize("order", ORDERS)
def test_a_D_without_hidden_layers_plays(order):
    game = small_game(order=order, D=advnets.DiscriminatorConfig(units=()))
    before = weights(game.D)
    assert all(v.isfinite() for v in step(game).values())
    assert all(not torch.equal(a, b) for a, b in zip(before, weights(game.D), strict=True))


def test_D_must_give_one_logit_an_example():
    G, D = nn.Linear(4, 2), nn.Linear(2, 3)
    rules = {
        "G_optimizer": torch.optim.SGD(G.parameters(), 0.1),
        "D_optimizer": torch.optim.SGD(D.parameters(), 0.1),
    }
    with pytest.raises(ValueError, match=r"'D\(x\)' must be of shape \(2,\): one logit an example"):
        advnets.Game(G, D, prior=advnets.Gaussian(4), **rules)


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


# Memory

PAGE_FAULTS = """
import resource, sys, torch
from advnets.optim.train_state import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    torch.empty(6 * 2**20, dtype=torch.uint8).fill_(1)
for _ in range(40):  # the heap takes some steps to settle
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is spoken to")
def test_what_is_freed_at_the_end_of_a_step_is_there_for_the_next():
    """20 pieces of 6 MB in a fresh process: no page of them is cleared anew."""
    hidden = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    own = {name: v for name, v in os.environ.items() if not name.startswith(hidden)}

    def faults(word, **more):
        words = [sys.executable, "-c", PAGE_FAULTS, word]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=own | more)
        return int(done.stdout)

    assert faults("keep") < 20
    # Where the system clears every page, this is what it counts, so that the bound above says much.
    pinned = faults("plain", MALLOC_MMAP_THRESHOLD_=str(2**20))
    assert pinned >= 20 * 6 * 2**20 // (2 * 2**20)


def test_a_weight_that_two_layers_share_has_the_sum_of_its_gradients():
    first, second = layers.Affine(3, 3), layers.Affine(3, 3)
    second.weight = first.weight
    D = nn.Sequential(first, nn.Tanh(), second, nn.Linear(3, 1))
    player = TrainState(D, torch.optim.SGD(D.parameters(), 0.1), None)
    x = torch.randn(5, 3)
    expected = torch.autograd.grad(D(x).sum(), list(D.parameters()))
    for ours, plain in zip(player.gradient([D(x).sum()], [None]), expected, strict=True):
        torch.testing.assert_close(ours, plain)


def test_a_network_of_which_nothing_moves_is_refused():
    G, D = nn.Linear(2, 3), nn.Linear(3, 1)
    rules = {
        "G_optimizer": torch.optim.SGD(G.parameters(), 0.1),
        "D_optimizer": torch.optim.SGD(D.parameters(), 0.1),
    }
    G.requires_grad_(False)
    with pytest.raises(ValueError, match="'network' must be one with a weight that moves"):
        advnets.Game(G, D, prior=advnets.Gaussian(2), **rules)


ENDS = {
    **{"Tanh": nn.Tanh(), "Hardtanh": nn.Hardtanh(), "Relu": nn.ReLU(), "Softplus": nn.Softplus()},
    **{"Elu": nn.ELU(), "Gelu": nn.GELU(), "Silu": nn.SiLU(), "Mish": nn.Mish()},
}


def adams(G, D, **options):
    return {
        "G_optimizer": torch.optim.Adam(G.parameters(), **options),
        "D_optimizer": torch.optim.Adam(D.parameters(), **options),
    }


@pytest.mark.parametrize("end", ENDS)
def test_a_D_whose_end_cannot_give_every_logit_is_refused(end):
    G, D = nn.Linear(4, 2), nn.Sequential(nn.Linear(2, 1), ENDS[end], nn.Flatten(0))
    with pytest.raises(ValueError, match=rf"'D\(x\)' must be a logit: .*, got {end}\."):
        advnets.Game(G, D, prior=advnets.Gaussian(4), **adams(G, D))
    D = nn.Sequential(nn.Linear(2, 1), nn.LeakyReLU())
    advnets.Game(G, D, prior=advnets.Gaussian(4), **adams(G, D))


class Detached(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach()


def test_a_network_that_autograd_cannot_reach_is_refused():
    for G, D, name in (
        (Detached(4, 2), nn.Linear(2, 1), r"G\(z\)"),
        (nn.Linear(4, 2), Detached(2, 1), r"D\(x\)"),
    ):
        with pytest.raises(
            ValueError, match=f"'{name}' must be computed by torch from the weights"
        ):
            advnets.Game(G, D, prior=advnets.Gaussian(4), **adams(G, D))


def test_an_optimiser_that_ascends_is_refused():
    G, D = nn.Linear(4, 2), nn.Linear(2, 1)
    with pytest.raises(
        ValueError, match=r"'G_optimizer' must be .* descends; .*, got maximize=True"
    ):
        advnets.Game(G, D, prior=advnets.Gaussian(4), **adams(G, D, maximize=True))


def test_networks_made_in_inference_mode_are_refused():
    with torch.inference_mode():
        G, D = nn.Linear(4, 2), nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"'G' must be made outside torch\.inference_mode\(\)"):
        advnets.Game(G, D, prior=advnets.Gaussian(4), **adams(G, D))
    G, D = nn.Linear(4, 2), nn.Linear(2, 1)
    with torch.inference_mode(), pytest.raises(ValueError, match="'G' must be made outside"):
        advnets.Game(G, D, prior=advnets.Gaussian(4), **adams(G, D))


@pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning"
)
def test_what_is_no_optimiser_or_no_module_of_python_is_refused():
    G, D = nn.Linear(4, 2), nn.Linear(2, 1)
    sparse = torch.optim.SparseAdam(list(G.parameters()))
    for wrong, got in ((None, "NoneType"), (torch.optim.Adam, "Adam"), (sparse, "SparseAdam")):
        rules = adams(G, D) | {"G_optimizer": wrong}
        with pytest.raises(ValueError, match=f"'G_optimizer' must be an optimiser .*, got {got}"):
            advnets.Game(G, D, prior=advnets.Gaussian(4), **rules)
    scripted = torch.jit.script(G)
    rules = adams(scripted, D)
    with pytest.raises(ValueError, match="'G' must be a module of Python, not yet scripted"):
        advnets.Game(scripted, D, prior=advnets.Gaussian(4), **rules)

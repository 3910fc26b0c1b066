"""Every kind of pair, with and without contexts, keeps the laws of the step.

The reference shares with the game the maps G and D alone (which have references of their own): it
passes through D once, differentiates once for each player, and moves the weights itself.
"""

import copy
import itertools

import pytest
import torch
from torch.nn.functional import logsigmoid

import advnets
from advnets.base.conditioning import Context
from advnets.base.protocols import Batch, Problem
from advnets.extensions.conditionals import ConditionalsConfig
from advnets.game import Game
from advnets.networks.unet import UNetConfig
from advnets.nn import dropout
from advnets.optim.schedules import OptimizerConfig
from advnets.runs.registry import build
from test_capture import HostReads, compiled

RULE = OptimizerConfig(lr=0.05, momentum=0.5, final_momentum=0.5, lr_decay=1.0)
COLOUR = (3, 8, 8)
PAIRS = {
    "mlp": {
        "G": advnets.GeneratorConfig(hidden=(7, 5), units=("relu", "sigmoid"), irange=0.5),
        "D": advnets.DiscriminatorConfig(units=(6,), pieces=3, irange=0.3, input_noise=0.1),
    },
    "paper's convolutional": {
        "G": advnets.ConvolutionalGConfig(hidden=(6, 8), irange=0.5),
        "D": advnets.ConvolutionalDConfig(
            channels=(2, 3),
            sizes=(3, 4),
            padding=(1, 2),
            pools=(2, 3),
            pool_strides=(2, 2),
            units=(4,),
            irange=0.3,
        ),
    },
    "spectral": {
        "G": advnets.SpectralGConfig(width=2),
        "D": advnets.SpectralDConfig(width=2, input_noise=0.1),
    },
}
ORDERS, OBJECTIVES = ["alternating", "simultaneous"], ["minimax", "non-saturating"]
CONTEXTS = {
    "plain": None,
    "classes": torch.tensor([3, 3, 5, 8]),
    "vectors": torch.tensor([[0.5, -1.0], [2.0, 0.25]]),
}


def settings(pair, told):
    return advnets.GameConfig(
        z_dim=4,
        context="none" if CONTEXTS[told] is None else "labels",
        G_optimizer=RULE,
        D_optimizer=RULE,
        **PAIRS[pair],
    )


def problem(told, event=COLOUR):
    labels = CONTEXTS[told]
    return Problem(
        event_shape=event,
        low=0.0,
        high=1.0,
        mean=torch.full(event, 0.4),
        batches_per_epoch=9,
        steps=90,
        context=None if labels is None else Context.of(labels),
    )


def make(pair, told, dtype=torch.float64, **playing):
    about, config = problem(told), settings(pair, told)
    size = 0 if about.context is None else about.context.size
    G, D = (n.to(dtype) for n in Game.networks(config, about, size, seed=1))
    rules = {
        "G_optimizer": advnets.Momentum(G.parameters(), 0.05, 0.5),
        "D_optimizer": advnets.Momentum(D.parameters(), 0.05, 0.5),
    }
    return Game(G, D, prior=advnets.Gaussian(4), context=about.context, **rules, **playing)


def batch(told, seed, m=6):
    rng = torch.Generator().manual_seed(seed)
    x, labels = torch.rand(m, *COLOUR, generator=rng), CONTEXTS[told]
    rows = torch.randint(3, (m,), generator=rng) % (1 if labels is None else len(labels))
    return Batch(x, None if labels is None else labels[rows])


class Slow:
    """The pair's own maps, and the paper's step around them."""

    def __init__(self, game):
        self.G, self.D, self.game = copy.deepcopy(game.G), copy.deepcopy(game.D), game
        self.velocity = {}

    def draw(self, m, parts, rng):
        z = self.game.prior.sample(m, rng=rng).double()
        return z, [layer.draw(parts * m, rng=rng) for layer in dropout.stochastic(self.D)]

    def told(self, b):
        return () if self.game.context is None else (self.game.context.encode(b.context).double(),)

    def judge(self, masks, *parts, c):
        dropout.set_masks(dropout.stochastic(self.D), masks)
        c = tuple(torch.cat([t] * len(parts)) for t in c)
        return self.D(torch.cat(parts), *c).flatten().chunk(len(parts))

    def move(self, network, loss):
        gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        return list(zip(network.parameters(), gradients, strict=True))

    def take(self, moves):
        with torch.no_grad():
            for p, g in moves:
                v = 0.5 * self.velocity.get(id(p), torch.zeros_like(p)) - 0.05 * g
                self.velocity[id(p)] = v
                p += v

    def J(self, fake):
        minimax = self.game.objective == "minimax"
        return logsigmoid(-fake).mean() if minimax else -logsigmoid(fake).mean()

    def step(self, b, rng):
        together, m, c = self.game.order == "simultaneous", len(b.x), self.told(b)
        z, masks = self.draw(m, 2, rng)
        later = None if together else self.draw(m, 1, rng)
        x_g = self.G(z, *c)
        real, fake = self.judge(masks, b.x.double(), x_g, c=c)
        V = logsigmoid(real).mean() + logsigmoid(-fake).mean()
        of_D = self.move(self.D, -self.game.D_loss_weight * V)
        if together:
            of_G = self.move(self.G, self.J(fake))
            self.take(of_D + of_G)
        else:
            self.take(of_D)
            (fake,) = self.judge(later[1], self.G(later[0], *c), c=c)
            self.take(self.move(self.G, self.J(fake)))


CASES = list(itertools.product(PAIRS, CONTEXTS))


@pytest.mark.parametrize(("order", "objective"), list(itertools.product(ORDERS, OBJECTIVES)))
@pytest.mark.parametrize(("pair", "told"), CASES)
def test_a_step_equals_the_slow_loop(pair, told, order, objective):
    game = make(pair, told, order=order, objective=objective)
    slow, streams = Slow(game), [torch.Generator().manual_seed(2) for _ in range(2)]
    for i in range(3):
        game.step((batch(told, i),), rng=streams[0])
        slow.step(batch(told, i), streams[1])
        for ours, theirs in ((game.G, slow.G), (game.D, slow.D)):
            for (name, p), q in zip(
                ours.state_dict().items(), theirs.state_dict().values(), strict=True
            ):
                torch.testing.assert_close(
                    p, q, rtol=1e-8, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}"
                )
    assert torch.equal(streams[0].get_state(), streams[1].get_state())


@pytest.mark.parametrize(("pair", "told"), CASES)
def test_examples_are_judged_one_by_one_and_forward_pair_is_D_twice(pair, told, rng):
    game = make(pair, told)
    D, b = game.D.eval(), batch(told, 0)
    c = game._encoded(b.context)
    c = tuple(t.double() for t in c)
    x, x_g = b.x.double(), torch.rand(6, *COLOUR, generator=rng).double()
    apart = torch.cat([D(x[i : i + 1], *(t[i : i + 1] for t in c)) for i in range(6)])
    torch.testing.assert_close(D(x, *c), apart, rtol=1e-12, atol=1e-13)
    pair_of = D.forward_pair((x, *c), (x_g, *c))
    torch.testing.assert_close(pair_of, torch.cat((D(x, *c), D(x_g, *c))))
    x.requires_grad_()
    pair_of = D.forward_pair((x, *c), (x_g.requires_grad_(), *c))
    found = torch.autograd.grad(pair_of.sum(), [x, x_g])
    plain = torch.autograd.grad(D(x, *c).sum() + D(x_g, *c).sum(), [x, x_g])
    for ours, slow in zip(found, plain, strict=True):
        torch.testing.assert_close(ours, slow)


@pytest.mark.parametrize(("pair", "told"), CASES)
def test_the_gradient_reaches_every_weight_of_both_players(pair, told):
    game = make(pair, told)
    for i in range(3):
        game.step((batch(told, i),), rng=torch.Generator().manual_seed(i))
    for network in (game.G, game.D):
        for name, p in network.named_parameters():
            assert p.grad is not None and p.grad.any(), name


@pytest.mark.parametrize("told", ["classes", "vectors"])
@pytest.mark.parametrize("pair", PAIRS)
def test_what_is_told_changes_what_both_players_say(pair, told):
    game, labels = make(pair, told), CONTEXTS[told]
    game.G.eval()
    game.D.eval()
    one, other = (game._encoded(labels[[i, i]])[0].double() for i in (0, -1))
    z, x = torch.ones(2, 4).double(), torch.full((2, *COLOUR), 0.3).double()
    assert (game.G(z, one) - game.G(z, other)).abs().max() > 1e-4
    assert (game.D(x, one) - game.D(x, other)).abs().max() > 1e-6


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("pair", "told"), CASES)
def test_bfloat16_is_near_float32_and_no_step_reads_a_number_on_the_host(pair, told, order):
    games = [
        make(pair, told, torch.float32, order=order, precision=p) for p in ("float32", "bfloat16")
    ]
    games[1].load_state(games[0].state())
    found = []
    for game in games:
        rng = torch.Generator().manual_seed(0)
        game.step((batch(told, 0),), rng=rng)
        with HostReads() as reads:
            info = game.step((batch(told, 1),), rng=rng)
        assert reads.names == []
        found.append(info)
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0.05, atol=0.05, msg=name)
    for p in games[1].G.parameters():
        assert p.dtype == torch.float32


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("pair", "told"),
    [("mlp", "classes"), ("paper's convolutional", "plain"), ("spectral", "vectors")],
)
def test_the_whole_step_compiles(compiler, pair, told):
    game = make(pair, told, torch.float32, order="simultaneous")
    twin = compiled(game)
    streams = [torch.Generator().manual_seed(3) for _ in range(2)]
    for i in range(3):  # the first is played uncompiled
        infos = [
            g.step((batch(told, i),), rng=r) for g, r in zip((game, twin), streams, strict=True)
        ]
        for name, value in infos[0].items():
            torch.testing.assert_close(infos[1][name], value, rtol=0, atol=1e-5, msg=name)
    for name, tensor in game.state().items():
        torch.testing.assert_close(twin.state()[name], tensor, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize(("pair", "told"), CASES)
def test_a_state_is_all_that_the_next_steps_need(pair, told):
    config = settings(pair, told)
    whole, again = (build(config, problem(told), seed=seed) for seed in (0, 9))
    rng = torch.Generator().manual_seed(5)
    whole.step((batch(told, 0),), rng=rng)
    again.load_state({name: t.clone() for name, t in whole.state().items()})
    noise = torch.Generator()
    noise.set_state(rng.get_state())
    for i in (1, 2):
        ours = whole.step((batch(told, i),), rng=rng)
        theirs = again.step((batch(told, i),), rng=noise)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


ADAM = OptimizerConfig(optimizer="adam", lr=0.01, lr_decay=1.0)


def by_adam(pair, *, fused, layout):
    """A game whose players move by Adam; torch pairs fused numbers by their place in memory."""
    about, config = problem("plain"), settings(pair, "plain")
    G, D = (n.to(memory_format=layout) for n in Game.networks(config, about, 0, seed=1))
    rules = [ADAM.build(n.parameters()) for n in (G, D)]
    assert all(rule.defaults["fused"] for rule in rules)
    if not fused:
        rules = [
            torch.optim.Adam(n.parameters(), ADAM.lr, (ADAM.beta1, ADAM.beta2), foreach=False)
            for n in (G, D)
        ]
    return Game(G, D, prior=advnets.Gaussian(4), G_optimizer=rules[0], D_optimizer=rules[1])


LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pair", PAIRS)
def test_adam_gives_each_weight_its_own_gradient_however_both_lie_in_memory(pair, layout):
    fused, plain = (by_adam(pair, fused=f, layout=layout) for f in (True, False))
    for i in range(3):
        for game in (fused, plain):
            game.step((batch("plain", i),), rng=torch.Generator().manual_seed(i))
    for ours, theirs in ((fused.G, plain.G), (fused.D, plain.D)):
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(
                p, q, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pair", PAIRS)
def test_adam_goes_on_from_a_state_however_the_weights_lie_in_memory(pair, layout):
    whole, again = (by_adam(pair, fused=True, layout=layout) for _ in range(2))
    for i in range(2):
        whole.step((batch("plain", i),), rng=torch.Generator().manual_seed(i))
    again.load_state({name: t.contiguous() for name, t in whole.state().items()})
    for game in (whole, again):
        game.step((batch("plain", 2),), rng=torch.Generator().manual_seed(2))
    for ours, theirs in ((whole.G, again.G), (whole.D, again.D)):
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert torch.equal(p, q), name


SIZES = [(28, 1, (7, 7), 2), (32, 3, (4, 4), 3), (48, 3, (6, 6), 3), (64, 3, (4, 4), 4)]


@pytest.mark.parametrize(("side", "channels", "smallest", "levels"), SIZES)
def test_the_small_pair_follows_the_picture(side, channels, smallest, levels):
    event = (channels, side, side)
    G = advnets.SpectralGConfig(width=2).build(
        z_dim=4, problem=problem("plain", event), rng=torch.Generator().manual_seed(0)
    )
    D = advnets.SpectralDConfig(width=2).build(
        event_shape=event, rng=torch.Generator().manual_seed(0)
    )
    assert G.maps == (2 * 2**levels, *smallest)
    assert D(G(torch.zeros(2, 4))).shape == (2, 1)


def test_the_small_pair_starts_at_the_mean_colour():
    G = advnets.SpectralGConfig(width=2).build(
        z_dim=4, problem=problem("plain"), rng=torch.Generator().manual_seed(0)
    )
    for p in G.net[:-1].parameters():
        p.data.zero_()
    torch.testing.assert_close(G.eval()(torch.zeros(1, 4)), torch.full((1, *COLOUR), 0.4))


@pytest.mark.parametrize("event", [(3, 48, 64), (1, 33, 47), (3, 64, 40)], ids=str)
@pytest.mark.parametrize("kind", ["mlp", "conv", "unet"])
def test_pictures_that_are_not_square_are_played(kind, event, rng):
    D = {"D": advnets.SpectralDConfig(width=2)}
    config = {
        "mlp": lambda: settings("mlp", "plain"),
        "conv": lambda: settings("spectral", "plain"),
        "unet": lambda: ConditionalsConfig(G=UNetConfig(width=2), **D),
    }[kind]()
    game = build(config, problem("plain", event), seed=0)
    info = game.step((Batch(torch.rand(4, *event, generator=rng)),), rng=rng)
    assert game.sample(2).shape == (2, *event)
    assert all(value.isfinite() for value in info.values())

"""Better coordination of G and D (Section 7.5): each method against its law, in float64."""

import copy
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import advnets
from advnets import data
from advnets.base import errors
from advnets.base.conditioning import Context
from advnets.base.protocols import Batch, Problem
from advnets.experiments import coordination
from advnets.experiments.coordination import on_digits
from advnets.experiments.coordination.on_digits import SETTINGS
from advnets.extensions.coordination import (
    AdaptiveK,
    Coordinated,
    CoordinatedConfig,
    LatentDescent,
)
from advnets.game.instance_noise import InstanceNoise
from advnets.game.noise import Noise
from advnets.game.pac import packed
from advnets.game.r1 import R1
from advnets.game.r2 import R2
from advnets.game.unrolled import Unrolled
from advnets.networks import DiscriminatorConfig, GeneratorConfig
from advnets.optim.twin import Twin
from advnets.sampling.accept import MetropolisHastings, Rejection, calibrated, logit_of
from advnets.sampling.learned_prior import DiagonalPrior, MixturePrior, WithPrior
from advnets.sampling.samplers import GeneratorSampler
from conftest import SMALL, small_game

M, RATE = 6, 0.1
SMALL_G = GeneratorConfig(hidden=(20,))
NO_DROPOUT = DiscriminatorConfig(
    units=(6,), pieces=3, irange=0.5, dropout_input=0.0, dropout_hidden=0.0
)


def points(rng, n=M, k=1):
    return tuple(Batch(torch.randn(n, 2, generator=rng).double()) for _ in range(k))


def pair(*, order="alternating", optimizer=torch.optim.SGD, dropout=True, **settings):
    """The small pair in float64."""
    example = small_game(**({} if dropout else {"D": NO_DROPOUT}))
    G, D = example.G.double(), example.D.double()
    return advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(3),
        G_optimizer=torch.optim.SGD(G.parameters(), RATE),
        D_optimizer=optimizer(D.parameters(), RATE),
        order=order,
        **settings,
    )


def played(game, steps=4, k=1, seed=1):
    data, noise = torch.Generator().manual_seed(7), torch.Generator().manual_seed(seed)
    infos = [game.step(points(data, k=k), rng=noise) for _ in range(steps)]
    return infos, noise


def assert_same(one, other):
    state = other.state()
    for name, tensor in one.state().items():
        assert torch.equal(tensor, state[name]), name


# The Dirac game: data at 0, samples at theta, D(x) = sigmoid(psi x)


class Point(nn.Module):
    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([float(theta)], dtype=torch.float64))

    def forward(self, z):
        return self.theta.expand(len(z), 1)


class Line(nn.Module):
    def __init__(self, psi):
        super().__init__()
        self.psi = nn.Parameter(torch.tensor([float(psi)], dtype=torch.float64))

    def forward(self, x):
        return self.psi * x


def dirac_map(order, h, terms, start):
    """Where one step takes (theta, psi)."""
    G, D = Point(start[0]), Line(start[1])
    game = advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(1),
        G_optimizer=torch.optim.SGD([G.theta], h),
        D_optimizer=torch.optim.SGD([D.psi], h),
        order=order,
        terms=terms,
    )
    game.step((Batch(torch.zeros(4, 1, dtype=torch.float64)),), rng=torch.Generator())
    return np.array([G.theta.item(), D.psi.item()])


def eigenvalues(order, h, terms):
    """Of the step's derivative at the equilibrium (0, 0)."""
    eps = 1e-6
    columns = [
        (dirac_map(order, h, terms, eps * e) - dirac_map(order, h, terms, -eps * e)) / (2 * eps)
        for e in np.eye(2)
    ]
    return np.sort_complex(np.linalg.eigvals(np.array(columns).T))


@pytest.mark.parametrize("gamma", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("h", [0.05, 0.3])
def test_the_dirac_game_has_the_eigenvalues_in_closed_form_with_R1_and_without(h, gamma):
    r"""Simultaneous: 1 - h gamma / 2 +- h sqrt(gamma^2 - 1) / 2; alternating: det 1 - h gamma."""
    terms = [R1(gamma)] if gamma else []
    root = np.sqrt(complex(gamma**2 - 1)) / 2
    expected = np.sort_complex(np.array([1 - h * gamma / 2 + s * h * root for s in (1, -1)]))
    found = eigenvalues("simultaneous", h, terms)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    radius = max(abs(found))
    assert radius > 1 if not gamma else radius < 1  # it spirals out, or in
    trace, det = 2 - h * gamma - h**2 / 4, 1 - h * gamma
    root = np.sqrt(complex(trace**2 / 4 - det))
    expected = np.sort_complex(np.array([trace / 2 + root, trace / 2 - root]))
    found = eigenvalues("alternating", h, terms)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    if not gamma:
        np.testing.assert_allclose(abs(found), 1, atol=1e-7)  # it circles for ever


def test_R2_on_the_dirac_game_flattens_D_as_R1_does():
    """D is a line here, whose gradient is the same on data and on samples."""
    for order in ("simultaneous", "alternating"):
        found = eigenvalues(order, 0.1, [R2(0.7)])
        np.testing.assert_allclose(found, eigenvalues(order, 0.1, [R1(0.7)]), atol=1e-7)


def test_R2_is_the_squared_gradient_on_samples_written_out(rng):
    """One SGD move of D with R2 less one without it is the gradient of the penalty."""
    gamma, batch = 0.6, points(rng)[0]
    moved = {}
    for terms in ((), (R2(gamma),)):
        game = pair(terms=terms, dropout=False)
        game.step_D(batch, rng=torch.Generator().manual_seed(3))
        moved[terms] = torch.cat([p.detach().flatten() for p in game.D.parameters()])
    game = pair(dropout=False)
    z = game.prior.sample(M, rng=torch.Generator().manual_seed(3)).double()
    x = game.G(z).detach().requires_grad_()
    (slope,) = torch.autograd.grad(game.D(x).sum(), x, create_graph=True)
    penalty = gamma / 2 * slope.square().sum(dim=1).mean()
    g = torch.autograd.grad(penalty, list(game.D.parameters()), allow_unused=True)
    parts = zip(g, game.D.parameters(), strict=True)
    expected = torch.cat([(torch.zeros_like(p) if t is None else t).flatten() for t, p in parts])
    first, second = moved.values()
    torch.testing.assert_close((first - second) / RATE, expected, rtol=1e-7, atol=1e-10)


# What changes nothing


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_a_pack_of_1_and_no_unrolling_are_the_plain_game_bit_for_bit(order, rng):
    plain, asked = small_game(order=order), small_game(order=order, pack=1, unroll=0, r2=0.0)
    batches = [(Batch(torch.randn(M, 2, generator=rng)),) for _ in range(4)]
    streams = [torch.Generator().manual_seed(1) for _ in range(2)]
    for batch in batches:
        plain.step(batch, rng=streams[0])
        asked.step(batch, rng=streams[1])
    assert_same(plain, asked)
    assert torch.equal(streams[0].get_state(), streams[1].get_state())


def test_a_packed_D_of_one_example_is_the_plain_game_bit_for_bit(rng):
    plain, other = pair(), pair()
    judging = advnets.Game(
        other.G,
        packed(other.D, 1),
        prior=other.prior,
        G_optimizer=torch.optim.SGD(other.G.parameters(), RATE),
        D_optimizer=torch.optim.SGD(other.D.parameters(), RATE),
    )
    played(plain)
    played(judging)
    for p, q in zip(plain.D.parameters(), judging.D.parameters(), strict=True):
        assert torch.equal(p, q)
    for p, q in zip(plain.G.parameters(), judging.G.parameters(), strict=True):
        assert torch.equal(p, q)


def test_unrolling_a_D_that_does_not_move_is_the_plain_game():
    """With D's rate at 0 the D of K updates later is the D of now."""

    def held(params, _):
        return torch.optim.SGD(params, 0.0)

    plain = pair(optimizer=held, objective="relativistic")  # which draws masks for data too
    ahead = pair(optimizer=held, objective="relativistic", rules=[Unrolled(3)])
    played(plain)
    played(ahead)
    for p, q in zip(plain.G.parameters(), ahead.G.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


# The unrolled D


RULES = {
    "momentum": lambda p: advnets.Momentum(p, 0.05, 0.6),
    "sgd": lambda p: torch.optim.SGD(p, 0.05),
    "sgd momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.8),
    "adam": lambda p: torch.optim.Adam(p, 0.05, (0.5, 0.9)),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("before", [0, 3])
def test_a_twin_moves_weights_as_its_rule_does(name, before, rng):
    weights = [torch.randn(4, 3, generator=rng, dtype=torch.float64).requires_grad_()]
    optimizer = RULES[name](weights)

    def update(g):
        weights[0].grad = g
        optimizer.step()

    for _ in range(before):
        update(torch.randn(4, 3, generator=rng, dtype=torch.float64))
    state = copy.deepcopy(optimizer.state_dict())
    twin, moved = Twin(optimizer, weights), [weights[0].detach().clone()]
    gradients = [torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(3)]
    for g in gradients:
        moved = twin.moved(moved, [g])
    assert str(optimizer.state_dict()) == str(state)  # the twin has changed nothing
    for g in gradients:
        update(g)
    torch.testing.assert_close(moved[0], weights[0].detach())


def test_adams_twin_has_a_finite_slope_where_there_is_no_gradient():
    p = torch.zeros(3, requires_grad=True)
    twin = Twin(torch.optim.Adam([p]), [p])
    g = torch.tensor([0.0, 0.0, 1.0], requires_grad=True)
    (moved,) = twin.moved([p], [g])
    (slope,) = torch.autograd.grad(moved.sum(), g)
    assert slope.isfinite().all()


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
def test_the_gradient_of_an_unrolled_G_is_the_slope_of_what_it_descends(optimizer, loss, rng):
    """By differences: G's loss against the D that K real updates make of the present one."""
    K, x, eps = 2, points(rng)[0].x, 1e-6
    game = pair(optimizer=optimizer, objective=loss, rules=[Unrolled(K)], dropout=False)
    G, D = copy.deepcopy(game.G), copy.deepcopy(game.D)
    stream = torch.Generator().manual_seed(5)
    z = [game.prior.sample(M, rng=stream).double() for _ in range(2)]

    def update(D, rule, x_g):
        of_D, _ = game.loss(D(x).flatten(), D(x_g).flatten())
        grads = torch.autograd.grad(of_D, list(D.parameters()))
        for p, g in zip(D.parameters(), grads, strict=True):
            p.grad = g
        rule.step()

    first = optimizer(D.parameters(), RATE)
    update(D, first, G(z[0]).detach())  # D's own move, which G then answers

    def J(G):
        ahead, x_g = copy.deepcopy(D), G(z[1]).detach()
        rule = optimizer(ahead.parameters(), RATE)
        rule.load_state_dict(copy.deepcopy(first.state_dict()))
        for _ in range(K):
            update(ahead, rule, x_g)
        return game.loss(ahead(x).flatten(), ahead(x_g).flatten())[1].item()

    game.step((Batch(x),), rng=torch.Generator().manual_seed(5))
    for p, q in zip(game.D.parameters(), D.parameters(), strict=True):
        torch.testing.assert_close(p, q)  # G has looked ahead, and D is where its own move led
    for name, p in game.G.named_parameters():
        moved = (dict(G.named_parameters())[name].detach() - p.detach()) / RATE
        at = tuple(int(i) for i in torch.unravel_index(moved.abs().argmax(), moved.shape))
        sides = []
        for side in (eps, -eps):
            other = copy.deepcopy(G)
            with torch.no_grad():
                dict(other.named_parameters())[name][at] += side
            sides.append(J(other))
        assert moved[at].item() == pytest.approx((sides[0] - sides[1]) / (2 * eps), rel=1e-4)


def test_a_rule_that_cannot_be_played_is_refused():
    with pytest.raises(ValueError, match=r"'order' must be 'alternating' with Unrolled"):
        small_game(order="simultaneous", unroll=2)
    game = pair(optimizer=torch.optim.RMSprop, rules=[Unrolled(1)])
    with pytest.raises(ValueError, match=r"'D_optimizer' must be Momentum, SGD or Adam.*RMSprop"):
        game.step(points(torch.Generator()), rng=torch.Generator())
    with pytest.raises(ValueError, match=r"'compile' must be False .*Unrolled"):
        small_game(order="alternating", unroll=2, compile=True)
    with pytest.raises(ValueError, match=r"'low' must be below high, 0\.1.*got 0\.2"):
        AdaptiveK(0.2, 0.1)


# Instance noise


def test_instance_noise_anneals_to_nothing_and_is_the_same_law_for_both(rng):
    rule = InstanceNoise(0.3, 10)
    assert [round(rule.sigma(torch.tensor(t)).item(), 3) for t in (0, 5, 10, 99)] == [
        0.3,
        0.15,
        0,
        0,
    ]
    game = pair(rules=[rule])
    seen = []
    game.D.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    game.step_D(Batch(torch.zeros(4_000, 2).double()), rng=rng)
    data, samples = seen[0].chunk(2)
    assert abs(data.std().item() - 0.3) < 0.01
    z = game.prior.sample(4_000, rng=torch.Generator().manual_seed(0)).double()
    shift = samples - pair().G(z).detach()
    assert stats.ks_2samp(shift.flatten().numpy(), data.flatten().numpy()).pvalue > 1e-3


def test_annealed_instance_noise_leaves_the_updates_of_the_plain_game():
    """From minibatch T on: the same weights, for noise is drawn after all that a game draws."""
    game, plain = pair(rules=[InstanceNoise(0.5, 1)]), pair()
    for one in (game, plain):
        one.minibatches += 5
    batch = points(torch.Generator().manual_seed(7))[0]
    for one in (game, plain):
        one.step_D(batch, rng=torch.Generator().manual_seed(1))
    for p, q in zip(game.D.parameters(), plain.D.parameters(), strict=True):
        torch.testing.assert_close(p, q)


# Adaptive k


def test_D_moves_until_its_advantage_is_in_the_band():
    """Below the band all k moves, in it one, above it none; each minibatch offered counts."""
    moves = {}
    for place, (low, high) in {
        "below": (0.6, 0.69),
        "in it": (-3.0, 0.69),
        "above": (-9.0, -8.0),
    }.items():
        game = pair(rules=[AdaptiveK(low, high)], k=3)
        counted = []
        update = game.D_state.update
        game.D_state.update = lambda *a, update=update, n=counted: (n.append(1), update(*a))
        played(game, steps=1, k=3)
        moves[place] = len(counted)
        assert int(game.minibatches) == game.D_updates == 3
    assert moves == {"below": 3, "in it": 1, "above": 0}


# Latent descent


def test_latent_descent_raises_Ds_logit_and_stays_in_the_support(rng):
    game = small_game(order="alternating", D=NO_DROPOUT)
    noise = Noise(game.prior.sample(50, rng=rng), [], [])
    near, far = (LatentDescent(step).latents(game, noise) for step in (1e-3, 1e4))

    def mean(z):
        return game.D(game.G(z)).mean().item()

    assert mean(near) > mean(noise.z)
    assert far.abs().max() <= math.sqrt(3) + 1e-6
    a = game.D(game.G(noise.z.requires_grad_()))
    (g,) = torch.autograd.grad(a.sum(), noise.z)
    expected = noise.z + 1e-3 * g / (5 + g.square().sum(dim=1, keepdim=True))
    torch.testing.assert_close(near, expected.detach().clamp(-math.sqrt(3), math.sqrt(3)))


# Spectral norm for maxout


def test_a_spectral_maxout_D_is_a_contraction_layer_by_layer(rng):
    config = DiscriminatorConfig(
        units=(9, 8), pieces=3, irange=2.0, dropout_input=0, dropout_hidden=0, spectral=True
    )
    D = config.build(event_shape=(5,), rng=rng).eval()
    for layer in [*(m.affine for m in D.maxouts), D.last.plain]:
        assert torch.linalg.matrix_norm(layer.normalised(), 2).item() == pytest.approx(1, abs=1e-3)
    x, y = torch.randn(2, 500, 5, generator=rng)
    assert ((D(x) - D(y)).abs().flatten() <= (x - y).norm(dim=1) * 1.001).all()


# Learned priors


def test_a_diagonal_prior_begins_as_the_noise_and_learns_the_scale_that_wins():
    """G is the identity, so that what is learned is the prior: N(0, 1) becomes N(2, 0.5^2)."""
    torch.manual_seed(0)
    G = WithPrior(DiagonalPrior(1), nn.Identity())
    noise = torch.randn(5, 1)
    assert torch.equal(G(noise), noise)
    D = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 1))
    game = advnets.Game(
        G,
        D,
        prior=advnets.Gaussian(1),
        G_optimizer=torch.optim.Adam(G.parameters(), 1e-2, (0.5, 0.9)),
        D_optimizer=torch.optim.Adam(D.parameters(), 1e-2, (0.5, 0.9)),
        terms=[R1(0.1)],
    )
    x = 2 + 0.5 * torch.randn(2_000, 1, generator=torch.Generator().manual_seed(1))
    advnets.fit(game, x, steps=400)
    assert game.G.prior.mean.item() == pytest.approx(2, abs=0.2)
    assert game.G.prior.log_scale.exp().item() == pytest.approx(0.5, abs=0.2)


def test_each_component_of_a_mixture_is_drawn_as_often_and_from_its_own_law(rng):
    prior = MixturePrior(advnets.Gaussian(3), 4, rng=rng)
    noise = advnets.Gaussian(3).sample(20_000, rng=rng)
    c, z = prior.components(noise), prior(noise)
    counts = torch.bincount(c, minlength=4)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    for k in range(4):
        standard = (z[c == k] - prior.mean[k]) / prior.log_scale[k].exp()
        assert stats.kstest(standard[:, 0].detach().numpy(), "norm").pvalue > 1e-3
    z.sum().backward()
    assert prior.mean.grad.abs().min() > 0
    with pytest.raises(ValueError, match="'prior' must be 'uniform' or 'gaussian'"):
        MixturePrior(advnets.Spherical(3), 4, rng=rng)


# D at sampling time: p_data = N(1, 0.5^2), p_g = N(0, 1)


def exact(x, mean=1.0, std=0.5):
    """Log p_data - log p_g: the logit of the best D."""
    x = x.double().flatten()
    return -((x - mean) ** 2) / (2 * std**2) - math.log(std) + x.square() / 2


def toy():
    return GeneratorSampler(nn.Sequential(nn.Identity()), advnets.Gaussian(1))


def largest(mean=1.0, std=0.5):
    """Where the log ratio has its maximum: x = mean / (1 - std^2)."""
    return exact(torch.tensor([mean / (1 - std**2)])).item()


def test_samples_accepted_by_the_exact_D_follow_p_data():
    sampler = Rejection(toy(), exact, largest=largest())
    x = sampler.sample(1_000, seed=3).flatten().numpy()
    assert stats.kstest(x, stats.norm(1, 0.5).cdf).pvalue > 1e-3
    assert (
        stats.kstest(toy().sample(2_000, seed=3).flatten().numpy(), stats.norm(1, 0.5).cdf).pvalue
        < 1e-9
    )
    assert torch.equal(sampler.sample(5, seed=3, start=20), torch.tensor(x[20:25, None]))


def test_a_proposal_is_accepted_as_often_as_the_largest_ratio_says():
    """Of exact rejection the rate is 1 / max(p / q)."""
    sampler = Rejection(toy(), exact, largest=largest())
    x = toy().sample(20_000, seed=1)
    rate = sampler.log_probability(exact(x)).exp().mean().item()
    assert rate == pytest.approx(math.exp(-largest()), rel=0.03)
    strict = Rejection(toy(), exact, largest=largest(), gamma=1.0)
    assert strict.log_probability(exact(x)).exp().mean().item() < rate


def test_the_end_of_a_metropolis_chain_by_the_exact_D_follows_p_data():
    sampler = MetropolisHastings(toy(), exact, moves=25)
    x = sampler.sample(400, seed=3).flatten().numpy()
    assert stats.kstest(x, stats.norm(1, 0.5).cdf).pvalue > 1e-3
    assert torch.equal(sampler.sample(3, seed=3, start=7), torch.tensor(x[7:10, None]))


@pytest.mark.parametrize("kind", [Rejection, MetropolisHastings])
def test_a_D_that_cannot_tell_changes_no_law(kind):
    more = {"moves": 3} if kind is MetropolisHastings else {}
    sampler = kind(toy(), lambda x: torch.zeros(len(x)), **more)
    assert stats.kstest(sampler.sample(2_000, seed=0).flatten().numpy(), "norm").pvalue > 1e-3


def test_calibration_finds_the_line_that_a_logit_was_bent_by(rng):
    x = 1 + 0.5 * torch.randn(20_000, 1, generator=rng)
    x_g = torch.randn(20_000, 1, generator=rng)
    mended = calibrated(lambda x: 0.4 * exact(x) - 3, x, x_g)
    at = torch.linspace(-1, 3, 9)[:, None]
    torch.testing.assert_close(mended(at), exact(at), atol=0.15, rtol=0.05)


def test_a_sampler_by_D_refuses_what_it_cannot_do():
    never = Rejection(toy(), lambda x: torch.full((len(x),), -50.0), largest=0.0, most=3)
    with pytest.raises(ValueError, match=r"'most' must be enough proposals .*, got 3\."):
        never.sample(2, seed=0)
    with pytest.raises(ValueError, match=r"'pack' must be 1 .*, got 2\."):
        logit_of(small_game(pack=2).D)


@pytest.mark.parametrize("accept", ["rejection", "metropolis"])
def test_a_run_draws_what_its_D_accepts(points, accept):
    run = advnets.load(points)
    x = run.sample(2, seed=2, accept=accept)
    sampler = {"rejection": Rejection, "metropolis": MetropolisHastings}[accept]
    expected = sampler(run.sampler(), logit_of(run.learner.D)).sample(2, seed=2)
    assert torch.equal(x, expected)
    assert not torch.equal(x, run.sample(2, seed=2))


# All of it in a game


def coordinated(**settings):
    """The small pair with the rules of a configuration."""
    config = CoordinatedConfig(**(SMALL | {"order": "alternating"} | settings))
    problem = Problem(
        event_shape=(2,),
        low=0.0,
        high=1.0,
        mean=torch.full((2,), 0.5),
        batches_per_epoch=5,
        steps=50,
        context=Context.of(torch.arange(3)),
    )
    return Coordinated.from_config(config, problem, seed=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"r1": 0.2, "r2": 0.1, "objective": "relativistic", "unroll": 1, "pack": 2},
        {"instance_noise": 0.2, "instance_noise_batches": 3, "precision": "bfloat16"},
        {"instance_noise": 0.2, "order": "simultaneous", "latent_step": 0.5, "pack": 2},
        {"advantage_low": -0.01, "advantage_high": 0.01, "k": 3, "context": "labels"},
        {"latent_step": 0.5, "context": "labels", "prior": "spherical", "pack": 3},
        {"learned_prior": "mixture", "components": 3, "order": "simultaneous", "unroll": 0},
        {"learned_prior": "diagonal", "D": DiscriminatorConfig(units=(5,), spectral=True)},
    ],
    ids=str,
)
def test_a_coordinated_game_moves_both_and_goes_on_from_its_state_bit_for_bit(settings, rng):
    whole, first, second = (coordinated(**settings) for _ in range(3))
    start = {name: t.clone() for name, t in whole.state().items()}
    k = whole.batches_per_step
    batches = [
        tuple(Batch(torch.randn(M, 2, generator=rng), torch.arange(M) % 3) for _ in range(k))
        for _ in range(5)
    ]
    streams = [torch.Generator().manual_seed(2) for _ in range(2)]
    for batch in batches:
        whole.step(batch, rng=streams[0])
    for batch in batches[:3]:
        first.step(batch, rng=streams[1])
    second.load_state(first.state())
    for batch in batches[3:]:
        second.step(batch, rng=streams[1])
    assert_same(whole, second)
    for player in "GD":
        names = [n for n in start if n.startswith(f"{player}.network.") and "weight" in n]
        assert any(not torch.equal(start[n], whole.state()[n]) for n in names)
    assert whole.sample(4).isfinite().all()


@pytest.mark.parametrize("title", SETTINGS)
def test_every_row_of_the_table_on_digits_is_a_game_that_moves(title, rng):
    config = CoordinatedConfig(**{"precision": "float32", "G": SMALL_G, **SETTINGS[title]})
    mean = torch.full((1, 28, 28), 0.1)
    problem = Problem(
        event_shape=(1, 28, 28), low=0.0, high=1.0, mean=mean, batches_per_epoch=5, steps=9
    )
    game = Coordinated.from_config(config, problem, seed=0)
    x = torch.rand(4, 1, 28, 28, generator=rng)
    info = game.step((Batch(x),) * game.batches_per_step, rng=rng)
    assert all(value.isfinite() for value in info.values())
    assert game.G_state.norm() > 0


def test_games_side_by_side_are_those_played_one_after_the_other(tmp_path):
    asked = {"seeds": 2, "only": ("plain", "rejection", "r1"), "data": ("ring",)}
    small = {"protocol": "short", "epochs": 0.004, "samples": 50}
    said, looks = [], []
    for processes in (1, 2):
        plan = coordination.Plan(
            out=tmp_path / str(processes), processes=processes, **asked, **small
        )
        results = coordination.measure(plan, command="", say=said.append)
        found = results.cells["ring"]
        looks.append({name: [cell.looks for cell in cells] for name, cells in found.items()})
    assert looks[0] == looks[1]
    assert list(looks[0]) == list(asked["only"])
    assert sorted(said[-4:]) == [
        f"{n} of 4 games: {name}, ring, seed {seed}"
        for n, (seed, name) in enumerate([(0, "plain"), (0, "r1"), (1, "plain"), (1, "r1")], 1)
    ]


def test_a_comparison_is_refused_before_anything_is_played(tmp_path):
    for repeated, need in ({"only": ("r1", "r1")}, "only"), ({"data": ("ring", "ring")}, "data"):
        with pytest.raises(errors.BadValue, match=f"'{need}' must be different names, got"):
            coordination.Plan(out=tmp_path, **repeated)
    said = []
    plan = coordination.Plan(out=tmp_path, only=("plain",), mnist=tmp_path / "nowhere")
    with pytest.raises(errors.BadFile, match="nowhere"):
        coordination.measure(plan, command="", say=said.append)
    assert not said


@pytest.mark.parametrize("samples", [3, 50])
def test_the_scores_on_digits_are_kept_for_the_same_processor(tmp_path, samples):
    digits = data.load(data.Mnist5kConfig(), seed=0)
    few = replace(digits, train=digits.train.take(slice(0, 300)))

    def played(machine):
        said = []
        scores = on_digits.measure(
            tmp_path,
            few,
            seconds=0.2,
            folder=tmp_path / "digits",
            facts={"machine": machine, "commit": "c"},
            only=("late annealing", "alternating"),
            samples=samples,
            say=said.append,
        )
        return scores, [line for line in said if line.startswith("digits, ")]

    first, said = played("a")
    assert said == ["digits, late annealing ...", "digits, alternating ..."]
    assert [score.title for score in first] == ["late annealing", "alternating"]
    assert all(score.updates > 0 and math.isfinite(score.nats) for score in first)
    assert played("a") == (first, [])
    assert len(played("b")[1]) == 2, "its updates took another time"


def test_a_D_that_accepts_too_few_has_found_nothing_and_ends_no_comparison(monkeypatch, tmp_path):
    starved = partial(Rejection, largest=60.0, most=3)
    monkeypatch.setattr(coordination.cells, "Rejection", starved)
    plan = coordination.Plan(
        out=tmp_path, seeds=1, only=("plain", "rejection"), data=("ring",), protocol="short",
        epochs=0.004, samples=50,
    )  # fmt: skip
    cells = coordination.measure(plan, command="").cells["ring"]
    assert cells["plain"][0].last.update == 4
    end = cells["rejection"][0].last
    assert (end.found, end.quality, end.KL) == (0, 0.0, math.log(8))


def test_another_refusal_while_samples_are_accepted_is_not_hidden(monkeypatch, tmp_path):
    def refused(*_, **settings):
        raise errors.BadValue("'n' must be at least 1, got 0.")

    monkeypatch.setattr(advnets.sampling.accept.Rejection, "sample", refused)
    plan = coordination.Plan(
        out=tmp_path, seeds=1, only=("plain", "rejection"), data=("ring",), protocol="short",
        epochs=0.004, samples=50,
    )  # fmt: skip
    with pytest.raises(errors.BadValue, match="'n'"):
        coordination.measure(plan, command="")

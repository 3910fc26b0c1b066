"""BiGAN and ALI: each step against a slow loop, the laws of the joint game, and a run."""

import copy

import pytest
import torch
import torch.nn.functional as F
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from torch import nn

import advnets
from advnets.base.errors import BadValue, WrongMoment
from advnets.base.protocols import Batch, Encodes, Problem
from advnets.extensions.inference.bigan import BiGAN, BiGANConfig, Pairs, Swapped
from advnets.game.objectives import LOSSES
from advnets.networks.encoder import EncoderConfig
from advnets.nn import dropout
from conftest import SMALL, small_run

M, RATE = 6, 0.1
SMALL_E = EncoderConfig(hidden=(5,))


# A step


def double_game(order, *, stochastic=False, pack=1, objective="non-saturating"):
    """The small pair and a small E in float64, moved by SGD."""
    config = BiGANConfig(
        **SMALL, order=order, pack=pack, E=EncoderConfig(hidden=(5,), stochastic=stochastic)
    )
    problem = Problem(
        event_shape=(2,), low=0.0, high=1.0, mean=torch.zeros(2), batches_per_epoch=5, steps=50
    )
    made = BiGAN.from_config(config, problem, seed=0)
    G, D, E = made.G.double(), made.D.double(), made.E.double()
    game = BiGAN(
        G,
        D,
        prior=made.prior,
        G_optimizer=torch.optim.SGD(G.parameters(), RATE),
        D_optimizer=torch.optim.SGD(D.parameters(), RATE),
        order=order,
        objective=objective,
    )
    game.join(E, torch.optim.SGD(E.parameters(), RATE))
    return game


def move(network, gradient):
    with torch.no_grad():
        for p, g in zip(network.parameters(), gradient, strict=True):
            p -= RATE * g


LOSS_OF_G_AND_E = {  # each written out once more
    "non-saturating": lambda a, a_g: F.softplus(-a_g).mean() + F.softplus(a).mean(),
    "minimax": lambda a, a_g: -F.softplus(a_g).mean() - F.softplus(-a).mean(),
    "relativistic": lambda a, a_g: F.softplus(a - a_g).mean(),
}


def loss_of_D(name, a, a_g):
    if name == "relativistic":
        return F.softplus(a_g - a).mean()
    return F.softplus(-a).mean() + F.softplus(a_g).mean()


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"stochastic": True},
        {"objective": "minimax"},
        {"objective": "relativistic", "stochastic": True},
    ],
    ids=str,
)
def test_a_step_equals_the_slow_loop(order, case, rng):
    game = double_game(order, **case)
    name = case.get("objective", "non-saturating")
    G, D, E = (copy.deepcopy(network) for network in (game.G, game.D, game.E))
    ours, slow = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)

    def drawn():
        z = game.prior.sample(M, rng=slow).double()
        of_D = [d.draw(2 * M, rng=slow) for d in dropout.stochastic(D)]
        epsilon = [torch.randn(M, 3, generator=slow).double()] if case.get("stochastic") else []
        return z, of_D, epsilon

    def judged(z, of_D, epsilon, x):
        dropout.set_masks(dropout.stochastic(D), of_D)
        pairs = torch.cat((x, G(z))), torch.cat((E(x, *epsilon), z))
        return D(*pairs).flatten().chunk(2)

    for _ in range(3):
        x = torch.rand(M, 2, generator=rng).double()
        game.step((Batch(x),), rng=ours)
        first = drawn()
        last = first if order == "simultaneous" else drawn()
        a = judged(*first, x)
        of_D = torch.autograd.grad(loss_of_D(name, *a), list(D.parameters()), retain_graph=True)
        if order == "alternating":
            move(D, of_D)
            a = judged(*last, x)
        both = [*G.parameters(), *E.parameters()]
        moved = torch.autograd.grad(LOSS_OF_G_AND_E[name](*a), both)
        n = len(list(G.parameters()))
        move(G, moved[:n])
        move(E, moved[n:])
        if order == "simultaneous":
            move(D, of_D)
    assert torch.equal(ours.get_state(), slow.get_state())
    for network, plain in ((game.G, G), (game.D, D), (game.E, E)):
        for p, q in zip(network.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["minimax", "non-saturating", "hinge", "relativistic"])
def test_E_moves_logits_on_data_as_G_moves_those_on_samples(name, rng):
    """Data and samples swap their places when a changes its sign."""
    a, a_g = torch.randn(2, 7, generator=rng, dtype=torch.float64)
    loss = Swapped(LOSSES[name])
    parts = [t.clone().requires_grad_() for t in (a, a_g)]
    of_data, of_samples = torch.autograd.grad(loss(*parts)[1], parts)
    swapped = [t.clone().requires_grad_() for t in (-a_g, -a)]
    of_data_2, of_samples_2 = torch.autograd.grad(loss(*swapped)[1], swapped)
    torch.testing.assert_close(of_data, -of_samples_2)
    torch.testing.assert_close(of_samples, -of_data_2)
    for of, plain in zip(loss(*parts), LOSSES[name](*parts), strict=True):
        assert of.shape == plain.shape == ()
    torch.testing.assert_close(loss(*parts)[0], LOSSES[name](*parts)[0])


# Laws of the joint game


class Bits:
    """z of two fair bits."""

    dim = 2

    def sample(self, n, *, rng):
        return torch.randint(2, (n, 2), generator=rng).float()


class FromBits(nn.Module):
    """x = a xor b."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, z):
        return (z[:, :1] - z[:, 1:]).abs() * self.one


class ToBits(nn.Module):
    """Each bit of z is drawn by itself, with a probability that depends on x."""

    stochastic = True
    P = torch.tensor([[0.2, 0.7], [0.6, 0.9]])

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, x, epsilon):
        p = self.P[x[:, 0].long()]
        return (torch.special.ndtr(epsilon) < p).float() * self.one


class Table(nn.Module):
    """One logit for each of the eight (x, z)."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits.clone())

    def forward(self, rows):
        return self.logits[rows.long() @ torch.tensor([4, 2, 1])][:, None]


def joint_laws(p_1):
    """The law of (x, E(x)) and that of (G(z), z), over x, a, b."""
    q, p = torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)
    for x in (0, 1):
        for a in (0, 1):
            for b in (0, 1):
                of_z = [
                    ToBits.P[x][i] if bit else 1 - ToBits.P[x][i] for i, bit in ((0, a), (1, b))
                ]
                q[x, a, b] = (p_1 if x else 1 - p_1) * of_z[0] * of_z[1]
                p[x, a, b] = 0.25 * (x == a ^ b)
    return q.flatten(), p.flatten()


def test_the_best_D_is_the_ratio_of_the_joint_laws(rng):
    """There D's expected gradient is 0, cell by cell; V is concave in the logits, so it is best."""
    m, p_1 = 200_000, 0.3
    q, p = joint_laws(p_1)
    best = (q / p).log().clamp(max=40)
    x = (torch.rand(m, 1, generator=rng) < p_1).float()
    for logits, at_rest in ((best, True), (torch.zeros(8), False)):
        G, D, E = FromBits(), Pairs(Table(logits)), ToBits()
        rules = [torch.optim.SGD(net.parameters(), 1.0) for net in (G, D, E)]
        game = BiGAN(G, D, prior=Bits(), G_optimizer=rules[0], D_optimizer=rules[1])
        game.join(E, rules[2])
        game.step_D(Batch(x), rng=rng)
        moved = D.D.logits.detach() - logits
        ratio = logits.sigmoid()
        expected = q * (1 - ratio) - p * ratio
        variance = q * (1 - ratio) ** 2 + p * ratio**2
        assert ((moved - expected).abs() < 5 * (variance / m).sqrt() + 1e-9).all()
        assert bool((expected.abs() < 1e-6).all()) == at_rest
    within = p > 0
    torch.testing.assert_close(best.sigmoid()[within], (q / (q + p))[within])


def perceptron(i, o, h=48):
    layers = nn.Linear(i, h), nn.LeakyReLU(0.2), nn.Linear(h, h), nn.LeakyReLU(0.2), nn.Linear(h, o)
    return nn.Sequential(*layers)


def bent(n, rng):
    """A bent Gaussian in the plane."""
    u = torch.randn(n, 2, generator=rng)
    return torch.stack((u[:, 0], u[:, 1] + 0.25 * (u[:, 0] ** 2 - 1)), dim=1)


def auc(a, b):
    """How well boosted trees tell two clouds of points, on points they have not seen."""
    x, y = torch.cat((a, b)).numpy(), [0] * len(a) + [1] * len(b)
    trees = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    p = cross_val_predict(trees, x, y, cv=3, method="predict_proba")[:, 1]
    return roc_auc_score(y, p)


def test_codes_of_data_have_the_law_of_z():
    rng = torch.Generator().manual_seed(0)
    x, fresh = bent(20_000, rng), bent(3_000, rng)
    torch.manual_seed(0)
    G, E, D = perceptron(2, 2), perceptron(2, 2), Pairs(perceptron(4, 1))
    G_rule, E_rule, D_rule = rules = [
        torch.optim.Adam(network.parameters(), lr, betas=(0.0, 0.9))
        for network, lr in ((G, 1e-3), (E, 1e-3), (D, 4e-3))
    ]
    game = BiGAN(
        G,
        D,
        prior=advnets.Gaussian(2),
        G_optimizer=G_rule,
        D_optimizer=D_rule,
        order="simultaneous",
    )
    game.join(E, E_rule)
    steps = 1_500
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps) for rule in rules]
    batches = advnets.Batches(x, size=128, seed=0)
    untrained = game.encode(fresh)
    advnets.fit(game, batches, steps=steps, schedulers=schedulers)
    z = torch.randn(3_000, 2, generator=rng)
    assert auc(untrained, z) > 0.6
    assert abs(auc(game.encode(fresh), z) - 0.5) < 0.05
    found = game.samplers()["raw"].decode(game.encode(fresh))
    assert (found - fresh).square().sum(dim=1).mean() < 0.15 * (2 * fresh.var(dim=0).sum())


# A run


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "run"
    rule = advnets.OptimizerConfig(lr=0.05)
    model = BiGANConfig(**SMALL, E=SMALL_E, G_optimizer=rule, D_optimizer=rule, E_optimizer=rule)
    assert advnets.train(small_run(model=model, recipe="pairs"), folder)
    return folder


def test_a_run_encodes_by_its_own_encoder(pairs, rng):
    run = advnets.load(pairs, checkpoint="last")
    x = torch.randn(5, 2, generator=rng)
    assert isinstance(run.learner, Encodes)
    with torch.no_grad():
        torch.testing.assert_close(run.encode(x), run.learner.E(x))
    found = run.reconstruct(x, steps=10, starts=1)
    torch.testing.assert_close(found.z, run.encode(x))
    assert "E.network.last.weight" in run.learner.state()


def test_a_run_with_an_encoder_of_its_own_is_fitted_none(pairs):
    with pytest.raises(BadValue, match="'fit' must be left out: the run has an encoder of its own"):
        advnets.load(pairs).fit_encoder()
    assert not (pairs / "encoder.safetensors").exists()


def test_diagnostics_show_the_gradient_of_E(pairs):
    lines = (pairs / "metrics.jsonl").read_text()
    assert '"E_gradient"' in lines and '"G_gradient"' in lines


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"context": "labels"}, r"'context' must be 'none' in a game of pairs, got labels"),
        ({"objective": "least-squares"}, r"Unknown objective 'least-squares'"),
        ({"D": advnets.SpectralDConfig()}, r"'D\.kind' must be 'mlp', .*got 'conv'"),
    ],
)
def test_games_of_pairs_that_cannot_be_played_are_refused(settings, words):
    with pytest.raises(BadValue, match=words):
        BiGANConfig(**(SMALL | settings))


def test_an_encoder_of_no_units_is_refused():
    with pytest.raises(BadValue, match="'hidden' must be a number that is at least 1, got 0"):
        EncoderConfig(hidden=(0,))


def test_a_step_without_an_encoder_says_what_is_missing(rng):
    game = double_game("alternating")
    alone = BiGAN(
        game.G,
        game.D,
        prior=game.prior,
        G_optimizer=torch.optim.SGD(game.G.parameters(), RATE),
        D_optimizer=torch.optim.SGD(game.D.parameters(), RATE),
    )
    with pytest.raises(WrongMoment, match="'join' must be called before the first step"):
        alone.step((Batch(torch.rand(M, 2).double()),), rng=rng)
    with pytest.raises(BadValue, match="E_optimizer' must be an optimiser of E's own parameters"):
        alone.join(game.E, torch.optim.SGD(game.G.parameters(), RATE))

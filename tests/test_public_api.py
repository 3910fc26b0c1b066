"""The one-liners of the README, for networks of one's own: each as a user would write it."""

import inspect
import math
import re
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import advnets
from advnets import errors
from advnets.base.distributed import Ranks
from advnets.data.batches import minibatches

X = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))


def make(optimizer=torch.optim.Adam, dropout=0.0, **settings):
    torch.manual_seed(1)
    G = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1))
    rules = {
        f"{n}_optimizer": optimizer(net.parameters(), lr=1e-2)
        for n, net in zip("GD", (G, D), strict=True)
    }
    return advnets.Game(G, D, prior=advnets.Gaussian(3), **rules, **settings)


def schedulers_of(game, kind=torch.optim.lr_scheduler.StepLR, **settings):
    states = (game.G_state, game.D_state)
    return [kind(s.optimizer, **(settings or {"step_size": 4, "gamma": 0.5})) for s in states]


def same(a, b):
    a, b = a.state(), b.state()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class Points(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i]


@pytest.mark.parametrize(
    "x",
    [
        X,
        X.numpy(),
        advnets.Batches(X, size=50, seed=0),
        TensorDataset(X),
        Points(),
        DataLoader(TensorDataset(X), batch_size=30, shuffle=True),
    ],
    ids=["tensor", "array", "Batches", "TensorDataset", "Dataset", "DataLoader"],
)
def test_fit_takes_what_users_have_and_returns_its_history(x):
    config = advnets.TrainerConfig(steps=7, log_every=3)
    history = advnets.fit(make(), x, config)
    assert [entry.update for entry in history] == [3, 6, 7]
    assert {"V", "J", "D_x", "D_Gz"} <= history[0].metrics.keys()
    columns = history.to_dict()
    assert columns["update"] == [3, 6, 7]
    assert columns["V"] == [entry.metrics["V"] for entry in history]


@pytest.mark.parametrize("rule", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"])
def test_load_goes_on_bit_for_bit_with_any_optimizer(rule, tmp_path):
    rule = getattr(torch.optim, rule)
    whole = make(rule, dropout=0.5)
    advnets.fit(whole, X, steps=11)
    folder = tmp_path / "mine"
    advnets.fit(make(rule, dropout=0.5), X, steps=5, folder=folder)
    torch.manual_seed(99)
    game = advnets.load(folder, into=make(rule, dropout=0.5))
    advnets.fit(game, X, steps=6, folder=folder)
    same(game, whole)
    again = advnets.load(folder, into=make(rule, dropout=0.5))
    same(again, whole)


def test_what_does_not_step_by_the_update_alone_is_refused_as_a_scheduler():
    kinds = torch.optim.lr_scheduler
    game = make()
    for wrong, got in (
        (schedulers_of(game, kinds.ReduceLROnPlateau, mode="min"), "ReduceLROnPlateau"),
        (["cosine"], "str"),
    ):
        with pytest.raises(errors.BadValue, match=f"'schedulers' must be torch's, .*, got {got}"):
            advnets.fit(game, X, steps=6, schedulers=wrong)
    short = schedulers_of(game, kinds.OneCycleLR, max_lr=1e-3, total_steps=4)
    with pytest.raises(errors.BadValue, match="'schedulers' must be as long as the training"):
        advnets.fit(game, X, steps=6, schedulers=short)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.lr_scheduler.StepLR, {"step_size": 4, "gamma": 0.5}),
        (torch.optim.lr_scheduler.MultiStepLR, {"milestones": [3, 8], "gamma": 0.5}),
        (torch.optim.lr_scheduler.CosineAnnealingLR, {"T_max": 20}),
        (torch.optim.lr_scheduler.LambdaLR, {"lr_lambda": lambda i: 0.9**i}),
        (torch.optim.lr_scheduler.OneCycleLR, {"max_lr": 0.1, "total_steps": 20}),
        (torch.optim.lr_scheduler.CyclicLR, {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3}),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else "",
)
def test_a_torch_scheduler_is_stepped_saved_and_resumed(kind, settings, tmp_path):
    whole = make()
    advnets.fit(whole, X, steps=11, schedulers=schedulers_of(whole, kind, **settings))
    first = make()
    advnets.fit(
        first, X, steps=5, folder=tmp_path / "a", schedulers=schedulers_of(first, kind, **settings)
    )
    game = make()
    ours = schedulers_of(game, kind, **settings)
    advnets.load(tmp_path / "a", into=game)
    with pytest.raises(errors.BadValue, match="schedulers"):
        advnets.fit(game, X, steps=6)
    advnets.fit(game, X, steps=6, folder=tmp_path / "a", schedulers=ours)
    same(game, whole)
    assert ours[0].last_epoch == 11


def test_a_scheduler_of_a_metric_is_refused():
    game = make()
    kind = torch.optim.lr_scheduler.ReduceLROnPlateau
    with pytest.raises(errors.BadValue, match=r"'schedulers' must be .* got ReduceLROnPlateau"):
        advnets.fit(game, X, steps=6, schedulers=schedulers_of(game, kind, factor=0.5))


def test_a_loader_gives_each_of_several_processes_its_rows():
    loader = DataLoader(TensorDataset(X, torch.arange(len(X))), batch_size=20, shuffle=True)
    whole = minibatches(loader, seed=3).of_step(4, 2)
    shares = [minibatches(loader, seed=3, ranks=Ranks(r, 2)).of_step(4, 2) for r in (0, 1)]
    for i, batch in enumerate(whole):
        assert torch.equal(torch.cat([share[i].x for share in shares]), batch.x)
        assert torch.equal(torch.cat([share[i].context for share in shares]), batch.context)
        assert {share[i].whole for share in shares} == {20}
    sampler = DistributedSampler(TensorDataset(X), num_replicas=2, rank=0)
    with pytest.raises(errors.BadValue, match="without a DistributedSampler"):
        minibatches(DataLoader(TensorDataset(X), 20, sampler=sampler), seed=0)


def test_a_callback_logs_and_stops(tmp_path):
    seen = []

    def callback(at):
        seen.append(at.update)
        assert isinstance(at.learner, advnets.Game)
        if at.update == 4:
            at.log(own=torch.tensor(2.0))
        if at.update == 6:
            at.stop()

    config = advnets.TrainerConfig(steps=50, log_every=2)
    history = advnets.fit(make(), X, config, callbacks=[callback], folder=tmp_path / "run")
    assert seen == [1, 2, 3, 4, 5, 6]
    assert history[1].metrics["own"] == 2.0
    assert math.isnan(history.to_dict()["own"][0])
    assert '"own": 2.0' in (tmp_path / "run" / "metrics.jsonl").read_text()
    assert advnets.load(tmp_path / "run", into=make()).updates == 6


def test_callbacks_leave_the_game_as_it_is():
    a, b = make(), make()
    advnets.fit(a, X, steps=4)
    advnets.fit(b, X, steps=4, callbacks=[lambda at: at.log(one=1.0)])
    same(a, b)


def test_a_callback_that_logs_nan_is_named():
    with pytest.raises(errors.Diverged, match="own"):
        advnets.fit(make(), X, steps=2, callbacks=[lambda at: at.log(own=math.nan)])


def test_bad_calls_of_fit_and_load_are_refused_by_name(tmp_path):
    with pytest.raises(errors.BadValue, match="steps"):
        advnets.fit(make(), X)
    with pytest.raises(errors.BadValue, match="steps"):
        advnets.fit(make(), X, advnets.TrainerConfig(steps=2), steps=3)
    advnets.fit(make(), X, steps=2, folder=tmp_path / "run")
    with pytest.raises(errors.BadFile):
        advnets.fit(make(), X, steps=2, folder=tmp_path / "run")
    with pytest.raises(errors.BadValue, match="into"):
        advnets.load(tmp_path / "run")


def test_samples_of_a_game():
    game = make()
    advnets.fit(game, X, steps=3)
    samples = game.sample(20, seed=3)
    assert torch.equal(samples, game.samplers()["raw"].sample(20, seed=3))
    assert torch.allclose(samples[5:], game.sample(15, seed=3, start=5))
    averaged = game.samplers()["averaged"].sample(20, seed=3)
    assert torch.equal(game.sample(20, seed=3, averaged=True), averaged)


def parzen(samples, x, sigma):
    d = ((x[:, None] - samples[None]).double() ** 2).sum(-1) / (-2 * sigma**2)
    norm = math.log(len(samples)) + x.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))
    return (d.logsumexp(1) - norm).mean().item()


def test_score_is_the_parzen_window_at_a_sigma_that_test_did_not_choose():
    samples, test, validation = X[:100], X[100:200], X[200:]
    given = advnets.score(samples, test.numpy(), sigma=0.3)
    assert given.mean == pytest.approx(parzen(samples, test, 0.3), abs=1e-4)
    chosen = advnets.score(samples, test, validation=validation)
    best = max(advnets.evaluation.parzen.SIGMAS, key=lambda s: parzen(samples, validation, s))
    assert (chosen.n, chosen.sigma) == (100, best)
    assert advnets.score(samples, test).n == 90
    with pytest.raises(errors.BadValue, match="sigma"):
        advnets.score(samples, test, validation=validation, sigma=0.3)


def test_metrics_of_two_arrays():
    report = advnets.metrics(X[:150], X[150:].numpy())
    wanted = {"frechet", "kernel", "precision", "recall", "density", "coverage", "pairwise"}
    assert set(report) == wanted
    far = advnets.metrics(X[:150] + 5, X[150:])
    assert far["frechet"].value == pytest.approx(50, rel=0.1) and far["recall"].value == 0
    first = advnets.metrics(
        X[:150] + torch.tensor([0.0, 5.0]), X[150:], features=lambda x: x[:, :1]
    )
    assert first["frechet"].value < 0.5
    assert "recall" in str(report) and "n = 150" in str(report)
    with pytest.raises(errors.BadValue, match="samples"):
        advnets.metrics(X[:, :1], X)


def test_networks_need_no_problem():
    G = advnets.Generator(z_dim=10, event_shape=(1, 4, 4), hidden=(12, 12))
    D = advnets.Discriminator(event_shape=(1, 4, 4), units=(6,), pieces=2)
    x = G(torch.zeros(3, 10))
    assert x.shape == (3, 1, 4, 4) and D(x).shape == (3, 1)
    twin = advnets.Generator(z_dim=10, event_shape=(1, 4, 4), hidden=(12, 12))
    assert all(torch.equal(a, b) for a, b in zip(G.parameters(), twin.parameters(), strict=True))


def test_dir_shows_what_users_import():
    names = {name for name in dir(advnets) if not name.startswith("_")}
    assert names == set(advnets.__all__)
    modules = {n for n in names if isinstance(getattr(advnets, n), types.ModuleType)}
    assert modules == {"data", "errors", "theory"}
    assert len(names) <= 75


def test_every_exception_is_importable_from_errors():
    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    for cls in [errors.UserError, *below(errors.UserError)]:
        if cls.__module__.startswith("advnets"):
            assert getattr(errors, cls.__name__) is cls


def test_defaults_of_game_and_its_config_agree_or_are_explained():
    own = {n: p.default for n, p in inspect.signature(advnets.Game.__init__).parameters.items()}
    config = advnets.GameConfig()
    shared = own.keys() & vars(config).keys()
    differ = {n for n in shared if own[n] is not inspect.Parameter.empty}
    differ = {n for n in differ if own[n] != getattr(config, n)}
    for name in differ - {"context"}:
        assert f"`{name}`" in advnets.Game.__doc__.split("Defaults that differ")[1], name


def test_numpy_integers_are_scored_as_numbers():
    bits = np.arange(40).reshape(20, 2) % 2
    assert math.isfinite(advnets.score(bits, bits, sigma=0.5).mean)


BYTES = torch.randint(
    0, 256, (60, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
SCALED = r"'data' must be scaled to about \[0, 1\] or \[-1, 1\] \(x / 255\), got bytes \(uint8\) up to 25\d\."
LOADER = DataLoader(TensorDataset(X), batch_size=30)


class Sigmoid(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 1)

    def forward(self, x):
        return torch.sigmoid(self.inner(x)).squeeze(1)


def with_networks(G, D):
    rules = {
        f"{n}_optimizer": torch.optim.Adam(net.parameters()) for n, net in (("G", G), ("D", D))
    }
    return advnets.Game(G, D, prior=advnets.Gaussian(3), **rules)


def decoded(z):
    return make().samplers()["raw"].decode(z)


MISTAKES = {
    "bytes": (lambda: advnets.fit(make(), BYTES, steps=1), SCALED),
    "an array of bytes": (lambda: advnets.fit(make(), BYTES.numpy(), steps=1), SCALED),
    "a set of bytes": (lambda: advnets.fit(make(), TensorDataset(BYTES), steps=1), SCALED),
    "a loader of bytes": (
        lambda: advnets.fit(make(), DataLoader(TensorDataset(BYTES), batch_size=30), steps=1),
        SCALED,
    ),
    "a sigmoid layer": (
        lambda: with_networks(nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())),
        r"'D\(x\)' must be a logit: leave out what squashes it at D's end, got Sigmoid\.",
    ),
    "a sigmoid in forward": (
        lambda: with_networks(nn.Linear(3, 2), Sigmoid()),
        r"'D\(x\)' must be a logit: leave out what squashes it at D's end, got Sigmoid\.",
    ),
    "a G of another z": (
        lambda: with_networks(nn.Linear(4, 2), nn.Linear(2, 1)),
        r"'G' must be one that takes z of shape \(2, 3\), .* first Linear takes 4, got RuntimeError: .*",
    ),
    "a D of another shape": (
        lambda: with_networks(nn.Linear(3, 2), nn.Linear(5, 1)),
        r"'D' must be one that takes G's samples, of shape \(2, 2\), got RuntimeError: .*",
    ),
    "data of another shape": (
        lambda: advnets.fit(make(), torch.zeros(50, 4), steps=1),
        r"'x' must be of shape \(m, 2\), as G\(z\) is, got shape \(50, 4\)\.",
    ),
    "an array of z": (
        lambda: decoded(np.zeros((4, 3))),
        r"'z' must be a tensor \(torch\.from_numpy makes one of an array\), got a ndarray\.",
    ),
    "a loader of z": (lambda: decoded(LOADER), r"'z' must be a tensor .*, got a DataLoader\."),
    "z of another size": (
        lambda: decoded(torch.zeros(4, 5)),
        r"'z' must be of shape \(n, 3\), got shape \(4, 5\)\.",
    ),
    "one z": (lambda: decoded(torch.zeros(3)), r"'z' must be of shape \(n, 3\), got shape \(3\)\."),
    "arrays of logits": (
        lambda: advnets.value(np.zeros(3), np.zeros(3)),
        r"'D_x' must be a tensor of logits \(.*\), got a ndarray\.",
    ),
    "a loader to score": (
        lambda: advnets.score(X, LOADER),
        r"'test' must be a tensor or array of numbers, got a DataLoader \(torch.cat.*\)\.",
    ),
    "a loader to measure": (
        lambda: advnets.metrics(LOADER, X),
        r"'samples' must be a tensor or array of numbers, got a DataLoader \(torch.cat.*\)\.",
    ),
    "a list to train on": (
        lambda: advnets.fit(make(), [[1.0, 2.0]], steps=1),
        r"'data' must be Batches, a tensor or array .*; here torch\.tensor\(x\), got a list\.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_with_the_library_is_one_line(mistake):
    call, words = MISTAKES[mistake]
    with pytest.raises(errors.BadValue) as raised:
        call()
    assert re.fullmatch(words, str(raised.value)), raised.value
    assert len(str(raised.value)) <= 200
    assert "\n" not in str(raised.value)


def test_bytes_of_nothing_but_0_and_1_are_trained_on():
    assert advnets.fit(make(), BYTES % 2, steps=1) is not None

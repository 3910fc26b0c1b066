"""The monitor: what it warns of, once, and where it is silent."""

import json
from dataclasses import replace

import pytest
import torch

import advnets
from advnets.base.progress import Silent
from advnets.data import RingConfig
from advnets.networks import DiscriminatorConfig
from advnets.optim.schedules import OptimizerConfig
from advnets.runs import run_config, train
from advnets.training.monitor import FORMERLY, Monitor, spread
from conftest import small_config, small_run


def lines(D, *, every=100, spreads=()):
    """A log: pairs (D(x), D(G(z))) every so many updates, then pictures every 1,000."""
    logged = [{"update": every * (i + 1), "D_x": x, "D_Gz": g} for i, (x, g) in enumerate(D)]
    return logged + [{"update": 1_000 * (i + 1), "spread": s} for i, s in enumerate(spreads)]


def logits(inside, D, *, every=100):
    """The same with the share of D's logits in [0, 1]."""
    return [{**line, "inside": inside} for line in lines(D, every=every)]


FAILURES = {
    "bounded logits": logits(1.0, [(0.68, 0.55)] * 25),
    "D dominates": lines([(0.7, 0.3)] * 30 + [(0.99, 0.001)] * 25),
    "D at chance": lines([(0.501, 0.499)] * 30),
    "oscillation": lines([(0.7, 0.05), (0.7, 0.5), (0.4, 0.95)] * 20),
    "mode collapse": lines([(0.6, 0.4)] * 30, spreads=[1.0, 0.9, 0.7, 0.3, 0.2, 0.1, 0.1]),
}
HEALTHY = {
    "one logit in a thousand outside": logits(0.999, [(0.68, 0.55)] * 50),
    "logits just above 0": logits(1.0, [(0.51, 0.52)] * 50),
    "logits inside for a while": logits(1.0, [(0.7, 0.5)] * 19) + lines([(0.7, 0.5)] * 20),
    "a game that goes well": lines(
        [(0.9, 0.1)] * 20 + [(0.6, 0.4)] * 50, spreads=[0.3, 0.5, 0.9, 1.0]
    ),
    "D ahead, but not sure": lines([(0.93, 0.04)] * 200),
    "a few updates of a D that is sure": lines(
        [(0.7, 0.3)] * 20 + [(0.99, 0.001)] * 7 + [(0.8, 0.2)] * 30
    ),
    "at 1/2 in the end": lines([(0.9, 0.1)] * 10 + [(0.5, 0.5)] * 100),
    "one swing": lines([(0.9, 0.1)] * 30 + [(0.3, 0.9)] * 30),
    "a short run": lines([(0.99, 0.001)] * 9),
    "much logged in few updates": lines([(0.99, 0.001)] * 900, every=1),
    "samples alike at first": lines([(0.8, 0.2)] * 30, spreads=[0.1, 0.2, 0.6, 0.7, 0.9]),
    "nothing to do with a game": [{"update": 100 * i, "loss": 1.0} for i in range(50)],
}


def names(log, objective="non-saturating"):
    monitor = Monitor(objective)
    return [warned.name for record in log for warned in monitor.read(record)]


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_is_named_once(failure):
    assert names(FAILURES[failure]) == [failure]
    assert names(
        FAILURES[failure] + [{**r, "update": r["update"] + 6_000} for r in FAILURES[failure]]
    ) == [failure]


@pytest.mark.parametrize("case", HEALTHY)
def test_it_is_silent_while_all_is_well(case):
    assert names(HEALTHY[case]) == []


@pytest.mark.parametrize("objective", ["least-squares", "hinge", "relativistic"])
def test_logits_may_lie_in_0_1_under_a_loss_that_wants_them_there(objective):
    assert names(FAILURES["bounded logits"], objective) == []


class Squashing(torch.nn.Sequential):
    """A D that ends in a sigmoid written by hand, which no look at its graph tells."""

    def forward(self, x):
        return (1 + torch.tanh(super().forward(x))) / 2


@pytest.mark.parametrize("kind", [Squashing, torch.nn.Sequential])
def test_a_game_whose_D_squashes_is_told_so_and_no_other(kind, rng):
    torch.manual_seed(0)
    G = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    D = kind(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    rules = [torch.optim.Adam(network.parameters(), 1e-3) for network in (G, D)]
    game = advnets.Game(G, D, prior=advnets.Gaussian(2), G_optimizer=rules[0], D_optimizer=rules[1])
    log = []
    for update in range(1, 1_101):
        x = 3 + torch.randn(32, 2, generator=rng)
        info = game.step((advnets.Batch(x),), rng=rng)
        if update % 50 == 0:
            seen = {**info, **game.diagnostics()}
            log.append({"update": update} | {name: t.item() for name, t in seen.items()})
    said = names(log)
    assert ("bounded logits" in said) == (kind is Squashing)
    monitor = Monitor()
    for record in log:
        for warned in monitor.read(record):
            assert (
                warned.name != "bounded logits"
                or "let D return the logit, before the sigmoid" in (warned.sentence)
            )


@pytest.mark.parametrize("every", [1, 100, 250])
def test_it_speaks_after_20_values_and_1000_updates_whatever_the_log(every):
    monitor = Monitor()
    said = [r["update"] for r in lines([(0.99, 0.001)] * 1_100, every=every) if monitor.read(r)]
    assert said == [max(1_000, 20 * every)]


def test_what_is_said_of_g_depends_on_its_objective():
    def sentence(objective):
        monitor = Monitor(objective)
        (warned,) = [w for r in FAILURES["D dominates"] for w in monitor.read(r)]
        return warned.sentence

    assert "gradient then vanishes" in sentence("minimax")
    assert "still has a gradient" in sentence("non-saturating")


@pytest.mark.parametrize(
    ("failure", "logged"),
    [(name, name) for name in FAILURES]
    + [(new, old) for old, new in FORMERLY.items()],  # logs of older versions
)
def test_what_was_warned_of_before_is_not_said_again(failure, logged):
    monitor = Monitor()
    monitor.read({"update": 1, "warning": logged, "sentence": "..."})
    assert not any(monitor.read(r) for r in FAILURES[failure])


def test_the_names_of_old_logs_are_those_that_they_have():
    assert FORMERLY.keys() == {"D has won", "D squashed", "collapse"}
    assert {*FORMERLY.values()} <= FAILURES.keys()


def test_a_monitor_that_read_half_a_log_before_goes_on_as_one_that_read_it_all():
    log = FAILURES["D dominates"]
    for cut in range(len(log)):
        first, second = Monitor(), Monitor()
        said = [w for r in log[:cut] for w in first.read(r)]
        for r in log[:cut]:
            second.read(r)
        assert said + [w for r in log[cut:] for w in second.read(r)] == [
            w for m in [Monitor()] for r in log for w in m.read(r)
        ]


def test_spread_is_the_ratio_of_mean_distances():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])
    assert spread(x, 2 * x) == pytest.approx(0.5)
    assert spread(torch.zeros(3, 2), x) == 0
    assert spread(x, torch.zeros(3, 2)) == 1
    pairs = [(x[i] - x[j]).norm() for i in range(3) for j in range(i)]
    assert spread(x, torch.eye(2)) == pytest.approx((sum(pairs) / 3 / 2**0.5).item())


def rule(lr, **settings):
    return OptimizerConfig(optimizer="adam", lr=lr, **settings)


PLAIN = DiscriminatorConfig(
    units=(16,), pieces=3, irange=0.5, dropout_input=0.0, dropout_hidden=0.0
)
MADE_TO_FAIL = {
    "D dominates": {
        "steps": 1_000,
        "D": PLAIN,
        "G_optimizer": rule(1e-6),
        "D_optimizer": rule(1e-2),
    },
    "D at chance": {
        "steps": 1_000,
        "D": DiscriminatorConfig(units=(6,), pieces=3),
        "D_optimizer": rule(1e-9),
    },
    "oscillation": {
        "steps": 2_000,
        "order": "alternating",
        "D": PLAIN,
        "G_optimizer": rule(0.2, beta1=0.95),
        "D_optimizer": rule(0.05, beta1=0.95),
    },
    "mode collapse": {"steps": 2_800, "G_optimizer": rule(1e-2), "D_optimizer": rule(1e-6)},
}


def warnings_of(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [r["warning"] for r in map(json.loads, lines) if "warning" in r]


def play(folder, steps, *, warn=True, **model):
    loop = advnets.TrainerConfig(
        steps=steps, log_every=50, score_every=0, sample_every=250, checkpoint_every=0, warn=warn
    )
    data = RingConfig(examples=2_000)
    heard = Heard()
    config = small_run(model=small_config(**model), trainer=loop, data=data)
    assert advnets.train(config, folder, display=heard)
    return heard.said


class Heard(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.mark.parametrize("failure", MADE_TO_FAIL)
def test_a_run_made_to_fail_says_so_once_and_keeps_it(failure, tmp_path):
    said = play(tmp_path / "run", **MADE_TO_FAIL[failure])
    assert failure in warnings_of(tmp_path / "run")
    assert len([line for line in said if line.startswith("Warning: ")]) == len(
        warnings_of(tmp_path / "run")
    )


def test_an_option_turns_it_off(tmp_path):
    said = play(tmp_path / "run", **MADE_TO_FAIL["D at chance"], warn=False)
    assert warnings_of(tmp_path / "run") == []
    assert not any("Warning" in line for line in said)


def test_a_resumed_run_does_not_warn_twice(tmp_path):
    play(tmp_path / "run", **MADE_TO_FAIL["D at chance"])
    longer = run_config.config_of(tmp_path / "run")
    longer = replace(longer, trainer=replace(longer.trainer, steps=1_200))
    assert train.resume(tmp_path / "run", longer)
    assert warnings_of(tmp_path / "run") == ["D at chance"]

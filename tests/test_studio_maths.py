"""The game of the page, played by node, beside the library's in float64: the same numbers."""

import json
import os
import shutil
import subprocess
from itertools import product

import numpy as np
import pytest
import torch

import advnets
from advnets.game.r1 import R1
from advnets.networks import Discriminator, Generator
from advnets.optim.momentum import Momentum
from advnets.studio import runs, weights
from advnets.theory.divergences import JSD
from advnets.theory.optimum import D_star
from conftest import ROOT

STATIC = ROOT / "src" / "advnets" / "studio" / "static"
STEPS, M, Z, X = 100, 8, 2, 2
OBJECTIVES = "minimax", "non-saturating", "least-squares", "relativistic"
ORDERS = "alternating", "simultaneous"
RULES = "momentum", "adam"
CASES = [
    pytest.param(case, id="-".join(map(str, case)))
    for case in [
        *product(OBJECTIVES, ORDERS, RULES, [1], [0.0]),
        *product(OBJECTIVES[:1], ORDERS, RULES[:1], [3], [0.0]),
        *product(OBJECTIVES[1::2], ORDERS, RULES, [1], [0.5]),
    ]
]


@pytest.fixture(scope="session")
def node():
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI") and not os.environ.get("ADVNETS_NO_BROWSER"):
            pytest.fail("CI must have node")
        pytest.skip("no node")
    return found


def ran(node, script, *words):
    command = [node, str(ROOT / "tests" / "studio" / script), str(STATIC), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Recording:
    """A prior that remembers what it drew, in float64."""

    def __init__(self, dim):
        self.dim, self.drawn = dim, []

    def sample(self, n, *, rng):
        z = torch.randn(n, self.dim, generator=rng, dtype=torch.float64)
        self.drawn.append(z)
        return z


def theta(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()]).tolist()


def networks(relu):
    weights = torch.Generator().manual_seed(1)
    G = Generator(
        z_dim=Z, event_shape=(X,), hidden=(7, 5), output="linear", irange=0.6, rng=weights
    )
    G_layers = [(Z, 7, "relu", 1), (7, 5, "relu", 1), (5, X, "linear", 1)]
    if relu:
        torch.manual_seed(2)
        D = torch.nn.Sequential(torch.nn.Linear(X, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
        D_layers = [(X, 6, "relu", 1), (6, 1, "linear", 1)]
    else:
        sizes = {"units": (6, 4), "pieces": 3, "irange": 0.6}
        D = Discriminator(
            event_shape=(X,), dropout_input=0.0, dropout_hidden=0.0, rng=weights, **sizes
        )
        D_layers = [(X, 6, "maxout", 3), (6, 4, "maxout", 3), (4, 1, "linear", 1)]
    names = ("inputs", "units", "unit", "pieces")
    return (
        G.double(),
        D.double(),
        *(
            [dict(zip(names, layer, strict=True)) for layer in layers]
            for layers in (G_layers, D_layers)
        ),
    )


def pair(case):
    """The library's game, and the description that the page's is made from."""
    objective, order, rule, k, r1 = case
    G, D, G_layers, D_layers = networks(relu=rule == "adam")
    rates = {"G": 0.02, "D": 0.05} if rule == "momentum" else {"G": 2e-3, "D": 5e-3}
    kind = Momentum if rule == "momentum" else torch.optim.Adam
    optimizers = {
        f"{n}_optimizer": kind(net.parameters(), lr=rates[n]) for n, net in (("G", G), ("D", D))
    }
    game = advnets.Game(
        G,
        D,
        prior=Recording(Z),
        objective=objective,
        order=order,
        k=k,
        terms=[R1(r1)] if r1 else (),
        **optimizers,
    )
    rules = {f"{n}_rule": {"name": rule, "lr": rates[n], "momentum": 0.5} for n in rates}
    told = {
        "G": {"layers": G_layers, "theta": theta(G)},
        "D": {"layers": D_layers, "theta": theta(D)},
        "settings": {"objective": objective, "order": order, "r1": r1, **rules},
        "steps": [],
    }
    return game, told


def played(game, told, k):
    rng, infos = torch.Generator().manual_seed(3), []
    for _ in range(STEPS):
        game.prior.drawn.clear()
        xs = [torch.randn(M, X, generator=rng, dtype=torch.float64) + 1 for _ in range(k)]
        infos.append(
            {n: v.item() for n, v in game.step(tuple(map(advnets.Batch, xs)), rng=rng).items()}
        )
        told["steps"].append(
            {
                "xs": [x.flatten().tolist() for x in xs],
                "zs": [z.flatten().tolist() for z in game.prior.drawn],
            }
        )
    return infos


@pytest.fixture(scope="module")
def both(node, tmp_path_factory):
    """Each case played by the library, then all of them by node."""
    library, told = {}, []
    for param in CASES:
        (case,) = param.values
        game, description = pair(case)
        library[case] = game, played(game, description, case[3])
        told.append(description)
    file = tmp_path_factory.mktemp("parity") / "games.json"
    file.write_text(json.dumps(told))
    return {
        case: (*library[case], page)
        for case, page in zip(library, ran(node, "parity.mjs", file), strict=True)
    }


@pytest.mark.parametrize("case", CASES)
def test_a_hundred_steps_of_the_page_are_those_of_the_library(both, case):
    game, infos, page = both[case]
    for name, network in (("G", game.G), ("D", game.D)):
        own, theirs = (torch.tensor(v, dtype=torch.float64) for v in (theta(network), page[name]))
        assert (own - theirs).abs().max() < 1e-9, name
    for own, theirs in zip(infos, page["seen"], strict=True):
        for name in ("V", "J", "D_x", "D_Gz"):
            assert abs(own[name] - theirs[name]) < 1e-9


def test_the_games_moved(both):
    """That two games agree says something only where their weights went somewhere."""
    ends = {case: tuple(page["G"]) for case, (*_, page) in both.items()}
    assert len(set(ends.values())) == len(CASES)
    for case, (game, _, _) in both.items():
        start = networks(relu=case[2] == "adam")[0]
        assert max(abs(a - b) for a, b in zip(theta(start), theta(game.G), strict=True)) > 1e-2


# A session


@pytest.fixture(scope="module")
def session(node):
    return ran(node, "session.mjs")


def test_slow_motion_plays_the_same_round_line_by_line(session):
    assert all(case["same"] for case in session["lines"].values())
    assert session["lines"]["alternating-1"]["kinds"] == ["zD", "x", "D", "zG", "G"]
    assert session["lines"]["alternating-3"]["kinds"] == ["zD", "x", "D"] * 3 + ["zG", "G"]
    assert session["lines"]["simultaneous-1"]["kinds"] == ["zD", "x", "both"]


def test_every_moment_is_gone_back_to_bit_for_bit(session):
    assert session["back"] == [True] * 6
    assert session["branched"]
    assert session["branch"] == "r120"
    assert session["seeds"] == 4


def test_the_past_takes_no_more_memory_with_time(session):
    assert 40 < session["frames"] <= 161


def test_the_url_holds_the_whole_state_and_survives_nonsense(session):
    assert session["fragment"]["back"].split("&") == sorted(
        session["fragment"]["given"].split("&"), key=session["fragment"]["back"].split("&").index
    )
    assert session["bad"] in ("k=10")


def test_pasted_text_is_answered_in_one_sentence(session):
    said = session["csv"]
    assert "got 'cat'" in said["words"]
    assert "got 3" in said["wide"]
    assert "got 'Infinity'" in said["infinite"]
    assert "at least one row" in said["empty"]
    assert "must have 2 numbers" in said["mixed"]
    assert said["one"].startswith("3 points,")
    assert "1,000 points of 50,000" in said["many"]


def test_the_engine_plays_pauses_and_answers_nonsense(session):
    assert {*session["engine"]["kinds"]} == {"frame", "seen", "problem"}
    assert session["engine"]["t"] > 5
    assert not session["engine"]["playing"]
    assert not session["finite"]


def test_each_failure_shows_what_the_monitor_names_and_the_mend_helps(session):
    assert session["failures"] == [["mode collapse"], ["D dominates"], ["mode collapse"]]
    assert session["mended"] == []


# Section 4 on the page


@pytest.fixture(scope="module")
def theory(node, tmp_path_factory):
    p, q = [0.2, 0.3, 0.5, 0.0], [0.1, 0.0, 0.4, 0.5]
    given = {
        "x": [i / 8 for i in range(-56, 57)],
        "u": [1e-6, 0.01, 0.3, 0.5, 0.9, 0.999999],
        "p": p,
        "q": q,
    }
    file = tmp_path_factory.mktemp("theory") / "given.json"
    file.write_text(json.dumps(given))
    return given, json.loads(json.dumps(ran(node, "theory.mjs", file)))


def test_special_functions_are_those_of_torch(theory):
    given, page = theory
    x, u = (torch.tensor(given[name], dtype=torch.float64) for name in "xu")
    assert (torch.erf(x) - torch.tensor(page["erf"], dtype=torch.float64)).abs().max() < 1e-13
    assert (
        torch.special.ndtri(u) - torch.tensor(page["quantile"], dtype=torch.float64)
    ).abs().max() < 1e-9


def test_the_best_D_and_the_divergence_are_those_of_the_library(theory):
    given, page = theory
    p, q = (torch.tensor(given[name], dtype=torch.float64) for name in "pq")
    assert torch.allclose(D_star(p, q), torch.tensor(page["best"], dtype=torch.float64), atol=1e-15)
    assert page["jsd"] == pytest.approx(JSD(p, q).item(), abs=1e-14)


def test_p_data_in_cells_is_the_integral_of_its_density(theory):
    for name, told in theory[1]["sets"].items():
        d, half, n = told["dim"], told["half"], told["n"]
        means = torch.tensor(told["means"], dtype=torch.float64).view(-1, d)
        std, weight = (torch.tensor(told[key], dtype=torch.float64) for key in ("std", "weight"))
        edges = torch.linspace(-half, half, n + 1, dtype=torch.float64)
        below = torch.special.ndtr((edges[:, None, None] - means.T) / std)
        along = (below[1:] - below[:-1]) * 1.0
        rows = along[:, 0] if d == 1 else (along[:, 1, None] * along[None, :, 0]).flatten(0, 1)
        table = torch.tensor(told["table"], dtype=torch.float64)
        assert (table - rows @ weight).abs().max() < 1e-13, name
        assert 0.98 < table.sum() <= 1 + 1e-12, name


def test_a_perfect_sampler_stands_at_the_floor_and_p_data_at_zero(theory):
    for name, told in theory[1]["sets"].items():
        assert told["to_itself"] == pytest.approx(0, abs=1e-12)
        inside = sum(mass > 1e-3 for mass in told["table"])  # 8 n JSD is about chi-squared in them
        assert told["to_samples"] == pytest.approx(told["floor"], rel=4 * (2 / inside) ** 0.5), name
        if told["covered"] is not None:
            assert told["covered"]["covered"] == told["covered"]["of"], name


def test_p_g_on_the_line_is_pushed_forward_exactly(theory):
    edges = torch.linspace(-2, 2, 65, dtype=torch.float64)
    below = torch.special.ndtr((edges - 0.25) / 0.5)
    assert (
        torch.tensor(theory[1]["pushed"], dtype=torch.float64) - (below[1:] - below[:-1])
    ).abs().max() < 1e-4


def test_priors_have_the_moments_of_the_library(theory):
    for x in theory[1]["draws"].values():
        x = torch.tensor(x, dtype=torch.float64)
        assert abs(x.mean()) < 4 / len(x) ** 0.5
        assert abs(x.var() - 1) < 0.05
    assert max(map(abs, theory[1]["draws"]["uniform"])) < 3**0.5
    assert all(abs(norm - 1) < 1e-12 for norm in theory[1]["norms"])


# G of a run


@pytest.fixture(scope="module")
def generators(node, tmp_path_factory):
    rng = torch.Generator().manual_seed(0)
    G = Generator(
        z_dim=5,
        event_shape=(1, 6, 4),
        hidden=(300, 280),
        irange=0.1,
        units=("relu", "sigmoid"),
        rng=rng,
    )
    z, rows = torch.randn(9, 5, generator=rng), torch.randn(2_000, 5, generator=rng)
    formats, own = {}, {}
    for how in ("float32", "float16", "int8"):
        layers, arrived = weights.packed(G, how, rows)
        formats[how] = {"layers": layers, "z": runs.floats(z)}
        own[how] = arrived(z).detach().flatten()
    file = tmp_path_factory.mktemp("weights") / "given.json"
    halves = [0, 1, 0x3C00, 0xBC00, 0x7BFF, 0x0400, 0x03FF, 0x3555]
    file.write_text(json.dumps({"formats": formats, "halves": halves}))
    return G(z).detach().flatten(), own, halves, ran(node, "generator.mjs", file)


@pytest.mark.parametrize(("how", "most"), [("float32", 1e-5), ("float16", 1e-3), ("int8", 2 / 255)])
def test_samples_of_the_page_are_those_of_torch(generators, how, most):
    exact, own, _, page = generators
    x = torch.tensor(page["x"][how])
    assert (x - own[how]).abs().max() < 1e-5  # the same weights: the same samples
    assert 0 < (x - exact).abs().max() < most


def test_halves_and_nearest_rows_and_paths_through_z(generators):
    *_, halves, page = generators
    as_numpy = np.array(halves, dtype=np.uint16).view(np.float16).astype(float)
    assert page["halves"] == as_numpy.tolist()
    assert page["nearest"]["row"] == 1
    assert page["nearest"]["distance"] == pytest.approx(0.1)
    assert page["line"] == [0, 2, 0.5, 1, 1, 0]
    assert page["sphere"][2:4] == pytest.approx([0.5**0.5] * 2)
    assert page["plane"][8:10] == [0, 0]
    assert page["plane"][10:12] == [1, 0]
    assert page["plane"][2:4] == [0, 1]
    assert page["round"] == [1.5, -2]


def test_a_field_has_its_first_row_at_the_bottom_and_a_stamp_is_cut_at_the_edge(node):
    made = ran(node, "pixels.mjs")
    low, right, paper, above = [1, 2, 3], [4, 5, 6], [9, 8, 7], [10, 11, 12]
    expected = [3 * [paper] + 3 * [above]] * 3 + [3 * [low] + 3 * [right]] * 2
    last = 3 * [low] + 2 * [right] + [[57, 58, 59]]  # half of 4 and 110
    assert made["rows"] == [*expected, last]
    assert made["opaque"]

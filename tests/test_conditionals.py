"""All conditionals: laws of completion on a Gaussian whose conditionals are known, and of masks."""

import copy
import dataclasses
import math
import re
from zipfile import ZipFile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import advnets
from advnets.base.distributed import Ranks
from advnets.base.errors import BadFile, BadValue, WrongMoment
from advnets.base.protocols import Batch, Problem
from advnets.cli import command
from advnets.cli.completion import erased, sheet
from advnets.data import given, masks
from advnets.data.masks import LAWS, Masks, mask_shape
from advnets.extensions import completion_baselines as baselines
from advnets.extensions.conditionals import (
    Conditionals,
    ConditionalsConfig,
    Filling,
    Masked,
    complete,
    shown,
)
from advnets.nn import dropout
from conftest import SMALL, small_run

PICTURE = (1, 6, 8)


# Masks


@pytest.mark.parametrize("law", LAWS)
def test_masks_are_zeros_and_ones_and_a_function_of_the_seed(law):
    draw = Masks((law,), PICTURE)
    first = draw.draw(50, rng=torch.Generator().manual_seed(1))
    again = draw.draw(50, rng=torch.Generator().manual_seed(1))
    other = draw.draw(50, rng=torch.Generator().manual_seed(2))
    assert first.shape == (50, *PICTURE) and {*first.unique().tolist()} <= {0.0, 1.0}
    assert torch.equal(first, again)
    assert law == "nothing" or not torch.equal(first, other)


def test_each_law_hides_what_it_says(rng):
    n, (_, height, width) = 4_000, PICTURE
    drawn = {law: Masks((law,), PICTURE).draw(n, rng=rng)[:, 0] for law in LAWS}
    assert not drawn["nothing"].any()
    rate = drawn["pixels"].mean(dim=(1, 2))
    assert abs(rate.mean() - 0.5) < 4 / math.sqrt(12 * n)
    assert 1 / 12 < rate.var() < 1 / 12 + 1 / (4 * height * width)  # of U(0, 1), and of counting
    assert torch.equal(drawn["halves"].mean(dim=(1, 2)), torch.full((n,), 0.5))
    quarters = drawn["quadrants"].unflatten(1, (2, -1)).unflatten(3, (2, -1)).mean(dim=(2, 4))
    assert ((quarters == 0) | (quarters == 1)).all()
    hidden = (quarters == 0).sum(dim=(1, 2))
    assert {*hidden.tolist()} == {1, 2, 3}
    for mask in drawn["rectangle"][:200]:
        inside = mask if mask[0, 0] == 0 or _is_box(mask) else 1 - mask
        assert _is_box(inside) or _is_box(1 - inside)
    assert (drawn["strokes"].mean(dim=(1, 2)) > 0.3).double().mean() > 0.9
    assert (drawn["strokes"] == 0).any(dim=2).any(dim=1).double().mean() > 0.9


def _is_box(mask):
    rows, columns = mask.any(dim=1), mask.any(dim=0)
    return torch.equal(mask.bool(), rows[:, None] & columns[None])


def test_a_mixture_draws_each_law_equally_often_and_own_masks_from_those_given(rng):
    own = torch.eye(4)[:2]
    drawn = Masks(("own", "own", "nothing"), (4,), own).draw(3_000, rng=rng)
    counts = torch.stack([(drawn == row).all(dim=1).sum() for row in (*own, torch.zeros(4))])
    assert counts.sum() == 3_000
    assert (counts - 1_000).abs().max() < 4 * math.sqrt(3_000 * 2 / 9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Masks((), (4,)), r"'masks' must be at least one law, got none\."),
        (lambda: Masks(("half",), PICTURE), r"Unknown masks 'half'\. Did you mean 'halves'"),
        (lambda: Masks(("halves",), (4,)), r"'masks' must be of pixels, nothing, own for examples that are no pictures, got halves"),
        (lambda: Masks(("own",), (4,)), r"'own' must be masks, for the law 'own', got nothing"),
        (lambda: Masks(("own",), (4,), torch.ones(2, 3)), r"'own' must be of shape \(n, 4\), got shape \(2, 3\)"),
        (lambda: Masks(("own",), (4,), torch.full((2, 4), 0.5)), r"'own' must be 1 where a number is seen and 0 where it is hidden, got 0\.5"),
        (lambda: ConditionalsConfig(own_masks="m.npy"), r"'own_masks' must be left out: no law is 'own', got m\.npy"),
        (lambda: ConditionalsConfig(masks=("own",)), r"'own_masks' must be the file of the law 'own', got none"),
        (lambda: ConditionalsConfig(context="labels"), r"'context' must be 'none' in a game of conditionals, got labels"),
    ],
)  # fmt: skip
def test_masks_that_cannot_be_drawn_are_refused(make, words):
    with pytest.raises(BadValue, match=words):
        make()


# The game


def double_game(order="alternating", pack=1):
    config = ConditionalsConfig(**SMALL, masks=("pixels", "nothing"), order=order, pack=pack)
    problem = Problem(
        event_shape=(3,), low=0.0, high=1.0, mean=torch.zeros(3), batches_per_epoch=5, steps=50
    )
    made = Conditionals.from_config(config, problem, seed=0)
    G, D = made.G.double(), made.D.double()
    game = Conditionals(
        G,
        D,
        prior=made.prior,
        G_optimizer=torch.optim.SGD(G.parameters(), 0.1),
        D_optimizer=torch.optim.SGD(D.parameters(), 0.1),
        order=order,
    )
    game.masks = made.masks
    return game


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_a_step_equals_the_slow_loop(order, rng):
    """Written out: every gradient by autograd, masks and z drawn in the same order."""
    game = double_game(order)
    G, D = copy.deepcopy(game.G.G), copy.deepcopy(game.D.D)
    m = 6
    ours, slow = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)

    def drawn(parts):
        z = game.prior.sample(m, rng=slow).double()
        of_D = [d.draw(parts * m, rng=slow) for d in dropout.stochastic(D)]
        return z, of_D, game.masks.draw(m, rng=slow).double()

    def judged(of_D, x, mask):
        dropout.set_masks(dropout.stochastic(D), of_D)
        return D(torch.cat((x, mask), dim=1)).flatten()

    def filled(z, x, mask):
        return mask * x + (1 - mask) * G(z, torch.cat((mask * x, mask), dim=1))

    for _ in range(3):
        x = torch.rand(m, 3, generator=rng).double()
        game.step((Batch(x),), rng=ours)
        z, of_D, mask = drawn(2)
        last = (z, of_D, mask) if order == "simultaneous" else drawn(1)
        x_g = filled(z, x, mask)
        a = judged(of_D, torch.cat((x, x_g)), torch.cat((mask, mask)))
        loss = F.softplus(-a[:m]).mean() + F.softplus(a[m:]).mean()
        of_D_weights = torch.autograd.grad(loss, list(D.parameters()), retain_graph=True)
        J = F.softplus(-a[m:]).mean()
        if order == "alternating":
            move(D, of_D_weights)
            z, of_D, mask = last
            J = F.softplus(-judged(of_D, filled(z, x, mask), mask)).mean()
        move(G, torch.autograd.grad(J, list(G.parameters())))
        if order == "simultaneous":
            move(D, of_D_weights)
    assert torch.equal(ours.get_state(), slow.get_state())
    for network, plain in ((game.G.G, G), (game.D.D, D)):
        for p, q in zip(network.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)


def move(network, gradient):
    with torch.no_grad():
        for p, g in zip(network.parameters(), gradient, strict=True):
            p -= 0.1 * g


def test_several_processes_share_the_masks_of_one(rng):
    x = torch.rand(8, 3, generator=rng).double()
    game = double_game()
    whole = game.told(Batch(x), rng=torch.Generator().manual_seed(5))
    parts = []
    for rank in range(2):
        game.ranks = Ranks(rank, 2)
        own = Batch(x[4 * rank : 4 * rank + 4], whole=8)
        parts.append(game.told(own, rng=torch.Generator().manual_seed(5)))
    for i in range(2):
        assert torch.equal(torch.cat([part[i] for part in parts]), whole[i])


def test_G_cannot_move_without_the_data_that_it_sees(rng):
    with pytest.raises(WrongMoment, match="'step_G' must be given the data"):
        double_game().step_G(4, rng=rng)


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """A finished run on pictures of 1 x 6 x 6, with masks of the user's own."""
    folder = tmp_path_factory.mktemp("own")
    r = np.random.default_rng(0)
    np.save(folder / "x.npy", r.integers(0, 256, (200, 6, 6), dtype=np.uint8))
    np.save(folder / "masks.npy", r.integers(0, 2, (5, 6, 6)))
    model = ConditionalsConfig(
        **(SMALL | {"G": advnets.GeneratorConfig(hidden=(7,))}),
        masks=("own", "halves"),
        own_masks=str(folder / "masks.npy"),
    )
    data = advnets.data.ArrayConfig(path=str(folder / "x.npy"))
    config = small_run(data=data, model=model, recipe="own")
    assert advnets.train(config, folder / "run")
    return folder, config


def test_a_stopped_run_goes_on_bit_for_bit_and_needs_no_masks_to_be_loaded(own_run, tmp_path):
    folder, config = own_run
    shorter = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, steps=20))
    advnets.train(shorter, tmp_path / "run")
    advnets.resume(tmp_path / "run", config)
    whole, again = (advnets.load(f, checkpoint="last") for f in (folder / "run", tmp_path / "run"))
    for name, t in whole.learner.state().items():
        assert torch.equal(t, again.learner.state()[name]), name
    moved = folder / "masks.npy"
    kept = moved.rename(folder / "elsewhere.npy")
    try:
        x = torch.rand(2, 1, 6, 6)
        found = advnets.load(folder / "run").complete(x, torch.ones(6, 6), n=2)
        assert torch.equal(found, x.expand(2, 2, 1, 6, 6))
    finally:
        kept.rename(moved)


def test_masks_of_another_shape_end_a_run_before_its_folder(own_run, tmp_path):
    np.save(tmp_path / "m.npy", np.ones((2, 5, 6)))
    _, config = own_run
    model = dataclasses.replace(config.model, own_masks=str(tmp_path / "m.npy"))
    with pytest.raises(BadValue, match=r"m\.npy' must be of shape \(n, 1, 6, 6\), got shape"):
        advnets.train(dataclasses.replace(config, model=model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_file_of_masks_names_the_option_that_gives_it(own_run, tmp_path):
    _, config = own_run
    model = dataclasses.replace(config.model, own_masks=str(tmp_path / "none.npy"))
    need = r"none\.npy: no such file; give a \.npy file of masks with --model\.own-masks\."
    with pytest.raises(BadFile, match=need):
        advnets.train(dataclasses.replace(config, model=model), tmp_path / "run")
    with pytest.raises(BadValue, match=r"'mask' must be of shape \(n, 3\), got shape \(\)"):
        shown(torch.zeros(2, 3), torch.tensor(1.0), (3,))


def test_scores_are_those_of_nothing_seen(own_run):
    run = advnets.load(own_run[0] / "run")
    game = run.learner
    z = run.sampler().latents(4, seed=1)
    with torch.no_grad():
        told = torch.zeros(4, 1, 6, 6), torch.zeros(4, 1, 6, 6)
        torch.testing.assert_close(game.G.eval()(z, *told), run.sample(4, seed=1))


# Completion

S = torch.tensor(
    [[1.0, 0.8, 0.3, 0.0], [0.8, 1.0, 0.5, 0.2], [0.3, 0.5, 1.0, -0.4], [0.0, 0.2, -0.4, 1.0]],
    dtype=torch.float64,
)


class Exact(nn.Module):
    """The conditional of N(0, S) itself: a draw y, moved by what is seen (Matheron's rule)."""

    def __init__(self):
        super().__init__()
        self.S = nn.Parameter(S.clone())

    def forward(self, z, c):
        x, m = c.chunk(2, dim=1)
        y = z @ torch.linalg.cholesky(self.S).T
        both = m[:, :, None] * self.S * m[:, None, :] + torch.diag_embed(1 - m)
        gain = torch.linalg.solve(both, (m * (x - y))[..., None])[..., 0]
        return y + gain @ self.S


def gaussian(n, seed=0):
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 4, generator=rng, dtype=torch.float64)
    return z @ torch.linalg.cholesky(S).T


def test_the_mean_of_k_completions_errs_by_v_times_one_and_one_over_k():
    n, hidden = 4_000, 1
    x = gaussian(n)
    mask = torch.ones(4)
    mask[hidden] = 0
    V = 1 / torch.linalg.inv(S)[hidden, hidden]
    found = complete(Filling(Exact(), (4,)), advnets.Gaussian(4), x, mask, n=32)
    for K in (1, 2, 4, 8, 16, 32):
        error = (found[:K].mean(dim=0) - x)[:, hidden].square()
        se = error.std() / math.sqrt(n)
        assert abs(error.mean() - V * (1 + 1 / K)) < 4 * se, K


def test_resampling_random_parts_over_and_over_leaves_the_law_as_it_is(rng):
    n = 4_000
    x, G = gaussian(n), Filling(Exact(), (4,))
    for sweep in range(20):
        mask = Masks(("pixels",), (4,)).draw(n, rng=rng)
        x = complete(G, advnets.Gaussian(4), x, mask, n=1, seed=sweep)[0]
    assert (x.mean(dim=0).abs() < 4 / math.sqrt(n)).all()
    products = x[:, :, None] * x[:, None, :]
    se = products.std(dim=0) / math.sqrt(n)
    assert ((products.mean(dim=0) - S).abs() < 4 * se).all()


def test_a_trained_G_draws_conditionals_and_not_their_mean():
    """On two correlated numbers: MSE_1 / MSE_inf is 2 of a sampler and 1 of a mean."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(8_000, 2, generator=rng)
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    torch.manual_seed(0)
    G = Filling(TwoInputs(2, 2), (2,))
    D = Masked(
        nn.Sequential(
            nn.Linear(4, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 1),
        )
    )
    rules = {
        f"{n}_optimizer": torch.optim.Adam(net.parameters(), lr=lr, betas=(0.0, 0.9))
        for n, net, lr in (("G", G, 5e-4), ("D", D, 1e-3))
    }
    game = Conditionals(G, D, prior=advnets.Gaussian(2), **rules)
    game.masks = Masks(("pixels",), (2,))
    schedulers = [
        torch.optim.lr_scheduler.CosineAnnealingLR(rule, 1_500) for rule in rules.values()
    ]
    batches = advnets.Batches(x, size=256, seed=0)
    advnets.fit(game, batches, steps=1_500, schedulers=schedulers)
    fresh = torch.randn(4_000, 2, generator=rng)
    fresh[:, 1] = 0.8 * fresh[:, 0] + 0.6 * fresh[:, 1]
    found = game.complete(fresh, torch.tensor([1.0, 0.0]), n=32, averaged=True)[..., 1]
    one = (found[0] - fresh[:, 1]).square().mean().item()
    many = (found.mean(dim=0) - fresh[:, 1]).square().mean().item()
    V = 0.36
    assert many == pytest.approx(V * (1 + 1 / 32), rel=0.15)
    assert one / many == pytest.approx(2 / (1 + 1 / 32), rel=0.15)


class TwoInputs(nn.Module):
    def __init__(self, z_dim, d):
        super().__init__()
        sizes = (z_dim + 2 * d, 64, 64, d)
        self.net = nn.Sequential(
            nn.Linear(sizes[0], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, d)
        )

    def forward(self, z, c):
        return self.net(torch.cat((z, c), dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_seen_stays_bit_for_bit(dtype, own_run, rng):
    x = torch.rand(7, 1, 6, 6, generator=rng, dtype=dtype)
    x[0, 0, 0, :4] = torch.tensor([-0.0, 1e-30, 1 / 3, 1.0], dtype=dtype)
    mask = Masks(("pixels",), (1, 6, 6)).draw(7, rng=rng)
    found = advnets.load(own_run[0] / "run").learner.complete(x, mask, n=3, seed=4)
    assert found.dtype == dtype and found.shape == (3, *x.shape)
    bits = torch.int32 if dtype == torch.float32 else torch.int64
    for completion in found:
        seen = mask.bool()
        assert torch.equal(completion[seen].view(bits), x[seen].view(bits))
        assert not torch.equal(completion[~seen], x[~seen])
    assert not torch.equal(found[0], found[1])


def test_completion_i_of_example_j_depends_on_the_seed_and_on_i_and_j(own_run, rng):
    game = advnets.load(own_run[0] / "run", checkpoint="last").learner
    x = torch.rand(5, 1, 6, 6, generator=rng)
    mask = Masks(("halves",), (1, 6, 6)).draw(5, rng=rng)
    whole = game.complete(x, mask, n=4, seed=2)
    torch.testing.assert_close(game.complete(x[:3], mask[:3], n=2, seed=2), whole[:2, :3])
    assert not torch.equal(game.complete(x, mask, n=4, seed=3), whole)
    assert not torch.equal(game.complete(x, mask, n=4, seed=2, averaged=True), whole)


def test_missing_numbers_are_what_is_nan():
    x = torch.tensor([[1.0, math.nan, 3.0], [math.nan, math.nan, 0.5]])
    seen, mask = shown(x, None, (3,))
    assert torch.equal(mask, torch.tensor([[True, False, True], [False, False, True]]))
    assert torch.equal(seen, torch.tensor([[1.0, 0.0, 3.0], [0.0, 0.0, 0.5]]))
    picture = torch.rand(2, 3, 4, 4)
    picture[0, 1, 2, 2] = math.nan  # one colour that is missing hides the pixel
    _, mask = shown(picture, None, (3, 4, 4))
    assert mask.shape == (2, 1, 4, 4) and mask.sum() == 31


@pytest.mark.parametrize(
    ("x", "mask", "words"),
    [
        (torch.zeros(2, 5), None, r"'x' must be of shape \(N, 3\), got shape \(2, 5\)"),
        (torch.zeros(0, 3), None, r"'x' must be of shape \(N, 3\), got shape \(0, 3\)"),
        (torch.zeros(2, 3), torch.ones(4), r"'mask' must be of shape \(n, 3\), got shape \(4"),
        (torch.zeros(2, 3), torch.ones(5, 3), r"'mask' must be of shape \(2, 3\), got shape \(5, 3"),
        (torch.zeros(2, 3), torch.full((3,), 2.0), r"'mask' must be 1 where .* got 2\."),
        (torch.full((2, 3), math.nan), torch.ones(3), r"'x' must be finite, .*row 0|'x'.* finite"),
        (torch.full((2, 3), math.inf), None, r"'x'.*finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_completed_is_refused(x, mask, words):
    with pytest.raises(BadValue, match=words):
        shown(x, mask, (3,))


def test_a_run_refuses_what_it_cannot_complete(own_run, points):
    run = advnets.load(own_run[0] / "run")
    with pytest.raises(BadValue, match=r"'n' must be a number that is at least 1, got 0\."):
        run.complete(torch.zeros(1, 1, 6, 6), n=0)
    with pytest.raises(BadValue, match=r"'x' must be in \[0, 1\], as the run's pictures, got 1\.5"):
        run.complete(torch.full((1, 1, 6, 6), 1.5))
    with pytest.raises(BadValue, match=r"'run' must be a run of conditionals .*, got a 'game'\."):
        advnets.load(points).complete(torch.zeros(1, 2))


# The command


def test_a_table_with_missing_numbers_is_trained_on_and_filled_in(tmp_path, capsys):
    r = np.random.default_rng(0)
    table = r.standard_normal((120, 3)).astype(np.float32)
    table[r.random(table.shape) < 0.1] = np.nan
    np.save(tmp_path / "table.npy", table)
    run, out = str(tmp_path / "run"), str(tmp_path / "full.npy")
    words = ["train", "table-imputation", "--data.path", str(tmp_path / "table.npy")]
    words += ["--folder", run, "--trainer.steps", "3", "--batch-size", "20"]
    assert command.main([*words, "--evaluation.samples", "20"]) == 0
    missing = np.isnan(table)
    left = missing.any(axis=1).sum()
    assert f"{left} of 120 rows have missing values and are left out." in capsys.readouterr().err
    assert (
        command.main(
            ["complete", run, "--images", str(tmp_path / "table.npy"), "--n", "4", "--out", out]
        )
        == 0
    )
    full = np.load(out)
    assert full.shape == (4, 120, 3) and np.isfinite(full).all()
    assert (full[:, ~missing] == table[~missing]).all()
    assert full[:, missing].std(axis=0).min() > 0
    assert command.main([*words, "--data.missing", "refuse", "--folder", str(tmp_path / "b")]) == 2
    assert not (tmp_path / "b").exists()


def test_erase_and_the_sheet():
    mask = erased("1,2,3,4", (1, 6, 8))
    assert mask.shape == (1, 6, 8) and (mask == 0).sum() == 12
    assert not mask[0, 2:6, 1:4].any()
    x = torch.rand(2, 1, 6, 8)
    assert sheet(x, mask, x.expand(3, *x.shape), span=(0, 1)).shape == (18, 62, 1)


@pytest.fixture
def pictures(tmp_path):
    """A folder with three pictures of 6 x 6, and one with a larger one."""
    r = np.random.default_rng(2)
    for name, side in (("right", 6), ("wide", 7)):
        (tmp_path / name).mkdir()
        for i in range(3):
            pixels = r.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "half.npy", np.full((6, 6), 0.5))
    np.save(tmp_path / "wide.npy", np.ones((6, 7)))
    np.save(tmp_path / "good.npy", np.tri(6))
    np.save(tmp_path / "many.npy", np.ones((2, 6, 6)))
    np.save(tmp_path / "point.npy", np.array(1.0))
    np.save(tmp_path / "all.npy", np.ones((6, 6)))
    return tmp_path


def test_the_command_writes_a_sheet_or_an_array(own_run, pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    run = str(own_run[0] / "run")
    words = ["complete", run, "--images", "right", "--n", "3", "--out"]
    assert command.main([*words, "a.png", "--erase", "1,1,3,2"]) == 0
    with Image.open("a.png") as picture:
        assert picture.size[0] > 6 * 6
    assert command.main([*words, "a.npy", "--mask", "good.npy"]) == 0
    found = np.load("a.npy")
    assert found.shape == (3, 3, 1, 6, 6)
    with Image.open("right/0.png") as picture:
        first = np.asarray(picture, dtype=np.float32) / np.float32(255)
    seen = np.tri(6, dtype=bool)
    assert (found[:, 0, 0][:, seen] == first[seen]).all()
    assert (found[:, 0, 0][:, ~seen] != first[~seen]).any()
    assert "3 completions each of 3 examples" in capsys.readouterr().out


def test_pictures_come_from_a_folder_a_zip_or_one_file(pictures):
    folder = given.read(pictures / "right", (1, 6, 6))
    with ZipFile(pictures / "right.zip", "w") as archive:
        for path in sorted((pictures / "right").iterdir(), reverse=True):
            archive.write(path, path.name)
    packed = given.read(pictures / "right.zip", (1, 6, 6))
    one = given.read(pictures / "right" / "1.png", (1, 6, 6))
    assert folder.names == packed.names == ("0.png", "1.png", "2.png")
    assert torch.equal(folder.x, packed.x) and torch.equal(folder.x[1:2], one.x)
    assert given.read(pictures / "wide", (1, 6, 6), resize=True).x.shape == (3, 1, 6, 6)
    assert given.read(pictures / "good.npy", (1, 6, 6)).x.shape == (1, 1, 6, 6)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--images right", r"'erase' must be given as x,y,w,h, or --mask FILE, got nothing"),
        ("--erase 1,1,2,2", r"'images' must be given: pictures, or a \.npy file, got nothing"),
        ("--images right --erase 1,1,2", r"'erase' must be x,y,w,h: a rectangle in 6 x 6 pixels, got 1,1,2\."),
        ("--images right --erase 4,1,3,2", r"'erase' must be x,y,w,h: a rectangle in 6 x 6 pixels, got 4,1,3,2"),
        ("--images right --erase 1,1,0,2", r"'erase' must be x,y,w,h: .*, got 1,1,0,2"),
        ("--images right --erase 1,1,2,2 --mask good.npy", r"'mask' must be given without --erase, got good\.npy"),
        ("--images right --erase 1,1,2,2 --n 0", r"'n' must be a number that is at least 1, got 0"),
        ("--images right --erase 1,1,2,2 --weights new", r"Unknown weights 'new'"),
        ("--images right --erase 1,1,2,2 --out a.bmp", r"'out' must be NAME\.png, .* or NAME\.npy, got a\.bmp"),
        ("--images right --mask half.npy", r"'half\.npy' must be 1 where a number is seen and 0 where it is hidden, got 0\.5"),
        ("--images right --mask wide.npy", r"'wide\.npy' must be of shape \(n, 1, 6, 6\), got shape \(6, 7\)"),
        ("--images right --mask many.npy", r"'many\.npy' must be of shape \(1 or 3, 1, 6, 6\), got shape \(2, 1, 6, 6\)"),
        ("--images right --mask no.npy", r"no\.npy: no such file; give a \.npy file of masks with --mask\."),
        ("--images right --mask point.npy", r"'point\.npy' must be of shape \(n, 1, 6, 6\), got shape \(\)\."),
        ("--images right --mask all.npy", r"'all\.npy' must be 0 where a number is hidden, at least once, got 1 everywhere\."),
        ("--images half.npy", r"'images' must have NaN where a number is missing, or give --mask, got half\.npy without NaN\."),
        ("--images wide --erase 1,1,2,2", r"wide/0\.png: must be 6 x 6 pixels, as the run's, got 7 x 7 \(height x width\)\."),
        ("--images broken --erase 1,1,2,2", r"broken/a\.png: must be a picture that can be read, got one"),
        ("--images empty --erase 1,1,2,2", r"empty: must hold pictures that can be read, got none\."),
        ("--images half.npy --mask wide.npy", r"wide\.npy"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(
    words, expected, own_run, pictures, monkeypatch, capsys
):
    monkeypatch.chdir(pictures)
    before = {*own_run[0].rglob("*"), *pictures.rglob("*")}
    assert command.main(["complete", str(own_run[0] / "run"), *words.split()]) == 2
    out, err = capsys.readouterr()
    assert re.search(expected, err), err
    assert err.count("\n") == 1 and "Traceback" not in out + err
    assert {*own_run[0].rglob("*"), *pictures.rglob("*")} == before


def test_the_command_of_another_run_says_which_it_needs(points, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.full((3, 2), np.nan))
    words = ["--images", str(tmp_path / "x.npy"), "--out", str(tmp_path / "y.npy")]
    assert command.main(["complete", str(points), *words]) == 2
    assert "'run' must be a run of conditionals" in capsys.readouterr().err
    assert not (tmp_path / "y.npy").exists()


def test_the_shape_of_a_mask():
    assert mask_shape((3, 5, 4)) == (1, 5, 4) and mask_shape((2, 3)) == (2, 3)
    assert masks.MaskLaw is not None


# What completions are compared with


def test_the_nearest_example_on_what_is_seen(rng):
    train, x = torch.rand(40, 1, 4, 4, generator=rng), torch.rand(6, 1, 4, 4, generator=rng)
    mask = Masks(("pixels",), (1, 4, 4)).draw(6, rng=rng)
    found = baselines.nearest(train, x, mask)
    for i in range(6):
        apart = ((train - x[i]) * mask[i]).square().flatten(1).sum(dim=1)
        torch.testing.assert_close(
            found[i], torch.where(mask[i].bool(), x[i], train[apart.argmin()])
        )


def test_weighted_samples_have_the_posterior_mean(rng):
    """Of y ~ N(0, S) seen at one place with noise sigma: the mean is that of Bayes' rule."""
    n, sigma = 4_000, 0.5
    samples, x = gaussian(60_000, seed=4), gaussian(3, seed=5)
    mask = torch.tensor([1.0, 0.0, 0.0, 0.0])
    found = baselines.importance_weighted(samples, x, mask, sigma=sigma, n=n)
    assert torch.equal(found[..., 0], x[:, 0].expand(n, 3))
    gain = S[0, 1:] / (S[0, 0] + sigma**2)
    se = 5 / math.sqrt(n)
    torch.testing.assert_close(found[..., 1:].mean(dim=0), x[:, :1] * gain, atol=se, rtol=0)


def test_the_network_of_squared_error_finds_the_conditional_mean():
    x = gaussian(4_000).float()
    torch.manual_seed(0)
    G = Filling(TwoInputs(1, 4), (4,))
    baselines.fit_mean(G, 1, x, Masks(("pixels",), (4,)), steps=600, batch_size=200)
    mask = torch.tensor([1.0, 0.0, 1.0, 1.0])
    fresh = gaussian(500, seed=9).float()
    seen = torch.tensor([0, 2, 3])
    K = S[1, seen] @ torch.linalg.inv(S[seen][:, seen])
    exact = fresh[:, seen] @ K.float()
    found = baselines.mean(G, 1, fresh, mask)
    assert torch.equal(found[:, seen], fresh[:, seen])
    assert (found[:, 1] - exact).square().mean() < 0.03

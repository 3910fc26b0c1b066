"""Differentiable augmentation: one law for data and samples, and gradients that reach G."""

import dataclasses

import pytest
import torch
from scipy import stats
from torch import nn

import advnets
from advnets.base.protocols import Batch
from advnets.game.augmentation import Augmentation
from advnets.game.passes import View
from advnets.game.transforms import mirrored, translated
from conftest import small_game

PICTURES = {
    "event_shape": (2, 8, 16),
    "G": advnets.GeneratorConfig(hidden=(7,), output="linear", irange=0.5),
    "D": advnets.DiscriminatorConfig(units=(6,), pieces=3, irange=0.5),
}
BOTH = ("flip", "translate")


def pictures(rng, m=8):
    return Batch(torch.rand(m, 2, 8, 16, generator=rng))


def by_loop(x, mirror, down, right):
    """Pixel by pixel, what the rule does at once."""
    rows = []
    for one, flip, d, r in zip(x, mirror.tolist(), down.tolist(), right.tolist(), strict=True):
        C, H, W = one.shape
        place = {}
        for i in range(H):
            for j in range(W):
                old_i, old_j = i - d, j - r
                if 0 <= old_i < H and 0 <= old_j < W:
                    place[i, j] = (old_i, W - 1 - old_j if flip else old_j)
        zero = one.new_zeros(C)
        lines = [
            torch.stack(
                [one[(slice(None), *place[i, j])] if (i, j) in place else zero for j in range(W)], 1
            )
            for i in range(H)
        ]
        rows.append(torch.stack(lines, 1))
    return torch.stack(rows)


def test_values_and_gradients_are_those_of_a_loop_over_pixels(rng):
    x = torch.rand(6, 2, 5, 7, generator=rng, dtype=torch.float64, requires_grad=True)
    mirror = torch.tensor([0, 1, 1, 0, 1, 0])
    down, right = torch.tensor([0, 2, -2, 5, -1, 1]), torch.tensor([0, -3, 1, 0, 7, -7])
    fast = translated(mirrored(x, mirror == 1), down, right)
    slow = by_loop(x, mirror, down, right)
    assert torch.equal(fast, slow)
    weight = torch.rand(fast.shape, generator=rng, dtype=torch.float64)
    gradients = [torch.autograd.grad((y.square() * weight).sum(), x)[0] for y in (fast, slow)]
    assert torch.equal(*gradients)
    small = torch.rand(2, 1, 3, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradgradcheck(
        lambda x: translated(mirrored(x, mirror[:2] == 1), down[:2], right[:2]).sin(), small
    )


@pytest.mark.parametrize("order", ["alternating", "simultaneous"])
def test_gradients_reach_G_through_the_transform(order, rng):
    """One update of G by plain descent is autograd's of J, with the loop in place of the rule."""
    sgd = advnets.OptimizerConfig(lr=0.1, momentum=0.0, final_momentum=0.0, lr_decay=1.0)
    settings = PICTURES | {"order": order, "G_optimizer": sgd, "D_optimizer": sgd}
    settings["D"] = advnets.DiscriminatorConfig(units=(), dropout_input=0.0, dropout_hidden=0.0)
    game = small_game(**settings, augment=BOTH)
    drawn = []

    class Kept(Augmentation):
        def draw(self, m, shape, *, rng):
            drawn.append(super().draw(m, shape, rng=rng))
            return drawn[-1]

    game.rules = (Kept(BOTH),)
    before = {n: p.detach().clone() for n, p in game.G.named_parameters()}
    D_before = {n: p.detach().clone() for n, p in game.D.named_parameters()}
    zs = []
    sample = game.prior.sample
    object.__setattr__(
        game.prior, "sample", lambda m, *, rng: zs.append(sample(m, rng=rng)) or zs[-1]
    )
    game.step((pictures(rng),), rng=torch.Generator().manual_seed(3))
    weights = {n: p.detach() for n, p in game.D.named_parameters()}
    D = D_before if order == "simultaneous" else weights
    own = {n: p.clone().requires_grad_() for n, p in before.items()}
    x_g = torch.func.functional_call(game.G, own, (zs[-1],))
    moves = drawn[-1][1]
    a = torch.func.functional_call(game.D, D, (by_loop(x_g, *moves.T),))
    J = nn.functional.softplus(-a).mean()
    for name, g in zip(own, torch.autograd.grad(J, list(own.values())), strict=True):
        moved = (before[name] - dict(game.G.named_parameters())[name].detach()) / 0.1
        torch.testing.assert_close(moved, g, atol=1e-5, rtol=1e-3, msg=name)


def test_data_and_samples_have_one_law_and_draws_of_their_own(rng):
    data, samples = Augmentation(BOTH).draw(4_000, (1, 16, 32), rng=rng)
    assert not torch.equal(data, samples)
    for moves in (data, samples):
        assert 0.47 < moves[:, 0].double().mean() < 0.53
        assert (moves[:, 1].unique().tolist(), moves[:, 2].unique().tolist()) == (
            [*range(-2, 3)],
            [*range(-4, 5)],
        )
    for i in range(3):
        both = torch.stack(
            [
                m[:, i].bincount(minlength=9) if i == 0 else (m[:, i] + 4).bincount(minlength=9)
                for m in (data, samples)
            ]
        )
        both = both[:, both.sum(dim=0) > 0]
        assert stats.chi2_contingency(both.numpy()).pvalue > 1e-3
    data, samples = Augmentation(("flip-data",)).draw(100, (1, 16, 32), rng=rng)
    assert 0 < data[:, 0].sum() < 100
    assert not samples.any()
    assert not data[:, 1:].any()


def test_without_transforms_it_is_the_plain_game_bit_for_bit(rng):
    games = [small_game(**PICTURES), small_game(**PICTURES, augment=())]
    assert games[1].rules == ()
    batch = pictures(rng)
    for game in games:
        game.step((batch,), rng=torch.Generator().manual_seed(1))
    for name, t in games[0].state().items():
        assert torch.equal(t, games[1].state()[name]), name
    assert "augment" in {f.name for f in dataclasses.fields(advnets.GameConfig)}


@pytest.mark.parametrize(
    "settings",
    [
        {"augment": BOTH, "order": "alternating", "k": 2},
        {"augment": ("flip-data",), "order": "simultaneous", "r1": 0.5, "pack": 2},
        {"augment": BOTH, "precision": "bfloat16", "context": "labels", "instance_noise": 0.1},
        {
            "augment": ("translate",),
            "order": "alternating",
            "unroll": 2,
            "objective": "relativistic",
        },
        {
            "augment": BOTH,
            "G": advnets.SpectralGConfig(width=2, output="linear"),
            "D": advnets.SpectralDConfig(width=2),
        },
    ],
    ids=str,
)
def test_a_game_goes_on_from_its_state_bit_for_bit(settings, rng):
    whole, first, second = (small_game(**(PICTURES | settings)) for _ in range(3))
    batches = [
        tuple(Batch(pictures(rng, 6).x, torch.arange(6) % 3) for _ in range(whole.batches_per_step))
        for _ in range(4)
    ]
    streams = [torch.Generator().manual_seed(2) for _ in range(2)]
    for batch in batches:
        whole.step(batch, rng=streams[0])
    for batch in batches[:2]:
        first.step(batch, rng=streams[1])
    second.load_state(first.state())
    for batch in batches[2:]:
        second.step(batch, rng=streams[1])
    for name, t in whole.state().items():
        assert torch.equal(t, second.state()[name]), name
    assert whole.G_state.norm() > 0


def test_a_mask_moves_with_its_picture(rng):
    rule = Augmentation(BOTH)
    x, mask = torch.rand(3, 2, 8, 16, generator=rng), torch.ones(3, 1, 8, 16)
    label = torch.ones(3, 5)
    moves = torch.tensor([[1, 1, 0], [0, -1, 2], [1, 0, -2]])
    view = View((x, x * mask, mask, label), (x, x * mask, mask, label), ())
    seen = rule.show(None, view, (moves, moves)).data
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], (seen[0] > 0)[:, :1].to(mask))
    assert torch.equal(seen[3], label)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augment": ("mirror",)}, r"Unknown augment 'mirror'. Valid: flip, translate, flip-data"),
        ({"augment": ("flip", "flip")}, r"'augment' must be each transform once, got flip flip"),
        ({"augment": ("flip", "flip-data")}, r"'augment' must be one of 'flip' and 'flip-data'"),
        ({"augment": ("flip",)}, r"of shape \(C, H, W\), pictures, with augment, got shape \(2\)"),
        ({"augment": ("flip",), "compile": True, "event_shape": (1, 8, 8)}, r"'compile' must be False"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_transforms_are_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        small_game(**settings)

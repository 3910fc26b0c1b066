"""The closed forms of the contractive autoencoder against autograd and against whole matrices."""

import pytest
import torch
from test_autoencoder import EVENT, coder, problem

from advnets.base.protocols import Batch
from advnets.models.autoencoders.cae import CAE, CAEConfig, squared_jacobian, tangent_step
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig


def jacobians(own, x):
    """dh / dx of each row by autograd, `(n, k, d)`."""
    return torch.stack(
        [
            torch.autograd.functional.jacobian(lambda v: own.encode(v[None])[0], row.flatten())
            for row in x
        ]
    )


def test_the_penalty_is_the_squared_norm_of_the_jacobian(rng):
    own = coder()
    x = torch.rand(6, *EVENT, generator=rng, dtype=torch.float64)
    J = jacobians(own, x)
    assert J.shape == (6, 4, 6)
    torch.testing.assert_close(squared_jacobian(own.encode(x), own.W), J.square().sum(dim=(1, 2)))


def test_so_is_its_gradient_in_the_weights(rng):
    own = coder()
    x = torch.rand(3, *EVENT, generator=rng, dtype=torch.float64)
    closed = torch.autograd.grad(squared_jacobian(own.encode(x), own.W).mean(), [own.W, own.b])

    def penalty(W, b):
        total = 0.0
        for row in x:
            h = torch.func.jacrev(lambda v, W=W, b=b: (W @ v + b).sigmoid())(row.flatten())
            total = total + h.square().sum()
        return total / len(x)

    expected = torch.func.grad(penalty, argnums=(0, 1))(own.W.detach(), own.b.detach())
    for ours, theirs in zip(closed, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_step_is_the_written_out_matrix_times_alpha(rng):
    """J J^T = (W W^T) * s s^T, and J itself by autograd."""
    own = coder()
    x = torch.rand(5, *EVENT, generator=rng, dtype=torch.float64)
    h = own.encode(x)
    alpha = torch.randn(5, 4, generator=rng, dtype=torch.float64)
    found = tangent_step(h, own.W, alpha)
    gram, s = own.W @ own.W.T, h * (1 - h)
    for row, a, s_row, J in zip(found, alpha, s, jacobians(own, x), strict=True):
        torch.testing.assert_close(row, (gram * torch.outer(s_row, s_row)) @ a)
        torch.testing.assert_close(row, J @ J.T @ a)


def test_a_move_encodes_steps_and_decodes():
    chain = ChainConfig(chains=3)
    own = CAE.from_config(CAEConfig(hidden=4, walk=0.7, chain=chain), problem(), seed=0)
    state = torch.rand(3, *EVENT)
    moved = own.kernel().step(state, rng=torch.Generator().manual_seed(2))
    h = own.encode(state)
    alpha = 0.7 * torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    s, W = h * (1 - h), own.coder.W.detach()
    expected = [
        own.decode((h[i] + (W @ W.T * torch.outer(s[i], s[i])) @ alpha[i])[None])[0]
        for i in range(3)
    ]
    torch.testing.assert_close(moved.detach(), torch.stack(expected))
    assert not moved.requires_grad or torch.is_grad_enabled()


def test_what_is_descended_is_the_loss_and_lambda_times_the_penalty(rng):
    own = CAE.from_config(CAEConfig(hidden=4, contraction=0.3), problem(), seed=0)
    info = own.objective(torch.rand(5, *EVENT, generator=rng), rng=rng)
    assert list(info) == ["J", "reconstruction", "jacobian"]
    torch.testing.assert_close(info["J"], info["reconstruction"] + 0.3 * info["jacobian"])


def test_contraction_contracts(rng):
    x = torch.rand(64, *EVENT, generator=rng).round()
    norms = {}
    for contraction in (0.0, 1.0):
        rule = OptimizerConfig(lr=0.1)
        config = CAEConfig(hidden=8, contraction=contraction, optimizer=rule)
        own = CAE.from_config(config, problem(), seed=0)
        for _ in range(200):
            info = own.step((Batch(x),), rng=rng)
        norms[contraction] = info["jacobian"].item()
    assert norms[1.0] < 0.5 * norms[0.0]


def test_the_walk_is_blind_where_the_code_is_flat():
    """A saturated code has no tangent plane: the chain stays where the reconstruction is."""
    own = CAE.from_config(CAEConfig(hidden=4), problem(), seed=0)
    with torch.no_grad():
        own.coder.b.fill_(80.0)
    state = torch.rand(2, *EVENT)
    moved = own.kernel().step(state, rng=torch.Generator())
    torch.testing.assert_close(moved, own.coder.decode(own.coder.encode(state)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"contraction": -0.1}, "'contraction' must be a number that is at least 0, got -0.1"),
        ({"walk": 0.0}, "'walk' must be a number above 0, got 0"),
    ],
)
def test_settings_outside_their_limits_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        CAEConfig(**settings)

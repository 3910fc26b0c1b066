"""Energies that are networks: what they learn of a known law, and whether the chain keeps it."""

import math

import pytest
import torch

from advnets.base.protocols import Batch, Problem
from advnets.models.energy.energy_net import EnergyNet, EnergyNetConfig, Langevin
from advnets.models.energy.score_matching import score
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig

RULE = OptimizerConfig(optimizer="adam", lr=0.03, lr_decay=1.0, beta1=0.9, anneal="cosine")
GRID = torch.linspace(-6, 6, 601)[:, None]


def model(steps=300, **settings):
    problem = Problem(
        event_shape=(1,), low=-2.0, high=2.0, mean=torch.zeros(1), batches_per_epoch=1, steps=steps
    )
    return EnergyNet.from_config(
        EnergyNetConfig(**({"hidden": (32,), "optimizer": RULE} | settings)), problem, seed=0
    )


def log_data(x):
    """Two Gaussians of deviation .5, at -1 and 1."""
    parts = torch.stack([-((x - m) ** 2) / 0.5 for m in (-1.0, 1.0)])
    return parts.logsumexp(dim=0)[:, 0] - math.log(2 * 0.5 * math.sqrt(2 * math.pi))


def batch(rng, m=256):
    side = 2.0 * torch.randint(2, (m, 1), generator=rng) - 1
    return Batch(side + 0.5 * torch.randn(m, 1, generator=rng))


def distance(net):
    """KL from the data to the normalised model, by quadrature, in nats."""
    with torch.no_grad():
        log_p = net(GRID).double().log_softmax(dim=0)
        q = log_data(GRID.double()).log_softmax(dim=0)
    return (q.exp() * (q - log_p)).sum().item()


@pytest.mark.parametrize("criterion", ["exact", "sliced", "denoising", "nce"])
def test_each_criterion_learns_a_mixture(criterion, rng):
    ours = model(criterion=criterion)
    before = distance(ours.network)
    for _ in range(300):
        info = ours.step((batch(rng),), rng=rng)
    assert before > 0.1 and distance(ours.network) < 0.05
    if criterion == "nce":
        with torch.no_grad():
            log_Z = ours.network(GRID).double().logsumexp(dim=0).item() + math.log(12 / 600)
        assert info["log_Z"].item() == pytest.approx(log_Z, abs=0.1)


def test_it_begins_as_the_noise_and_the_contrast_at_log_4(rng):
    ours = model(criterion="nce")
    info = ours.objective(batch(rng).x, rng=rng)
    assert info["contrast"].item() == pytest.approx(math.log(4), abs=1e-6)
    with torch.no_grad():
        log_Z = ours.network(8 * GRID).double().logsumexp(dim=0).item() + math.log(96 / 600)
    assert ours.network.log_Z.item() == pytest.approx(log_Z, abs=1e-5)


def test_langevin_moves_keep_the_law(rng):
    """From exact samples, large moves, of which many are refused, leave the moments as they are."""
    ours = model(step=4.0, chain=ChainConfig(chains=4_000, burn_in=0, thin=1))
    for p in ours.network.parameters():
        p.data.normal_(0, 0.7, generator=rng)
    with torch.no_grad():
        grid = torch.linspace(-25, 25, 5_001)[:, None]
        p = ours.network(grid).double().softmax(dim=0)
    kernel = Langevin(ours)
    x = grid[torch.multinomial(p, 4_000, replacement=True, generator=rng)]
    moved, before = 0, x
    for _ in range(5):
        x = kernel.step(x, rng=rng)
        moved += (x != before).float().mean().item() / 5
        before = x
    assert 0.2 < moved < 0.999
    for f in (lambda t: t[:, 0], lambda t: t[:, 0].square(), lambda t: (t[:, 0] > 0).double()):
        exact = (p * f(grid.double())).sum()
        found = f(x.double())
        assert abs(found.mean() - exact) < 4 * found.std() / 4_000**0.5 + 0.02


def test_the_score_is_the_gradient_of_the_density(rng):
    ours = model()
    for p in ours.network.parameters():
        p.data.normal_(generator=rng)
    x = torch.randn(5, 1, generator=rng, requires_grad=True)
    found = score(ours.network, x).detach()
    with torch.no_grad():
        h = 1e-2
        slope = (ours.network(x + h) - ours.network(x - h)) / (2 * h)
    torch.testing.assert_close(found[:, 0], slope, rtol=1e-2, atol=1e-2)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"Unknown criterion 'denoise'\. Did you mean 'denoising'"):
        EnergyNetConfig(criterion="denoise")
    with pytest.raises(ValueError, match="'noise' must be a number above 0, got 0"):
        EnergyNetConfig(noise=0.0)

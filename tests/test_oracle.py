"""Scores against the same by others, on data of scale 1, 1e3 and 1e4, shifted, mixed and with ties.

The others come with the extra `oracle`, and torch-fidelity without its dependencies (it imports
torchvision for what is not used here, so a stub stands for it).
"""

import contextlib
import importlib
import io
import sys
import types

import numpy as np
import pytest
import torch

from advnets.evaluation import ais, inception
from advnets.evaluation.distances import (
    between_gaussians,
    frechet_distance,
    kernel_distance,
)
from advnets.evaluation.moments import Moments
from advnets.evaluation.neighbours import nearest, neighbourhoods
from advnets.evaluation.parzen import log_densities
from advnets.models.energy.annealing import RBMPath
from advnets.models.energy.energy import Energy
from advnets.theory import enumeration


def clouds(case):
    """Samples and real examples, `(240, 4)` each, and the width of the window."""
    rng = torch.Generator().manual_seed(1)
    x, y = (torch.randn(240, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    x = 0.8 * x + 0.3
    modes = torch.randn(6, 4, generator=rng, dtype=torch.float64).repeat(40, 1)
    ties = [torch.randint(4, (240, 4), generator=rng).double() for _ in range(2)]
    rows = torch.randn(60, 4, generator=rng, dtype=torch.float64)
    copies = rows[torch.arange(240) % 60], rows[torch.randint(60, (240,), generator=rng)]
    return {
        "scale 1": (x, y),
        "scale 1e3": (1e3 * x, 1e3 * y),
        "scale 1e4": (1e4 * x, 1e4 * y),
        "shifted": (x + 1e4, y + 1e4),
        "modes 1e4 apart": (1e4 * modes + 0.3 * x, 1e4 * modes + 0.3 * y),
        "ties": tuple(ties),
        "ties, shifted": tuple(t + 1e4 for t in ties),
        "ties, scale 1e4": tuple(1e4 * t for t in ties),
        "copies": copies,
    }[case]


CASES = [
    "scale 1",
    "scale 1e3",
    "scale 1e4",
    "shifted",
    "modes 1e4 apart",
    "ties",
    "ties, shifted",
    "ties, scale 1e4",
    "copies",
]
every_case = pytest.mark.parametrize("case", CASES)
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def given(case, dtype):
    """What is scored, and the same numbers in float64 for the others."""
    x, y = (t.to(dtype) for t in clouds(case))
    return x, y, x.double().numpy(), y.double().numpy()


@every_case
@both_dtypes
def test_log_densities_are_scikit_learns_to_a_hundredth_of_a_nat(case, dtype):
    neighbors = pytest.importorskip("sklearn.neighbors", reason="needs scikit-learn")
    x, y, x64, y64 = given(case, dtype)
    sigmas = [0.1, 0.3, 1.0]
    for ours, sigma in zip(log_densities(y, x, sigmas), sigmas, strict=True):
        # One leaf and no tolerance: a tree stops where its bounds are close.
        window = neighbors.KernelDensity(bandwidth=sigma, leaf_size=len(x), rtol=0, atol=0)
        theirs = window.fit(x64).score_samples(y64)
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9, atol=1e-2)


@every_case
@both_dtypes
def test_nearest_examples_are_scikit_learns_to_1e_9(case, dtype):
    neighbors = pytest.importorskip("sklearn.neighbors", reason="needs scikit-learn")
    x, y, x64, y64 = given(case, dtype)
    search = neighbors.NearestNeighbors(algorithm="kd_tree").fit(y64)  # by differences
    theirs = search.kneighbors(x64, 2)[0]
    for skip in (0, 1):
        ours = nearest(x, y, skip=skip)
        np.testing.assert_allclose(ours.distance.numpy(), theirs[:, skip], rtol=1e-9, atol=1e-9)


@every_case
def test_balls_are_those_of_prdc(case, monkeypatch, rng):
    """Its balls are open. Wider by 1e-9 they hold their surface, as ours and the papers' do."""
    prdc = pytest.importorskip("prdc.prdc", reason="needs prdc")
    x, y, x64, y64 = given(case, torch.float64)
    centre = y64.mean(axis=0)  # it takes distances by products, which lose digits far away

    def apart(a, b=None):
        b = a if b is None else b
        return np.linalg.norm(a[:, None] - b[None], axis=2)

    radii = prdc.compute_nearest_neighbour_distances
    monkeypatch.setattr(prdc, "compute_pairwise_distance", apart)
    monkeypatch.setattr(
        prdc, "compute_nearest_neighbour_distances", lambda a, k: radii(a, k) * (1 + 1e-9) + 1e-12
    )
    ours = neighbourhoods(x, y, rng=rng)
    for k, names in ((3, ("precision", "recall")), (5, ("density", "coverage"))):
        theirs = prdc.compute_prdc(y64 - centre, x64 - centre, k)
        for name in names:
            assert getattr(ours, name).value == pytest.approx(theirs[name], abs=1e-12), name


def stubbed(monkeypatch):
    """Stand in for torchvision, which torch-fidelity imports for what is not asked of it here."""
    names = ["torchvision", "torchvision.datasets", "torchvision.transforms"]
    modules = {name: types.ModuleType(name) for name in [*names, f"{names[2]}.functional"]}
    for name, module in modules.items():
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(modules[parent], own, module)
    for name in ("CIFAR10", "CIFAR100", "STL10"):
        setattr(modules["torchvision.datasets"], name, object)


@every_case
def test_the_frechet_distance_is_torch_fidelitys_to_1e_5(case, monkeypatch, rng):
    stubbed(monkeypatch)
    fid = pytest.importorskip("torch_fidelity.metric_fid", reason="needs torch-fidelity")
    x, y, x64, y64 = given(case, torch.float64)
    moments = [
        fid.fid_features_to_statistics(torch.from_numpy(t - y64.mean(axis=0))) for t in (x64, y64)
    ]
    theirs = next(iter(fid.fid_statistics_to_metric(*moments, False).values()))
    scale = float(np.trace(moments[1]["sigma"]))
    ours = frechet_distance(x, y, rng=rng).value
    assert ours == pytest.approx(float(theirs), rel=1e-5, abs=1e-6 * scale)


@every_case
def test_the_kernel_distance_is_torch_fidelitys_to_1e_9(case, monkeypatch, rng):
    stubbed(monkeypatch)
    kid = pytest.importorskip("torch_fidelity.metric_kid", reason="needs torch-fidelity")
    x, y, x64, y64 = given(case, torch.float64)
    k = [
        kid.kernel_poly(
            a, b, kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1
        )
        for a, b in ((x64, x64), (x64, y64), (y64, y64))
    ]
    theirs = kid.mmd2(*k)
    size = float(np.abs(k[1]).mean())  # what is subtracted: its last digits are rounding
    ours = kernel_distance(x, y, rng=rng).value
    assert ours == pytest.approx(float(theirs), abs=1e-12 * size, rel=1e-9)


def distances_of(x, y, fid):
    """Ours by moments, and torch-fidelity's."""
    ours = between_gaussians(*((m.mean, m.covariance) for m in (Moments.of(x), Moments.of(y))))
    moments = [fid.fid_features_to_statistics(t.double()) for t in (x, y)]
    return ours, next(iter(fid.fid_statistics_to_metric(*moments, False).values()))


def test_the_distance_by_moments_is_torch_fidelitys_to_1e_6(monkeypatch, rng):
    stubbed(monkeypatch)
    fid = pytest.importorskip("torch_fidelity.metric_fid", reason="needs torch-fidelity")
    x, y = torch.randn(300, 128, generator=rng), 1.3 * torch.rand(400, 128, generator=rng)
    ours, theirs = distances_of(x, y, fid)
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.fixture
def untrained(monkeypatch, tmp_path):
    """A file of random weights for torch-fidelity's Inception, and its module."""
    stubbed(monkeypatch)
    name = "torch_fidelity.feature_extractor_inceptionv3"
    module = pytest.importorskip(name, reason="needs torch-fidelity")

    class Untrained(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            """It has its first weights."""

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = Untrained("any", ["2048"], feature_extractor_weights_path=empty).state_dict()
    for key, weight in state.items():
        if key.endswith("conv.weight"):
            weight.mul_(6**0.5)  # He's: activations keep their size
    torch.save(state, tmp_path / "weights.pth")
    return tmp_path / "weights.pth", module.FeatureExtractorInceptionV3


def test_inception_features_and_their_distance_are_torch_fidelitys(untrained, monkeypatch, rng):
    path, extractor = untrained
    fid = importlib.import_module("torch_fidelity.metric_fid")
    theirs = extractor("any", ["2048"], feature_extractor_weights_path=str(path))
    with monkeypatch.context() as patch:  # ours is imported anew, without torchvision
        for name in [n for n in sys.modules if n.partition(".")[0].startswith("torch_fidelity")]:
            patch.delitem(sys.modules, name)
        for name in [n for n in sys.modules if n.startswith("torchvision")]:
            patch.setitem(sys.modules, name, None)
        ours = inception.load(path)
    x = torch.randint(256, (2, 1, 12, 10), generator=rng, dtype=torch.uint8)
    f, g = ours(x), theirs(x.repeat(1, 3, 1, 1))[0]
    assert f.shape == (2, 2048) and f.std() > 0.01
    torch.testing.assert_close(f, g, rtol=1e-5, atol=1e-5)
    # Their numbers as rows of 8: 2,048 features are slow for the other's eigenvalues.
    x, y = f[:1, :1600].reshape(-1, 8), f[1:].reshape(-1, 8)
    found, need = distances_of(x, y, fid)
    assert found == pytest.approx(need, rel=1e-6) and need > 0
    assert distances_of(x, x, fid)[0] == pytest.approx(0, abs=1e-9)


@pytest.fixture
def torchmetrics(monkeypatch):
    """It imports torch-fidelity where that is installed, which wants the stub."""
    with monkeypatch.context() as patch:
        stubbed(patch)
        with contextlib.suppress(ImportError):
            importlib.import_module("torch_fidelity")
    pytest.importorskip("torchmetrics", reason="needs torchmetrics")
    return types.SimpleNamespace(
        **{name: importlib.import_module(f"torchmetrics.image.{name}") for name in ("fid", "kid")}
    )


@every_case
def test_the_frechet_distance_is_torchmetrics_to_1e_9(case, torchmetrics, rng):
    x, y, *_ = given(case, torch.float64)
    moments = [m for t in (x, y) for m in (t.mean(dim=0), torch.cov(t.T))]
    theirs = torchmetrics.fid._compute_fid(*moments).item()
    size = moments[3].trace().item()  # what is subtracted
    ours = frechet_distance(x, y, rng=rng).value
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12 * size)


@every_case
def test_the_kernel_distance_is_torchmetrics_to_1e_9(case, torchmetrics, rng):
    x, y, *_ = given(case, torch.float64)
    theirs = torchmetrics.kid.poly_mmd(x, y).item()
    size = torchmetrics.kid.poly_kernel(x, y).abs().mean().item()
    ours = kernel_distance(x, y, rng=rng).value
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12 * size)


def test_free_energy_and_log_Z_of_a_boltzmann_machine_are_those_of_rbms(rng):
    """Exactly, and by annealed importance sampling of both from the same base."""
    classes = pytest.importorskip("rbms.bernoulli_bernoulli.classes", reason="needs rbms")
    exact = importlib.import_module("rbms.partition_function.exact")
    annealed = importlib.import_module("rbms.partition_function.ais")
    e = Energy(20, 8, stdev=0.7, rng=rng).double().requires_grad_(False)
    e.b.normal_(0, 0.5, generator=rng)
    e.c.normal_(0, 0.5, generator=rng)
    theirs = classes.BBRBM(weight_matrix=e.W.T.clone(), vbias=e.b, hbias=e.c)
    v = torch.randint(2, (50, 20), generator=rng).double()
    torch.testing.assert_close(e.free_energy(v), theirs.compute_energy_visibles(v))
    h = torch.cat(list(enumeration.states(8))).double()
    log_Z = exact.compute_partition_function(theirs, h)
    assert e.log_Z().item() == pytest.approx(log_Z, abs=1e-10)
    found = ais.run(RBMPath(e), ais.linear(300), 100, rng=rng)
    assert abs(found.log_Z - log_Z) < 4 * found.standard_error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = annealed.compute_partition_function_ais(100, 301, theirs)
    assert abs(own - found.log_Z) < 6 * found.standard_error

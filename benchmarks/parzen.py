"""The Parzen window on MNIST: our time against one matrix product, and against what others use.

    python benchmarks/parzen.py [--root FOLDER] [--rounds N] [--subset N] [--quick]

The protocol is: 10,000 samples, sigma of a 10-point grid on 1,000 validation images, the mean on
10,000 test images. The yardstick is one float32 product of 10,000 x 784 x 10,000, timed in turn
with it in the same process. Then 10,000 tests are scored under growing numbers of samples by ours,
by scikit-learn's KernelDensity and by the loop that people write in numpy (float64), each in a
process of its own, because peak memory only grows. What is extrapolated says from how many tests.
KernelDensity stands there twice. As it comes, it adds and subtracts bounds along a tree, which in
784 dimensions leaves no digit of many densities (scikit-learn's issues 7492 and 25799); with all
samples in one leaf of the tree it sums them one by one, and is right.
`--quick` (CI) takes random images and a tenth of every number.
"""

import argparse
import contextlib
import importlib.util
import math
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advnets.base.cpu import processor
from advnets.data import MnistConfig, load
from advnets.evaluation.parzen import SIGMAS, choose_sigma, score

Array = np.ndarray[Any, np.dtype[Any]]
Scorer = Callable[[Array], float]
REPEATS = 3  # of every timing in a process of its own: the median counts


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", default="mnist", help="folder of the MNIST files")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds of both")
    parser.add_argument("--subset", type=int, default=200, help="tests that the others score")
    parser.add_argument(
        "--quick", action="store_true", help="random images, a tenth of each number"
    )
    options = parser.parse_args()
    subset = options.subset // 10 if options.quick else options.subset
    images = random_images() if options.quick else real_images(options.root)
    print(f"{processor().name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    sigma = against_one_product(*images, rounds=1 if options.quick else options.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        for name, x in zip(("centres", "validation", "test"), images, strict=True):
            np.save(Path(scratch, f"{name}.npy"), x.flatten(1).numpy())
        against_others(Path(scratch), len(images[0]), subset, sigma)


def against_one_product(centres: Tensor, validation: Tensor, test: Tensor, *, rounds: int) -> float:
    """Our protocol: time, memory and exactness; the chosen sigma."""
    flat_test, flat_centres = test.flatten(1), centres.flatten(1)
    product = torch.empty(len(test), len(centres))
    torch.mm(flat_test, flat_centres.T, out=product)  # its memory is not the protocol's
    before = reset_peak()
    protocol(centres, validation, test)
    extra = peak_megabytes() - before
    pairs = [
        (
            timed(lambda: protocol(centres, validation, test)),
            timed(lambda: torch.mm(flat_test, flat_centres.T, out=product)),
        )
        for _ in range(rounds)
    ]
    ratios = [ours / bare for ours, bare in pairs]
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"one float32 product {len(test)} x {flat_test.shape[1]} x {len(centres)}: {bare:.3f} s")
    print(f"the whole protocol: {ours:.3f} s")
    print(
        f"ratio: median {statistics.median(ratios):.2f}, "
        f"from {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds"
    )
    print(f"peak memory above the data's: {max(extra, 0):.0f} MB")
    chosen = choose_sigma(validation, centres)
    result = score(test, centres, chosen.sigma)
    print(f"score: {result} (sigma {result.sigma:.4f}, {result.centres} samples, {result.n} tests)")
    few = test[:100]
    exact = statistics.fmean(written_out(few, centres, chosen.sigma))
    error = abs(score(few, centres, chosen.sigma).mean - exact)
    print(f"mean against the written-out float64 sum on {len(few)} tests: off by {error:.1e} nats")
    return chosen.sigma


def protocol(centres: Tensor, validation: Tensor, test: Tensor) -> None:
    """Choose sigma, then score."""
    score(test, centres, choose_sigma(validation, centres).sigma)


def written_out(x: Tensor, centres: Tensor, sigma: float) -> list[float]:
    """The definition in float64, one test image at a time."""
    x, centres = x.flatten(1).double(), centres.flatten(1).double()
    normaliser = math.log(len(centres)) + x.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))
    return [
        (-(row - centres).square().sum(dim=1) / (2 * sigma**2)).logsumexp(dim=0).item() - normaliser
        for row in x
    ]


def ours(centres: Array, sigma: float) -> Scorer:
    """advnets.evaluation.parzen.score."""
    samples = torch.from_numpy(centres)
    return lambda x: score(torch.from_numpy(x), samples, sigma).mean


def kernel_density(centres: Array, sigma: float, *, leaf_size: int = 40) -> Scorer:
    """scikit-learn's, by default as it comes; its tolerances are 0."""
    from sklearn.neighbors import KernelDensity

    model = KernelDensity(kernel="gaussian", bandwidth=sigma, leaf_size=leaf_size).fit(centres)
    return lambda x: float(model.score_samples(x).mean())


def one_leaf(centres: Array, sigma: float) -> Scorer:
    """scikit-learn's, without the tree."""
    return kernel_density(centres, sigma, leaf_size=len(centres))


def loop(centres: Array, sigma: float) -> Scorer:
    """The double loop, its inner one broadcast, in float64."""
    samples = centres.astype(np.float64)
    n, d = samples.shape
    normaliser = math.log(n) + d * math.log(sigma * math.sqrt(2 * math.pi))

    def log_density(row: Array) -> float:
        exponents = -((row.astype(np.float64) - samples) ** 2).sum(1) / (2 * sigma**2)
        peak = exponents.max()
        return float(peak + np.log(np.exp(exponents - peak).sum()) - normaliser)

    return lambda x: statistics.fmean(log_density(row) for row in x)


OURS, SKLEARN, LEAF, LOOP = (
    "advnets.evaluation.parzen.score",
    "KernelDensity",
    "KernelDensity, one leaf",
    "loop in numpy",
)
METHODS = {OURS: ours, SKLEARN: kernel_density, LEAF: one_leaf, LOOP: loop}


@dataclass(frozen=True)
class Measured:
    """Seconds for all tests, megabytes above the data's, the mean on the subset (nats)."""

    seconds: float
    megabytes: float
    mean: float


def against_others(folder: Path, samples: int, subset: int, sigma: float) -> None:
    """Print what each method takes, for growing numbers of samples and for the protocol."""
    tests = len(np.load(folder / "test.npy", mmap_mode="r"))
    head = f"{'samples':>8}  {'method':24}{'seconds':>9}{'x ours':>8}{'extra MB':>10}"
    print(f"\nscoring {tests} tests, sigma {sigma:.4f}; others extrapolated from {subset} tests")
    print(f"{head}{'off by':>10}  (nats, from the loop, mean of {subset} tests)")
    worst = 0.0
    for centres in (samples // 10, 3 * samples // 10, samples):
        rows = {n: alone(measure, n, folder, centres, subset, sigma) for n in METHODS if present(n)}
        off = {name: abs(row.mean - rows[LOOP].mean) for name, row in rows.items()}
        for name in METHODS:
            error = f"{off[name]:10.1e}" if name in off else ""
            print(f"{centres:8}  {line(name, rows)}{error}", flush=True)
        worst = max(worst, *(error for name, error in off.items() if name != SKLEARN))
    print(f"largest difference, {SKLEARN} with its tree left out: {worst:.1e} nats")
    print(
        f"\nthe whole protocol; {SKLEARN} extrapolated from "
        f"{validation_subset(subset)} validation images a width and {subset} tests\n{head}"
    )
    names = (OURS, SKLEARN, LEAF)
    rows = {n: alone(whole, n, folder, subset) for n in names if present(n)}
    for name in names:
        print(f"{samples:8}  {line(name, rows)}")


def line(name: str, rows: dict[str, Measured]) -> str:
    """A method's part of a line of the table."""
    if name not in rows:
        return f"{name:24}  not installed (pip install 'advnets[bench]')"
    row, base = rows[name], rows[OURS]
    times = row.seconds / base.seconds
    return f"{name:24}{row.seconds:9.2f}{times:8.1f}{row.megabytes:10.0f}"


def measure(name: str, folder: Path, centres: int, subset: int, sigma: float) -> Measured:
    """Score all tests (ours), or a few of them, with the time of those scaled to all."""
    samples, tests = np.load(folder / "centres.npy")[:centres].copy(), np.load(folder / "test.npy")
    some = tests if name == OURS else tests[:subset]
    METHODS[name](samples[:2], sigma)(tests[:2])  # imports and thread pools are nobody's memory
    before = reset_peak()
    preparing, scoring, peaks = [], [], []
    for _ in range(REPEATS):
        began = time.perf_counter()
        scorer = METHODS[name](samples, sigma)
        preparing.append(time.perf_counter() - began)
        scoring.append(timed(lambda scorer=scorer: scorer(some)))  # type: ignore[misc]
        peaks.append(peak_megabytes() - before)
    scaled = statistics.median(scoring) * len(tests) / len(some)
    return Measured(statistics.median(preparing) + scaled, peaks[0], scorer(tests[:subset]))


def whole(name: str, folder: Path, subset: int) -> Measured:
    """The protocol: sigma on the validation images, then the score of the tests."""
    arrays = [np.load(folder / f"{part}.npy") for part in ("centres", "validation", "test")]
    METHODS[name](arrays[0][:2], SIGMAS[0])(arrays[2][:2])
    before = reset_peak()
    if name == OURS:
        seconds = timed(lambda: protocol(*(torch.from_numpy(array) for array in arrays)))
        return Measured(seconds, peak_megabytes() - before, math.nan)
    centres, validation, tests = arrays
    few = validation[: validation_subset(subset)]
    seconds, means = 0.0, []
    for sigma in SIGMAS:
        began = time.perf_counter()
        scorer = METHODS[name](centres, sigma)
        seconds += time.perf_counter() - began
        began = time.perf_counter()
        means.append(scorer(few))
        seconds += (time.perf_counter() - began) * len(validation) / len(few)
    scorer = METHODS[name](centres, SIGMAS[int(np.argmax(means))])
    seconds += timed(lambda: scorer(tests[:subset])) * len(tests) / subset
    return Measured(seconds, peak_megabytes() - before, math.nan)


def validation_subset(subset: int) -> int:
    """Validation images that stand for all of them."""
    return max(1, subset // 10)


def present(name: str) -> bool:
    """Whether a method is installed."""
    return name not in (SKLEARN, LEAF) or importlib.util.find_spec("sklearn") is not None


def alone(job: Callable[..., Measured], *args: object) -> Measured:
    """Run a measurement in a fresh process, which inherits no memory."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        return pool.submit(job, *args).result()


def real_images(root: str) -> tuple[Tensor, Tensor, Tensor]:
    """10,000 training images as samples, 1,000 validation and 10,000 test images of MNIST."""
    splits = load(MnistConfig(root=root), seed=0)
    order = torch.randperm(50_000, generator=torch.Generator().manual_seed(0))[:10_000]
    return splits.train.x[order], splits.validation.x[:1_000], splits.test.x[:]


def random_images() -> tuple[Tensor, Tensor, Tensor]:
    """Images of nothing, for a quick look."""
    rng = torch.Generator().manual_seed(0)
    centres, validation, test = (torch.rand(n, 784, generator=rng) for n in (1_000, 100, 1_000))
    return centres, validation, test


def timed(job: Callable[[], object]) -> float:
    """Seconds that a job takes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def peak_megabytes() -> float:
    """The largest memory that this process has held.

    Linux lets `ru_maxrss` start at the size of the process that spawned this one; VmHWM does not.
    """
    return status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def reset_peak() -> float:
    """Forget the peak so far, where the system can; the memory from which a peak is counted."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_megabytes()


def status(field: str) -> float:
    """A size in /proc/self/status, in megabytes; 0 where there is none."""
    path = Path("/proc/self/status")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum(float(row.split()[1]) / 1024 for row in lines if row.startswith(f"{field}:"))


if __name__ == "__main__":
    main()

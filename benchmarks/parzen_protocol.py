"""The paper's Parzen protocol on MNIST: time against one matrix product, memory, exactness.

    python benchmarks/parzen_protocol.py [--root FOLDER] [--rounds N] [--quick]

The protocol is: 10,000 samples, sigma of a 10-point grid on 1,000 validation images, the mean on
10,000 test images. The yardstick is one float32 product of 10,000 x 784 x 10,000, timed in turn
with it in the same process. `--quick` (CI) takes random images and a tenth of every number.
"""

import argparse
import math
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from advnets.data import MnistConfig, load
from advnets.environment import processor
from advnets.parzen import choose_sigma, score


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", default="../shared/data/mnist", help="folder of the MNIST files")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds of both")
    parser.add_argument(
        "--quick", action="store_true", help="random images, a tenth of each number"
    )
    options = parser.parse_args()
    centres, validation, test = random_images() if options.quick else real_images(options.root)
    print(f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")

    flat_test, flat_centres = test.flatten(1), centres.flatten(1)
    product = torch.empty(len(test), len(centres))
    timed(
        lambda: torch.mm(flat_test, flat_centres.T, out=product)
    )  # its memory is not the protocol's
    before = peak_megabytes()
    protocol(centres, validation, test)
    extra = peak_megabytes() - before
    pairs = [
        (
            timed(lambda: protocol(centres, validation, test)),
            timed(lambda: torch.mm(flat_test, flat_centres.T, out=product)),
        )
        for _ in range(1 if options.quick else options.rounds)
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
    """The largest memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

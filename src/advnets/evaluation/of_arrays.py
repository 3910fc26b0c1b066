"""Scores and metrics of plain arrays of samples and real examples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from advnets.base import errors
from advnets.base.protocols import Learner
from advnets.base.rng import generator
from advnets.data.batches import Array
from advnets.data.splits import Split, Splits, refuse_other_tensors
from advnets.evaluation import distances, neighbours, parzen
from advnets.evaluation.bootstrap import Estimate
from advnets.evaluation.metrics import MEASURES
from advnets.evaluation.parzen import LogLikelihood
from advnets.sampling.samplers import TrainingSet

_TITLES = {measure.name: measure.title for measure in MEASURES}
_HELD_OUT, _MOST = 10, 1_000
_INSTEAD: dict[type, str] = {
    DataLoader: "torch.cat([x for x, *_ in loader]) is one",
    Dataset: "its tensors[0] may be one",
    Split: "its .x[:] is one",
    Splits: "its .test.x[:] is one",
    Learner: "its .sample(1_000) is one",
}
"""What is a tensor, of things that are none."""


@dataclass(frozen=True)
class Metrics(Mapping[str, Estimate]):
    """Metrics by name, each with its 95% interval; `print` shows a table."""

    values_by_name: Mapping[str, Estimate]
    n: int
    """Number of samples, and of real examples, that were compared."""
    left_out: tuple[str, ...] = ()
    """Why a metric is missing: name, need, got."""

    def __getitem__(self, name: str) -> Estimate:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def __str__(self) -> str:
        lines = [f"{_TITLES[name]:20} {value}" for name, value in self.items()]
        return "\n".join([*lines, *self.left_out, f"n = {self.n:,}, 95% intervals"])


def score(
    samples: Tensor | Array,
    test: Tensor | Array,
    *,
    validation: Tensor | Array | None = None,
    sigma: float | None = None,
    sigmas: Sequence[float] = parzen.SIGMAS,
) -> LogLikelihood:
    """The mean log-density of test examples under a Parzen window on samples (Section 5).

    Sigma is never chosen on the examples that are scored. It is `sigma` if given; else the best of
    `sigmas` on `validation`. Without either, a tenth of `test` (at most 1,000 examples, drawn by a
    fixed seed) is set aside to choose it, and only the others are scored.

    Args:
        samples: Of shape `(n, *event_shape)`.
        test: Real examples, of shape `(m, *event_shape)`.
        validation: Real examples that are not test examples.
        sigma: Width of the window.
        sigmas: The widths to choose from; the authors' are for data in [0, 1].

    Returns:
        Mean and standard error in nats per example, n and sigma.

    Raises:
        BadValue: For `sigma` beside `validation`, arrays that do not fit each other, or fewer than
            two test examples where some are set aside.
    """
    centres, x = _tensor("samples", samples), _tensor("test", test)
    _refuse_another_scale(centres, x, test)
    both = sigma is not None and validation is not None
    errors.require(not both, "sigma", "sigma or validation, not both", "both")
    if sigma is None:
        if validation is not None:
            held_out = _tensor("validation", validation)
        else:
            errors.require(len(x) > 1, "test", "at least two examples", len(x))
            order = torch.randperm(len(x), generator=generator(0, "examples set aside"))
            aside = min(_MOST, max(1, len(x) // _HELD_OUT))
            held_out, x = x[order[:aside]], x[order[aside:]]
        sigma = parzen.choose_sigma(held_out, centres, sigmas).sigma
    return parzen.score(x, centres, sigma)


def metrics(
    samples: Tensor | Array,
    test: Tensor | Array,
    *,
    features: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> Metrics:
    """Frechet and kernel distance (KID), precision, recall, density, coverage, and spread.

    Args:
        samples: Of shape `(n, *event_shape)`.
        test: Real examples, of shape `(m, *event_shape)`. The smaller number of both is compared:
            the first samples, and test examples drawn by `seed`.
        features: Maps examples to features `(n, d)`; by default an example is its own features.
        seed: Draws the test examples and the resamples of the intervals.

    Raises:
        BadValue: For arrays that do not fit each other or are not finite.
    """
    x, y = _tensor("samples", samples), _tensor("test", test)
    _refuse_another_scale(x, y, test)
    if x.shape[1:] != y.shape[1:]:
        need = f"(n, {', '.join(map(str, y.shape[1:]))}), as test is"
        raise errors.wrong_shape("samples", need, x.shape)
    n = min(len(x), len(y))
    x, y = x[:n], TrainingSet(y).sample(n, seed=seed)
    with torch.no_grad():
        f, g = (features(part) if features else part for part in (x, y))
    f, g = _tensor("features of samples", f).flatten(1), _tensor("features of test", g).flatten(1)
    takes: tuple[Callable[[torch.Generator], Mapping[str, Estimate]], ...] = (
        lambda rng: {"frechet": distances.frechet_distance(f, g, rng=rng)},
        lambda rng: {"kernel": distances.kernel_distance(f, g, rng=rng)},
        lambda rng: neighbours.neighbourhoods(f, g, rng=rng)._asdict(),
        lambda rng: {"pairwise": _spread(x, y, rng)},
    )
    values: dict[str, Estimate] = {}
    left_out: list[str] = []
    for take in takes:
        try:
            values |= take(generator(seed, "resamples"))
        except errors.BadValue as error:
            left_out.append(str(error))
    return Metrics(values, n, tuple(left_out))


def _refuse_another_scale(samples: Tensor, test: Tensor, given: object) -> None:
    """Raise where the test examples are bytes that nobody scaled and the samples are not."""
    is_bytes = str(getattr(given, "dtype", "")).endswith("uint8")
    if is_bytes and test.max() > 1 >= samples.max():
        need = "scaled as the samples are (x / 255)"
        raise errors.bad_value("test", need, f"bytes (uint8) up to {test.max():g}")


def _spread(x: Tensor, y: Tensor, rng: torch.Generator) -> Estimate:
    sides = (neighbours.distances_to_others(side) for side in (x, y))
    return distances.spread_ratio(*sides, rng=rng)


def _tensor(name: str, x: Tensor | Array) -> Tensor:
    """A finite tensor of at least one row, on the CPU."""
    try:
        if isinstance(x, tuple(_INSTEAD)):
            raise TypeError
        t = x.detach() if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    except (TypeError, ValueError, RuntimeError):
        hint = next((f" ({words})" for kind, words in _INSTEAD.items() if isinstance(x, kind)), "")
        raise errors.not_numbers(name, f"a {type(x).__name__}{hint}") from None
    refuse_other_tensors(name, t)
    t = t.cpu()
    if t.ndim < 2:
        raise errors.wrong_shape(name, "(n, ...)", t.shape)
    errors.require(len(t) > 0, name, "at least one row", 0)
    t = t if t.is_floating_point() else t.double()  # float32 rounds from 2^24 on
    finite = t.flatten(1).isfinite().all(dim=1)
    if not finite.all():
        raise errors.array_not_finite(name, int(finite.logical_not().nonzero()[0]))
    return t

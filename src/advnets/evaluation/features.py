"""The space in which samples and data are compared: features of a network, or the data itself.

No pretrained weights are used. A small classifier is trained on the run's own training examples, or
an autoencoder where they have no labels; examples of up to 16 numbers are compared directly. All
runs on the same data share one network, which is kept in the user's cache folder.

Reference: Heusel et al. (2017) compare features of a classifier; Naeem et al. (2020), Section 5,
    show that they need not come from a large one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import pooch
import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.rng import derive, generator
from advnets.data.splits import Split, Splits
from advnets.evaluation.feature_network import SOME, Network, apply, subsample, train
from advnets.evaluation.neighbours import nearest
from advnets.storage import checkpoints, schema

Kind = Literal["classifier", "autoencoder", "data"]
Say = Callable[[str], None]

RECIPE = 1
"""Version of architecture and training; cached networks of other versions are ignored."""
_LEAST = 1e-10
FEW = 16
"""Largest size of an example for which the data itself is compared."""


class FeatureSpace(Protocol):
    """A space in which distances between examples are computed."""

    @property
    def kind(self) -> Kind:
        """What the features are."""
        ...

    @property
    def describe(self) -> str:
        """One sentence for a reader."""
        ...

    @property
    def accuracy(self) -> float | None:
        """Accuracy of its classes on validation examples; None without classes."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes; 0 for data without labels."""
        ...

    def features(self, x: Tensor) -> Tensor:
        """Examples `(n, *event_shape)` as features `(n, d)`; on data their mean variance is 1."""
        ...

    def labels(self, x: Tensor) -> Tensor:
        """The class of each example, from 0, of shape `(n,)`, where there are classes."""
        ...


def learn(splits: Splits, *, cache: Path | None = None, say: Say = print) -> FeatureSpace:
    """The feature space of a data set: from the cache, or trained now.

    Args:
        splits: The data. A network is trained on `train` and its accuracy measured on `validation`.
        cache: Folder of trained networks; `features` in the user's cache folder by default.
        say: Called with messages: that a network is trained, or a cache cannot be read or written.
    """
    if math.prod(splits.event_shape) <= FEW:
        return DataSpace(splits)
    # A caller's `torch.no_grad()` or default dtype is none of the network's business.
    with torch.inference_mode(False), torch.enable_grad():
        return _network_space(splits, cache, say)


def _network_space(splits: Splits, cache: Path | None, say: Say) -> FeatureSpace:
    # A validation set may have no labels where the training set has.
    labelled = splits.validation.context is not None
    known = class_labels(splits.train) if labelled else None
    kind: Kind = "classifier" if known else "autoencoder"
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that seeds the GPUs too, which are not put back.
        torch.default_generator.manual_seed(derive(0, "features"))
        network = Network(splits.event_shape, classes=len(known[0]) if known else 0).float()
    facts = {"kind": kind, "recipe": RECIPE, "data": _fingerprint(splits)}
    folder = cache or Path(pooch.os_cache("advnets")) / "features"
    path = folder / f"{kind}-{facts['data']:08x}-v{RECIPE}.safetensors"
    score = _read(path, network, facts, say)
    if score is None:
        n = len(splits.train)
        say(f"Training a small {kind} on the {n:,} training examples, to compare features with ...")
        train(network, splits.train, known[1] if known else None, rng=generator(0, "features"))
        score = _score(network, splits, known)
        _keep(path, network, facts | {"score": None if math.isnan(score) else score}, say)
    return NetworkSpace(network, splits, score)


def class_labels(split: Split) -> tuple[Tensor, Tensor] | None:
    """The classes, and the index of each example's class; None where there are no classes.

    Labels are classes when they are whole numbers, one for each example, with at least two values
    and on average ten examples of each.
    """
    labels = split.context
    if labels is None or labels.is_floating_point() or labels.ndim > 1:
        return None
    classes, numbers = torch.unique(labels.long(), return_inverse=True)
    return (classes, numbers) if 2 <= len(classes) <= len(labels) / 10 else None


def _score(network: Network, splits: Splits, known: tuple[Tensor, Tensor] | None) -> float:
    """On validation examples: the accuracy, or the share of variance reconstructed.

    NaN without variance, as for a single example.
    """
    held_out = subsample(splits.validation)
    x = held_out.x[:]
    answer = apply(network, network, x)
    if known and held_out.context is not None:
        told = known[0][answer.argmax(dim=1)]
        return (told == held_out.context).double().mean().item()
    seen = apply(network, network.preprocess, x).flatten(1)
    lost, all_of_it = answer - seen, seen - seen.mean(dim=0)
    variance = all_of_it.double().square().sum().item()
    if len(x) < 2 or variance <= _LEAST * seen.double().square().sum().item():
        return math.nan
    return 1 - lost.double().square().sum().item() / variance


# The cache


def _fingerprint(splits: Splits) -> int:
    parts = {"train": splits.train, "validation": splits.validation}
    everything: dict[str, Any] = {f"{name}.x": part.x for name, part in parts.items()}
    labels = {n: p.context for n, p in parts.items() if p.context is not None}
    return checkpoints.checksum(everything | labels, {})


def _read(path: Path, network: Network, facts: dict[str, Any], say: Say) -> float | None:
    """Load a cached network and return its score; None where it must be trained."""
    if not path.exists():
        return None
    try:
        saved = checkpoints.read_checkpoint(path)
        own = {name: t.shape for name, t in network.state_dict().items()}
        if {n: t.shape for n, t in saved.tensors.items()} != own or any(
            saved.facts.get(name) != value for name, value in facts.items()
        ):
            raise errors.damaged_checkpoint(path, "it is of another network")
        score = schema.convert(path, saved.facts, schema.CachedNetwork).score
    except errors.BadFile as damaged:
        say(f"{damaged} It is trained anew.")
        return None
    network.load_state_dict(saved.tensors)
    return math.nan if score is None else score


def _keep(path: Path, network: Network, facts: dict[str, Any], say: Say) -> None:
    try:
        with errors.saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.write_checkpoint([path], 0, network.state_dict(), facts)
    except errors.CannotWrite as refused:
        say(f"{refused} The next evaluation will train it again.")


# The spaces


@dataclass(frozen=True)
class NetworkSpace:
    """The features of a trained network."""

    network: Network
    splits: Splits
    score: float

    @property
    def kind(self) -> Kind:
        """What the features are."""
        return "classifier" if self.classes else "autoencoder"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.network.classes

    @property
    def accuracy(self) -> float | None:
        """Accuracy on validation examples."""
        return self.score if self.classes else None

    @property
    def describe(self) -> str:
        """One sentence for a reader."""
        n, held_out = len(self.splits.train), min(SOME, len(self.splits.validation))
        examples = f"{held_out:,} validation example{'s' * (held_out != 1)}"
        good = f"gets {self.score:.1%} of {examples} right"
        if not self.classes:
            good = f"gives back {self.score:.1%} of the variance of {examples}"
        if not -1 <= self.score <= 1:
            good = f"says little: on {examples} it cannot be told how good it is"
            good += " (they do not vary)" if math.isnan(self.score) else " (it gives back nothing)"
        return (
            f"Features: {len(self.network.centre)} inner numbers of a small {self.kind} trained on "
            f"the run's own {n:,} training examples; it {good}."
        )

    def features(self, x: Tensor) -> Tensor:
        """Examples as features."""
        return apply(self.network, self.network.features, x)

    def labels(self, x: Tensor) -> Tensor:
        """The class of each example."""
        return apply(self.network, self.network, x).argmax(dim=1)


@dataclass(frozen=True)
class DataSpace:
    """The scaled data itself; the class of an example is that of the nearest training example."""

    splits: Splits
    kind: Kind = "data"

    @cached_property
    def _known(self) -> Split:
        return subsample(self.splits.train)

    @cached_property
    def _scale(self) -> float:
        return self._known.x[:].double().var(dim=0).mean().sqrt().clamp_min(1e-12).item()

    @cached_property
    def classes(self) -> int:
        """Number of classes."""
        known = class_labels(self._known)
        return len(known[0]) if known else 0

    @cached_property
    def accuracy(self) -> float | None:
        """Accuracy on validation examples."""
        held_out, known = subsample(self.splits.validation), class_labels(self._known)
        if known is None or held_out.context is None:
            return None
        told = known[0][self.labels(held_out.x[:])]
        return (told == held_out.context).double().mean().item()

    @property
    def describe(self) -> str:
        """One sentence for a reader."""
        numbers = math.prod(self.splits.event_shape)
        line = f"Features: the data itself, {numbers} number{'s' * (numbers > 1)} an example"
        if self.accuracy is None:
            return f"{line}."
        return f"{line}; the nearest training example tells {self.accuracy:.1%} of the classes."

    def features(self, x: Tensor) -> Tensor:
        """The examples, scaled to mean 0 and mean variance 1 on training data."""
        return (x.flatten(1).double() - self.splits.statistics.mean.flatten()) / self._scale

    def labels(self, x: Tensor) -> Tensor:
        """The class of the nearest training example."""
        known = class_labels(self._known)
        assert known is not None
        return known[1][nearest(x, self._known.x).number]

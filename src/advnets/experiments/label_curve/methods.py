"""The methods of a label curve, each from labelled examples to predicted classes."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.data import Split
from advnets.extensions.inference.bigan import BiGAN, BiGANConfig
from advnets.extensions.semisupervised.classifier import features_of
from advnets.extensions.semisupervised.feature_matching import SemiSupervised
from advnets.extensions.semisupervised.fine_tune import FineTuneConfig, fine_tune, fresh
from advnets.extensions.semisupervised.frozen import (
    encoder_features,
    logistic_regression,
    nearest,
    on_frozen,
)
from advnets.game import Game
from advnets.networks import DiscriminatorKind
from advnets.runs.run import Run

PIXELS, NEAREST = "logistic regression on pixels", "1-NN on pixels"
TUNED, SCRATCH = "D fine-tuned", "same net from scratch"
FROZEN, RANDOM = "D frozen + logistic regression", "untrained D + logistic regression"
ENCODED, UNTRAINED = "E frozen + logistic regression", "untrained E + logistic regression"
LONG = (TUNED, SCRATCH)
"""Those that take minutes a draw."""


Classify = Callable[[Split, Split, Tensor, int], Tensor]
"""From labelled examples, validation examples, test examples and a seed to predicted classes."""


def methods(run: Run, event_shape: tuple[int, ...], *, updates: int) -> dict[str, Classify]:
    """What is compared: of a BiGAN E's features, since its D sees pairs; of other games D's.

    Raises:
        BadValue: For a run whose D has no last layer to replace.
    """
    found: dict[str, Classify] = {
        PIXELS: partial(_linear, partial(torch.flatten, start_dim=1)),
        NEAREST: _nearest,
    }
    if isinstance(run.learner, SemiSupervised):
        return found
    if isinstance(run.learner, BiGAN):
        assert isinstance(run.config.model, BiGANConfig)
        untrained: nn.Module = run.config.model.encoder(event_shape, seed=run.config.seed)
        return found | {
            ENCODED: partial(_linear, partial(encoder_features, run.learner.E)),
            UNTRAINED: partial(_linear, partial(encoder_features, untrained)),
        }
    D, kind = discriminator(run)
    untrained = fresh(kind, event_shape, seed=run.config.seed)
    return found | {
        FROZEN: partial(_frozen, D, kind),
        RANDOM: partial(_frozen, untrained, kind),
        TUNED: partial(_tuned, D, kind, updates),
        SCRATCH: partial(_scratch, kind, updates),
    }


def discriminator(run: Run) -> tuple[nn.Module, DiscriminatorKind]:
    """The D of a run and its configuration."""
    learner, kind = run.learner, getattr(run.config.model, "D", None)
    if not isinstance(learner, Game) or not isinstance(kind, DiscriminatorKind):
        raise errors.bad_value("RUN", "a game, whose D has features", run.config.model.kind)
    need = "one whose D judges one example, told nothing, at a time"
    right = learner.passes.pack == 1 and learner.context is None and hasattr(learner.D, "last")
    errors.require(right, "RUN", need, "packs, a conditional game, or another D")
    features_of(learner.D)  # refuses a D without a last layer to replace
    return learner.D, kind


def _linear(
    rows: Callable[[Tensor], Tensor], labelled: Split, validation: Split, x: Tensor, seed: int
) -> Tensor:
    """Logistic regression on rows of numbers, one for each example."""
    own = [t for split in (labelled, validation) for t in (rows(split.x[:]), labels_of(split))]
    return logistic_regression(*own).predict(rows(x))


def _nearest(labelled: Split, validation: Split, x: Tensor, seed: int) -> Tensor:
    return nearest(labelled.x[:], labels_of(labelled), x)


def _frozen(
    D: nn.Module,
    kind: DiscriminatorKind,
    labelled: Split,
    validation: Split,
    x: Tensor,
    seed: int,
) -> Tensor:
    return on_frozen(D, kind, labelled, validation, classes=_classes(labelled)).predict(x)


def _tuned(
    D: nn.Module,
    kind: DiscriminatorKind,
    updates: int,
    labelled: Split,
    validation: Split,
    x: Tensor,
    seed: int,
) -> Tensor:
    config = FineTuneConfig(updates=updates)
    K = _classes(labelled)
    tuned = fine_tune(D, kind, labelled, validation, classes=K, seed=seed, config=config)
    return tuned.predict(x)


def _scratch(
    kind: DiscriminatorKind,
    updates: int,
    labelled: Split,
    validation: Split,
    x: Tensor,
    seed: int,
) -> Tensor:
    D = fresh(kind, tuple(labelled.x.shape[1:]), seed=seed)
    return _tuned(D, kind, updates, labelled, validation, x, seed)


def labels_of(split: Split) -> Tensor:
    """The classes of labelled examples, `(n,)`."""
    assert split.context is not None
    return split.context.long()


def _classes(split: Split) -> int:
    return int(labels_of(split).max()) + 1

"""Features of a D or an E that stays as it is, logistic regression on them; baselines on pixels.

Features are those of the last hidden layer, each brought to mean 0 and variance 1 over the labelled
examples. The strength of the penalty is chosen on as many validation labels as training has, at
most.
"""

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from advnets.base import errors
from advnets.data.splits import Split
from advnets.extensions.semisupervised.classifier import Classifier, Softmax, features_of
from advnets.extensions.semisupervised.fine_tune import refuse_labels
from advnets.networks import DiscriminatorKind
from advnets.sampling.samplers import untouched

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse penalties to choose from: scikit-learn's C."""
_CHUNK = 1_000


class _Features(nn.Module):
    """In place of D's last layer: the features themselves."""

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 (as D's head)
        """`(n, features)`, same shape."""
        return h


def features(D: nn.Module, x: Tensor) -> Tensor:
    """What D's last layer reads of examples, `(n, features)`, in evaluation mode."""
    features_of(D)  # refuses a D without such a layer
    bare = copy.deepcopy(D)
    bare.last = _Features()
    like = next(bare.parameters())
    with untouched(bare) as network:
        return torch.cat([network(part.to(like)).cpu() for part in torch.split(x, _CHUNK)])


def encoder_features(E: nn.Module, x: Tensor) -> Tensor:
    """E's last hidden layer, `(n, units)`, in evaluation mode. E is an `Encoder`."""
    like = next(E.parameters())
    with untouched(E) as network:
        hidden: Any = network.features
        return torch.cat([hidden(part.to(like)).cpu() for part in torch.split(x, _CHUNK)])


@dataclass(frozen=True)
class Linear:
    """Logistic regression as an affine map from features to class logits."""

    weight: Tensor
    bias: Tensor

    def predict(self, h: Tensor) -> Tensor:
        """The likeliest class of each row, `(n,)`."""
        logits: Tensor = h.double() @ self.weight.T + self.bias
        return logits.argmax(dim=1)


def logistic_regression(
    h: Tensor, y: Tensor, h_validation: Tensor | None = None, y_validation: Tensor | None = None
) -> Linear:
    """Fit it to features `(n, d)` and classes 0, 1, ..., all of which occur.

    Args:
        h: Features of labelled examples.
        y: Their classes.
        h_validation: Features to choose the penalty on; without them C is 0.1.
        y_validation: Their classes.

    Raises:
        BadValue: For classes of one kind only.
    """
    K = len(torch.unique(y))
    errors.require(K > 1, "y", "of at least 2 classes", K)
    scaler = StandardScaler().fit(h.double().numpy())
    best, least = None, np.inf
    for C in STRENGTHS if h_validation is not None else (0.1,):
        found = _fitted(scaler, h, y, C)
        if h_validation is None or y_validation is None:
            return found
        error = float((found.predict(h_validation) != y_validation).double().mean())
        if error < least:
            best, least = found, error
    assert best is not None
    return best


def _fitted(scaler: StandardScaler, h: Tensor, y: Tensor, C: float) -> Linear:
    with warnings.catch_warnings():  # a fit that stops early is as good a classifier
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = LogisticRegression(C=C, max_iter=500).fit(
            scaler.transform(h.double().numpy()), y.numpy()
        )
    weight, bias = fit.coef_ / scaler.scale_, fit.intercept_
    if len(weight) == 1:  # of two classes scikit-learn has one logit
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return Linear(torch.from_numpy(weight), torch.from_numpy(bias - weight @ scaler.mean_))


def nearest(x: Tensor, y: Tensor, at: Tensor) -> Tensor:
    """The class of the labelled example that is nearest to each of `at`, `(n,)`."""
    rows = KNeighborsClassifier(1, algorithm="brute").fit(x.flatten(1).numpy(), y.numpy())
    return torch.from_numpy(rows.predict(at.flatten(1).numpy()))


def on_frozen(
    D: nn.Module,
    kind: DiscriminatorKind,
    labelled: Split,
    validation: Split | None = None,
    *,
    classes: int,
) -> Classifier:
    """A classifier from D's features as they are; arguments as `fine_tune` has them."""
    refuse_labels(labelled, validation, classes)
    assert labelled.context is not None
    own = [features(D, labelled.x[:]), labelled.context]
    if validation is not None and validation.context is not None:
        own += [features(D, validation.x[:]), validation.context]
    found = logistic_regression(*own)
    network = copy.deepcopy(D).float().eval()
    head = Softmax(found.weight.shape[1], classes)
    head.affine.weight.data.copy_(found.weight)
    head.affine.bias.data.copy_(found.bias)
    network.last = head
    names = tuple(map(str, range(classes)))
    return Classifier.of_D(network, kind, tuple(labelled.x.shape[1:]), names)

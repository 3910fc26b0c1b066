"""A classifier: what a D with a softmax at its end, or a head on its features, predicts.

classifier = advnets.load("runs/labels").learner.classifier()
classifier.save("digits.safetensors")
Classifier.load("digits.safetensors").predict(x)
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import safetensors.torch
import torch
from torch import Tensor, nn

from advnets import networks
from advnets.base import errors, files
from advnets.base.config import Kinds, from_dict, to_dict
from advnets.data.splits import refuse_non_finite, refuse_other_tensors, refuse_unscaled
from advnets.extensions.semisupervised.networks import ClassLogits
from advnets.networks import DiscriminatorKind
from advnets.sampling.samplers import untouched
from advnets.storage import checkpoints

_CHUNK = 1_000
_MOST = 2**31


class Softmax(nn.Module):
    """The head in place of D's last layer: class logits of its features."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.affine = nn.Linear(features, classes)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 (as D's head)
        """`(n, features)` to `(n, classes)`."""
        a: Tensor = self.affine(h)
        return a


class Classifier:
    """Predicts classes.

    Args:
        network: From x to class logits, `(n, K)` (more behind them is cut off).
        event_shape: Shape of one example.
        classes: What the classes are called, by their number.
        spec: What the network is rebuilt from when it is loaded.
    """

    def __init__(
        self,
        network: nn.Module,
        event_shape: Sequence[int],
        classes: Sequence[str],
        spec: dict[str, Any],
    ) -> None:
        errors.require(len(classes) > 0, "classes", "at least one", 0)
        self.network, self.spec = network, spec
        self.event_shape, self.classes = tuple(event_shape), tuple(classes)

    @classmethod
    def of_class_logits(
        cls, D: ClassLogits, event_shape: Sequence[int], classes: Sequence[str]
    ) -> Self:
        """Of a D that has class logits."""
        spec = {
            "kind": "class-logits",
            "hidden": D.hidden,
        }
        return cls(D, event_shape, classes, spec)

    @classmethod
    def of_D(
        cls,
        D: nn.Module,
        config: DiscriminatorKind,
        event_shape: Sequence[int],
        classes: Sequence[str],
    ) -> Self:
        """Of a D whose last layer is a `Softmax`."""
        return cls(D, event_shape, classes, {"kind": "D", "D": to_dict(config)})

    def logits(self, x: Tensor) -> Tensor:
        """Class logits of examples `(n, *event_shape)`, `(n, K)`.

        Raises:
            BadValue: For examples of another shape, NaN or infinity, or pixels from 0 to 255.
        """
        if tuple(x.shape[1:]) != self.event_shape:
            need = f"(n, {', '.join(map(str, self.event_shape))})"
            raise errors.wrong_shape("x", need, x.shape)
        refuse_other_tensors("x", x)
        refuse_non_finite("x", x)
        refuse_unscaled("x", x)
        like = next(self.network.parameters())
        with untouched(self.network) as network:
            parts = [network(part.to(like)) for part in torch.split(x, _CHUNK)]
        return torch.cat(parts)[:, : len(self.classes)]

    def predict(self, x: Tensor) -> Tensor:
        """The likeliest class of each example, from 0, `(n,)`."""
        return self.logits(x).argmax(dim=1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """The probability of each class, `(n, K)`."""
        return self.logits(x).softmax(dim=1)

    def error(self, x: Tensor, y: Tensor) -> float:
        """The share of examples whose class it does not tell.

        Args:
            x: Examples, `(n, *event_shape)`, at least one.
            y: Their classes, from 0, `(n,)`.

        Raises:
            BadValue: As `logits`, and for no examples, or another number of classes.
        """
        errors.require(x.ndim > 0 and len(x) > 0, "x", "at least one example", "none")
        if y.shape != x.shape[:1]:
            raise errors.wrong_shape("y", f"({len(x)}), as many as x has examples", y.shape)
        return float((self.predict(x).cpu() != y.cpu()).double().mean())

    def save(self, path: Path | str) -> None:
        """Write it: a safetensors file that `load` takes back."""
        tensors = {n: t.detach().cpu().contiguous() for n, t in self.network.state_dict().items()}
        about = {"event_shape": self.event_shape, "classes": self.classes, "spec": self.spec}
        data = safetensors.torch.save(tensors, metadata={"classifier": json.dumps(about)})
        checkpoints.write_atomically(Path(path), data)

    @classmethod
    def load(cls, path: Path | str) -> "Classifier":
        """Read one that `save` wrote. Raises `BadFile` for any other file."""
        raw = files.read(Path(path), most=_MOST)
        try:
            header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
            about = json.loads(header["__metadata__"]["classifier"])
            tensors = safetensors.torch.load(raw)
            network = _network(about["spec"], about["event_shape"], len(about["classes"]))
            network.load_state_dict(tensors)
        except errors.UserError:
            raise
        except Exception as error:  # whatever the parsers of a foreign file say of it
            raise errors.BadFile(
                f"{path}: no classifier that advnets saved ({errors.short(error)})."
            ) from None
        return cls(network.eval(), about["event_shape"], about["classes"], about["spec"])


def _network(spec: dict[str, Any], event_shape: Sequence[int], classes: int) -> nn.Module:
    """The network that was saved, before its weights."""
    rng = torch.Generator().manual_seed(0)
    if spec["kind"] == "class-logits":
        quiet = {"input_noise": 0.0, "hidden_noise": 0.0}
        return ClassLogits(event_shape, classes, hidden=spec["hidden"], **quiet, rng=rng)
    kinds: Kinds = {DiscriminatorKind: networks.DISCRIMINATORS}
    config: DiscriminatorKind = from_dict(DiscriminatorKind, spec["D"], kinds=kinds)
    return with_softmax(config.build(event_shape=event_shape, rng=rng), classes)


def with_softmax(D: nn.Module, classes: int) -> nn.Module:
    """D itself, with a `Softmax` in place of its last layer."""
    D.last = Softmax(features_of(D), classes)
    return D


def features_of(D: nn.Module) -> int:
    """Numbers that D's last layer reads. Raises `BadValue` for a D that has none to replace."""
    last = getattr(D, "last", None)
    for inner in ("plain", "affine"):
        last = getattr(last, inner, last)
    if not isinstance(last, nn.Linear):
        raise errors.bad_value("D", "one of this library's, with a last layer", type(D).__name__)
    return last.in_features

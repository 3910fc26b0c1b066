"""The Inception network whose features published Frechet distances (FID) are computed from.

It is torch-fidelity's port of the original one, with weights from a file that the user has: nothing
is downloaded. Its features are 2,048 numbers a picture. torch-fidelity's package imports
torchvision, which belongs to one version of torch. The network needs none of it, so the module of
the network is imported by itself.

Reference: Obukhov et al. (2020), torch-fidelity.
"""

import hashlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from advnets.base import errors, files
from advnets.base.choices import Device
from advnets.storage.checkpoints import first_non_finite

PUBLISHED = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""SHA-256 of the standard weights, whatever the file is called."""
WHENCE = (
    "it is weights-inception-2015-12-05-6726825d.pth of torch-fidelity's releases on GitHub, or "
    "pt_inception-2015-12-05-6726825d.pth of pytorch-fid's"
)
FEATURES = "2048"
"""torch-fidelity's name of the features."""
_PACKAGE = "torch_fidelity"
_MOST = 1e30
"""The largest feature."""


@dataclass(frozen=True)
class Inception:
    """The network: pictures to features."""

    network: Callable[[Tensor], tuple[Tensor, ...]]
    sha256: str
    """Of the file of weights."""
    device: torch.device

    @property
    def published(self) -> bool:
        """Whether the weights are the standard ones, bit for bit."""
        return self.sha256 == PUBLISHED

    def __call__(self, x: Tensor) -> Tensor:
        """Features `(n, 2048)` of pictures, bytes `(n, 1, H, W)` or `(n, 3, H, W)`, on the CPU.

        Grey becomes three equal channels. The network resizes to 299 x 299 itself.

        Raises:
            BadValue: For features that are not finite, or huge.
        """
        with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
            found = self.network(x.to(self.device).expand(-1, 3, -1, -1).contiguous())[0].cpu()
        most = found.abs().max().item()
        errors.require(most <= _MOST, "features", f"finite and at most {_MOST:g}", f"{most:g}")
        return found


def load(weights: Path | str, *, device: Device = "cpu") -> Inception:
    """The network with weights from a file, read as tensors alone: no code in it is run.

    Args:
        weights: The state dict that torch-fidelity publishes.
        device: Where it computes.

    Raises:
        MissingExtra: Where torch-fidelity is not installed.
        BadFile: For a file that is missing or is no such state dict.
        BadValue: For a GPU that torch does not find.
    """
    path = Path(weights)
    found = device == "cpu" or torch.cuda.is_available()
    errors.require(found, "inception-device", "cpu: torch finds no CUDA GPU here", device)
    with files.open_regular(path, missing=WHENCE) as file:
        raw = file.read()
    extractor = _extractor()
    try:
        state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception:  # whatever torch's reader says of a foreign or damaged file
        raise _no_weights(path, "a file that torch does not read as tensors") from None
    if not isinstance(state, Mapping) or not all(isinstance(t, Tensor) for t in state.values()):
        raise _no_weights(path, errors.kind_of(state))
    if (name := first_non_finite(state)) is not None:
        raise _no_weights(path, f"one with NaN or infinity in {name}")
    network = _built(extractor, state, path).to(device)
    return Inception(network, hashlib.sha256(raw).hexdigest(), torch.device(device))


def _no_weights(path: Path, got: str) -> errors.BadFile:
    """A file that does not hold the weights of the network."""
    need = "the state dict of torch-fidelity's FeatureExtractorInceptionV3"
    return errors.bad_array_file(path, need, got)


def _extractor() -> Callable[..., torch.nn.Module]:
    """torch-fidelity's class, without the package's `__init__`, which imports torchvision."""
    if _PACKAGE in sys.modules:
        return _class()
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        raise errors.missing_extra("torch-fidelity", "inception")
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)  # not executed
    try:
        return _class()
    finally:  # whoever imports torch-fidelity after us gets all of it
        for name in [n for n in sys.modules if n.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]


def _class() -> Callable[..., torch.nn.Module]:
    try:
        module: Any = importlib.import_module(f"{_PACKAGE}.feature_extractor_inceptionv3")
        cls: Callable[..., torch.nn.Module] = module.FeatureExtractorInceptionV3
    except (ImportError, AttributeError) as error:
        need = "a version that has FeatureExtractorInceptionV3 (0.4 has)"
        raise errors.bad_value("torch-fidelity", need, f"one without ({error})") from None
    return cls


def _built(
    extractor: Callable[..., torch.nn.Module], state: Mapping[str, Tensor], path: Path
) -> torch.nn.Module:
    """The network. It reads a file by itself, with code and all, so it is given tensors alone."""
    checked = io.BytesIO()
    torch.save(state, checked)
    checked.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):  # it draws weights before it reads them
            return extractor(
                "inception-v3-compat", [FEATURES], feature_extractor_weights_path=checked
            )
    except RuntimeError as error:  # of load_state_dict: keys and shapes that do not fit
        why = errors.short(" ".join(str(error).split()).partition(": ")[2], 150)
        raise _no_weights(path, f"another: {why}") from None

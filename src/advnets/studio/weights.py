"""The weights of a generator or an encoder for the page, in fewer bits, with what that costs."""

import base64
import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.choices import Format
from advnets.extensions.conditionals import Unseen
from advnets.networks import Generator
from advnets.networks.encoder import LEAK, Encoder

UNITS = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Identity: "linear", nn.LeakyReLU: "leaky"}
MOST = 12_000_000
"""Weights that a browser is given; a larger network is computed by the server."""


class Layer(NamedTuple):
    """An affine map with the units after it."""

    affine: nn.Linear
    unit: str
    outputs: int
    """Rows that are sent: of a stochastic encoder's last layer those of the mean."""


def layers(network: nn.Module) -> list[Layer] | None:
    """The layers of a multilayer perceptron, G or E; None for any other network.

    Of a G of all conditionals they take z, m x and m side by side.
    """
    modules = _in_order(network)
    maps, units = modules[::2], modules[1::2]
    few = sum(p.numel() for p in network.parameters()) <= MOST
    affine = [m for m in maps if isinstance(m, nn.Linear)]
    plain = len(affine) == len(maps) == len(units) and all(map(_known, units))
    if not (modules and plain and few):
        return None
    found = [Layer(m, UNITS[type(u)], m.out_features) for m, u in zip(affine, units, strict=True)]
    if isinstance(network, Encoder):
        found[-1] = found[-1]._replace(outputs=network.z_dim)
    return found


def _in_order(network: nn.Module) -> list[nn.Module]:
    """Affine maps and units by turns; none of a network of another kind."""
    if type(network) is Unseen:
        network = network.G.G
    if type(network) is Generator:
        return [*network.net, network.squash]
    if type(network) is Encoder:
        return [*network.body, network.last, nn.Identity()]
    return []


def _known(unit: nn.Module) -> bool:
    return type(unit) in UNITS and getattr(unit, "negative_slope", LEAK) == LEAK


def fewer_bits(W: Tensor, how: Format) -> tuple[np.ndarray[Any, Any], Tensor | None]:
    """A matrix of weights as it is sent, and the scale of each row where it has one."""
    if how == "int8":
        scale = W.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        return (W / scale[:, None]).round().to(torch.int8).numpy(), scale
    return W.numpy().astype("<f2" if how == "float16" else "<f4"), None


def restored(sent: np.ndarray[Any, Any], scale: Tensor | None) -> Tensor:
    """The weights as the page computes with them, float32."""
    W = torch.from_numpy(sent.astype(np.float32))
    return W if scale is None else W * scale[:, None]


def packed(network: nn.Module, how: Format) -> tuple[list[dict[str, Any]], nn.Module]:
    """The layers of G or E as the page reads them, and a network of the weights that arrive there.

    Raises:
        BadValue: For an unknown format, or a network that is no multilayer perceptron.
    """
    errors.one_of(("float32", "float16", "int8"), weights=how)
    found = layers(network)
    if found is None:
        need = "a multilayer perceptron of the library"
        raise errors.bad_value("network", need, type(network).__name__)
    arrived, sent = copy.deepcopy(network), []
    for own, other in zip(found, layers(arrived) or [], strict=True):
        weight, bias = own.affine.weight.detach(), own.affine.bias.detach()
        W, scale = fewer_bits(weight[: own.outputs].float().cpu(), how)
        other.affine.weight.data[: own.outputs] = restored(W, scale).to(other.affine.weight)
        sent.append(_layer(own, W, scale, bias[: own.outputs].float().cpu()))
    return sent, arrived


def _layer(
    own: Layer, W: np.ndarray[Any, Any], scale: Tensor | None, bias: Tensor
) -> dict[str, Any]:
    texts: Mapping[str, str | None] = {
        "weight": text(W),
        "scale": None if scale is None else text(scale.numpy().astype("<f4")),
        "bias": text(bias.numpy().astype("<f4")),
    }
    return {"inputs": own.affine.in_features, "units": own.outputs, "unit": own.unit, **texts}


def text(array: np.ndarray[Any, Any]) -> str:
    """The bytes of an array, in base 64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
